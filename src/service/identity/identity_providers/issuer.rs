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
use crate::domain::issuer::OutsideIssuer;
use crate::token::{OUTSIDE_LEEWAY, OutsideExpected, OutsideKeys, OutsideToken, TokenError};

use super::IssuerStatus;
use super::freshness::{
    Due, LONGEST_FRESHNESS, Ring, SHORTEST_FRESHNESS, State, UNKNOWN_KEY_INTERVAL, USUAL_FRESHNESS,
};
use super::identity::Identity;
use super::source::{FetchError, Fetched, Source};

/// The most tokens of one issuer that are remembered as verified.
const MOST_VERIFIED: u64 = 50_000;

/// Why a token of an outside issuer was not accepted.
#[derive(Debug)]
pub enum Refusal {
    /// It is no good.
    Token(TokenError),
    /// It is good, but says what cannot be understood; the text may be shown.
    Claims(&'static str),
    /// There are no keys to tell with, for now; why is for the log.
    Away(String),
}

/// One outside issuer.
pub struct Issuer {
    /// How it is configured.
    pub setting: OutsideIssuer,
    source: Source,
    clock: Clock,
    state: Mutex<State>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Issuer {
    pub(super) fn of(setting: OutsideIssuer, source: Source, clock: Clock) -> Self {
        Self {
            setting,
            source,
            clock,
            state: Mutex::default(),
            turn: Arc::default(),
        }
    }

    /// Verifies a token that names this issuer, and tells whom it speaks for.
    pub async fn verify(self: &Arc<Self>, token: &str) -> Result<Arc<Identity>, Refusal> {
        let fingerprint: [u8; 32] = Sha256::digest(token).into();
        let now = self.clock.unix_seconds();
        let shown = match self.remembered(fingerprint, now)? {
            Some(identity) => {
                self.fetch_beside();
                return Ok(identity);
            }
            None => OutsideToken::read(token, &self.expected(now)).map_err(Refusal::Token)?,
        };
        let mut ring = self.ring().await?;
        let claims = match shown.verify(&ring.keys) {
            Err(TokenError::UnknownKey) => {
                ring = self.sought(shown.kid(), ring).await?;
                shown.verify(&ring.keys)
            }
            verified => verified,
        }
        .map_err(Refusal::Token)?;
        let identity = Identity::of(claims, &self.setting, fingerprint).map_err(Refusal::Claims)?;
        let identity = Arc::new(identity);
        ring.verified.insert(fingerprint, Arc::clone(&identity));
        Ok(identity)
    }

    fn expected(&self, now: i64) -> OutsideExpected<'_> {
        OutsideExpected {
            issuer: &self.setting.issuer,
            audience: &self.setting.audience,
            algorithms: &self.setting.algorithms,
            now,
        }
    }

    /// What was verified before, as long as token and keys are good for it.
    fn remembered(
        &self,
        fingerprint: [u8; 32],
        now: i64,
    ) -> Result<Option<Arc<Identity>>, Refusal> {
        let found = {
            let state = self.state();
            let now = self.clock.monotonic();
            if state.due(now) == Due::First {
                None
            } else {
                state
                    .ring(now)
                    .and_then(|ring| ring.verified.get(&fingerprint))
            }
        };
        match found {
            Some(identity) if identity.expires_at + OUTSIDE_LEEWAY <= now => {
                Err(Refusal::Token(TokenError::Expired {
                    expires_at: identity.expires_at,
                    now,
                }))
            }
            found => Ok(found),
        }
    }

    /// The keys to verify with, fetched first if they have to be.
    async fn ring(self: &Arc<Self>) -> Result<Arc<Ring>, Refusal> {
        if self.due() == Due::First {
            self.fetch_first().await;
        } else {
            self.fetch_beside();
        }
        let state = self.state();
        state
            .ring(self.clock.monotonic())
            .map(Arc::clone)
            .ok_or_else(|| state.away())
    }

