//! The report of a comparison: changes in groups, complete for tools. `text` shortens it for people.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde::Serialize;

use crate::domain::action::Action;
use crate::domain::dataset::Dataset;
use crate::domain::decision::Revision;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::{RoleName, Username};
use crate::domain::principal::User;
use crate::domain::shown::join_shown;

use super::change::{ChangeExample, DecisionChange};
use super::ineffective::IneffectivePolicy;
use crate::service::policies::review::asked_contexts::names::name_contexts;
use crate::service::policies::review::asked_contexts::{AskedContext, AskedContexts, ContextSet};

/// The most users of a group that the text names.
const MAX_SHOWN_USERS: usize = 5;

/// The decisions that differ between two bundles, over a whole catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BundleComparison {
    /// The revision before.
    pub from: Revision,
    /// The revision after.
    pub to: Revision,
    /// How many users took part: all that are not disabled.
    pub users: usize,
    /// How many datasets took part.
    pub datasets: usize,
    /// How many decisions change: principals times datasets, for each action.
    pub changed: u64,
    /// How many decisions were made to find out.
    pub decided: u64,
    /// Whether a policy reads the context, so that the decisions may differ at another address or time.
    pub is_context_read: bool,
    /// Every context that was asked in: on both sides of what the policies compare the context with.
    pub asked: Vec<AskedContext>,
    /// Whether there would have been more to ask, which was too much.
    pub is_cut: bool,
    /// Whether the question was confined to an address or a time.
    #[serde(skip)]
    pub(super) is_confined: bool,
    /// The names of the contexts in which nothing changes; none if that is nowhere or everywhere.
    pub unchanged_in: Vec<String>,
    /// Errors in evaluating the bundle after; the first few.
    pub errors: Vec<String>,
    /// Policies of the edit that change nothing, the first ones.
    pub ineffective: Vec<IneffectivePolicy>,
    /// How many more there are.
    pub more_ineffective: usize,
    /// Every change, grouped.
    pub groups: Vec<ChangeGroup>,
}

/// One change, for each of some principals on each of some datasets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ChangeGroup {
    /// The principals, in a few words.
    pub who: String,
    /// The change.
    pub change: DecisionChange,
    /// The action.
    pub action: Action,
    /// The contexts in which it changes, in words; none if it does in all of them.
    pub when: Vec<String>,
    /// The contexts in which it changes, by their place in `asked`.
    pub asked_in: Vec<usize>,
    /// Whether anonymous callers are affected.
    pub is_anonymous: bool,
    /// The affected users, all of them.
    pub users: Vec<AffectedUser>,
    /// The datasets, all of them.
    pub datasets: Vec<AffectedDataset>,
    /// The contexts in which it changes.
    #[serde(skip)]
    pub(super) contexts: ContextSet,
    /// One request whose decision changes.
    #[serde(skip)]
    pub(super) example: Option<ChangeExample>,
    /// Whether `who` is several.
    #[serde(skip)]
    pub(super) is_plural: bool,
}

/// A user by id and name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AffectedUser {
    /// The id.
    pub id: UserId,
    /// The name.
    pub username: Username,
}

/// A dataset by id and title.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AffectedDataset {
    /// The id.
    pub id: DatasetId,
    /// The title.
    pub title: String,
}

