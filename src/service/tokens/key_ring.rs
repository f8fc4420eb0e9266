//! The key ring: the current signing key, the published key set, and the tokens verified with it.
//!
//! `signing_keys.rs` replaces the keys as they are rotated.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};

use crate::domain::clock::{Clock, MAX_CLOCK_SKEW};
use crate::domain::id::{DatasetId, RecordId};
use crate::domain::recent_table::RecentTable;
use crate::domain::secret::Secret;
use crate::service::error::ServiceError;
use crate::storage::{KeyState, StoredSigningKey};
use crate::token::{
    DownloadClaims, DownloadGrant, ExpectedClaims, KeySet, PublicKey, SessionClaims, SigningKey,
};

/// How many verified tokens of one kind are remembered; a session token takes about 300 bytes, a download token 110.
const MAX_VERIFIED_TOKENS: usize = 50_000;

/// Verified tokens of one kind, by the SHA-256 of the token.
type VerifiedTokens<C> = Arc<RecentTable<[u8; 32], C>>;

/// The issuer and the audience of tokens.
#[derive(Clone, Debug)]
pub struct TokenParties {
    /// The `iss` of every token.
    pub issuer: String,
    /// The `aud` of download tokens; session tokens are for the issuer itself.
    pub audience: String,
}

/// Signs and verifies tokens with the active keys.
pub struct KeyRing {
    active: ArcSwap<ActiveKeys>,
    is_up_to_date: AtomicBool,
    parties: TokenParties,
    clock: Clock,
}

/// The active keys; replaced together with what was verified with them.
struct ActiveKeys {
    /// None after it was withdrawn, until its successor can be opened.
    current: Option<SigningKey>,
    public_keys: Vec<PublicKey>,
    published: Arc<KeySet>,
    verified_sessions: VerifiedTokens<Arc<SessionClaims>>,
    verified_downloads: VerifiedTokens<DownloadGrant>,
}

impl KeyRing {
    /// A key ring of these keys, each as it is stored and opened.
    pub fn new(
        keys: &[(StoredSigningKey, SigningKey)],
        parties: TokenParties,
        clock: Clock,
    ) -> Result<Self, ServiceError> {
        Ok(Self {
            active: ArcSwap::from_pointee(ActiveKeys::new(keys)?),
            is_up_to_date: AtomicBool::new(true),
            parties,
            clock,
        })
    }

    /// Puts other keys in force: what is signed from now on is signed with the new current key, and what was
    /// verified with a key that is gone is verified no more.
    pub fn replace(&self, keys: &[(StoredSigningKey, SigningKey)]) -> Result<(), ServiceError> {
        let mut active = ActiveKeys::new(keys)?;
        let former = self.active.load_full();
        let stays = |key: &PublicKey| active.publishes(key.kid());
        if former.public_keys.iter().all(stays) {
            active.verified_sessions = Arc::clone(&former.verified_sessions);
            active.verified_downloads = Arc::clone(&former.verified_downloads);
        }
        self.active.store(Arc::new(active));
        Ok(())
    }

    /// Withdraws all keys but those with the ids that `is_kept`: the others sign nothing more, and nothing is
    /// verified with them.
    ///
    /// For keys that cannot be opened: what is revoked must end here too.
    pub fn withdraw_others(&self, is_kept: impl Fn(&str) -> bool) -> Result<(), ServiceError> {
        let former = self.active.load_full();
        let public_keys = former.public_keys.iter().filter(|key| is_kept(key.kid()));
        let public_keys: Vec<_> = public_keys.cloned().collect();
        if public_keys.len() < former.public_keys.len() {
            let current = former.current.as_ref().filter(|key| is_kept(key.kid()));
            let kept = ActiveKeys::with(current.cloned(), public_keys)?;
            self.active.store(Arc::new(kept));
        }
        Ok(())
    }

    /// Whether the keys in the database could be opened when they last changed.
    #[must_use]
    pub fn is_up_to_date(&self) -> bool {
        self.is_up_to_date.load(Ordering::Relaxed)
    }

    /// Notes whether the keys in the database could be opened.
    pub fn set_up_to_date(&self, is_up_to_date: bool) {
        self.is_up_to_date.store(is_up_to_date, Ordering::Relaxed);
    }

    /// The published key set.
    #[must_use]
    pub fn published(&self) -> Arc<KeySet> {
        Arc::clone(&self.active.load().published)
    }

    /// The issuer and the audience of tokens.
    #[must_use]
    pub fn parties(&self) -> &TokenParties {
        &self.parties
    }

    /// Signs a download token, which need not be verified here afterwards.
    pub fn sign_download(&self, grant: DownloadGrant) -> Result<Secret<String>, ServiceError> {
        let keys = self.active.load();
        let TokenParties { issuer, audience } = &self.parties;
        let token = grant.sign(issuer, audience, keys.current()?)?;
        keys.verified_downloads
            .insert(token_digest(token.reveal()), grant);
        Ok(token)
    }

