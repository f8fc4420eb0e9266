//! The columns of audit records: their values, and the statements that insert them.
//!
//! Each value is a parameter. A JSON text that SQLite takes apart itself costs nearly three times as much (13.4 us a record
//! against 4.8, in groups of 32). On PostgreSQL one array a column costs half as much again (25 us a record against 16, in
//! groups of 16), but a large group is one statement with it, so one round trip and one commit.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock, OnceLock};

use sqlx::types::Json;

use crate::domain::audit::AuditRecord;
use crate::domain::caller::UNSPECIFIED_ADDRESS;

/// All columns.
pub(super) const COLUMNS: &str = "id, unix_millis, event, outcome, user_id, username, authentication, key_id, \
    address, dataset_id, resource_user_id, action, determining_policies, errors, revision, jti, requests, bytes, \
    reason, request_id, client_request_id, asked_principal, asked_action, asked_resource";
/// The types of their values on PostgreSQL.
pub(super) const COLUMN_TYPES: [&str; 24] = [
    "uuid", "bigint", "text", "text", "uuid", "text", "text", "uuid", "text", "uuid", "uuid",
    "text", "jsonb", "jsonb", "text", "uuid", "bigint", "bigint", "text", "text", "text", "text",
    "text", "text",
];
/// How many records one statement inserts on SQLite, which has a text for each number up to this: a connection
/// keeps no more than so many prepared.
pub(super) const MAX_SQLITE_ROWS: usize = 64;
/// How many records one statement inserts on PostgreSQL, and how many with a parameter for each value: it keeps a plan for
/// each number of them.
pub(super) const MAX_POSTGRES_ROWS: usize = 512;
const MAX_POSTGRES_VALUES_ROWS: usize = 32;

static SQLITE_TEXTS: [OnceLock<Arc<str>>; MAX_SQLITE_ROWS] =
    [const { OnceLock::new() }; MAX_SQLITE_ROWS];
static POSTGRES_TEXTS: [OnceLock<Arc<str>>; MAX_POSTGRES_VALUES_ROWS] =
    [const { OnceLock::new() }; MAX_POSTGRES_VALUES_ROWS];
/// The statement that inserts any number of rows into PostgreSQL, with one array a column.
pub(super) static POSTGRES_ARRAYS_TEXT: LazyLock<Arc<str>> = LazyLock::new(arrays_text);

/// The statement that inserts so many rows into SQLite; none for more than [`MAX_SQLITE_ROWS`].
pub(super) fn sqlite_text(rows: usize) -> Option<Arc<str>> {
    values_text(&SQLITE_TEXTS, rows, sqlite_parameter)
}

/// The statement that inserts so many rows into PostgreSQL with a parameter for each value; none for many.
pub(super) fn postgres_values_text(rows: usize) -> Option<Arc<str>> {
    values_text(&POSTGRES_TEXTS, rows, postgres_parameter)
}

/// The text for so many rows, kept in a table; none if it has no place there. `parameter` is how one is written.
fn values_text(
    texts: &[OnceLock<Arc<str>>],
    rows: usize,
    parameter: fn(usize) -> String,
) -> Option<Arc<str>> {
    let text = texts.get(rows.checked_sub(1)?)?;
    Some(Arc::clone(
        text.get_or_init(|| insert_values_text(rows, parameter)),
    ))
}

/// A record that exists stays unchanged, so that a batch whose response was lost may be appended again.
fn insert_values_text(rows: usize, parameter: fn(usize) -> String) -> Arc<str> {
    let row = |row: usize| {
        let first = row * COLUMN_TYPES.len() + 1;
        let parameters = first..first + COLUMN_TYPES.len();
        let parameters: Vec<String> = parameters.map(parameter).collect();
        format!("({})", parameters.join(", "))
    };
    let rows: Vec<String> = (0..rows).map(row).collect();
    let rows = rows.join(", ");
    format!("INSERT INTO audit_records ({COLUMNS}) VALUES {rows} ON CONFLICT (id) DO NOTHING")
        .into()
}

