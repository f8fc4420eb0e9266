//! Login throttle: repeated failed logins are delayed, longer and longer.
//!
//! Each account has a streak of failures, by its user name as typed, whether such an account exists
//! or not: so a streak says nothing about which accounts exist. Each address has one too, over all
//! accounts. From the fifth failure in a row on an account, and from the twentieth of an address, the
//! next attempt must wait 1 second, then 2, 4, and so on up to 60.
//!
//! An attempt counts as failed from its start until it succeeds, so that concurrent attempts do not
//! get around the limit. An attempt that comes too early is neither checked nor counted. Streaks are
//! kept in this process only: another replica counts for itself, and a restart resets them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use crate::domain::clock::Clock;
use crate::service::error::ServiceError;
use crate::service::rate_limits::client_network;

/// How many failures in a row an account has before it must wait.
const ACCOUNT_FREE_FAILURES: u32 = 5;
/// How many failures an address has before it must wait: many people may share one.
const ADDRESS_FREE_FAILURES: u32 = 20;
/// The longest wait.
const MAX_RETRY_INTERVAL: Duration = Duration::from_mins(1);
/// A streak ends this long after its last failure.
const STREAK_TTL: Duration = Duration::from_mins(15);
/// How many streaks are kept; the least used are evicted first.
const MAX_STREAKS: u64 = 100_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum ThrottleKey {
    /// The SHA-256 of a user name as typed, which may have any length.
    Account([u8; 32]),
    Address(IpAddr),
}

