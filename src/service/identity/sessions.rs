//! Sessions: started by a login, renewed and ended by a refresh token ([`mod@super::session_renewal`]).
//!
//! A session is the result of one login: a family of refresh tokens, each of which is used once and
//! replaced by the next, and the session tokens issued for them. Who uses one twice within the grace has
//! siblings in its place, which all end together.

use std::net::IpAddr;
use std::sync::Arc;

use crate::domain::audit::{AuditEvent, AuditOutcome, AuditRecord};
use crate::domain::caller::{Authentication, Caller};
use crate::domain::client_address::ClientAddress;
use crate::domain::clock::Clock;
use crate::domain::id::{RecordId, SessionId, UserId};
use crate::domain::name::Username;
use crate::domain::principal::{Principal, User};
use crate::domain::secret::Secret;
use crate::domain::session::{RefreshGrace, RefreshToken, Session};
use crate::service::audit_trail::AuditTrail;
use crate::service::catalog_cache::CatalogCache;
use crate::service::error::ServiceError;
use crate::service::rate_limits::{RateLimits, client_network};
use crate::service::tokens::key_ring::KeyRing;
use crate::storage::{Database, NewSession};
use crate::token::SessionClaims;

use super::admission::KnownCredentials;
use super::authentication::{Authenticator, CredentialSource};
use super::login_throttle::{LoginAccount, LoginThrottle};
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
    /// Starts a session for a user name and a password; success is recorded together with the session,
    /// a failure before the response.
    pub async fn login(
        &self,
        request: &RequestContext,
        username: &str,
        password: &Secret<String>,
    ) -> Result<SessionTokens, ServiceError> {
        let mut record = request.open_record(AuditEvent::Login, &self.clock);
        // Nothing else: what cannot be a user name may be a password in the wrong field.
        record.username = username.parse::<Username>().ok().map(String::from);
        let result = self
            .try_login(request, username, password, &mut record)
            .await;
        self.audit.close_unless_committed(record, result).await
    }

    async fn try_login(
        &self,
        request: &RequestContext,
        username: &str,
        password: &Secret<String>,
        record: &mut AuditRecord,
    ) -> Result<SessionTokens, ServiceError> {
        let account = LoginAccount::new(username);
        let username = username.parse().ok();
        // Counted before the work is done: the work itself is what a flood would be after.
        let is_known = self
            .admit_login(account, username.as_ref(), request.address)
            .await?;
        let attempt =
            self.login_throttle
                .start_attempt(account, request.address.for_limits(), is_known)?;
        // Whoever comes without an address is at home nowhere: the proxy's network is not the user's.
        let network = request.address.known().map(client_network);
        let result = self
            .start_session(username.as_ref(), password, network, record)
            .await;
        match &result {
            Ok(_) => {
                attempt.succeed();
                if let Some(network) = network {
                    self.login_throttle.add_known_network(account, network);
                }
            }
            Err(ServiceError::LoginFailed) => {}
            Err(_) => attempt.abandon(),
        }
        result
    }

    /// Counts a login; returns whether the account has signed in from this network before.
    ///
    /// The database is asked only when the address has attempts left. An account that is known here does
    /// not depend on them: others at the same address may have used them up.
    async fn admit_login(
        &self,
        account: LoginAccount,
        username: Option<&Username>,
        address: ClientAddress,
    ) -> Result<bool, ServiceError> {
        let counted = address.for_limits();
        let Some(network) = address.known().map(client_network) else {
            self.rate_limits.count_address(counted)?;
            return Ok(false);
        };
        let is_known = self.login_throttle.is_known_network(account, network);
        match (self.rate_limits.count_address(counted), username) {
            (Err(_), _) if is_known => {
                self.rate_limits.count_known_login(account.0, counted)?;
                Ok(true)
            }
            (Err(refused), _) => Err(refused),
            (Ok(()), Some(username)) if !is_known => {
                let now = self.clock.unix_seconds();
                let found = self.database.is_login_network(username, network, now);
                Ok(found.await?)
            }
            (Ok(()), _) => Ok(is_known),
        }
    }

    async fn start_session(
        &self,
        username: Option<&Username>,
        password: &Secret<String>,
        network: Option<IpAddr>,
        record: &mut AuditRecord,
    ) -> Result<SessionTokens, ServiceError> {
        let found = match username {
            Some(username) => self.database.find_user_by_username(username).await?,
            None => None,
        };
        let (user, hash) = found.map_or((None, None), |found| {
            (Some(found.user), found.password_hash)
        });
        let costs = self.catalog_cache.password_costs().await?;
        let is_right = self
            .passwords
            .verify(hash.as_ref(), password, &costs)
            .await?;
        // Users of identity providers sign in there, whatever the database holds.
        let user = user.filter(|user| is_right && !user.is_disabled && user.issuer.is_none());
        let (Some(user), Some(hash)) = (user, hash) else {
            return Err(ServiceError::LoginFailed);
        };
        let now = self.clock.unix_seconds();
        let session = new_session(user.id, now, self.session_ttl);
        let refresh_token = RefreshToken::random();
        // Signed before the session is started, so that a failure starts none.
        let tokens = self.issue_tokens(&session, &refresh_token, record.id, now)?;
        let granted = granted_record(record, session.user_id);
        let is_started = self
            .database
            .start_session(&NewSession {
                session: &session,
                password_hash: Some(&hash),
                first: refresh_token.digest(),
                network,
                granted: &granted,
            })
            .await?;
        if !is_started {
            // The password changed, or the user was disabled, while it was being checked.
            return Err(ServiceError::LoginFailed);
        }
        *record = granted;
        self.known_credentials()
            .add_refresh_token(refresh_token.digest());
        Ok(tokens)
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

fn new_session(user_id: UserId, now: i64, session_ttl: u32) -> Session {
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
