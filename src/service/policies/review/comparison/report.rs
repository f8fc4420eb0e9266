//! The report of a comparison: changes in groups, shortened for people and complete for tools.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

use serde::Serialize;

use crate::domain::action::Action;
use crate::domain::dataset::Dataset;
use crate::domain::decision::Revision;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::{RoleName, Username};
use crate::domain::principal::User;

/// The most datasets of a group in the text.
const MAX_SHOWN_DATASETS: usize = 5;
/// The most groups in the text, the largest first.
const MAX_SHOWN_GROUPS: usize = 20;
/// The most users of a group that the text names.
const MAX_SHOWN_USERS: usize = 5;

/// The change of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DecisionChange {
    /// It was denied and would be permitted.
    Gains,
    /// It was permitted and would be denied.
    Loses,
}

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
    /// Errors in evaluating the bundle after; the first few.
    pub errors: Vec<String>,
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
    /// Whether anonymous callers are affected.
    pub is_anonymous: bool,
    /// The affected users, all of them.
    pub users: Vec<AffectedUser>,
    /// The datasets, all of them.
    pub datasets: Vec<AffectedDataset>,
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
        action: Action,
        change: DecisionChange,
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
            users: users.collect(),
            datasets: datasets.collect(),
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
            Some(join_shown(names.take(MAX_SHOWN_USERS), affected.len()))
        };
        self.who = match (self.is_anonymous, users) {
            (true, None) => "anonymous".to_owned(),
            (true, Some(users)) => format!("anonymous and {users}"),
            (false, users) => users.unwrap_or_default(),
        };
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

/// The texts that are shown, and how many more there are.
fn join_shown<'a>(shown: impl Iterator<Item = &'a str>, all: usize) -> String {
    let shown: Vec<&str> = shown.collect();
    let more = all - shown.len();
    let shown = shown.join(", ");
    if more == 0 {
        shown
    } else {
        format!("{shown} and {more} more")
    }
}

impl BundleComparison {
    /// Whether any decision changes.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        !self.groups.is_empty()
    }

    /// The text for a person.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        for group in self.groups.iter().take(MAX_SHOWN_GROUPS) {
            let verb = match (
                group.change,
                group.users.len() + usize::from(group.is_anonymous),
            ) {
                (DecisionChange::Gains, 1) => "gains",
                (DecisionChange::Gains, _) => "gain",
                (DecisionChange::Loses, 1) => "loses",
                (DecisionChange::Loses, _) => "lose",
            };
            let (who, action, count) = (&group.who, group.action, group.datasets.len());
            let noun = if count == 1 { "dataset" } else { "datasets" };
            let _ = writeln!(text, "{who} {verb} {action} on {count} {noun}:");
            for dataset in group.datasets.iter().take(MAX_SHOWN_DATASETS) {
                let _ = writeln!(text, "  {}  {}", dataset.id, dataset.title);
            }
            if let Some(more @ 1..) = count.checked_sub(MAX_SHOWN_DATASETS) {
                let _ = writeln!(text, "  and {more} more");
            }
            text.push('\n');
        }
        let smaller = self.groups.iter().skip(MAX_SHOWN_GROUPS);
        let count = smaller.clone().count();
        if count > 0 {
            let decisions: u64 = smaller.map(ChangeGroup::size).sum();
            let _ = writeln!(
                text,
                "and {count} smaller groups of {decisions} decisions; --json has them all\n"
            );
        }
        let (users, datasets) = (self.users, self.datasets);
        let changes = match self.changed {
            0 => "no decision changes".to_owned(),
            1 => "1 decision changes".to_owned(),
            changed => format!("{changed} decisions change"),
        };
        let _ = writeln!(
            text,
            "{changes} for anonymous callers and {users} users on {datasets} datasets"
        );
        for error in &self.errors {
            let _ = writeln!(text, "error in evaluating the new policies: {error}");
        }
        text
    }
}
