//! Maintenance of the database: statistics for the query planner.

use super::database::{CALL_TIMEOUT, Database, on_either, run};
use super::error::StorageError;

impl Database {
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
}
