//! Rate limits: how often one principal and one address may make requests.
//!
//! One bucket per principal and one per address, never by path, so that another spelling of an id
//! gains nothing; lists and administration have buckets of their own, so that browsing costs
//! nobody a mint. Failed authentication counts in its address's bucket. The buckets follow the
//! generic cell rate algorithm (library `governor`): a full bucket holds a minute's worth.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use moka::sync::Cache;

use crate::domain::caller::Caller;
use crate::domain::clock::Clock;
use crate::domain::id::UserId;

use super::error::ServiceError;

/// How many buckets are kept; the least used are evicted first.
const MAX_BUCKETS: u64 = 100_000;
/// A bucket that is not used for this long is full again and can be dropped.
const BUCKET_TTL: Duration = Duration::from_secs(90);

type Bucket = RateLimiter<NotKeyed, InMemoryState, LimitClock, NoOpMiddleware<Nanos>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum RateLimitKey {
    User(UserId),
    Address(IpAddr),
}

/// How many requests a principal, or an anonymous address, may make per minute; none means no limit.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Mints, and what counts like them: failed authentication.
    pub mints: Option<NonZeroU32>,
    /// Lists, API keys and administration.
    pub requests: Option<NonZeroU32>,
}

/// Counts requests and rejects those above the limit.
pub struct RateLimits {
    mints: KeyedRateLimiter,
    requests: KeyedRateLimiter,
}

/// One bucket per key.
struct KeyedRateLimiter {
    per_minute: Option<NonZeroU32>,
    by_key: Cache<RateLimitKey, Arc<Bucket>>,
    clock: Clock,
}

impl RateLimits {
    /// Allows `rates` to each principal and each address.
    #[must_use]
    pub fn new(rates: Rates, clock: Clock) -> Self {
        Self {
            mints: KeyedRateLimiter::new(rates.mints, clock.clone()),
            requests: KeyedRateLimiter::new(rates.requests, clock),
        }
    }

    /// Counts one mint of a caller: in the user's bucket, or in the address's when anonymous.
    pub fn check_mint(&self, caller: &Caller) -> Result<(), ServiceError> {
        self.mints.check(RateLimitKey::for_caller(caller))
    }

    /// Counts one request of a caller that mints nothing.
    pub fn check_request(&self, caller: &Caller) -> Result<(), ServiceError> {
        self.requests.check(RateLimitKey::for_caller(caller))
    }

    /// Counts one refresh of a user's session like a mint.
    pub fn count_user(&self, user_id: UserId) -> Result<(), ServiceError> {
        self.mints.check(RateLimitKey::User(user_id))
    }

    /// Counts one login or one failed authentication of an address like an anonymous mint.
    pub fn count_address(&self, address: IpAddr) -> Result<(), ServiceError> {
        self.mints
            .check(RateLimitKey::Address(client_network(address)))
    }
}

impl RateLimitKey {
    fn for_caller(caller: &Caller) -> Self {
        match caller.principal.user_id() {
            Some(user_id) => Self::User(user_id),
            None => Self::Address(client_network(caller.address)),
        }
    }
}

impl KeyedRateLimiter {
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

    fn check(&self, key: RateLimitKey) -> Result<(), ServiceError> {
        let Some(per_minute) = self.per_minute else {
            return Ok(());
        };
        let clock = || LimitClock(self.clock.clone());
        let bucket = self.by_key.get_with(key, || {
            let quota = Quota::per_minute(per_minute);
            Arc::new(RateLimiter::direct_with_clock(quota, clock()))
        });
        bucket.check().map_err(|not_until| {
            ServiceError::limit_exceeded(not_until.wait_time_from(clock().now()))
        })
    }
}

/// One household has one IPv6 /64 (RFC 6177) and as many addresses as it likes: they share a bucket.
#[must_use]
pub fn client_network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    }
}

#[derive(Clone, Debug)]
struct LimitClock(Clock);

impl GovernorClock for LimitClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(self.0.monotonic())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited_to(mints: u32, clock: &Clock) -> RateLimits {
        let rates = Rates {
            mints: NonZeroU32::new(mints),
            requests: None,
        };
        RateLimits::new(rates, clock.clone())
    }

    fn retry_after(result: &Result<(), ServiceError>) -> Option<u64> {
        match result {
            Err(ServiceError::LimitExceeded {
                retry_after_seconds,
            }) => Some(*retry_after_seconds),
            _ => None,
        }
    }

    #[test]
    fn an_empty_bucket_says_exactly_when_it_holds_the_next_request() {
        let clock = Clock::fixed_at(1_000_000);
        let limits = limited_to(6, &clock);
        let address = "192.0.2.1".parse().unwrap();
        for _ in 0..6 {
            limits.count_address(address).unwrap();
        }
        assert_eq!(retry_after(&limits.count_address(address)), Some(10));
        clock.advance(4_000);
        assert_eq!(retry_after(&limits.count_address(address)), Some(6));
        clock.advance(6_000);
        limits.count_address(address).unwrap();
    }

    #[test]
    fn addresses_of_one_ipv6_network_share_a_bucket_and_others_do_not() {
        let limits = limited_to(1, &Clock::fixed_at(1_000_000));
        limits
            .count_address("2001:db8::1".parse().unwrap())
            .unwrap();
        assert!(
            limits
                .count_address("2001:db8::2".parse().unwrap())
                .is_err()
        );
        assert!(
            limits
                .count_address("2001:db8:0:1::1".parse().unwrap())
                .is_ok()
        );
        limits.count_address("192.0.2.1".parse().unwrap()).unwrap();
        assert!(
            limits
                .count_address("::ffff:192.0.2.1".parse().unwrap())
                .is_err()
        );
        assert!(limits.count_address("192.0.2.2".parse().unwrap()).is_ok());
    }

    #[test]
    fn without_a_limit_any_number_is_allowed() {
        let limits = limited_to(0, &Clock::fixed_at(0));
        for _ in 0..1_000 {
            limits.count_address("192.0.2.1".parse().unwrap()).unwrap();
        }
    }
}
