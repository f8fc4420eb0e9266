//! The statements that insert audit records: one for a group of them, whatever its size.
//!
//! SQLite gets the values of each row as parameters: a JSON text that it takes apart itself costs nearly three times
//! as much (13.4 us a record against 4.8, in groups of 32). PostgreSQL gets one array a column.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::{Arc, LazyLock, OnceLock};

use sqlx::error::BoxDynError;
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
/// How many records one statement inserts on PostgreSQL.
const MAX_POSTGRES_ROWS: usize = 512;

static SQLITE_TEXTS: [OnceLock<Arc<str>>; MAX_SQLITE_ROWS] =
    [const { OnceLock::new() }; MAX_SQLITE_ROWS];
static POSTGRES_TEXT: LazyLock<String> = LazyLock::new(postgres_text);

/// A record that exists stays unchanged, so that a batch whose response was lost may be appended again.
fn sqlite_text(rows: usize) -> Arc<str> {
    let row = format!("({})", ["?"; COLUMN_TYPES.len()].join(", "));
    let rows = vec![row; rows].join(", ");
    format!("INSERT INTO audit_records ({COLUMNS}) VALUES {rows} ON CONFLICT (id) DO NOTHING")
        .into()
}

fn postgres_text() -> String {
    let mut arrays = String::new();
    for (index, kind) in COLUMN_TYPES.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        // Writing to a String cannot fail.
        let _ = write!(arrays, "{comma}${}::{kind}[]", index + 1);
    }
    format!(
        "INSERT INTO audit_records ({COLUMNS}) SELECT * FROM unnest({arrays}) ON CONFLICT (id) DO NOTHING"
    )
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
            let Some(text) = group
                .len()
                .checked_sub(1)
                .and_then(|row| SQLITE_TEXTS.get(row))
            else {
                return Err(sqlx::Error::Protocol(format!("a group of {}", group.len())));
            };
            let text = text.get_or_init(|| sqlite_text(group.len()));
            let rows = row_arguments(group).map_err(sqlx::Error::Encode)?;
            sqlx::query_with(AssertSqlSafe(Arc::clone(text)), rows)
                .execute(&mut **lease)
                .await
                .map(|done| done.rows_affected())
        }
        Either::Postgres(lease) => {
            let query = bind_columns(sqlx::query(POSTGRES_TEXT.as_str()), group);
            query
                .execute(&mut **lease)
                .await
                .map(|done| done.rows_affected())
        }
    }
}

type PostgresQuery<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

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

fn row_arguments(records: &[AuditRecord]) -> Result<SqliteArguments, BoxDynError> {
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

fn bind_columns<'q>(query: PostgresQuery<'q>, records: &[AuditRecord]) -> PostgresQuery<'q> {
    fn column<'a, T: 'a>(
        records: &'a [AuditRecord],
        value: impl Fn(&'a AuditRecord) -> T,
    ) -> Vec<T> {
        records.iter().map(value).collect()
    }
    query
        .bind(column(records, |record| record.id.0))
        .bind(column(records, |record| record.unix_millis))
        .bind(column(records, |record| record.event.as_str()))
        .bind(column(records, |record| record.outcome.as_str()))
        .bind(column(records, |record| record.user_id.map(|id| id.0)))
        .bind(column(records, |record| {
            record.username.as_deref().map(without_nul)
        }))
        .bind(column(records, |record| record.authentication.as_str()))
        .bind(column(records, |record| record.key_id.map(|id| id.0)))
        .bind(column(records, address_text))
        .bind(column(records, |record| record.dataset_id.map(|id| id.0)))
        .bind(column(records, |record| {
            record.resource_user_id.map(|id| id.0)
        }))
        .bind(column(records, |record| {
            record.action.map(TextEnum::as_str)
        }))
        .bind(column(records, |record| {
            each_without_nul(&record.determining_policies)
        }))
        .bind(column(records, |record| each_without_nul(&record.errors)))
        .bind(column(records, |record| {
            record.revision.as_ref().map(|revision| &*revision.0)
        }))
        .bind(column(records, |record| record.jti.map(|id| id.0)))
        .bind(column(records, |record| record.requests.map(saturate)))
        .bind(column(records, |record| record.bytes.map(saturate)))
        .bind(column(records, |record| {
            record.reason.as_deref().map(without_nul)
        }))
        .bind(column(records, |record| {
            record.request_id.as_deref().map(without_nul)
        }))
        .bind(column(records, |record| {
            record.client_request_id.as_deref().map(without_nul)
        }))
        .bind(column(records, |record| {
            record.asked_principal.as_deref().map(without_nul)
        }))
        .bind(column(records, |record| {
            record.asked_action.as_deref().map(without_nul)
        }))
        .bind(column(records, |record| {
            record.asked_resource.as_deref().map(without_nul)
        }))
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
        assert_eq!(sqlite_text(3).matches('?').count(), 3 * COLUMN_TYPES.len());
        assert!(POSTGRES_TEXT.contains(", $24::text[]) ON CONFLICT"));
    }
}
