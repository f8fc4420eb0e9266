//! The statements that insert audit records: each for a group of them.
//!
//! Each value is a parameter. A JSON text that SQLite takes apart itself costs nearly three times as much (13.4 us a record
//! against 4.8, in groups of 32). On PostgreSQL one array a column costs half as much again (25 us a record against 16, in
//! groups of 16), but a large group is one statement with it, so one round trip and one commit.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock, OnceLock};

use sqlx::error::BoxDynError;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::types::Json;
use sqlx::{Arguments as _, AssertSqlSafe};

use super::database::{Either, LentConnection};
use crate::domain::action::Action;
use crate::domain::audit::{AuditEvent, AuditOutcome, AuditRecord};
use crate::domain::caller::{Authentication, UNSPECIFIED_ADDRESS};
use crate::domain::text_enum::TextEnum;

/// All columns.
pub(super) const COLUMNS: &str = "id, unix_millis, event, outcome, user_id, username, authentication, key_id, \
    address, dataset_id, resource_user_id, action, determining_policies, errors, revision, jti, requests, bytes, \
    reason, request_id, client_request_id, asked_principal, asked_action, asked_resource";
/// The types of their values on PostgreSQL.
const COLUMN_TYPES: [&str; 24] = [
    "uuid", "bigint", "text", "text", "uuid", "text", "text", "uuid", "text", "uuid", "uuid",
    "text", "jsonb", "jsonb", "text", "uuid", "bigint", "bigint", "text", "text", "text", "text",
    "text", "text",
];
/// How many records one statement inserts on SQLite, which has a text for each number up to this: a connection
/// keeps no more than so many prepared.
const MAX_SQLITE_ROWS: usize = 64;
/// How many records one statement inserts on PostgreSQL, and how many with a parameter for each value: it keeps a plan for
/// each number of them.
const MAX_POSTGRES_ROWS: usize = 512;
const MAX_POSTGRES_VALUES_ROWS: usize = 32;

static SQLITE_TEXTS: [OnceLock<Arc<str>>; MAX_SQLITE_ROWS] =
    [const { OnceLock::new() }; MAX_SQLITE_ROWS];
static POSTGRES_TEXTS: [OnceLock<Arc<str>>; MAX_POSTGRES_VALUES_ROWS] =
    [const { OnceLock::new() }; MAX_POSTGRES_VALUES_ROWS];
static POSTGRES_ARRAYS_TEXT: LazyLock<Arc<str>> = LazyLock::new(arrays_text);

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

/// Cuts records into groups that one statement inserts.
pub(super) fn groups<'a>(
    connection: &LentConnection,
    records: &'a [AuditRecord],
) -> impl Iterator<Item = &'a [AuditRecord]> + use<'a> {
    records.chunks(match connection {
        Either::Sqlite(_) => MAX_SQLITE_ROWS,
        Either::Postgres(_) => MAX_POSTGRES_ROWS,
    })
}

/// Inserts one group of records with one statement, and returns how many were not stored before.
///
/// A NUL character is stored as U+FFFD.
pub(super) async fn insert(
    connection: &mut LentConnection,
    group: &[AuditRecord],
) -> Result<u64, sqlx::Error> {
    match connection {
        Either::Sqlite(lease) => {
            let Some(text) = values_text(&SQLITE_TEXTS, group.len(), sqlite_parameter) else {
                return Err(sqlx::Error::Protocol(format!("a group of {}", group.len())));
            };
            let rows = sqlite_rows(group).map_err(sqlx::Error::Encode)?;
            let query = sqlx::query_with(AssertSqlSafe(text), rows);
            Ok(query.execute(&mut **lease).await?.rows_affected())
        }
        Either::Postgres(lease) => {
            let (text, arguments) =
                match values_text(&POSTGRES_TEXTS, group.len(), postgres_parameter) {
                    Some(text) => (text, postgres_rows(group)),
                    None => (Arc::clone(&POSTGRES_ARRAYS_TEXT), postgres_columns(group)),
                };
            let arguments = arguments.map_err(sqlx::Error::Encode)?;
            let query = sqlx::query_with(AssertSqlSafe(text), arguments);
            Ok(query.execute(&mut **lease).await?.rows_affected())
        }
    }
}

/// The words of enums. sqlx copies a text that it does not share, twice.
static EVENTS: LazyLock<Vec<Arc<str>>> = LazyLock::new(words::<AuditEvent>);
static OUTCOMES: LazyLock<Vec<Arc<str>>> = LazyLock::new(words::<AuditOutcome>);
static AUTHENTICATIONS: LazyLock<Vec<Arc<str>>> = LazyLock::new(words::<Authentication>);
static ACTIONS: LazyLock<Vec<Arc<str>>> = LazyLock::new(words::<Action>);
/// A list without items, as JSON.
static EMPTY_LIST: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from("[]"));

