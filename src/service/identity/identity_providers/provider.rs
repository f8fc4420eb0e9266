//! One identity provider: its keys, when they are fetched, and what was verified with them.
//!
//! | the keys | a token |
//! |---|---|
//! | are fresh | is verified |
//! | are a little stale, or their server fails | is verified with the last good ones, and they are fetched in the background |
//! | have been stale for long | waits for the fetch, and uses the last good ones if it fails |
//! | are missing, or older than [`OUTAGE_KEY_TTL`](super::freshness::OUTAGE_KEY_TTL) | waits for the fetch; if it fails, currently no token can be verified |
//! | are there, but not the one that the token names | waits for one fetch, at most one every 30 seconds |
//!
//! One fetch runs at a time; it is a task of its own, so that a client that disconnects does not stop
//! it. No request waits for the keys of a provider that its token does not name.

use std::sync::Arc;

use moka::sync::Cache;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use tokio::sync::OwnedMutexGuard;

use crate::domain::clock::Clock;
use crate::domain::issuer::ExternalIssuer;
use crate::service::error::ServiceError;
use crate::token::{ExpectedExternalClaims, ExternalKeySet, ExternalToken, RefusedToken};

use super::error::{ExternalTokenError, FetchError};
use super::freshness::{
    DEFAULT_KEY_TTL, FetchDue, FetchState, MAX_KEY_TTL, MIN_KEY_TTL, ProviderKeys,
    UNKNOWN_KEY_INTERVAL,
};
use super::identity::ExternalIdentity;
use super::key_set_source::{FetchedKeySet, KeySetSource};

/// The most bytes of cached identities of one provider, each of a verified token.
const MAX_VERIFIED_SIZE: u64 = 32 * 1024 * 1024;

/// The status of an identity provider; nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityProviderStatus {
    /// The issuer URL.
    pub issuer: String,
    /// The audience that its tokens must have.
    pub audience: String,
    /// Where its keys come from: a file, or the URL of the discovery document.
    pub source: String,
    /// How many of its keys can verify tokens.
    pub keys: usize,
    /// When the keys were last fetched, in seconds since 1970 UTC.
    pub last_success: Option<i64>,
    /// Why the last fetch failed; nothing if it did not.
    pub last_error: Option<String>,
}

/// One identity provider.
pub struct IdentityProvider {
    /// Its configuration.
    pub config: ExternalIssuer,
    source: KeySetSource,
    clock: Clock,
    state: Mutex<FetchState>,
    fetch_lock: Arc<tokio::sync::Mutex<()>>,
}

impl IdentityProvider {
    pub(super) fn new(config: ExternalIssuer, source: KeySetSource, clock: Clock) -> Self {
        Self {
            config,
            source,
            clock,
            state: Mutex::default(),
            fetch_lock: Arc::default(),
        }
    }

    /// Verifies a token that names this provider, and returns the identity of its subject.
    ///
    /// `admit` is called before its signature is verified, unless that was done before.
    pub async fn verify(
        self: &Arc<Self>,
        token: &str,
        admit: impl FnOnce() -> Result<(), ServiceError>,
    ) -> Result<Arc<ExternalIdentity>, ExternalTokenError> {
        let token_digest: [u8; 32] = Sha256::digest(token).into();
        let now_millis = self.clock.unix_millis();
        if let Some(identity) = self.find_verified(token_digest, now_millis)? {
            self.fetch_in_background();
            return Ok(identity);
        }
        admit().map_err(ExternalTokenError::NotAdmitted)?;
        let refused = |refused: RefusedToken| ExternalTokenError::Refused(refused.refusal);
        let token = ExternalToken::parse(token, &self.expected(now_millis)).map_err(refused)?;
        let mut keys = self.keys().await?;
        let claims = match token.verify(&keys.keys) {
            Err(refused) if token.may_have_a_new_key(&refused.error) => {
                keys = self.keys_after_unknown_kid(token.kid(), keys).await?;
                token.verify(&keys.keys)
            }
            verified => verified,
        }
        .map_err(refused)?;
        let identity = ExternalIdentity::from_claims(claims, &self.config, token_digest)
            .map_err(ExternalTokenError::Refused)?;
        let identity = Arc::new(identity);
        keys.verified.insert(token_digest, Arc::clone(&identity));
        Ok(identity)
    }

