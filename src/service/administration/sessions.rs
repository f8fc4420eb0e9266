//! Sessions of users, as administrators list and end them.

use crate::domain::action::Action;
use crate::domain::id::{SessionId, UserId};
use crate::domain::session::Session;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;
use crate::service::pagination::Page;

use super::Administration;
use super::operation::AdminOperation;

impl Administration {
    /// Lists up to `limit` active sessions of a user after `after`, in the order of their ids.
    pub async fn list_sessions(
        &self,
        request: &RequestContext,
        user_id: UserId,
        after: Option<SessionId>,
        limit: u32,
    ) -> Result<Page<Session>, ServiceError> {
        self.audited(request, Action::ViewUsers, async |operation| {
            self.load_user(&operation, user_id, Action::ViewUsers)
                .await?;
            let now = self.clock.unix_seconds();
            let read = async |limit| {
                let sessions = self.database.list_sessions(user_id, now, after, limit);
                sessions.await
            };
            Ok(Page::read(limit, read).await?)
        })
        .await
    }

    /// Ends one session of a user at once.
    pub async fn end_session(
        &self,
        request: &RequestContext,
        user_id: UserId,
        session_id: SessionId,
    ) -> Result<(), ServiceError> {
        self.audited(request, Action::AdministerUsers, async |operation| {
            self.load_user(&operation, user_id, Action::AdministerUsers)
                .await?;
            operation.protect_own_user(user_id)?;
            operation.set_summary(format!("ended the session {session_id}"));
            if self
                .end_active_sessions(&operation, user_id, Some(session_id))
                .await?
            {
                return Ok(());
            }
            operation.set_summary(format!("the user has no active session {session_id}"));
            Err(ServiceError::NotFound { what: "session" })
        })
        .await
    }

    /// Ends all sessions of a user at once.
    pub async fn end_sessions(
        &self,
        request: &RequestContext,
        user_id: UserId,
    ) -> Result<(), ServiceError> {
        self.audited(request, Action::AdministerUsers, async |operation| {
            self.load_user(&operation, user_id, Action::AdministerUsers)
                .await?;
            operation.protect_own_user(user_id)?;
            operation.set_summary("ended all sessions");
            self.end_active_sessions(&operation, user_id, None).await?;
            Ok(())
        })
        .await
    }

    /// Ends a session, or all of them; false when none was active.
    async fn end_active_sessions(
        &self,
        operation: &AdminOperation,
        user_id: UserId,
        only: Option<SessionId>,
    ) -> Result<bool, ServiceError> {
        let now = self.clock.unix_seconds();
        let end = async |record| {
            let ended = self.database.end_user_sessions(user_id, only, now, &record);
            Ok(ended.await? > 0)
        };
        self.write_recorded(operation, end).await
    }
}
