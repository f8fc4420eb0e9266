//! The session API: `/auth/login`, `/auth/refresh`, `/auth/logout` and `/auth/me`.
//!
//! Login takes the OAuth2 password form (RFC 6749 section 4.3), because every docs UI and client
//! library can fill it in. Clients are public: where the body identifies the caller, an
//! `Authorization` header is ignored.

use std::sync::Arc;

use poem::http::StatusCode;
use poem_openapi::payload::Form;
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;

use crate::domain::rfc3339;
use crate::domain::secret::Secret;
use crate::http::extract::credentials::{HeaderCredentials, NoCredentials};
use crate::http::extract::json_body::JsonBody;
use crate::http::openapi::ApiTag;
use crate::http::reply::problem::Problem;
use crate::http::reply::responses::{ErrorResponse, ErrorStatuses, JsonOk, NoContent};
use crate::service::identity::authentication::CredentialSource;
use crate::service::identity::sessions::{CurrentUser, SessionTokens, Sessions};

/// The session API.
pub struct SessionApi {
    /// Starts, refreshes and ends sessions.
    pub sessions: Arc<Sessions>,
}

/// User name and password.
#[derive(Object, Deserialize)]
#[oai(rename = "LoginForm")]
pub struct LoginRequest {
    /// The user name, in upper or lower case.
    pub username: String,
    /// The password. Composed and decomposed characters are the same (RFC 8265), upper and lower case are not.
    #[oai(validator(max_length = 3072))]
    pub password: String,
    /// Always `password`; optional.
    pub grant_type: Option<String>,
}

/// The refresh token of a session.
#[derive(Object)]
pub struct RefreshRequest {
    /// The newest refresh token of the session. Any one of the session logs out.
    // The form is checked here too, because a number would be taken for its digits.
    #[oai(validator(pattern = "^[A-Za-z0-9_-]{43}$"))]
    pub refresh_token: String,
}

/// The tokens of a session.
#[derive(Object)]
pub struct LoginResponse {
    /// The session token. Send it as `Authorization: Bearer`.
    pub access_token: String,
    /// The refresh token, for the session's next tokens: replace it with theirs. Keep it as secret as
    /// a password.
    pub refresh_token: String,
    /// Always `bearer`.
    pub token_type: String,
    /// Lifetime of the session token in seconds.
    pub expires_in: u32,
}

impl From<SessionTokens> for LoginResponse {
    fn from(tokens: SessionTokens) -> Self {
        Self {
            access_token: tokens.access_token.into_revealed(),
            refresh_token: tokens.refresh_token.into_revealed(),
            token_type: "bearer".to_owned(),
            expires_in: tokens.expires_in,
        }
    }
}

/// The current user and session.
#[derive(Object)]
pub struct MeResponse {
    /// The user id: the `sub` of the user's tokens.
    pub user_id: String,
    /// The user name.
    pub username: String,
    /// The name to show, as the external identity provider sent it, if it did.
    #[oai(skip_serializing_if_is_none)]
    pub display_name: Option<String>,
    /// The roles, in alphabetical order.
    pub roles: Vec<String>,
    /// How the caller authenticated: `password`, or `issuer` for a token of an external identity
    /// provider.
    pub authentication: String,
    /// The external identity provider that the user comes from, if any.
    #[oai(skip_serializing_if_is_none)]
    pub issuer: Option<String>,
    /// The session id: the `sid` of its session tokens. Absent for a token of an external identity
    /// provider.
    #[oai(skip_serializing_if_is_none)]
    pub session_id: Option<String>,
    /// When the session, or the token of an external identity provider, expires at the latest (RFC
    /// 3339).
    pub session_expires_at: String,
}

impl From<CurrentUser> for MeResponse {
    fn from(current: CurrentUser) -> Self {
        let user = &current.user;
        let (session_id, expires_at) = match &current.source {
            CredentialSource::Session(session) => {
                (Some(session.id.to_string()), session.expires_at)
            }
            CredentialSource::ExternalToken(identity) => (None, identity.expires_at.unix_seconds()),
        };
        Self {
            user_id: user.id.to_string(),
            username: user.username.to_string(),
            display_name: user.display_name.clone(),
            roles: user.roles.iter().map(ToString::to_string).collect(),
            authentication: current.authentication.to_string(),
            issuer: user.issuer.clone(),
            session_id,
            session_expires_at: rfc3339::format_seconds(expires_at),
        }
    }
}

