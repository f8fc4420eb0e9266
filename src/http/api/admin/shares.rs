//! The dataset shares admin API: `/admin/datasets/{dataset_id}/shares`.

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::{Object, OpenApi};

use crate::domain::id::DatasetId;
use crate::domain::name::{RoleName, Username};
use crate::http::api::share_ends::{EndsJson, ends_of};
use crate::http::conditional::etag_response::WithEtag;
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::extract::if_match::IfMatch;
use crate::http::openapi::ApiTag;
use crate::http::reply::admin_statuses::{DeleteStatuses, ReadStatuses};
use crate::http::reply::responses::ErrorResponse;
use crate::http::reply::timestamp::Timestamp;
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
    /// When shares with users end, by user name; absent if none does. A share that has ended is listed and grants nothing.
    #[oai(skip_serializing_if_is_none)]
    pub users_until: Option<EndsJson>,
    /// When shares with roles end, by role; absent if none does.
    #[oai(skip_serializing_if_is_none)]
    pub roles_until: Option<EndsJson>,
}

impl From<DatasetWithNames> for SharesResponse {
    fn from(named: DatasetWithNames) -> Self {
        let (users_until, roles_until) = ends_of(&named);
        Self {
            users: named.reader_users.into_keys().collect(),
            roles: named.dataset.reader_roles.into_iter().collect(),
            users_until,
            roles_until,
        }
    }
}

type ShareResult = Result<WithEtag<SharesResponse>, ErrorResponse<DeleteStatuses>>;

impl AdminSharesApi {
    async fn create_share(
        &self,
        credentials: &HeaderCredentials,
        dataset_id: DatasetId,
        (reader, until): (Reader, Option<Timestamp>),
        if_match: &IfMatch,
    ) -> ShareResult {
        let until = until.map(|Timestamp(until)| until);
        let precondition = if_match.precondition::<SharesResponse, _>();
        let changed = self
            .administration
            .create_share(&credentials.0, dataset_id, (&reader, until), &precondition)
            .await?;
        Ok(WithEtag(changed.into()))
    }

    async fn delete_share(
        &self,
        credentials: &HeaderCredentials,
        dataset_id: DatasetId,
        reader: Reader,
        if_match: &IfMatch,
    ) -> ShareResult {
        let precondition = if_match.precondition::<SharesResponse, _>();
        let changed = self
            .administration
            .delete_share(&credentials.0, dataset_id, &reader, &precondition)
            .await?;
        Ok(WithEtag(changed.into()))
    }
}

#[OpenApi(tag = "ApiTag::Administration")]
impl AdminSharesApi {
    /// List dataset shares
    ///
    /// Requires `administer` or `share` on the dataset.
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
            .get_shared_dataset(&credentials.0, dataset_id.0)
            .await?;
        Ok(WithEtag(named.into()))
    }

    /// Share dataset with user
    ///
    /// The share ends at `until`, and never without it, whatever end it had. Succeeds without a change if the dataset
    /// is already shared with the user like that. Requires `administer` or `share` on the dataset before and after the
    /// change.
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
        /// When the share ends, in the future; from then on it is no share. If omitted, it has no end.
        until: Query<Option<Timestamp>>,
        /// The `ETag` of the shares. The change fails with 412 if the shares have changed since.
        #[oai(name = "If-Match")]
        if_match: IfMatch,
        credentials: HeaderCredentials,
    ) -> ShareResult {
        let reader = Reader::User(username.0);
        self.create_share(&credentials, dataset_id.0, (reader, until.0), &if_match)
            .await
    }

    /// Revoke dataset share of user
    ///
    /// The user's download tokens stop working if nothing else permits them. Succeeds without a
    /// change if the dataset is not shared with the user. Requires `administer` or `share` on the
    /// dataset before and after the change.
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
        self.delete_share(&credentials, dataset_id.0, reader, &if_match)
            .await
    }

    /// Share dataset with role
    ///
    /// The share ends at `until`, and never without it, whatever end it had. Succeeds without a change if the dataset
    /// is already shared with the role like that. Requires `administer` or `share` on the dataset before and after the
    /// change.
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
        /// When the share ends, in the future; from then on it is no share. If omitted, it has no end.
        until: Query<Option<Timestamp>>,
        /// The `ETag` of the shares. The change fails with 412 if the shares have changed since.
        #[oai(name = "If-Match")]
        if_match: IfMatch,
        credentials: HeaderCredentials,
    ) -> ShareResult {
        let reader = Reader::Role(role.0);
        self.create_share(&credentials, dataset_id.0, (reader, until.0), &if_match)
            .await
    }

    /// Revoke dataset share of role
    ///
    /// The members' download tokens stop working if nothing else permits them. Succeeds without a
    /// change if the dataset is not shared with the role. Requires `administer` or `share` on the
    /// dataset before and after the change.
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
        self.delete_share(&credentials, dataset_id.0, reader, &if_match)
            .await
    }
}
