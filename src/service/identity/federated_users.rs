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
use crate::domain::issuer::{ExternalIssuer, UserProvisioning};
use crate::domain::name::RoleName;
use crate::domain::principal::User;
use crate::service::catalog_cache::CatalogCache;
use crate::service::error::ServiceError;
use crate::storage::{AddUserOutcome, Database, ExternalUser};

use super::identity_providers::ExternalIdentity;

/// The most changes to the catalog in one second because of tokens: each makes every replica forget
/// the facts it remembers.
const MAX_CHANGES_PER_SECOND: u32 = 20;
/// The most tokens whose user differs from the catalog's that are remembered.
const MAX_CACHED_TOKEN_USERS: u64 = 10_000;

/// What comes of an identity.
#[derive(Debug)]
pub enum FederatedUser {
    /// The user that it is, with the roles and claims of its token.
    User(Arc<User>),
    /// It is nobody here; the text may be shown.
    Rejected(&'static str),
}

/// Finds, creates and refreshes users of outside issuers.
pub struct FederatedUsers {
    catalog_cache: Arc<CatalogCache>,
    database: Database,
    clock: Clock,
    change_rate: Mutex<ChangeRate>,
    token_users: Cache<[u8; 32], TokenUser>,
}

/// How many changes were made in which second.
#[derive(Default)]
struct ChangeRate {
    second: i64,
    changes: u32,
}

/// A user with what a token says of it; one value for one token, so that what is prepared for a
/// decision about it is found again.
#[derive(Clone)]
struct TokenUser {
    catalog_user: Arc<User>,
    token_user: Arc<User>,
}

impl FederatedUsers {
    /// The users of outside issuers in a database.
    #[must_use]
    pub fn new(catalog_cache: Arc<CatalogCache>, database: Database, clock: Clock) -> Self {
        Self {
            catalog_cache,
            database,
            clock,
            change_rate: Mutex::default(),
            token_users: Cache::new(MAX_CACHED_TOKEN_USERS),
        }
    }

    /// The user that an identity is, with the roles and claims of its token.
    pub async fn resolve(
        &self,
        issuer: &ExternalIssuer,
        identity: &ExternalIdentity,
    ) -> Result<FederatedUser, ServiceError> {
        let roles = self.catalog_cache.roles().await?;
        let roles: BTreeSet<RoleName> = identity.roles.intersection(&roles).cloned().collect();
        let found = match self.find(issuer, identity).await? {
            Some(found) => Some(found),
            None => match self.register(issuer, identity, &roles).await? {
                Ok(()) => self.find(issuer, identity).await?,
                Err(refusal) => return Ok(FederatedUser::Rejected(refusal)),
            },
        };
        let Some((known, user)) = found else {
            return Ok(FederatedUser::Rejected(
                "the token's user was removed just now",
            ));
        };
        if user.is_disabled || (user.roles == roles && user.claims == identity.claims) {
            return Ok(FederatedUser::User(user));
        }
        let user = self.with_token_claims(user, &roles, identity);
        if known
            .claims_issued_at
            .is_none_or(|at| at < identity.issued_at)
        {
            self.update_claims(issuer, &user, identity).await?;
        }
        Ok(FederatedUser::User(user))
    }

    async fn find(
        &self,
        issuer: &ExternalIssuer,
        identity: &ExternalIdentity,
    ) -> Result<Option<(Arc<ExternalUser>, Arc<User>)>, ServiceError> {
        let known = self
            .catalog_cache
            .external_user(&issuer.issuer, &identity.subject)
            .await?;
        let Some(known) = known else {
            return Ok(None);
        };
        let user = self.catalog_cache.user(known.id).await?;
        Ok(user.map(|user| (known, user)))
    }

    /// The catalog's user with the roles and claims of a token.
    fn with_token_claims(
        &self,
        of_catalog: Arc<User>,
        roles: &BTreeSet<RoleName>,
        identity: &ExternalIdentity,
    ) -> Arc<User> {
        if let Some(known) = self.token_users.get(&identity.token_digest)
            && Arc::ptr_eq(&known.catalog_user, &of_catalog)
            && known.token_user.roles == *roles
        {
            return known.token_user;
        }
        let of_token = Arc::new(User {
            roles: roles.clone(),
            claims: identity.claims.clone(),
            ..User::clone(&of_catalog)
        });
        let differing = TokenUser {
            catalog_user: of_catalog,
            token_user: Arc::clone(&of_token),
        };
        self.token_users.insert(identity.token_digest, differing);
        of_token
    }

