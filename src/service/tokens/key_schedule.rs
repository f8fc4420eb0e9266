//! The rotation of signing keys as a schedule: which key changes its state, and when.
//!
//! A key is published as *next*, signs as *current*, stays published as *previous*, and is *retired*. There is
//! always one current key, and one next key that waits, so that a current one can be replaced at any time.

use std::convert::Infallible;

use crate::domain::audit::AuditEvent;
use crate::domain::clock::MAX_CLOCK_SKEW;
use crate::domain::key_set_lifetime::KeySetLifetime;
use crate::domain::rfc3339::format_seconds;
use crate::storage::{KeyState, StoredSigningKey};

/// How many keys are published at most, but for one that waits: a rotation that is due before the oldest is
/// retired waits for that.
pub const MAX_PUBLISHED_KEYS: usize = 100;

/// When signing keys change their states; all times are in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySchedule {
    /// How long a key is published at least before it signs.
    pub publish_ahead: i64,
    /// How long a key signs; without it keys are rotated on demand alone.
    pub rotation_age: Option<i64>,
    /// How long the longest-lived token lives; keys remember a longer one of before the settings were changed.
    pub token_lifetime: i64,
    /// How long caches may keep the key set.
    pub key_set: KeySetLifetime,
}

/// What happens to the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyTransition {
    /// The event on record.
    pub event: AuditEvent,
    /// The keys that are new or different.
    pub changed: Vec<StoredSigningKey>,
    /// What happened, in one sentence for auditors.
    pub reason: String,
}

/// What becomes of a key next, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextState {
    /// The state that it comes into.
    pub state: KeyState,
    /// When, in seconds since 1970 UTC; none if it is known only after somebody asks for a rotation.
    pub at: Option<i64>,
}

/// The keys by their roles.
struct Roles<'a> {
    next: Option<&'a StoredSigningKey>,
    current: Option<&'a StoredSigningKey>,
}

impl<'a> Roles<'a> {
    fn of(keys: &'a [StoredSigningKey]) -> Self {
        let with = |state| keys.iter().find(move |key| key.state == state);
        Self {
            next: with(KeyState::Next),
            current: with(KeyState::Current),
        }
    }
}

impl KeySchedule {
    /// What is due at `now`, or nothing; ask again after it was done.
    ///
    /// `create` makes a private key: its id and its sealed text.
    pub fn due<E>(
        &self,
        keys: &[StoredSigningKey],
        now: i64,
        create: impl FnOnce() -> Result<(String, String), E>,
    ) -> Result<Option<KeyTransition>, E> {
        let roles = Roles::of(keys);
        let Some(current) = roles.current else {
            // The first start, or a table that somebody changed by hand.
            return match roles.next {
                Some(next) => Ok(Some(self.replacement(next, None, now))),
                None => create().map(|created| {
                    let first = self.activated(published(created, now), now);
                    let reason = format!("the first signing key {} signs", first.kid);
                    Some(transition(AuditEvent::KeyRotate, vec![first], reason))
                }),
            };
        };
        if current.token_lifetime != Some(self.longest_lifetime(current)) {
            return Ok(Some(self.extension(current)));
        }
        let Some(next) = roles.next else {
            return create().map(|created| {
                let next = published(created, now);
                let reason = format!("the signing key {} is published as next", next.kid);
                Some(transition(AuditEvent::KeyPublish, vec![next], reason))
            });
        };
        let has_room = published_count(keys) < MAX_PUBLISHED_KEYS;
        if has_room && self.signs_from(current, next).is_some_and(|at| at <= now) {
            return Ok(Some(self.replacement(
                next,
                Some(self.deactivated(current, now)),
                now,
            )));
        }
        let is_over = |key: &&StoredSigningKey| {
            key.state == KeyState::Previous && key.retires_at.is_none_or(|at| at <= now)
        };
        Ok(keys.iter().find(is_over).map(|key| {
            let reason = format!("the signing key {} is retired", key.kid);
            transition(AuditEvent::KeyRetire, vec![retired(key, now)], reason)
        }))
    }

    /// Whether anything is due at `now`.
    #[must_use]
    pub fn is_due(&self, keys: &[StoredSigningKey], now: i64) -> bool {
        let due = self.due(keys, now, || Ok::<_, Infallible>(Default::default()));
        due.is_ok_and(|transition| transition.is_some())
    }

    /// The request for a rotation, which happens as soon as the next key was published long enough.
    ///
    /// Nothing if it was asked for already, or if there is no current key.
    #[must_use]
    pub fn request_rotation(keys: &[StoredSigningKey], now: i64) -> Option<KeyTransition> {
        let current = Roles::of(keys).current?;
        if current.rotation_requested_at.is_some() {
            return None;
        }
        let changed = StoredSigningKey {
            rotation_requested_at: Some(now),
            ..current.clone()
        };
        let reason = format!(
            "the rotation of the signing key {} is requested",
            current.kid
        );
        Some(transition(AuditEvent::KeyRotate, vec![changed], reason))
    }

