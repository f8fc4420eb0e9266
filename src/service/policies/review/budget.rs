//! What a review may cost, for callers who wait for it: it stops when it is given up or is too much.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    /// Set when nobody waits any more.
    pub is_given_up: Arc<AtomicBool>,
}

impl ReviewBudget {
    /// A budget of so many decisions.
    #[must_use]
    pub fn new(max_decisions: u64) -> Self {
        Self {
            max_decisions,
            is_given_up: Arc::default(),
        }
    }

    /// Whether to go on after so many decisions.
    pub fn check(&self, decided: u64) -> Result<(), ReviewStopped> {
        if self.is_given_up.load(Ordering::Relaxed) {
            Err(ReviewStopped::GivenUp)
        } else if decided > self.max_decisions {
            Err(ReviewStopped::TooMuch)
        } else {
            Ok(())
        }
    }
}
