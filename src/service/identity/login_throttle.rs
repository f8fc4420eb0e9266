//! Login throttle: repeated failed logins are delayed, longer and longer.
//!
//! Each account has a streak of failures, by the normal form of its user name, whether such an account exists
//! or not: so a streak says nothing about which accounts exist, and no spelling of a name has one of its own. Each network has one too, over all
//! accounts: an IPv4 address, or the /64, the /56 and the /48 of an IPv6 address. From the fifth failure in
//! a row on an account, and from the twentieth of an address, the next attempt must wait 1 second, then 2, 4,
//! and so on up to 60.
//!
//! Whoever signs in from a network that the account is known from has a streak of its own, and only that
//! one: failures of strangers, elsewhere or next door, never lock the owner out.
//!
//! An attempt counts as failed from its start until it succeeds, so that concurrent attempts do not
//! get around the limit. An attempt that comes too early for its account is not checked, and counts as a
//! failure of its networks: or else whoever asks most often would get the account's next turn. Streaks are
//! kept in this process only: another replica counts for itself, and a restart resets them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use crate::domain::clock::Clock;
use crate::domain::name::Username;
use crate::service::error::ServiceError;
use crate::service::rate_limits::{client_network, client_networks};

/// How many failures in a row an account has before it must wait.
const ACCOUNT_FREE_FAILURES: u32 = 5;
/// How many failures an address has before it must wait: many people may share one. The larger networks of an
/// IPv6 address have as many times more as in the rate limits.
const ADDRESS_FREE_FAILURES: u32 = 20;
/// The longest wait.
const MAX_RETRY_INTERVAL: Duration = Duration::from_mins(1);
/// A streak ends this long after its last failure.
const STREAK_TTL: Duration = Duration::from_mins(15);
/// How many streaks are kept; the least used are evicted first.
const MAX_STREAKS: u64 = 100_000;

/// How many networks that accounts have signed in from are kept; the least used are evicted first.
const MAX_KNOWN_NETWORKS: u64 = 50_000;

/// The account of a login: the SHA-256 of its user name, or of what was typed in its place, which may have any
/// length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LoginAccount(pub [u8; 32]);

impl LoginAccount {
    /// The account of a user name; of what was typed, if that is none.
    #[must_use]
    pub fn new(username: Option<&Username>, typed: &str) -> Self {
        Self(Sha256::digest(username.map_or(typed, Username::as_str)).into())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum ThrottleKey {
    /// An account, for everybody from networks that it is not known from.
    Account(LoginAccount),
    /// An account and a network that it is known from.
    KnownNetwork(LoginAccount, IpAddr),
    /// A network of so many bits.
    Network(IpAddr, u8),
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
        if now.saturating_sub(self.last_failure_at) >= STREAK_TTL {
            *self = Self::default();
        }
        self.failures = self.failures.saturating_add(1);
        self.last_failure_at = now;
        self.blocked_until = now.saturating_add(delay_after(self.failures, free_failures));
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
    networks: Vec<Arc<Mutex<FailureStreak>>>,
}

impl LoginAttempt {
    /// The password was right: the account's streak ends.
    ///
    /// The networks lose this one failure and no more: or else whoever has an account of its own
    /// could sign in to it between guesses at others.
    pub fn succeed(self) {
        *self.account.lock() = FailureStreak::default();
        self.remove_from_networks();
    }

    /// The login could not be answered: it counts neither way.
    pub fn abandon(self) {
        self.account.lock().remove_failure();
        self.remove_from_networks();
    }

    fn remove_from_networks(&self) {
        for network in &self.networks {
            network.lock().remove_failure();
        }
    }
}

/// Counts failed logins, and delays further attempts.
pub struct LoginThrottle {
    streaks: Cache<ThrottleKey, Arc<Mutex<FailureStreak>>>,
    /// From which networks accounts have signed in, as far as this process knows; the database knows others.
    known_networks: Cache<(LoginAccount, IpAddr), ()>,
    clock: Clock,
}

impl LoginThrottle {
    /// A throttle without failures.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            streaks: Cache::new(MAX_STREAKS),
            known_networks: Cache::new(MAX_KNOWN_NETWORKS),
            clock,
        }
    }

