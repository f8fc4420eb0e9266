//! The audit trail: nothing is answered before its record is durable.
//!
//! Records are written by one task that commits whatever is waiting in one transaction, so that
//! many callers share the price of one `fsync`. This module refuses to know what a record means.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::domain::audit::{AuditRecord, Event, Outcome};
use crate::domain::id::RecordId;
use crate::storage::{Database, StorageError};

use super::error::ServiceError;

/// The most records that wait to be written; further ones are refused at once.
const MOST_WAITING: usize = 4096;
/// The most records of one transaction.
const MOST_TOGETHER: usize = 512;
/// How long a caller waits for its record; after that it is told that the audit log is away.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How many records one page of an export reads.
const EXPORT_PAGE: u32 = 1000;

struct Waiting {
    record: AuditRecord,
    is_durable: oneshot::Sender<Result<(), String>>,
}

/// Writes audit records durably, and reads them again.
pub struct AuditTrail {
    queue: Mutex<Option<mpsc::Sender<Waiting>>>,
    writer: Mutex<Option<JoinHandle<()>>>,
    is_failing: Arc<AtomicBool>,
}

impl AuditTrail {
    /// Starts the writer.
    #[must_use]
    pub fn start(database: Database) -> Self {
        let (queue, waiting) = mpsc::channel(MOST_WAITING);
        let is_failing = Arc::new(AtomicBool::new(false));
        let writer = tokio::spawn(write(database, waiting, Arc::clone(&is_failing)));
        Self {
            queue: Mutex::new(Some(queue)),
            writer: Mutex::new(Some(writer)),
            is_failing,
        }
    }

    /// Closes the record of what was asked for, and gives the answer back once it is durable.
    ///
    /// Requests that ask nothing (unreadable credentials), that were over their limit or that met
    /// something that is away are not on record: nothing was decided, and a flood of them must not
    /// become a flood of writes. They are counted in a metric.
    pub async fn close<T>(
        &self,
        mut record: AuditRecord,
        answer: Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        if let Err(error) = &answer {
            if is_undecided(error) {
                metrics::counter!("cedargate_undecided_total", "event" => record.event.as_str())
                    .increment(1);
                return answer;
            }
            record.reason.get_or_insert_with(|| error.to_string());
        }
        let (event, outcome) = (record.event, record.outcome);
        self.commit(record).await?;
        Self::count(event, outcome);
        answer
    }

    /// Counts something whose record is durable.
    pub fn count(event: Event, outcome: Outcome) {
        metrics::counter!(
            "cedargate_decided_total",
            "event" => event.as_str(),
            "outcome" => outcome.as_str()
        )
        .increment(1);
    }

    async fn commit(&self, record: AuditRecord) -> Result<(), ServiceError> {
        let (is_durable, durable) = oneshot::channel();
        let queue = self.queue.lock().ok().and_then(|queue| queue.clone());
        queue
            .ok_or("it is shutting down")
            .and_then(|queue| {
                queue
                    .try_send(Waiting { record, is_durable })
                    .map_err(|_| "its queue is full")
            })
            .map_err(|reason| unavailable(reason.to_owned()))?;
        match tokio::time::timeout(LONGEST_WAIT, durable).await {
            Ok(Ok(Ok(()))) => Ok(()),
            Ok(Ok(Err(reason))) => Err(unavailable(reason)),
            Ok(Err(_)) => Err(unavailable("its writer stopped".to_owned())),
            Err(_) => Err(unavailable("it did not answer in time".to_owned())),
        }
    }

    /// Reads all records in order, a page at a time, and hands each to `take`.
    pub async fn export<E>(
        database: &Database,
        mut take: impl FnMut(&AuditRecord) -> Result<(), E>,
    ) -> Result<Result<u64, E>, StorageError> {
        let mut after: Option<RecordId> = None;
        let mut count = 0;
        loop {
            let page = database.audit_page(after, EXPORT_PAGE).await?;
            for record in &page {
                if let Err(error) = take(record) {
                    return Ok(Err(error));
                }
                count += 1;
            }
            match page.last() {
                Some(last) => after = Some(last.id),
                None => return Ok(Ok(count)),
            }
        }
    }

    /// Whether the last records that were to be written were not.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    /// Writes what is waiting and stops.
    pub async fn stop(&self) {
        if let Ok(mut queue) = self.queue.lock() {
            queue.take();
        }
        let writer = self.writer.lock().ok().and_then(|mut writer| writer.take());
        if let Some(writer) = writer
            && writer.await.is_err()
        {
            tracing::error!("the audit writer died");
        }
    }
}

fn is_undecided(error: &ServiceError) -> bool {
    match error {
        ServiceError::CredentialMalformed { .. }
        | ServiceError::LimitExceeded { .. }
        | ServiceError::Unavailable { .. } => true,
        ServiceError::CredentialRefused { .. }
        | ServiceError::LoginRefused
        | ServiceError::CredentialMissing { .. }
        | ServiceError::DatasetNotFound
        | ServiceError::FileNotFound { .. }
        | ServiceError::ReadDenied
        | ServiceError::KeyLimited
        | ServiceError::ApiKeyNotFound
        | ServiceError::TooManyApiKeys
        | ServiceError::ApiKeyInvalid(_)
        | ServiceError::AdministrationDenied { .. }
        | ServiceError::NotFound { .. }
        | ServiceError::Conflict { .. }
        | ServiceError::Invalid { .. }
        | ServiceError::Overtaken
        | ServiceError::Internal { .. } => false,
    }
}

fn unavailable(reason: String) -> ServiceError {
    metrics::counter!("cedargate_audit_failures_total").increment(1);
    ServiceError::Unavailable {
        what: "the audit log",
        source: reason.into(),
    }
}

async fn write(
    database: Database,
    mut waiting: mpsc::Receiver<Waiting>,
    is_failing: Arc<AtomicBool>,
) {
    let mut together = Vec::with_capacity(MOST_TOGETHER);
    while waiting.recv_many(&mut together, MOST_TOGETHER).await > 0 {
        let (records, callers): (Vec<_>, Vec<_>) = together
            .drain(..)
            .map(|one| (one.record, one.is_durable))
            .unzip();
        let result = database
            .append_audit_records(&records)
            .await
            .map_err(|error| {
                tracing::error!(%error, records = records.len(), "audit records were not written");
                error.to_string()
            });
        is_failing.store(result.is_err(), Ordering::Relaxed);
        for is_durable in callers {
            // A caller that has gone away has been told nothing, which is right.
            let _ = is_durable.send(result.clone());
        }
    }
}
