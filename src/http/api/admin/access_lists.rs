//! The access list APIs: who may do something with a dataset, and with which datasets a user may do something.

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::{Enum, Object, OpenApi};

use crate::domain::client_address::AssumedAddress;
use crate::domain::dataset::Dataset;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::Username;
use crate::domain::principal::User;
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::extract::page_limit::PageLimit;
use crate::http::openapi::ApiTag;
use crate::http::reply::admin_statuses::ReadStatuses;
use crate::http::reply::responses::{ErrorResponse, JsonOk};
use crate::http::reply::timestamp::Timestamp;
use crate::service::administration::Administration;
use crate::service::administration::access_lists::{
    AccessListQuery, PermittedDatasets, PermittedPrincipals, PermittedUserGrants,
};
use crate::service::policies::review::access_lists::{
    AccessGrant, AccessRelation, DatasetGrants, PairAccess, UserGrants,
};

use super::explanation_response::DatasetAction;

/// The access list APIs.
pub struct AccessListsApi {
    /// Performs administrative operations.
    pub administration: Arc<Administration>,
}

/// By what a policy permits; `policy` too if you may not administer the dataset.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub enum AccessKind {
    /// The user owns the dataset.
    Owner,
    /// The dataset is shared with the user by name.
    Reader,
    /// The user has a role with which the dataset is shared, or which the policy names.
    Role,
    /// Something else that the policy says.
    Policy,
    /// Nobody signed in.
    Anonymous,
}

/// What one policy permits.
#[derive(Object, PartialEq, Eq)]
#[oai(rename = "AccessGrant")]
pub struct AccessGrantResponse {
    /// By what it permits.
    pub through: AccessKind,
    /// The role, if it permits by a role; absent if you may not know that the user has it.
    #[oai(skip_serializing_if_is_none)]
    pub role: Option<String>,
    /// The id of the policy; absent without `view_policies`, or `share` on the dataset, and where it would tell what you
    /// may not see.
    #[oai(skip_serializing_if_is_none)]
    pub policy: Option<String>,
    /// The reason of the policy, if it has one; absent where `policy` is.
    #[oai(skip_serializing_if_is_none)]
    pub reason: Option<String>,
    /// The contexts in which it permits, in words; empty if it is all of them, absent where `policy` is.
    #[oai(skip_serializing_if_is_none)]
    pub when: Option<Vec<String>>,
}

/// What is permitted to one principal on one dataset.
#[derive(Object)]
#[oai(rename = "PermittedAccess")]
pub struct AccessResponse {
    /// Whether it is permitted in every context that was asked in; otherwise in some of them.
    pub is_always: bool,
    /// Whether the policies tell more contexts apart than were asked in, so that another one may be decided otherwise.
    pub is_cut: bool,
    /// By what it is permitted.
    pub grants: Vec<AccessGrantResponse>,
}

/// A user who is permitted.
#[derive(Object)]
pub struct PermittedUser {
    /// The user.
    pub user: UserReference,
    /// What is permitted.
    pub access: AccessResponse,
    /// When it ends, if it is by shares alone and all of them end.
    #[oai(skip_serializing_if_is_none)]
    pub until: Option<Timestamp>,
}

/// A user by id and name.
#[derive(Object)]
pub struct UserReference {
    /// The id.
    pub id: UserId,
    /// The name.
    pub username: Username,
}

impl From<&User> for UserReference {
    fn from(user: &User) -> Self {
        Self {
            id: user.id,
            username: user.username.clone(),
        }
    }
}

/// A dataset on which a user is permitted.
#[derive(Object)]
pub struct PermittedDataset {
    /// The dataset.
    pub dataset: DatasetReference,
    /// What is permitted.
    pub access: AccessResponse,
}

/// A dataset by id and title.
#[derive(Object)]
pub struct DatasetReference {
    /// The id.
    pub id: DatasetId,
    /// The title.
    pub title: String,
}

impl From<&Dataset> for DatasetReference {
    fn from(dataset: &Dataset) -> Self {
        Self {
            id: dataset.id,
            title: dataset.title.clone(),
        }
    }
}

