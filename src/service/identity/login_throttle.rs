//! Guesses: logins that fail again and again have to wait longer and longer.
//!
//! Each account has a streak of failures, by its user name as typed, whether there is such an
//! account or not: so a streak says nothing about which accounts exist. Each address has one too,
//! over all accounts. From the fifth failure in a row on an account, and from the twentieth of an
//! address, the next try has to wait 1 second, then 2, 4, and so on up to 60.
//!
//! A login counts as failed from its beginning until it turns out right, so that many guesses at
//! once are no way around. What is tried too early is neither checked nor counted. Streaks are
//! kept in this process alone: another replica counts for itself, and a restart forgets.
//! This module refuses to know passwords.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use sha2::{Digest, Sha256};

use crate::domain::clock::Clock;
use crate::service::error::ServiceError;
use crate::service::rate_limits::client_network;

/// How many failures in a row an account has before it waits.
const ACCOUNT_FREE_FAILURES: u32 = 5;
/// How many failures an address has before it waits: many people may share one.
const ADDRESS_FREE_FAILURES: u32 = 20;
/// The longest wait.
const MAX_DELAY: Duration = Duration::from_mins(1);
/// A streak ends when nothing was added to it for so long.
const STREAK_TTL: Duration = Duration::from_mins(15);
/// The most streaks that are kept; the least used are forgotten first.
const MAX_STREAKS: u64 = 100_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum ThrottleKey {
    /// The SHA-256 of a user name as typed, which may be as long as it likes.
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
    /// Adds a failure at `now`, of which the first `free` cost no wait.
    fn add_failure(&mut self, now: Duration, free: u32) {
        self.failures = self.failures.saturating_add(1);
        self.last_failure_at = now;
        self.blocked_until = now + delay_after(self.failures, free);
    }

    fn remove_failure(&mut self) {
        self.failures = self.failures.saturating_sub(1);
        self.blocked_until = Duration::ZERO;
    }
}

/// How long to wait after so many failures in a row: 1 s after the `free`th, doubling up to 60 s.
fn delay_after(failures: u32, free: u32) -> Duration {
    match failures.checked_sub(free) {
        None => Duration::ZERO,
        Some(doublings) => Duration::from_secs(1)
            .saturating_mul(1 << doublings.min(6))
            .min(MAX_DELAY),
    }
}

/// One login between its beginning and its end.
#[must_use = "a login that is not told to be right counts as failed"]
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
        *lock(&self.account) = FailureStreak::default();
        lock(&self.address).remove_failure();
    }

    /// The login could not be answered: it counts neither way.
    pub fn abandon(self) {
        lock(&self.account).remove_failure();
        lock(&self.address).remove_failure();
    }
}

/// Counts failed logins, and says how long to wait.
pub struct LoginThrottle {
    streaks: Cache<ThrottleKey, Arc<Mutex<FailureStreak>>>,
    clock: Clock,
}

impl LoginThrottle {
    /// No failures yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            streaks: Cache::new(MAX_STREAKS),
            clock,
        }
    }

    /// Begins a login, or says when to try again.
    pub fn start_attempt(
        &self,
        username: &str,
        address: IpAddr,
    ) -> Result<LoginAttempt, ServiceError> {
        let now = self.clock.monotonic();
        let account = ThrottleKey::Account(Sha256::digest(username).into());
        let address = ThrottleKey::Address(client_network(address));
        let account_streak = self.streak(account);
        let address_streak = self.streak(address);
        {
            // Always in this order, so that two logins never wait for each other.
            let mut of_account = lock(&account_streak);
            let mut of_address = lock(&address_streak);
            let wait_until = of_account.blocked_until.max(of_address.blocked_until);
            if wait_until > now {
                return Err(limit_exceeded(wait_until.saturating_sub(now)));
            }
            for (streak, target) in [(&mut of_account, account), (&mut of_address, address)] {
                if now.saturating_sub(streak.last_failure_at) >= STREAK_TTL {
                    **streak = FailureStreak::default();
                }
                streak.add_failure(now, target.free_failures());
            }
        }
        Ok(LoginAttempt {
            account: account_streak,
            address: address_streak,
        })
    }

    fn streak(&self, target: ThrottleKey) -> Arc<Mutex<FailureStreak>> {
        self.streaks.get_with(target, Arc::default)
    }
}

