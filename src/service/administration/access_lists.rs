//! Access lists of the policies in force: who may do something with a dataset, and with which datasets a user may.
//!
//! An answer tells about users and datasets, so a caller sees those alone that it may see: users on whom it has
//! `view_users`, and datasets that it may administer or discover. What policies say, and the contexts they ask for, is
//! for callers who may view policies. Owner and readers of a dataset, and policies that tell of them, are for those who
//! may administer it.

use std::collections::HashSet;
use std::sync::Arc;

use uuid::Uuid;

use crate::domain::action::Action;
use crate::domain::client_address::AssumedAddress;
use crate::domain::dataset::Dataset;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::principal::Principal;
use crate::domain::resource::Resource;
use crate::policy::context_literals::ContextLiterals;
use crate::service::access::decisions::Authorizer;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;
use crate::service::pagination::{FilteredRead, Page};
use crate::service::policies::review::access_lists::{
    DatasetGrants, DatasetsQuery, PairAccess, PrincipalsQuery, UserGrants, grants_of_principals,
    grants_on_datasets,
};
use crate::service::policies::review::asked_contexts::ContextScope;
use crate::storage::UserFilter;

use super::operation::no_policies_in_force;
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
    pub users: Page<UserGrants>,
    /// What callers who did not sign in may do; none but on the first page.
    pub anonymous: Option<PairAccess>,
    /// Whether the caller may see what the policies say.
    pub shows_policies: bool,
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
            let dataset = self.load_for_admin(&operation, id).await?.dataset;
            let query = Arc::new(PrincipalsQuery {
                action: query.action,
                dataset,
                scope: self.scope(query),
            });
            let authorizer = operation.authorizer().ok_or_else(no_policies_in_force)?;
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
                    let query = Arc::clone(query);
                    let decide = move |authorizer: &Authorizer, batch: Vec<UserAccount>| {
                        Some(permitted_users(authorizer, &query, batch))
                    };
                    let found = authorizer.filter_map(turn, vec![batch], decide).await?;
                    Ok(found.into_iter().flatten().collect())
                },
                charge: || self.charge(operation),
            };
            let users = Page::read_filtered(after.map(|id| id.0), limit, list).await?;
            let anonymous = if after.is_none() {
                let query = Arc::clone(query);
                let decide = move |bundle: &_| grants_of_principals(bundle, &query, Vec::new()).1;
                Some(operation.run_blocking(decide).await?)
            } else {
                None
            };
            Ok(PermittedPrincipals {
                users,
                anonymous,
                shows_policies: operation.is_permitted(Action::ViewPolicies, &Resource::Server),
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

/// The users that the caller may see and that are permitted.
fn permitted_users(
    authorizer: &Authorizer,
    query: &PrincipalsQuery,
    batch: Vec<UserAccount>,
) -> Vec<UserGrants> {
    let users = batch.into_iter().map(|account| account.user);
    let visible = users.filter(|user| {
        let resource = Resource::User(Arc::clone(user));
        authorizer.decide(Action::ViewUsers, &resource).is_permitted
    });
    let (mut of_users, _) = grants_of_principals(authorizer.bundle(), query, visible.collect());
    of_users.retain(|one| !one.access.is_denied());
    of_users
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