    /// The revocation of a key: it is neither published nor signs from now on.
    ///
    /// Where it signs, the next key takes its place at once, however shortly it was published, or a new one
    /// that `create` makes. Nothing if there is no such key, or if it is retired.
    pub fn revoke<E>(
        &self,
        keys: &[StoredSigningKey],
        kid: &str,
        now: i64,
        create: impl FnOnce() -> Result<(String, String), E>,
    ) -> Result<Option<KeyTransition>, E> {
        let is_meant = |key: &&StoredSigningKey| key.kid == kid && key.state != KeyState::Retired;
        let Some(key) = keys.iter().find(is_meant) else {
            return Ok(None);
        };
        let mut changed = vec![StoredSigningKey {
            revoked_at: Some(now),
            ..retired(key, now)
        }];
        let mut reason = format!("the {} signing key {kid} is revoked", key.state);
        if key.state == KeyState::Current {
            let next = match Roles::of(keys).next {
                Some(next) => next.clone(),
                None => published(create()?, now),
            };
            reason = format!("{reason}; {} signs", next.kid);
            changed.push(self.activated(next, now));
        }
        Ok(Some(transition(AuditEvent::KeyRevoke, changed, reason)))
    }

    /// What becomes of a key next; nothing of a retired one.
    #[must_use]
    pub fn next_state(
        &self,
        keys: &[StoredSigningKey],
        key: &StoredSigningKey,
    ) -> Option<NextState> {
        let roles = Roles::of(keys);
        let rotation = match (roles.current, roles.next) {
            (Some(current), Some(next)) => self.signs_from(current, next),
            (Some(_) | None, Some(_) | None) => None,
        };
        match key.state {
            KeyState::Next => Some(NextState {
                state: KeyState::Current,
                at: rotation,
            }),
            KeyState::Current => Some(NextState {
                state: KeyState::Previous,
                at: rotation,
            }),
            KeyState::Previous => Some(NextState {
                state: KeyState::Retired,
                at: key.retires_at,
            }),
            KeyState::Retired => None,
        }
    }

    /// How long caches may give a key set that is out of date, in seconds.
    #[must_use]
    pub fn cached_for(&self) -> i64 {
        i64::try_from(self.key_set.total().as_secs()).unwrap_or(i64::MAX)
    }

    /// When the next key takes the place of the current one, unless nobody asked for it.
    fn signs_from(&self, current: &StoredSigningKey, next: &StoredSigningKey) -> Option<i64> {
        let began = current.activated_at.unwrap_or(current.created_at);
        let by_age = self.rotation_age.map(|age| began.saturating_add(age));
        let wanted = match (by_age, current.rotation_requested_at) {
            (Some(by_age), Some(requested)) => Some(by_age.min(requested)),
            (by_age, requested) => by_age.or(requested),
        };
        wanted.map(|at| at.max(next.created_at.saturating_add(self.publish_ahead)))
    }

    /// The current key signs tokens that live longer than those before.
    fn extension(&self, current: &StoredSigningKey) -> KeyTransition {
        let token_lifetime = self.longest_lifetime(current);
        let reason = format!(
            "the signing key {} signs tokens that live for up to {token_lifetime} seconds",
            current.kid
        );
        let changed = StoredSigningKey {
            token_lifetime: Some(token_lifetime),
            ..current.clone()
        };
        transition(AuditEvent::KeyExtend, vec![changed], reason)
    }

    fn replacement(
        &self,
        next: &StoredSigningKey,
        former: Option<StoredSigningKey>,
        now: i64,
    ) -> KeyTransition {
        let reason = match &former {
            Some(former) => format!(
                "the signing key {} signs instead of {}, which stays published until {}",
                next.kid,
                former.kid,
                format_seconds(former.retires_at.unwrap_or(now))
            ),
            None => format!("the signing key {} signs", next.kid),
        };
        let mut changed: Vec<_> = former.into_iter().collect();
        changed.push(self.activated(next.clone(), now));
        transition(AuditEvent::KeyRotate, changed, reason)
    }

    fn activated(&self, key: StoredSigningKey, now: i64) -> StoredSigningKey {
        StoredSigningKey {
            state: KeyState::Current,
            activated_at: Some(now),
            token_lifetime: Some(self.token_lifetime),
            ..key
        }
    }

    /// How long the longest-lived token lives that a key has signed or may sign.
    fn longest_lifetime(&self, key: &StoredSigningKey) -> i64 {
        let noted = key.token_lifetime.unwrap_or(self.token_lifetime);
        noted.max(self.token_lifetime)
    }

    /// The former current key, published until the last token it signed is dead and caches have turned over.
    fn deactivated(&self, key: &StoredSigningKey, now: i64) -> StoredSigningKey {
        let kept_for = self
            .longest_lifetime(key)
            .saturating_add(self.cached_for())
            .saturating_add(MAX_CLOCK_SKEW);
        StoredSigningKey {
            state: KeyState::Previous,
            deactivated_at: Some(now),
            retires_at: Some(now.saturating_add(kept_for)),
            ..key.clone()
        }
    }
}

/// How many keys are in the key set.
#[must_use]
pub fn published_count(keys: &[StoredSigningKey]) -> usize {
    let is_published = |key: &&StoredSigningKey| key.state != KeyState::Retired;
    keys.iter().filter(is_published).count()
}

fn transition(event: AuditEvent, changed: Vec<StoredSigningKey>, reason: String) -> KeyTransition {
    KeyTransition {
        event,
        changed,
        reason,
    }
}

fn published((kid, sealed): (String, String), now: i64) -> StoredSigningKey {
    StoredSigningKey {
        kid,
        state: KeyState::Next,
        sealed,
        created_at: now,
        activated_at: None,
        rotation_requested_at: None,
        deactivated_at: None,
        retires_at: None,
        retired_at: None,
        revoked_at: None,
        token_lifetime: None,
    }
}

fn retired(key: &StoredSigningKey, now: i64) -> StoredSigningKey {
    StoredSigningKey {
        state: KeyState::Retired,
        sealed: String::new(),
        retired_at: Some(now),
        ..key.clone()
    }
}

#[cfg(test)]
mod tests;
