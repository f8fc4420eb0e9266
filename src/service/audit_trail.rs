//! The audit trail: no response leaves before its record is durable.
//!
//! Records wait in groups ([`mod@super::audit_queue`]) for the writer ([`mod@super::audit_writer`]), so that many callers
//! share the cost of one `fsync`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::Either;
use metrics::Counter;
use parking_lot::Mutex;
use strum::VariantArray;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::domain::audit::{AuditEvent, AuditOutcome, AuditRecord};
use crate::domain::text_enum::TextEnum;
use crate::storage::Database;

use super::audit_queue::{AuditQueue, Unwritten};
use super::audit_reader::AuditReader;
use super::audit_writer::run_writer;
use super::disk_space::DiskSpace;
use super::error::ServiceError;
use super::folded_records::{CountedRequest, FLUSH_INTERVAL, FoldedCredential, FoldedRecords};

/// How long the last totals may take at a shutdown.
const FINAL_FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// The counters by event and outcome, looked up once.
static DECIDED: [[OnceLock<Counter>; AuditOutcome::VARIANTS.len()]; AuditEvent::VARIANTS.len()] =
    [const { [const { OnceLock::new() }; AuditOutcome::VARIANTS.len()] };
        AuditEvent::VARIANTS.len()];

/// Writes audit records durably.
pub struct AuditTrail {
    /// Reads them again.
    pub reader: AuditReader,
    /// The space that is kept for them.
    pub disk_space: Arc<DiskSpace>,
    database: Database,
    folded: Arc<FoldedRecords>,
    stop_flushing: CancellationToken,
    flusher: Mutex<Option<JoinHandle<()>>>,
    queue: Arc<AuditQueue>,
    writer: Mutex<Option<JoinHandle<()>>>,
    is_failing: Arc<AtomicBool>,
}

impl AuditTrail {
    /// Starts the writer.
    #[must_use]
    pub fn start(database: Database, disk_space: Arc<DiskSpace>) -> Self {
        let queue = Arc::new(AuditQueue::new());
        let is_failing = Arc::new(AtomicBool::new(false));
        let reader = AuditReader::new(database.clone());
        let writer = run_writer(
            database.clone(),
            Arc::clone(&queue),
            Arc::clone(&is_failing),
        );
        let writer = tokio::spawn(writer);
        let (watched, failing) = (Arc::clone(&queue), Arc::clone(&is_failing));
        tokio::spawn(async move { watched.watch_time(&failing).await });
        let folded = Arc::new(FoldedRecords::new());
        let stop_flushing = CancellationToken::new();
        let flusher = run_flusher(database.clone(), Arc::clone(&folded), stop_flushing.clone());
        Self {
            reader,
            disk_space,
            database,
            folded,
            stop_flushing,
            flusher: Mutex::new(Some(tokio::spawn(flusher))),
            queue,
            writer: Mutex::new(Some(writer)),
            is_failing,
        }
    }

    /// Closes the record of a request, and returns the request's result once the record is durable.
    ///
    /// Requests that ask nothing (malformed credentials), that exceed a rate limit or that fail because
    /// something is unavailable are not recorded: nothing was decided, and a flood of them must not
    /// become a flood of writes. They are counted in a metric.
    ///
    /// The record is queued when this is called: the future holds no more than is needed to wait for it.
    pub fn close_record<T>(
        &self,
        mut record: AuditRecord,
        result: Result<T, ServiceError>,
    ) -> impl Future<Output = Result<T, ServiceError>> {
        let closing = require_decided(&mut record, result).map(|result| {
            let (event, outcome) = (record.event, record.outcome);
            let writing = if is_failed_sign_in(&record) {
                // Whoever tries again and again must not fill the disk.
                let counting = self.count_in_record(FoldedCredential::None, record);
                Either::Right(Box::pin(counting))
            } else {
                Either::Left(self.write_durably(record))
            };
            (writing, event, outcome, result)
        });
        async move {
            let (writing, event, outcome, result) = closing?;
            match writing {
                Either::Left(writing) => writing.await?,
                Either::Right(counting) => drop(counting.await?),
            }
            Self::count_outcome(event, outcome);
            result
        }
    }

    /// Closes the record of a request that is one of many: it is counted in the record of those like it.
    ///
    /// `admit_refusal` is asked before a record of its own is written for a request that was not granted.
    pub async fn close_folded_record<T>(
        &self,
        credential: FoldedCredential,
        mut record: AuditRecord,
        result: Result<T, ServiceError>,
        admit_refusal: impl FnOnce(&AuditRecord) -> Result<(), ServiceError>,
    ) -> Result<(T, CountedRequest), ServiceError> {
        let result = require_decided(&mut record, result)?;
        let counted = if let Some(counted) = self.count_further(credential, &record) {
            counted
        } else {
            if result.is_err() {
                admit_refusal(&record)?;
            }
            let (event, outcome) = (record.event, record.outcome);
            let counted = self.count_in_record(credential, record).await?;
            Self::count_outcome(event, outcome);
            counted
        };
        result.map(|value| (value, counted))
    }

