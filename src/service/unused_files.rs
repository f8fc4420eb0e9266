//! Unused files: removed from the file store once no dataset has named them for a while.
//!
//! The file store is looked through at the start and every ten minutes, so that it does not matter how a
//! dataset lost its file: at the command line, through another replica, or because this process was killed.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::domain::clock::Clock;
use crate::files::FileStore;
use crate::storage::Database;

use super::error::ServiceError;

/// How often the file store is looked through.
const SWEEP_INTERVAL: Duration = Duration::from_mins(10);
/// How many files one statement looks up.
const BATCH_SIZE: usize = 500;

/// Removes the files that no dataset names.
pub struct UnusedFiles {
    /// Knows which files are named.
    pub database: Database,
    /// The files.
    pub files: FileStore,
    /// The time.
    pub clock: Clock,
    /// How long a file is kept that no dataset names.
    pub kept_for: Duration,
}

impl UnusedFiles {
    /// Sweeps now, and again and again for as long as it is polled.
    pub async fn run(self) {
        let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.sweep().await {
                Ok(0) => {}
                Ok(removed) => tracing::info!(removed, "unused files removed"),
                Err(error) => tracing::warn!(%error, "unused files not removed"),
            }
        }
    }

    /// Removes what no dataset names, and what uploads left that were never completed; returns how many
    /// files were removed.
    pub async fn sweep(&self) -> Result<usize, ServiceError> {
        self.files.remove_abandoned_uploads().await?;
        let kept_for = i64::try_from(self.kept_for.as_secs()).unwrap_or(i64::MAX);
        let before = self.clock.unix_seconds().saturating_sub(kept_for);
        // What another process set aside before it was killed comes first.
        let mut removed = 0;
        for sha256 in self.files.files_set_aside().await? {
            removed += usize::from(self.settle(&sha256, before).await?);
        }
        for shard in self.files.shards().await? {
            let old = self.files.old_files(&shard, before).await?;
            for batch in old.chunks(BATCH_SIZE) {
                let batch: BTreeSet<&str> = batch.iter().map(String::as_str).collect();
                let used = self.database.find_used_files(&batch).await?;
                for sha256 in batch.into_iter().filter(|sha256| !used.contains(*sha256)) {
                    self.files.set_aside(sha256).await?;
                    removed += usize::from(self.settle(sha256, before).await?);
                }
            }
        }
        Ok(removed)
    }

    /// Decides about a file that is set aside.
    async fn settle(&self, sha256: &str, before: i64) -> Result<bool, ServiceError> {
        let used = self.database.find_used_files(&[sha256].into()).await?;
        let is_used = !used.is_empty();
        Ok(self.files.settle(sha256, is_used, before).await?)
    }
}
