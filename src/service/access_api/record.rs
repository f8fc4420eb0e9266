//! Records of evaluations: which of them have one of their own.
//!
//! Denials and errors always have. Of permits a setting may fold those that are alike, or take a sample of each
//! caller's: what is on record is durable before the answer leaves.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::join_all;
use metrics::Counter;
use moka::sync::Cache;
use sha2::{Digest as _, Sha256};
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

/// The longest name of an entity or an action on record, in bytes: databases index it.
const MAX_RECORDED_NAME_LENGTH: usize = 512;
/// How many bytes of a longer one are on record, before its digest.
const KEPT_NAME_LENGTH: usize = 400;

/// The counters by decision, looked up once.
static EVALUATED: [OnceLock<Counter>; 2] = [const { OnceLock::new() }; 2];

/// A name as it is on record: one that is too long is cut, and has its SHA-256 instead of the rest.
pub(super) fn recorded_name(name: String) -> String {
    if name.len() <= MAX_RECORDED_NAME_LENGTH {
        return name;
    }
    let kept = name.floor_char_boundary(KEPT_NAME_LENGTH);
    let digest = Sha256::digest(&name);
    let mut recorded = name;
    recorded.truncate(kept);
    recorded.push_str("... sha256:");
    for byte in digest {
        // Writing to a String cannot fail.
        let _ = write!(recorded, "{byte:02x}");
    }
    recorded
}

/// What becomes of a record.
enum Treatment {
    OfItsOwn,
    Folded,
    Unrecorded,
}

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
        let outcome = record.outcome;
        match self.treatment(&record) {
            Treatment::OfItsOwn => self.audit.close_record(record, Ok(())).await?,
            Treatment::Folded => self.fold(credential, record).await?,
            Treatment::Unrecorded => {}
        }
        count_evaluation(outcome);
        Ok(())
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
        let outcomes: Vec<AuditOutcome> = records.iter().map(|record| record.outcome).collect();
        let mut closing = Vec::with_capacity(records.len());
        let mut folding = Vec::new();
        for record in records {
            match self.treatment(&record) {
                Treatment::OfItsOwn => closing.push(self.audit.close_record(record, Ok(()))),
                Treatment::Folded => folding.push(self.fold(credential, record)),
                Treatment::Unrecorded => {}
            }
        }
        let folded = join_all(folding).await;
        for closed in closing {
            closed.await?;
        }
        folded.into_iter().collect::<Result<(), _>>()?;
        outcomes.into_iter().for_each(count_evaluation);
        Ok(())
    }

    fn treatment(&self, record: &AuditRecord) -> Treatment {
        if record.outcome != AuditOutcome::Granted {
            return Treatment::OfItsOwn;
        }
        match self.records {
            EvaluationRecords::Each => Treatment::OfItsOwn,
            EvaluationRecords::Folded => Treatment::Folded,
            EvaluationRecords::OneOf(number) if self.is_sampled(record, number) => {
                Treatment::OfItsOwn
            }
            EvaluationRecords::OneOf(_) => Treatment::Unrecorded,
        }
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
        let before = counted.fetch_add(1, Ordering::Relaxed);
        before.is_multiple_of(number)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_on_record_and_told_apart_by_its_digest() {
        let short = "x".repeat(MAX_RECORDED_NAME_LENGTH);
        assert_eq!(recorded_name(short.clone()), short);
        let long = |end: &str| recorded_name("\u{20000}".repeat(1000) + end);
        assert!(long("a").len() <= MAX_RECORDED_NAME_LENGTH);
        assert_ne!(long("a"), long("b"));
        assert_eq!(long("a"), long("a"));
    }
}
