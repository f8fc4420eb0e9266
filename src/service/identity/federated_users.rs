//! Federated users: from a verified external identity to a user of the catalog.
//!
//! The identity provider decides about roles and claims: those of the presented token apply, and the
//! catalog follows the newest token, because downloads and API keys are decided by what the catalog has.
//! It is written only when something changed, at a bounded rate, one change at a time.

use std::collections::BTreeSet;
use std::sync::Arc;

use moka::sync::Cache;
use tokio::sync::{Mutex, MutexGuard};

use crate::domain::clock::Clock;
use crate::domain::id::UserId;
use crate::domain::issuer::{ExternalIssuer, UserProvisioning};
use crate::domain::name::{ADMIN_ROLE, RoleName};
use crate::domain::principal::User;
use crate::service::catalog_cache::CatalogCache;
use crate::service::error::ServiceError;
use crate::storage::{AddUserOutcome, Database, ExternalUser, SignInConditions, StorageError};

use super::identity_providers::ExternalIdentity;

/// How many catalog changes tokens may cause in one second: each makes every replica drop its cache.
const MAX_CHANGES_PER_SECOND: u32 = 20;
/// The most bytes of cached users whose token differs from the catalog.
const MAX_TOKEN_USERS_SIZE: u64 = 16 * 1024 * 1024;

/// Why an external identity is not resolved to a user.
#[derive(Debug)]
pub enum FederatedUserError {
    /// The identity has no user here; the text may be shown to the caller.
    Rejected(&'static str),
    /// The user could not be looked up or written.
    Failed(ServiceError),
}

impl From<ServiceError> for FederatedUserError {
    fn from(error: ServiceError) -> Self {
        Self::Failed(error)
    }
}

impl From<StorageError> for FederatedUserError {
    fn from(error: StorageError) -> Self {
        Self::Failed(error.into())
    }
}

/// Finds, creates and updates the users of identity providers.
pub struct FederatedUsers {
    catalog_cache: Arc<CatalogCache>,
    database: Database,
    clock: Clock,
    admin_issuers: Vec<String>,
    change_rate: Mutex<ChangeRate>,
    token_users: Cache<[u8; 32], TokenUser>,
}

/// How many changes were made in which second.
#[derive(Default)]
struct ChangeRate {
    second: i64,
    changes: u32,
}

/// A user with the roles and claims of one token; one value per token, so that the entities prepared
/// for its decisions are found again.
#[derive(Clone)]
struct TokenUser {
    catalog_user: Arc<User>,
    token_user: Arc<User>,
}

impl TokenUser {
    /// The catalog's user counts, because it is kept when the catalog's cache has dropped it.
    fn size(&self) -> u32 {
        let size = self.catalog_user.approximate_size() + self.token_user.approximate_size();
        u32::try_from(size).unwrap_or(u32::MAX)
    }
}

impl FederatedUsers {
    /// The users of identity providers in a database; tokens of `admin_issuers` can make somebody an admin.
    #[must_use]
    pub fn new(
        catalog_cache: Arc<CatalogCache>,
        database: Database,
        clock: Clock,
        admin_issuers: Vec<String>,
    ) -> Self {
        Self {
            admin_issuers,
            catalog_cache,
            database,
            clock,
            change_rate: Mutex::default(),
            token_users: Cache::builder()
                .max_capacity(MAX_TOKEN_USERS_SIZE)
                .weigher(|_, user: &TokenUser| user.size())
                .build(),
        }
    }

