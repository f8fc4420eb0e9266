//! Insertion of audit records through sqlx: each statement for a group of them.

use std::sync::Arc;

use sqlx::error::BoxDynError;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, AssertSqlSafe};

use super::audit_columns::{
    COLUMN_TYPES, MAX_POSTGRES_ROWS, MAX_SQLITE_ROWS, POSTGRES_ARRAYS_TEXT, address_text,
    each_value, each_without_nul, list_text, postgres_values_text, saturate, sqlite_text,
    without_nul,
};
use super::database::{Either, LentConnection};
use crate::domain::audit::AuditRecord;
use crate::domain::text_enum::TextEnum;

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
            let Some(text) = sqlite_text(group.len()) else {
                return Err(sqlx::Error::Protocol(format!("a group of {}", group.len())));
            };
            let rows = sqlite_rows(group).map_err(sqlx::Error::Encode)?;
            let query = sqlx::query_with(AssertSqlSafe(text), rows);
            Ok(query.execute(&mut **lease).await?.rows_affected())
        }
        Either::Postgres(lease) => {
            let (text, arguments) = match postgres_values_text(group.len()) {
                Some(text) => (text, postgres_rows(group)),
                None => (Arc::clone(&POSTGRES_ARRAYS_TEXT), postgres_columns(group)),
            };
            let arguments = arguments.map_err(sqlx::Error::Encode)?;
            let query = sqlx::query_with(AssertSqlSafe(text), arguments);
            Ok(query.execute(&mut **lease).await?.rows_affected())
        }
    }
}

fn sqlite_rows(records: &[AuditRecord]) -> Result<SqliteArguments, BoxDynError> {
    let mut row = SqliteArguments::default();
    row.reserve(records.len() * COLUMN_TYPES.len(), 0);
    for each in records {
        macro_rules! add {
            (|$record:ident| $value:expr) => {
                let $record = each;
                row.add($value)?;
            };
        }
        macro_rules! add_list {
            (|$record:ident| $texts:expr) => {
                let $record = each;
                row.add(list_text($texts)?)?;
            };
        }
        each_value!(add, add_list);
    }
    Ok(row)
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
        macro_rules! add_list {
            (|$record:ident| $texts:expr) => {
                let $record = each;
                arguments.add(each_without_nul($texts))?;
            };
        }
        each_value!(add, add_list);
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
    macro_rules! add_list {
        (|$record:ident| $texts:expr) => {
            let lists = records.iter().map(|$record| each_without_nul($texts));
            arguments.add(lists.collect::<Vec<_>>())?;
        };
    }
    each_value!(add, add_list);
    Ok(arguments)
}
