//! The clock: the system's time, or a time that a test sets.
//!
//! Clocks differ: those of replicas, of identity providers and of verifiers. The rule for all checks is:
//!
//! - What was issued here may have been issued by a replica whose clock is ahead by [`MAX_CLOCK_SKEW`]: a token
//!   or a session that begins a little later than now has begun.
//! - What expires has no leeway: nothing that this server checks lasts longer than it says, whatever replica
//!   issued it. A replica whose clock is ahead ends it earlier by as much.
//! - A token of an identity provider has a leeway of its own in both directions
//!   (`EXTERNAL_TOKEN_LEEWAY`): providers know nothing of this clock.
//! - Verifiers of others get the leeway that `docs/verifiers.md` names, in every program that is published.
//! - How much time has passed is measured with [`Clock::monotonic`], never by the difference of two clocks.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How far the clocks of two replicas may differ, in seconds.
pub const MAX_CLOCK_SKEW: i64 = 60;

/// A source of time; clones give the same time.
#[derive(Clone, Debug)]
pub struct Clock {
    started: Instant,
    fixed_millis: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// A clock that follows the system's time.
    #[must_use]
    pub fn system() -> Self {
        Self {
            started: Instant::now(),
            fixed_millis: None,
        }
    }

    /// A clock that stands at `unix_millis` (milliseconds since 1970 UTC) until it is advanced.
    #[must_use]
    pub fn fixed_at(unix_millis: i64) -> Self {
        Self {
            started: Instant::now(),
            fixed_millis: Some(Arc::new(AtomicI64::new(unix_millis))),
        }
    }

    /// The time in milliseconds since 1970 UTC.
    #[must_use]
    pub fn unix_millis(&self) -> i64 {
        match &self.fixed_millis {
            Some(set_to) => set_to.load(Ordering::SeqCst),
            None => self.unix_micros().div_euclid(1000),
        }
    }

    /// The time in microseconds since 1970 UTC.
    #[must_use]
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the clock"
    )]
    pub fn unix_micros(&self) -> i64 {
        match &self.fixed_millis {
            Some(set_to) => set_to.load(Ordering::SeqCst).saturating_mul(1000),
            None => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .ok()
                .and_then(|since| i64::try_from(since.as_micros()).ok())
                .unwrap_or_default(),
        }
    }

    /// The time in whole seconds since 1970 UTC, as JWT's `NumericDate` (RFC 7519 section 2).
    #[must_use]
    pub fn unix_seconds(&self) -> i64 {
        self.unix_millis().div_euclid(1000)
    }

    /// The time since an arbitrary fixed time; unlike the others it never goes back.
    #[must_use]
    pub fn monotonic(&self) -> Duration {
        match &self.fixed_millis {
            Some(set_to) => {
                Duration::from_millis(set_to.load(Ordering::SeqCst).try_into().unwrap_or_default())
            }
            None => self.started.elapsed(),
        }
    }

    /// Advances a fixed clock by `millis`; does nothing to a system clock.
    pub fn advance(&self, millis: i64) {
        if let Some(set_to) = &self.fixed_millis {
            set_to.fetch_add(millis, Ordering::SeqCst);
        }
    }
}
