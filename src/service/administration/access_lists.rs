//! Access lists of the policies in force: who may do something with a dataset, and with which datasets a user may.
//!
//! An answer tells about users and datasets, so a caller sees those alone that it may see: users on whom it has
//! `view_users`, and datasets that it may administer or discover. What policies say, and the contexts they ask for, is
//! for callers who may view policies. Owner and readers of a dataset, and policies that tell of them, are for those who
//! may administer it. Whoever may share a dataset sees itself and those whom it is shared with by name too, without
//! what would tell their roles.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use uuid::Uuid;

use crate::domain::action::Action;
use crate::domain::client_address::AssumedAddress;
use crate::domain::dataset::Dataset;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::RoleName;
use crate::domain::principal::Principal;
use crate::domain::resource::Resource;
use crate::policy::Bundle;
use crate::policy::context_literals::ContextLiterals;
use crate::service::access::decisions::Authorizer;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;
use crate::service::pagination::{FilteredRead, Page, ReadBounds};
use crate::service::policies::review::access_lists::{
    AccessRelation, DatasetGrants, DatasetsQuery, PairAccess, PrincipalsQuery, UserGrants,
    grants_of_principals, grants_on_datasets,
};
use crate::service::policies::review::asked_contexts::ContextScope;
use crate::storage::UserFilter;

use super::operation::{DatasetTarget, no_policies_in_force};
use super::privileges::nameless_user;
use super::users::UserAccount;
use super::{AdminAccess, Administration};

/// The action that is asked about, where and when.
#[derive(Clone, Debug)]
pub struct AccessListQuery {
    /// The action.
    pub action: Action,
    /// From which address alone; if omitted, from both sides of each network in the policies.
    pub address: Option<AssumedAddress>,
    /// At which time alone, in seconds since 1970 UTC; if omitted, on both sides of each time in the policies.
    pub time: Option<i64>,
}

/// A page of those who may do something with a dataset.
#[derive(Clone, Debug)]
pub struct PermittedPrincipals {
    /// The users, by id.
    pub users: Page<PermittedUserGrants>,
    /// What callers who did not sign in may do; none but on the first page.
    pub anonymous: Option<PairAccess>,
    /// What somebody with no role and no relation to the dataset may do, once signed in; none but on the first page.
    pub signed_in: Option<PairAccess>,
    /// Whether the caller may see what the policies say.
    pub shows_policies: bool,
}

/// What a user may do with a dataset.
#[derive(Clone, Debug)]
pub struct PermittedUserGrants {
    /// What is permitted.
    pub grants: UserGrants,
    /// When it ends, in seconds since 1970 UTC, if it is by shares alone and all of them end.
    pub until: Option<i64>,
    /// Whether the caller may know which roles the user has: it has `view_users` on the user, or is it.
    pub shows_roles: bool,
}

/// What a user may do with a dataset.
#[derive(Clone, Debug)]
pub struct PermittedDatasetGrants {
    /// What is permitted.
    pub grants: DatasetGrants,
    /// Whether the caller may administer the dataset, so that it may see its owner and its readers.
    pub shows_readers: bool,
}

/// A page of the datasets with which a user may do something.
#[derive(Clone, Debug)]
pub struct PermittedDatasets {
    /// The datasets, by id.
    pub datasets: Page<PermittedDatasetGrants>,
    /// Whether the caller may see what the policies say.
    pub shows_policies: bool,
}

