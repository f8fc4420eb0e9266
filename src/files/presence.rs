//! Presence: whether a file is there, known from an earlier look so that a mint asks nothing of the file system.
//!
//! What was found is used for [`FOUND_TTL`] at most. After [`RECHECK_AGE`] the next question is still answered from
//! memory, and the file is looked for again in the background: a file for which tokens are minted all the time never
//! makes a mint wait, and one that vanishes behind the server's back is refused with the first question after that
//! look. What the server itself removes, and what a read misses, is forgotten at once.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use moka::future::Cache;
use tokio::sync::Semaphore;

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
    pub(super) found: Cache<String, Arc<FoundFile>>,
    /// A permit for each look in the background.
    pub(super) rechecks: Arc<Semaphore>,
    pub(super) recheck_age: Duration,
}

/// A file that was found.
#[derive(Debug)]
pub(super) struct FoundFile {
    pub(super) size: u64,
    pub(super) looked_at: Instant,
    pub(super) is_rechecking: AtomicBool,
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
    pub(super) fn now(size: u64) -> Arc<Self> {
        Arc::new(Self {
            size,
            looked_at: Instant::now(),
            is_rechecking: AtomicBool::new(false),
        })
    }
}

impl Presence {
    /// Forgets that a file was found, because it is removed or was missed.
    pub(super) fn forget(&self, sha256: &str) {
        // The future only runs listeners, of which there are none.
        self.found.invalidate(sha256).now_or_never();
    }
}
