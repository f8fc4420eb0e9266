//! Authentication: from the credential of a request to a caller.
//!
//! A request without a credential is anonymous; one whose credential does not verify is rejected,
//! never treated as anonymous. Each failure counts against the rate limit of its address, before the
//! work of finding out ([`mod@super::admission`]).

use std::sync::Arc;

use crate::domain::api_key::{ApiKey, KeyDigest, KeyText};
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
use crate::token::DownloadGrant;

use super::admission::{Admission, KnownCredentials, SignedCredential};
use super::api_key_last_used::LastUsedRecorder;
use super::federated_users::FederatedUsers;
use super::identity_providers::{ExternalIdentity, IdentityProviders};
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
    /// The credentials that were presented before.
    pub known_credentials: KnownCredentials,
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
        let mut admission = self.admission(request);
        let result = match &request.credential {
            Credential::Bearer(token) => {
                // Boxed, so that a request without one has no room for it.
                let verifying = Box::pin(self.verify_bearer(request, token, &mut admission));
                let verified = verifying.await;
                verified.map(|(caller, source)| (caller, Some(source)))
            }
            Credential::None => {
                let caller = request.caller(Principal::Anonymous, Authentication::None, None);
                Ok((caller, None))
            }
            Credential::Multiple => Err(ServiceError::MultipleCredentials),
            Credential::Malformed { detail } => rejected(detail),
            Credential::Unsupported => rejected(
                "the Authorization scheme is not supported: use Bearer, or Basic with an API key as the \
                 password",
            ),
            Credential::ApiKey(text) => {
                let verifying = Box::pin(self.verify_api_key(request, text, &mut admission));
                let verified = verifying.await;
                verified.map(|caller| (caller, None))
            }
            Credential::DownloadToken(_) => {
                rejected("a download token is valid for downloads only")
            }
        };
        admission.settle(result)
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
        let mut admission = self.admission(request);
        let credential = SignedCredential::Session(session.id);
        let result = self
            .look_up(credential, &mut admission, async {
                self.active_session(session.id, session.user_id).await?;
                self.active_principal(session.user_id).await
            })
            .await;
        let principal = admission.settle(result)?;
        Ok(request.caller(principal, first.authentication, None))
    }

    /// Authenticates a bearer token, and returns the credential that identifies its caller.
    pub(super) async fn authenticate_bearer(
        &self,
        request: &RequestContext,
        token: &Secret<String>,
    ) -> Result<(Caller, CredentialSource), ServiceError> {
        let mut admission = self.admission(request);
        let result = self.verify_bearer(request, token, &mut admission).await;
        admission.settle(result)
    }

    /// An attempt of the request's address.
    pub(super) fn admission(&self, request: &RequestContext) -> Admission<'_> {
        Admission::new(&self.rate_limits, request.address.for_limits())
    }

    /// Verifies a bearer token.
    ///
    /// The unverified `iss` claim selects how to verify it: a token that names an identity provider is
    /// verified by that provider's keys only, any other as a session token of this server only.
    async fn verify_bearer(
        &self,
        request: &RequestContext,
        token: &Secret<String>,
        admission: &mut Admission<'_>,
    ) -> Result<(Caller, CredentialSource), ServiceError> {
        if let Some(provider) = self.identity_providers.find_for_token(token.reveal()) {
            // Boxed, because it holds so much more than the others and most requests do not need it.
            return Box::pin(self.verify_external(request, provider, token, admission)).await;
        }
        match self.verify_session(request, token, admission).await {
            Ok((caller, session)) => Ok((caller, CredentialSource::Session(session))),
            Err(error) => Err(self.explain_rejected_bearer(token, error)),
        }
    }

    /// Verifies a session token, whose session must still be active.
    async fn verify_session(
        &self,
        request: &RequestContext,
        token: &Secret<String>,
        admission: &mut Admission<'_>,
    ) -> Result<(Caller, Arc<Session>), ServiceError> {
        let verified = self
            .key_ring
            .verify_session(token.reveal(), || admission.charge())?;
        let Some(claims) = verified else {
            return rejected("the session token is not valid or has expired");
        };
        let credential = SignedCredential::Session(claims.session_id);
        let (session, principal) = self
            .look_up(credential, admission, async {
                let session = self.active_session(claims.session_id, claims.subject);
                let session = session.await?;
                Ok((session, self.active_principal(claims.subject).await?))
            })
            .await?;
        let caller = request.caller(principal, claims.authentication, None);
        Ok((caller, session))
    }

    /// The session of a user, if it has neither ended nor expired.
    async fn active_session(
        &self,
        id: SessionId,
        user_id: UserId,
    ) -> Result<Arc<Session>, ServiceError> {
        let now = self.clock.unix_seconds();
        let found = self.catalog_cache.session(id).await?;
        found
            .filter(|session| session.user_id == user_id && session.is_valid_at(now))
            .map_or_else(|| rejected("the session has ended: sign in again"), Ok)
    }

    /// Looks up what the database says of a credential with a valid signature. One that was rejected
    /// lately is charged first.
    pub(super) async fn look_up<T>(
        &self,
        credential: SignedCredential,
        admission: &mut Admission<'_>,
        looked_up: impl Future<Output = Result<T, ServiceError>>,
    ) -> Result<T, ServiceError> {
        let was_rejected = self.known_credentials.is_rejected(credential);
        if was_rejected {
            admission.charge()?;
        }
        let result = looked_up.await;
        match &result {
            Ok(_) if was_rejected => self.known_credentials.set_rejected(credential, false),
            Err(ServiceError::CredentialRejected { .. }) => {
                self.known_credentials.set_rejected(credential, true);
            }
            Ok(_) | Err(_) => {}
        }
        result
    }

    async fn verify_api_key(
        &self,
        request: &RequestContext,
        text: &Secret<String>,
        admission: &mut Admission<'_>,
    ) -> Result<Caller, ServiceError> {
        let Some(presented) = KeyText::parse(text) else {
            return rejected(
                "this is not an API key: API keys start with cg_ and have 57 characters",
            );
        };
        let digest = presented.digest();
        let known = &self.known_credentials;
        let was_good = known.is_good_api_key(&digest);
        if !was_good {
            admission.charge()?;
        }
        let result = self.find_api_key(&presented, &digest).await;
        let result = match result {
            Ok(key) => {
                let principal = self.active_principal(key.user_id).await;
                principal.map(|principal| (key, principal))
            }
            Err(error) => Err(error),
        };
        match &result {
            Ok(_) if !was_good => known.set_api_key(&digest, true),
            Err(ServiceError::CredentialRejected { .. }) => known.set_api_key(&digest, false),
            Ok(_) | Err(_) => {}
        }
        let (key, principal) = result?;
        self.last_used.record_use(&key, self.clock.unix_seconds());
        Ok(request.caller(principal, Authentication::ApiKey, Some(key)))
    }

    async fn find_api_key(
        &self,
        presented: &KeyText,
        digest: &KeyDigest,
    ) -> Result<Arc<ApiKey>, ServiceError> {
        let cached = self.catalog_cache.api_key(presented.prefix()).await?;
        let Some(cached) = cached.filter(|cached| cached.digest == *digest) else {
            return rejected("the API key is unknown or was revoked");
        };
        let key = Arc::clone(&cached.key);
        if key.is_expired(self.clock.unix_seconds()) {
            return rejected("the API key has expired");
        }
        Ok(key)
    }

    /// The API key that a download token was minted with, if it is still active: the download asks
    /// the policies what the mint asked, so the key's scope applies there too.
    async fn active_mint_key(
        &self,
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
            Some(_) | None => rejected(
                "the API key that the download token was minted with was revoked or has expired",
            ),
        }
    }

    /// Authenticates a download token, which must have been minted for `dataset_id`; also returns when it expires,
    /// in seconds since 1970 UTC.
    pub(in crate::service) async fn authenticate_download_token(
        &self,
        request: &RequestContext,
        token: &Secret<String>,
        dataset_id: DatasetId,
        record: &mut AuditRecord,
    ) -> Result<(Caller, i64), ServiceError> {
        let mut admission = self.admission(request);
        let result = self
            .verify_download_token(request, token, dataset_id, record, &mut admission)
            .await;
        admission.settle(result)
    }

    /// Verifies what a download token says itself: its signature, its claims and its dataset.
    pub(in crate::service) fn verify_download_signature(
        &self,
        request: &RequestContext,
        token: &Secret<String>,
        dataset_id: DatasetId,
        record: &mut AuditRecord,
    ) -> Result<DownloadGrant, ServiceError> {
        let mut admission = self.admission(request);
        let result = self.verify_download_claims(token, dataset_id, record, &mut admission);
        admission.settle(result)
    }

    fn verify_download_claims(
        &self,
        token: &Secret<String>,
        dataset_id: DatasetId,
        record: &mut AuditRecord,
        admission: &mut Admission<'_>,
    ) -> Result<DownloadGrant, ServiceError> {
        let verified = self
            .key_ring
            .verify_download(token.reveal(), || admission.charge())?;
        let Some(claims) = verified else {
            return rejected("the download token is not valid or has expired");
        };
        record.jti = Some(claims.id);
        if claims.dataset_id == dataset_id {
            Ok(claims)
        } else {
            Err(ServiceError::TokenOfOtherDataset)
        }
    }

    async fn verify_download_token(
        &self,
        request: &RequestContext,
        token: &Secret<String>,
        dataset_id: DatasetId,
        record: &mut AuditRecord,
        admission: &mut Admission<'_>,
    ) -> Result<(Caller, i64), ServiceError> {
        let claims = self.verify_download_claims(token, dataset_id, record, admission)?;
        let credential = SignedCredential::Download(claims.id);
        self.look_up(credential, admission, async {
            let Some(mint) = self.mint_contexts.find(claims.id).await? else {
                return rejected("the download token's mint is not on record");
            };
            record.key_id = mint.key_id;
            let key = self.active_mint_key(mint).await?;
            let principal = match claims.subject {
                Some(user_id) => self.active_principal(user_id).await?,
                None => Principal::Anonymous,
            };
            let caller = request.caller(principal, mint.authentication, key);
            Ok((caller, claims.expires_at))
        })
        .await
    }

    async fn active_principal(&self, user_id: UserId) -> Result<Principal, ServiceError> {
        match self.catalog_cache.user(user_id).await? {
            Some(user) if !user.is_disabled => Ok(Principal::User(user)),
            Some(_) | None => rejected(CANNOT_SIGN_IN),
        }
    }
}

/// The credential is not valid.
pub(super) fn rejected<T>(detail: &'static str) -> Result<T, ServiceError> {
    Err(ServiceError::CredentialRejected { detail })
}
