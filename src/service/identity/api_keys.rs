//! API keys: making, listing and revoking one's own.
//!
//! A signed-in user manages its keys with a session, or with a key that has no limits. Making and
//! revoking are on record, with the key's id and never its text. This module refuses to know what a
//! key opens; that is `access`.

use std::sync::Arc;

use crate::domain::api_key::{ApiKey, ApiKeyError, KeyName, KeyScope, KeyText, MAX_KEYS_PER_USER};
use crate::domain::audit::{AuditEvent, AuditOutcome, AuditRecord};
use crate::domain::caller::{Authentication, Caller};
use crate::domain::clock::Clock;
use crate::domain::id::{ApiKeyId, UserId};
use crate::domain::secret::Secret;
use crate::service::audit_trail::AuditTrail;
use crate::service::catalog_cache::CatalogCache;
use crate::service::error::ServiceError;
use crate::service::rate_limits::RateLimits;
use crate::storage::{Database, StoredApiKey};

use super::authentication::Authenticator;
use super::request_context::RequestContext;

/// What a key is to be like.
#[derive(Clone, Debug)]
pub struct NewApiKey {
    /// What its owner calls it.
    pub name: KeyName,
    /// How far it reaches.
    pub scope: KeyScope,
    /// When it ends, in seconds since 1970 UTC; without, when it is revoked.
    pub expires_at: Option<i64>,
}

/// A key that was just made, and its text this once.
#[derive(Debug)]
pub struct CreatedApiKey {
    /// The key.
    pub key: ApiKey,
    /// Its text.
    pub text: Secret<String>,
}

/// Some keys of a list, and whether more follow.
#[derive(Debug)]
pub struct OwnedKeysPage {
    /// The keys, oldest first.
    pub keys: Vec<ApiKey>,
    /// After which key the next page begins; nothing on the last page.
    pub next: Option<ApiKeyId>,
}

/// Manages the callers' own API keys.
pub struct ApiKeys {
    /// Where keys are kept.
    pub database: Database,
    /// Where keys are remembered.
    pub catalog_cache: Arc<CatalogCache>,
    /// Who asks.
    pub authenticator: Arc<Authenticator>,
    /// How often it may.
    pub rate_limits: Arc<RateLimits>,
    /// What remembers.
    pub audit: Arc<AuditTrail>,
    /// The time.
    pub clock: Clock,
}

impl ApiKeys {
    /// Makes a key of the caller; it is on record together with the key, or the refusal first.
    pub async fn create(
        &self,
        visitor: &RequestContext,
        wish: NewApiKey,
    ) -> Result<CreatedApiKey, ServiceError> {
        let mut record = visitor.open_record(AuditEvent::ApiKeyCreate, &self.clock);
        let answer = self.try_create(visitor, wish, &mut record).await;
        if answer.is_ok() {
            AuditTrail::count_outcome(record.event, record.outcome);
            return answer;
        }
        self.audit.close_record(record, answer).await
    }

    async fn try_create(
        &self,
        visitor: &RequestContext,
        wish: NewApiKey,
        record: &mut AuditRecord,
    ) -> Result<CreatedApiKey, ServiceError> {
        let (caller, owner) = self.authorize_owner(visitor, Some(record)).await?;
        let maker_expires = caller.key.as_ref().and_then(|key| key.expires_at);
        if let Some(maker_expires) = maker_expires
            && wish
                .expires_at
                .is_none_or(|expires| expires > maker_expires)
        {
            // Or else a key that was to end soon could make itself a successor without end.
            return Err(ApiKeyError::ExpiresAfterCreator.into());
        }
        let mut granted = AuditRecord {
            outcome: AuditOutcome::Granted,
            ..record.clone()
        };
        let made = insert_key(&self.database, owner, wish, &self.clock, &mut granted).await?;
        *record = granted;
        self.refresh_cache().await;
        Ok(made)
    }

    /// Lists at most `limit` keys of the caller after `after`, or the first ones, oldest first.
    pub async fn list(
        &self,
        visitor: &RequestContext,
        after: Option<ApiKeyId>,
        limit: u32,
    ) -> Result<OwnedKeysPage, ServiceError> {
        let (_, owner) = self.authorize_owner(visitor, None).await?;
        // One more than asked for tells whether there is a next page.
        let asked = limit.saturating_add(1);
        let mut keys = self.database.list_api_keys(owner, after, asked).await?;
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = keys.len() > wanted;
        keys.truncate(wanted);
        let next = keys.last().filter(|_| has_more).map(|key| key.id);
        Ok(OwnedKeysPage { keys, next })
    }

