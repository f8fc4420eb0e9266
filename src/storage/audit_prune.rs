//! Pruning of audit records: the oldest are deleted in batches, and the record of it grows with each.

use uuid::Uuid;

use super::audit::insert_all;
use super::database::{CALL_TIMEOUT, Database, on_either, run};
use super::error::StorageError;
use super::statements::{execute, select, select_value};
use crate::domain::audit::AuditRecord;
use crate::domain::id::RecordId;

/// How many records one transaction deletes: it holds the writer of SQLite for milliseconds.
pub const MAX_PRUNED_PER_BATCH: u32 = 500;
/// How many records one statement counts.
const COUNTED_PER_STATEMENT: i64 = 20_000;

impl Database {
    /// Deletes the oldest records before `before`, a batch of them, in one transaction with `record`, which
    /// says what has been deleted so far; returns how many it deleted.
    ///
    /// Records of pruning stay: what is missing stays known.
    pub async fn prune_audit_records(
        &self,
        before: RecordId,
        record: impl Fn(u64) -> AuditRecord,
    ) -> Result<u64, StorageError> {
        const DELETE: &str = "DELETE FROM audit_records WHERE id IN
            (SELECT id FROM audit_records WHERE id < $1 AND event <> 'audit_prune' ORDER BY id LIMIT $2)";
        const UPDATE: &str = "UPDATE audit_records SET reason = $2 WHERE id = $1";
        let operation = "prune audit records";
        run(CALL_TIMEOUT, operation, "audit_records", async {
            let mut transaction = self.begin_writing().await?;
            let limit = i64::from(MAX_PRUNED_PER_BATCH);
            let deleted = execute!(&mut transaction, DELETE, before.0, limit)?;
            if deleted == 0 {
                transaction.rollback().await?;
                return Ok(0);
            }
            let record = record(deleted);
            insert_all(&mut transaction, std::slice::from_ref(&record)).await?;
            execute!(
                &mut transaction,
                UPDATE,
                record.id.0,
                record.reason.as_deref()
            )?;
            transaction.commit().await?;
            Ok(deleted)
        })
        .await
    }

    /// How many records before `before` can be pruned, counted in parts.
    pub async fn count_prunable_audit_records(
        &self,
        before: RecordId,
    ) -> Result<u64, StorageError> {
        const NEXT: &str = "SELECT id FROM audit_records
            WHERE id > $1 AND id < $2 AND event <> 'audit_prune' ORDER BY id LIMIT 1 OFFSET $3";
        const REST: &str = "SELECT count(*) FROM audit_records
            WHERE id > $1 AND id < $2 AND event <> 'audit_prune'";
        let operation = "count audit records";
        let table = "audit_records";
        let (mut after, mut count) = (Uuid::nil(), 0_i64);
        loop {
            let skipped = COUNTED_PER_STATEMENT - 1;
            let next: Option<(Uuid,)> = select!(
                self,
                operation,
                table,
                fetch_optional(NEXT, after, before.0, skipped)
            )
            .await?;
            let Some((id,)) = next else {
                let rest: i64 =
                    select_value!(self, operation, table, fetch_one(REST, after, before.0)).await?;
                return Ok((count + rest).unsigned_abs());
            };
            after = id;
            count += COUNTED_PER_STATEMENT;
        }
    }
}
