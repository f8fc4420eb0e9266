//! Sessions: begun by a login, renewed by a refresh, ended by a logout.
//!
//! A session is what comes of one login: a chain of refresh tokens, each of which is spent at its
//! one use and replaced by the next, and the session tokens that they give. A refresh token that is
//! shown a second time is in two hands, so the whole session ends (RFC 9700 section 4.14.2). There
//! is no grace for a second use at the same moment: nobody could tell whose it was.
//!
//! Sessions that have expired are swept after each login, a bounded number at a time, so that no
//! more are ever left over than logins made. This module refuses to know HTTP, and what a caller may do.

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

/// The most expired sessions that one login sweeps.
const MAX_DELETED_SESSIONS: u32 = 100;

/// What a login and a refresh give.
#[derive(Debug)]
pub struct SessionTokens {
    /// The session token.
    pub access_token: Secret<String>,
    /// What gives the next ones, once.
    pub refresh_token: Secret<String>,
    /// How long the session token lives, in seconds.
    pub expires_in: u32,
}

/// Who somebody with a bearer token is.
#[derive(Clone, Debug)]
pub struct CurrentUser {
    /// The user.
    pub user: Arc<User>,
    /// How it authenticated.
    pub authentication: Authentication,
    /// What its token rests on.
    pub source: CredentialSource,
}

/// Begins, renews and ends sessions.
pub struct Sessions {
    /// Who shows a session token.
    pub authenticator: Arc<Authenticator>,
    /// The users with their password hashes, and the sessions.
    pub database: Database,
    /// What remembers sessions.
    pub catalog_cache: Arc<CatalogCache>,
    /// What signs session tokens.
    pub key_ring: Arc<KeyRing>,
    /// What verifies passwords.
    pub passwords: Arc<Passwords>,
    /// Where logins and failures count.
    pub rate_limits: Arc<RateLimits>,
    /// How long those who guess have to wait.
    pub login_throttle: LoginThrottle,
    /// What remembers who came and went.
    pub audit: Arc<AuditTrail>,
    /// The time.
    pub clock: Clock,
    /// How long a session token lives, in seconds.
    pub session_token_ttl: u32,
    /// How long a session lasts, in seconds.
    pub session_ttl: u32,
}

impl Sessions {
    /// Begins a session for a user name and a password; either answer is on record first.
    pub async fn login(
        &self,
        visitor: &RequestContext,
        username: &str,
        password: &Secret<String>,
    ) -> Result<SessionTokens, ServiceError> {
        let mut record = visitor.open_record(AuditEvent::Login, &self.clock);
        let answer = self
            .try_login(visitor, username, password, &mut record)
            .await;
        self.audit.close_record(record, answer).await
    }

    async fn try_login(
        &self,
        visitor: &RequestContext,
        username: &str,
        password: &Secret<String>,
        record: &mut AuditRecord,
    ) -> Result<SessionTokens, ServiceError> {
        // Counted before the work is done: the work itself is what a flood would be after.
        self.rate_limits.count_address(visitor.address)?;
        let guess = self
            .login_throttle
            .start_attempt(username, visitor.address)?;
        let answer = self.start_session(username, password, record).await;
        match &answer {
            Ok(_) => guess.succeed(),
            Err(ServiceError::LoginFailed) => {}
            Err(_) => guess.abandon(),
        }
        answer
    }

    async fn start_session(
        &self,
        username: &str,
        password: &Secret<String>,
        record: &mut AuditRecord,
    ) -> Result<SessionTokens, ServiceError> {
        let login = match username.parse::<Username>() {
            Ok(username) => self.database.find_user_by_username(&username).await?,
            Err(_) => None,
        };
        let (user, hash) = login.map_or((None, None), |login| {
            (Some(login.user), login.password_hash)
        });
        let is_right = self.passwords.verify(hash.as_ref(), password).await?;
        // Users of outside issuers sign in there, whatever the database holds.
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
        let first = RefreshToken::random();
        let is_started = self
            .database
            .start_session(&session, &hash, first.digest())
            .await?;
        if !is_started {
            // The password changed, or the user was disabled, while it was being checked.
            return Err(ServiceError::LoginFailed);
        }
        self.delete_expired(now).await;
        mark_granted(record, session.user_id);
        self.issue_tokens(&session, &first, record.id)
    }

    /// Gives the next tokens of a session for its refresh token; either answer is on record first.
    pub async fn refresh(
        &self,
        visitor: &RequestContext,
        shown: &Secret<String>,
    ) -> Result<SessionTokens, ServiceError> {
        let mut record = visitor.open_record(AuditEvent::Refresh, &self.clock);
        let answer = self.try_refresh(visitor, shown, &mut record).await;
        if answer.is_ok() {
            // Its record was written together with the renewal.
            AuditTrail::count_outcome(record.event, record.outcome);
            return answer;
        }
        self.audit.close_record(record, answer).await
    }

