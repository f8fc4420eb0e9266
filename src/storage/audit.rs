//! Audit records: appended in groups; only the totals of a record that stands for many requests grow.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::net::{AddrParseError, IpAddr};
use std::sync::{Arc, LazyLock};

use sqlx::AssertSqlSafe;
use sqlx::types::Json;
use uuid::Uuid;

use super::database::{CALL_TIMEOUT, Database, Transaction, on_either, run};
use super::error::StorageError;
use super::statements::{execute, select};
use crate::domain::audit::{AuditRecord, MintContext};
use crate::domain::caller::UNSPECIFIED_ADDRESS;
use crate::domain::decision::Revision;
use crate::domain::id::{ApiKeyId, DatasetId, RecordId, UserId};
use crate::domain::text_enum::TextEnum;

pub(super) const COLUMNS: &str = "id, unix_millis, event, outcome, user_id, username, authentication, key_id, \
    address, dataset_id, resource_user_id, action, determining_policies, errors, revision, jti, requests, bytes, \
    reason, request_id, client_request_id";
const COLUMN_COUNT: usize = 21;

/// How many records one statement inserts: a batch is cut into these, largest first, so that a
/// connection prepares no more than four texts and a statement still carries many records.
const CHUNK_SIZES: [usize; 4] = [64, 16, 4, 1];

static INSERT_STATEMENTS: LazyLock<[(usize, Arc<str>); 4]> =
    LazyLock::new(|| CHUNK_SIZES.map(|records| (records, insert_statement(records).into())));

/// The statement that inserts so many records.
///
/// A record that exists stays unchanged, so that a batch whose response was lost may be appended again.
fn insert_statement(records: usize) -> String {
    let mut sql = format!("INSERT INTO audit_records ({COLUMNS}) VALUES ");
    for parameter in 1..=records * COLUMN_COUNT {
        let before = match parameter % COLUMN_COUNT {
            1 if parameter == 1 => "(",
            1 => "), (",
            _ => ", ",
        };
        // Writing to a String cannot fail.
        let _ = write!(sql, "{before}${parameter}");
    }
    sql.push_str(") ON CONFLICT (id) DO NOTHING");
    sql
}

/// Cuts a batch into chunks, each with its statement.
fn chunks(mut records: &[AuditRecord]) -> Vec<(&'static Arc<str>, &[AuditRecord])> {
    let mut chunks = Vec::new();
    for (size, sql) in INSERT_STATEMENTS.iter() {
        while let Some((chunk, rest)) = records.split_at_checked(*size) {
            chunks.push((sql, chunk));
            records = rest;
        }
    }
    chunks
}

/// Replaces NUL, which PostgreSQL cannot store in a text: one such record must not fail a whole batch.
fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

fn each_without_nul(texts: &[String]) -> Json<Vec<Cow<'_, str>>> {
    Json(texts.iter().map(|text| without_nul(text)).collect())
}