/// A page of the users who may do something with a dataset, ordered by id.
#[derive(Object)]
pub struct PermittedUserPage {
    /// The users.
    pub items: Vec<PermittedUser>,
    /// What callers who did not sign in may do; on the first page only, and absent if it is nothing.
    #[oai(skip_serializing_if_is_none)]
    pub anonymous: Option<AccessResponse>,
    /// What somebody with no role and no relation to the dataset may do, once signed in; on the first page only, and
    /// absent if it is nothing.
    #[oai(skip_serializing_if_is_none)]
    pub signed_in: Option<AccessResponse>,
    /// The `after` value of the next page, which may follow a page that is not full; absent on the last page.
    #[oai(skip_serializing_if_is_none)]
    pub next: Option<UserId>,
}

/// A page of the datasets with which a user may do something, ordered by id.
#[derive(Object)]
pub struct PermittedDatasetPage {
    /// The datasets.
    pub items: Vec<PermittedDataset>,
    /// The `after` value of the next page, which may follow a page that is not full; absent on the last page.
    #[oai(skip_serializing_if_is_none)]
    pub next: Option<DatasetId>,
}

/// What of grants the caller may see.
#[derive(Clone, Copy)]
struct Shown {
    policies: bool,
    readers: bool,
    /// Which roles the user has.
    roles: bool,
}

impl AccessGrantResponse {
    fn new(grant: AccessGrant, shows: Shown) -> Self {
        // A policy tells of the roles that it permits, except where it permits by something else.
        let tells_no_role = matches!(
            grant.through,
            AccessRelation::Owner
                | AccessRelation::Reader
                | AccessRelation::Everyone
                | AccessRelation::Anonymous
        );
        let shows_policy = shows.policies && (shows.roles || tells_no_role);
        let (through, role) = match grant.through {
            _ if !shows.readers => (AccessKind::Policy, None),
            AccessRelation::Role(_) if !shows.roles => (AccessKind::Policy, None),
            AccessRelation::Owner => (AccessKind::Owner, None),
            AccessRelation::Reader => (AccessKind::Reader, None),
            AccessRelation::Role(role) => (AccessKind::Role, Some(role.to_string())),
            AccessRelation::Anonymous => (AccessKind::Anonymous, None),
            AccessRelation::Everyone | AccessRelation::Policy => (AccessKind::Policy, None),
        };
        Self {
            through,
            role,
            policy: shows_policy.then_some(grant.policy),
            reason: grant.reason.filter(|_| shows_policy),
            when: shows_policy.then_some(grant.when),
        }
    }
}

impl AccessResponse {
    fn new(access: PairAccess, shows: Shown) -> Self {
        let mut grants: Vec<AccessGrantResponse> = Vec::new();
        for grant in access.grants {
            let grant = AccessGrantResponse::new(grant, shows);
            // Without what is withheld, several are the same.
            if !grants.contains(&grant) {
                grants.push(grant);
            }
        }
        Self {
            is_always: access.is_always,
            is_cut: access.is_cut,
            grants,
        }
    }
}

impl From<PermittedPrincipals> for PermittedUserPage {
    fn from(permitted: PermittedPrincipals) -> Self {
        let shows = Shown {
            policies: permitted.shows_policies,
            readers: true,
            roles: true,
        };
        let of_anyone = |access: Option<PairAccess>| {
            let permitted = access.filter(|access| !access.is_denied());
            permitted.map(|access| AccessResponse::new(access, shows))
        };
        let next = permitted.users.next_id(|one| one.grants.user.id.0);
        let items = permitted.users.items.into_iter();
        Self {
            items: items
                .map(|one| {
                    let PermittedUserGrants {
                        grants: UserGrants { user, access },
                        until,
                        shows_roles,
                    } = one;
                    let shows = Shown {
                        roles: shows_roles,
                        ..shows
                    };
                    PermittedUser {
                        user: user.as_ref().into(),
                        access: AccessResponse::new(access, shows),
                        until: until.map(Timestamp),
                    }
                })
                .collect(),
            anonymous: of_anyone(permitted.anonymous),
            signed_in: of_anyone(permitted.signed_in),
            next: next.map(UserId),
        }
    }
}

