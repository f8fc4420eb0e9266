//! Audit records: appended in groups; only the totals of a record that stands for many requests grow.

use std::fmt;
use std::io;
use std::net::{AddrParseError, IpAddr};
use std::sync::Arc;
use std::time::Duration;

use sqlx::types::Json;
use uuid::Uuid;

use super::append_history::AppendHistory;
use super::audit_insert::{groups, insert};
use super::database::{CALL_TIMEOUT, Database, LentConnection, Transaction, on_either, run};
use super::error::StorageError;
use super::log_sync::LogSync;
use super::postgres_connections::MAX_AUDIT_CONNECTIONS;
use super::rows::from_columns;
use super::statements::select;
use crate::domain::audit::{AuditRecord, MintContext};
use crate::domain::decision::Revision;
use crate::domain::id::{ApiKeyId, DatasetId, RecordId, UserId};

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
    asked_principal: Option<String>,
    asked_action: Option<String>,
    asked_resource: Option<String>,
}

from_columns!(AuditRow {
    id,
    unix_millis,
    event,
    outcome,
    user_id,
    username,
    authentication,
    key_id,
    address,
    dataset_id,
    resource_user_id,
    action,
    determining_policies,
    errors,
    revision,
    jti,
    requests,
    bytes,
    reason,
    request_id,
    client_request_id,
    asked_principal,
    asked_action,
    asked_resource,
});

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
            asked_principal: self.asked_principal,
            asked_action: self.asked_action,
            asked_resource: self.asked_resource,
        })
    }
}

/// The address in a column; an unknown one is stored as the unspecified address, which no client has.
fn known_address(text: &str) -> Result<Option<IpAddr>, AddrParseError> {
    let address: IpAddr = text.parse()?;
    Ok(Some(address).filter(|address| !address.is_unspecified()))
}

const OPERATION: &str = "append audit records";
/// How long a quick sync takes at most. Where it takes longer, groups grow by themselves while it lasts.
const QUICK_SYNC: Duration = Duration::from_micros(750);

impl Database {
    /// Appends records; they are durable when it returns. If it fails, some of them may be.
    ///
    /// A record whose id is stored already stays unchanged, so a batch may be appended again if its response
    /// was lost. A NUL character is stored as U+FFFD.
    pub async fn append_audit_records(&self, records: &[AuditRecord]) -> Result<(), StorageError> {
        self.insert_audit_records(records)
            .await?
            .make_durable()
            .await
    }

    /// The first half of [`Database::append_audit_records`]: when it returns, other records may be inserted.
    pub async fn insert_audit_records(
        &self,
        records: &[AuditRecord],
    ) -> Result<InsertedRecords, StorageError> {
        let (history, log_sync) = match self {
            Self::Sqlite(connections) => (&connections.appends, Some(connections.log_sync.clone())),
            Self::Postgres(connections) => (&connections.appends, None),
        };
        if records.is_empty() {
            // That nothing was appended says nothing about the database.
            return Ok(InsertedRecords {
                history: None,
                log_sync: None,
            });
        }
        let inserted = InsertedRecords {
            history: Some(Arc::clone(history)),
            log_sync,
        };
        let result = run(CALL_TIMEOUT, OPERATION, "audit_records", async {
            match self.try_to_insert(records).await {
                // The connection was lent without a question; the next one is new.
                Err(error) if self.is_appender_broken(&error) => self.try_to_insert(records).await,
                result => result,
            }
        })
        .await;
        result
            .map(|()| inserted)
            .inspect_err(|_| history.note(false))
    }

    /// Like [`Database::insert_audit_records`], on this thread, which waits for no other writer; none where there are no
    /// records or where that fails, whatever the reason. Then some of the records may be inserted.
    ///
    /// The thread hangs for as long as the disk does not answer.
    pub fn try_insert_blocking(&self, records: &[AuditRecord]) -> Option<InsertedRecords> {
        let Self::Sqlite(connections) = self else {
            return None;
        };
        let log_sync = &connections.log_sync;
        if records.is_empty() || log_sync.is_broken() {
            return None;
        }
        // Whoever waits for the writing connection of this process is before it, and nobody writes beside it.
        let _reserved = connections.audit.try_reserve()?;
        let is_inserted = connections.blocking_appender.insert(records);
        is_inserted.then(|| InsertedRecords {
            history: Some(Arc::clone(&connections.appends)),
            log_sync: Some(log_sync.clone()),
        })
    }

    /// On which threads records can be appended.
    pub fn append_threads(&self) -> AppendThreads {
        match self {
            Self::Sqlite(connections) if connections.log_sync.is_in_memory() => AppendThreads::Any,
            Self::Sqlite(_) => AppendThreads::Blocking,
            Self::Postgres(_) => AppendThreads::None,
        }
    }