    async fn try_refresh(
        &self,
        visitor: &RequestContext,
        shown: &Secret<String>,
        record: &mut AuditRecord,
    ) -> Result<SessionTokens, ServiceError> {
        let refused = "the refresh token is not valid, or its session is over: sign in again";
        let Some((shown, known)) = self.find_refresh_token(shown).await? else {
            return Err(self.authenticator.reject(visitor, refused));
        };
        if !known.is_spent {
            // Before it is spent, so that it still works after the wait. A second use is never held
            // up: or else a thief who keeps the user's bucket empty would stay unnoticed.
            self.rate_limits.count_user(known.user_id)?;
        }
        let next = RefreshToken::random();
        let mut granted = record.clone();
        mark_granted(&mut granted, known.user_id);
        let now = self.clock.unix_seconds();
        let renewal = self
            .database
            .renew_session(shown, next.digest(), now, &granted)
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
                    return Err(self.authenticator.reject(visitor, detail));
                }
                // Outside of any limit: what ended a session has to be on record.
                tracing::warn!(session_id = %session.id, "a refresh token was reused; its session has ended");
                self.refresh_cache().await;
                Err(ServiceError::CredentialRejected { detail })
            }
            RenewalOutcome::SessionEnded(session) => {
                record.user_id = Some(session.user_id);
                Err(self.authenticator.reject(visitor, refused))
            }
            RenewalOutcome::Unknown => Err(self.authenticator.reject(visitor, refused)),
        }
    }

    /// Ends the session of a refresh token at once; that is on record first.
    ///
    /// A token that nobody knows is no error, because what was asked for holds: no session goes on
    /// with it (RFC 7009 section 2.2). Such tokens count for their address like other failures.
    pub async fn logout(
        &self,
        visitor: &RequestContext,
        shown: &Secret<String>,
    ) -> Result<(), ServiceError> {
        let mut record = visitor.open_record(AuditEvent::Logout, &self.clock);
        let answer = self.try_logout(visitor, shown, &mut record).await;
        self.audit.close_record(record, answer).await
    }

    async fn try_logout(
        &self,
        visitor: &RequestContext,
        shown: &Secret<String>,
        record: &mut AuditRecord,
    ) -> Result<(), ServiceError> {
        let ending = match self.find_refresh_token(shown).await? {
            Some((shown, _)) => {
                let now = self.clock.unix_seconds();
                self.database.end_session(shown, now).await?
            }
            None => None,
        };
        let Some(ending) = ending else {
            self.rate_limits.count_address(visitor.address)?;
            record.reason = Some("the refresh token is not known; there is nothing to end".into());
            return Ok(());
        };
        mark_granted(record, ending.session.user_id);
        if ending.is_ended_by_this {
            self.refresh_cache().await;
        } else {
            self.rate_limits.count_address(visitor.address)?;
            record.reason = Some("the session was over already".into());
        }
        Ok(())
    }

    /// Who shows a bearer token; other credentials have no end to tell.
    pub async fn current_user(
        &self,
        visitor: &RequestContext,
    ) -> Result<CurrentUser, ServiceError> {
        let missing = || ServiceError::CredentialMissing {
            detail: "this needs a session token: sign in and send it as Authorization: Bearer"
                .to_owned(),
        };
        let Credential::Bearer(token) = &visitor.credential else {
            self.authenticator.authenticate(visitor).await?;
            return Err(missing());
        };
        let (caller, standing) = self
            .authenticator
            .authenticate_bearer(visitor, token)
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
            source: standing,
        })
    }

    async fn find_refresh_token(
        &self,
        shown: &Secret<String>,
    ) -> Result<Option<(RefreshTokenDigest, RefreshTokenInfo)>, ServiceError> {
        let Some(shown) = RefreshToken::parse(shown).map(|token| token.digest()) else {
            return Ok(None);
        };
        let known = self.database.find_refresh_token(shown).await?;
        Ok(known.map(|known| (shown, known)))
    }

    fn issue_tokens(
        &self,
        session: &Session,
        refresh_token: &RefreshToken,
        id: RecordId,
    ) -> Result<SessionTokens, ServiceError> {
        let issued_at = self.clock.unix_seconds();
        // A session token does not outlive its session.
        let left = u32::try_from(session.expires_at - issued_at).unwrap_or_default();
        let expires_in = self.session_token_ttl.min(left);
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

    /// Forgets what is remembered here of the session that just ended; others follow by themselves.
    async fn refresh_cache(&self) {
        if let Err(error) = self.catalog_cache.refresh().await {
            // Nothing is remembered while the version is not known, so this is safe too.
            tracing::warn!(%error, "the catalog's version could not be read");
        }
    }

    async fn delete_expired(&self, now: i64) {
        if let Err(error) = self
            .database
            .delete_expired_sessions(now, MAX_DELETED_SESSIONS)
            .await
        {
            tracing::warn!(%error, "expired sessions were not swept; the next login tries again");
        }
    }
}

fn mark_granted(record: &mut AuditRecord, user_id: UserId) {
    record.user_id = Some(user_id);
    record.authentication = Authentication::Password;
    record.outcome = AuditOutcome::Granted;
}
