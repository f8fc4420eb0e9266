//! The login: from a user name and a password to a session.
//!
//! Names are compared in their normal form, and passwords too ([`mod@crate::domain::normal_form`]). A user whose
//! hash is older, of the password as it was typed then, signs in with that text as before, and its hash is
//! replaced by one of the normal form.

use std::net::IpAddr;

use crate::domain::audit::{AuditEvent, AuditRecord};
use crate::domain::client_address::ClientAddress;
use crate::domain::id::UserId;
use crate::domain::name::Username;
use crate::domain::principal::User;
use crate::domain::secret::Secret;
use crate::domain::session::RefreshToken;
use crate::service::error::ServiceError;
use crate::service::rate_limits::client_network;
use crate::storage::NewSession;

use super::login_throttle::LoginAccount;
use super::password::{PasswordMatch, has_two_forms};
use super::request_context::RequestContext;
use super::sessions::{SessionTokens, Sessions, granted_record, new_session};

/// How often a login checks its password at most: the hash may be replaced once, by another login.
const MAX_LOGIN_CHECKS: u32 = 2;

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
        // Phones add a blank after a word that they complete, and no name has one.
        let is_blank = |c: char| c.is_whitespace() && !c.is_control();
        let typed = username.trim_matches(is_blank);
        let username = typed.parse::<Username>().ok();
        // What cannot be a user name, or is not written like one, may be a password in the wrong field: it is on
        // record only if there is such a user.
        let is_written_so = |name: &&Username| name.as_str() == typed;
        record.username = username
            .as_ref()
            .filter(is_written_so)
            .map(Username::to_string);
        let account = LoginAccount::new(username.as_ref(), typed);
        let result = self
            .try_login(request, account, username.as_ref(), password, &mut record)
            .await;
        self.audit.close_unless_committed(record, result).await
    }

    async fn try_login(
        &self,
        request: &RequestContext,
        account: LoginAccount,
        username: Option<&Username>,
        password: &Secret<String>,
        record: &mut AuditRecord,
    ) -> Result<SessionTokens, ServiceError> {
        // Counted before the work is done: the work itself is what a flood would be after.
        let is_known = self.admit_login(account, username, request.address).await?;
        if has_two_forms(password) {
            // Twice the work, so it counts as two.
            self.count_login(account, request.address.for_limits(), is_known)?;
        }
        let attempt =
            self.login_throttle
                .start_attempt(account, request.address.for_limits(), is_known)?;
        // Whoever comes without an address is at home nowhere: the proxy's network is not the user's.
        let network = request.address.known().map(client_network);
        let result = self
            .start_session(username, password, network, record)
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
            self.count_login(account, counted, false)?;
            return Ok(false);
        };
        let is_known = self.login_throttle.is_known_network(account, network);
        self.count_login(account, counted, is_known)?;
        match username {
            Some(username) if !is_known => {
                let now = self.clock.unix_seconds();
                let found = self.database.is_login_network(username, network, now);
                Ok(found.await?)
            }
            _ => Ok(is_known),
        }
    }

    /// Counts a login for its address, or for its account if that is known there.
    fn count_login(
        &self,
        account: LoginAccount,
        address: IpAddr,
        is_known: bool,
    ) -> Result<(), ServiceError> {
        let counted = self.rate_limits.count_address(address);
        if counted.is_err() && is_known {
            return self.rate_limits.count_known_login(account.0, address);
        }
        counted
    }

    /// Checks the password and starts a session; once more if another login of the same user has replaced the
    /// hash meanwhile by one of the same password.
    async fn start_session(
        &self,
        username: Option<&Username>,
        password: &Secret<String>,
        network: Option<IpAddr>,
        record: &mut AuditRecord,
    ) -> Result<SessionTokens, ServiceError> {
        for _ in 0..MAX_LOGIN_CHECKS {
            let (user_id, hash, matched) = self.check_password(username, password, record).await?;
            let started = self
                .start_checked_session(user_id, &hash, network, record)
                .await?;
            if let Some(tokens) = started {
                if matched == PasswordMatch::AsTyped {
                    self.rehash(user_id, &hash, password).await;
                }
                return Ok(tokens);
            }
        }
        // The password changed, or the user was disabled, while it was being checked.
        Err(ServiceError::LoginFailed)
    }

    /// The user of a name and its password hash, if this is the password and the user may sign in with one.
    async fn check_password(
        &self,
        username: Option<&Username>,
        password: &Secret<String>,
        record: &mut AuditRecord,
    ) -> Result<(UserId, Secret<String>, PasswordMatch), ServiceError> {
        let found = match username {
            Some(username) => self.database.find_user_by_username(username).await?,
            None => None,
        };
        let (user, hash) = found.map_or((None, None), |found| {
            record.username = Some(found.user.username.to_string());
            (Some(found.user), found.password_hash)
        });
        let costs = self.catalog_cache.password_costs().await?;
        let matched = self
            .passwords
            .verify(hash.as_ref(), password, &costs)
            .await?;
        // Users of identity providers sign in there, whatever the database holds.
        let may_sign_in = |user: &User| !user.is_disabled && user.issuer.is_none();
        let user = user.filter(|user| matched.is_right() && may_sign_in(user));
        match (user, hash) {
            (Some(user), Some(hash)) => Ok((user.id, hash, matched)),
            _ => Err(ServiceError::LoginFailed),
        }
    }

    /// Starts a session of a user whose password was checked against `hash`; none if it is another by now.
    async fn start_checked_session(
        &self,
        user_id: UserId,
        hash: &Secret<String>,
        network: Option<IpAddr>,
        record: &mut AuditRecord,
    ) -> Result<Option<SessionTokens>, ServiceError> {
        let now = self.clock.unix_seconds();
        let session = new_session(user_id, now, self.session_ttl);
        let refresh_token = RefreshToken::random();
        // Signed before the session is started, so that a failure starts none.
        let tokens = self.issue_tokens(&session, &refresh_token, record.id, now)?;
        let granted = granted_record(record, session.user_id);
        let is_started = self
            .database
            .start_session(&NewSession {
                session: &session,
                password_hash: Some(hash),
                first: refresh_token.digest(),
                network,
                granted: &granted,
            })
            .await?;
        if !is_started {
            return Ok(None);
        }
        *record = granted;
        self.known_credentials()
            .add_refresh_token(refresh_token.digest());
        Ok(Some(tokens))
    }

    /// Replaces a hash that is not of the password's normal form, so that the password is right on each device
    /// from now on. The login has succeeded whatever becomes of it.
    async fn rehash(&self, user_id: UserId, old: &Secret<String>, password: &Secret<String>) {
        let replaced = match self.passwords.hash(password).await {
            Ok(new) => self
                .database
                .replace_password_hash(user_id, old, &new)
                .await
                .map_err(ServiceError::from),
            Err(error) => Err(error.into()),
        };
        match replaced {
            Ok(true) => tracing::info!(%user_id, "password hashed anew in its normal form"),
            Ok(false) => {}
            Err(error) => tracing::warn!(%user_id, %error, "password not hashed anew"),
        }
    }
}