    /// The keys after looking for one that was not among `before`.
    async fn sought(self: &Arc<Self>, kid: &str, before: Arc<Ring>) -> Result<Arc<Ring>, Refusal> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let is_allowed = {
            let mut state = self.state();
            let now = self.clock.monotonic();
            let is_new = state
                .ring
                .as_ref()
                .is_some_and(|ring| !Arc::ptr_eq(ring, &before) && ring.keys.has(kid));
            let is_too_soon = state
                .sought
                .is_some_and(|at| now.saturating_sub(at) < UNKNOWN_KEY_INTERVAL);
            if !is_new && !is_too_soon {
                state.sought = Some(now);
            }
            !is_new && !is_too_soon
        };
        if is_allowed {
            self.fetch(turn).await;
        }
        let state = self.state();
        match state.ring(self.clock.monotonic()) {
            Some(ring) if ring.keys.has(kid) || state.error.is_none() => Ok(Arc::clone(ring)),
            // The key may be a new one of the issuer's: nobody can tell.
            Some(_) | None => Err(state.away()),
        }
    }

    /// Fetches the keys that nothing goes on without, and waits for it.
    pub(super) async fn fetch_first(self: &Arc<Self>) {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        // Somebody else's fetch may have ended while this one waited for its turn.
        if self.due() == Due::First {
            self.fetch(turn).await;
        }
    }

    /// Fetches the keys in a task that nobody has to wait for, if it is time to.
    pub(super) fn fetch_beside(self: &Arc<Self>) {
        if self.due() != Due::Not
            && let Ok(turn) = Arc::clone(&self.turn).try_lock_owned()
        {
            drop(self.begin_fetch(turn));
        }
    }

    /// Fetches the keys and waits for it.
    async fn fetch(self: &Arc<Self>, turn: OwnedMutexGuard<()>) {
        if self.begin_fetch(turn).await.is_err() {
            tracing::error!(
                issuer = self.setting.issuer,
                "fetching keys was interrupted"
            );
        }
    }

    fn begin_fetch(self: &Arc<Self>, turn: OwnedMutexGuard<()>) -> tokio::task::JoinHandle<()> {
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let fetched = this.source.fetch().await;
            this.take(fetched);
            drop(turn);
        })
    }

    /// Takes what a fetch brought: new keys, or one more reason to go on with the old ones.
    fn take(&self, fetched: Result<Fetched, FetchError>) {
        let read = fetched.and_then(|fetched| {
            let digest = Sha256::digest(&fetched.body).into();
            let keys = OutsideKeys::read(&fetched.body, &self.setting.algorithms)?;
            Ok((digest, keys, fetched.max_age))
        });
        let outcome = if read.is_ok() { "fetched" } else { "failed" };
        let issuer = &self.setting.issuer;
        metrics::counter!(
            "cedargate_issuer_fetches_total",
            "issuer" => issuer.clone(),
            "outcome" => outcome,
        )
        .increment(1);
        let mut state = self.state();
        let now = self.clock.monotonic();
        state.tried = Some(now);
        match read {
            Ok((digest, keys, max_age)) => {
                if state.error.take().is_some() {
                    tracing::info!(issuer, "the keys of an outside issuer are back");
                }
                state.fetched = Some((now, self.clock.unix_seconds()));
                state.fresh_for = max_age
                    .unwrap_or(USUAL_FRESHNESS)
                    .clamp(SHORTEST_FRESHNESS, LONGEST_FRESHNESS);
                if state.ring.as_ref().is_none_or(|ring| ring.digest != digest) {
                    state.ring = Some(Arc::new(Ring {
                        digest,
                        keys,
                        verified: Cache::new(MOST_VERIFIED),
                    }));
                }
            }
            Err(error) => {
                tracing::warn!(issuer, %error, "the keys of an outside issuer were not fetched");
                state.error = Some(error.to_string());
            }
        }
    }

    /// How it stands with the keys.
    #[must_use]
    pub fn status(&self) -> IssuerStatus {
        let state = self.state();
        IssuerStatus {
            issuer: self.setting.issuer.clone(),
            audience: self.setting.audience.clone(),
            source: self.source.shown(),
            keys: state.ring.as_ref().map_or(0, |ring| ring.keys.number()),
            last_success: state.fetched.map(|(_, unix_seconds)| unix_seconds),
            last_error: state.error.clone(),
        }
    }

    fn due(&self) -> Due {
        self.state().due(self.clock.monotonic())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is whole whatever happened to the thread that held it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
