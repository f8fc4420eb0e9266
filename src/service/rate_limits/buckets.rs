//! Buckets: one per key, each by the generic cell rate algorithm (ITU-T I.371); a full one holds a minute's worth.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use parking_lot::Mutex;

use crate::domain::clock::Clock;
use crate::domain::id::UserId;
use crate::service::error::ServiceError;

/// How many buckets are kept; the least used are evicted first.
const MAX_BUCKETS: u64 = 100_000;
/// A bucket that is not used for this long is full again and can be dropped.
const BUCKET_TTL: Duration = Duration::from_secs(150);
/// How long a bucket takes to fill.
const FILL_TIME: Duration = Duration::from_mins(1);

/// How many of several mints the limit allows, and when the others are.
#[derive(Clone, Copy, Debug)]
pub struct CountedMints {
    /// How many are allowed and counted; the others are not counted.
    pub allowed: u32,
    /// When the first of the others is allowed, and how much later each further one is.
    refused: Option<(Duration, Duration)>,
}

impl CountedMints {
    /// The error for the mint at `index`, counted from 0, unless it is allowed.
    ///
    /// It names the time after which all mints up to this one are allowed.
    pub fn check(&self, index: u32) -> Result<(), ServiceError> {
        match (index.checked_sub(self.allowed), self.refused) {
            (Some(others_before), Some((wait, interval))) => {
                let later = interval.saturating_mul(others_before);
                Err(ServiceError::limit_exceeded(wait.saturating_add(later)))
            }
            (None, _) | (_, None) => Ok(()),
        }
    }
}

/// Whose bucket it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum RateLimitKey {
    User(UserId),
    Network(IpAddr, u8),
    /// Logins to an account from a network that it is known from.
    Login([u8; 32], IpAddr),
}

/// One bucket per key.
pub(super) struct Buckets {
    per_minute: Option<NonZeroU32>,
    by_key: Cache<RateLimitKey, Arc<Mutex<Bucket>>>,
    clock: Clock,
}

/// One bucket: when it is full again.
#[derive(Default)]
struct Bucket {
    full_at: Duration,
}

/// A key, and how many times the limit its bucket holds.
pub(super) type Share = (RateLimitKey, u32);

impl Buckets {
    pub(super) fn new(per_minute: Option<NonZeroU32>, clock: Clock) -> Self {
        Self {
            per_minute,
            by_key: Cache::builder()
                .max_capacity(MAX_BUCKETS)
                .time_to_idle(BUCKET_TTL)
                .build(),
            clock,
        }
    }

    /// Takes one request out of each bucket, or none if one of them is empty.
    pub(super) fn take(&self, shares: &[Share]) -> Result<(), ServiceError> {
        self.try_take(shares)
            .map_err(|(wait, _)| ServiceError::limit_exceeded(wait))
    }

    /// Takes so many requests out of each bucket, or none if one of them has not as many. More than a full bucket has
    /// are taken out of a full one, which then owes the rest.
    pub(super) fn take_all(&self, count: u32, shares: &[Share]) -> Result<(), ServiceError> {
        let now = self.clock.monotonic();
        for (taken, (key, times)) in shares.iter().enumerate() {
            let Some(interval) = self.interval(*times) else {
                return Ok(());
            };
            let cost = interval.saturating_mul(count).min(FILL_TIME);
            if let Err(wait) = self.bucket(*key).lock().take(now, cost) {
                for (key, times) in shares.get(..taken).unwrap_or_default() {
                    if let Some(interval) = self.interval(*times) {
                        let cost = interval.saturating_mul(count).min(FILL_TIME);
                        self.bucket(*key).lock().refund(cost);
                    }
                }
                return Err(ServiceError::limit_exceeded(wait));
            }
        }
        for (key, times) in shares {
            if let Some(interval) = self.interval(*times) {
                let rest = interval.saturating_mul(count).saturating_sub(FILL_TIME);
                self.bucket(*key).lock().charge(now, rest, 1);
            }
        }
        Ok(())
    }

    pub(super) fn is_unlimited(&self) -> bool {
        self.per_minute.is_none()
    }

    /// Takes so many requests out of each bucket, or as many as there are in the emptiest one.
    pub(super) fn take_up_to(&self, count: u32, shares: &[Share]) -> CountedMints {
        for allowed in 0..count {
            if let Err(refused) = self.try_take(shares) {
                let refused = Some(refused);
                return CountedMints { allowed, refused };
            }
        }
        CountedMints {
            allowed: count,
            refused: None,
        }
    }

    /// Takes one request out of each bucket, or none: then it says when there is one again in the bucket that is
    /// empty, and how long that bucket takes for each further one.
    fn try_take(&self, shares: &[Share]) -> Result<(), (Duration, Duration)> {
        let now = self.clock.monotonic();
        for (taken, (key, times)) in shares.iter().enumerate() {
            let Some(interval) = self.interval(*times) else {
                return Ok(());
            };
            let result = self.bucket(*key).lock().take(now, interval);
            if let Err(wait) = result {
                self.refund(shares.get(..taken).unwrap_or_default());
                return Err((wait, interval));
            }
        }
        Ok(())
    }

    /// Takes so many requests out of each bucket, however empty it is.
    pub(super) fn charge(&self, shares: &[Share], requests: u32) {
        let now = self.clock.monotonic();
        for (key, times) in shares {
            if let Some(interval) = self.interval(*times) {
                self.bucket(*key).lock().charge(now, interval, requests);
            }
        }
    }

    /// Puts one request back into each bucket.
    pub(super) fn refund(&self, shares: &[Share]) {
        for (key, times) in shares {
            if let Some(interval) = self.interval(*times) {
                self.bucket(*key).lock().refund(interval);
            }
        }
    }

    /// How long a bucket of so many times the limit takes to get one request; none without a limit.
    fn interval(&self, times: u32) -> Option<Duration> {
        let per_minute = self.per_minute?.get().saturating_mul(times);
        FILL_TIME.checked_div(per_minute)
    }

    fn bucket(&self, key: RateLimitKey) -> Arc<Mutex<Bucket>> {
        self.by_key.get_with(key, Arc::default)
    }
}

impl Bucket {
    /// Takes one request at `now`, or fails with the time until there is one.
    fn take(&mut self, now: Duration, interval: Duration) -> Result<(), Duration> {
        let full_at = self.full_at.max(now).saturating_add(interval);
        let fills_within = full_at.saturating_sub(now);
        // The interval is rounded down to a nanosecond, and so a full bucket may take a little less.
        match fills_within.checked_sub(FILL_TIME) {
            Some(wait) if !wait.is_zero() => Err(wait),
            Some(_) | None => {
                self.full_at = full_at;
                Ok(())
            }
        }
    }

    /// Puts back what was taken.
    fn refund(&mut self, cost: Duration) {
        self.full_at = self.full_at.saturating_sub(cost);
    }

    /// Takes so many requests at `now`; it owes a minute's worth at most.
    fn charge(&mut self, now: Duration, interval: Duration, requests: u32) {
        let full_at = self
            .full_at
            .max(now)
            .saturating_add(interval.saturating_mul(requests));
        self.full_at = full_at.min(now.saturating_add(FILL_TIME).saturating_add(FILL_TIME));
    }
}
