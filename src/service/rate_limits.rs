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

use crate::domain::caller::Caller;
use crate::domain::clock::Clock;
use crate::domain::id::UserId;

use super::error::ServiceError;

pub use self::buckets::CountedMints;
use self::buckets::{Buckets, RateLimitKey, Share};

mod buckets;

/// The IPv6 networks that an address counts for, and how many times the limit each of them has.
const IPV6_NETWORKS: [(u8, u32); 3] = [(64, 1), (56, 4), (48, 16)];

/// How many times the downloads of one caller a network may make: many share one address.
const NETWORK_DOWNLOADS: u32 = 4;

/// How many requests a principal, or an anonymous address, may make per minute; none means no limit.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Mints, and what counts like them: failed authentication.
    pub mints: Option<NonZeroU32>,
    /// Lists, API keys and administration.
    pub requests: Option<NonZeroU32>,
    /// Downloads, each span one.
    pub downloads: Option<NonZeroU32>,
    /// Decisions that services ask for.
    pub evaluations: Option<NonZeroU32>,
}

/// Counts requests and rejects those above the limit.
pub struct RateLimits {
    mints: Buckets,
    attempts: Buckets,
    requests: Buckets,
    downloads: Buckets,
    network_downloads: Buckets,
    refused_downloads: Buckets,
    evaluations: Buckets,
}

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
            refused_downloads: Buckets::new(rates.mints, clock.clone()),
            evaluations: Buckets::new(rates.evaluations, clock),
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

    /// Counts so many decisions that a service asks for, or none if the limit does not allow all of them.
    pub fn check_evaluations(&self, caller: &Caller, count: u32) -> Result<(), ServiceError> {
        if self.evaluations.is_unlimited() {
            return Ok(());
        }
        self.evaluations.take_all(count, &caller_shares(caller))
    }

    /// Counts so many more decisions for the work of a search beyond its first part.
    pub fn charge_evaluations(&self, caller: &Caller, count: u32) {
        self.evaluations.charge(&caller_shares(caller), count);
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
