//! What a review may cost, for callers who wait for it: it stops when it is given up or is too much.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Why a review ended without a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReviewStopped {
    /// Nobody waits for it any more.
    #[error("the review was given up")]
    GivenUp,
    /// The policies tell so many pairs of a principal and a dataset apart that deciding about each takes too long.
    #[error("the policies tell too many users and datasets apart")]
    TooMuch,
}

/// How much a review may decide, and whether anybody waits for it.
#[derive(Clone, Debug)]
pub struct ReviewBudget {
    /// The most decisions.
    pub max_decisions: u64,
    /// When it has to be done; none if it may take as long as it does.
    pub ends_at: Option<Instant>,
    /// Set when nobody waits any more.
    pub is_given_up: Arc<AtomicBool>,
}

impl ReviewBudget {
    /// A budget of so many decisions, and of a time from now on.
    #[must_use]
    pub fn new(max_decisions: u64, max_time: Duration) -> Self {
        Self {
            max_decisions,
            ends_at: Instant::now().checked_add(max_time),
            is_given_up: Arc::default(),
        }
    }

    /// Whether to go on after so many decisions.
    pub fn check(&self, decided: u64) -> Result<(), ReviewStopped> {
        if self.is_given_up.load(Ordering::Relaxed) {
            Err(ReviewStopped::GivenUp)
        } else if decided > self.max_decisions
            || self.ends_at.is_some_and(|end| end <= Instant::now())
        {
            Err(ReviewStopped::TooMuch)
        } else {
            Ok(())
        }
    }
}