    /// Revokes a key of the caller, and with it the download tokens that it minted; either answer
    /// is on record first.
    pub async fn revoke(&self, visitor: &RequestContext, id: ApiKeyId) -> Result<(), ServiceError> {
        let mut record = visitor.open_record(AuditEvent::ApiKeyRevoke, &self.clock);
        let answer = self.try_revoke(visitor, id, &mut record).await;
        if answer.is_ok() {
            // Its record was written together with the removal.
            AuditTrail::count_outcome(record.event, record.outcome);
            return answer;
        }
        self.audit.close_record(record, answer).await
    }

    async fn try_revoke(
        &self,
        visitor: &RequestContext,
        id: ApiKeyId,
        record: &mut AuditRecord,
    ) -> Result<(), ServiceError> {
        let (_, owner) = self.authorize_owner(visitor, Some(record)).await?;
        let granted = AuditRecord {
            reason: Some(format!("API key {id}")),
            outcome: AuditOutcome::Granted,
            ..record.clone()
        };
        if !self.database.remove_api_key(owner, id, &granted).await? {
            record.reason = Some(format!("the user has no API key {id}"));
            return Err(ServiceError::ApiKeyNotFound);
        }
        *record = granted;
        self.refresh_cache().await;
        Ok(())
    }

    /// The caller, who may manage keys, and whose keys those are.
    async fn authorize_owner(
        &self,
        visitor: &RequestContext,
        record: Option<&mut AuditRecord>,
    ) -> Result<(Caller, UserId), ServiceError> {
        let caller = self.authenticator.authenticate(visitor).await?;
        if let Some(record) = record {
            record.user_id = caller.principal.user_id();
            record.authentication = caller.authentication;
            record.key_id = caller.key.as_ref().map(|key| key.id);
        }
        self.rate_limits.count_request(&caller)?;
        let Some(owner) = caller.principal.user_id() else {
            return Err(ServiceError::CredentialMissing {
                detail: "API keys belong to somebody: sign in and try again".to_owned(),
            });
        };
        match &caller.key {
            Some(key) if !key.scope.is_unrestricted() => Err(ServiceError::KeyScopeRestricted),
            Some(_) | None => Ok((caller, owner)),
        }
    }

    /// Makes the change count here at once; other replicas follow by themselves.
    async fn refresh_cache(&self) {
        if let Err(error) = self.catalog_cache.refresh().await {
            // Nothing is remembered until the version is known again, so nothing is out of date.
            tracing::warn!(%error, "the catalog's version could not be read");
        }
    }
}

/// Makes a key of a user for whoever holds the database itself, at the command line; that is on
/// record.
pub async fn create_locally(
    database: &Database,
    owner: UserId,
    wish: NewApiKey,
    clock: &Clock,
) -> Result<CreatedApiKey, ServiceError> {
    let mut granted = AuditRecord {
        outcome: AuditOutcome::Granted,
        authentication: Authentication::CommandLine,
        resource_user_id: Some(owner),
        request_id: None,
        ..RequestContext::local().open_record(AuditEvent::ApiKeyCreate, clock)
    };
    insert_key(database, owner, wish, clock, &mut granted).await
}

/// Makes a key, and `granted` its record: both are written, or neither.
async fn insert_key(
    database: &Database,
    owner: UserId,
    wish: NewApiKey,
    clock: &Clock,
    granted: &mut AuditRecord,
) -> Result<CreatedApiKey, ServiceError> {
    let unix_millis = clock.unix_millis();
    let now = clock.unix_seconds();
    if wish.expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err(ApiKeyError::Expired.into());
    }
    let text = KeyText::random();
    let key = ApiKey {
        id: ApiKeyId::generate_at(u64::try_from(unix_millis).unwrap_or_default()),
        user_id: owner,
        name: wish.name,
        prefix: text.prefix(),
        scope: wish.scope,
        created_at: now,
        expires_at: wish.expires_at,
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
        text: text.text().clone(),
    })
}
