//! The signing keys in the database: their rotation, revocation and sealing, each change on record.
//!
//! Servers and the command line change them alike: what is due is decided and written while no other change
//! can be made, so that of many replicas exactly one rotates.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::domain::audit::{AuditEvent, AuditOutcome, AuditRecord};
use crate::domain::caller::Authentication;
use crate::domain::clock::Clock;
use crate::domain::error_chain::error_chain;
use crate::domain::rfc3339::format_seconds;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;
use crate::storage::{Database, KeyState, SigningKeyChange, SigningKeyVersion, StoredSigningKey};
use crate::token::{SealingKey, SigningKey, TokenError};

use super::key_ring::{KeyRing, TokenParties};
use super::key_schedule::{KeySchedule, KeyTransition, MAX_PUBLISHED_KEYS};
use super::sealing_key_file::{SealingKeyFileError, candidate_sealing_keys};

/// How often a server looks for changes of the keys and for what is due: a revocation is in force everywhere
/// within a second.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(250);
const _: () = assert!(FOLLOW_INTERVAL.as_millis() <= 500, "within a second");

/// Why signing keys were not changed.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeysError {
    /// The database or a key failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The sealing key cannot be read.
    #[error(transparent)]
    SealingKeyFile(#[from] SealingKeyFileError),
    /// So many keys are published that no rotation may add one.
    #[error("{published} keys are published; the next one is retired {retires}")]
    TooManyPublished {
        /// How many.
        published: usize,
        /// When the next one is retired.
        retires: String,
    },
    /// There is no published key with this id.
    #[error("no published signing key has the id {kid}")]
    NotPublished {
        /// The id.
        kid: String,
        /// The ids of the published keys.
        published: Vec<String>,
    },
}

impl From<TokenError> for SigningKeysError {
    fn from(error: TokenError) -> Self {
        Self::Service(error.into())
    }
}

/// Rotates, revokes and reseals the signing keys of a database.
#[derive(Clone)]
pub struct SigningKeys {
    /// Where they are stored.
    pub database: Database,
    /// The file of the sealing key.
    pub sealing_key_file: PathBuf,
    /// When they change their states.
    pub schedule: KeySchedule,
    /// The time.
    pub clock: Clock,
    /// Who changes them, as records name it.
    pub changed_by: Authentication,
}

/// The keys that are not retired, with the sealing key that all of them are sealed with.
pub struct OpenedKeys {
    /// The sealing key.
    pub sealing_key: SealingKey,
    /// The keys, oldest first.
    pub keys: Vec<(StoredSigningKey, SigningKey)>,
}

/// What a server knows of the keys in the database.
#[derive(Clone, Default)]
struct Followed {
    version: Option<SigningKeyVersion>,
    stored: Arc<[StoredSigningKey]>,
}

impl SigningKeys {
    /// Makes the first keys if there are none, does what is due, and opens a key ring.
    pub async fn open_key_ring(&self, parties: TokenParties) -> Result<KeyRing, SigningKeysError> {
        self.advance().await?;
        let opened = self.open(&self.list().await?)?;
        Ok(KeyRing::new(&opened.keys, parties, self.clock.clone())?)
    }

