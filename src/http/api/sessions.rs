//! Sessions: `/auth/login`, `/auth/refresh`, `/auth/logout` and `/auth/me`.
//!
//! Signing in takes the OAuth2 password form (RFC 6749 section 4.3), because every docs UI and client
//! library can fill it in. Clients are public: where a body says who it is, an `Authorization` header
//! is not looked at. This module refuses to know passwords and how sessions end.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat};
use poem::http::StatusCode;
use poem_openapi::payload::{Form, Json};
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;

use crate::domain::secret::Secret;
use crate::http::extract::credentials::{HeaderCredentials, NoCredentials};
use crate::http::openapi::Tags;
use crate::http::reply::problem::Problem;
use crate::http::reply::responses::{ErrorResponse, ErrorStatuses, JsonOk, NoContent};
use crate::service::identity::authentication::CredentialSource;
use crate::service::identity::sessions::{CurrentUser, SessionTokens, Sessions};

/// The operations of sessions.
pub struct SessionApi {
    /// What begins, renews and ends sessions.
    pub sessions: Arc<Sessions>,
}

/// Who wants to sign in.
#[derive(Object, Deserialize)]
#[oai(rename = "LoginForm")]
pub struct LoginRequest {
    /// The user name.
    pub username: String,
    /// The password.
    #[oai(validator(max_length = 1024))]
    pub password: String,
    /// Always `password`; may be left out.
    pub grant_type: Option<String>,
}

/// The refresh token of a session.
#[derive(Object)]
pub struct RefreshRequest {
    /// The newest refresh token of the session.
    // The form is checked here too, because a number would be taken for its digits.
    #[oai(validator(pattern = "^[A-Za-z0-9_-]{43}$"))]
    pub refresh_token: String,
}

/// A session.
#[derive(Object)]
pub struct LoginResponse {
    /// The session token: send it as `Authorization: Bearer`.
    pub access_token: String,
    /// The refresh token: it gives the session's next tokens, once. Keep it like a password.
    pub refresh_token: String,
    /// Always `bearer`.
    pub token_type: String,
    /// How many seconds the session token lives.
    pub expires_in: u32,
}

impl From<SessionTokens> for LoginResponse {
    fn from(tokens: SessionTokens) -> Self {
        Self {
            access_token: tokens.access_token.reveal().clone(),
            refresh_token: tokens.refresh_token.reveal().clone(),
            token_type: "bearer".to_owned(),
            expires_in: tokens.expires_in,
        }
    }
}

/// Who you are, and in which session.
#[derive(Object)]
pub struct MeResponse {
    /// The user id: the `sub` of your tokens.
    pub user_id: String,
    /// The user name.
    pub username: String,
    /// The roles, in alphabetical order.
    pub roles: Vec<String>,
    /// How you authenticated: `password`, or `issuer` with a token of an outside issuer.
    pub authentication: String,
    /// The outside issuer that you come from, if you do.
    #[oai(skip_serializing_if_is_none)]
    pub issuer: Option<String>,
    /// The session's id: the `sid` of its session tokens. A token of an outside issuer has none.
    #[oai(skip_serializing_if_is_none)]
    pub session_id: Option<String>,
    /// When the session, or the token of an outside issuer, is over at the latest, in the form of RFC 3339.
    pub session_expires_at: String,
}

impl From<CurrentUser> for MeResponse {
    fn from(myself: CurrentUser) -> Self {
        let user = &myself.user;
        let (session_id, expires_at) = match &myself.source {
            CredentialSource::Session(session) => {
                (Some(session.id.to_string()), session.expires_at)
            }
            CredentialSource::ExternalToken(identity) => (None, identity.expires_at),
        };
        Self {
            user_id: user.id.to_string(),
            username: user.username.to_string(),
            roles: user.roles.iter().map(ToString::to_string).collect(),
            authentication: myself.authentication.to_string(),
            issuer: user.issuer.clone(),
            session_id,
            session_expires_at: DateTime::from_timestamp_secs(expires_at)
                .unwrap_or_default()
                .to_rfc3339_opts(SecondsFormat::Secs, true),
        }
    }
}

/// The statuses with which signing in and refreshing may refuse.
pub struct LoginStatuses;

impl ErrorStatuses for LoginStatuses {
    const STATUSES: &'static [u16] = &[401, 415, 422, 429, 500, 503];
}

/// The statuses with which signing out may refuse.
pub struct LogoutStatuses;

impl ErrorStatuses for LogoutStatuses {
    const STATUSES: &'static [u16] = &[415, 422, 429, 500, 503];
}

/// The statuses with which it may not be told who somebody is.
pub struct MeStatuses;

impl ErrorStatuses for MeStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 429, 500, 503];
}

#[OpenApi(tag = "Tags::Sessions")]
impl SessionApi {
    /// Sign in with user name and password
    ///
    /// Gives a session token for the `Authorization: Bearer` header, and a refresh token that gives
    /// the next ones. An unknown user name and a wrong password are answered alike. After five
    /// failures in a row an account has to wait: 1 second, then 2, 4, and so on up to 60; 429 says
    /// how long.
    #[oai(path = "/auth/login", method = "post", operation_id = "login")]
    async fn login(
        &self,
        visitor: NoCredentials,
        form: Form<LoginRequest>,
    ) -> Result<JsonOk<LoginResponse>, ErrorResponse<LoginStatuses>> {
        let Form(LoginRequest {
            username,
            password,
            grant_type,
        }) = form;
        let password = Secret::new(password);
        if grant_type.is_some_and(|grant_type| grant_type != "password") {
            let detail = "the grant_type must be password";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail).into());
        }
        let tokens = self
            .sessions
            .login(&visitor.0, &username, &password)
            .await?;
        Ok(JsonOk(tokens.into()))
    }

    /// Get the next tokens of a session
    ///
    /// A refresh token works once: keep the new one that comes with the answer. One that is used a
    /// second time, even at the same moment, ends the whole session, because then two hold it.
    #[oai(path = "/auth/refresh", method = "post", operation_id = "refresh")]
    async fn refresh(
        &self,
        visitor: NoCredentials,
        body: Json<RefreshRequest>,
    ) -> Result<JsonOk<LoginResponse>, ErrorResponse<LoginStatuses>> {
        let shown = Secret::new(body.0.refresh_token);
        let tokens = self.sessions.refresh(&visitor.0, &shown).await?;
        Ok(JsonOk(tokens.into()))
    }

    /// Sign out
    ///
    /// Ends the session of the refresh token at once, its session tokens included. A token that is
    /// not known is answered alike: no session goes on with it, which is all that was asked for.
    #[oai(path = "/auth/logout", method = "post", operation_id = "logout")]
    async fn logout(
        &self,
        visitor: NoCredentials,
        body: Json<RefreshRequest>,
    ) -> Result<NoContent, ErrorResponse<LogoutStatuses>> {
        let shown = Secret::new(body.0.refresh_token);
        self.sessions.logout(&visitor.0, &shown).await?;
        Ok(NoContent)
    }

    /// Ask who you are
    ///
    /// Tells who the token in the `Authorization` header speaks for, and until when its session, or
    /// the token of an outside issuer, lasts.
    #[oai(path = "/auth/me", method = "get", operation_id = "me")]
    async fn me(
        &self,
        visitor: HeaderCredentials,
    ) -> Result<JsonOk<MeResponse>, ErrorResponse<MeStatuses>> {
        let myself = self.sessions.current_user(&visitor.0).await?;
        Ok(JsonOk(myself.into()))
    }
}
