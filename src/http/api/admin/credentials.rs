//! Administration of what users show: their sessions and API keys.
//!
//! This module refuses to know how a credential is made and what it opens.

use std::sync::Arc;

use poem_openapi::param::{Path, Query};
use poem_openapi::{Object, OpenApi};

use crate::domain::id::{ApiKeyId, SessionId, UserId};
use crate::domain::session::Session;
use crate::http::api::api_keys::{ApiKeyPage, ApiKeyResponse};
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::openapi::Tags;
use crate::http::reply::admin_statuses::ReadStatuses;
use crate::http::reply::responses::{ErrorResponse, JsonOk, NoContent};
use crate::http::reply::timestamp::Timestamp;
use crate::service::administration::Administration;

/// The operations on users' sessions and API keys.
pub struct AdminCredentialsApi {
    /// What administers.
    pub administration: Arc<Administration>,
}

/// A session of a user.
#[derive(Object)]
#[oai(rename = "SessionAnswer")]
pub struct SessionResponse {
    /// The id: the `sid` of its session tokens.
    pub id: SessionId,
    /// When the user signed in.
    pub started_at: Timestamp,
    /// When it is over at the latest.
    pub expires_at: Timestamp,
}

/// Some sessions of a user, in the order of their ids.
#[derive(Object)]
pub struct SessionPage {
    /// The sessions.
    pub items: Vec<SessionResponse>,
    /// The `after` of the next page; left out on the last one.
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

fn usual_page() -> u32 {
    50
}

#[OpenApi(tag = "Tags::Administration")]
impl AdminCredentialsApi {
    /// List the sessions of a user
    ///
    /// Those that go on, in the order of their ids. It takes `view_users` on the user.
    #[oai(
        path = "/admin/users/:user_id/sessions",
        method = "get",
        operation_id = "list_user_sessions"
    )]
    async fn list_sessions(
        &self,
        /// The user's id.
        user_id: Path<UserId>,
        visitor: HeaderCredentials,
        /// The most sessions of the page.
        #[oai(
            default = "usual_page",
            validator(minimum(value = "1"), maximum(value = "100"))
        )]
        limit: Query<u32>,
        /// The `next` of the page before; the first page if left out.
        after: Query<Option<SessionId>>,
    ) -> Result<JsonOk<SessionPage>, ErrorResponse<ReadStatuses>> {
        let page = self
            .administration
            .list_sessions(&visitor.0, user_id.0, after.0, limit.0)
            .await?;
        Ok(JsonOk(SessionPage {
            next: page.next_cursor(|session| session.id),
            items: page.items.into_iter().map(SessionResponse::from).collect(),
        }))
    }

    /// End all sessions of a user
    ///
    /// At once here and within a second everywhere; also when there is none. The user may sign in
    /// again: to keep it out, disable it. It takes `administer_users` on the user.
    #[oai(
        path = "/admin/users/:user_id/sessions",
        method = "delete",
        operation_id = "end_user_sessions"
    )]
    async fn end_sessions(
        &self,
        /// The user's id.
        user_id: Path<UserId>,
        visitor: HeaderCredentials,
    ) -> Result<NoContent, ErrorResponse<ReadStatuses>> {
        self.administration
            .end_sessions(&visitor.0, user_id.0)
            .await?;
        Ok(NoContent)
    }

    /// End one session of a user
    ///
    /// At once here and within a second everywhere. It takes `administer_users` on the user.
    #[oai(
        path = "/admin/users/:user_id/sessions/:session_id",
        method = "delete",
        operation_id = "end_user_session"
    )]
    async fn end_session(
        &self,
        /// The user's id.
        user_id: Path<UserId>,
        /// The session's id.
        session_id: Path<SessionId>,
        visitor: HeaderCredentials,
    ) -> Result<NoContent, ErrorResponse<ReadStatuses>> {
        self.administration
            .end_session(&visitor.0, user_id.0, session_id.0)
            .await?;
        Ok(NoContent)
    }

    /// List the API keys of a user
    ///
    /// Oldest first; expired keys too, until they make room for new ones. It takes `view_users` on the
    /// user.
    #[oai(
        path = "/admin/users/:user_id/api-keys",
        method = "get",
        operation_id = "list_user_api_keys"
    )]
    async fn list_api_keys(
        &self,
        /// The user's id.
        user_id: Path<UserId>,
        visitor: HeaderCredentials,
        /// The most keys of the page.
        #[oai(
            default = "usual_page",
            validator(minimum(value = "1"), maximum(value = "100"))
        )]
        limit: Query<u32>,
        /// The `next` of the page before; the first page if left out.
        after: Query<Option<ApiKeyId>>,
    ) -> Result<JsonOk<ApiKeyPage>, ErrorResponse<ReadStatuses>> {
        let page = self
            .administration
            .list_api_keys(&visitor.0, user_id.0, after.0, limit.0)
            .await?;
        Ok(JsonOk(ApiKeyPage {
            next: page.next_cursor(|key| key.id),
            items: page.items.into_iter().map(ApiKeyResponse::from).collect(),
        }))
    }

    /// Revoke an API key of a user
    ///
    /// From now on the key opens nothing, nor do the download tokens that it minted. It takes
    /// `administer_users` on the user.
    #[oai(
        path = "/admin/users/:user_id/api-keys/:key_id",
        method = "delete",
        operation_id = "revoke_user_api_key"
    )]
    async fn revoke_api_key(
        &self,
        /// The user's id.
        user_id: Path<UserId>,
        /// The key's id.
        key_id: Path<ApiKeyId>,
        visitor: HeaderCredentials,
    ) -> Result<NoContent, ErrorResponse<ReadStatuses>> {
        self.administration
            .revoke_api_key(&visitor.0, user_id.0, key_id.0)
            .await?;
        Ok(NoContent)
    }
}
