//! The progress of a proof: how much of what is new is proved, for health and log.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The time between two log lines about one proof.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

/// A proof that is under way, until it is dropped.
pub(super) struct ProofUnderWay<'a>(&'a ProofProgress);

impl Drop for ProofUnderWay<'_> {
    fn drop(&mut self) {
        self.0.all.store(0, Ordering::Relaxed);
        *self.0.next_log.lock() = None;
    }
}

/// How far the proof is that is under way. A policy counts once for each request environment.
#[derive(Debug, Default)]
pub struct ProofProgress {
    all: AtomicUsize,
    done: AtomicUsize,
    next_log: Mutex<Option<Instant>>,
    is_unlogged: bool,
}

impl ProofProgress {
    /// The progress of proofs that the log says nothing of.
    pub(super) fn unlogged() -> Self {
        Self {
            is_unlogged: true,
            ..Self::default()
        }
    }

    /// A proof begins; it ends with the value.
    pub(super) fn begin(&self, all: usize) -> ProofUnderWay<'_> {
        self.done.store(0, Ordering::Relaxed);
        self.all.store(all, Ordering::Relaxed);
        *self.next_log.lock() = Some(Instant::now() + LOG_INTERVAL);
        ProofUnderWay(self)
    }

    /// One step is done; logged from time to time.
    pub(super) fn advance(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
        if self.is_unlogged {
            return;
        }
        let Some(mut next) = self.next_log.try_lock() else {
            return;
        };
        if next.is_some_and(|next| next <= Instant::now())
            && let Some(percent) = self.percent()
        {
            *next = Some(Instant::now() + LOG_INTERVAL);
            tracing::info!(percent, "the policies are being proved");
        }
    }

    /// How much of it is done, in percent; `None` if no proof is under way.
    #[must_use]
    pub fn percent(&self) -> Option<usize> {
        let all = self.all.load(Ordering::Relaxed);
        let done = self.done.load(Ordering::Relaxed).min(all);
        (done * 100).checked_div(all)
    }
}