fn lock(streak: &Mutex<FailureStreak>) -> MutexGuard<'_, FailureStreak> {
    // A streak is whole whatever happened to the thread that held it.
    streak.lock().unwrap_or_else(PoisonError::into_inner)
}

fn limit_exceeded(left: Duration) -> ServiceError {
    ServiceError::LimitExceeded {
        retry_after_seconds: u64::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "192.0.2.1";

    fn throttle() -> (LoginThrottle, Clock) {
        let clock = Clock::fixed_at(1_000_000);
        (LoginThrottle::new(clock.clone()), clock)
    }

    fn retry_after(guesses: &LoginThrottle, username: &str, address: &str) -> u64 {
        match guesses.start_attempt(username, address.parse().unwrap()) {
            Ok(_) => 0,
            Err(ServiceError::LimitExceeded {
                retry_after_seconds,
            }) => retry_after_seconds,
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn from_the_fifth_failure_in_a_row_the_wait_doubles_up_to_a_minute() {
        let (guesses, clock) = throttle();
        for _ in 0..5 {
            assert_eq!(retry_after(&guesses, "ada", ADDRESS), 0);
        }
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            assert_eq!(retry_after(&guesses, "ada", ADDRESS), seconds);
            clock.advance(i64::try_from(seconds).unwrap() * 1000 - 1);
            assert_eq!(retry_after(&guesses, "ada", ADDRESS), 1);
            clock.advance(1);
            assert_eq!(
                retry_after(&guesses, "ada", ADDRESS),
                0,
                "after {seconds} s"
            );
        }
    }

    #[test]
    fn a_success_ends_the_accounts_streak_and_takes_one_failure_from_the_address() {
        let (guesses, _) = throttle();
        for _ in 0..100 {
            let guess = guesses
                .start_attempt("ada", ADDRESS.parse().unwrap())
                .unwrap();
            guess.succeed();
        }
        for at in 0..19 {
            assert_eq!(retry_after(&guesses, &format!("u{at}"), ADDRESS), 0);
        }
        guesses
            .start_attempt("ada", ADDRESS.parse().unwrap())
            .unwrap()
            .succeed();
        assert_eq!(retry_after(&guesses, "ben", ADDRESS), 0);
        assert_eq!(retry_after(&guesses, "ada", ADDRESS), 1);
        assert_eq!(retry_after(&guesses, "ada", "192.0.2.2"), 0);
    }

    #[test]
    fn concurrent_attempts_count_before_they_are_checked() {
        let (guesses, _) = throttle();
        let address = ADDRESS.parse().unwrap();
        let begun: Vec<_> = (0..50)
            .filter_map(|_| guesses.start_attempt("ada", address).ok())
            .collect();
        assert_eq!(begun.len(), 5);
    }

    #[test]
    fn an_abandoned_attempt_counts_neither_way() {
        let (guesses, _) = throttle();
        for _ in 0..50 {
            let guess = guesses
                .start_attempt("ada", ADDRESS.parse().unwrap())
                .unwrap();
            guess.abandon();
        }
    }

    #[test]
    fn a_streak_expires_after_fifteen_minutes() {
        let (guesses, clock) = throttle();
        for _ in 0..5 {
            assert_eq!(retry_after(&guesses, "ada", ADDRESS), 0);
        }
        clock.advance(15 * 60 * 1000);
        for _ in 0..5 {
            assert_eq!(retry_after(&guesses, "ada", ADDRESS), 0);
        }
        assert_eq!(retry_after(&guesses, "ada", ADDRESS), 1);
    }
}
