//! Waiting for a verifier that has too much to do, within one bound for the whole check.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::ProgressBar;

/// How long a check waits in all.
const MAX_WAITING: Duration = Duration::from_mins(10);

/// How long it waits if the verifier does not say.
const DEFAULT_WAIT: Duration = Duration::from_secs(5);

/// What is left of the time for waiting, and where it is shown.
pub(super) struct Waiting {
    left_millis: AtomicU64,
    bar: ProgressBar,
}

impl Waiting {
    pub(super) fn new(bar: ProgressBar) -> Self {
        let left = u64::try_from(MAX_WAITING.as_millis()).unwrap_or(u64::MAX);
        Self {
            left_millis: AtomicU64::new(left),
            bar,
        }
    }

    /// Waits as long as it is asked for; `false` if there is not so much time left.
    pub(super) async fn wait(&self, asked: Option<Duration>) -> bool {
        let time = asked
            .unwrap_or(DEFAULT_WAIT)
            .max(Duration::from_millis(100));
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let taken = self
            .left_millis
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                left.checked_sub(millis)
            });
        if taken.is_err() {
            return false;
        }
        self.bar.set_message("waiting for the verifier's limit");
        tokio::time::sleep(time).await;
        self.bar.set_message("conformance check");
        true
    }
}
