//! Sessions: started by a login, renewed by a refresh, ended by a logout.
//!
//! A session is the result of one login: a chain of refresh tokens, each of which is used once and
//! replaced by the next, and the session tokens issued for them. A refresh token that is used a
//! second time has leaked, so the whole session ends (RFC 9700 section 4.14.2). There is no grace
//! period for two uses at the same moment: the server cannot know which of them is legitimate.
//!
//! Expired sessions are deleted after each login, a bounded number at a time, so that no more are
//! ever left over than logins made.

use std::sync::Arc;

use crate::domain::audit::{AuditEvent, AuditOutcome, AuditRecord};
use crate::domain::caller::{Authentication, Caller};
use crate::domain::clock::Clock;
use crate::domain::id::{RecordId, SessionId, UserId};
use crate::domain::name::Username;
use crate::domain::principal::{Principal, User};
use crate::domain::secret::Secret;
use crate::domain::session::{RefreshToken, RefreshTokenDigest, Session};
use crate::service::audit_trail::AuditTrail;
use crate::service::catalog_cache::CatalogCache;
use crate::service::error::ServiceError;
use crate::service::rate_limits::RateLimits;
use crate::service::tokens::key_ring::KeyRing;
use crate::storage::{Database, RefreshTokenInfo, RenewalOutcome};
use crate::token::SessionClaims;

use super::authentication::{Authenticator, CredentialSource};
use super::login_throttle::LoginThrottle;
use super::password::Passwords;
use super::request_context::{Credential, RequestContext};

/// How many expired sessions one login deletes at most.
const MAX_DELETED_SESSIONS: u32 = 100;

/// The tokens that a login and a refresh return.
#[derive(Debug)]
pub struct SessionTokens {
    /// The session token.
    pub access_token: Secret<String>,
    /// The refresh token, which gives the next tokens once.
    pub refresh_token: Secret<String>,
    /// The session token's lifetime, in seconds.
    pub expires_in: u32,
}

/// The user of a bearer token.
#[derive(Clone, Debug)]
pub struct CurrentUser {
    /// The user.
    pub user: Arc<User>,
    /// How the user authenticated.
    pub authentication: Authentication,
    /// The credential that identifies the user.
    pub source: CredentialSource,
}

/// Starts, renews and ends sessions.
pub struct Sessions {
    /// Authenticates session tokens.
    pub authenticator: Arc<Authenticator>,
    /// Stores users with their password hashes, and sessions.
    pub database: Database,
    /// Caches sessions.
    pub catalog_cache: Arc<CatalogCache>,
    /// Signs session tokens.
    pub key_ring: Arc<KeyRing>,
    /// Verifies passwords.
    pub passwords: Arc<Passwords>,
    /// Counts logins and failures.
    pub rate_limits: Arc<RateLimits>,
    /// Delays repeated failures.
    pub login_throttle: LoginThrottle,
    /// Records logins, refreshes and logouts.
    pub audit: Arc<AuditTrail>,
    /// The clock.
    pub clock: Clock,
    /// A session token's lifetime, in seconds.
    pub session_token_ttl: u32,
    /// A session's lifetime, in seconds.
    pub session_ttl: u32,
}

impl Sessions {
    /// Starts a session for a user name and a password; success and failure are recorded first.
    pub async fn login(
        &self,
        request: &RequestContext,
        username: &str,
        password: &Secret<String>,
    ) -> Result<SessionTokens, ServiceError> {
        let mut record = request.open_record(AuditEvent::Login, &self.clock);
        let result = self
            .try_login(request, username, password, &mut record)
            .await;
        self.audit.close_record(record, result).await
    }

    async fn try_login(
        &self,
        request: &RequestContext,
        username: &str,
        password: &Secret<String>,
        record: &mut AuditRecord,
    ) -> Result<SessionTokens, ServiceError> {
        // Counted before the work is done: the work itself is what a flood would be after.
        self.rate_limits.count_address(request.address)?;
        let attempt = self
            .login_throttle
            .start_attempt(username, request.address)?;
        let result = self.start_session(username, password, record).await;
        match &result {
            Ok(_) => attempt.succeed(),
            Err(ServiceError::LoginFailed) => {}
            Err(_) => attempt.abandon(),
        }
        result
    }

