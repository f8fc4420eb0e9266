//! Authentication: from a visitor to a caller.
//!
//! A visitor who shows nothing is anonymous; one who shows something that does not resolve is
//! refused, never quietly anonymous. Each failure counts in the bucket of its address. This module
//! refuses to know what a caller may do.

use std::sync::Arc;

use crate::domain::api_key::{ApiKey, KeyText};
use crate::domain::audit::{AuditRecord, MintContext};
use crate::domain::caller::{Authentication, Caller};
use crate::domain::clock::Clock;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::principal::Principal;
use crate::domain::secret::Secret;
use crate::domain::session::Session;
use crate::service::catalog_cache::CatalogCache;
use crate::service::error::ServiceError;
use crate::service::rate_limits::RateLimits;
use crate::service::tokens::key_ring::KeyRing;
use crate::service::tokens::mint_contexts::MintContexts;

use super::api_key_last_used::LastUsedRecorder;
use super::federated_users::{FederatedUser, FederatedUsers};
use super::identity_providers::{
    ExternalIdentity, ExternalTokenError, IdentityProvider, IdentityProviders,
};
use super::request_context::{Credential, RequestContext};

const USER_NOT_ACTIVE: &str = "the token's subject cannot sign in any more";

/// What a token in the `Authorization` header rests on.
#[derive(Clone, Debug)]
pub enum CredentialSource {
    /// A session here.
    Session(Arc<Session>),
    /// The word of an outside issuer.
    ExternalToken(Arc<ExternalIdentity>),
}

/// Finds out who a visitor is.
pub struct Authenticator {
    /// The users and their sessions.
    pub catalog_cache: Arc<CatalogCache>,
    /// What verifies tokens.
    pub key_ring: Arc<KeyRing>,
    /// Where failures count.
    pub rate_limits: Arc<RateLimits>,
    /// When API keys were used.
    pub last_used: LastUsedRecorder,
    /// With what mints were asked.
    pub mint_contexts: Arc<MintContexts>,
    /// The outside issuers, and what verifies their tokens.
    pub identity_providers: Arc<IdentityProviders>,
    /// The users of outside issuers.
    pub federated_users: FederatedUsers,
    /// The time.
    pub clock: Clock,
}

impl Authenticator {
    /// Who a visitor is, by what it shows in its headers.
    pub async fn authenticate(&self, visitor: &RequestContext) -> Result<Caller, ServiceError> {
        match &visitor.credential {
            Credential::None => Ok(visitor.anonymous_caller()),
            Credential::Malformed { detail } => Err(ServiceError::CredentialMalformed { detail }),
            Credential::Bearer(token) => {
                let (caller, _) = self.authenticate_bearer(visitor, token).await?;
                Ok(caller)
            }
            Credential::Unsupported => Err(self.reject(
                visitor,
                "the Authorization scheme is not served: use Bearer",
            )),
            Credential::ApiKey(text) => self.authenticate_api_key(visitor, text).await,
            Credential::DownloadToken(_) => Err(self.reject(
                visitor,
                "a download token opens a download and nothing else",
            )),
        }
    }

    /// Who shows a token in the `Authorization` header, and what it rests on.
    ///
    /// The token's own word says how to verify it: one that names an outside issuer is that issuer's
    /// or nobody's, any other is a session token of this server or nothing.
    pub(crate) async fn authenticate_bearer(
        &self,
        visitor: &RequestContext,
        token: &Secret<String>,
    ) -> Result<(Caller, CredentialSource), ServiceError> {
        if let Some(issuer) = self.identity_providers.find_for_token(token.reveal()) {
            return self.authenticate_external(visitor, issuer, token).await;
        }
        let (caller, session) = self.authenticate_session(visitor, token).await?;
        Ok((caller, CredentialSource::Session(session)))
    }

    /// Who shows a token of an outside issuer.
    async fn authenticate_external(
        &self,
        visitor: &RequestContext,
        issuer: &Arc<IdentityProvider>,
        token: &Secret<String>,
    ) -> Result<(Caller, CredentialSource), ServiceError> {
        let identity = match issuer.verify(token.reveal()).await {
            Ok(identity) => identity,
            Err(ExternalTokenError::InvalidToken(error)) => {
                tracing::debug!(%error, "a token of an outside issuer was refused");
                let detail = "the token of the outside issuer is not valid or has expired";
                return Err(self.reject(visitor, detail));
            }
            Err(ExternalTokenError::InvalidClaims(detail)) => {
                return Err(self.reject(visitor, detail));
            }
            Err(ExternalTokenError::KeysUnavailable(reason)) => {
                return Err(ServiceError::Unavailable {
                    what: "the token's issuer",
                    source: reason.into(),
                });
            }
        };
        let user = match self
            .federated_users
            .resolve(&issuer.config, &identity)
            .await?
        {
            FederatedUser::User(user) if !user.is_disabled => user,
            FederatedUser::User(_) => return Err(self.reject(visitor, USER_NOT_ACTIVE)),
            FederatedUser::Rejected(detail) => return Err(self.reject(visitor, detail)),
        };
        let caller = Caller {
            principal: Principal::User(user),
            authentication: Authentication::Issuer,
            key: None,
            address: visitor.address,
        };
        Ok((caller, CredentialSource::ExternalToken(identity)))
    }

