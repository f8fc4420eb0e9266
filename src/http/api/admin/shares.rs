//! The dataset shares admin API: `/admin/datasets/{dataset_id}/shares`.

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::{Object, OpenApi};

use crate::domain::id::DatasetId;
use crate::domain::name::{RoleName, Username};
use crate::http::conditional::etag_response::WithEtag;
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::extract::if_match::IfMatch;
use crate::http::openapi::ApiTag;
use crate::http::reply::admin_statuses::{DeleteStatuses, ReadStatuses};
use crate::http::reply::responses::ErrorResponse;
use crate::service::administration::Administration;
use crate::service::administration::shares::Reader;
use crate::storage::DatasetWithNames;

/// The dataset shares admin API.
pub struct AdminSharesApi {
    /// Performs administrative operations.
    pub administration: Arc<Administration>,
}

/// The users and roles that a dataset is shared with.
#[derive(Object)]
#[oai(rename = "SharesAnswer")]
pub struct SharesResponse {
    /// The user names.
    pub users: Vec<Username>,
    /// The roles.
    pub roles: Vec<RoleName>,
}

impl From<DatasetWithNames> for SharesResponse {
    fn from(named: DatasetWithNames) -> Self {
        Self {
            users: named.reader_users.into_keys().collect(),
            roles: named.dataset.reader_roles.into_iter().collect(),
        }
    }
}

type ShareResult = Result<WithEtag<SharesResponse>, ErrorResponse<DeleteStatuses>>;

impl AdminSharesApi {
    async fn set_shared(
        &self,
        credentials: &HeaderCredentials,
        dataset_id: DatasetId,
        reader: Reader,
        is_shared: bool,
        if_match: &IfMatch,
    ) -> ShareResult {
        let precondition =
            |named: &DatasetWithNames| if_match.matches(&SharesResponse::from(named.clone()));
        let (administration, credentials) = (&self.administration, &credentials.0);
        let changed = if is_shared {
            administration
                .create_share(credentials, dataset_id, &reader, &precondition)
                .await?
        } else {
            administration
                .delete_share(credentials, dataset_id, &reader, &precondition)
                .await?
        };
        Ok(WithEtag(changed.into()))
    }
}

#[OpenApi(tag = "ApiTag::Administration")]
impl AdminSharesApi {
    /// List dataset shares
    ///
    /// Requires `administer` on the dataset.
    #[oai(
        path = "/admin/datasets/:dataset_id/shares",
        method = "get",
        operation_id = "show_shares"
    )]
    async fn list_shares(
        &self,
        /// The dataset id, in any text form of RFC 9562.
        dataset_id: Path<DatasetId>,
        credentials: HeaderCredentials,
    ) -> Result<WithEtag<SharesResponse>, ErrorResponse<ReadStatuses>> {
        let named = self
            .administration
            .get_dataset(&credentials.0, dataset_id.0)
            .await?;
        Ok(WithEtag(named.into()))
    }

    /// Share dataset with user
    ///
    /// Succeeds without a change if the dataset is already shared with the user. Requires
    /// `administer` on the dataset before and after the change.
    #[oai(
        path = "/admin/datasets/:dataset_id/shares/users/:username",
        method = "put",
        operation_id = "share_with_user"
    )]
    async fn share_with_user(
        &self,
        /// The dataset id, in any text form of RFC 9562.
        dataset_id: Path<DatasetId>,
        /// The user name.
        username: Path<Username>,
        /// The `ETag` of the shares. The change fails with 412 if the shares have changed since.
        #[oai(name = "If-Match")]
        if_match: IfMatch,
        credentials: HeaderCredentials,
    ) -> ShareResult {
        let reader = Reader::User(username.0);
        self.set_shared(&credentials, dataset_id.0, reader, true, &if_match)
            .await
    }

    /// Revoke dataset share of user
    ///
    /// The user's download tokens stop working if nothing else permits them. Succeeds without a
    /// change if the dataset is not shared with the user. Requires `administer` on the dataset
    /// before and after the change.
    #[oai(
        path = "/admin/datasets/:dataset_id/shares/users/:username",
        method = "delete",
        operation_id = "withdraw_from_user"
    )]
    async fn unshare_with_user(
        &self,
        /// The dataset id, in any text form of RFC 9562.
        dataset_id: Path<DatasetId>,
        /// The user name.
        username: Path<Username>,
        /// The `ETag` of the shares. The change fails with 412 if the shares have changed since.
        #[oai(name = "If-Match")]
        if_match: IfMatch,
        credentials: HeaderCredentials,
    ) -> ShareResult {
        let reader = Reader::User(username.0);
        self.set_shared(&credentials, dataset_id.0, reader, false, &if_match)
            .await
    }

    /// Share dataset with role
    ///
    /// Succeeds without a change if the dataset is already shared with the role. Requires
    /// `administer` on the dataset before and after the change.
    #[oai(
        path = "/admin/datasets/:dataset_id/shares/roles/:role",
        method = "put",
        operation_id = "share_with_role"
    )]
    async fn share_with_role(
        &self,
        /// The dataset id, in any text form of RFC 9562.
        dataset_id: Path<DatasetId>,
        /// The role name.
        role: Path<RoleName>,
        /// The `ETag` of the shares. The change fails with 412 if the shares have changed since.
        #[oai(name = "If-Match")]
        if_match: IfMatch,
        credentials: HeaderCredentials,
    ) -> ShareResult {
        let reader = Reader::Role(role.0);
        self.set_shared(&credentials, dataset_id.0, reader, true, &if_match)
            .await
    }

    /// Revoke dataset share of role
    ///
    /// The members' download tokens stop working if nothing else permits them. Succeeds without a
    /// change if the dataset is not shared with the role. Requires `administer` on the dataset
    /// before and after the change.
    #[oai(
        path = "/admin/datasets/:dataset_id/shares/roles/:role",
        method = "delete",
        operation_id = "withdraw_from_role"
    )]
    async fn unshare_with_role(
        &self,
        /// The dataset id, in any text form of RFC 9562.
        dataset_id: Path<DatasetId>,
        /// The role name.
        role: Path<RoleName>,
        /// The `ETag` of the shares. The change fails with 412 if the shares have changed since.
        #[oai(name = "If-Match")]
        if_match: IfMatch,
        credentials: HeaderCredentials,
    ) -> ShareResult {
        let reader = Reader::Role(role.0);
        self.set_shared(&credentials, dataset_id.0, reader, false, &if_match)
            .await
    }
}
