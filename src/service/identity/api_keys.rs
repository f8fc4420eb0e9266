//! API keys: users create, list and revoke their own.
//!
//! A signed-in user manages its keys with a session, or with an unrestricted key. Creation and
//! revocation are recorded, with the key's id and never its text.

use std::sync::Arc;

use crate::domain::api_key::{ApiKey, ApiKeyError, KeyName, KeyScope, KeyText, MAX_KEYS_PER_USER};
use crate::domain::audit::{AuditEvent, AuditOutcome, AuditRecord};
use crate::domain::caller::{Authentication, Caller};
use crate::domain::clock::Clock;
use crate::domain::id::{ApiKeyId, UserId};
use crate::service::audit_trail::AuditTrail;
use crate::service::catalog_cache::CatalogCache;
use crate::service::error::ServiceError;
use crate::service::pagination::Page;
use crate::service::rate_limits::RateLimits;
use crate::storage::{ApiKeyRemoval, Database, SignInConditions, StoredApiKey};

use super::authentication::Authenticator;
use super::request_context::RequestContext;

/// The properties of a new API key.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// Its name, chosen by its owner.
    pub name: KeyName,
    /// Its scope.
    pub scope: KeyScope,
    /// When it expires, in seconds since 1970 UTC; without, it is valid until it is revoked.
    pub expires_at: Option<i64>,
}

/// A created API key with its text, which is not shown again.
#[derive(Debug)]
pub struct CreatedApiKey {
    /// The key.
    pub key: ApiKey,
    /// Its text.
    pub text: KeyText,
}

/// Manages the API keys of callers.
pub struct ApiKeys {
    /// Stores keys.
    pub database: Database,
    /// Caches keys.
    pub catalog_cache: Arc<CatalogCache>,
    /// Authenticates callers.
    pub authenticator: Arc<Authenticator>,
    /// Limits requests.
    pub rate_limits: Arc<RateLimits>,
    /// Records creation and revocation.
    pub audit: Arc<AuditTrail>,
    /// The clock.
    pub clock: Clock,
}

impl ApiKeys {
    /// Creates a key of the caller; it is recorded together with the key, a failure before the response.
    pub async fn create(
        &self,
        request: &RequestContext,
        new_key: NewApiKey,
    ) -> Result<CreatedApiKey, ServiceError> {
        let mut record = request.open_record(AuditEvent::ApiKeyCreate, &self.clock);
        let result = self.try_create(request, new_key, &mut record).await;
        self.audit.close_unless_committed(record, result).await
    }

    async fn try_create(
        &self,
        request: &RequestContext,
        new_key: NewApiKey,
        record: &mut AuditRecord,
    ) -> Result<CreatedApiKey, ServiceError> {
        let (caller, owner) = self.authorize_owner(request, Some(record)).await?;
        self.audit.disk_space.require()?;
        let creator_expires_at = caller.key.as_ref().and_then(|key| key.expires_at);
        if let Some(creator_expires_at) = creator_expires_at
            && new_key
                .expires_at
                .is_none_or(|expires_at| expires_at > creator_expires_at)
        {
            // Or else a key that is about to expire could create a successor that never does.
            return Err(ApiKeyError::ExpiresAfterCreator.into());
        }
        let mut granted = AuditRecord {
            outcome: AuditOutcome::Granted,
            ..record.clone()
        };
        let created = insert_key(&self.database, owner, new_key, &self.clock, &mut granted).await?;
        *record = granted;
        let known = &self.authenticator.known_credentials;
        known.set_api_key(&created.text.digest(), true);
        self.catalog_cache.refresh_after_write().await;
        Ok(created)
    }

    /// Lists at most `limit` keys of the caller after `after`, or the first ones, oldest first.
    pub async fn list(
        &self,
        request: &RequestContext,
        after: Option<ApiKeyId>,
        limit: u32,
    ) -> Result<Page<ApiKey>, ServiceError> {
        let (_, owner) = self.authorize_owner(request, None).await?;
        let read = async |limit| self.database.list_api_keys(owner, after, limit).await;
        Ok(Page::read(limit, read).await?)
    }