    /// Resolves an identity to its user, with the roles and claims of its token.
    pub async fn resolve(
        &self,
        issuer: &ExternalIssuer,
        identity: &ExternalIdentity,
    ) -> Result<Arc<User>, FederatedUserError> {
        let roles = self.catalog_cache.roles().await?;
        let roles: BTreeSet<RoleName> = identity.roles.intersection(&roles).cloned().collect();
        let mut found = self.find(issuer, identity).await?;
        if found.is_none() {
            self.register(issuer, identity, &roles).await?;
            found = self.find(issuer, identity).await?;
        }
        let (external_user, user) = found.ok_or(FederatedUserError::Rejected(
            "the token's user has just been removed",
        ))?;
        if user.is_disabled || (user.roles == roles && user.claims == identity.claims) {
            return Ok(user);
        }
        let user = self.with_token_claims(user, &roles, identity);
        if is_older(&external_user, identity) {
            self.update_claims(issuer, &user, identity).await?;
        }
        Ok(user)
    }

    async fn find(
        &self,
        issuer: &ExternalIssuer,
        identity: &ExternalIdentity,
    ) -> Result<Option<(Arc<ExternalUser>, Arc<User>)>, ServiceError> {
        let external_user = self
            .catalog_cache
            .external_user(&issuer.issuer, &identity.subject)
            .await?;
        let Some(external_user) = external_user else {
            return Ok(None);
        };
        let user = self.catalog_cache.user(external_user.id).await?;
        Ok(user.map(|user| (external_user, user)))
    }

    /// The catalog's user with the roles and claims of a token.
    fn with_token_claims(
        &self,
        catalog_user: Arc<User>,
        roles: &BTreeSet<RoleName>,
        identity: &ExternalIdentity,
    ) -> Arc<User> {
        if let Some(cached) = self.token_users.get(&identity.token_digest)
            && Arc::ptr_eq(&cached.catalog_user, &catalog_user)
            && cached.token_user.roles == *roles
        {
            return cached.token_user;
        }
        let token_user = Arc::new(User {
            roles: roles.clone(),
            claims: identity.claims.clone(),
            ..User::clone(&catalog_user)
        });
        let cached = TokenUser {
            catalog_user,
            token_user: Arc::clone(&token_user),
        };
        self.token_users.insert(identity.token_digest, cached);
        token_user
    }

    /// Gives a new subject a user: one that was created for it beforehand by name, or else a new one.
    async fn register(
        &self,
        issuer: &ExternalIssuer,
        identity: &ExternalIdentity,
        roles: &BTreeSet<RoleName>,
    ) -> Result<(), FederatedUserError> {
        let Some(username) = &identity.username else {
            return Err(FederatedUserError::Rejected(
                "the token has no valid user name: letters a to z, digits and . _ - @, at most 64",
            ));
        };
        let change_rate = self.lock_changes().await?;
        if self.find(issuer, identity).await?.is_some() {
            // A concurrent request of the same user was faster.
            return Ok(());
        }
        let unbound = self.database.find_unbound_user(&issuer.issuer, username);
        if let Some(user_id) = unbound.await? {
            if !identity.is_name_verified {
                return Err(name_not_verified(issuer, user_id));
            }
            self.database
                .bind_subject(user_id, &identity.subject)
                .await?;
            self.finish_change(change_rate).await;
            return Ok(());
        }
        if issuer.principals != UserProvisioning::Create {
            return Err(FederatedUserError::Rejected(
                "the token is valid, but its subject is not a user of this server",
            ));
        }
        if username.is_reserved() {
            return Err(FederatedUserError::Rejected(
                "the token's user name is anonymous or a UUID, which name other principals",
            ));
        }
        if self
            .database
            .find_user_by_username(username)
            .await?
            .is_some()
        {
            return Err(username_taken(issuer));
        }
        let user = User {
            id: UserId::random(),
            username: username.clone(),
            issuer: Some(issuer.issuer.clone()),
            roles: roles.clone(),
            claims: identity.claims.clone(),
            is_disabled: false,
        };
        let added = self
            .database
            .add_external_user(&user, &identity.subject, identity.issued_at)
            .await?;
        self.finish_change(change_rate).await;
        match added {
            AddUserOutcome::Added => {
                let (issuer, user_id) = (&issuer.issuer, user.id);
                tracing::info!(issuer, %user_id, "federated user created");
                Ok(())
            }
            // Another replica was faster, or somebody else has just taken the name.
            AddUserOutcome::AlreadyExists if self.find(issuer, identity).await?.is_some() => Ok(()),
            AddUserOutcome::AlreadyExists => Err(username_taken(issuer)),
        }
    }

