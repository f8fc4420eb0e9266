//! Waiting for a verifier that has too much to do, within one bound for the whole check.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::ProgressBar;
use tokio::time::Instant;

use crate::cli::print;

/// How long a check may take if it has to wait.
const MAX_WAITING: Duration = Duration::from_mins(10);

/// How long it waits if the verifier does not say.
const DEFAULT_WAIT: Duration = Duration::from_secs(5);

/// Until when requests may wait, however many do so at the same time, and where it is shown.
pub(super) struct Waiting {
    until: Instant,
    has_told: AtomicBool,
    bar: ProgressBar,
}

impl Waiting {
    pub(super) fn new(bar: ProgressBar) -> Self {
        Self {
            until: Instant::now() + MAX_WAITING,
            has_told: AtomicBool::new(false),
            bar,
        }
    }

    /// Waits as long as it is asked for; `false` if there is not so much time left.
    pub(super) async fn wait(&self, asked: Option<Duration>) -> bool {
        let time = asked
            .unwrap_or(DEFAULT_WAIT)
            .max(Duration::from_millis(100));
        if self.until.saturating_duration_since(Instant::now()) < time {
            return false;
        }
        if !self.has_told.swap(true, Ordering::Relaxed) {
            let text = "the verifier has a limit, so the check waits for it, for up to 10 minutes";
            self.bar.suspend(|| print::note(text));
        }
        self.bar.set_message("waiting for the verifier's limit");
        tokio::time::sleep(time).await;
        self.bar.set_message("conformance check");
        true
    }
}
