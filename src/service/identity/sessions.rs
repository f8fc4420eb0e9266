//! Sessions: started by a login ([`mod@super::login`]), renewed and ended by a refresh token
//! ([`mod@super::session_renewal`]).
//!
//! A session is the result of one login: a family of refresh tokens, each of which is used once and
//! replaced by the next, and the session tokens issued for them. Who uses one twice within the grace has
//! siblings in its place, which all end together.

use std::sync::Arc;

use crate::domain::audit::{AuditEvent, AuditOutcome, AuditRecord};
use crate::domain::caller::{Authentication, Caller};
use crate::domain::clock::Clock;
use crate::domain::id::{RecordId, SessionId, UserId};
use crate::domain::principal::{Principal, User};
use crate::domain::secret::Secret;
use crate::domain::session::{RefreshGrace, RefreshToken, Session};
use crate::service::audit_trail::AuditTrail;
use crate::service::catalog_cache::CatalogCache;
use crate::service::error::ServiceError;
use crate::service::rate_limits::RateLimits;
use crate::service::tokens::key_ring::KeyRing;
use crate::storage::{Database, NewSession};
use crate::token::SessionClaims;

use super::admission::KnownCredentials;
use super::authentication::{Authenticator, CredentialSource};
use super::login_throttle::LoginThrottle;
use super::password::Passwords;
use super::request_context::{Credential, RequestContext};

/// The tokens that a login and a refresh return.
#[derive(Debug)]
pub struct SessionTokens {
    /// The session token.
    pub access_token: Secret<String>,
    /// The refresh token, which gives the next tokens once (and siblings of them within the grace).
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
    /// How long a spent refresh token gives siblings.
    pub refresh_grace: RefreshGrace,
}

impl Sessions {
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
            let caller = self.authenticator.authenticate(request).await?;
            self.rate_limits.check_request(&caller)?;
            return Err(missing());
        };
        let (caller, source) = self
            .authenticator
            .authenticate_bearer(request, token)
            .await?;
        self.rate_limits.check_request(&caller)?;
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

    pub(super) fn known_credentials(&self) -> &KnownCredentials {
        &self.authenticator.known_credentials
    }

    pub(super) fn issue_tokens(
        &self,
        session: &Session,
        refresh_token: &RefreshToken,
        id: RecordId,
        issued_at: i64,
    ) -> Result<SessionTokens, ServiceError> {
        // A session token does not outlive its session.
        let remaining = session.expires_at.saturating_sub(issued_at);
        let remaining = u32::try_from(remaining).unwrap_or_default();
        let expires_in = self.session_token_ttl.min(remaining);
        let access_token = self.key_ring.sign_session(SessionClaims {
            issuer: self.key_ring.parties().issuer.clone(),
            audience: self.key_ring.parties().issuer.clone(),
            subject: session.user_id,
            id,
            session_id: session.id,
            issued_at,
            expires_at: issued_at.saturating_add(i64::from(expires_in)),
            authentication: Authentication::Password,
        })?;
        Ok(SessionTokens {
            access_token,
            refresh_token: refresh_token.to_text(),
            expires_in,
        })
    }
}

pub(super) fn new_session(user_id: UserId, now: i64, session_ttl: u32) -> Session {
    Session {
        id: SessionId::random(),
        user_id,
        started_at: now,
        expires_at: now.saturating_add(i64::from(session_ttl)),
    }
}

/// Starts a session of a user at the command line, without a password; it is recorded. Returns its refresh
/// token, which gives the session's first tokens once.
pub async fn start_locally(
    database: &Database,
    user_id: UserId,
    session_ttl: u32,
    clock: &Clock,
) -> Result<Secret<String>, ServiceError> {
    let session = new_session(user_id, clock.unix_seconds(), session_ttl);
    let refresh_token = RefreshToken::random();
    let granted = AuditRecord {
        outcome: AuditOutcome::Granted,
        authentication: Authentication::CommandLine,
        resource_user_id: Some(user_id),
        request_id: None,
        reason: Some(format!("started the session {}", session.id)),
        ..RequestContext::local().open_record(AuditEvent::Login, clock)
    };
    let new = NewSession {
        session: &session,
        password_hash: None,
        first: refresh_token.digest(),
        network: None,
        granted: &granted,
    };
    if database.start_session(&new).await? {
        Ok(refresh_token.to_text())
    } else {
        let detail = "the user is disabled or was deleted";
        Err(ServiceError::conflict("name", detail))
    }
}

pub(super) fn granted_record(record: &AuditRecord, user_id: UserId) -> AuditRecord {
    AuditRecord {
        user_id: Some(user_id),
        authentication: Authentication::Password,
        outcome: AuditOutcome::Granted,
        ..record.clone()
    }
}
