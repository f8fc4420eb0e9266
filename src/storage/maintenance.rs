//! Maintenance of the database: statistics for the query planner, the length of SQLite's log, and who else writes.

use super::database::{CALL_TIMEOUT, Database, on_either, run};
use super::error::StorageError;

impl Database {
    /// Moves what is in SQLite's write-ahead log into the database file, beside readers and writers. What is left
    /// then, a writer moves before it begins the log anew.
    pub async fn checkpoint(&self) -> Result<(), StorageError> {
        let Self::Sqlite(connections) = self else {
            return Ok(());
        };
        run(CALL_TIMEOUT, "move the write-ahead log", "", async {
            let mut lease = connections.checkpoints.lend().await?;
            let moved = sqlx::raw_sql("PRAGMA wal_checkpoint(PASSIVE)");
            moved.execute(&mut *lease).await?;
            drop(lease);
            // Otherwise the writer would wait for all of these pages at the end.
            Ok(connections.file.sync().await?)
        })
        .await
    }

    /// Updates the statistics of SQLite, from at most some hundred rows of each index; PostgreSQL does it by
    /// itself (autovacuum).
    pub async fn optimize(&self) -> Result<(), StorageError> {
        const SQL: &str = "PRAGMA analysis_limit = 400; PRAGMA optimize(0x10002)";
        if matches!(self, Self::Postgres(_)) {
            return Ok(());
        }
        run(CALL_TIMEOUT, "optimize the database", "", async {
            let mut writer = self.writer().await?;
            on_either!(&mut writer, connection => {
                sqlx::raw_sql(SQL).execute(&mut **connection).await.map(drop)
            })
        })
        .await
    }

    /// Updates the statistics of PostgreSQL about datasets and what is staged for them: with none, each small
    /// transaction that settles reads all that is staged. Autovacuum would do it a minute later.
    pub async fn analyze_staged_datasets(&self) -> Result<(), StorageError> {
        const SQL: &str = "ANALYZE staged_datasets; ANALYZE datasets";
        if matches!(self, Self::Sqlite(_)) {
            return Ok(());
        }
        run(CALL_TIMEOUT, "analyze staged datasets", "", async {
            let mut writer = self.writer().await?;
            on_either!(&mut writer, connection => {
                sqlx::raw_sql(SQL).execute(&mut **connection).await.map(drop)
            })
        })
        .await
    }

    /// A number that changes when others have written what waits for the writes of this process: on SQLite
    /// anything that another connection writes, on PostgreSQL the catalog.
    pub async fn writes_of_others(&self) -> Result<i64, StorageError> {
        let sql = match self {
            Self::Sqlite(_) => "PRAGMA data_version",
            Self::Postgres(_) => "SELECT version FROM catalog_version",
        };
        run(
            CALL_TIMEOUT,
            "look for other writers",
            "catalog_version",
            async {
                let mut writer = self.writer().await?;
                on_either!(&mut writer, connection => {
                    sqlx::query_scalar(sql).fetch_one(&mut **connection).await
                })
            },
        )
        .await
    }
}
