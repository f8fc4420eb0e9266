//! Authentication: from the credential of a request to a caller.
//!
//! A request without a credential is anonymous; one whose credential does not verify is rejected,
//! never treated as anonymous. Each failure counts against the rate limit of its address.

use std::sync::Arc;

use crate::domain::api_key::{ApiKey, KeyText};
use crate::domain::audit::{AuditRecord, MintContext};
use crate::domain::caller::{Authentication, Caller};
use crate::domain::clock::Clock;
use crate::domain::id::{DatasetId, SessionId, UserId};
use crate::domain::principal::Principal;
use crate::domain::secret::Secret;
use crate::domain::session::Session;
use crate::service::catalog_cache::CatalogCache;
use crate::service::error::ServiceError;
use crate::service::rate_limits::RateLimits;
use crate::service::tokens::key_ring::KeyRing;
use crate::service::tokens::mint_contexts::MintContexts;

use super::api_key_last_used::LastUsedRecorder;
use super::federated_users::{FederatedUserError, FederatedUsers};
use super::identity_providers::{
    ExternalIdentity, ExternalTokenError, IdentityProvider, IdentityProviders,
};
use super::request_context::{Credential, RequestContext};

const CANNOT_SIGN_IN: &str = "the token's subject can no longer sign in";

/// The credential that identifies the caller of a bearer token.
#[derive(Clone, Debug)]
pub enum CredentialSource {
    /// A session of this server.
    Session(Arc<Session>),
    /// A token of an identity provider.
    ExternalToken(Arc<ExternalIdentity>),
}

/// Authenticates requests.
pub struct Authenticator {
    /// Finds users, sessions and API keys.
    pub catalog_cache: Arc<CatalogCache>,
    /// Verifies session tokens and download tokens.
    pub key_ring: Arc<KeyRing>,
    /// Counts failures.
    pub rate_limits: Arc<RateLimits>,
    /// Records when API keys were last used.
    pub last_used: LastUsedRecorder,
    /// How the callers of mints authenticated.
    pub mint_contexts: Arc<MintContexts>,
    /// Verifies tokens of identity providers.
    pub identity_providers: Arc<IdentityProviders>,
    /// Finds the users of identity providers.
    pub federated_users: FederatedUsers,
    /// The clock.
    pub clock: Clock,
}

impl Authenticator {
    /// Authenticates a request by the credential in its headers.
    pub async fn authenticate(&self, request: &RequestContext) -> Result<Caller, ServiceError> {
        let (caller, _) = self.authenticate_with_source(request).await?;
        Ok(caller)
    }

    /// Authenticates a request as [`Authenticator::authenticate`] does; a bearer token has a source.
    pub(in crate::service) async fn authenticate_with_source(
        &self,
        request: &RequestContext,
    ) -> Result<(Caller, Option<CredentialSource>), ServiceError> {
        let caller = match &request.credential {
            Credential::Bearer(token) => {
                let (caller, source) = self.authenticate_bearer(request, token).await?;
                return Ok((caller, Some(source)));
            }
            Credential::None => {
                Ok(request.caller(Principal::Anonymous, Authentication::None, None))
            }
            Credential::Malformed { detail } => Err(ServiceError::CredentialMalformed { detail }),
            Credential::Unsupported => Err(self.reject(
                request,
                "the Authorization scheme is not supported: use Bearer",
            )),
            Credential::ApiKey(text) => self.authenticate_api_key(request, text).await,
            Credential::DownloadToken(_) => {
                Err(self.reject(request, "a download token is valid for downloads only"))
            }
        };
        Ok((caller?, None))
    }

    /// Authenticates a request again that has waited since `first`, its caller then.
    ///
    /// Of a session token the session counts: the token itself only had to be valid when the request
    /// arrived, because it lives shorter than an upload may take. A token of an identity provider has
    /// no session, so it must still be valid.
    pub(in crate::service) async fn authenticate_again(
        &self,
        request: &RequestContext,
        first: &Caller,
        source: Option<&CredentialSource>,
    ) -> Result<Caller, ServiceError> {
        let Some(CredentialSource::Session(session)) = source else {
            return self.authenticate(request).await;
        };
        self.active_session(request, session.id, session.user_id)
            .await?;
        let principal = self.active_principal(request, session.user_id).await?;
        Ok(request.caller(principal, first.authentication, None))
    }

    /// Authenticates a bearer token, and returns the credential that identifies its caller.
    ///
    /// The unverified `iss` claim selects how to verify it: a token that names an identity provider is
    /// verified by that provider's keys only, any other as a session token of this server only.
    pub(super) async fn authenticate_bearer(
        &self,
        request: &RequestContext,
        token: &Secret<String>,
    ) -> Result<(Caller, CredentialSource), ServiceError> {
        if let Some(provider) = self.identity_providers.find_for_token(token.reveal()) {
            return self.authenticate_external(request, provider, token).await;
        }
        let (caller, session) = self.authenticate_session(request, token).await?;
        Ok((caller, CredentialSource::Session(session)))
    }