    /// Remembers that an account has signed in from a network.
    pub fn add_known_network(&self, account: LoginAccount, network: IpAddr) {
        self.known_networks.insert((account, network), ());
    }

    /// Whether this process remembers that an account has signed in from a network.
    #[must_use]
    pub fn is_known_network(&self, account: LoginAccount, network: IpAddr) -> bool {
        self.known_networks.get(&(account, network)).is_some()
    }

    /// Starts an attempt, or fails with the time to wait. `is_known` is whether the account has signed in
    /// from this network before.
    pub fn start_attempt(
        &self,
        account: LoginAccount,
        address: IpAddr,
        is_known: bool,
    ) -> Result<LoginAttempt, ServiceError> {
        let now = self.clock.monotonic();
        let mut networks = Vec::new();
        let account_key = if is_known {
            ThrottleKey::KnownNetwork(account, client_network(address))
        } else {
            networks = client_networks(address);
            ThrottleKey::Account(account)
        };
        let free_failures: Vec<u32> = networks
            .iter()
            .map(|(.., times)| ADDRESS_FREE_FAILURES.saturating_mul(*times))
            .collect();
        let attempt = LoginAttempt {
            account: self.streak(account_key),
            networks: networks
                .into_iter()
                .map(|(network, prefix, _)| self.streak(ThrottleKey::Network(network, prefix)))
                .collect(),
        };
        // Always locked in this order, so that two logins cannot deadlock.
        let mut account = attempt.account.lock();
        let mut networks: Vec<_> = attempt
            .networks
            .iter()
            .map(|network| network.lock())
            .collect();
        let of_networks = networks.iter().map(|network| network.blocked_until).max();
        let of_networks = of_networks.unwrap_or_default();
        let blocked_until = account.blocked_until.max(of_networks);
        // Who waits for its network waits, and nothing else; who is only too early for the account pays.
        if of_networks <= now {
            for (network, free_failures) in networks.iter_mut().zip(free_failures) {
                network.add_failure(now, free_failures);
            }
        }
        if blocked_until > now {
            let wait = blocked_until.saturating_sub(now);
            return Err(ServiceError::limit_exceeded(wait));
        }
        account.add_failure(now, ACCOUNT_FREE_FAILURES);
        drop((account, networks));
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

    fn start(
        throttle: &LoginThrottle,
        username: &str,
        address: &str,
    ) -> Result<LoginAttempt, ServiceError> {
        let account = LoginAccount::new(None, username);
        throttle.start_attempt(account, address.parse().unwrap(), false)
    }

    fn wait(result: Result<LoginAttempt, ServiceError>) -> u64 {
        match result {
            Ok(_) => 0,
            Err(ServiceError::LimitExceeded {
                retry_after_seconds,
            }) => retry_after_seconds,
            Err(other) => panic!("{other}"),
        }
    }

    fn retry_after(throttle: &LoginThrottle, username: &str, address: &str) -> u64 {
        wait(start(throttle, username, address))
    }

    fn retry_after_if_known(throttle: &LoginThrottle, username: &str, address: &str) -> u64 {
        let account = LoginAccount::new(None, username);
        wait(throttle.start_attempt(account, address.parse().unwrap(), true))
    }

    #[test]
    fn from_the_fifth_failure_in_a_row_the_wait_doubles_up_to_a_minute() {
        let (throttle, clock) = new_throttle();
        // Who is too early pays with its network, so that each time it is another one.
        let mut networks = (0..100).map(|number| format!("198.51.100.{number}"));
        for _ in 0..5 {
            assert_eq!(retry_after(&throttle, "ada", ADDRESS), 0);
        }
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60, 60] {
            let mut early = || retry_after(&throttle, "ada", &networks.next().unwrap());
            assert_eq!(early(), seconds);
            clock.advance(i64::try_from(seconds).unwrap() * 1000 - 1);
            assert_eq!(early(), 1);
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
            start(&throttle, "ada", ADDRESS).unwrap().succeed();
        }
        for at in 0..19 {
            assert_eq!(retry_after(&throttle, &format!("u{at}"), ADDRESS), 0);
        }
        start(&throttle, "ada", ADDRESS).unwrap().succeed();
        assert_eq!(retry_after(&throttle, "ben", ADDRESS), 0);
        assert_eq!(retry_after(&throttle, "ada", ADDRESS), 1);
        assert_eq!(retry_after(&throttle, "ada", "192.0.2.2"), 0);
    }

