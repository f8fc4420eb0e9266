//! Administration of shares: `/admin/datasets/{dataset_id}/shares`.
//!
//! This module refuses to know what a share gives.

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::{Object, OpenApi};

use crate::domain::id::DatasetId;
use crate::domain::name::{RoleName, Username};
use crate::http::conditional::etag_response::WithEtag;
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::extract::if_match::IfMatch;
use crate::http::openapi::Tags;
use crate::http::reply::admin_statuses::{DeleteStatuses, ReadStatuses};
use crate::http::reply::responses::ErrorResponse;
use crate::service::administration::Administration;
use crate::service::administration::shares::Reader;
use crate::storage::DatasetWithNames;

/// The operations on shares.
pub struct AdminSharesApi {
    /// What administers.
    pub administration: Arc<Administration>,
}

/// With whom a dataset is shared.
#[derive(Object)]
#[oai(rename = "SharesAnswer")]
pub struct SharesResponse {
    /// The names of the users.
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
        visitor: &HeaderCredentials,
        dataset_id: DatasetId,
        reader: Reader,
        is_shared: bool,
        if_match: &IfMatch,
    ) -> ShareResult {
        let is_wanted =
            |named: &DatasetWithNames| if_match.matches(&SharesResponse::from(named.clone()));
        let (administration, visitor) = (&self.administration, &visitor.0);
        let changed = if is_shared {
            administration
                .create_share(visitor, dataset_id, &reader, &is_wanted)
                .await?
        } else {
            administration
                .delete_share(visitor, dataset_id, &reader, &is_wanted)
                .await?
        };
        Ok(WithEtag(changed.into()))
    }
}

#[OpenApi(tag = "Tags::Administration")]
impl AdminSharesApi {
    /// Show with whom a dataset is shared
    ///
    /// It takes `administer` on the dataset.
    #[oai(
        path = "/admin/datasets/:dataset_id/shares",
        method = "get",
        operation_id = "show_shares"
    )]
    async fn show_shares(
        &self,
        /// The dataset, in any text form of RFC 9562.
        dataset_id: Path<DatasetId>,
        visitor: HeaderCredentials,
    ) -> Result<WithEtag<SharesResponse>, ErrorResponse<ReadStatuses>> {
        let named = self
            .administration
            .get_dataset(&visitor.0, dataset_id.0)
            .await?;
        Ok(WithEtag(named.into()))
    }

    /// Share a dataset with a user
    ///
    /// Once shared it stays so: asking again does no harm. It takes `administer` on the dataset as it
    /// is and as it would be.
    #[oai(
        path = "/admin/datasets/:dataset_id/shares/users/:username",
        method = "put",
        operation_id = "share_with_user"
    )]
    async fn share_with_user(
        &self,
        /// The dataset, in any text form of RFC 9562.
        dataset_id: Path<DatasetId>,
        /// The user's name.
        username: Path<Username>,
        /// The `ETag` of the shares that you saw, to change no other version.
        #[oai(name = "If-Match")]
        if_match: IfMatch,
        visitor: HeaderCredentials,
    ) -> ShareResult {
        let reader = Reader::User(username.0);
        self.set_shared(&visitor, dataset_id.0, reader, true, &if_match)
            .await
    }

    /// Withdraw a share of a user
    ///
    /// Its download tokens open nothing any more. One that was never made is withdrawn already. It
    /// takes `administer` on the dataset as it is and as it would be.
    #[oai(
        path = "/admin/datasets/:dataset_id/shares/users/:username",
        method = "delete",
        operation_id = "withdraw_from_user"
    )]
    async fn withdraw_from_user(
        &self,
        /// The dataset, in any text form of RFC 9562.
        dataset_id: Path<DatasetId>,
        /// The user's name.
        username: Path<Username>,
        /// The `ETag` of the shares that you saw, to change no other version.
        #[oai(name = "If-Match")]
        if_match: IfMatch,
        visitor: HeaderCredentials,
    ) -> ShareResult {
        let reader = Reader::User(username.0);
        self.set_shared(&visitor, dataset_id.0, reader, false, &if_match)
            .await
    }

    /// Share a dataset with a role
    ///
    /// Once shared it stays so: asking again does no harm. It takes `administer` on the dataset as it
    /// is and as it would be.
    #[oai(
        path = "/admin/datasets/:dataset_id/shares/roles/:role",
        method = "put",
        operation_id = "share_with_role"
    )]
    async fn share_with_role(
        &self,
        /// The dataset, in any text form of RFC 9562.
        dataset_id: Path<DatasetId>,
        /// The role's name.
        role: Path<RoleName>,
        /// The `ETag` of the shares that you saw, to change no other version.
        #[oai(name = "If-Match")]
        if_match: IfMatch,
        visitor: HeaderCredentials,
    ) -> ShareResult {
        let reader = Reader::Role(role.0);
        self.set_shared(&visitor, dataset_id.0, reader, true, &if_match)
            .await
    }

    /// Withdraw a share of a role
    ///
    /// The download tokens of its members open nothing any more. One that was never made is withdrawn
    /// already. It takes `administer` on the dataset as it is and as it would be.
    #[oai(
        path = "/admin/datasets/:dataset_id/shares/roles/:role",
        method = "delete",
        operation_id = "withdraw_from_role"
    )]
    async fn withdraw_from_role(
        &self,
        /// The dataset, in any text form of RFC 9562.
        dataset_id: Path<DatasetId>,
        /// The role's name.
        role: Path<RoleName>,
        /// The `ETag` of the shares that you saw, to change no other version.
        #[oai(name = "If-Match")]
        if_match: IfMatch,
        visitor: HeaderCredentials,
    ) -> ShareResult {
        let reader = Reader::Role(role.0);
        self.set_shared(&visitor, dataset_id.0, reader, false, &if_match)
            .await
    }
}