    /// Authenticates a token of an identity provider.
    async fn authenticate_external(
        &self,
        request: &RequestContext,
        provider: &Arc<IdentityProvider>,
        token: &Secret<String>,
    ) -> Result<(Caller, CredentialSource), ServiceError> {
        let identity = match provider.verify(token.reveal()).await {
            Ok(identity) => identity,
            Err(ExternalTokenError::InvalidToken(error)) => {
                tracing::debug!(%error, "external token rejected");
                let detail = "the token of the identity provider is not valid or has expired";
                return Err(self.reject(request, detail));
            }
            Err(ExternalTokenError::InvalidClaims(detail)) => {
                return Err(self.reject(request, detail));
            }
            Err(ExternalTokenError::KeysUnavailable(reason)) => {
                return Err(ServiceError::unavailable("the token's issuer", reason));
            }
        };
        let user = match self
            .federated_users
            .resolve(&provider.config, &identity)
            .await
        {
            Ok(user) if !user.is_disabled => user,
            Ok(_) => return Err(self.reject(request, CANNOT_SIGN_IN)),
            Err(FederatedUserError::Rejected(detail)) => return Err(self.reject(request, detail)),
            Err(FederatedUserError::Failed(error)) => return Err(error),
        };
        let caller = request.caller(Principal::User(user), Authentication::Issuer, None);
        Ok((caller, CredentialSource::ExternalToken(identity)))
    }

    /// Authenticates a session token, whose session must still be active.
    async fn authenticate_session(
        &self,
        request: &RequestContext,
        token: &Secret<String>,
    ) -> Result<(Caller, Arc<Session>), ServiceError> {
        let Ok(claims) = self.key_ring.verify_session(token.reveal()) else {
            return Err(self.reject(request, "the session token is not valid or has expired"));
        };
        let session = self
            .active_session(request, claims.session_id, claims.subject)
            .await?;
        let principal = self.active_principal(request, claims.subject).await?;
        let caller = request.caller(principal, claims.authentication, None);
        Ok((caller, session))
    }

    /// The session of a user, if it has neither ended nor expired.
    async fn active_session(
        &self,
        request: &RequestContext,
        id: SessionId,
        user_id: UserId,
    ) -> Result<Arc<Session>, ServiceError> {
        let now = self.clock.unix_seconds();
        let found = self.catalog_cache.session(id).await?;
        found
            .filter(|session| session.user_id == user_id && session.expires_at > now)
            .ok_or_else(|| self.reject(request, "the session has ended: sign in again"))
    }

    async fn authenticate_api_key(
        &self,
        request: &RequestContext,
        text: &Secret<String>,
    ) -> Result<Caller, ServiceError> {
        let Some(presented) = KeyText::parse(text) else {
            return Err(ServiceError::CredentialMalformed {
                detail: "the X-Api-Key header is not an API key: API keys start with cg_",
            });
        };
        let cached = self.catalog_cache.api_key(presented.prefix()).await?;
        let Some(cached) = cached.filter(|cached| cached.digest == presented.digest()) else {
            return Err(self.reject(request, "the API key is unknown or was revoked"));
        };
        let key = Arc::clone(&cached.key);
        let now = self.clock.unix_seconds();
        if key.is_expired(now) {
            return Err(self.reject(request, "the API key has expired"));
        }
        let principal = self.active_principal(request, key.user_id).await?;
        self.last_used.record_use(&key, now);
        Ok(request.caller(principal, Authentication::ApiKey, Some(key)))
    }

    /// The API key that a download token was minted with, if it is still active: the download asks
    /// the policies what the mint asked, so the key's scope applies there too.
    async fn active_mint_key(
        &self,
        request: &RequestContext,
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
                request,
                "the API key that the download token was minted with was revoked or has expired",
            )),
        }
    }

    /// Authenticates a download token, which must have been minted for `dataset_id`.
    pub(in crate::service) async fn authenticate_download_token(
        &self,
        request: &RequestContext,
        token: &Secret<String>,
        dataset_id: DatasetId,
        record: &mut AuditRecord,
    ) -> Result<Caller, ServiceError> {
        let Ok(claims) = self.key_ring.verify_download(token.reveal()) else {
            return Err(self.reject(request, "the download token is not valid or has expired"));
        };
        record.jti = Some(claims.id);
        if claims.dataset_id != dataset_id {
            return Err(self.reject(request, "the download token is for another dataset"));
        }
        let Some(mint) = self.mint_contexts.find(claims.id).await? else {
            return Err(self.reject(request, "the download token's mint is not on record"));
        };
        record.key_id = mint.key_id;
        let key = self.active_mint_key(request, mint).await?;
        let principal = match claims.subject {
            Some(user_id) => self.active_principal(request, user_id).await?,
            None => Principal::Anonymous,
        };
        Ok(request.caller(principal, mint.authentication, key))
    }

    async fn active_principal(
        &self,
        request: &RequestContext,
        user_id: UserId,
    ) -> Result<Principal, ServiceError> {
        match self.catalog_cache.user(user_id).await? {
            Some(user) if !user.is_disabled => Ok(Principal::User(user)),
            Some(_) | None => Err(self.reject(request, CANNOT_SIGN_IN)),
        }
    }

    /// Counts a failure against the rate limit of its address; the error is 429 once that is exceeded.
    pub(super) fn reject(&self, request: &RequestContext, detail: &'static str) -> ServiceError {
        match self.rate_limits.count_address(request.address) {
            Ok(()) => ServiceError::CredentialRejected { detail },
            Err(limit_exceeded) => limit_exceeded,
        }
    }
}
