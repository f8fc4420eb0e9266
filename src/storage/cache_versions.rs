//! The versions of the catalog and of the sessions, which caches follow.

use super::database::{Database, FOLLOW_TIMEOUT, on_either, run};
use super::error::StorageError;

/// The versions that caches depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheVersions {
    /// The number of changes of the catalog so far.
    pub catalog: i64,
    /// The number of times that sessions have ended early so far.
    pub sessions: i64,
    /// Drawn with each change of the catalog and of the sessions: a failover that loses a change may give its
    /// number to another one.
    pub epochs: (i64, i64),
}

impl Database {
    /// Reads all versions that caches depend on, as cheaply as the catalog version alone.
    pub async fn versions(&self) -> Result<CacheVersions, StorageError> {
        const SQL: &str = "SELECT catalog_version.version, session_version.version,
                catalog_version.epoch, session_version.epoch
            FROM catalog_version CROSS JOIN session_version";
        let operation = "read the catalog version";
        let (catalog, sessions, catalog_epoch, session_epoch) =
            run(FOLLOW_TIMEOUT, operation, "catalog_version", async {
                let mut follower = self.follower().await?;
                on_either!(&mut follower, connection => {
                    sqlx::query_as(SQL).fetch_one(&mut **connection).await
                })
            })
            .await?;
        Ok(CacheVersions {
            catalog,
            sessions,
            epochs: (catalog_epoch, session_epoch),
        })
    }
}