    /// Counts a request in the record of those like it, if there is one already; if not,
    /// [`AuditTrail::close_folded_record`] writes one.
    pub fn count_further(
        &self,
        credential: FoldedCredential,
        record: &AuditRecord,
    ) -> Option<CountedRequest> {
        let counted = self.folded.count_further(credential, record)?;
        Self::count_outcome(record.event, record.outcome);
        Some(counted)
    }

    async fn count_in_record(
        &self,
        credential: FoldedCredential,
        record: AuditRecord,
    ) -> Result<CountedRequest, ServiceError> {
        let write = async |record| self.write_durably(record).await;
        self.folded.count(credential, record, write).await
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
        let of_event = DECIDED.get(event as usize);
        let Some(counter) = of_event.and_then(|counters| counters.get(outcome as usize)) else {
            return;
        };
        let counter = counter.get_or_init(|| {
            metrics::counter!(
                "cedargate_decided_total",
                "event" => event.as_str(),
                "outcome" => outcome.as_str()
            )
        });
        counter.increment(1);
    }

    /// Queues a record; the future returns when it is durable.
    fn write_durably(
        &self,
        record: AuditRecord,
    ) -> impl Future<Output = Result<(), ServiceError>> + use<> {
        let queued = self.queue.push(record);
        async move {
            let outcome = match queued {
                Ok(place) => place.outcome().await,
                Err(unwritten) => Err(unwritten),
            };
            outcome.map_err(|unwritten| match unwritten {
                Unwritten::QueueFull => unavailable("its queue is full"),
                Unwritten::Closed => unavailable("it is shutting down"),
                Unwritten::Failed(error) => unavailable(&error.to_string()),
                Unwritten::WriterStopped => unavailable("its writer stopped"),
                Unwritten::TimedOut => {
                    metrics::counter!("cedargate_audit_failures_total").increment(1);
                    ServiceError::RecordUncertain
                }
            })
        }
    }

    /// Whether the last write failed, or took too long.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed)
    }

    /// Writes the queued records and the totals, and stops.
    pub async fn stop(&self) {
        self.queue.close();
        let writer = self.writer.lock().take();
        if let Some(writer) = writer
            && writer.await.is_err()
        {
            tracing::error!("audit writer panicked");
        }
        self.stop_flushing.cancel();
        let flusher = self.flusher.lock().take();
        let finishing = async {
            if let Some(flusher) = flusher
                && flusher.await.is_err()
            {
                tracing::error!("writer of audit totals panicked");
            }
            self.folded.flush(&self.database).await
        };
        match tokio::time::timeout(FINAL_FLUSH_TIMEOUT, finishing).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "last totals of audit records lost"),
            Err(_) => tracing::warn!("last totals of audit records lost: no answer in time"),
        }
    }
}

impl Drop for AuditTrail {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// Passes a result on if something was decided, with the reason of an error in the record.
fn require_decided<T>(
    record: &mut AuditRecord,
    result: Result<T, ServiceError>,
) -> Result<Result<T, ServiceError>, ServiceError> {
    match result {
        Err(error) if is_undecided(&error) => {
            metrics::counter!("cedargate_undecided_total", "event" => record.event.as_str())
                .increment(1);
            Err(error)
        }
        Err(error) => {
            record.reason.get_or_insert_with(|| error.to_string());
            Ok(Err(error))
        }
        Ok(value) => Ok(Ok(value)),
    }
}

/// Whether a record is of a login, refresh or logout that failed.
fn is_failed_sign_in(record: &AuditRecord) -> bool {
    let is_sign_in = matches!(
        record.event,
        AuditEvent::Login | AuditEvent::Refresh | AuditEvent::Logout
    );
    is_sign_in && record.outcome == AuditOutcome::Refused
}

/// Whether a request that ends with this error is not on record, because nothing was decided.
pub(in crate::service) fn is_undecided(error: &ServiceError) -> bool {
    matches!(
        error,
        ServiceError::MultipleCredentials
            | ServiceError::LimitExceeded { .. }
            | ServiceError::Unavailable { .. }
            | ServiceError::StorageLow
            | ServiceError::RecordUncertain
    )
}

fn unavailable(reason: &str) -> ServiceError {
    metrics::counter!("cedargate_audit_failures_total").increment(1);
    ServiceError::unavailable("the audit log", reason)
}

/// Writes totals until it is stopped.
async fn run_flusher(database: Database, folded: Arc<FoldedRecords>, stop: CancellationToken) {
    while stop
        .run_until_cancelled(tokio::time::sleep(FLUSH_INTERVAL))
        .await
        .is_some()
    {
        if let Err(error) = folded.flush(&database).await {
            tracing::warn!(%error, "totals of audit records not written; trying again");
        }
    }
}