    /// Keeps a key ring as the database has it, and does what is due, until it is aborted. A look that panics
    /// is told, and the next one follows.
    pub async fn follow(self, key_ring: Arc<KeyRing>) {
        let mut ticks = tokio::time::interval(FOLLOW_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut followed = Followed::default();
        let mut known_failure = None;
        loop {
            ticks.tick().await;
            let (keys, ring, before) = (self.clone(), Arc::clone(&key_ring), followed.clone());
            let look = tokio::spawn(async move { keys.follow_once(&ring, before).await });
            let failure = match look.await {
                Ok(Ok(after)) => {
                    followed = after;
                    None
                }
                Ok(Err(error)) => Some(error_chain(&error)),
                Err(error) => Some(error.to_string()),
            };
            if let Some(reason) = failure.as_ref().filter(|_| failure != known_failure) {
                tracing::error!(
                    reason,
                    "signing keys not followed; those in use stay unless revoked"
                );
            } else if failure.is_none() && known_failure.is_some() {
                tracing::info!("signing keys followed again");
            }
            known_failure = failure;
        }
    }

    async fn follow_once(
        &self,
        key_ring: &KeyRing,
        mut followed: Followed,
    ) -> Result<Followed, SigningKeysError> {
        let version = self.database.signing_key_version().await;
        let version = version.map_err(ServiceError::from)?;
        if followed.version != Some(version) {
            let stored = self.list().await?;
            let replaced = self.replace(key_ring, &stored);
            key_ring.set_up_to_date(replaced.is_ok());
            replaced?;
            followed = Followed {
                version: Some(version),
                stored: stored.into(),
            };
        }
        if self
            .schedule
            .is_due(&followed.stored, self.clock.unix_seconds())
        {
            self.advance().await?;
        }
        Ok(followed)
    }

    /// Puts the stored keys in force; if they cannot be opened, it at least withdraws those that are retired.
    fn replace(
        &self,
        key_ring: &KeyRing,
        stored: &[StoredSigningKey],
    ) -> Result<(), SigningKeysError> {
        let opened = self.open(stored);
        if opened.is_err() {
            let is_published = |kid: &str| published(stored).any(|key| key.kid == kid);
            key_ring.withdraw_others(is_published)?;
        }
        Ok(key_ring.replace(&opened?.keys)?)
    }

    /// Does whatever is due, one change after the other.
    pub async fn advance(&self) -> Result<(), SigningKeysError> {
        loop {
            let due = |stored: &[StoredSigningKey], now| {
                // A key that cannot be opened must not be the one that signs.
                let opened = self.open(stored)?;
                let transition = self
                    .schedule
                    .due(stored, now, || create_key(&opened.sealing_key))?;
                Ok(transition)
            };
            if !self.change(due).await? {
                return Ok(());
            }
        }
    }

    /// Rotates as soon as the next key was published long enough, which may be now; returns whether that
    /// was asked for only now.
    pub async fn rotate(&self) -> Result<bool, SigningKeysError> {
        let before = self.list().await?;
        // The keys of an empty database, and whatever no server was there to do.
        self.advance().await?;
        let stored = self.list().await?;
        if current_kid(&stored) != current_kid(&before) {
            // What was due has rotated just now: one more would end the life of a new key.
            return Ok(true);
        }
        let published: Vec<_> = published(&stored).collect();
        if published.len() >= MAX_PUBLISHED_KEYS {
            let retires = published.iter().filter_map(|key| key.retires_at).min();
            return Err(SigningKeysError::TooManyPublished {
                published: published.len(),
                retires: retires.map_or_else(|| String::from("later"), format_seconds),
            });
        }
        let request =
            |stored: &[StoredSigningKey], now| Ok(KeySchedule::request_rotation(stored, now));
        let is_new = self.change(request).await?;
        self.advance().await?;
        Ok(is_new)
    }

    /// Revokes a published key, and gives it as it was.
    ///
    /// Nothing else has to be in order for it: no key is opened unless a new one has to be sealed like the others.
    pub async fn revoke(&self, kid: &str) -> Result<StoredSigningKey, SigningKeysError> {
        let before = self.list().await?;
        let revoke = |stored: &[StoredSigningKey], now| {
            self.schedule
                .revoke(stored, kid, now, || self.create_beside(stored))
        };
        let is_revoked = self.change(revoke).await?;
        let found = published(&before).find(|key| key.kid == kid);
        let (true, Some(key)) = (is_revoked, found) else {
            return Err(SigningKeysError::NotPublished {
                kid: kid.to_owned(),
                published: published(&before).map(|key| key.kid.clone()).collect(),
            });
        };
        if let Err(error) = self.advance().await {
            // It is revoked all the same.
            let reason = error_chain(&error);
            tracing::warn!(reason, "no successor published after a revocation");
        }
        Ok(key.clone())
    }

    /// Seals all keys with another sealing key, in one transaction; returns how many.
    pub async fn reseal(&self, sealing_key: &SealingKey) -> Result<usize, SigningKeysError> {
        let mut resealed = 0;
        let reseal = |stored: &[StoredSigningKey], _| {
            let opened = self.open(stored)?;
            let sealed = opened.keys.iter().map(|(stored, key)| {
                Ok(StoredSigningKey {
                    sealed: key.seal(sealing_key)?,
                    ..stored.clone()
                })
            });
            let changed = sealed.collect::<Result<Vec<_>, TokenError>>()?;
            resealed = changed.len();
            Ok(Some(KeyTransition {
                event: AuditEvent::KeyReseal,
                reason: format!("{resealed} signing keys are sealed with another sealing key"),
                changed,
            }))
        };
        self.change(reseal).await?;
        Ok(resealed)
    }

    /// Lists all keys, oldest first.
    pub async fn list(&self) -> Result<Vec<StoredSigningKey>, SigningKeysError> {
        let stored = self.database.list_signing_keys().await;
        Ok(stored.map_err(ServiceError::from)?)
    }

    /// Opens the keys that are not retired.
    fn open(&self, stored: &[StoredSigningKey]) -> Result<OpenedKeys, SigningKeysError> {
        let candidates = candidate_sealing_keys(&self.sealing_key_file)?;
        Ok(OpenedKeys::unseal(stored, candidates)?)
    }

    /// A new key, sealed as the others are: they may have been resealed meanwhile.
    fn create_beside(
        &self,
        stored: &[StoredSigningKey],
    ) -> Result<(String, String), SigningKeysError> {
        Ok(create_key(&self.open(stored)?.sealing_key)?)
    }

    /// Writes what `plan` says of the keys as they are now; returns whether there was something to write.
    async fn change(
        &self,
        plan: impl FnOnce(&[StoredSigningKey], i64) -> Result<Option<KeyTransition>, SigningKeysError>,
    ) -> Result<bool, SigningKeysError> {
        let mut failure = None;
        let mut told = None;
        let planned = |stored: &[StoredSigningKey]| {
            let planned = plan(stored, self.clock.unix_seconds());
            match planned {
                Ok(transition) => {
                    told = transition
                        .as_ref()
                        .map(|transition| transition.reason.clone());
                    transition.map(|transition| self.recorded(transition))
                }
                Err(error) => {
                    failure = Some(error);
                    None
                }
            }
        };
        let has_changed = self.database.change_signing_keys(planned).await;
        let has_changed = has_changed.map_err(ServiceError::from)?;
        if let Some(reason) = told.filter(|_| has_changed) {
            tracing::info!(reason, "signing keys changed");
        }
        failure.map_or(Ok(has_changed), Err)
    }

    fn recorded(&self, transition: KeyTransition) -> SigningKeyChange {
        let KeyTransition {
            event,
            changed,
            reason,
        } = transition;
        let record = AuditRecord {
            outcome: AuditOutcome::Granted,
            authentication: self.changed_by,
            reason: Some(reason),
            request_id: None,
            ..RequestContext::local().open_record(event, &self.clock)
        };
        SigningKeyChange { changed, record }
    }
}

impl OpenedKeys {
    /// Opens all keys that are not retired with the first of the sealing keys that fits.
    fn unseal(
        stored: &[StoredSigningKey],
        candidates: Vec<SealingKey>,
    ) -> Result<Self, TokenError> {
        let mut refusal = TokenError::Unseal {
            reason: "there is no sealing key",
        };
        for sealing_key in candidates {
            let keys = published(stored).map(|key| {
                let opened = SigningKey::unseal(&key.sealed, &sealing_key)?;
                Ok((key.clone(), opened))
            });
            match keys.collect::<Result<Vec<_>, TokenError>>() {
                Ok(keys) => return Ok(Self { sealing_key, keys }),
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }
}

/// The keys in the key set.
fn published(stored: &[StoredSigningKey]) -> impl Iterator<Item = &StoredSigningKey> {
    stored.iter().filter(|key| key.state != KeyState::Retired)
}

fn current_kid(stored: &[StoredSigningKey]) -> Option<&str> {
    let current = stored.iter().find(|key| key.state == KeyState::Current);
    current.map(|key| key.kid.as_str())
}

/// A new private key: its id and its sealed text.
fn create_key(sealing_key: &SealingKey) -> Result<(String, String), TokenError> {
    let key = SigningKey::generate()?;
    Ok((key.kid().to_owned(), key.seal(sealing_key)?))
}
