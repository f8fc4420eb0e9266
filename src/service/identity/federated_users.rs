//! Federated users: from a verified external identity to a user of the catalog.
//!
//! The identity provider decides about roles and claims: those of the presented token apply, and the
//! catalog follows the newest token, because downloads and API keys are decided by what the catalog has.
//! It is written only when something changed, at a bounded rate, one change at a time.
//!
//! A subject keeps its user, and the user its name, whatever the provider calls it later: policies, shares and
//! people refer to that name. The display name follows the newest token.

use std::collections::BTreeSet;
use std::sync::Arc;

use moka::sync::Cache;
use tokio::sync::{Mutex, MutexGuard};

use crate::domain::attributes::Attributes;
use crate::domain::clock::Clock;
use crate::domain::id::UserId;
use crate::domain::issuer::{ExternalIssuer, UserProvisioning};
use crate::domain::name::{ADMIN_ROLE, RoleName};
use crate::domain::principal::User;
use crate::domain::token_refusal::{TokenCheck, TokenRefusal};
use crate::service::catalog_cache::CatalogCache;
use crate::service::error::ServiceError;
use crate::storage::{AddUserOutcome, Database, ExternalUser, SignInConditions, StorageError};

use super::change_rate::ChangeRate;
use super::identity_providers::ExternalIdentity;

/// The most bytes of cached users whose token differs from the catalog.
const MAX_TOKEN_USERS_SIZE: u64 = 16 * 1024 * 1024;

/// What is expected of a subject.
const KNOWN_USER: &str = "the subject of a user of this server (principals = \"known\")";

/// Why an external identity is not resolved to a user.
#[derive(Debug)]
pub enum FederatedUserError {
    /// The identity has no user here.
    Refused(TokenRefusal),
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
            change_rate: Mutex::new(ChangeRate::new(clock.monotonic())),
            clock,
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
        let (external_user, user) = found.ok_or_else(|| {
            let got = "a subject whose user has just been removed";
            FederatedUserError::Refused(TokenRefusal::new(TokenCheck::Principals, KNOWN_USER, got))
        })?;
        let is_named_so = identity.names.display_name.is_none()
            || user.display_name == identity.names.display_name;
        let is_same = user.roles == roles && user.claims == identity.claims && is_named_so;
        if user.is_disabled || is_same {
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
            display_name: identity
                .names
                .display_name
                .clone()
                .or_else(|| catalog_user.display_name.clone()),
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
        let change_rate = self.lock_changes().await?;
        if self.find(issuer, identity).await?.is_some() {
            // A concurrent request of the same user was faster.
            return Ok(());
        }
        if let Some(user_id) = self.find_prepared(issuer, identity).await? {
            self.database
                .bind_subject(user_id, &identity.subject)
                .await?;
            self.finish_change(change_rate).await;
            return Ok(());
        }
        if issuer.principals != UserProvisioning::Create {
            let got = "a subject that is no user yet";
            let refusal = TokenRefusal::new(TokenCheck::Principals, KNOWN_USER, got);
            return Err(FederatedUserError::Refused(refusal));
        }
        self.create(issuer, identity, roles, change_rate).await
    }

    /// The user that was created beforehand for the name in a token, which must have exactly that name, and show
    /// that it is verified.
    async fn find_prepared(
        &self,
        issuer: &ExternalIssuer,
        identity: &ExternalIdentity,
    ) -> Result<Option<UserId>, FederatedUserError> {
        let Some(username) = &identity.names.claimed else {
            return Ok(None);
        };
        let unbound = self.database.find_unbound_user(&issuer.issuer, username);
        match unbound.await? {
            Some(user_id) if !identity.names.is_exact || !identity.is_name_verified => {
                let refusal = name_not_verified(issuer, identity, user_id);
                Err(FederatedUserError::Refused(refusal))
            }
            found => Ok(found),
        }
    }

    /// Creates the user of a new subject under the first of its names that is free: whoever has a name keeps it.
    async fn create(
        &self,
        issuer: &ExternalIssuer,
        identity: &ExternalIdentity,
        roles: &BTreeSet<RoleName>,
        change_rate: MutexGuard<'_, ChangeRate>,
    ) -> Result<(), FederatedUserError> {
        let id = UserId::random();
        let candidates = identity.names.candidates(&issuer.issuer, &identity.subject);
        for username in candidates {
            if self.database.find_user_id(&username).await?.is_some() {
                continue;
            }
            let user = User {
                id,
                username,
                issuer: Some(issuer.issuer.clone()),
                roles: roles.clone(),
                claims: identity.claims.clone(),
                attributes: Attributes::new(),
                display_name: identity.names.display_name.clone(),
                is_disabled: false,
            };
            let issued_at = identity.issued_at.unix_seconds();
            let added = self
                .database
                .add_external_user(&user, &identity.subject, issued_at)
                .await?;
            let is_there = match added {
                AddUserOutcome::Added => true,
                // Another replica was faster with this subject, or somebody else with this name.
                AddUserOutcome::AlreadyExists => {
                    let found = self
                        .database
                        .find_external_user(&issuer.issuer, &identity.subject);
                    found.await?.is_some()
                }
            };
            if is_there {
                if added == AddUserOutcome::Added {
                    tracing::info!(issuer = issuer.issuer, user_id = %id, "federated user created");
                }
                self.finish_change(change_rate).await;
                return Ok(());
            }
        }
        Err(FederatedUserError::Failed(ServiceError::unavailable(
            "creating a federated user",
            "all its user names are taken",
        )))
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
                .update_external_user(user, identity.issued_at.unix_seconds())
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
        if !rate.allows_change(self.clock.monotonic()) {
            return Err(ServiceError::unavailable(
                "creating or updating federated users",
                "too many of them are new or changed at the moment",
            ));
        }
        Ok(rate)
    }

    /// Counts a change and puts it in force in this process.
    async fn finish_change(&self, mut rate: MutexGuard<'_, ChangeRate>) {
        rate.count_change();
        self.catalog_cache.refresh_after_write().await;
    }
}

/// Whether the catalog has the claims of an older token than the identity's.
fn is_older(user: &ExternalUser, identity: &ExternalIdentity) -> bool {
    user.claims_issued_at
        .is_none_or(|issued_at| issued_at < identity.issued_at.unix_seconds())
}

/// A name that anybody may choose at the provider, or that only folds to the one that was prepared, does not
/// make its bearer the user that was meant.
fn name_not_verified(
    issuer: &ExternalIssuer,
    identity: &ExternalIdentity,
    user_id: UserId,
) -> TokenRefusal {
    let (expected, got) = match &issuer.verified_claim {
        _ if !identity.names.is_exact => (
            format!("exactly the name of the user {user_id}, prepared for this provider"),
            "a name that differs in case or form",
        ),
        Some(path) => (
            format!("{path} is true, since the user {user_id} was prepared by name"),
            "a name that is not verified",
        ),
        None => (
            format!("a verified name, since the user {user_id} was prepared by name"),
            "no verified_claim in [[issuers]]",
        ),
    };
    TokenRefusal::new(TokenCheck::VerifiedClaim, expected, got)
        .with_hint("set verified_claim in [[issuers]], or create the user with its subject")
}
