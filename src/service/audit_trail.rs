//! The audit trail: no response leaves before its record is durable.
//!
//! Records are written by one task that commits all waiting records in one transaction, so that
//! many callers share the cost of one `fsync`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::domain::audit::{AuditEvent, AuditOutcome, AuditRecord};
use crate::domain::text_enum::TextEnum;
use crate::storage::{Database, StorageError};

use super::audit_reader::AuditReader;
use super::error::ServiceError;

/// How many records wait to be written; further ones are rejected at once.
const MAX_QUEUED_RECORDS: usize = 4096;
/// How many records one transaction writes.
const MAX_BATCH_SIZE: usize = 512;
/// How long a caller waits for its record; after that the audit log counts as unavailable.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

struct QueuedRecord {
    record: AuditRecord,
    reply: oneshot::Sender<Result<(), StorageError>>,
}

/// Writes audit records durably.
pub struct AuditTrail {
    /// Reads them again.
    pub reader: AuditReader,
    queue: Mutex<Option<mpsc::Sender<QueuedRecord>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    is_failing: Arc<AtomicBool>,
}

impl AuditTrail {
    /// Starts the writer.
    #[must_use]
    pub fn start(database: Database) -> Self {
        let (queue, records) = mpsc::channel(MAX_QUEUED_RECORDS);
        let is_failing = Arc::new(AtomicBool::new(false));
        let reader = AuditReader::new(database.clone());
        let writer = tokio::spawn(run_writer(database, records, Arc::clone(&is_failing)));
        Self {
            reader,
            queue: Mutex::new(Some(queue)),
            writer: Mutex::new(Some(writer)),
            is_failing,
        }
    }

    /// Closes the record of a request, and returns the request's result once the record is durable.
    ///
    /// Requests that ask nothing (malformed credentials), that exceed a rate limit or that fail because
    /// something is unavailable are not recorded: nothing was decided, and a flood of them must not
    /// become a flood of writes. They are counted in a metric.
    pub async fn close_record<T>(
        &self,
        mut record: AuditRecord,
        result: Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        if let Err(error) = &result {
            if is_undecided(error) {
                metrics::counter!("cedargate_undecided_total", "event" => record.event.as_str())
                    .increment(1);
                return result;
            }
            record.reason.get_or_insert_with(|| error.to_string());
        }
        let (event, outcome) = (record.event, record.outcome);
        self.write_durably(record).await?;
        Self::count_outcome(event, outcome);
        result
    }

    /// Closes the record of a request whose change, if it succeeded, committed the record with it.
    pub async fn close_unless_committed<T>(
        &self,
        record: AuditRecord,
        result: Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        if result.is_ok() {
            Self::count_outcome(record.event, record.outcome);
            return result;
        }
        self.close_record(record, result).await
    }

    /// Counts an outcome whose record is durable.
    pub fn count_outcome(event: AuditEvent, outcome: AuditOutcome) {
        metrics::counter!(
            "cedargate_decided_total",
            "event" => event.as_str(),
            "outcome" => outcome.as_str()
        )
        .increment(1);
    }

    async fn write_durably(&self, record: AuditRecord) -> Result<(), ServiceError> {
        let (reply, durable) = oneshot::channel();
        let queue = self.queue.lock().clone();
        queue
            .ok_or("it is shutting down")
            .and_then(|queue| {
                queue
                    .try_send(QueuedRecord { record, reply })
                    .map_err(|_| "its queue is full")
            })
            .map_err(unavailable)?;
        match tokio::time::timeout(WRITE_TIMEOUT, durable).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(error))) => Err(unavailable(&error.to_string())),
            Ok(Err(_)) => Err(unavailable("its writer stopped")),
            Err(_) => Err(unavailable("it did not respond in time")),
        }
    }

    /// Whether the last write failed.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    /// Writes the queued records and stops.
    pub async fn stop(&self) {
        self.queue.lock().take();
        let writer = self.writer.lock().take();
        if let Some(writer) = writer
            && writer.await.is_err()
        {
            tracing::error!("audit writer panicked");
        }
    }
}

fn is_undecided(error: &ServiceError) -> bool {
    matches!(
        error,
        ServiceError::CredentialMalformed { .. }
            | ServiceError::LimitExceeded { .. }
            | ServiceError::Unavailable { .. }
    )
}

fn unavailable(reason: &str) -> ServiceError {
    metrics::counter!("cedargate_audit_failures_total").increment(1);
    ServiceError::unavailable("the audit log", reason)
}

async fn run_writer(
    database: Database,
    mut queue: mpsc::Receiver<QueuedRecord>,
    is_failing: Arc<AtomicBool>,
) {
    let mut batch = Vec::with_capacity(MAX_BATCH_SIZE);
    while queue.recv_many(&mut batch, MAX_BATCH_SIZE).await > 0 {
        // Nobody waits for the record of a caller that has given up: it was answered that nothing was done.
        batch.retain(|queued| !queued.reply.is_closed());
        let queued = std::mem::take(&mut batch);
        let is_written = write_batch(&database, queued).await;
        is_failing.store(!is_written, Ordering::Relaxed);
    }
}

/// Writes a batch in one transaction; returns whether any of it was written.
///
/// If the database rejects the batch, one record of it may be the cause: its halves are tried, and so on, so
/// that the others are written.
async fn write_batch(database: &Database, batch: Vec<QueuedRecord>) -> bool {
    let mut is_written = false;
    let mut pending = vec![batch];
    while let Some(mut batch) = pending.pop() {
        let (records, replies): (Vec<_>, Vec<_>) = batch
            .drain(..)
            .map(|queued| (queued.record, queued.reply))
            .unzip();
        let result = database.append_audit_records(&records).await;
        match result {
            Err(error) if records.len() > 1 && is_rejected(&error) => {
                let mut queued = records.into_iter().zip(replies);
                let half = queued.len() / 2;
                let into_queued = |(record, reply)| QueuedRecord { record, reply };
                let first: Vec<_> = queued.by_ref().take(half).map(into_queued).collect();
                let rest: Vec<_> = queued.map(into_queued).collect();
                pending.extend([rest, first]);
            }
            result => {
                is_written |= result.is_ok();
                let result = result.map_err(|error| {
                    tracing::error!(%error, records = records.len(), "audit records not written");
                    error
                });
                for reply in replies {
                    // A caller that has disconnected got no response, which is right.
                    let _ = reply.send(result.clone());
                }
            }
        }
    }
    is_written
}

/// Whether the database is well and a record is not.
fn is_rejected(error: &StorageError) -> bool {
    match error {
        StorageError::Inconsistent { .. }
        | StorageError::Corrupt { .. }
        | StorageError::Failed { .. } => true,
        StorageError::Unavailable { .. }
        | StorageError::Conflict { .. }
        | StorageError::NewerSchema { .. }
        | StorageError::Migrate { .. }
        | StorageError::Url { .. } => false,
    }
}
