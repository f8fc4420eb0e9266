//! One outside issuer: its keys, when they are fetched, and what was verified with them.
//!
//! | the keys | what a token does |
//! |---|---|
//! | are there and fresh | is verified |
//! | are a little stale, or their server fails | is verified with the last good ones, and they are fetched beside it |
//! | have been stale for long | waits for the fetch, and takes the last good ones if it fails |
//! | are not there, or older than the hard limit | waits for the fetch; if it fails, nothing can be verified now |
//! | are there, but not the one that the token names | waits for one fetch, at most one every 30 seconds |
//!
//! One fetch goes on at a time; it is a task of its own, so that a client that leaves does not stop
//! it. No request waits for the keys of an issuer that it does not name. This module refuses to know
//! where keys come from and what an identity may do.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use moka::sync::Cache;
use sha2::{Digest, Sha256};
use tokio::sync::OwnedMutexGuard;

use crate::domain::clock::Clock;
use crate::domain::issuer::ExternalIssuer;
use crate::token::{
    EXTERNAL_TOKEN_LEEWAY, ExpectedExternalClaims, ExternalKeySet, ExternalToken, TokenError,
};

use super::IdentityProviderStatus;
use super::freshness::{
    DEFAULT_KEY_TTL, FetchDue, FetchState, MAX_KEY_TTL, MIN_KEY_TTL, ProviderKeys,
    UNKNOWN_KEY_INTERVAL,
};
use super::identity::ExternalIdentity;
use super::source::{FetchError, FetchedKeySet, KeySetSource};

/// The most tokens of one issuer that are remembered as verified.
const MAX_VERIFIED_TOKENS: u64 = 50_000;

/// Why a token of an outside issuer was not accepted.
#[derive(Debug)]
pub enum ExternalTokenError {
    /// It is no good.
    InvalidToken(TokenError),
    /// It is good, but says what cannot be understood; the text may be shown.
    InvalidClaims(&'static str),
    /// There are no keys to tell with, for now; why is for the log.
    KeysUnavailable(String),
}

/// One outside issuer.
pub struct IdentityProvider {
    /// How it is configured.
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

    /// Verifies a token that names this issuer, and tells whom it speaks for.
    pub async fn verify(
        self: &Arc<Self>,
        token: &str,
    ) -> Result<Arc<ExternalIdentity>, ExternalTokenError> {
        let fingerprint: [u8; 32] = Sha256::digest(token).into();
        let now = self.clock.unix_seconds();
        let shown = match self.find_verified(fingerprint, now)? {
            Some(identity) => {
                self.fetch_in_background();
                return Ok(identity);
            }
            None => ExternalToken::parse(token, &self.expected(now))
                .map_err(ExternalTokenError::InvalidToken)?,
        };
        let mut ring = self.keys().await?;
        let claims = match shown.verify(&ring.keys) {
            Err(TokenError::UnknownKey) => {
                ring = self.keys_after_unknown_kid(shown.kid(), ring).await?;
                shown.verify(&ring.keys)
            }
            verified => verified,
        }
        .map_err(ExternalTokenError::InvalidToken)?;
        let identity = ExternalIdentity::from_claims(claims, &self.config, fingerprint)
            .map_err(ExternalTokenError::InvalidClaims)?;
        let identity = Arc::new(identity);
        ring.verified.insert(fingerprint, Arc::clone(&identity));
        Ok(identity)
    }

    fn expected(&self, now: i64) -> ExpectedExternalClaims<'_> {
        ExpectedExternalClaims {
            issuer: &self.config.issuer,
            audience: &self.config.audience,
            algorithms: &self.config.algorithms,
            now,
        }
    }

    /// What was verified before, as long as token and keys are good for it.
    fn find_verified(
        &self,
        fingerprint: [u8; 32],
        now: i64,
    ) -> Result<Option<Arc<ExternalIdentity>>, ExternalTokenError> {
        let found = {
            let state = self.state();
            let now = self.clock.monotonic();
            if state.fetch_due(now) == FetchDue::BeforeUse {
                None
            } else {
                state
                    .usable_keys(now)
                    .and_then(|ring| ring.verified.get(&fingerprint))
            }
        };
        match found {
            Some(identity) if identity.expires_at + EXTERNAL_TOKEN_LEEWAY <= now => {
                Err(ExternalTokenError::InvalidToken(TokenError::Expired {
                    expires_at: identity.expires_at,
                    now,
                }))
            }
            found => Ok(found),
        }
    }

    /// The keys to verify with, fetched first if they have to be.
    async fn keys(self: &Arc<Self>) -> Result<Arc<ProviderKeys>, ExternalTokenError> {
        if self.fetch_due() == FetchDue::BeforeUse {
            self.fetch_before_use().await;
        } else {
            self.fetch_in_background();
        }
        let state = self.state();
        state
            .usable_keys(self.clock.monotonic())
            .map(Arc::clone)
            .ok_or_else(|| state.unavailable())
    }