/// What a body is refused for before it is read as a form or as JSON.
const INCOMPLETE_BODY: (u16, &str) = (
    400,
    "The body is a part of something, ended early, or is not what its digest says.",
);

/// The error statuses of logging in and refreshing.
pub struct LoginStatuses;

impl ErrorStatuses for LoginStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 413, 415, 422, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[INCOMPLETE_BODY];
}

/// The error statuses of logging out.
pub struct LogoutStatuses;

impl ErrorStatuses for LogoutStatuses {
    const STATUSES: &'static [u16] = &[400, 413, 415, 422, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[INCOMPLETE_BODY];
}

/// The error statuses of getting the current user.
pub struct MeStatuses;

impl ErrorStatuses for MeStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 429, 500, 503];
}

#[OpenApi(tag = "ApiTag::Sessions")]
impl SessionApi {
    /// Log in, for data that is not public
    ///
    /// Returns a session token for the `Authorization: Bearer` header and a refresh token for the
    /// next tokens. An unknown user name and a wrong password give the same response. After five
    /// consecutive failures the next attempt must wait: 1 second, then 2, 4, and so on up to 60;
    /// `Retry-After` of the 429 response says how long.
    #[oai(path = "/auth/login", method = "post", operation_id = "login")]
    async fn login(
        &self,
        credentials: NoCredentials,
        form: Form<LoginRequest>,
    ) -> Result<JsonOk<LoginResponse>, ErrorResponse<LoginStatuses>> {
        let Form(LoginRequest {
            username,
            password,
            grant_type,
        }) = form;
        let password = Secret::new(password);
        if grant_type.is_some_and(|grant_type| grant_type != "password") {
            let detail = "grant_type must be `password`";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail).into());
        }
        let tokens = self
            .sessions
            .login(&credentials.0, &username, &password)
            .await?;
        Ok(JsonOk(tokens.into()))
    }

    /// Refresh session
    ///
    /// Returns new tokens for the session. Replace the refresh token with the one in the response.
    /// Using it again within a grace (10 seconds unless the operator changed it) gives further
    /// tokens of the same session, so that requests at the same moment and a repetition after a
    /// lost response work. Using it later ends the whole session, because the token may have been
    /// stolen.
    #[oai(path = "/auth/refresh", method = "post", operation_id = "refresh")]
    async fn refresh(
        &self,
        credentials: NoCredentials,
        body: JsonBody<RefreshRequest>,
    ) -> Result<JsonOk<LoginResponse>, ErrorResponse<LoginStatuses>> {
        let refresh_token = Secret::new(body.0.refresh_token);
        let tokens = self
            .sessions
            .refresh(&credentials.0, &refresh_token)
            .await?;
        Ok(JsonOk(tokens.into()))
    }

    /// Log out
    ///
    /// Ends the session of the refresh token immediately, including its session tokens. An unknown
    /// refresh token gives the same response, because no session continues with it.
    #[oai(path = "/auth/logout", method = "post", operation_id = "logout")]
    async fn logout(
        &self,
        credentials: NoCredentials,
        body: JsonBody<RefreshRequest>,
    ) -> Result<NoContent, ErrorResponse<LogoutStatuses>> {
        let refresh_token = Secret::new(body.0.refresh_token);
        self.sessions.logout(&credentials.0, &refresh_token).await?;
        Ok(NoContent)
    }

    /// Get current user
    ///
    /// Returns the user of the token in the `Authorization` header, and when its session, or the
    /// token of an external identity provider, expires.
    #[oai(path = "/auth/me", method = "get", operation_id = "me")]
    async fn me(
        &self,
        credentials: HeaderCredentials,
    ) -> Result<JsonOk<MeResponse>, ErrorResponse<MeStatuses>> {
        let current = self.sessions.current_user(&credentials.0).await?;
        Ok(JsonOk(current.into()))
    }
}