    async fn try_to_insert(&self, records: &[AuditRecord]) -> Result<(), sqlx::Error> {
        let mut appender = self.appender().await?;
        insert_all(&mut appender, records).await?;
        appender.leave_transaction();
        Ok(())
    }

    /// Whether records are durable soon after they are inserted, so that larger groups cost their callers nothing.
    ///
    /// A sync that takes long is itself what many records wait for, and a group that is held back comes late for it.
    pub fn is_sync_quick(&self) -> bool {
        match self {
            Self::Sqlite(connections) => connections.log_sync.usual_time() <= QUICK_SYNC,
            Self::Postgres(_) => true,
        }
    }

    /// How many groups of records can be inserted at a time.
    pub fn max_concurrent_inserts(&self) -> usize {
        match self {
            Self::Sqlite(_) => 1,
            Self::Postgres(_) => MAX_AUDIT_CONNECTIONS,
        }
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

/// On which threads [`Database::try_insert_blocking`] may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendThreads {
    /// On any: there is no disk to wait for.
    Any,
    /// On those for blocking calls.
    Blocking,
    /// On none: it would always fail.
    None,
}

/// Records that are inserted and not yet durable.
#[must_use = "they are not durable yet"]
pub struct InsertedRecords {
    /// Where the result is noted; nowhere if there are no records.
    history: Option<Arc<AppendHistory>>,
    /// What makes them durable, unless they are.
    log_sync: Option<LogSync>,
}

impl InsertedRecords {
    /// Returns once they are durable.
    pub async fn make_durable(self) -> Result<(), StorageError> {
        let result = match &self.log_sync {
            Some(log_sync) => {
                let sync = async { Ok(log_sync.sync().await?) };
                run(CALL_TIMEOUT, OPERATION, "audit_records", sync).await
            }
            None => Ok(()),
        };
        self.note(&result);
        result
    }

    /// Like [`InsertedRecords::make_durable`], on this thread, which waits for the disk: only on one of those that
    /// [`Database::append_threads`] allows.
    pub fn make_durable_blocking(self) -> Result<(), StorageError> {
        let result = self
            .log_sync
            .as_ref()
            .map_or(Ok(()), LogSync::sync_blocking);
        let classify =
            |error: io::Error| StorageError::classify(&error.into(), OPERATION, "audit_records");
        let result = result.map_err(classify);
        self.note(&result);
        result
    }

    fn note(&self, result: &Result<(), StorageError>) {
        if let Some(history) = &self.history {
            history.note(result.is_ok());
        }
    }
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
    connection: &mut LentConnection,
    records: &[AuditRecord],
) -> Result<(), sqlx::Error> {
    for group in groups(connection, records) {
        let inserted = insert(connection, group).await?;
        if inserted < group.len() as u64 {
            check_stored(connection, group).await?;
        }
    }
    Ok(())
}

/// Fails unless each of the records is stored: fewer were inserted, because they were appended before or because
/// something in the database (a trigger, a rule) left them out.
async fn check_stored(
    connection: &mut LentConnection,
    records: &[AuditRecord],
) -> Result<(), sqlx::Error> {
    const SQL: &str = "SELECT EXISTS (SELECT 1 FROM audit_records WHERE id = $1)";
    for record in records {
        let is_stored: bool = on_either!(&mut *connection, lease => {
            sqlx::query_scalar(SQL).bind(record.id.0).fetch_one(&mut **lease).await?
        });
        if !is_stored {
            let reason = "the database left out an audit record without an error";
            return Err(sqlx::Error::Protocol(reason.to_owned()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::database::with_timeout;
    use super::*;

    #[tokio::test]
    async fn a_thread_appends_nothing_while_another_caller_has_the_writing_connection() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("a.db").display());
        let database = Database::open(&url, 4).await.unwrap();
        database.migrate().await.unwrap();
        let record: AuditRecord = serde_json::from_value(json!({
            "id": RecordId::generate_at(1),
            "time": "2026-11-27T00:00:00Z",
            "event": "mint",
            "outcome": "denied",
            "authentication": "none",
            "determining_policies": [],
            "errors": [],
        }))
        .unwrap();
        let call = async {
            let writer = database.writer().await.unwrap();
            // It has no transaction: SQLite itself would let the thread in.
            let refused = database.try_insert_blocking(std::slice::from_ref(&record));
            assert!(refused.is_none());
            drop(writer);
            assert!(database.try_insert_blocking(&[record]).is_some());
            Ok(())
        };
        with_timeout(CALL_TIMEOUT, OPERATION, call).await.unwrap();
    }
}