    /// Revokes a key of the caller, and with it the download tokens that it minted; it is recorded
    /// together with the removal, a failure before the response.
    pub async fn revoke(&self, request: &RequestContext, id: ApiKeyId) -> Result<(), ServiceError> {
        let mut record = request.open_record(AuditEvent::ApiKeyRevoke, &self.clock);
        let result = self.try_revoke(request, id, &mut record).await;
        self.audit.close_unless_committed(record, result).await
    }

    async fn try_revoke(
        &self,
        request: &RequestContext,
        id: ApiKeyId,
        record: &mut AuditRecord,
    ) -> Result<(), ServiceError> {
        let (_, owner) = self.authorize_owner(request, Some(record)).await?;
        let granted = AuditRecord {
            reason: Some(format!("API key {id}")),
            outcome: AuditOutcome::Granted,
            ..record.clone()
        };
        let conditions = SignInConditions {
            now: self.clock.unix_seconds(),
            admin_issuers: self.authenticator.identity_providers.admin_issuers(),
        };
        let removal = self
            .database
            .remove_api_key(owner, id, &granted, &conditions);
        match removal.await? {
            ApiKeyRemoval::Removed => {}
            ApiKeyRemoval::NotFound => {
                record.reason = Some(format!("the user has no API key {id}"));
                return Err(ServiceError::ApiKeyNotFound);
            }
            ApiKeyRemoval::LastAdmin => return Err(ServiceError::LastAdminKey),
        }
        *record = granted;
        self.catalog_cache.refresh_after_write().await;
        Ok(())
    }

    /// Authenticates the caller, who must be allowed to manage keys, and returns their owner.
    async fn authorize_owner(
        &self,
        request: &RequestContext,
        record: Option<&mut AuditRecord>,
    ) -> Result<(Caller, UserId), ServiceError> {
        let caller = self.authenticator.authenticate(request).await?;
        if let Some(record) = record {
            record.set_caller(&caller);
        }
        self.rate_limits.check_request(&caller)?;
        let Some(owner) = caller.principal.user_id() else {
            return Err(ServiceError::CredentialMissing {
                detail: "API keys belong to a user: sign in and try again".to_owned(),
            });
        };
        match &caller.key {
            Some(key) if !key.scope.is_unrestricted() => Err(ServiceError::KeyScopeRestricted),
            Some(_) | None => Ok((caller, owner)),
        }
    }
}

/// Creates a key of a user at the command line, without asking the policies; it is recorded.
pub async fn create_locally(
    database: &Database,
    owner: UserId,
    new_key: NewApiKey,
    clock: &Clock,
) -> Result<CreatedApiKey, ServiceError> {
    let mut granted = AuditRecord {
        outcome: AuditOutcome::Granted,
        authentication: Authentication::CommandLine,
        resource_user_id: Some(owner),
        request_id: None,
        ..RequestContext::local().open_record(AuditEvent::ApiKeyCreate, clock)
    };
    insert_key(database, owner, new_key, clock, &mut granted).await
}

/// Inserts a key together with its record `granted`: both are written, or neither.
async fn insert_key(
    database: &Database,
    owner: UserId,
    new_key: NewApiKey,
    clock: &Clock,
    granted: &mut AuditRecord,
) -> Result<CreatedApiKey, ServiceError> {
    let unix_millis = clock.unix_millis();
    let now = clock.unix_seconds();
    if new_key
        .expires_at
        .is_some_and(|expires_at| expires_at <= now)
    {
        return Err(ApiKeyError::Expired.into());
    }
    let text = KeyText::random();
    let key = ApiKey {
        id: ApiKeyId::generate_at(u64::try_from(unix_millis).unwrap_or_default()),
        user_id: owner,
        name: new_key.name,
        prefix: text.prefix(),
        scope: new_key.scope,
        created_at: now,
        expires_at: new_key.expires_at,
        last_used: None,
    };
    let stored = StoredApiKey {
        key,
        digest: text.digest(),
    };
    granted.reason = Some(format!("API key {}", stored.key.id));
    if !database
        .add_api_key(&stored, MAX_KEYS_PER_USER, now, granted)
        .await?
    {
        return Err(ServiceError::TooManyApiKeys);
    }
    Ok(CreatedApiKey {
        key: stored.key,
        text,
    })
}
