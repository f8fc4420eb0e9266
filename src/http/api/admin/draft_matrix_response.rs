//! The response of the matrix API.

use poem_openapi::Object;

use crate::domain::caller::Authentication;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::Username;
use crate::domain::principal_name::ANONYMOUS;
use crate::http::reply::timestamp::Timestamp;
use crate::service::policies::review::asked_contexts::AskedAuthentication;
use crate::service::policies::review::matrix::keys::PeopleKey;
use crate::service::policies::review::matrix::{
    AccessMatrix, ContextReach, ExampleContext, MatrixCell, MatrixColumn, MatrixRow, PairCounts,
    PairExample,
};

/// The name of the one context, if the policies tell none apart.
const EVERY_CONTEXT: &str = "in every context";

/// Who may do something with what.
#[derive(Object)]
pub struct MatrixResponse {
    /// The version of the draft.
    pub version: u64,
    /// The revision of the policies in force.
    pub from: String,
    /// The revision of the draft.
    pub to: String,
    /// The action.
    pub action: String,
    /// How many people take part: users, and callers who did not sign in as one.
    pub people: u64,
    /// How many datasets take part.
    pub datasets: u64,
    /// Whether the policies tell more contexts apart than were asked in.
    pub is_cut: bool,
    /// Errors in evaluating the draft's policies, each of which denies; the first few.
    pub errors: Vec<String>,
    /// Whether tokens of pairs that stay permitted would live shorter or longer: no cell says so, the effect of the draft
    /// does.
    pub changes_token_lives: bool,
    /// The columns: callers who did not sign in first. A user with several roles is in the column of each.
    pub columns: Vec<MatrixColumnResponse>,
    /// The rows. A dataset with several values of a tag is in the row of each.
    pub rows: Vec<MatrixRowResponse>,
    /// The cells of each row, in the order of the columns.
    pub cells: Vec<Vec<MatrixCellResponse>>,
    /// All pairs that take part, each once, also those that are on other pages.
    pub totals: PairCountsResponse,
    /// The contexts that were asked in, and how many pairs are permitted in each.
    pub contexts: Vec<MatrixContextResponse>,
    /// The `after` of the next columns; absent if these are the last.
    #[oai(skip_serializing_if_is_none)]
    pub next_people: Option<String>,
    /// The `after` of the next rows; absent if these are the last.
    #[oai(skip_serializing_if_is_none)]
    pub next_datasets: Option<String>,
}

/// A column of a matrix.
#[derive(Object)]
pub struct MatrixColumnResponse {
    /// The key: pass it in `people.in` to look into the column.
    pub key: String,
    /// Who it is, in a few words.
    pub label: String,
    /// More about it.
    #[oai(skip_serializing_if_is_none)]
    pub detail: Option<String>,
    /// How many they are.
    pub people: u64,
    /// Whether it is callers who did not sign in.
    pub is_anonymous: bool,
    /// The user, if it is a single one.
    #[oai(skip_serializing_if_is_none)]
    pub user_id: Option<UserId>,
}

/// A row of a matrix.
#[derive(Object)]
pub struct MatrixRowResponse {
    /// The key: pass it in `datasets.in` to look into the row.
    pub key: String,
    /// What it is, in a few words.
    pub label: String,
    /// More about it.
    #[oai(skip_serializing_if_is_none)]
    pub detail: Option<String>,
    /// How many datasets it has.
    pub datasets: u64,
    /// The dataset, if it is a single one.
    #[oai(skip_serializing_if_is_none)]
    pub dataset_id: Option<DatasetId>,
}

/// Numbers of pairs of a principal and a dataset.
#[derive(Object)]
pub struct PairCountsResponse {
    /// All pairs.
    pub pairs: u64,
    /// Those that are permitted by the policies in force, in at least one context.
    pub in_force: u64,
    /// Those that are permitted under the draft, in at least one context.
    pub draft: u64,
    /// Those that are permitted under the draft in a context in which they are denied in force.
    pub gained: u64,
    /// Those that are permitted in force in a context in which they are denied under the draft.
    pub lost: u64,
    /// Those that are permitted under the draft in some contexts and denied in others.
    pub sometimes: u64,
}

/// A cell of a matrix.
#[derive(Object)]
pub struct MatrixCellResponse {
    /// All pairs of the cell.
    pub pairs: u64,
    /// Those that are permitted by the policies in force, in at least one context.
    pub in_force: u64,
    /// Those that are permitted under the draft, in at least one context.
    pub draft: u64,
    /// Those that are permitted under the draft in a context in which they are denied in force.
    pub gained: u64,
    /// Those that are permitted in force in a context in which they are denied under the draft.
    pub lost: u64,
    /// Those that are permitted under the draft in some contexts and denied in others.
    pub sometimes: u64,
    /// One pair: one that changes, or else one that is permitted, or else any.
    #[oai(skip_serializing_if_is_none)]
    pub example: Option<MatrixExampleResponse>,
}

