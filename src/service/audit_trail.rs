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

use crate::domain::audit::{AuditEvent, AuditFilter, AuditOutcome, AuditRecord};
use crate::domain::id::RecordId;
use crate::domain::text_enum::TextEnum;
use crate::storage::{AuditOrder, Database, StorageError};

use super::error::ServiceError;

/// How many records wait to be written; further ones are rejected at once.
const MAX_QUEUED_RECORDS: usize = 4096;
/// How many records one transaction writes.
const MAX_BATCH_SIZE: usize = 512;
/// How long a caller waits for its record; after that the audit log counts as unavailable.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);
/// How many records one page of an export reads.
const EXPORT_PAGE_SIZE: u32 = 1000;

struct QueuedRecord {
    record: AuditRecord,
    reply: oneshot::Sender<Result<(), String>>,
}

/// Writes audit records durably, and reads them for export.
pub struct AuditTrail {
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
        let writer = tokio::spawn(run_writer(database, records, Arc::clone(&is_failing)));
        Self {
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
            Ok(Ok(Err(reason))) => Err(unavailable(&reason)),
            Ok(Err(_)) => Err(unavailable("its writer stopped")),
            Err(_) => Err(unavailable("it did not respond in time")),
        }
    }

    /// Reads all records in order, a page at a time, and calls `each` with every one.
    pub async fn export<E>(
        database: &Database,
        mut each: impl FnMut(&AuditRecord) -> Result<(), E>,
    ) -> Result<Result<u64, E>, StorageError> {
        let mut pages = AuditRecordPages::new(database.clone(), AuditFilter::default());
        let mut count = 0;
        while let Some(page) = pages.next().await? {
            for record in &page {
                if let Err(error) = each(record) {
                    return Ok(Err(error));
                }
                count += 1;
            }
        }
        Ok(Ok(count))
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

/// The records that match a filter, oldest first, a page at a time: however many there are, one page
/// of them is in memory.
pub struct AuditRecordPages {
    database: Database,
    filter: AuditFilter,
    after: Option<RecordId>,
    redact: Option<fn(&mut AuditRecord)>,
}

impl AuditRecordPages {
    /// Starts at the oldest record.
    #[must_use]
    pub fn new(database: Database, filter: AuditFilter) -> Self {
        Self {
            database,
            filter,
            after: None,
            redact: None,
        }
    }

    /// Changes every record before it is returned.
    #[must_use]
    pub fn redacted(self, redact: Option<fn(&mut AuditRecord)>) -> Self {
        Self { redact, ..self }
    }

    /// The next records, or nothing when there are no more.
    pub async fn next(&mut self) -> Result<Option<Vec<AuditRecord>>, StorageError> {
        let order = AuditOrder::OldestFirst(self.after);
        let mut page = self
            .database
            .search_audit_records(&self.filter, order, EXPORT_PAGE_SIZE)
            .await?;
        let Some(last) = page.last() else {
            return Ok(None);
        };
        self.after = Some(last.id);
        if let Some(redact) = self.redact {
            page.iter_mut().for_each(redact);
        }
        Ok(Some(page))
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
        let (records, replies): (Vec<_>, Vec<_>) = batch
            .drain(..)
            .map(|queued| (queued.record, queued.reply))
            .unzip();
        let result = database
            .append_audit_records(&records)
            .await
            .map_err(|error| {
                tracing::error!(%error, records = records.len(), "audit records not written");
                error.to_string()
            });
        is_failing.store(result.is_err(), Ordering::Relaxed);
        for reply in replies {
            // A caller that has disconnected got no response, which is right.
            let _ = reply.send(result.clone());
        }
    }
}
