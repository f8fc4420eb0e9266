//! Authentication: from a visitor to a caller.
//!
//! A visitor who shows nothing is anonymous; one who shows something that does not resolve is
//! refused, never quietly anonymous. Each failure counts in the bucket of its address. This module
//! refuses to know what a caller may do.

use std::sync::Arc;

use crate::domain::api_key::{ApiKey, KeyText};
use crate::domain::audit::{AuditRecord, Mint};
use crate::domain::caller::{Authentication, Caller};
use crate::domain::clock::Clock;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::principal::Principal;
use crate::domain::secret::Secret;
use crate::domain::session::Session;
use crate::service::catalog_cache::Facts;
use crate::service::error::ServiceError;
use crate::service::rate_limits::Limits;
use crate::service::tokens::key_ring::Keys;
use crate::service::tokens::mint_contexts::Mints;

use super::api_key_last_used::KeyUses;
use super::federated_users::{Admitted, OutsideUsers};
use super::identity_providers::{Identity, Issuer, Issuers, Refusal};
use super::request_context::{Credential, Visitor};

const CANNOT_SIGN_IN: &str = "the token's subject cannot sign in any more";

/// What a token in the `Authorization` header rests on.
#[derive(Clone, Debug)]
pub enum Standing {
    /// A session here.
    Session(Arc<Session>),
    /// The word of an outside issuer.
    Token(Arc<Identity>),
}

/// Finds out who a visitor is.
pub struct Authenticator {
    /// The users and their sessions.
    pub facts: Arc<Facts>,
    /// What verifies tokens.
    pub keys: Arc<Keys>,
    /// Where failures count.
    pub limits: Arc<Limits>,
    /// When API keys were used.
    pub key_uses: KeyUses,
    /// With what mints were asked.
    pub mints: Arc<Mints>,
    /// The outside issuers, and what verifies their tokens.
    pub issuers: Arc<Issuers>,
    /// The users of outside issuers.
    pub outside_users: OutsideUsers,
    /// The time.
    pub clock: Clock,
}

impl Authenticator {
    /// Who a visitor is, by what it shows in its headers.
    pub async fn resolve(&self, visitor: &Visitor) -> Result<Caller, ServiceError> {
        match &visitor.credential {
            Credential::None => Ok(visitor.as_anonymous()),
            Credential::Malformed { detail } => Err(ServiceError::CredentialMalformed { detail }),
            Credential::Bearer(token) => {
                let (caller, _) = self.resolve_bearer(visitor, token).await?;
                Ok(caller)
            }
            Credential::Unsupported => Err(self.refuse(
                visitor,
                "the Authorization scheme is not served: use Bearer",
            )),
            Credential::ApiKey(text) => self.resolve_api_key(visitor, text).await,
            Credential::DownloadToken(_) => Err(self.refuse(
                visitor,
                "a download token opens a download and nothing else",
            )),
        }
    }

    /// Who shows a token in the `Authorization` header, and what it rests on.
    ///
    /// The token's own word says how to verify it: one that names an outside issuer is that issuer's
    /// or nobody's, any other is a session token of this server or nothing.
    pub(crate) async fn resolve_bearer(
        &self,
        visitor: &Visitor,
        token: &Secret<String>,
    ) -> Result<(Caller, Standing), ServiceError> {
        if let Some(issuer) = self.issuers.named_by(token.reveal()) {
            return self.resolve_outside(visitor, issuer, token).await;
        }
        let (caller, session) = self.resolve_session(visitor, token).await?;
        Ok((caller, Standing::Session(session)))
    }

    /// Who shows a token of an outside issuer.
    async fn resolve_outside(
        &self,
        visitor: &Visitor,
        issuer: &Arc<Issuer>,
        token: &Secret<String>,
    ) -> Result<(Caller, Standing), ServiceError> {
        let identity = match issuer.verify(token.reveal()).await {
            Ok(identity) => identity,
            Err(Refusal::Token(error)) => {
                tracing::debug!(%error, "a token of an outside issuer was refused");
                let detail = "the token of the outside issuer is not valid or has expired";
                return Err(self.refuse(visitor, detail));
            }
            Err(Refusal::Claims(detail)) => return Err(self.refuse(visitor, detail)),
            Err(Refusal::Away(reason)) => {
                return Err(ServiceError::Unavailable {
                    what: "the token's issuer",
                    source: reason.into(),
                });
            }
        };
        let user = match self.outside_users.admit(&issuer.setting, &identity).await? {
            Admitted::User(user) if !user.is_disabled => user,
            Admitted::User(_) => return Err(self.refuse(visitor, CANNOT_SIGN_IN)),
            Admitted::Nobody(detail) => return Err(self.refuse(visitor, detail)),
        };
        let caller = Caller {
            principal: Principal::User(user),
            authentication: Authentication::Issuer,
            key: None,
            address: visitor.address,
        };
        Ok((caller, Standing::Token(identity)))
    }