/// A pair of a cell, and a context in which it is as the cell shows it.
#[derive(Object)]
pub struct MatrixExampleResponse {
    /// The principal: `anonymous`, or the id of a user.
    pub principal: String,
    /// The user name.
    #[oai(skip_serializing_if_is_none)]
    pub principal_name: Option<Username>,
    /// The dataset.
    pub dataset_id: DatasetId,
    /// Its title.
    pub dataset_title: String,
    /// The client address; absent if the policies do not look at it.
    #[oai(skip_serializing_if_is_none)]
    pub address: Option<String>,
    /// The time; absent if the policies do not look at it.
    #[oai(skip_serializing_if_is_none)]
    pub time: Option<Timestamp>,
    /// How the principal authenticates; absent if it is as it signs in.
    #[oai(skip_serializing_if_is_none)]
    pub authentication: Option<String>,
}

/// A context, and how many pairs are permitted in it.
#[derive(Object)]
pub struct MatrixContextResponse {
    /// The context in words.
    pub label: String,
    /// The client address; absent if the policies do not look at it.
    #[oai(skip_serializing_if_is_none)]
    pub address: Option<String>,
    /// The time; absent if the policies do not look at it.
    #[oai(skip_serializing_if_is_none)]
    pub time: Option<Timestamp>,
    /// How users authenticate: `signed_in` as each of them signs in, or as the request said.
    pub authentication: String,
    /// How many pairs are permitted by the policies in force.
    pub in_force: u64,
    /// How many pairs are permitted under the draft.
    pub draft: u64,
    /// How many are permitted under the draft and denied in force.
    pub gained: u64,
    /// How many are permitted in force and denied under the draft.
    pub lost: u64,
}

impl MatrixResponse {
    pub(super) fn new(version: u64, matrix: AccessMatrix) -> Self {
        let cells = matrix.cells.into_iter();
        Self {
            version,
            from: matrix.from.to_string(),
            to: matrix.to.to_string(),
            action: matrix.action.to_string(),
            people: number(matrix.people),
            datasets: number(matrix.datasets),
            is_cut: matrix.is_cut,
            errors: matrix.errors,
            changes_token_lives: matrix.changes_token_lives,
            columns: matrix.columns.into_iter().map(Into::into).collect(),
            rows: matrix.rows.into_iter().map(Into::into).collect(),
            cells: cells
                .map(|row| row.into_iter().map(Into::into).collect())
                .collect(),
            totals: matrix.totals.into(),
            contexts: matrix.contexts.into_iter().map(Into::into).collect(),
            next_people: matrix.next_people.map(|key| key.to_string()),
            next_datasets: matrix.next_datasets.map(|key| key.to_string()),
        }
    }
}

impl From<MatrixColumn> for MatrixColumnResponse {
    fn from(column: MatrixColumn) -> Self {
        Self {
            key: column.key.to_string(),
            label: column.label,
            detail: column.detail,
            people: number(column.people),
            is_anonymous: column.key == PeopleKey::Anonymous,
            user_id: column.user_id,
        }
    }
}

impl From<MatrixRow> for MatrixRowResponse {
    fn from(row: MatrixRow) -> Self {
        Self {
            key: row.key.to_string(),
            label: row.label,
            detail: row.detail,
            datasets: number(row.datasets),
            dataset_id: row.dataset_id,
        }
    }
}

impl From<PairCounts> for PairCountsResponse {
    fn from(counts: PairCounts) -> Self {
        Self {
            pairs: counts.pairs,
            in_force: counts.in_force,
            draft: counts.draft,
            gained: counts.gained,
            lost: counts.lost,
            sometimes: counts.sometimes,
        }
    }
}

impl From<MatrixCell> for MatrixCellResponse {
    fn from(cell: MatrixCell) -> Self {
        let counts = cell.counts;
        Self {
            pairs: counts.pairs,
            in_force: counts.in_force,
            draft: counts.draft,
            gained: counts.gained,
            lost: counts.lost,
            sometimes: counts.sometimes,
            example: cell.example.map(Into::into),
        }
    }
}

impl From<PairExample> for MatrixExampleResponse {
    fn from(example: PairExample) -> Self {
        let context = example.context;
        let (principal, principal_name) = match example.user {
            None => (ANONYMOUS.to_owned(), None),
            Some((id, name)) => (id.0.to_string(), Some(name)),
        };
        let is_usual = matches!(context.authentication, AskedAuthentication::SignedIn);
        let is_anonymous = principal_name.is_none();
        Self {
            principal,
            principal_name,
            dataset_id: example.dataset_id,
            dataset_title: example.dataset_title,
            address: address(context),
            time: context.time.map(Timestamp),
            authentication: (!is_usual && !is_anonymous).then(|| authentication(context)),
        }
    }
}

impl From<ContextReach> for MatrixContextResponse {
    fn from(reach: ContextReach) -> Self {
        Self {
            label: if reach.label.is_empty() {
                EVERY_CONTEXT.to_owned()
            } else {
                reach.label
            },
            address: address(reach.context),
            time: reach.context.time.map(Timestamp),
            authentication: authentication(reach.context),
            in_force: reach.in_force,
            draft: reach.draft,
            gained: reach.gained,
            lost: reach.lost,
        }
    }
}

fn address(context: ExampleContext) -> Option<String> {
    context.address.map(|address| address.to_string())
}

fn authentication(context: ExampleContext) -> String {
    match context.authentication {
        AskedAuthentication::SignedIn => "signed_in".to_owned(),
        AskedAuthentication::ApiKey => Authentication::ApiKey.to_string(),
        AskedAuthentication::As(authentication) => authentication.to_string(),
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