/// A count as both databases store it.
fn saturate(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[derive(sqlx::FromRow)]
pub(super) struct AuditRow {
    id: Uuid,
    unix_millis: i64,
    event: String,
    outcome: String,
    user_id: Option<Uuid>,
    username: Option<String>,
    authentication: String,
    key_id: Option<Uuid>,
    address: String,
    dataset_id: Option<Uuid>,
    resource_user_id: Option<Uuid>,
    action: Option<String>,
    determining_policies: Json<Vec<String>>,
    errors: Json<Vec<String>>,
    revision: Option<String>,
    jti: Option<Uuid>,
    requests: Option<i64>,
    bytes: Option<i64>,
    reason: Option<String>,
    request_id: Option<String>,
    client_request_id: Option<String>,
}

impl AuditRow {
    pub(super) fn into_record(self) -> Result<AuditRecord, StorageError> {
        let id = RecordId(self.id);
        let corrupt = |column: &str, error: &dyn fmt::Display| StorageError::Corrupt {
            table: "audit_records",
            detail: format!("record {id}: {column}: {error}"),
        };
        Ok(AuditRecord {
            id,
            unix_millis: self.unix_millis,
            event: self.event.parse().map_err(|e| corrupt("event", &e))?,
            outcome: self.outcome.parse().map_err(|e| corrupt("outcome", &e))?,
            user_id: self.user_id.map(UserId),
            username: self.username,
            authentication: self
                .authentication
                .parse()
                .map_err(|e| corrupt("authentication", &e))?,
            key_id: self.key_id.map(ApiKeyId),
            address: known_address(&self.address).map_err(|e| corrupt("address", &e))?,
            dataset_id: self.dataset_id.map(DatasetId),
            resource_user_id: self.resource_user_id.map(UserId),
            action: self
                .action
                .map(|action| action.parse().map_err(|e| corrupt("action", &e)))
                .transpose()?,
            determining_policies: self.determining_policies.0,
            errors: self.errors.0,
            revision: self.revision.map(|revision| Revision(revision.into())),
            jti: self.jti.map(RecordId),
            requests: self.requests.map(i64::unsigned_abs),
            bytes: self.bytes.map(i64::unsigned_abs),
            reason: self.reason,
            request_id: self.request_id,
            client_request_id: self.client_request_id,
        })
    }
}

/// The address in a column; an unknown one is stored as the unspecified address, which no client has.
fn known_address(text: &str) -> Result<Option<IpAddr>, AddrParseError> {
    let address: IpAddr = text.parse()?;
    Ok(Some(address).filter(|address| !address.is_unspecified()))
}

impl Database {
    /// Appends records in one transaction; they are durable when it returns.
    ///
    /// A record whose id is stored already stays unchanged, so a batch may be appended again if its response
    /// was lost. A NUL character is stored as U+FFFD.
    pub async fn append_audit_records(&self, records: &[AuditRecord]) -> Result<(), StorageError> {
        if records.is_empty() {
            return Ok(());
        }
        let operation = "append audit records";
        let result = run(CALL_TIMEOUT, operation, "audit_records", async {
            let mut transaction = self.begin_appending().await?;
            insert_all(&mut transaction, records).await?;
            transaction.commit().await
        })
        .await;
        self.append_history().note(result.is_ok());
        result
    }

    /// Writes the totals of records in one transaction. Totals only grow, so that they may be written again if
    /// the response was lost.
    pub async fn write_record_totals(&self, totals: &[RecordTotals]) -> Result<(), StorageError> {
        // A record that has no bytes is of requests that have none.
        const SQL: &str = "UPDATE audit_records
            SET requests = $2, bytes = CASE WHEN bytes IS NULL THEN NULL ELSE $3 END
            WHERE id = $1 AND (requests < $2 OR bytes < $3)";
        if totals.is_empty() {
            return Ok(());
        }
        let operation = "write the totals of audit records";
        run(CALL_TIMEOUT, operation, "audit_records", async {
            let mut transaction = self.begin_appending().await?;
            for RecordTotals {
                id,
                requests,
                bytes,
            } in totals
            {
                let (requests, bytes) = (saturate(*requests), saturate(*bytes));
                execute!(&mut transaction, SQL, id.0, requests, bytes)?;
            }
            transaction.commit().await
        })
        .await
    }

    /// Finds how the caller of a granted mint had authenticated, by the `jti` of the token, which is the id of
    /// the mint's record.
    pub async fn find_mint_context(
        &self,
        id: RecordId,
    ) -> Result<Option<MintContext>, StorageError> {
        const SQL: &str = "SELECT authentication, key_id FROM audit_records
            WHERE id = $1 AND event = 'mint' AND outcome = 'granted'";
        let operation = "find a mint";
        let row: Option<(String, Option<Uuid>)> =
            select!(self, operation, "audit_records", fetch_optional(SQL, id.0)).await?;
        row.map(|(word, key_id)| {
            let authentication = word.parse().map_err(|error| StorageError::Corrupt {
                table: "audit_records",
                detail: format!("record {id}: {error}"),
            })?;
            let key_id = key_id.map(ApiKeyId);
            Ok(MintContext {
                authentication,
                key_id,
            })
        })
        .transpose()
    }
}

/// What the requests of one record amount to by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordTotals {
    /// The record.
    pub id: RecordId,
    /// How many requests it stands for.
    pub requests: u64,
    /// How many bytes were sent for them.
    pub bytes: u64,
}