impl Administration {
    /// Lists up to `limit` of the users that the caller may see and that may do something with a dataset, those with
    /// ids after `after`, in the order of their ids.
    pub async fn list_permitted_principals(
        &self,
        request: &RequestContext,
        id: DatasetId,
        query: &AccessListQuery,
        (after, limit): (Option<UserId>, u32),
    ) -> Result<PermittedPrincipals, ServiceError> {
        self.audited(request, Action::Administer, async |operation| {
            self.require_disk_space()?;
            operation.set_summary(format!("listed who may {} the dataset", query.action));
            let target = DatasetTarget::shared(id);
            let (named, right) = self.load_for(&operation, target).await?;
            let dataset = named.dataset;
            let query = Arc::new(PrincipalsQuery {
                action: query.action,
                dataset,
                scope: self.scope(query),
            });
            let authorizer = operation.authorizer().ok_or_else(no_policies_in_force)?;
            let seen = &Arc::new(SeenUsers::new(&authorizer, &query, right));
            let (operation, query, authorizer) = (&operation, &query, &authorizer);
            let filter = UserFilter::default();
            let filter = &filter;
            let list = FilteredRead {
                read: |after: Option<Uuid>, limit| async move {
                    let turn = authorizer.list_turn().await?;
                    let batch = self.database.list_users(after.map(UserId), limit, filter);
                    let accounts = batch.await?.into_iter().map(UserAccount::from);
                    Ok((turn, accounts.collect()))
                },
                id_of: |account: &UserAccount| account.user.id.0,
                filter: |turn, batch: Vec<UserAccount>| async move {
                    let (query, seen) = (Arc::clone(query), Arc::clone(seen));
                    let decide = move |authorizer: &Authorizer, batch: Vec<UserAccount>| {
                        Some(permitted_users(authorizer, (&query, &seen), batch))
                    };
                    let found = authorizer.filter_map(turn, vec![batch], decide).await?;
                    Ok(found.into_iter().flatten().collect())
                },
                charge: || self.charge(operation),
                bounds: ReadBounds::LIST,
            };
            let users = Page::read_filtered(after.map(|id| id.0), limit, list).await?;
            let (anonymous, signed_in) = if after.is_none() {
                let query = Arc::clone(query);
                let decide = move |bundle: &_| grants_of_strangers(bundle, &query);
                operation.run_blocking(decide).await?
            } else {
                (None, None)
            };
            Ok(PermittedPrincipals {
                users,
                anonymous,
                signed_in,
                // Whoever shares the dataset is told by what others read it.
                shows_policies: right == Action::Share
                    || operation.is_permitted(Action::ViewPolicies, &Resource::Server),
            })
        })
        .await
    }

    /// Lists up to `limit` of the datasets that the caller may see and with which a user may do something, those with
    /// ids after `after`, in the order of their ids.
    pub async fn list_permitted_datasets(
        &self,
        request: &RequestContext,
        id: UserId,
        query: &AccessListQuery,
        (after, limit): (Option<DatasetId>, u32),
    ) -> Result<PermittedDatasets, ServiceError> {
        self.audited(request, Action::ViewUsers, async |operation| {
            self.require_disk_space()?;
            operation.set_user(id);
            operation.set_summary(format!("listed what the user may {}", query.action));
            let user = self
                .load_user(&operation, id, Action::ViewUsers)
                .await?
                .user;
            let query = Arc::new(DatasetsQuery {
                actions: vec![query.action],
                principal: Principal::User(Arc::new(user)),
                scope: self.scope(query),
            });
            let AdminAccess::Policies(dependencies) = &self.access else {
                return Err(no_policies_in_force());
            };
            let authorizer = operation.authorizer().ok_or_else(no_policies_in_force)?;
            let cache = &dependencies.catalog_cache;
            let (operation, query, authorizer) = (&operation, &query, &authorizer);
            let list = FilteredRead {
                read: |after: Option<Uuid>, limit| async move {
                    let turn = authorizer.list_turn().await?;
                    let batch = cache.datasets_after(after.map(DatasetId), limit);
                    Ok((turn, batch.await?))
                },
                id_of: |dataset: &Arc<Dataset>| dataset.id.0,
                filter: |turn, batch: Vec<Arc<Dataset>>| async move {
                    let query = Arc::clone(query);
                    let decide = move |authorizer: &Authorizer, batch: Vec<Arc<Dataset>>| {
                        Some(permitted_datasets(authorizer, &query, batch))
                    };
                    let found = authorizer.filter_map(turn, vec![batch], decide).await?;
                    Ok(found.into_iter().flatten().collect())
                },
                charge: || self.charge(operation),
                bounds: ReadBounds::LIST,
            };
            let datasets = Page::read_filtered(after.map(|id| id.0), limit, list).await?;
            Ok(PermittedDatasets {
                datasets,
                shows_policies: operation.is_permitted(Action::ViewPolicies, &Resource::Server),
            })
        })
        .await
    }

    fn scope(&self, query: &AccessListQuery) -> ContextScope {
        ContextScope {
            address: query.address,
            time: query.time,
            authentication: None,
            now: self.clock.unix_seconds(),
            literals: ContextLiterals::default(),
        }
    }
}