fn arrays_text() -> Arc<str> {
    let array = |(index, kind): (usize, &&str)| format!("${}::{kind}[]", index + 1);
    let arrays: Vec<String> = COLUMN_TYPES.iter().enumerate().map(array).collect();
    let arrays = arrays.join(", ");
    format!(
        "INSERT INTO audit_records ({COLUMNS}) SELECT * FROM unnest({arrays}) ON CONFLICT (id) DO NOTHING"
    )
    .into()
}

/// SQLite looks for parameters with numbers by their names.
fn sqlite_parameter(_: usize) -> String {
    "?".to_owned()
}

fn postgres_parameter(number: usize) -> String {
    format!("${number}")
}

/// Calls a macro with the value of each column of a record in the order of [`COLUMNS`], and another with the columns that
/// have lists of texts.
macro_rules! each_value {
    ($call:ident, $call_with_list:ident) => {
        $call!(|record| record.id.0);
        $call!(|record| record.unix_millis);
        $call!(|record| record.event.as_str());
        $call!(|record| record.outcome.as_str());
        $call!(|record| record.user_id.map(|id| id.0));
        $call!(|record| record.username.as_deref().map(without_nul));
        $call!(|record| record.authentication.as_str());
        $call!(|record| record.key_id.map(|id| id.0));
        $call!(|record| address_text(record));
        $call!(|record| record.dataset_id.map(|id| id.0));
        $call!(|record| record.resource_user_id.map(|id| id.0));
        $call!(|record| record.action.map(TextEnum::as_str));
        $call_with_list!(|record| &record.determining_policies);
        $call_with_list!(|record| &record.errors);
        $call!(|record| record.revision.as_ref().map(|revision| &*revision.0));
        $call!(|record| record.jti.map(|id| id.0));
        $call!(|record| record.requests.map(saturate));
        $call!(|record| record.bytes.map(saturate));
        $call!(|record| record.reason.as_deref().map(without_nul));
        $call!(|record| record.request_id.as_deref().map(without_nul));
        $call!(|record| record.client_request_id.as_deref().map(without_nul));
        $call!(|record| record.asked_principal.as_deref().map(without_nul));
        $call!(|record| record.asked_action.as_deref().map(without_nul));
        $call!(|record| record.asked_resource.as_deref().map(without_nul));
    };
}
pub(super) use each_value;

/// A list without items, as JSON.
static EMPTY_LIST: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from("[]"));

pub(super) fn address_text(record: &AuditRecord) -> String {
    record.address.unwrap_or(UNSPECIFIED_ADDRESS).to_string()
}

/// Replaces NUL, which PostgreSQL cannot store in a text: one such record must not fail a whole batch.
pub(super) fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// A list as JSON.
pub(super) fn list_text(texts: &[String]) -> serde_json::Result<Arc<str>> {
    if texts.is_empty() {
        return Ok(Arc::clone(&EMPTY_LIST));
    }
    serde_json::to_string(&each_without_nul(texts)).map(Arc::from)
}

pub(super) fn each_without_nul(texts: &[String]) -> Json<Vec<Cow<'_, str>>> {
    Json(texts.iter().map(|text| without_nul(text)).collect())
}

/// A count as both databases store it.
pub(super) fn saturate(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_has_a_parameter_for_each_column() {
        assert_eq!(COLUMNS.split(',').count(), COLUMN_TYPES.len());
        let sqlite = insert_values_text(3, sqlite_parameter);
        assert_eq!(sqlite.matches('?').count(), 3 * COLUMN_TYPES.len());
        let postgres = insert_values_text(3, postgres_parameter);
        assert!(postgres.contains(" VALUES ($1, "));
        assert!(postgres.contains(", $24), ($25, "));
        assert!(postgres.contains(", $72) ON CONFLICT"));
        assert!(POSTGRES_ARRAYS_TEXT.contains(", $24::text[]) ON CONFLICT"));
    }
}