    /// Makes a new subject a user: the one that was expected by its name, or else one of its own;
    /// or says why that cannot be.
    async fn register(
        &self,
        issuer: &ExternalIssuer,
        identity: &ExternalIdentity,
        roles: &BTreeSet<RoleName>,
    ) -> Result<Result<(), &'static str>, ServiceError> {
        let is_created = issuer.principals == UserProvisioning::Create;
        let Some(username) = &identity.username else {
            return Ok(Err(
                "the token has no user name that can be one here: letters a to z, digits and \
                 . _ - @, at most 64",
            ));
        };
        let pace = self.lock_changes().await?;
        if self.find(issuer, identity).await?.is_some() {
            // Another request of the same user was faster.
            return Ok(Ok(()));
        }
        let expected = self.database.find_unbound_user(&issuer.issuer, username);
        if let Some(user_id) = expected.await? {
            self.database
                .bind_subject(user_id, &identity.subject)
                .await?;
            self.finish_change(pace).await;
            return Ok(Ok(()));
        }
        if !is_created {
            return Ok(Err(
                "the token is good, but its subject is not a user of this server",
            ));
        }
        if self
            .database
            .find_user_by_username(username)
            .await?
            .is_some()
        {
            return Ok(Err(reject_taken_username(issuer)));
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
            .add_external_user(&user, &identity.subject, identity.issued_at)
            .await?;
        self.finish_change(pace).await;
        match addition {
            AddUserOutcome::Added => {
                let (issuer, user_id) = (&issuer.issuer, user.id);
                tracing::info!(issuer, %user_id, "a user of an outside issuer was created");
                Ok(Ok(()))
            }
            // Another replica was faster, or somebody else has just taken the name.
            AddUserOutcome::AlreadyExists if self.find(issuer, identity).await?.is_some() => {
                Ok(Ok(()))
            }
            AddUserOutcome::AlreadyExists => Ok(Err(reject_taken_username(issuer))),
        }
    }

    async fn update_claims(
        &self,
        issuer: &ExternalIssuer,
        user: &User,
        identity: &ExternalIdentity,
    ) -> Result<(), ServiceError> {
        let pace = self.lock_changes().await?;
        let is_older = |known: &ExternalUser| {
            known
                .claims_issued_at
                .is_none_or(|at| at < identity.issued_at)
        };
        // Another request with the same token may have been faster.
        if let Some((known, _)) = self.find(issuer, identity).await?
            && is_older(&known)
        {
            self.database
                .update_external_user(user, identity.issued_at)
                .await?;
            self.finish_change(pace).await;
        }
        Ok(())
    }

    /// Waits for the turn to change the catalog, and refuses when there were too many changes.
    async fn lock_changes(&self) -> Result<MutexGuard<'_, ChangeRate>, ServiceError> {
        let mut pace = self.change_rate.lock().await;
        let second = self.clock.unix_seconds();
        if pace.second != second {
            *pace = ChangeRate { second, changes: 0 };
        }
        if pace.changes >= MAX_CHANGES_PER_SECOND {
            return Err(ServiceError::Unavailable {
                what: "admitting users of outside issuers",
                source: "too many of them are new or changed in this second".into(),
            });
        }
        Ok(pace)
    }

    /// Counts a change and puts it in force here.
    async fn finish_change(&self, mut pace: MutexGuard<'_, ChangeRate>) {
        pace.changes += 1;
        if let Err(error) = self.catalog_cache.refresh().await {
            // Nothing is remembered while the version is not known, so this is safe too.
            tracing::warn!(%error, "the catalog's version could not be read");
        }
    }
}

/// A name belongs to whom it was given first; another subject never takes that user over.
fn reject_taken_username(issuer: &ExternalIssuer) -> &'static str {
    let issuer = &issuer.issuer;
    tracing::warn!(
        issuer,
        "a new user of an outside issuer has a name that is taken"
    );
    "the token's user name belongs to another user of this server: ask its operator"
}
