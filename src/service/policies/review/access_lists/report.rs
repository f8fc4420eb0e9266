//! The reports of access lists: groups, complete for tools. `text` shortens them for people.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::Serialize;

use crate::domain::action::Action;
use crate::domain::dataset::Dataset;
use crate::domain::decision::Revision;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::{RoleName, Username};
use crate::domain::principal::User;
use crate::policy::Bundle;
use crate::service::policies::review::asked_contexts::names::name_contexts;
use crate::service::policies::review::asked_contexts::{AskedContext, ContextSet};

use super::classes::{AccessClasses, ClassGrant};
use super::relation::AccessRelation;

/// A user by id and name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedUser {
    /// The id.
    pub id: UserId,
    /// The name.
    pub username: Username,
}

impl From<&Arc<User>> for ListedUser {
    fn from(user: &Arc<User>) -> Self {
        Self {
            id: user.id,
            username: user.username.clone(),
        }
    }
}

/// A dataset by id and title.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedDataset {
    /// The id.
    pub id: DatasetId,
    /// The title.
    pub title: String,
}

impl From<&Arc<Dataset>> for ListedDataset {
    fn from(dataset: &Arc<Dataset>) -> Self {
        Self {
            id: dataset.id,
            title: dataset.title.clone(),
        }
    }
}

/// Who may do something with a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ResourceAccess {
    /// The bundle that decided.
    pub revision: Revision,
    /// The dataset.
    pub dataset: ListedDataset,
    /// The action.
    pub action: Action,
    /// How many users took part: all that are not disabled.
    pub users: usize,
    /// How many of them are permitted in some context.
    pub permitted: usize,
    /// How many of them are permitted in every context.
    pub always_permitted: usize,
    /// How many users are disabled, to whom nothing is permitted.
    pub disabled: usize,
    /// Whether callers who did not sign in are permitted in some context.
    pub is_anonymous: bool,
    /// Who is permitted by what; a user that several policies permit is in several groups.
    pub groups: Vec<PrincipalGroup>,
    /// Every context that was asked in: on both sides of what the policies compare the context with.
    pub contexts: Vec<AskedContext>,
    /// Whether there would have been more to ask, which was too much.
    pub is_cut: bool,
    /// Errors in evaluating the policies, each of which denies; the first few.
    pub errors: Vec<String>,
}

/// Principals that the same policies permit, by the same relation and in the same contexts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PrincipalGroup {
    /// The ids of the policies.
    pub policies: Vec<String>,
    /// Their reasons, of those that have one.
    pub reasons: Vec<String>,
    /// By what they permit.
    pub through: AccessRelation,
    /// The contexts, in words; none if it is all of them.
    pub when: Vec<String>,
    /// Whether callers who did not sign in are among them.
    pub is_anonymous: bool,
    /// The users, by name.
    pub users: Vec<ListedUser>,
}

/// With which datasets a principal may do something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PrincipalAccess {
    /// The bundle that decided.
    pub revision: Revision,
    /// The user; none for callers who did not sign in.
    pub user: Option<ListedUser>,
    /// The user's roles.
    pub roles: BTreeSet<RoleName>,
    /// Whether the user is disabled, so that nothing is permitted.
    pub is_disabled: bool,
    /// How many datasets there are.
    pub datasets: usize,
    /// What is permitted, for each action that was asked about.
    pub actions: Vec<PermittedAction>,
    /// Every context that was asked in: on both sides of what the policies compare the context with.
    pub contexts: Vec<AskedContext>,
    /// Whether there would have been more to ask, which was too much.
    pub is_cut: bool,
    /// Errors in evaluating the policies, each of which denies; the first few.
    pub errors: Vec<String>,
}

/// The datasets with which a principal may do one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PermittedAction {
    /// The action.
    pub action: Action,
    /// With how many datasets it is permitted in some context.
    pub permitted: usize,
    /// With how many of them it is permitted in every context.
    pub always_permitted: usize,
    /// By what it is permitted; a dataset that several policies permit is in several groups.
    pub groups: Vec<DatasetGroup>,
}

/// Datasets with which the same policies permit an action, by the same relation and in the same contexts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DatasetGroup {
    /// The ids of the policies.
    pub policies: Vec<String>,
    /// Their reasons, of those that have one.
    pub reasons: Vec<String>,
    /// By what they permit.
    pub through: AccessRelation,
    /// The contexts, in words; none if it is all of them.
    pub when: Vec<String>,
    /// How many datasets there are.
    pub count: usize,
    /// The datasets, by id.
    pub datasets: Vec<ListedDataset>,
}

