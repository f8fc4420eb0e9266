//! Records of evaluations: which of them have one of their own.
//!
//! Denials and errors always have. Of permits a setting may fold those that are alike, or take a sample of each
//! caller's: what is on record is durable before the answer leaves.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::join_all;
use metrics::Counter;
use moka::sync::Cache;
use tokio::sync::Semaphore;

use crate::config::EvaluationRecords;
use crate::domain::audit::{AuditOutcome, AuditRecord};
use crate::domain::id::UserId;
use crate::service::audit_trail::AuditTrail;
use crate::service::error::ServiceError;
use crate::service::folded_records::FoldedCredential;

/// How many batches write their records at a time: they fill a quarter of the audit queue at most, so that mints find
/// room in it.
const MAX_WRITING_BATCHES: usize = 4;
/// How long a batch waits for its turn to write.
const MAX_BATCH_WAIT: Duration = Duration::from_secs(10);
/// How many callers have a sample of their own; the least recently used begins anew.
const MAX_SAMPLED_CALLERS: u64 = 10_000;

/// The counters by decision, looked up once.
static EVALUATED: [OnceLock<Counter>; 2] = [const { OnceLock::new() }; 2];

/// Closes the records of evaluations.
pub(super) struct EvaluationRecorder {
    audit: Arc<AuditTrail>,
    records: EvaluationRecords,
    samples: Cache<UserId, Arc<AtomicU32>>,
    batches: Semaphore,
}

impl EvaluationRecorder {
    pub(super) fn new(audit: Arc<AuditTrail>, records: EvaluationRecords) -> Self {
        Self {
            audit,
            records,
            samples: Cache::new(MAX_SAMPLED_CALLERS),
            batches: Semaphore::new(MAX_WRITING_BATCHES),
        }
    }

    /// Closes the record of a question that was decided.
    pub(super) async fn close(
        &self,
        credential: FoldedCredential,
        record: AuditRecord,
    ) -> Result<(), ServiceError> {
        count_evaluation(record.outcome);
        if record.outcome != AuditOutcome::Granted {
            return self.audit.close_record(record, Ok(())).await;
        }
        match self.records {
            EvaluationRecords::Each => self.audit.close_record(record, Ok(())).await,
            EvaluationRecords::Folded => self.fold(credential, record).await,
            EvaluationRecords::OneOf(number) => {
                if self.is_sampled(&record, number) {
                    self.audit.close_record(record, Ok(())).await
                } else {
                    Ok(())
                }
            }
        }
    }

    /// Closes the records of a batch: all are queued before the first is waited for, so that they are written
    /// together.
    pub(super) async fn close_each(
        &self,
        credential: FoldedCredential,
        records: Vec<AuditRecord>,
    ) -> Result<(), ServiceError> {
        let waiting = tokio::time::timeout(MAX_BATCH_WAIT, self.batches.acquire());
        let Ok(Ok(_turn)) = waiting.await else {
            let reason = "too many batches wait for their records";
            return Err(ServiceError::unavailable("the audit log", reason));
        };
        let mut closing = Vec::with_capacity(records.len());
        let mut folding = Vec::new();
        for record in records {
            count_evaluation(record.outcome);
            let is_permit = record.outcome == AuditOutcome::Granted;
            match self.records {
                EvaluationRecords::Folded if is_permit => {
                    folding.push(self.fold(credential, record));
                }
                EvaluationRecords::OneOf(number) if is_permit => {
                    if self.is_sampled(&record, number) {
                        closing.push(self.audit.close_record(record, Ok(())));
                    }
                }
                EvaluationRecords::Each
                | EvaluationRecords::Folded
                | EvaluationRecords::OneOf(_) => {
                    closing.push(self.audit.close_record(record, Ok(())));
                }
            }
        }
        let folded = join_all(folding).await;
        for closed in closing {
            closed.await?;
        }
        folded.into_iter().collect()
    }

    async fn fold(
        &self,
        credential: FoldedCredential,
        record: AuditRecord,
    ) -> Result<(), ServiceError> {
        let folded = self
            .audit
            .close_folded_record(credential, record, Ok(()), |_| Ok(()));
        folded.await.map(drop)
    }

    /// Whether this permit is the one of so many of its caller that has a record; the first one is.
    fn is_sampled(&self, record: &AuditRecord, number: u32) -> bool {
        let Some(user_id) = record.user_id else {
            return true;
        };
        let counted = self.samples.get_with(user_id, Arc::default);
        counted.fetch_add(1, Ordering::Relaxed) % number == 0
    }
}

fn count_evaluation(outcome: AuditOutcome) {
    let is_permit = outcome == AuditOutcome::Granted;
    if let Some(counter) = EVALUATED.get(usize::from(is_permit)) {
        let counter = counter.get_or_init(|| {
            let decision = if is_permit { "permit" } else { "deny" };
            metrics::counter!("cedargate_access_evaluations_total", "decision" => decision)
        });
        counter.increment(1);
    }
}
