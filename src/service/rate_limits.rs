//! Rate limits: how often one principal and one network may make requests.
//!
//! One bucket per principal and one per network, never by path, so that another spelling of an id
//! gains nothing; lists and administration have buckets of their own, so that browsing costs
//! nobody a mint. Attempts to authenticate have one too: it is charged before the work, and a
//! credential that turns out to be good gives its charge back.
//!
//! An anonymous IPv6 address counts for its /64, and with larger buckets for its /56 and its /48: whoever
//! has a /48 is not 65,536 callers. The buckets follow the generic cell rate algorithm (ITU-T I.371):
//! a full bucket holds a minute's worth. They are our own, because the library `governor` has no way to
//! give a charge back, and without it many attempts at once would all begin before one of them failed.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use parking_lot::Mutex;

use crate::domain::caller::Caller;
use crate::domain::clock::Clock;
use crate::domain::id::UserId;

use super::error::ServiceError;

/// How many buckets are kept; the least used are evicted first.
const MAX_BUCKETS: u64 = 100_000;
/// A bucket that is not used for this long is full again and can be dropped.
const BUCKET_TTL: Duration = Duration::from_secs(150);
/// How long a bucket takes to fill.
const FILL_TIME: Duration = Duration::from_mins(1);

/// The IPv6 networks that an address counts for, and how many times the limit each of them has.
const IPV6_NETWORKS: [(u8, u32); 3] = [(64, 1), (56, 4), (48, 16)];

/// How many times the downloads of one caller a network may make: many share one address.
const NETWORK_DOWNLOADS: u32 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum RateLimitKey {
    User(UserId),
    Network(IpAddr, u8),
    /// Logins to an account from a network that it is known from.
    Login([u8; 32], IpAddr),
}

/// How many requests a principal, or an anonymous address, may make per minute; none means no limit.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Mints, and what counts like them: failed authentication.
    pub mints: Option<NonZeroU32>,
    /// Lists, API keys and administration.
    pub requests: Option<NonZeroU32>,
    /// Downloads, each span one.
    pub downloads: Option<NonZeroU32>,
}

/// Counts requests and rejects those above the limit.
pub struct RateLimits {
    mints: Buckets,
    attempts: Buckets,
    requests: Buckets,
    downloads: Buckets,
    network_downloads: Buckets,
    refused_downloads: Buckets,
}

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

/// One bucket per key.
struct Buckets {
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
type Share = (RateLimitKey, u32);

impl RateLimits {
    /// Allows `rates` to each principal and each address.
    #[must_use]
    pub fn new(rates: Rates, clock: Clock) -> Self {
        Self {
            mints: Buckets::new(rates.mints, clock.clone()),
            attempts: Buckets::new(rates.mints, clock.clone()),
            requests: Buckets::new(rates.requests, clock.clone()),
            downloads: Buckets::new(rates.downloads, clock.clone()),
            network_downloads: Buckets::new(rates.downloads, clock.clone()),
            refused_downloads: Buckets::new(rates.mints, clock),
        }
    }

    /// Counts one mint of a caller: in the user's bucket, or in the address's when anonymous.
    pub fn check_mint(&self, caller: &Caller) -> Result<(), ServiceError> {
        if self.mints.is_unlimited() {
            return Ok(());
        }
        self.mints.take(&caller_shares(caller))
    }

    /// Counts so many mints of a caller, as far as the limit allows: says how many of them it allows, and why no more.
    pub fn check_mints(&self, caller: &Caller, count: u32) -> CountedMints {
        self.mints.take_up_to(count, &caller_shares(caller))
    }

    /// Counts one request of a caller that mints nothing.
    pub fn check_request(&self, caller: &Caller) -> Result<(), ServiceError> {
        self.requests.take(&caller_shares(caller))
    }

    /// Counts the work of a request beyond its first part, as so many more requests: the next ones
    /// have to wait for it.
    pub fn charge_request(&self, caller: &Caller, requests: u32) {
        self.requests.charge(&caller_shares(caller), requests);
    }

    /// Counts one download of a caller.
    pub fn check_download(&self, caller: &Caller) -> Result<(), ServiceError> {
        self.count_download_of(caller.principal.user_id(), caller.address.for_limits())
    }

    /// Counts one download of a user, or of an address whose caller is anonymous.
    pub fn count_download_of(
        &self,
        user: Option<UserId>,
        address: IpAddr,
    ) -> Result<(), ServiceError> {
        if self.downloads.is_unlimited() {
            return Ok(());
        }
        self.downloads.take(&shares_of(user, address))
    }

    /// Counts one download of a network, before anything is done for it.
    pub fn count_network_download(&self, address: IpAddr) -> Result<(), ServiceError> {
        if self.network_downloads.is_unlimited() {
            return Ok(());
        }
        let shares = network_shares(address).into_iter();
        let shares = shares.map(|(key, times)| (key, times.saturating_mul(NETWORK_DOWNLOADS)));
        self.network_downloads.take(&shares.collect::<Vec<_>>())
    }

