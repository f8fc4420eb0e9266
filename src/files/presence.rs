//! Presence: whether a file is there, known from an earlier look so that a mint asks nothing of the file system.
//!
//! What was found is used for [`FOUND_TTL`] at most. After [`RECHECK_AGE`] the next question is still answered from
//! memory, and the file is looked for again in the background: a file for which tokens are minted all the time never
//! makes a mint wait, and one that vanishes behind the server's back is refused with the first question after that
//! look. What the server itself removes, and what a read misses, is forgotten at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use moka::future::Cache;
use moka::ops::compute::Op;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a file that was found is taken to be there.
/// One that is gone all the same is missed by its download.
const FOUND_TTL: Duration = Duration::from_secs(30);
/// From which age on what was found is checked again in the background.
const RECHECK_AGE: Duration = Duration::from_secs(10);
/// How many files that were found are remembered; each takes about 300 bytes.
const MAX_FOUND: u64 = 50_000;
/// How many files are looked for in the background at once.
const MAX_RECHECKS: usize = 4;

/// The files that were found lately, by digest; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Presence {
    found: Cache<String, Arc<FoundFile>>,
    rechecks: Arc<Semaphore>,
    recheck_age: Duration,
}

/// A file that was found.
#[derive(Debug)]
pub(super) struct FoundFile {
    pub(super) size: u64,
    looked_at: Instant,
    is_rechecking: AtomicBool,
}

impl Default for Presence {
    fn default() -> Self {
        Self {
            found: Cache::builder()
                .max_capacity(MAX_FOUND)
                .time_to_live(FOUND_TTL)
                .build(),
            rechecks: Arc::new(Semaphore::new(MAX_RECHECKS)),
            recheck_age: RECHECK_AGE,
        }
    }
}

impl FoundFile {
    fn now(size: u64) -> Arc<Self> {
        Arc::new(Self {
            size,
            looked_at: Instant::now(),
            is_rechecking: AtomicBool::new(false),
        })
    }
}

/// The right to look for a file again; others have it when it is dropped.
pub(super) struct Recheck {
    found: Arc<FoundFile>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Recheck {
    fn drop(&mut self) {
        self.found.is_rechecking.store(false, Ordering::Relaxed);
    }
}

impl Presence {
    /// What is known of a file.
    pub(super) async fn get(&self, sha256: &str) -> Option<Arc<FoundFile>> {
        self.found.get(sha256).await
    }

    /// The size of a file that is not known, as `looking` finds it. Those who ask for the same file at the same time
    /// wait for one answer.
    pub(super) async fn look<E: Send + Sync + 'static>(
        &self,
        sha256: &str,
        looking: impl Future<Output = Result<u64, E>>,
    ) -> Result<u64, Arc<E>> {
        let looking = async { looking.await.map(FoundFile::now) };
        let found = self.found.try_get_with_by_ref(sha256, looking).await?;
        Ok(found.size)
    }

    /// The right to look for a file again, if what is known of it is old, nobody does so already and not too many
    /// are looked for.
    pub(super) fn recheck(&self, found: &Arc<FoundFile>) -> Option<Recheck> {
        if found.looked_at.elapsed() < self.recheck_age
            || found.is_rechecking.swap(true, Ordering::Relaxed)
        {
            return None;
        }
        let Ok(permit) = Arc::clone(&self.rechecks).try_acquire_owned() else {
            found.is_rechecking.store(false, Ordering::Relaxed);
            return None;
        };
        Some(Recheck {
            found: Arc::clone(found),
            _permit: permit,
        })
    }

    /// Puts the result of a look in the place of an older one; what was forgotten meanwhile stays so.
    pub(super) async fn renew(&self, sha256: &str, size: Option<u64>) {
        let entry = self.found.entry_by_ref(sha256);
        entry
            .and_compute_with(async |former| match (former, size) {
                (Some(_), Some(size)) => Op::Put(FoundFile::now(size)),
                (Some(_), None) => Op::Remove,
                (None, _) => Op::Nop,
            })
            .await;
    }

    /// Forgets that a file was found, because it is removed or was missed.
    pub(super) fn forget(&self, sha256: &str) {
        // The future only runs listeners, of which there are none.
        self.found.invalidate(sha256).now_or_never();
    }

    #[cfg(test)]
    pub(super) fn set_recheck_age(&mut self, age: Duration) {
        self.recheck_age = age;
    }
}