    /// Checks that a token could be signed now.
    pub fn check_signing(&self) -> Result<(), ServiceError> {
        let now = self.clock.unix_millis();
        let issued_at = self.clock.unix_seconds();
        let TokenParties { issuer, audience } = &self.parties;
        let grant = DownloadGrant {
            subject: None,
            dataset_id: DatasetId(uuid::Uuid::nil()),
            id: RecordId::generate_at(u64::try_from(now).unwrap_or_default()),
            issued_at,
            expires_at: issued_at + 1,
        };
        grant.sign(issuer, audience, self.active.load().current()?)?;
        Ok(())
    }

    /// Signs a session token, which need not be verified here afterwards.
    pub fn sign_session(&self, claims: SessionClaims) -> Result<Secret<String>, ServiceError> {
        let keys = self.active.load();
        let token = claims.sign(keys.current()?)?;
        keys.verified_sessions
            .insert(token_digest(token.reveal()), Arc::new(claims));
        Ok(token)
    }

    /// Verifies a session token and returns its claims; nothing if it is not valid.
    ///
    /// `admit` is called before its signature is verified, unless that was done before.
    pub fn verify_session(
        &self,
        token: &str,
        admit: impl FnOnce() -> Result<(), ServiceError>,
    ) -> Result<Option<Arc<SessionClaims>>, ServiceError> {
        let keys = self.active.load();
        let expected = self.expected(&self.parties.issuer);
        verify_cached(
            &keys.verified_sessions,
            token,
            |claims| (claims.issued_at, claims.expires_at),
            expected.now,
            || {
                admit()?;
                let verified = SessionClaims::verify(token, &keys.published, &expected);
                Ok(verified.ok().map(Arc::new))
            },
        )
    }

    /// Verifies a download token and returns what it grants; nothing if it is not valid.
    ///
    /// `admit` is called before its signature is verified, unless that was done before.
    pub fn verify_download(
        &self,
        token: &str,
        admit: impl FnOnce() -> Result<(), ServiceError>,
    ) -> Result<Option<DownloadGrant>, ServiceError> {
        let keys = self.active.load();
        let expected = self.expected(&self.parties.audience);
        verify_cached(
            &keys.verified_downloads,
            token,
            |grant| (grant.issued_at, grant.expires_at),
            expected.now,
            || {
                admit()?;
                let verified = DownloadClaims::verify(token, &keys.published, &expected);
                Ok(verified.ok().map(|claims| claims.grant()))
            },
        )
    }

    fn expected<'a>(&'a self, audience: &'a str) -> ExpectedClaims<'a> {
        ExpectedClaims {
            issuer: &self.parties.issuer,
            audience,
            now: self.clock.unix_seconds(),
        }
    }
}

impl ActiveKeys {
    fn new(keys: &[(StoredSigningKey, SigningKey)]) -> Result<Self, ServiceError> {
        let current = keys
            .iter()
            .find(|(stored, _)| stored.state == KeyState::Current);
        let (_, current) = current.ok_or_else(|| {
            ServiceError::internal(
                "finding the current signing key",
                "the database has keys, but none of them is current",
            )
        })?;
        let public_keys = keys.iter().map(|(_, key)| key.public_key().clone());
        Self::with(Some(current.clone()), public_keys.collect())
    }

    fn with(
        current: Option<SigningKey>,
        public_keys: Vec<PublicKey>,
    ) -> Result<Self, ServiceError> {
        Ok(Self {
            current,
            published: Arc::new(KeySet::new(&public_keys)?),
            public_keys,
            verified_sessions: Arc::new(RecentTable::new(MAX_VERIFIED_TOKENS)),
            verified_downloads: Arc::new(RecentTable::new(MAX_VERIFIED_TOKENS)),
        })
    }

    fn publishes(&self, kid: &str) -> bool {
        self.public_keys.iter().any(|key| key.kid() == kid)
    }

    fn current(&self) -> Result<&SigningKey, ServiceError> {
        self.current.as_ref().ok_or_else(|| {
            ServiceError::unavailable(
                "the signing key",
                "the current one was withdrawn, and its successor cannot be opened",
            )
        })
    }
}

fn token_digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// Verifies a token once, and afterwards only checks its times: when it was issued and when it expires.
fn verify_cached<C: Clone>(
    verified: &VerifiedTokens<C>,
    token: &str,
    times: impl Fn(&C) -> (i64, i64),
    now: i64,
    verify: impl FnOnce() -> Result<Option<C>, ServiceError>,
) -> Result<Option<C>, ServiceError> {
    let token_digest = token_digest(token);
    if let Some(claims) = verified.get(&token_digest) {
        let (issued_at, expires_at) = times(&claims);
        // The clock may have been set back meanwhile.
        let is_valid = expires_at > now && issued_at <= now.saturating_add(MAX_CLOCK_SKEW);
        return Ok(is_valid.then_some(claims));
    }
    let Some(claims) = verify()? else {
        return Ok(None);
    };
    verified.insert(token_digest, claims.clone());
    Ok(Some(claims))
}
