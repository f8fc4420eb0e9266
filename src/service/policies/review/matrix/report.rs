//! The access matrix as it is told.

use crate::domain::action::Action;
use crate::domain::client_address::AssumedAddress;
use crate::domain::decision::Revision;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::Username;

use super::keys::{DatasetKey, PeopleKey};
use crate::service::policies::review::asked_contexts::AskedAuthentication;

/// Who may do something with what, before and after an edit: numbers of pairs of a principal and a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessMatrix {
    /// The revision before.
    pub from: Revision,
    /// The revision after.
    pub to: Revision,
    /// The action.
    pub action: Action,
    /// How many take part: users, and callers who did not sign in as one.
    pub people: usize,
    /// How many datasets take part.
    pub datasets: usize,
    /// Whether there would have been more contexts to ask in, which was too much.
    pub is_cut: bool,
    /// Errors in evaluating the policies after, each of which denies; the first few.
    pub errors: Vec<String>,
    /// Whether tokens of pairs that stay permitted would live shorter or longer: no cell says so.
    pub changes_token_lives: bool,
    /// The columns.
    pub columns: Vec<MatrixColumn>,
    /// The rows.
    pub rows: Vec<MatrixRow>,
    /// The cells of each row.
    pub cells: Vec<Vec<MatrixCell>>,
    /// All pairs that take part, those of columns and rows on other pages too.
    pub totals: PairCounts,
    /// The contexts that were asked in.
    pub contexts: Vec<ContextReach>,
    /// The `after` of the next columns, if there are more.
    pub next_people: Option<PeopleKey>,
    /// The `after` of the next rows, if there are more.
    pub next_datasets: Option<DatasetKey>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatrixColumn {
    /// Its key.
    pub key: PeopleKey,
    /// Who it is, in a few words.
    pub label: String,
    /// More about it.
    pub detail: Option<String>,
    /// How many they are.
    pub people: usize,
    /// The user, if it is one.
    pub user_id: Option<UserId>,
}

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatrixRow {
    /// Its key.
    pub key: DatasetKey,
    /// What it is, in a few words.
    pub label: String,
    /// More about it.
    pub detail: Option<String>,
    /// How many datasets it has.
    pub datasets: usize,
    /// The dataset, if it is one.
    pub dataset_id: Option<DatasetId>,
}

/// How many pairs there are, and how many of them are permitted in some context.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PairCounts {
    /// All pairs.
    pub pairs: u64,
    /// Those that are permitted before.
    pub in_force: u64,
    /// Those that are permitted after.
    pub draft: u64,
    /// Those that are permitted after, in a context in which they are denied before.
    pub gained: u64,
    /// Those that are permitted before, in a context in which they are denied after.
    pub lost: u64,
    /// Those that are permitted after in some contexts, and denied in others.
    pub sometimes: u64,
}

/// A cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MatrixCell {
    /// Its pairs.
    pub counts: PairCounts,
    /// One of them: one that changes, or else one that is permitted, or else any.
    pub example: Option<PairExample>,
}

/// One pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairExample {
    /// The user; none for callers who did not sign in.
    pub user: Option<(UserId, Username)>,
    /// The dataset.
    pub dataset_id: DatasetId,
    /// Its title.
    pub dataset_title: String,
    /// A context in which it is as the example shows it.
    pub context: ExampleContext,
}

/// A context, as far as the policies read one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExampleContext {
    /// The client address; none if the policies do not read it.
    pub address: Option<AssumedAddress>,
    /// The time, in seconds since 1970 UTC; none if the policies do not read it.
    pub time: Option<i64>,
    /// How users call.
    pub authentication: AskedAuthentication,
}

/// How many pairs are permitted in one context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextReach {
    /// The context in words; empty if it is the only one.
    pub label: String,
    /// The context.
    pub context: ExampleContext,
    /// How many pairs are permitted before.
    pub in_force: u64,
    /// How many pairs are permitted after.
    pub draft: u64,
    /// How many are permitted after and denied before.
    pub gained: u64,
    /// How many are permitted before and denied after.
    pub lost: u64,
}
