//! Administration of shares: `/admin/datasets/{dataset_id}/shares`.
//!
//! This module refuses to know what a share gives.

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::{Object, OpenApi};

use crate::domain::id::DatasetId;
use crate::domain::name::{RoleName, Username};
use crate::http::conditional::etag_response::Versioned;
use crate::http::extract::credentials::ByHeader;
use crate::http::extract::if_match::IfMatch;
use crate::http::openapi::Tags;
use crate::http::reply::admin_statuses::{OneStatuses, RemoveStatuses};
use crate::http::reply::responses::Refusal;
use crate::service::administration::Administration;
use crate::service::administration::shares::Reader;
use crate::storage::NamedDataset;

/// The operations on shares.
pub struct AdminSharesApi {
    /// What administers.
    pub administration: Arc<Administration>,
}

/// With whom a dataset is shared.
#[derive(Object)]
pub struct SharesAnswer {
    /// The names of the users.
    pub users: Vec<Username>,
    /// The roles.
    pub roles: Vec<RoleName>,
}

impl From<NamedDataset> for SharesAnswer {
    fn from(named: NamedDataset) -> Self {
        Self {
            users: named.reader_users.into_keys().collect(),
            roles: named.dataset.reader_roles.into_iter().collect(),
        }
    }
}

type Changed = Result<Versioned<SharesAnswer>, Refusal<RemoveStatuses>>;

impl AdminSharesApi {
    async fn change(
        &self,
        visitor: &ByHeader,
        dataset_id: DatasetId,
        reader: Reader,
        is_shared: bool,
        if_match: &IfMatch,
    ) -> Changed {
        let is_wanted = |named: &NamedDataset| if_match.wants(&SharesAnswer::from(named.clone()));
        let (administration, visitor) = (&self.administration, &visitor.0);
        let changed = if is_shared {
            administration
                .share(visitor, dataset_id, &reader, &is_wanted)
                .await?
        } else {
            administration
                .withdraw(visitor, dataset_id, &reader, &is_wanted)
                .await?
        };
        Ok(Versioned(changed.into()))
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
        visitor: ByHeader,
    ) -> Result<Versioned<SharesAnswer>, Refusal<OneStatuses>> {
        let named = self
            .administration
            .show_dataset(&visitor.0, dataset_id.0)
            .await?;
        Ok(Versioned(named.into()))
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
        visitor: ByHeader,
    ) -> Changed {
        let reader = Reader::User(username.0);
        self.change(&visitor, dataset_id.0, reader, true, &if_match)
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
        visitor: ByHeader,
    ) -> Changed {
        let reader = Reader::User(username.0);
        self.change(&visitor, dataset_id.0, reader, false, &if_match)
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
        visitor: ByHeader,
    ) -> Changed {
        let reader = Reader::Role(role.0);
        self.change(&visitor, dataset_id.0, reader, true, &if_match)
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
        visitor: ByHeader,
    ) -> Changed {
        let reader = Reader::Role(role.0);
        self.change(&visitor, dataset_id.0, reader, false, &if_match)
            .await
    }
}