    async fn update_claims(
        &self,
        issuer: &ExternalIssuer,
        user: &User,
        identity: &ExternalIdentity,
    ) -> Result<(), ServiceError> {
        let change_rate = self.lock_changes().await?;
        // Another request with the same token may have been faster.
        if let Some((external_user, before)) = self.find(issuer, identity).await?
            && is_older(&external_user, identity)
        {
            self.database
                .update_external_user(user, identity.issued_at)
                .await?;
            self.finish_change(change_rate).await;
            self.warn_without_admins(before, user).await;
        }
        Ok(())
    }

    /// Logs when a provider has taken the admin role from the last admin who could sign in. It is taken all
    /// the same: whom the provider demotes must not keep the role through an API key.
    async fn warn_without_admins(&self, before: Arc<User>, after: &User) {
        let is_admin = |user: &User| user.roles.iter().any(|role| role.as_str() == ADMIN_ROLE);
        if !is_admin(&before) || is_admin(after) {
            return;
        }
        let conditions = SignInConditions {
            now: self.clock.unix_seconds(),
            admin_issuers: self.admin_issuers.clone(),
        };
        let admins = self.database.admins_who_can_sign_in(&conditions).await;
        if admins.is_ok_and(|admins| admins.is_empty()) {
            tracing::error!(
                user_id = %after.id,
                "the identity provider took the role admin from the last admin who could sign in: \
                 create one with `cedargate user add NAME --admin`"
            );
        }
    }

    /// Waits for the exclusive right to change the catalog, and fails when there were too many changes.
    async fn lock_changes(&self) -> Result<MutexGuard<'_, ChangeRate>, ServiceError> {
        let mut rate = self.change_rate.lock().await;
        let second = self.clock.unix_seconds();
        if rate.second != second {
            *rate = ChangeRate { second, changes: 0 };
        }
        if rate.changes >= MAX_CHANGES_PER_SECOND {
            return Err(ServiceError::unavailable(
                "creating or updating federated users",
                "too many of them are new or changed in this second",
            ));
        }
        Ok(rate)
    }

    /// Counts a change and puts it in force in this process.
    async fn finish_change(&self, mut rate: MutexGuard<'_, ChangeRate>) {
        rate.changes += 1;
        self.catalog_cache.refresh_after_write().await;
    }
}

/// Whether the catalog has the claims of an older token than the identity's.
fn is_older(user: &ExternalUser, identity: &ExternalIdentity) -> bool {
    user.claims_issued_at
        .is_none_or(|issued_at| issued_at < identity.issued_at)
}

/// A name belongs to whom it was given first; another subject never takes that user over.
fn username_taken(issuer: &ExternalIssuer) -> FederatedUserError {
    let issuer = &issuer.issuer;
    tracing::warn!(issuer, "federated user not created: its user name is taken");
    FederatedUserError::Rejected(
        "the token's user name belongs to another user of this server: ask its operator",
    )
}

/// A name that anybody may choose at the provider does not make its bearer the user that was meant.
fn name_not_verified(issuer: &ExternalIssuer, user_id: UserId) -> FederatedUserError {
    let issuer = &issuer.issuer;
    tracing::warn!(
        issuer,
        %user_id,
        "federated user not bound: the token does not show that its user name is verified; set \
         verified_claim in [[issuers]], or create the user with its subject"
    );
    FederatedUserError::Rejected(
        "the token's user name is reserved for a user, and the token does not show that the name is \
         verified: ask the operator of this server",
    )
}
