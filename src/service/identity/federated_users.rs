//! Users of outside issuers: from an identity that was verified to a user of the catalog.
//!
//! The issuer decides about roles and claims: those of the token at hand are in force, and the catalog
//! follows the newest token, because downloads and API keys ask with what the catalog has. It is
//! written only when something changed, at a bounded pace, one change at a time. This module refuses
//! to know tokens.

use std::collections::BTreeSet;
use std::sync::Arc;

use moka::sync::Cache;
use tokio::sync::{Mutex, MutexGuard};

use crate::domain::clock::Clock;
use crate::domain::id::UserId;
use crate::domain::issuer::{Admission, OutsideIssuer};
use crate::domain::name::RoleName;
use crate::domain::principal::User;
use crate::service::catalog_cache::Facts;
use crate::service::error::ServiceError;
use crate::storage::{Addition, Database, OutsideUser};

use super::identity_providers::Identity;

/// The most changes to the catalog in one second because of tokens: each makes every replica forget
/// the facts it remembers.
const MOST_CHANGES: u32 = 20;
/// The most tokens whose user differs from the catalog's that are remembered.
const MOST_DIFFERING: u64 = 10_000;

/// What comes of an identity.
#[derive(Debug)]
pub enum Admitted {
    /// The user that it is, with the roles and claims of its token.
    User(Arc<User>),
    /// It is nobody here; the text may be shown.
    Nobody(&'static str),
}

/// Finds, creates and refreshes users of outside issuers.
pub struct OutsideUsers {
    facts: Arc<Facts>,
    database: Database,
    clock: Clock,
    pace: Mutex<Pace>,
    differing: Cache<[u8; 32], Differing>,
}

/// How many changes were made in which second.
#[derive(Default)]
struct Pace {
    second: i64,
    changes: u32,
}

/// A user with what a token says of it; one value for one token, so that what is prepared for a
/// decision about it is found again.
#[derive(Clone)]
struct Differing {
    of_catalog: Arc<User>,
    of_token: Arc<User>,
}

impl OutsideUsers {
    /// The users of outside issuers in a database.
    #[must_use]
    pub fn of(facts: Arc<Facts>, database: Database, clock: Clock) -> Self {
        Self {
            facts,
            database,
            clock,
            pace: Mutex::default(),
            differing: Cache::new(MOST_DIFFERING),
        }
    }

    /// The user that an identity is, with the roles and claims of its token.
    pub async fn admit(
        &self,
        issuer: &OutsideIssuer,
        identity: &Identity,
    ) -> Result<Admitted, ServiceError> {
        let roles = self.facts.roles().await?;
        let roles: BTreeSet<RoleName> = identity.roles.intersection(&roles).cloned().collect();
        let found = match self.find(issuer, identity).await? {
            Some(found) => Some(found),
            None => match self.enter(issuer, identity, &roles).await? {
                Ok(()) => self.find(issuer, identity).await?,
                Err(refusal) => return Ok(Admitted::Nobody(refusal)),
            },
        };
        let Some((known, user)) = found else {
            return Ok(Admitted::Nobody("the token's user was removed just now"));
        };
        if user.is_disabled || (user.roles == roles && user.claims == identity.claims) {
            return Ok(Admitted::User(user));
        }
        let user = self.differing(user, &roles, identity);
        if known
            .claims_issued_at
            .is_none_or(|at| at < identity.issued_at)
        {
            self.refresh(issuer, &user, identity).await?;
        }
        Ok(Admitted::User(user))
    }

    async fn find(
        &self,
        issuer: &OutsideIssuer,
        identity: &Identity,
    ) -> Result<Option<(Arc<OutsideUser>, Arc<User>)>, ServiceError> {
        let known = self
            .facts
            .outside_user(&issuer.issuer, &identity.subject)
            .await?;
        let Some(known) = known else {
            return Ok(None);
        };
        let user = self.facts.user(known.id).await?;
        Ok(user.map(|user| (known, user)))
    }