/// Which users the caller sees in the access list of a dataset, besides those on whom it has `view_users`.
struct SeenUsers {
    /// The caller.
    own: Option<UserId>,
    /// Whether it sees itself and whom the dataset is shared with by name: it shares the dataset, and may know that.
    is_sharing: bool,
    /// The roles of shares that end with the share, because no policy names them too.
    ending_roles: BTreeSet<RoleName>,
}

impl SeenUsers {
    fn new(authorizer: &Authorizer, query: &PrincipalsQuery, right: Action) -> Self {
        let references = authorizer.bundle().references_for(&[query.action]);
        let roles = query.dataset.reader_roles.iter();
        let is_ending =
            |role: &&RoleName| !references.is_everything && !references.roles.contains(*role);
        Self {
            own: authorizer.caller.principal.user_id(),
            is_sharing: right == Action::Share,
            ending_roles: roles.filter(is_ending).cloned().collect(),
        }
    }

    /// When what is permitted to a user ends, if it is by shares alone and all of them end.
    fn end(&self, dataset: &Dataset, one: &UserGrants) -> Option<i64> {
        let ends = &dataset.share_ends;
        let of_grants = one.access.grants.iter().map(|grant| match &grant.through {
            AccessRelation::Reader => ends.users.get(&one.user.id).copied(),
            AccessRelation::Role(role) if self.ending_roles.contains(role) => {
                ends.roles.get(role).copied()
            }
            AccessRelation::Role(_)
            | AccessRelation::Owner
            | AccessRelation::Everyone
            | AccessRelation::Anonymous
            | AccessRelation::Policy => None,
        });
        of_grants.collect::<Option<Vec<i64>>>()?.into_iter().max()
    }
}

/// The users that the caller may see and that are permitted.
fn permitted_users(
    authorizer: &Authorizer,
    (query, seen): (&PrincipalsQuery, &SeenUsers),
    batch: Vec<UserAccount>,
) -> Vec<PermittedUserGrants> {
    let mut viewed = HashSet::new();
    let users = batch.into_iter().map(|account| account.user);
    let visible = users.filter(|user| {
        let resource = Resource::User(Arc::clone(user));
        let is_own = seen.is_sharing && seen.own == Some(user.id);
        if is_own || authorizer.decide(Action::ViewUsers, &resource).is_permitted {
            viewed.insert(user.id);
            return true;
        }
        seen.is_sharing && query.dataset.reader_users.contains(&user.id)
    });
    let visible = visible.collect();
    let (mut of_users, _) = grants_of_principals(authorizer.bundle(), query, visible);
    of_users.retain(|one| !one.access.is_denied());
    let of_users = of_users.into_iter().map(|one| PermittedUserGrants {
        until: seen.end(&query.dataset, &one),
        shows_roles: viewed.contains(&one.user.id),
        grants: one,
    });
    of_users.collect()
}

/// What is permitted to callers who did not sign in, and to somebody with no role and no relation to the dataset.
fn grants_of_strangers(
    bundle: &Bundle,
    query: &PrincipalsQuery,
) -> (Option<PairAccess>, Option<PairAccess>) {
    let stranger = nameless_user(bundle).map(Arc::new);
    let (of_users, anonymous) = grants_of_principals(bundle, query, stranger.into_iter().collect());
    let signed_in = of_users.into_iter().next().map(|one| one.access);
    (Some(anonymous), signed_in)
}

/// The datasets that the caller may see and on which the user is permitted.
fn permitted_datasets(
    authorizer: &Authorizer,
    query: &DatasetsQuery,
    batch: Vec<Arc<Dataset>>,
) -> Vec<PermittedDatasetGrants> {
    let may = |action, dataset: &Arc<Dataset>| {
        let resource = Resource::Dataset(Arc::clone(dataset));
        authorizer.decide(action, &resource).is_permitted
    };
    let mut visible = Vec::with_capacity(batch.len());
    let mut administered = HashSet::new();
    for dataset in batch {
        if may(Action::Administer, &dataset) {
            administered.insert(dataset.id);
        } else if !may(Action::Discover, &dataset) {
            continue;
        }
        visible.push(dataset);
    }
    let mut on_datasets = grants_on_datasets(authorizer.bundle(), query, &visible);
    on_datasets.retain(|one| one.access.iter().any(|access| !access.is_denied()));
    on_datasets
        .into_iter()
        .map(|grants| PermittedDatasetGrants {
            shows_readers: administered.contains(&grants.dataset.id),
            grants,
        })
        .collect()
}