    /// Who shows a session token, and in which session; the session must go on.
    async fn resolve_session(
        &self,
        visitor: &Visitor,
        token: &Secret<String>,
    ) -> Result<(Caller, Arc<Session>), ServiceError> {
        let Ok(claims) = self.keys.verify_session(token.reveal()) else {
            return Err(self.refuse(visitor, "the session token is not valid or has expired"));
        };
        let now = self.clock.unix_seconds();
        let session = self
            .facts
            .session(claims.session_id)
            .await?
            .filter(|session| session.user_id == claims.subject && session.expires_at > now);
        let Some(session) = session else {
            return Err(self.refuse(visitor, "the session is over: sign in again"));
        };
        let principal = self.living_principal(visitor, claims.subject).await?;
        let caller = Caller {
            principal,
            authentication: claims.authentication,
            key: None,
            address: visitor.address,
        };
        Ok((caller, session))
    }

    async fn resolve_api_key(
        &self,
        visitor: &Visitor,
        text: &Secret<String>,
    ) -> Result<Caller, ServiceError> {
        let Some(shown) = KeyText::read(text) else {
            return Err(ServiceError::CredentialMalformed {
                detail: "the X-Api-Key header does not hold an API key: they begin with cg_",
            });
        };
        let stored = self.facts.api_key(shown.prefix()).await?;
        let Some(stored) = stored.filter(|stored| stored.digest == shown.digest()) else {
            return Err(self.refuse(visitor, "the API key is not known or was revoked"));
        };
        let key = Arc::clone(&stored.key);
        let now = self.clock.unix_seconds();
        if key.is_expired(now) {
            return Err(self.refuse(visitor, "the API key has expired"));
        }
        let principal = self.living_principal(visitor, key.user_id).await?;
        self.key_uses.note(&key, now);
        Ok(Caller {
            principal,
            authentication: Authentication::ApiKey,
            key: Some(key),
            address: visitor.address,
        })
    }

    /// The API key with which a download token was minted, as long as it lives: the download asks
    /// what the mint asked, so the key's limit holds there too.
    async fn living_key(
        &self,
        visitor: &Visitor,
        mint: Mint,
    ) -> Result<Option<Arc<ApiKey>>, ServiceError> {
        let key = match mint {
            Mint {
                key_id: Some(id), ..
            } => self.facts.api_key_by_id(id).await?,
            Mint {
                authentication: Authentication::ApiKey,
                key_id: None,
            } => None,
            Mint { key_id: None, .. } => return Ok(None),
        };
        let now = self.clock.unix_seconds();
        match key {
            Some(key) if !key.is_expired(now) => Ok(Some(key)),
            Some(_) | None => Err(self.refuse(
                visitor,
                "the API key that the download token was minted with was revoked or has expired",
            )),
        }
    }

    /// Who stands behind a download token, which must have been minted for `dataset_id`.
    pub(crate) async fn resolve_download_token(
        &self,
        visitor: &Visitor,
        token: &Secret<String>,
        dataset_id: DatasetId,
        record: &mut AuditRecord,
    ) -> Result<Caller, ServiceError> {
        let Ok(claims) = self.keys.verify_download(token.reveal()) else {
            return Err(self.refuse(visitor, "the download token is not valid or has expired"));
        };
        record.jti = Some(claims.id);
        if claims.dataset_id != dataset_id {
            return Err(self.refuse(visitor, "the download token opens another dataset"));
        }
        let Some(mint) = self.mints.find(claims.id).await? else {
            return Err(self.refuse(visitor, "the download token's mint is not on record"));
        };
        record.key_id = mint.key_id;
        let key = self.living_key(visitor, mint).await?;
        let principal = match claims.subject {
            Some(user_id) => self.living_principal(visitor, user_id).await?,
            None => Principal::Anonymous,
        };
        Ok(Caller {
            principal,
            authentication: mint.authentication,
            key,
            address: visitor.address,
        })
    }

    async fn living_principal(
        &self,
        visitor: &Visitor,
        user_id: UserId,
    ) -> Result<Principal, ServiceError> {
        match self.facts.user(user_id).await? {
            Some(user) if !user.is_disabled => Ok(Principal::User(user)),
            Some(_) | None => Err(self.refuse(visitor, CANNOT_SIGN_IN)),
        }
    }

    /// Counts a failure in its address's bucket; the answer is 429 once the bucket is empty.
    pub(crate) fn refuse(&self, visitor: &Visitor, detail: &'static str) -> ServiceError {
        match self.limits.count_address(visitor.address) {
            Ok(()) => ServiceError::CredentialRefused { detail },
            Err(limit_exceeded) => limit_exceeded,
        }
    }
}
