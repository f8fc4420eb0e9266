//! The health check of the database: tries what a mint needs, on a connection of its own.

use std::time::Duration;

use super::audit::append;
use super::database::{Database, Either, on_either, run};
use super::error::StorageError;
use crate::domain::audit::AuditRecord;

/// How long the check may take. A writer that is busy for a moment is waited for, as a mint does.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);

impl Database {
    /// How often audit records could not be appended.
    pub fn append_failures(&self) -> u64 {
        self.append_history().failures()
    }

    /// Checks that audit records can be appended: inserts `record`, takes it back, and commits.
    ///
    /// If records were appended within `evidence_age`, nothing is tried: the check never competes with a writer
    /// that is at work.
    pub async fn check_writable(
        &self,
        record: &AuditRecord,
        evidence_age: Duration,
    ) -> Result<(), StorageError> {
        const BEGIN: &str = "SAVEPOINT health_check";
        const TAKE_BACK: &str = "ROLLBACK TO SAVEPOINT health_check";
        // PostgreSQL writes the log for what was taken back too; SQLite has to be given pages to write.
        const FILL_PAGES: &str = "UPDATE health_check SET padding = randomblob(32768)";
        if self.append_history().is_succeeded_within(evidence_age) {
            return Ok(());
        }
        let operation = "write to the database";
        run(CHECK_TIMEOUT, operation, "audit_records", async {
            let mut transaction = self.begin_health_check().await?;
            on_either!(&mut transaction, connection => {
                sqlx::raw_sql(BEGIN).execute(&mut **connection).await?;
            });
            append(&mut transaction, std::slice::from_ref(record)).await?;
            on_either!(&mut transaction, connection => {
                sqlx::raw_sql(TAKE_BACK).execute(&mut **connection).await?;
            });
            if let Either::Sqlite(connection) = &mut transaction {
                sqlx::query(FILL_PAGES).execute(&mut **connection).await?;
            }
            transaction.commit().await?;
            // The audit writer's commits are synced apart, which may fail although this one did not.
            if let Self::Sqlite(connections) = self {
                connections.log_sync.sync().await?;
            }
            Ok(())
        })
        .await
    }
}