impl From<PermittedDatasets> for PermittedDatasetPage {
    fn from(permitted: PermittedDatasets) -> Self {
        let next = permitted.datasets.next_id(|one| one.grants.dataset.id.0);
        let items = permitted.datasets.items.into_iter();
        Self {
            items: items
                .map(|one| {
                    let shows = Shown {
                        // A policy tells of the readers whom it permits.
                        policies: permitted.shows_policies && one.shows_readers,
                        readers: one.shows_readers,
                        roles: true,
                    };
                    let DatasetGrants { dataset, access } = one.grants;
                    let access = access.into_iter().next().unwrap_or_default();
                    PermittedDataset {
                        dataset: dataset.as_ref().into(),
                        access: AccessResponse::new(access, shows),
                    }
                })
                .collect(),
            next: next.map(DatasetId),
        }
    }
}

fn query_of(
    action: DatasetAction,
    address: Option<AssumedAddress>,
    time: Option<Timestamp>,
) -> AccessListQuery {
    AccessListQuery {
        action: action.into(),
        address,
        time: time.map(|Timestamp(second)| second),
    }
}

#[OpenApi(tag = "ApiTag::Administration")]
impl AccessListsApi {
    /// List permitted principals
    ///
    /// Returns the users who may do the action with the dataset, as the policies in force decide, ordered by id. Each is
    /// asked about in every context that the policies tell apart: on both sides of each network, time and kind of API
    /// key that they name, unless `address` or `time` confines it. Pass `next` as `after` to get the next page. Requires
    /// `administer` or `share` on the dataset; lists only users on whom you have `view_users`, and with `share` alone
    /// yourself and those with whom the dataset is shared by name, so that others may be permitted too.
    #[oai(
        path = "/admin/datasets/:dataset_id/principals",
        method = "get",
        operation_id = "list_permitted_principals"
    )]
    #[allow(clippy::too_many_arguments, reason = "one parameter a filter")]
    async fn list_principals(
        &self,
        /// The dataset id, in any text form of RFC 9562.
        dataset_id: Path<DatasetId>,
        credentials: HeaderCredentials,
        /// The action.
        action: Query<DatasetAction>,
        /// The only client address to ask for, or `unknown`.
        address: Query<Option<AssumedAddress>>,
        /// The only time to ask for.
        time: Query<Option<Timestamp>>,
        /// Maximum number of users per page.
        #[oai(default)]
        limit: Query<PageLimit>,
        /// The `next` value of the previous page. If omitted, the first page is returned.
        after: Query<Option<UserId>>,
    ) -> Result<JsonOk<PermittedUserPage>, ErrorResponse<ReadStatuses>> {
        let query = query_of(action.0, address.0, time.0);
        let page = (after.0, limit.0.0);
        let permitted = self
            .administration
            .list_permitted_principals(&credentials.0, dataset_id.0, &query, page)
            .await?;
        Ok(JsonOk(permitted.into()))
    }

    /// List permitted datasets
    ///
    /// Returns the datasets with which the user may do the action, as the policies in force decide, ordered by id. Each
    /// is asked about in every context that the policies tell apart: on both sides of each network, time and kind of API
    /// key that they name, unless `address` or `time` confines it. Pass `next` as `after` to get the next page. Requires
    /// `view_users` on the user; lists only datasets that you may administer or discover, so that the user may do it with
    /// others too. Nothing is permitted to a disabled user.
    #[oai(
        path = "/admin/users/:user_id/datasets",
        method = "get",
        operation_id = "list_permitted_datasets"
    )]
    #[allow(clippy::too_many_arguments, reason = "one parameter a filter")]
    async fn list_datasets(
        &self,
        /// The user id.
        user_id: Path<UserId>,
        credentials: HeaderCredentials,
        /// The action.
        action: Query<DatasetAction>,
        /// The only client address to ask for, or `unknown`.
        address: Query<Option<AssumedAddress>>,
        /// The only time to ask for.
        time: Query<Option<Timestamp>>,
        /// Maximum number of datasets per page.
        #[oai(default)]
        limit: Query<PageLimit>,
        /// The `next` value of the previous page. If omitted, the first page is returned.
        after: Query<Option<DatasetId>>,
    ) -> Result<JsonOk<PermittedDatasetPage>, ErrorResponse<ReadStatuses>> {
        let query = query_of(action.0, address.0, time.0);
        let page = (after.0, limit.0.0);
        let permitted = self
            .administration
            .list_permitted_datasets(&credentials.0, user_id.0, &query, page)
            .await?;
        Ok(JsonOk(permitted.into()))
    }
}