    /// Counts one download that is refused and would be a record of its own.
    pub fn count_refusal(&self, user: Option<UserId>, address: IpAddr) -> Result<(), ServiceError> {
        self.refused_downloads.take(&shares_of(user, address))
    }

    /// Counts one refresh of a user's session like a mint.
    pub fn count_user(&self, user_id: UserId) -> Result<(), ServiceError> {
        self.mints.take(&[(RateLimitKey::User(user_id), 1)])
    }

    /// Counts one login, or one request without the credential that it needs, of an address: like a
    /// failed authentication.
    pub fn count_address(&self, address: IpAddr) -> Result<(), ServiceError> {
        self.take_attempt(address)?;
        self.count_failure(address);
        Ok(())
    }

    /// Counts an attempt to authenticate before anything is done for it.
    pub(super) fn take_attempt(&self, address: IpAddr) -> Result<(), ServiceError> {
        self.attempts.take(&network_shares(address))
    }

    /// Gives an attempt back whose credential was good.
    pub(super) fn refund_attempt(&self, address: IpAddr) {
        self.attempts.refund(&network_shares(address));
    }

    /// Counts a failed attempt like an anonymous mint of its address.
    pub(super) fn count_failure(&self, address: IpAddr) {
        self.mints.charge(&network_shares(address), 1);
    }

    /// Counts one login to an account from a network that it is known from: others at the same address
    /// do not use that up.
    pub(super) fn count_known_login(
        &self,
        account: [u8; 32],
        address: IpAddr,
    ) -> Result<(), ServiceError> {
        let key = RateLimitKey::Login(account, client_network(address));
        self.attempts.take(&[(key, 1)])
    }
}

fn caller_shares(caller: &Caller) -> Vec<Share> {
    shares_of(caller.principal.user_id(), caller.address.for_limits())
}

fn shares_of(user: Option<UserId>, address: IpAddr) -> Vec<Share> {
    let of_user = |user_id| vec![(RateLimitKey::User(user_id), 1)];
    user.map_or_else(|| network_shares(address), of_user)
}

fn network_shares(address: IpAddr) -> Vec<Share> {
    let share = |(network, prefix, times)| (RateLimitKey::Network(network, prefix), times);
    client_networks(address).into_iter().map(share).collect()
}

impl Buckets {
    fn new(per_minute: Option<NonZeroU32>, clock: Clock) -> Self {
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
    fn take(&self, shares: &[Share]) -> Result<(), ServiceError> {
        self.try_take(shares)
            .map_err(|(wait, _)| ServiceError::limit_exceeded(wait))
    }

    fn is_unlimited(&self) -> bool {
        self.per_minute.is_none()
    }

    /// Takes so many requests out of each bucket, or as many as there are in the emptiest one.
    fn take_up_to(&self, count: u32, shares: &[Share]) -> CountedMints {
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
    fn charge(&self, shares: &[Share], requests: u32) {
        let now = self.clock.monotonic();
        for (key, times) in shares {
            if let Some(interval) = self.interval(*times) {
                self.bucket(*key).lock().charge(now, interval, requests);
            }
        }
    }

    /// Puts one request back into each bucket.
    fn refund(&self, shares: &[Share]) {
        for (key, times) in shares {
            if let Some(interval) = self.interval(*times) {
                let bucket = self.bucket(*key);
                let mut bucket = bucket.lock();
                bucket.full_at = bucket.full_at.saturating_sub(interval);
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

    /// Takes so many requests at `now`; it owes a minute's worth at most.
    fn charge(&mut self, now: Duration, interval: Duration, requests: u32) {
        let full_at = self
            .full_at
            .max(now)
            .saturating_add(interval.saturating_mul(requests));
        self.full_at = full_at.min(now.saturating_add(FILL_TIME).saturating_add(FILL_TIME));
    }
}

/// The network of a client: its IPv4 address, or its IPv6 /64. One household has one /64 (RFC 6177) and
/// as many addresses as it likes: they share a bucket.
#[must_use]
pub fn client_network(address: IpAddr) -> IpAddr {
    ip_network(address, 64)
}

/// The networks that a client counts for: each with its prefix length and how many times the limit of
/// one client it has.
pub(super) fn client_networks(address: IpAddr) -> Vec<(IpAddr, u8, u32)> {
    match address.to_canonical() {
        IpAddr::V4(address) => vec![(IpAddr::V4(address), 32, 1)],
        IpAddr::V6(address) => IPV6_NETWORKS
            .iter()
            .map(|(prefix, times)| (ip_network(IpAddr::V6(address), *prefix), *prefix, *times))
            .collect(),
    }
}

/// An IPv4 address, or the IPv6 network of so many bits.
fn ip_network(address: IpAddr, prefix: u8) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let host_bits = 128_u32.saturating_sub(u32::from(prefix));
            let mask = u128::MAX.checked_shl(host_bits).unwrap_or_default();
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

#[cfg(test)]
mod tests;
