//! Access list of a principal: with which datasets it may do something.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::attributes::AttributeOwner;
use crate::domain::dataset::Dataset;
use crate::domain::principal::{Principal, User};
use crate::policy::Bundle;
use crate::service::policies::review::asked_contexts::ContextScope;
use crate::service::policies::review::asked_contexts::names::name_contexts;
use crate::service::policies::review::shared_datasets::shared_at;
use crate::storage::DatasetColumns;

use super::classes::{AccessClasses, ClassAccess};
use super::report::{
    DatasetGroup, GroupMembers, ListedDataset, ListedUser, PairAccess, PairGrant, PermittedAction,
    PrincipalAccess, into_groups,
};

/// The question with which datasets a principal may do something.
#[derive(Clone, Debug)]
pub struct DatasetsQuery {
    /// The actions.
    pub actions: Vec<Action>,
    /// The principal.
    pub principal: Principal,
    /// Where and when.
    pub scope: ContextScope,
}

impl DatasetsQuery {
    /// The second whose shares count: what has ended is no share, and projections compare what is left.
    fn second(&self) -> i64 {
        self.scope.time.unwrap_or(self.scope.now)
    }

    fn user(&self) -> Option<&Arc<User>> {
        match &self.principal {
            Principal::Anonymous => None,
            Principal::User(user) => Some(user),
        }
    }
}

/// What has to be read of datasets to answer for some actions.
#[must_use]
pub fn columns_read(bundle: &Bundle, actions: &[Action]) -> DatasetColumns {
    let references = bundle.references_for(actions);
    let mut declared = bundle.declared_attributes().names(AttributeOwner::Dataset);
    DatasetColumns {
        tags: references.has_tags || references.is_everything,
        // What does not fit its type denies, whatever policies read.
        attributes: declared.next().is_some(),
    }
}

/// What is permitted to a principal on a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetGrants {
    /// The dataset, with the shares of the time that is asked about.
    pub dataset: Arc<Dataset>,
    /// What is permitted, for each action that is asked about.
    pub access: Vec<PairAccess>,
}

/// A question under way.
struct DatasetsRun<'a> {
    classes: AccessClasses<'a>,
    principal: &'a Principal,
    user: Option<&'a Arc<User>>,
    of_user: Option<usize>,
}

impl<'a> DatasetsRun<'a> {
    fn new(bundle: &'a Bundle, query: &'a DatasetsQuery, datasets: &[Arc<Dataset>]) -> Self {
        let user = query.user();
        let users: Vec<_> = user.cloned().into_iter().collect();
        let mut classes =
            AccessClasses::new(bundle, &query.actions, &users, datasets, &query.scope);
        Self {
            of_user: user.map(|user| classes.principal_index(user)),
            classes,
            principal: &query.principal,
            user,
        }
    }

    fn access(&mut self, dataset: &Arc<Dataset>) -> ClassAccess {
        if self.user.is_some_and(|user| user.is_disabled) {
            return Arc::default();
        }
        let of_dataset = self
            .classes
            .resource_index(dataset, self.user.map(AsRef::as_ref));
        self.classes
            .access((self.of_user, of_dataset), self.principal, dataset)
    }

    fn grants(&self, access: &ClassAccess, place: usize, dataset: &Dataset) -> Vec<PairGrant> {
        let user = self.user.map(AsRef::as_ref);
        self.classes.pair_grants(access, place, user, dataset)
    }
}

/// What is permitted to a principal on each of some datasets.
#[must_use]
pub fn grants_on_datasets(
    bundle: &Bundle,
    query: &DatasetsQuery,
    datasets: &[Arc<Dataset>],
) -> Vec<DatasetGrants> {
    let second = query.second();
    let datasets = datasets.iter().map(|dataset| shared_at(dataset, second));
    let datasets: Vec<_> = datasets.collect();
    let mut run = DatasetsRun::new(bundle, query, &datasets);
    let grants = datasets.into_iter().map(|dataset| {
        let access = run.access(&dataset);
        let actions = query.actions.iter().enumerate();
        DatasetGrants {
            access: actions
                .map(|(place, action)| {
                    let grants = run.grants(&access, place, &dataset);
                    run.classes.tell(*action, grants)
                })
                .collect(),
            dataset,
        }
    });
    grants.collect()
}

/// Lists with which of all datasets a principal may do something.
#[must_use]
pub fn list_datasets(
    bundle: &Bundle,
    query: &DatasetsQuery,
    datasets: Vec<Dataset>,
) -> PrincipalAccess {
    let second = query.second();
    let datasets = datasets.into_iter();
    let datasets: Vec<_> = datasets
        .map(|dataset| Arc::new(dataset.into_shared_at(second)))
        .collect();
    let mut run = DatasetsRun::new(bundle, query, &datasets);
    let of_datasets: Vec<ClassAccess> = datasets.iter().map(|one| run.access(one)).collect();
    let actions = query.actions.iter().enumerate().map(|(place, action)| {
        let mut groups: HashMap<PairGrant, GroupMembers> = HashMap::new();
        let mut permitted = Vec::with_capacity(datasets.len());
        for (index, (dataset, access)) in datasets.iter().zip(&of_datasets).enumerate() {
            let mut contexts = 0;
            for grant in run.grants(access, place, dataset) {
                contexts |= grant.contexts;
                groups.entry(grant).or_default().places.push(index);
            }
            permitted.push(contexts);
        }
        let (permitted, always_permitted) = run.classes.count(*action, permitted.into_iter());
        let groups = into_groups(groups).into_iter().map(|group| {
            let places = &group.members.places;
            let members = places.iter().filter_map(|place| datasets.get(*place));
            DatasetGroup {
                reasons: group.reasons(bundle),
                when: name_contexts(&run.classes.asked, group.contexts),
                count: places.len(),
                datasets: members.map(ListedDataset::from).collect(),
                through: group.through,
                policies: group.policies,
            }
        });
        PermittedAction {
            action: *action,
            permitted,
            always_permitted,
            groups: groups.collect(),
        }
    });
    let actions = actions.collect();
    let classes = run.classes;
    let user = query.user();
    PrincipalAccess {
        revision: bundle.revision().clone(),
        user: user.map(ListedUser::from),
        roles: user.map_or_else(BTreeSet::new, |user| user.roles.clone()),
        is_disabled: user.is_some_and(|user| user.is_disabled),
        datasets: datasets.len(),
        actions,
        contexts: classes.asked.report(),
        is_cut: classes.asked.is_cut,
        errors: classes.errors.into_iter().collect(),
    }
}