/// Appends records within a transaction. Whatever the reason, a record that cannot be appended means that
/// the audit log is unavailable, and the change of the transaction is not made.
pub(super) async fn append(
    transaction: &mut Transaction,
    records: &[AuditRecord],
) -> Result<(), sqlx::Error> {
    insert_all(transaction, records).await.map_err(|error| {
        let reason = format!("audit records not appended: {error}");
        sqlx::Error::Io(std::io::Error::other(reason))
    })
}

/// Like [`append`], with the database's own error: the audit writer has to know a record that is rejected.
pub(super) async fn insert_all(
    transaction: &mut Transaction,
    records: &[AuditRecord],
) -> Result<(), sqlx::Error> {
    for (sql, chunk) in chunks(records) {
        let inserted = insert(transaction, sql, chunk).await?;
        if inserted < chunk.len() as u64 {
            check_stored(transaction, chunk).await?;
        }
    }
    Ok(())
}

/// Fails unless each of the records is stored: fewer were inserted, because they were appended before or because
/// something in the database (a trigger, a rule) left them out.
async fn check_stored(
    transaction: &mut Transaction,
    records: &[AuditRecord],
) -> Result<(), sqlx::Error> {
    const SQL: &str = "SELECT EXISTS (SELECT 1 FROM audit_records WHERE id = $1)";
    for record in records {
        let is_stored: bool = on_either!(&mut *transaction, connection => {
            sqlx::query_scalar(SQL).bind(record.id.0).fetch_one(&mut **connection).await?
        });
        if !is_stored {
            let reason = "the database left out an audit record without an error";
            return Err(sqlx::Error::Protocol(reason.to_owned()));
        }
    }
    Ok(())
}

async fn insert(
    transaction: &mut Transaction,
    sql: &Arc<str>,
    records: &[AuditRecord],
) -> Result<u64, sqlx::Error> {
    on_either!(transaction, connection => {
        let mut query = sqlx::query(AssertSqlSafe(Arc::clone(sql)));
        for record in records {
            query = query
                .bind(record.id.0)
                .bind(record.unix_millis)
                .bind(record.event.as_str())
                .bind(record.outcome.as_str())
                .bind(record.user_id.map(|id| id.0))
                .bind(record.username.as_deref().map(without_nul))
                .bind(record.authentication.as_str())
                .bind(record.key_id.map(|id| id.0))
                .bind(record.address.unwrap_or(UNSPECIFIED_ADDRESS).to_string())
                .bind(record.dataset_id.map(|id| id.0))
                .bind(record.resource_user_id.map(|id| id.0))
                .bind(record.action.map(TextEnum::as_str))
                .bind(each_without_nul(&record.determining_policies))
                .bind(each_without_nul(&record.errors))
                .bind(record.revision.as_ref().map(|revision| &*revision.0))
                .bind(record.jti.map(|id| id.0))
                .bind(record.requests.map(saturate))
                .bind(record.bytes.map(saturate))
                .bind(record.reason.as_deref().map(without_nul))
                .bind(record.request_id.as_deref().map(without_nul))
                .bind(record.client_request_id.as_deref().map(without_nul));
        }
        query.execute(&mut **connection).await.map(|done| done.rows_affected())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_insert_has_one_parameter_a_column_and_record() {
        let sql = insert_statement(2);
        assert_eq!(COLUMNS.split(',').count(), COLUMN_COUNT);
        assert!(sql.contains("$20, $21), ($22, $23,"), "{sql}");
        assert!(sql.contains("$41, $42) ON CONFLICT"), "{sql}");
    }
}