    /// The keys after looking for one that was not among `before`.
    async fn keys_after_unknown_kid(
        self: &Arc<Self>,
        kid: &str,
        before: Arc<ProviderKeys>,
    ) -> Result<Arc<ProviderKeys>, ExternalTokenError> {
        let turn = Arc::clone(&self.fetch_lock).lock_owned().await;
        let is_allowed = {
            let mut state = self.state();
            let now = self.clock.monotonic();
            let is_new = state
                .keys
                .as_ref()
                .is_some_and(|ring| !Arc::ptr_eq(ring, &before) && ring.keys.contains(kid));
            let is_too_soon = state
                .last_unknown_key_fetch
                .is_some_and(|at| now.saturating_sub(at) < UNKNOWN_KEY_INTERVAL);
            if !is_new && !is_too_soon {
                state.last_unknown_key_fetch = Some(now);
            }
            !is_new && !is_too_soon
        };
        if is_allowed {
            self.fetch(turn).await;
        }
        let state = self.state();
        match state.usable_keys(self.clock.monotonic()) {
            Some(ring) if ring.keys.contains(kid) || state.last_error.is_none() => {
                Ok(Arc::clone(ring))
            }
            // The key may be a new one of the issuer's: nobody can tell.
            Some(_) | None => Err(state.unavailable()),
        }
    }

    /// Fetches the keys that nothing goes on without, and waits for it.
    pub(super) async fn fetch_before_use(self: &Arc<Self>) {
        let turn = Arc::clone(&self.fetch_lock).lock_owned().await;
        // Somebody else's fetch may have ended while this one waited for its turn.
        if self.fetch_due() == FetchDue::BeforeUse {
            self.fetch(turn).await;
        }
    }

    /// Fetches the keys in a task that nobody has to wait for, if it is time to.
    pub(super) fn fetch_in_background(self: &Arc<Self>) {
        if self.fetch_due() != FetchDue::NotDue
            && let Ok(turn) = Arc::clone(&self.fetch_lock).try_lock_owned()
        {
            drop(self.spawn_fetch(turn));
        }
    }

    /// Fetches the keys and waits for it.
    async fn fetch(self: &Arc<Self>, turn: OwnedMutexGuard<()>) {
        if self.spawn_fetch(turn).await.is_err() {
            tracing::error!(issuer = self.config.issuer, "fetching keys was interrupted");
        }
    }

    fn spawn_fetch(self: &Arc<Self>, turn: OwnedMutexGuard<()>) -> tokio::task::JoinHandle<()> {
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let fetched = this.source.fetch().await;
            this.store_fetched(fetched);
            drop(turn);
        })
    }

    /// Takes what a fetch brought: new keys, or one more reason to go on with the old ones.
    fn store_fetched(&self, fetched: Result<FetchedKeySet, FetchError>) {
        let read = fetched.and_then(|fetched| {
            let digest = Sha256::digest(&fetched.body).into();
            let keys = ExternalKeySet::parse(&fetched.body, &self.config.algorithms)?;
            Ok((digest, keys, fetched.max_age))
        });
        let outcome = if read.is_ok() { "fetched" } else { "failed" };
        let issuer = &self.config.issuer;
        metrics::counter!(
            "cedargate_issuer_fetches_total",
            "issuer" => issuer.clone(),
            "outcome" => outcome,
        )
        .increment(1);
        let mut state = self.state();
        let now = self.clock.monotonic();
        state.last_attempt = Some(now);
        match read {
            Ok((digest, keys, max_age)) => {
                if state.last_error.take().is_some() {
                    tracing::info!(issuer, "the keys of an outside issuer are back");
                }
                state.fetched_at = Some((now, self.clock.unix_seconds()));
                state.ttl = max_age
                    .unwrap_or(DEFAULT_KEY_TTL)
                    .clamp(MIN_KEY_TTL, MAX_KEY_TTL);
                if state.keys.as_ref().is_none_or(|ring| ring.digest != digest) {
                    state.keys = Some(Arc::new(ProviderKeys {
                        digest,
                        keys,
                        verified: Cache::new(MAX_VERIFIED_TOKENS),
                    }));
                }
            }
            Err(error) => {
                tracing::warn!(issuer, %error, "the keys of an outside issuer were not fetched");
                state.last_error = Some(error.to_string());
            }
        }
    }

    /// How it stands with the keys.
    #[must_use]
    pub fn status(&self) -> IdentityProviderStatus {
        let state = self.state();
        IdentityProviderStatus {
            issuer: self.config.issuer.clone(),
            audience: self.config.audience.clone(),
            source: self.source.location(),
            keys: state
                .keys
                .as_ref()
                .map_or(0, |ring| ring.keys.usable_keys()),
            last_success: state.fetched_at.map(|(_, unix_seconds)| unix_seconds),
            last_error: state.last_error.clone(),
        }
    }

    fn fetch_due(&self) -> FetchDue {
        self.state().fetch_due(self.clock.monotonic())
    }

    fn state(&self) -> MutexGuard<'_, FetchState> {
        // The state is whole whatever happened to the thread that held it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
