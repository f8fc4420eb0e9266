//! The report of a comparison: changes in groups, complete for tools. `text` shortens it for people.

use std::sync::Arc;

use serde::Serialize;

use crate::domain::action::Action;
use crate::domain::dataset::Dataset;
use crate::domain::decision::Revision;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::Username;
use crate::domain::principal::User;
use crate::domain::shown::join_first;

use super::affected::UserSetDigest;
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
    /// How many decisions change, in one context or in several: pairs of a principal and a dataset, for each action.
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
    /// Every change, grouped; the largest groups, if a limit was asked for.
    pub groups: Vec<ChangeGroup>,
    /// The groups that are not listed.
    #[serde(skip)]
    pub unlisted: UnlistedChanges,
}

/// How much is not listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnlistedChanges {
    /// How many groups.
    pub groups: usize,
    /// How many decisions.
    pub decisions: u64,
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
    /// The affected users; all of them, unless a limit was asked for.
    pub users: Vec<AffectedUser>,
    /// The datasets; all of them, unless a limit was asked for.
    pub datasets: Vec<AffectedDataset>,
    /// All users.
    #[serde(skip)]
    user_set: UserSetDigest,
    /// The places of all datasets.
    #[serde(skip)]
    places: Vec<usize>,
    /// The contexts in which it changes.
    #[serde(skip)]
    pub(super) contexts: ContextSet,
    /// One request whose decision changes.
    #[serde(skip)]
    pub example: Option<ChangeExample>,
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

/// Whom and what a change is about.
pub(super) struct ChangedPairs {
    pub(super) is_anonymous: bool,
    /// All users.
    pub(super) user_set: UserSetDigest,
    /// The places of all datasets.
    pub(super) places: Vec<usize>,
}

impl ChangeGroup {
    /// A group with some of its users and datasets, the first ones.
    pub(super) fn new<'a>(
        (action, change, contexts): (Action, DecisionChange, ContextSet),
        members: ChangedPairs,
        users: &[Arc<User>],
        datasets: impl Iterator<Item = &'a Arc<Dataset>>,
    ) -> Self {
        let users = users.iter().map(|user| AffectedUser {
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
            is_anonymous: members.is_anonymous,
            when: Vec::new(),
            asked_in: Vec::new(),
            users: users.collect(),
            datasets: datasets.collect(),
            user_set: members.user_set,
            places: members.places,
            contexts,
            example: None,
            is_plural: false,
        }
    }

    pub(super) fn with_example(self, example: Option<ChangeExample>) -> Self {
        Self { example, ..self }
    }

    /// Describes the principals as briefly as possible: everybody, a role, or some names.
    pub(super) fn describe_users(&mut self, described: Option<&str>) {
        let count = self.user_set.count;
        let names = self.users.iter().map(|user| user.username.as_str());
        let users = (count > 0).then(|| {
            described.map_or_else(
                || join_first(names.take(MAX_SHOWN_USERS), count),
                str::to_owned,
            )
        });
        let is_list = described.is_none() && count > 1;
        self.is_plural = is_list || (self.is_anonymous && users.is_some());
        self.who = match (self.is_anonymous, users) {
            (true, None) => "anonymous".to_owned(),
            (true, Some(users)) => format!("anonymous and {users}"),
            (false, users) => users.unwrap_or_default(),
        };
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
            && self.user_set == other.user_set
            && self.places == other.places
    }

    /// How many decisions change.
    #[must_use]
    pub fn size(&self) -> u64 {
        let principals = self.user_count() + usize::from(self.is_anonymous);
        u64::try_from(principals.saturating_mul(self.dataset_count())).unwrap_or(u64::MAX)
    }

    /// How many users there are.
    #[must_use]
    pub fn user_count(&self) -> usize {
        self.user_set.count
    }

    /// How many datasets there are.
    #[must_use]
    pub fn dataset_count(&self) -> usize {
        self.places.len()
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

impl BundleComparison {
    /// Whether any decision changes.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        !self.groups.is_empty()
    }
}
