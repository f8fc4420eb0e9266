//! Access list of a principal: with which datasets it may do something.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::attributes::AttributeOwner;
use crate::domain::dataset::Dataset;
use crate::domain::principal::{Principal, User};
use crate::policy::Bundle;
use crate::service::policies::review::asked_contexts::names::name_contexts;
use crate::service::policies::review::asked_contexts::{ContextScope, ContextSet};
use crate::service::policies::review::shared_datasets::shared_at;
use crate::storage::DatasetColumns;

use super::classes::{AccessClasses, ClassAccess};
use super::relation::ClassRelation;
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

    /// The class of a dataset, and what is permitted to it.
    fn access(&mut self, dataset: &Arc<Dataset>) -> (usize, ClassAccess) {
        if self.user.is_some_and(|user| user.is_disabled) {
            return Default::default();
        }
        let of_dataset = self
            .classes
            .resource_index(dataset, self.user.map(AsRef::as_ref));
        let class = (self.of_user, of_dataset);
        let access = self.classes.access(class, self.principal, dataset);
        (of_dataset, access)
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
        let (_, access) = run.access(&dataset);
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

/// The groups of one action, found once for each class whose pairs are alike: there are far more datasets than classes.
#[derive(Default)]
struct ClassGroups {
    places: HashMap<PairGrant, usize>,
    members: Vec<GroupMembers>,
    of_classes: HashMap<usize, Membership>,
}

/// The groups of a dataset, by their places, and the contexts of all of them.
struct Membership {
    groups: Vec<usize>,
    contexts: ContextSet,
}

impl ClassGroups {
    /// Adds a dataset by its index to the groups of its grants, which are asked for unless those of its class are known.
    fn add(
        &mut self,
        index: usize,
        class: Option<usize>,
        grants: impl Fn() -> Vec<PairGrant>,
    ) -> ContextSet {
        let Self {
            places,
            members,
            of_classes,
        } = self;
        let mut find = || {
            let grants = grants();
            let contexts = grants.iter().fold(0, |all, grant| all | grant.contexts);
            let groups = grants.into_iter().map(|grant| {
                *places.entry(grant).or_insert_with(|| {
                    members.push(GroupMembers::default());
                    members.len() - 1
                })
            });
            Membership {
                groups: groups.collect(),
                contexts,
            }
        };
        let of_pair;
        let membership = if let Some(class) = class {
            &*of_classes.entry(class).or_insert_with(find)
        } else {
            of_pair = find();
            &of_pair
        };
        for group in &membership.groups {
            if let Some(group) = members.get_mut(*group) {
                group.places.push(index);
            }
        }
        membership.contexts
    }

    fn into_members(mut self) -> HashMap<PairGrant, GroupMembers> {
        let places = self.places.into_iter();
        let members = &mut self.members;
        places
            .filter_map(|(grant, place)| {
                let members = members.get_mut(place).map(std::mem::take)?;
                Some((grant, members))
            })
            .collect()
    }
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
    let of_datasets: Vec<_> = datasets.iter().map(|one| run.access(one)).collect();
    let actions = query.actions.iter().enumerate().map(|(place, action)| {
        let mut groups = ClassGroups::default();
        let mut permitted = Vec::with_capacity(datasets.len());
        for (index, (dataset, (class, access))) in datasets.iter().zip(&of_datasets).enumerate() {
            let grants = || run.grants(access, place, dataset);
            let of_action = access.get(place).into_iter().flatten();
            let is_alike = of_action
                .map(|grant| &grant.relation)
                .all(ClassRelation::is_of_class);
            permitted.push(groups.add(index, is_alike.then_some(*class), grants));
        }
        let groups = groups.into_members();
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
