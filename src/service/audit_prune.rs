//! Pruning of the audit log: old records are deleted beside a running server, and that is on record.

use std::time::{Duration, Instant};

use crate::domain::audit::{AuditEvent, AuditOutcome, AuditRecord};
use crate::domain::caller::Authentication;
use crate::domain::clock::Clock;
use crate::domain::id::RecordId;
use crate::domain::rfc3339::format_millis;
use crate::storage::{Database, MAX_PRUNED_PER_BATCH, StorageError};

use super::identity::request_context::RequestContext;

/// How old a record is at least that may be pruned. The mint of a download token that is still valid has to
/// stay, and so do records that requests are still counted in.
pub const MIN_PRUNED_AGE: Duration = Duration::from_hours(1);
/// The shortest pause between two batches; a batch that took longer is followed by a pause as long.
const MIN_PAUSE: Duration = Duration::from_millis(5);

/// Deletes all records before `before` (milliseconds since 1970 UTC), a batch at a time, and returns how many.
///
/// Between batches other writers have their turn. `by` says who does it.
pub async fn prune_audit_log(
    database: &Database,
    clock: &Clock,
    before: i64,
    by: &str,
) -> Result<u64, StorageError> {
    let first = prune_record(clock);
    let before_id = first_id_at(before);
    let mut pruned = 0_u64;
    loop {
        let started = Instant::now();
        let record = |deleted: u64| AuditRecord {
            reason: Some(format!(
                "audit records before {} deleted by {by}: {}",
                format_millis(before),
                pruned.saturating_add(deleted)
            )),
            ..first.clone()
        };
        let deleted = database.prune_audit_records(before_id, record).await?;
        pruned = pruned.saturating_add(deleted);
        if deleted < u64::from(MAX_PRUNED_PER_BATCH) {
            return Ok(pruned);
        }
        tokio::time::sleep(started.elapsed().max(MIN_PAUSE)).await;
    }
}

/// How many records are before `before` (milliseconds since 1970 UTC).
pub async fn count_prunable(database: &Database, before: i64) -> Result<u64, StorageError> {
    let count = database.count_prunable_audit_records(first_id_at(before));
    count.await
}

fn first_id_at(unix_millis: i64) -> RecordId {
    RecordId::min_at(u64::try_from(unix_millis).unwrap_or_default())
}

fn prune_record(clock: &Clock) -> AuditRecord {
    AuditRecord {
        outcome: AuditOutcome::Granted,
        authentication: Authentication::CommandLine,
        request_id: None,
        ..RequestContext::local().open_record(AuditEvent::AuditPrune, clock)
    }
}