    /// The catalog's user with the roles and claims of a token.
    fn differing(
        &self,
        of_catalog: Arc<User>,
        roles: &BTreeSet<RoleName>,
        identity: &Identity,
    ) -> Arc<User> {
        if let Some(known) = self.differing.get(&identity.fingerprint)
            && Arc::ptr_eq(&known.of_catalog, &of_catalog)
            && known.of_token.roles == *roles
        {
            return known.of_token;
        }
        let of_token = Arc::new(User {
            roles: roles.clone(),
            claims: identity.claims.clone(),
            ..User::clone(&of_catalog)
        });
        let differing = Differing {
            of_catalog,
            of_token: Arc::clone(&of_token),
        };
        self.differing.insert(identity.fingerprint, differing);
        of_token
    }

    /// Makes a new subject a user: the one that was expected by its name, or else one of its own;
    /// or says why that cannot be.
    async fn enter(
        &self,
        issuer: &OutsideIssuer,
        identity: &Identity,
        roles: &BTreeSet<RoleName>,
    ) -> Result<Result<(), &'static str>, ServiceError> {
        let is_created = issuer.principals == Admission::Create;
        let Some(username) = &identity.username else {
            return Ok(Err(
                "the token has no user name that can be one here: letters a to z, digits and \
                 . _ - @, at most 64",
            ));
        };
        let pace = self.pace().await?;
        if self.find(issuer, identity).await?.is_some() {
            // Another request of the same user was faster.
            return Ok(Ok(()));
        }
        let expected = self.database.find_expected_user(&issuer.issuer, username);
        if let Some(user_id) = expected.await? {
            self.database
                .bind_subject(user_id, &identity.subject)
                .await?;
            self.changed(pace).await;
            return Ok(Ok(()));
        }
        if !is_created {
            return Ok(Err(
                "the token is good, but its subject is not a user of this server",
            ));
        }
        if self.database.find_login(username).await?.is_some() {
            return Ok(Err(refuse_taken(issuer)));
        }
        let user = User {
            id: UserId::random(),
            username: username.clone(),
            issuer: Some(issuer.issuer.clone()),
            roles: roles.clone(),
            claims: identity.claims.clone(),
            is_disabled: false,
        };
        let addition = self
            .database
            .add_outside_user(&user, &identity.subject, identity.issued_at)
            .await?;
        self.changed(pace).await;
        match addition {
            Addition::Added => {
                let (issuer, user_id) = (&issuer.issuer, user.id);
                tracing::info!(issuer, %user_id, "a user of an outside issuer was created");
                Ok(Ok(()))
            }
            // Another replica was faster, or somebody else has just taken the name.
            Addition::Taken if self.find(issuer, identity).await?.is_some() => Ok(Ok(())),
            Addition::Taken => Ok(Err(refuse_taken(issuer))),
        }
    }

    async fn refresh(
        &self,
        issuer: &OutsideIssuer,
        user: &User,
        identity: &Identity,
    ) -> Result<(), ServiceError> {
        let pace = self.pace().await?;
        let is_older = |known: &OutsideUser| {
            known
                .claims_issued_at
                .is_none_or(|at| at < identity.issued_at)
        };
        // Another request with the same token may have been faster.
        if let Some((known, _)) = self.find(issuer, identity).await?
            && is_older(&known)
        {
            self.database
                .refresh_outside_user(user, identity.issued_at)
                .await?;
            self.changed(pace).await;
        }
        Ok(())
    }

    /// Waits for the turn to change the catalog, and refuses when there were too many changes.
    async fn pace(&self) -> Result<MutexGuard<'_, Pace>, ServiceError> {
        let mut pace = self.pace.lock().await;
        let second = self.clock.unix_seconds();
        if pace.second != second {
            *pace = Pace { second, changes: 0 };
        }
        if pace.changes >= MOST_CHANGES {
            return Err(ServiceError::Unavailable {
                what: "admitting users of outside issuers",
                source: "too many of them are new or changed in this second".into(),
            });
        }
        Ok(pace)
    }

    /// Counts a change and puts it in force here.
    async fn changed(&self, mut pace: MutexGuard<'_, Pace>) {
        pace.changes += 1;
        if let Err(error) = self.facts.refresh().await {
            // Nothing is remembered while the version is not known, so this is safe too.
            tracing::warn!(%error, "the catalog's version could not be read");
        }
    }
}

/// A name belongs to whom it was given first; another subject never takes that user over.
fn refuse_taken(issuer: &OutsideIssuer) -> &'static str {
    let issuer = &issuer.issuer;
    tracing::warn!(
        issuer,
        "a new user of an outside issuer has a name that is taken"
    );
    "the token's user name belongs to another user of this server: ask its operator"
}