/// What one policy permits to one principal on one dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessGrant {
    /// The id of the policy.
    pub policy: String,
    /// Its reason.
    pub reason: Option<String>,
    /// By what it permits.
    pub through: AccessRelation,
    /// The contexts, in words; none if it is all of them.
    pub when: Vec<String>,
}

/// What is permitted to one principal on one dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PairAccess {
    /// Whether it is permitted in every context.
    pub is_always: bool,
    /// Whether there would have been more contexts to ask in, which was too much.
    pub is_cut: bool,
    /// By what; none if it is denied in every context.
    pub grants: Vec<AccessGrant>,
}

impl PairAccess {
    /// Whether it is denied in every context.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.grants.is_empty()
    }
}

/// A grant to one pair, before it is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PairGrant {
    pub(super) contexts: ContextSet,
    pub(super) through: AccessRelation,
    pub(super) policy: Arc<str>,
}

impl AccessClasses<'_> {
    /// The grants of an action, by its place, to a pair of a class.
    pub(super) fn pair_grants(
        &self,
        access: &[Vec<ClassGrant>],
        place: usize,
        user: Option<&User>,
        dataset: &Dataset,
    ) -> Vec<PairGrant> {
        let mut found = Vec::new();
        for grant in access.get(place).into_iter().flatten() {
            for through in grant.relation.of_pair(user, dataset, &self.references) {
                found.push(PairGrant {
                    contexts: grant.contexts,
                    through,
                    policy: Arc::clone(&grant.policy),
                });
            }
        }
        found
    }

    /// The grants of an action as they are told.
    pub(super) fn tell(&self, action: Action, grants: Vec<PairGrant>) -> PairAccess {
        let contexts = grants.iter().fold(0, |all, grant| all | grant.contexts);
        let askable = self.asked.askable(action);
        let grants = grants.into_iter().map(|grant| AccessGrant {
            reason: reason(self.bundle, &grant.policy),
            policy: grant.policy.to_string(),
            when: name_contexts(&self.asked, grant.contexts),
            through: grant.through,
        });
        PairAccess {
            is_always: contexts & askable == askable,
            is_cut: self.asked.is_cut,
            grants: grants.collect(),
        }
    }

    /// How many of the sets of contexts in which an action is permitted are not empty, and how many are all that it can
    /// be asked for in.
    pub(super) fn count(
        &self,
        action: Action,
        permitted: impl Iterator<Item = ContextSet>,
    ) -> (usize, usize) {
        let askable = self.asked.askable(action);
        permitted
            .filter(|contexts| *contexts != 0)
            .fold((0, 0), |(some, always), contexts| {
                let is_always = contexts & askable == askable;
                (some + 1, always + usize::from(is_always))
            })
    }
}

pub(super) fn reason(bundle: &Bundle, policy: &str) -> Option<String> {
    bundle.policies().get(policy)?.reason.clone()
}

/// The members of a group, by their places; anonymous callers have none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct GroupMembers {
    pub(super) is_anonymous: bool,
    pub(super) places: Vec<usize>,
}

/// A group: the policies, the contexts, the relation and the members.
pub(super) struct AccessGroup {
    pub(super) policies: Vec<String>,
    pub(super) contexts: ContextSet,
    pub(super) through: AccessRelation,
    pub(super) members: GroupMembers,
}

/// Groups the members of grants; those that several policies permit alike are one group. What is permitted always comes
/// first, and then the largest groups.
pub(super) fn into_groups(grants: HashMap<PairGrant, GroupMembers>) -> Vec<AccessGroup> {
    let mut merged: HashMap<(ContextSet, AccessRelation, GroupMembers), Vec<String>> =
        HashMap::new();
    // In the order of the policies.
    let grants: BTreeMap<_, _> = grants.into_iter().collect();
    for (grant, members) in grants {
        let key = (grant.contexts, grant.through, members);
        merged
            .entry(key)
            .or_default()
            .push(grant.policy.to_string());
    }
    let groups = merged
        .into_iter()
        .map(|((contexts, through, members), policies)| AccessGroup {
            policies,
            contexts,
            through,
            members,
        });
    let mut groups: Vec<AccessGroup> = groups.collect();
    groups.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
    groups
}

impl AccessGroup {
    fn sort_key(&self) -> impl Ord + '_ {
        use std::cmp::Reverse;
        (
            Reverse(self.contexts.count_ones()),
            Reverse(self.contexts),
            Reverse(self.members.places.len() + usize::from(self.members.is_anonymous)),
            &self.through,
            &self.policies,
        )
    }

    pub(super) fn reasons(&self, bundle: &Bundle) -> Vec<String> {
        let policies = self.policies.iter();
        policies
            .filter_map(|policy| reason(bundle, policy))
            .collect()
    }
}