impl ThrottleKey {
    fn free_failures(self) -> u32 {
        match self {
            Self::Account(_) => ACCOUNT_FREE_FAILURES,
            Self::Address(_) => ADDRESS_FREE_FAILURES,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct FailureStreak {
    failures: u32,
    last_failure_at: Duration,
    blocked_until: Duration,
}

impl FailureStreak {
    /// Adds a failure at `now`; the first `free_failures` cause no wait.
    fn add_failure(&mut self, now: Duration, free_failures: u32) {
        self.failures = self.failures.saturating_add(1);
        self.last_failure_at = now;
        self.blocked_until = now + delay_after(self.failures, free_failures);
    }

    fn remove_failure(&mut self) {
        self.failures = self.failures.saturating_sub(1);
        self.blocked_until = Duration::ZERO;
    }
}

/// The wait after so many failures in a row: 1 s after the `free_failures`th, doubling up to 60 s.
fn delay_after(failures: u32, free_failures: u32) -> Duration {
    match failures.checked_sub(free_failures) {
        None => Duration::ZERO,
        Some(doublings) => Duration::from_secs(1)
            .saturating_mul(1 << doublings.min(6))
            .min(MAX_RETRY_INTERVAL),
    }
}

/// One login from its start to its result.
#[must_use = "an attempt counts as failed unless `succeed` or `abandon` is called"]
pub struct LoginAttempt {
    account: Arc<Mutex<FailureStreak>>,
    address: Arc<Mutex<FailureStreak>>,
}

impl LoginAttempt {
    /// The password was right: the account's streak ends.
    ///
    /// The address loses this one failure and no more: or else whoever has an account of its own
    /// could sign in to it between guesses at others.
    pub fn succeed(self) {
        *self.account.lock() = FailureStreak::default();
        self.address.lock().remove_failure();
    }

    /// The login could not be answered: it counts neither way.
    pub fn abandon(self) {
        self.account.lock().remove_failure();
        self.address.lock().remove_failure();
    }
}

/// Counts failed logins, and delays further attempts.
pub struct LoginThrottle {
    streaks: Cache<ThrottleKey, Arc<Mutex<FailureStreak>>>,
    clock: Clock,
}

impl LoginThrottle {
    /// A throttle without failures.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            streaks: Cache::new(MAX_STREAKS),
            clock,
        }
    }

    /// Starts an attempt, or fails with the time to wait.
    pub fn start_attempt(
        &self,
        username: &str,
        address: IpAddr,
    ) -> Result<LoginAttempt, ServiceError> {
        let now = self.clock.monotonic();
        let account_key = ThrottleKey::Account(Sha256::digest(username).into());
        let address_key = ThrottleKey::Address(client_network(address));
        let attempt = LoginAttempt {
            account: self.streak(account_key),
            address: self.streak(address_key),
        };
        // Always locked in this order, so that two logins cannot deadlock.
        let mut account = attempt.account.lock();
        let mut address = attempt.address.lock();
        let blocked_until = account.blocked_until.max(address.blocked_until);
        if blocked_until > now {
            let wait = blocked_until.saturating_sub(now);
            return Err(ServiceError::limit_exceeded(wait));
        }
        for (streak, key) in [(&mut account, account_key), (&mut address, address_key)] {
            if now.saturating_sub(streak.last_failure_at) >= STREAK_TTL {
                **streak = FailureStreak::default();
            }
            streak.add_failure(now, key.free_failures());
        }
        drop((account, address));
        Ok(attempt)
    }

    fn streak(&self, key: ThrottleKey) -> Arc<Mutex<FailureStreak>> {
        self.streaks.get_with(key, Arc::default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "192.0.2.1";

    fn new_throttle() -> (LoginThrottle, Clock) {
        let clock = Clock::fixed_at(1_000_000);
        (LoginThrottle::new(clock.clone()), clock)
    }

    fn retry_after(throttle: &LoginThrottle, username: &str, address: &str) -> u64 {
        match throttle.start_attempt(username, address.parse().unwrap()) {
            Ok(_) => 0,
            Err(ServiceError::LimitExceeded {
                retry_after_seconds,
            }) => retry_after_seconds,
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn from_the_fifth_failure_in_a_row_the_wait_doubles_up_to_a_minute() {
        let (throttle, clock) = new_throttle();
        for _ in 0..5 {
            assert_eq!(retry_after(&throttle, "ada", ADDRESS), 0);
        }
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            assert_eq!(retry_after(&throttle, "ada", ADDRESS), seconds);
            clock.advance(i64::try_from(seconds).unwrap() * 1000 - 1);
            assert_eq!(retry_after(&throttle, "ada", ADDRESS), 1);
            clock.advance(1);
            assert_eq!(
                retry_after(&throttle, "ada", ADDRESS),
                0,
                "after {seconds} s"
            );
        }
    }

    #[test]
    fn a_success_ends_the_accounts_streak_and_takes_one_failure_from_the_address() {
        let (throttle, _) = new_throttle();
        for _ in 0..100 {
            let attempt = throttle
                .start_attempt("ada", ADDRESS.parse().unwrap())
                .unwrap();
            attempt.succeed();
        }
        for at in 0..19 {
            assert_eq!(retry_after(&throttle, &format!("u{at}"), ADDRESS), 0);
        }
        throttle
            .start_attempt("ada", ADDRESS.parse().unwrap())
            .unwrap()
            .succeed();
        assert_eq!(retry_after(&throttle, "ben", ADDRESS), 0);
        assert_eq!(retry_after(&throttle, "ada", ADDRESS), 1);
        assert_eq!(retry_after(&throttle, "ada", "192.0.2.2"), 0);
    }

    #[test]
    fn concurrent_attempts_count_before_they_are_checked() {
        let (throttle, _) = new_throttle();
        let address = ADDRESS.parse().unwrap();
        let started: Vec<_> = (0..50)
            .filter_map(|_| throttle.start_attempt("ada", address).ok())
            .collect();
        assert_eq!(started.len(), 5);
    }

    #[test]
    fn an_abandoned_attempt_counts_neither_way() {
        let (throttle, _) = new_throttle();
        for _ in 0..50 {
            let attempt = throttle
                .start_attempt("ada", ADDRESS.parse().unwrap())
                .unwrap();
            attempt.abandon();
        }
    }

    #[test]
    fn a_streak_expires_after_fifteen_minutes() {
        let (throttle, clock) = new_throttle();
        for _ in 0..5 {
            assert_eq!(retry_after(&throttle, "ada", ADDRESS), 0);
        }
        clock.advance(15 * 60 * 1000);
        for _ in 0..5 {
            assert_eq!(retry_after(&throttle, "ada", ADDRESS), 0);
        }
        assert_eq!(retry_after(&throttle, "ada", ADDRESS), 1);
    }
}