fn words<T: TextEnum>() -> Vec<Arc<str>> {
    T::VARIANTS.iter().map(|word| Arc::from(*word)).collect()
}

fn sqlite_rows(records: &[AuditRecord]) -> Result<SqliteArguments, BoxDynError> {
    let mut row = SqliteArguments::default();
    row.reserve(records.len() * COLUMN_TYPES.len(), 0);
    for record in records {
        row.add(record.id.0)?;
        row.add(record.unix_millis)?;
        row.add(EVENTS.get(record.event as usize).cloned())?;
        row.add(OUTCOMES.get(record.outcome as usize).cloned())?;
        row.add(record.user_id.map(|id| id.0))?;
        row.add(shared_text(record.username.as_deref()))?;
        row.add(AUTHENTICATIONS.get(record.authentication as usize).cloned())?;
        row.add(record.key_id.map(|id| id.0))?;
        row.add(address_text(record))?;
        row.add(record.dataset_id.map(|id| id.0))?;
        row.add(record.resource_user_id.map(|id| id.0))?;
        row.add(
            record
                .action
                .and_then(|action| ACTIONS.get(action as usize).cloned()),
        )?;
        row.add(list_text(&record.determining_policies)?)?;
        row.add(list_text(&record.errors)?)?;
        row.add(
            record
                .revision
                .as_ref()
                .map(|revision| Arc::clone(&revision.0)),
        )?;
        row.add(record.jti.map(|id| id.0))?;
        row.add(record.requests.map(saturate))?;
        row.add(record.bytes.map(saturate))?;
        row.add(shared_text(record.reason.as_deref()))?;
        row.add(shared_text(record.request_id.as_deref()))?;
        row.add(shared_text(record.client_request_id.as_deref()))?;
        row.add(shared_text(record.asked_principal.as_deref()))?;
        row.add(shared_text(record.asked_action.as_deref()))?;
        row.add(shared_text(record.asked_resource.as_deref()))?;
    }
    Ok(row)
}

/// Calls a macro with the value of each column of a record on PostgreSQL, in the order of [`COLUMNS`].
macro_rules! each_postgres_value {
    ($call:ident) => {
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
        $call!(|record| each_without_nul(&record.determining_policies));
        $call!(|record| each_without_nul(&record.errors));
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

/// The values of the records, one record after the other.
fn postgres_rows(records: &[AuditRecord]) -> Result<PgArguments, BoxDynError> {
    let mut arguments = PgArguments::default();
    arguments.reserve(records.len() * COLUMN_TYPES.len(), 0);
    for each in records {
        macro_rules! add {
            (|$record:ident| $value:expr) => {
                let $record = each;
                arguments.add($value)?;
            };
        }
        each_postgres_value!(add);
    }
    Ok(arguments)
}

/// The values of the records, one array a column.
fn postgres_columns(records: &[AuditRecord]) -> Result<PgArguments, BoxDynError> {
    let mut arguments = PgArguments::default();
    macro_rules! add {
        (|$record:ident| $value:expr) => {
            let values: Vec<_> = records.iter().map(|$record| $value).collect();
            arguments.add(values)?;
        };
    }
    each_postgres_value!(add);
    Ok(arguments)
}

fn address_text(record: &AuditRecord) -> String {
    record.address.unwrap_or(UNSPECIFIED_ADDRESS).to_string()
}

/// Replaces NUL, which PostgreSQL cannot store in a text: one such record must not fail a whole batch.
fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

fn shared_text(text: Option<&str>) -> Option<Arc<str>> {
    text.map(|text| Arc::from(without_nul(text)))
}

fn list_text(texts: &[String]) -> serde_json::Result<Arc<str>> {
    if texts.is_empty() {
        return Ok(Arc::clone(&EMPTY_LIST));
    }
    serde_json::to_string(&each_without_nul(texts)).map(Arc::from)
}

fn each_without_nul(texts: &[String]) -> Json<Vec<Cow<'_, str>>> {
    Json(texts.iter().map(|text| without_nul(text)).collect())
}

/// A count as both databases store it.
pub(super) fn saturate(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use strum::VariantArray;

    use super::*;

    #[test]
    fn the_words_of_enums_are_those_of_their_variants() {
        fn assert_words<T: TextEnum + VariantArray>(words: &[Arc<str>], index: fn(T) -> usize) {
            for variant in <T as VariantArray>::VARIANTS {
                assert_eq!(&*words[index(*variant)], variant.as_str());
            }
        }
        assert_words::<AuditEvent>(&EVENTS, |event| event as usize);
        assert_words::<AuditOutcome>(&OUTCOMES, |outcome| outcome as usize);
        assert_words::<Authentication>(&AUTHENTICATIONS, |word| word as usize);
        assert_words::<Action>(&ACTIONS, |action| action as usize);
    }

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