    async fn start_session(
        &self,
        username: &str,
        password: &Secret<String>,
        record: &mut AuditRecord,
    ) -> Result<SessionTokens, ServiceError> {
        let found = match username.parse::<Username>() {
            Ok(username) => self.database.find_user_by_username(&username).await?,
            Err(_) => None,
        };
        let (user, hash) = found.map_or((None, None), |found| {
            (Some(found.user), found.password_hash)
        });
        let is_right = self.passwords.verify(hash.as_ref(), password).await?;
        // Users of identity providers sign in there, whatever the database holds.
        let user = user.filter(|user| is_right && !user.is_disabled && user.issuer.is_none());
        let (Some(user), Some(hash)) = (user, hash) else {
            return Err(ServiceError::LoginFailed);
        };
        let now = self.clock.unix_seconds();
        let session = Session {
            id: SessionId::random(),
            user_id: user.id,
            started_at: now,
            expires_at: now + i64::from(self.session_ttl),
        };
        let refresh_token = RefreshToken::random();
        let is_started = self
            .database
            .start_session(&session, &hash, refresh_token.digest())
            .await?;
        if !is_started {
            // The password changed, or the user was disabled, while it was being checked.
            return Err(ServiceError::LoginFailed);
        }
        self.delete_expired(now).await;
        mark_granted(record, session.user_id);
        self.issue_tokens(&session, &refresh_token, record.id)
    }

    /// Issues the next tokens of a session for its refresh token; success and failure are recorded
    /// first.
    pub async fn refresh(
        &self,
        request: &RequestContext,
        refresh_token: &Secret<String>,
    ) -> Result<SessionTokens, ServiceError> {
        let mut record = request.open_record(AuditEvent::Refresh, &self.clock);
        let result = self.try_refresh(request, refresh_token, &mut record).await;
        self.audit.close_unless_committed(record, result).await
    }

    async fn try_refresh(
        &self,
        request: &RequestContext,
        refresh_token: &Secret<String>,
        record: &mut AuditRecord,
    ) -> Result<SessionTokens, ServiceError> {
        let invalid = "the refresh token is not valid, or its session has ended: sign in again";
        let Some((digest, token)) = self.find_refresh_token(refresh_token).await? else {
            return Err(self.authenticator.reject(request, invalid));
        };
        if !token.is_spent {
            // Before it is spent, so that it still works after the wait. A second use is never held
            // up: or else a thief who keeps the user's bucket empty would stay unnoticed.
            self.rate_limits.count_user(token.user_id)?;
        }
        let next = RefreshToken::random();
        let mut granted = record.clone();
        mark_granted(&mut granted, token.user_id);
        let now = self.clock.unix_seconds();
        let renewal = self
            .database
            .renew_session(digest, next.digest(), now, &granted)
            .await?;
        match renewal {
            RenewalOutcome::Renewed(session) => {
                *record = granted;
                self.issue_tokens(&session, &next, record.id)
            }
            RenewalOutcome::Reused {
                session,
                is_ended_by_this,
            } => {
                record.user_id = Some(session.user_id);
                let detail = "reuse: the refresh token had been used before, so its session has \
                    ended: sign in again";
                if !is_ended_by_this {
                    return Err(self.authenticator.reject(request, detail));
                }
                // Outside of any limit: what ended a session has to be on record.
                tracing::warn!(session_id = %session.id, "refresh token reused; session ended");
                self.catalog_cache.refresh_after_write().await;
                Err(ServiceError::CredentialRejected { detail })
            }
            RenewalOutcome::SessionEnded(session) => {
                record.user_id = Some(session.user_id);
                Err(self.authenticator.reject(request, invalid))
            }
            RenewalOutcome::Unknown => Err(self.authenticator.reject(request, invalid)),
        }
    }