impl ChangeGroup {
    pub(super) fn new<'a>(
        (action, change, contexts): (Action, DecisionChange, ContextSet),
        is_anonymous: bool,
        users: Vec<Arc<User>>,
        datasets: impl Iterator<Item = &'a Arc<Dataset>>,
    ) -> Self {
        let users = users.into_iter().map(|user| AffectedUser {
            id: user.id,
            username: user.username.clone(),
        });
        let datasets = datasets.map(|dataset| AffectedDataset {
            id: dataset.id,
            title: dataset.title.clone(),
        });
        Self {
            who: String::new(),
            change,
            action,
            is_anonymous,
            when: Vec::new(),
            asked_in: Vec::new(),
            users: users.collect(),
            datasets: datasets.collect(),
            contexts,
            example: None,
            is_plural: false,
        }
    }

    /// Describes the principals as briefly as possible: everybody, a role, or some names.
    pub(super) fn describe_users(&mut self, all_users: &[Arc<User>], roles: &BTreeSet<RoleName>) {
        let affected: BTreeSet<UserId> = self.users.iter().map(|user| user.id).collect();
        let are_all = |is_member: &dyn Fn(&User) -> bool| {
            let mut members = all_users.iter().filter(|user| is_member(user));
            let count = members.clone().count();
            count == affected.len() && members.all(|user| affected.contains(&user.id))
        };
        let count = match affected.len() {
            1 => "1 user".to_owned(),
            count => format!("{count} users"),
        };
        let mut is_list = false;
        let users = if affected.is_empty() {
            None
        } else if are_all(&|_| true) {
            Some(format!("every signed-in user ({count})"))
        } else if let Some(role) = roles
            .iter()
            .find(|role| are_all(&|user| user.roles.contains(role)))
        {
            Some(format!("role {role} ({count})"))
        } else if let Some(role) = roles
            .iter()
            .find(|role| are_all(&|user| !user.roles.contains(role)))
        {
            Some(format!(
                "every signed-in user without role {role} ({count})"
            ))
        } else {
            let names = self.users.iter().map(|user| user.username.as_str());
            is_list = affected.len() > 1;
            Some(join_shown(names, MAX_SHOWN_USERS))
        };
        self.is_plural = is_list || (self.is_anonymous && users.is_some());
        self.who = match (self.is_anonymous, users) {
            (true, None) => "anonymous".to_owned(),
            (true, Some(users)) => format!("anonymous and {users}"),
            (false, users) => users.unwrap_or_default(),
        };
    }

    pub(super) fn with_example(self, example: Option<ChangeExample>) -> Self {
        Self { example, ..self }
    }

    /// Describes the contexts in which it changes.
    pub(super) fn describe_contexts(&mut self, asked: &AskedContexts) {
        self.when = name_contexts(asked, self.contexts);
        let indexes = 0..asked.len();
        self.asked_in = indexes
            .filter(|index| self.contexts >> index & 1 == 1)
            .collect();
    }

    /// Whether another group says the same of another action.
    pub(super) fn is_of_the_same(&self, other: &Self) -> bool {
        (self.contexts, self.change, self.is_anonymous)
            == (other.contexts, other.change, other.is_anonymous)
            && self.users == other.users
            && self.datasets == other.datasets
    }

    /// How many decisions change.
    pub(super) fn size(&self) -> u64 {
        let principals = self.users.len() + usize::from(self.is_anonymous);
        u64::try_from(principals.saturating_mul(self.datasets.len())).unwrap_or(u64::MAX)
    }

    /// Orders groups by size, the largest first.
    pub(super) fn sort_key(&self) -> impl Ord + '_ {
        let first = self.datasets.first().map(|dataset| dataset.id);
        (
            std::cmp::Reverse(self.size()),
            self.action,
            self.change,
            &self.who,
            first,
        )
    }
}

/// Joins the groups of the same change for the same principals.
pub(super) fn merge_groups(mut groups: Vec<ChangeGroup>) -> Vec<ChangeGroup> {
    groups.sort_by_key(|group| group.datasets.first().map(|dataset| dataset.id));
    let mut merged: Vec<ChangeGroup> = Vec::new();
    let mut places: HashMap<_, usize> = HashMap::new();
    for group in groups {
        let users: Vec<UserId> = group.users.iter().map(|user| user.id).collect();
        let (action, change, contexts) = (group.action, group.change, group.contexts);
        let place = *places
            .entry((action, change, contexts, group.is_anonymous, users))
            .or_insert(merged.len());
        match merged.get_mut(place) {
            Some(known) => known.datasets.extend(group.datasets),
            None => merged.push(group),
        }
    }
    for group in &mut merged {
        group.datasets.sort_by_key(|dataset| dataset.id);
    }
    merged
}

impl BundleComparison {
    /// Whether any decision changes.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        !self.groups.is_empty()
    }
}
