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
use crate::service::rate_limits::network_of;

/// How many failures in a row an account has before it waits.
const FREE_OF_ACCOUNT: u32 = 5;
/// How many failures an address has before it waits: many people may share one.
const FREE_OF_ADDRESS: u32 = 20;
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// A streak ends when nothing was added to it for so long.
const FORGIVEN_AFTER: Duration = Duration::from_mins(15);
/// The most streaks that are kept; the least used are forgotten first.
const MOST_STREAKS: u64 = 100_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Target {
    /// The SHA-256 of a user name as typed, which may be as long as it likes.
    Account([u8; 32]),
    Address(IpAddr),
}

impl Target {
    fn free(self) -> u32 {
        match self {
            Self::Account(_) => FREE_OF_ACCOUNT,
            Self::Address(_) => FREE_OF_ADDRESS,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Streak {
    failures: u32,
    last_at: Duration,
    wait_until: Duration,
}

impl Streak {
    /// Adds a failure at `now`, of which the first `free` cost no wait.
    fn add(&mut self, now: Duration, free: u32) {
        self.failures = self.failures.saturating_add(1);
        self.last_at = now;
        self.wait_until = now + wait_after(self.failures, free);
    }

    fn take_back(&mut self) {
        self.failures = self.failures.saturating_sub(1);
        self.wait_until = Duration::ZERO;
    }
}

/// How long to wait after so many failures in a row: 1 s after the `free`th, doubling up to 60 s.
fn wait_after(failures: u32, free: u32) -> Duration {
    match failures.checked_sub(free) {
        None => Duration::ZERO,
        Some(doublings) => Duration::from_secs(1)
            .saturating_mul(1 << doublings.min(6))
            .min(LONGEST_WAIT),
    }
}

/// One login between its beginning and its end.
#[must_use = "a login that is not told to be right counts as failed"]
pub struct Guess {
    account: Arc<Mutex<Streak>>,
    address: Arc<Mutex<Streak>>,
}

impl Guess {
    /// The password was right: the account's streak ends.
    ///
    /// The address loses this one failure and no more: or else whoever has an account of its own
    /// could sign in to it between guesses at others.
    pub fn was_right(self) {
        *lock(&self.account) = Streak::default();
        lock(&self.address).take_back();
    }

    /// The login could not be answered: it counts neither way.
    pub fn was_not_answered(self) {
        lock(&self.account).take_back();
        lock(&self.address).take_back();
    }
}

/// Counts failed logins, and says how long to wait.
pub struct Guesses {
    streaks: Cache<Target, Arc<Mutex<Streak>>>,
    clock: Clock,
}

impl Guesses {
    /// No failures yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            streaks: Cache::new(MOST_STREAKS),
            clock,
        }
    }

    /// Begins a login, or says when to try again.
    pub fn begin(&self, username: &str, address: IpAddr) -> Result<Guess, ServiceError> {
        let now = self.clock.monotonic();
        let account = Target::Account(Sha256::digest(username).into());
        let address = Target::Address(network_of(address));
        let account_streak = self.streak(account);
        let address_streak = self.streak(address);
        {
            // Always in this order, so that two logins never wait for each other.
            let mut of_account = lock(&account_streak);
            let mut of_address = lock(&address_streak);
            let wait_until = of_account.wait_until.max(of_address.wait_until);
            if wait_until > now {
                return Err(wait(wait_until.saturating_sub(now)));
            }
            for (streak, target) in [(&mut of_account, account), (&mut of_address, address)] {
                if now.saturating_sub(streak.last_at) >= FORGIVEN_AFTER {
                    **streak = Streak::default();
                }
                streak.add(now, target.free());
            }
        }
        Ok(Guess {
            account: account_streak,
            address: address_streak,
        })
    }

    fn streak(&self, target: Target) -> Arc<Mutex<Streak>> {
        self.streaks.get_with(target, Arc::default)
    }
}

fn lock(streak: &Mutex<Streak>) -> MutexGuard<'_, Streak> {
    // A streak is whole whatever happened to the thread that held it.
    streak.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait(left: Duration) -> ServiceError {
    ServiceError::LimitExceeded {
        retry_after_seconds: u64::try_from(left.as_millis().div_ceil(1000)).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "192.0.2.1";

    fn guesses() -> (Guesses, Clock) {
        let clock = Clock::standing_at(1_000_000);
        (Guesses::new(clock.clone()), clock)
    }

    fn waited(guesses: &Guesses, username: &str, address: &str) -> u64 {
        match guesses.begin(username, address.parse().unwrap()) {
            Ok(_) => 0,
            Err(ServiceError::LimitExceeded {
                retry_after_seconds,
            }) => retry_after_seconds,
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn from_the_fifth_failure_in_a_row_the_wait_doubles_up_to_a_minute() {
        let (guesses, clock) = guesses();
        for _ in 0..5 {
            assert_eq!(waited(&guesses, "ada", HERE), 0);
        }
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            assert_eq!(waited(&guesses, "ada", HERE), seconds);
            clock.advance(i64::try_from(seconds).unwrap() * 1000 - 1);
            assert_eq!(waited(&guesses, "ada", HERE), 1);
            clock.advance(1);
            assert_eq!(waited(&guesses, "ada", HERE), 0, "after {seconds} s");
        }
    }

    #[test]
    fn a_success_ends_the_accounts_streak_and_takes_one_failure_from_the_address() {
        let (guesses, _) = guesses();
        for _ in 0..100 {
            let guess = guesses.begin("ada", HERE.parse().unwrap()).unwrap();
            guess.was_right();
        }
        for at in 0..19 {
            assert_eq!(waited(&guesses, &format!("u{at}"), HERE), 0);
        }
        guesses
            .begin("ada", HERE.parse().unwrap())
            .unwrap()
            .was_right();
        assert_eq!(waited(&guesses, "ben", HERE), 0);
        assert_eq!(waited(&guesses, "ada", HERE), 1);
        assert_eq!(waited(&guesses, "ada", "192.0.2.2"), 0);
    }

    #[test]
    fn guesses_made_all_at_once_count_before_they_are_checked() {
        let (guesses, _) = guesses();
        let address = HERE.parse().unwrap();
        let begun: Vec<_> = (0..50)
            .filter_map(|_| guesses.begin("ada", address).ok())
            .collect();
        assert_eq!(begun.len(), 5);
    }

    #[test]
    fn a_login_that_could_not_be_answered_counts_neither_way() {
        let (guesses, _) = guesses();
        for _ in 0..50 {
            let guess = guesses.begin("ada", HERE.parse().unwrap()).unwrap();
            guess.was_not_answered();
        }
    }

    #[test]
    fn a_streak_is_forgiven_after_a_quarter_of_an_hour() {
        let (guesses, clock) = guesses();
        for _ in 0..5 {
            assert_eq!(waited(&guesses, "ada", HERE), 0);
        }
        clock.advance(15 * 60 * 1000);
        for _ in 0..5 {
            assert_eq!(waited(&guesses, "ada", HERE), 0);
        }
        assert_eq!(waited(&guesses, "ada", HERE), 1);
    }
}