    fn expected(&self, now_millis: i64) -> ExpectedExternalClaims<'_> {
        ExpectedExternalClaims {
            issuer: &self.config.issuer,
            audience: &self.config.audience,
            audience_claim: self.config.audience_claim.as_ref(),
            algorithms: &self.config.algorithms,
            now_millis,
        }
    }

    /// The identity of a token that was verified before, if the token and the keys are still valid.
    fn find_verified(
        &self,
        token_digest: [u8; 32],
        now_millis: i64,
    ) -> Result<Option<Arc<ExternalIdentity>>, ExternalTokenError> {
        let found = {
            let state = self.state.lock();
            let now = self.clock.monotonic();
            if state.fetch_due(now) == FetchDue::BeforeUse {
                None
            } else {
                state
                    .usable_keys(now)
                    .and_then(|keys| keys.verified.get(&token_digest))
            }
        };
        if let Some(identity) = &found {
            identity
                .check_times(now_millis)
                .map_err(|refused| ExternalTokenError::Refused(refused.refusal))?;
        }
        Ok(found)
    }

    /// The keys to verify with, fetched first if necessary.
    async fn keys(self: &Arc<Self>) -> Result<Arc<ProviderKeys>, ExternalTokenError> {
        if self.fetch_due() == FetchDue::BeforeUse {
            self.fetch_before_use().await;
        } else {
            self.fetch_in_background();
        }
        let state = self.state.lock();
        state
            .usable_keys(self.clock.monotonic())
            .map(Arc::clone)
            .ok_or_else(|| state.unavailable())
    }

    /// The keys after a fetch for a key id that was not among `previous`.
    async fn keys_after_unknown_kid(
        self: &Arc<Self>,
        kid: Option<&str>,
        previous: Arc<ProviderKeys>,
    ) -> Result<Arc<ProviderKeys>, ExternalTokenError> {
        // A token without a key id may mean any key, so that any other keys are worth a try.
        let has_key = |keys: &Arc<ProviderKeys>| match kid {
            Some(kid) => keys.keys.contains(kid),
            None => !Arc::ptr_eq(keys, &previous),
        };
        let fetch_guard = Arc::clone(&self.fetch_lock).lock_owned().await;
        let may_fetch = {
            let mut state = self.state.lock();
            let now = self.clock.monotonic();
            let is_already_fetched = state
                .keys
                .as_ref()
                .is_some_and(|keys| !Arc::ptr_eq(keys, &previous) && has_key(keys));
            let is_too_soon = state
                .last_unknown_key_fetch
                .is_some_and(|at| now.saturating_sub(at) < UNKNOWN_KEY_INTERVAL);
            let may_fetch = !is_already_fetched && !is_too_soon;
            if may_fetch {
                state.last_unknown_key_fetch = Some(now);
            }
            may_fetch
        };
        if may_fetch {
            self.fetch(fetch_guard).await;
        }
        let state = self.state.lock();
        match state.usable_keys(self.clock.monotonic()) {
            Some(keys) if has_key(keys) || state.last_error.is_none() => Ok(Arc::clone(keys)),
            // The key may be a new one of the provider: that cannot be known now.
            Some(_) | None => Err(state.unavailable()),
        }
    }

    /// Fetches the keys, if they must be fetched before use, and waits for it.
    pub(super) async fn fetch_before_use(self: &Arc<Self>) {
        let fetch_guard = Arc::clone(&self.fetch_lock).lock_owned().await;
        // Another fetch may have ended while this one waited for the lock.
        if self.fetch_due() == FetchDue::BeforeUse {
            self.fetch(fetch_guard).await;
        }
    }

    /// Fetches the keys in the background, if that is due.
    pub(super) fn fetch_in_background(self: &Arc<Self>) {
        if self.fetch_due() != FetchDue::NotDue
            && let Ok(fetch_guard) = Arc::clone(&self.fetch_lock).try_lock_owned()
        {
            drop(self.spawn_fetch(fetch_guard));
        }
    }

    /// Fetches the keys and waits for it.
    async fn fetch(self: &Arc<Self>, fetch_guard: OwnedMutexGuard<()>) {
        if self.spawn_fetch(fetch_guard).await.is_err() {
            tracing::error!(issuer = self.config.issuer, "key set fetch interrupted");
        }
    }

    fn spawn_fetch(
        self: &Arc<Self>,
        fetch_guard: OwnedMutexGuard<()>,
    ) -> tokio::task::JoinHandle<()> {
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let fetched = this.source.fetch().await;
            this.store_fetched(fetched);
            drop(fetch_guard);
        })
    }

    /// Stores the result of a fetch: new keys, or an error to continue with the old ones.
    fn store_fetched(&self, fetched: Result<FetchedKeySet, FetchError>) {
        let parsed = fetched.and_then(|fetched| {
            let digest = Sha256::digest(&fetched.body).into();
            let keys = ExternalKeySet::parse(&fetched.body, &self.config.algorithms)?;
            Ok((digest, keys, fetched.max_age))
        });
        let outcome = if parsed.is_ok() { "fetched" } else { "failed" };
        let issuer = &self.config.issuer;
        metrics::counter!(
            "cedargate_issuer_fetches_total",
            "issuer" => issuer.clone(),
            "outcome" => outcome,
        )
        .increment(1);
        let mut state = self.state.lock();
        let now = self.clock.monotonic();
        state.last_attempt = Some(now);
        match parsed {
            Ok((digest, keys, max_age)) => {
                if state.last_error.take().is_some() {
                    tracing::info!(issuer, "key set fetch of the identity provider recovered");
                }
                state.fetched_at = Some((now, self.clock.unix_seconds()));
                state.ttl = max_age
                    .unwrap_or(DEFAULT_KEY_TTL)
                    .clamp(MIN_KEY_TTL, MAX_KEY_TTL);
                if state.keys.as_ref().is_none_or(|keys| keys.digest != digest) {
                    state.keys = Some(Arc::new(ProviderKeys {
                        digest,
                        keys,
                        verified: Cache::builder()
                            .max_capacity(MAX_VERIFIED_SIZE)
                            .weigher(|_, identity: &Arc<ExternalIdentity>| identity.cached_size())
                            .build(),
                    }));
                }
            }
            Err(error) => {
                tracing::warn!(issuer, %error, "key set fetch of the identity provider failed");
                state.last_error = Some(error.to_string());
            }
        }
    }

    /// The status of its keys.
    #[must_use]
    pub fn status(&self) -> IdentityProviderStatus {
        let state = self.state.lock();
        IdentityProviderStatus {
            issuer: self.config.issuer.clone(),
            audience: self.config.audience.clone(),
            source: self.source.location(),
            keys: state
                .keys
                .as_ref()
                .map_or(0, |keys| keys.keys.usable_keys()),
            last_success: state.fetched_at.map(|(_, unix_seconds)| unix_seconds),
            last_error: state.last_error.clone(),
        }
    }

    fn fetch_due(&self) -> FetchDue {
        self.state.lock().fetch_due(self.clock.monotonic())
    }
}
