//! What became of the audit records that were appended last: the cheapest evidence of health.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What became of the audit records that were appended last.
#[derive(Debug)]
pub(super) struct AppendHistory {
    opened_at: Instant,
    /// When records were last appended, in milliseconds since `opened_at`; 0 if that failed or never happened.
    succeeded_at: AtomicU64,
    failures: AtomicU64,
}

impl AppendHistory {
    pub(super) fn new() -> Self {
        Self {
            opened_at: Instant::now(),
            succeeded_at: AtomicU64::new(0),
            failures: AtomicU64::new(0),
        }
    }

    pub(super) fn note(&self, is_appended: bool) {
        let now = if is_appended {
            u64::try_from(self.opened_at.elapsed().as_millis()).unwrap_or(u64::MAX)
        } else {
            self.failures.fetch_add(1, Ordering::SeqCst);
            0
        };
        self.succeeded_at.store(now, Ordering::SeqCst);
    }

    /// How often records could not be appended.
    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::SeqCst)
    }

    pub(super) fn is_succeeded_within(&self, age: Duration) -> bool {
        let succeeded_at = self.succeeded_at.load(Ordering::SeqCst);
        let since = self
            .opened_at
            .elapsed()
            .checked_sub(Duration::from_millis(succeeded_at));
        succeeded_at > 0 && since.is_some_and(|since| since <= age)
    }
}
