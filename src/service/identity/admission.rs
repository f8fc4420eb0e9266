//! Admission: the limit of an address comes before the work of checking a credential.
//!
//! An attempt with a credential that is not known is charged to its address before a signature is
//! verified or the database is asked, and refused when the address has no attempts left. A good
//! credential gives the charge back. One that is known pays nothing first, so that failures of others
//! at the same address do not lock its owner out: tokens and keys that were verified before, and
//! tokens that this process issued.

use std::net::IpAddr;
use std::time::Duration;

use moka::sync::Cache;

use crate::domain::api_key::KeyDigest;
use crate::domain::id::{RecordId, SessionId};
use crate::domain::session::RefreshTokenDigest;
use crate::service::error::ServiceError;
use crate::service::rate_limits::RateLimits;

/// How many credentials of each kind are remembered; the least used are evicted first.
const MAX_REMEMBERED_CREDENTIALS: u64 = 50_000;
/// How long an unused credential is remembered.
const REMEMBERED_TTL: Duration = Duration::from_hours(1);
/// How long a spent refresh token is remembered: the longest grace, and as much again.
const SPENT_TOKEN_TTL: Duration = Duration::from_mins(2);

/// An attempt to authenticate.
#[must_use = "an attempt that is not settled stays charged"]
pub(super) struct Admission<'a> {
    rate_limits: &'a RateLimits,
    address: IpAddr,
    is_charged: bool,
}

impl<'a> Admission<'a> {
    pub(super) fn new(rate_limits: &'a RateLimits, address: IpAddr) -> Self {
        Self {
            rate_limits,
            address,
            is_charged: false,
        }
    }

    /// Charges the attempt to its address, if that was not done yet; the error is 429.
    pub(super) fn charge(&mut self) -> Result<(), ServiceError> {
        if !self.is_charged {
            self.rate_limits.take_attempt(self.address)?;
            self.is_charged = true;
        }
        Ok(())
    }

    /// Ends the attempt: a rejected credential stays charged and counts like an anonymous mint, or is
    /// 429 if there are no attempts left; anything else is given back.
    pub(super) fn settle<T>(self, result: Result<T, ServiceError>) -> Result<T, ServiceError> {
        let is_rejected = matches!(
            result,
            Err(ServiceError::CredentialRejected { .. } | ServiceError::TokenOfOtherDataset)
        );
        if is_rejected {
            self.fail()?;
        } else if self.is_charged {
            self.rate_limits.refund_attempt(self.address);
        }
        result
    }

    /// Ends the attempt of a credential that is good for nothing.
    pub(super) fn fail(mut self) -> Result<(), ServiceError> {
        self.charge()?;
        self.rate_limits.count_failure(self.address);
        Ok(())
    }
}

/// Something with a valid signature whose attempts depend on what the database says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum SignedCredential {
    /// A session token of a session.
    Session(SessionId),
    /// A download token, by its `jti`.
    Download(RecordId),
    /// A token of an identity provider, by its SHA-256.
    External([u8; 32]),
}

/// What is remembered of credentials that were presented before.
pub struct KnownCredentials {
    /// API keys that were good.
    api_keys: Cache<[u8; 32], ()>,
    /// Refresh tokens that this process issued and that are not spent.
    refresh_tokens: Cache<RefreshTokenDigest, ()>,
    /// Refresh tokens that were spent lately: within the grace they are as good as others.
    spent_refresh_tokens: Cache<RefreshTokenDigest, ()>,
    /// Tokens that were rejected although their signature is valid.
    rejected: Cache<SignedCredential, ()>,
}

impl Default for KnownCredentials {
    fn default() -> Self {
        Self {
            api_keys: new_cache(),
            refresh_tokens: new_cache(),
            spent_refresh_tokens: Cache::builder()
                .max_capacity(MAX_REMEMBERED_CREDENTIALS)
                .time_to_live(SPENT_TOKEN_TTL)
                .build(),
            rejected: new_cache(),
        }
    }
}

impl KnownCredentials {
    pub(super) fn is_good_api_key(&self, digest: &KeyDigest) -> bool {
        self.api_keys.get(&digest.0).is_some()
    }

    pub(super) fn set_api_key(&self, digest: &KeyDigest, is_good: bool) {
        if is_good {
            self.api_keys.insert(digest.0, ());
        } else {
            self.api_keys.invalidate(&digest.0);
        }
    }

    pub(super) fn add_refresh_token(&self, digest: RefreshTokenDigest) {
        self.refresh_tokens.insert(digest, ());
    }

    pub(super) fn is_issued_refresh_token(&self, digest: &RefreshTokenDigest) -> bool {
        self.refresh_tokens.contains_key(digest) || self.spent_refresh_tokens.contains_key(digest)
    }

    pub(super) fn set_refresh_token_spent(&self, digest: RefreshTokenDigest) {
        self.refresh_tokens.invalidate(&digest);
        // Its time runs from the first use.
        self.spent_refresh_tokens.entry(digest).or_insert(());
    }

    pub(super) fn remove_refresh_token(&self, digest: &RefreshTokenDigest) {
        self.refresh_tokens.invalidate(digest);
        self.spent_refresh_tokens.invalidate(digest);
    }

    pub(super) fn is_rejected(&self, credential: SignedCredential) -> bool {
        self.rejected.contains_key(&credential)
    }

    pub(super) fn set_rejected(&self, credential: SignedCredential, is_rejected: bool) {
        if is_rejected {
            self.rejected.insert(credential, ());
        } else {
            self.rejected.invalidate(&credential);
        }
    }
}

fn new_cache<K: std::hash::Hash + Eq + Send + Sync + 'static>() -> Cache<K, ()> {
    Cache::builder()
        .max_capacity(MAX_REMEMBERED_CREDENTIALS)
        .time_to_idle(REMEMBERED_TTL)
        .build()
}
