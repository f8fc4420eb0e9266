//! The credentials admin API: users' sessions and API keys.

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::{Object, OpenApi};

use crate::domain::id::{ApiKeyId, SessionId, UserId};
use crate::domain::session::Session;
use crate::http::api::api_keys::{ApiKeyPage, ApiKeyResponse};
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::extract::page_limit::PageLimit;
use crate::http::openapi::ApiTag;
use crate::http::reply::admin_statuses::{ReadStatuses, RevokeStatuses};
use crate::http::reply::responses::{ErrorResponse, JsonOk, NoContent};
use crate::http::reply::timestamp::Timestamp;
use crate::service::administration::Administration;

/// The credentials admin API.
pub struct AdminCredentialsApi {
    /// Performs administrative operations.
    pub administration: Arc<Administration>,
}

/// A session of a user.
#[derive(Object)]
#[oai(rename = "SessionAnswer")]
pub struct SessionResponse {
    /// The session id: the `sid` of its session tokens.
    pub id: SessionId,
    /// When the user logged in.
    pub started_at: Timestamp,
    /// When the session expires at the latest.
    pub expires_at: Timestamp,
}

/// A page of a user's sessions, ordered by id.
#[derive(Object)]
pub struct SessionPage {
    /// The sessions.
    pub items: Vec<SessionResponse>,
    /// The `after` value of the next page; absent on the last page.
    #[oai(skip_serializing_if_is_none)]
    pub next: Option<SessionId>,
}

impl From<Session> for SessionResponse {
    fn from(session: Session) -> Self {
        Self {
            id: session.id,
            started_at: Timestamp(session.started_at),
            expires_at: Timestamp(session.expires_at),
        }
    }
}

#[OpenApi(tag = "ApiTag::Administration")]
impl AdminCredentialsApi {
    /// List user sessions
    ///
    /// Returns the active sessions of a user, ordered by id. Requires `view_users` on the user.
    #[oai(
        path = "/admin/users/:user_id/sessions",
        method = "get",
        operation_id = "list_user_sessions"
    )]
    async fn list_sessions(
        &self,
        /// The user id.
        user_id: Path<UserId>,
        credentials: HeaderCredentials,
        /// Maximum number of sessions per page.
        #[oai(default)]
        limit: Query<PageLimit>,
        /// The `next` value of the previous page. If omitted, the first page is returned.
        after: Query<Option<SessionId>>,
    ) -> Result<JsonOk<SessionPage>, ErrorResponse<ReadStatuses>> {
        let page = self
            .administration
            .list_sessions(&credentials.0, user_id.0, after.0, limit.0.0)
            .await?;
        Ok(JsonOk(SessionPage {
            next: page.next_cursor(|session| session.id),
            items: page.items.into_iter().map(SessionResponse::from).collect(),
        }))
    }

    /// Revoke all user sessions
    ///
    /// Takes effect immediately on this server and within one second on all others; succeeds if
    /// there are none. The user can log in again; to prevent that, disable the user. Requires
    /// `administer_users` on the user.
    #[oai(
        path = "/admin/users/:user_id/sessions",
        method = "delete",
        operation_id = "end_user_sessions"
    )]
    async fn end_sessions(
        &self,
        /// The user id.
        user_id: Path<UserId>,
        credentials: HeaderCredentials,
    ) -> Result<NoContent, ErrorResponse<ReadStatuses>> {
        self.administration
            .end_sessions(&credentials.0, user_id.0)
            .await?;
        Ok(NoContent)
    }

    /// Revoke user session
    ///
    /// Takes effect immediately on this server and within one second on all others. Requires
    /// `administer_users` on the user.
    #[oai(
        path = "/admin/users/:user_id/sessions/:session_id",
        method = "delete",
        operation_id = "end_user_session"
    )]
    async fn end_session(
        &self,
        /// The user id.
        user_id: Path<UserId>,
        /// The session id.
        session_id: Path<SessionId>,
        credentials: HeaderCredentials,
    ) -> Result<NoContent, ErrorResponse<ReadStatuses>> {
        self.administration
            .end_session(&credentials.0, user_id.0, session_id.0)
            .await?;
        Ok(NoContent)
    }

    /// List user API keys
    ///
    /// Returns the API keys of a user, oldest first, including expired ones that were not yet
    /// removed to make room. Requires `view_users` on the user.
    #[oai(
        path = "/admin/users/:user_id/api-keys",
        method = "get",
        operation_id = "list_user_api_keys"
    )]
    async fn list_api_keys(
        &self,
        /// The user id.
        user_id: Path<UserId>,
        credentials: HeaderCredentials,
        /// Maximum number of keys per page.
        #[oai(default)]
        limit: Query<PageLimit>,
        /// The `next` value of the previous page. If omitted, the first page is returned.
        after: Query<Option<ApiKeyId>>,
    ) -> Result<JsonOk<ApiKeyPage>, ErrorResponse<ReadStatuses>> {
        let page = self
            .administration
            .list_api_keys(&credentials.0, user_id.0, after.0, limit.0.0)
            .await?;
        Ok(JsonOk(ApiKeyPage {
            next: page.next_cursor(|key| key.id),
            items: page.items.into_iter().map(ApiKeyResponse::from).collect(),
        }))
    }

    /// Revoke user API key
    ///
    /// The key and the download tokens minted with it stop working immediately. The key with which
    /// the last admin signs in cannot be revoked. Requires `administer_users` on the user.
    #[oai(
        path = "/admin/users/:user_id/api-keys/:key_id",
        method = "delete",
        operation_id = "revoke_user_api_key"
    )]
    async fn revoke_api_key(
        &self,
        /// The user id.
        user_id: Path<UserId>,
        /// The API key id.
        key_id: Path<ApiKeyId>,
        credentials: HeaderCredentials,
    ) -> Result<NoContent, ErrorResponse<RevokeStatuses>> {
        self.administration
            .revoke_api_key(&credentials.0, user_id.0, key_id.0)
            .await?;
        Ok(NoContent)
    }
}