    #[test]
    fn concurrent_attempts_count_before_they_are_checked() {
        let (throttle, _) = new_throttle();
        let started: Vec<_> = (0..50)
            .filter_map(|_| start(&throttle, "ada", ADDRESS).ok())
            .collect();
        assert_eq!(started.len(), 5);
    }

    #[test]
    fn an_abandoned_attempt_counts_neither_way() {
        let (throttle, _) = new_throttle();
        for _ in 0..50 {
            start(&throttle, "ada", ADDRESS).unwrap().abandon();
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

    #[test]
    fn strangers_do_not_slow_down_who_signs_in_from_a_known_network() {
        let (throttle, _) = new_throttle();
        for number in 0..50 {
            retry_after(&throttle, "ada", &format!("198.51.100.{number}"));
            retry_after(&throttle, &format!("u{number}"), ADDRESS);
        }
        assert_eq!(retry_after(&throttle, "ada", "192.0.2.2"), 1);
        assert!(retry_after(&throttle, "ben", ADDRESS) > 0);
        for _ in 0..5 {
            assert_eq!(retry_after_if_known(&throttle, "ada", ADDRESS), 0);
        }
        assert_eq!(retry_after_if_known(&throttle, "ada", ADDRESS), 1);
        assert_eq!(retry_after_if_known(&throttle, "ada", "192.0.2.2"), 0);
    }

    #[test]
    fn who_asks_most_often_does_not_get_the_next_turn() {
        let (throttle, clock) = new_throttle();
        for _ in 0..12 {
            retry_after(&throttle, "ada", "198.51.100.1");
            clock.advance(120_000);
        }
        assert_eq!(retry_after(&throttle, "ada", "198.51.100.1"), 0);
        // Two addresses ask ten times a second, the owner asks again when it was told to.
        let mut owner_waits = retry_after(&throttle, "ada", "192.0.2.7");
        let mut turns = [0, 0];
        for tenth in 1..=3_000_u64 {
            clock.advance(100);
            for address in ["198.51.100.1", "198.51.100.2"] {
                turns[0] += u64::from(retry_after(&throttle, "ada", address) == 0);
            }
            if tenth % 10 == 0 {
                owner_waits = owner_waits.saturating_sub(1);
                if owner_waits == 0 {
                    owner_waits = retry_after(&throttle, "ada", "192.0.2.7");
                    turns[1] += u64::from(owner_waits == 0);
                }
            }
        }
        assert!(turns[0] <= 5, "{turns:?}");
        assert!(turns[1] >= 1, "{turns:?}");
    }

    #[test]
    fn a_whole_ipv6_site_is_not_as_many_strangers_as_it_has_networks() {
        let (throttle, _) = new_throttle();
        let allowed = (0..65_536)
            .filter(|net| {
                let address = format!("2001:db8:0:{net:x}::1");
                retry_after(&throttle, &format!("u{net}"), &address) == 0
            })
            .count();
        assert_eq!(allowed, 16 * 20);
    }
}
