//! Signing in: `POST /auth/login`.
//!
//! The OAuth2 password form (RFC 6749 section 4.3), because every docs UI and client library can
//! fill it in. Clients are public: an `Authorization` header is not looked at. This module refuses
//! to know passwords and sessions.

use std::sync::Arc;

use poem::http::StatusCode;
use poem_openapi::payload::Form;
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;

use crate::domain::secret::Secret;
use crate::service::authentication::Authenticator;

use super::answer::{Granted, Refusal, Statuses};
use super::caller::Stranger;
use super::document::Tags;
use super::problem::Problem;

/// The operations of signing in.
pub struct LoginApi {
    /// What opens sessions.
    pub authenticator: Arc<Authenticator>,
}

/// Who wants to sign in.
#[derive(Object, Deserialize)]
pub struct LoginForm {
    /// The user name.
    pub username: String,
    /// The password.
    #[oai(validator(max_length = 1024))]
    pub password: String,
    /// Always `password`; may be left out.
    pub grant_type: Option<String>,
}

/// A session.
#[derive(Object)]
pub struct LoginResponse {
    /// The session token: send it as `Authorization: Bearer`.
    pub access_token: String,
    /// Always `bearer`.
    pub token_type: String,
    /// How many seconds the session token lives.
    pub expires_in: u32,
}

/// The statuses with which signing in may refuse.
pub struct LoginStatuses;

impl Statuses for LoginStatuses {
    const STATUSES: &'static [u16] = &[401, 415, 422, 429, 500, 503];
}

#[OpenApi(tag = "Tags::Auth")]
impl LoginApi {
    /// Sign in with user name and password
    ///
    /// Gives a session token for the `Authorization: Bearer` header. An unknown user name and a
    /// wrong password are answered alike.
    #[oai(path = "/auth/login", method = "post", operation_id = "login")]
    async fn login(
        &self,
        visitor: Stranger,
        form: Form<LoginForm>,
    ) -> Result<Granted<LoginResponse>, Refusal<LoginStatuses>> {
        let Form(LoginForm {
            username,
            password,
            grant_type,
        }) = form;
        let password = Secret::new(password);
        if grant_type.is_some_and(|grant_type| grant_type != "password") {
            let detail = "the grant_type must be password";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail).into());
        }
        let session = self
            .authenticator
            .login(&visitor.0, &username, &password)
            .await?;
        Ok(Granted(LoginResponse {
            access_token: session.access_token.reveal().clone(),
            token_type: "bearer".to_owned(),
            expires_in: session.expires_in,
        }))
    }
}