    /// Who shows a session token, and in which session; the session must go on.
    async fn authenticate_session(
        &self,
        visitor: &RequestContext,
        token: &Secret<String>,
    ) -> Result<(Caller, Arc<Session>), ServiceError> {
        let Ok(claims) = self.key_ring.verify_session(token.reveal()) else {
            return Err(self.reject(visitor, "the session token is not valid or has expired"));
        };
        let now = self.clock.unix_seconds();
        let session = self
            .catalog_cache
            .session(claims.session_id)
            .await?
            .filter(|session| session.user_id == claims.subject && session.expires_at > now);
        let Some(session) = session else {
            return Err(self.reject(visitor, "the session is over: sign in again"));
        };
        let principal = self.active_principal(visitor, claims.subject).await?;
        let caller = Caller {
            principal,
            authentication: claims.authentication,
            key: None,
            address: visitor.address,
        };
        Ok((caller, session))
    }

    async fn authenticate_api_key(
        &self,
        visitor: &RequestContext,
        text: &Secret<String>,
    ) -> Result<Caller, ServiceError> {
        let Some(shown) = KeyText::parse(text) else {
            return Err(ServiceError::CredentialMalformed {
                detail: "the X-Api-Key header does not hold an API key: they begin with cg_",
            });
        };
        let stored = self.catalog_cache.api_key(shown.prefix()).await?;
        let Some(stored) = stored.filter(|stored| stored.digest == shown.digest()) else {
            return Err(self.reject(visitor, "the API key is not known or was revoked"));
        };
        let key = Arc::clone(&stored.key);
        let now = self.clock.unix_seconds();
        if key.is_expired(now) {
            return Err(self.reject(visitor, "the API key has expired"));
        }
        let principal = self.active_principal(visitor, key.user_id).await?;
        self.last_used.record_use(&key, now);
        Ok(Caller {
            principal,
            authentication: Authentication::ApiKey,
            key: Some(key),
            address: visitor.address,
        })
    }

    /// The API key with which a download token was minted, as long as it lives: the download asks
    /// what the mint asked, so the key's limit holds there too.
    async fn active_mint_key(
        &self,
        visitor: &RequestContext,
        mint: MintContext,
    ) -> Result<Option<Arc<ApiKey>>, ServiceError> {
        let key = match mint {
            MintContext {
                key_id: Some(id), ..
            } => self.catalog_cache.api_key_by_id(id).await?,
            MintContext {
                authentication: Authentication::ApiKey,
                key_id: None,
            } => None,
            MintContext { key_id: None, .. } => return Ok(None),
        };
        let now = self.clock.unix_seconds();
        match key {
            Some(key) if !key.is_expired(now) => Ok(Some(key)),
            Some(_) | None => Err(self.reject(
                visitor,
                "the API key that the download token was minted with was revoked or has expired",
            )),
        }
    }

    /// Who stands behind a download token, which must have been minted for `dataset_id`.
    pub(crate) async fn authenticate_download_token(
        &self,
        visitor: &RequestContext,
        token: &Secret<String>,
        dataset_id: DatasetId,
        record: &mut AuditRecord,
    ) -> Result<Caller, ServiceError> {
        let Ok(claims) = self.key_ring.verify_download(token.reveal()) else {
            return Err(self.reject(visitor, "the download token is not valid or has expired"));
        };
        record.jti = Some(claims.id);
        if claims.dataset_id != dataset_id {
            return Err(self.reject(visitor, "the download token opens another dataset"));
        }
        let Some(mint) = self.mint_contexts.find(claims.id).await? else {
            return Err(self.reject(visitor, "the download token's mint is not on record"));
        };
        record.key_id = mint.key_id;
        let key = self.active_mint_key(visitor, mint).await?;
        let principal = match claims.subject {
            Some(user_id) => self.active_principal(visitor, user_id).await?,
            None => Principal::Anonymous,
        };
        Ok(Caller {
            principal,
            authentication: mint.authentication,
            key,
            address: visitor.address,
        })
    }

    async fn active_principal(
        &self,
        visitor: &RequestContext,
        user_id: UserId,
    ) -> Result<Principal, ServiceError> {
        match self.catalog_cache.user(user_id).await? {
            Some(user) if !user.is_disabled => Ok(Principal::User(user)),
            Some(_) | None => Err(self.reject(visitor, USER_NOT_ACTIVE)),
        }
    }

    /// Counts a failure in its address's bucket; the answer is 429 once the bucket is empty.
    pub(crate) fn reject(&self, visitor: &RequestContext, detail: &'static str) -> ServiceError {
        match self.rate_limits.count_address(visitor.address) {
            Ok(()) => ServiceError::CredentialRejected { detail },
            Err(limit_exceeded) => limit_exceeded,
        }
    }
}