    /// Ends the session of a refresh token immediately; that is recorded first.
    ///
    /// An unknown token is no error, because the goal is reached: no session continues with it
    /// (RFC 7009 section 2.2). Such tokens count for their address like other failures.
    pub async fn logout(
        &self,
        request: &RequestContext,
        refresh_token: &Secret<String>,
    ) -> Result<(), ServiceError> {
        let mut record = request.open_record(AuditEvent::Logout, &self.clock);
        let result = self.try_logout(request, refresh_token, &mut record).await;
        self.audit.close_record(record, result).await
    }

    async fn try_logout(
        &self,
        request: &RequestContext,
        refresh_token: &Secret<String>,
        record: &mut AuditRecord,
    ) -> Result<(), ServiceError> {
        let ended = match self.find_refresh_token(refresh_token).await? {
            Some((digest, _)) => {
                let now = self.clock.unix_seconds();
                self.database.end_session(digest, now).await?
            }
            None => None,
        };
        let Some(ended) = ended else {
            self.rate_limits.count_address(request.address)?;
            record.reason = Some("the refresh token is unknown; there is no session to end".into());
            return Ok(());
        };
        mark_granted(record, ended.session.user_id);
        if ended.is_ended_by_this {
            self.catalog_cache.refresh_after_write().await;
        } else {
            self.rate_limits.count_address(request.address)?;
            record.reason = Some("the session had already ended".into());
        }
        Ok(())
    }

    /// The user of a bearer token; other credentials are rejected.
    pub async fn current_user(
        &self,
        request: &RequestContext,
    ) -> Result<CurrentUser, ServiceError> {
        let missing = || ServiceError::CredentialMissing {
            detail: "a session token is required: sign in and send it as Authorization: Bearer"
                .to_owned(),
        };
        let Credential::Bearer(token) = &request.credential else {
            self.authenticator.authenticate(request).await?;
            return Err(missing());
        };
        let (caller, source) = self
            .authenticator
            .authenticate_bearer(request, token)
            .await?;
        let Caller {
            principal: Principal::User(user),
            authentication,
            ..
        } = caller
        else {
            return Err(missing());
        };
        Ok(CurrentUser {
            user,
            authentication,
            source,
        })
    }

    async fn find_refresh_token(
        &self,
        text: &Secret<String>,
    ) -> Result<Option<(RefreshTokenDigest, RefreshTokenInfo)>, ServiceError> {
        let Some(digest) = RefreshToken::parse(text).map(|token| token.digest()) else {
            return Ok(None);
        };
        let found = self.database.find_refresh_token(digest).await?;
        Ok(found.map(|token| (digest, token)))
    }

    fn issue_tokens(
        &self,
        session: &Session,
        refresh_token: &RefreshToken,
        id: RecordId,
    ) -> Result<SessionTokens, ServiceError> {
        let issued_at = self.clock.unix_seconds();
        // A session token does not outlive its session.
        let remaining = u32::try_from(session.expires_at - issued_at).unwrap_or_default();
        let expires_in = self.session_token_ttl.min(remaining);
        let access_token = self.key_ring.sign_session(&SessionClaims {
            issuer: self.key_ring.parties().issuer.clone(),
            audience: self.key_ring.parties().issuer.clone(),
            subject: session.user_id,
            id,
            session_id: session.id,
            issued_at,
            expires_at: issued_at + i64::from(expires_in),
            authentication: Authentication::Password,
        })?;
        Ok(SessionTokens {
            access_token,
            refresh_token: refresh_token.to_text(),
            expires_in,
        })
    }

    async fn delete_expired(&self, now: i64) {
        let deleted = self
            .database
            .delete_expired_sessions(now, MAX_DELETED_SESSIONS);
        if let Err(error) = deleted.await {
            tracing::warn!(%error, "expired sessions not deleted; the next login tries again");
        }
    }
}

fn mark_granted(record: &mut AuditRecord, user_id: UserId) {
    record.user_id = Some(user_id);
    record.authentication = Authentication::Password;
    record.outcome = AuditOutcome::Granted;
}
