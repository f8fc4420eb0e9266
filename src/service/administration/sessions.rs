//! Sessions of users: listed and ended by others than their user.
//!
//! This module refuses to know session tokens and refresh tokens.

use crate::domain::action::Action;
use crate::domain::id::{SessionId, UserId};
use crate::domain::session::Session;
use crate::service::identity::request_context::RequestContext;
use crate::service::pagination::Page;

use super::super::error::ServiceError;
use super::{AdminOperation, Administration};

impl Administration {
    /// Lists at most `limit` sessions of a user after `after` that go on, in the order of their ids.
    pub async fn list_sessions(
        &self,
        visitor: &RequestContext,
        user_id: UserId,
        after: Option<SessionId>,
        limit: u32,
    ) -> Result<Page<Session>, ServiceError> {
        let mut errand = self.begin(visitor, Action::ViewUsers).await?;
        let answer = async {
            self.load_user(&mut errand, user_id, Action::ViewUsers)
                .await?;
            let now = self.clock.unix_seconds();
            let to_read = Page::<Session>::fetch_size(limit);
            let read = self.database.list_sessions(user_id, now, after, to_read);
            Ok(Page::from_fetched(read.await?, limit))
        };
        let answer = answer.await;
        self.end(errand, answer).await
    }

    /// Ends one session of a user at once.
    pub async fn end_session(
        &self,
        visitor: &RequestContext,
        user_id: UserId,
        session_id: SessionId,
    ) -> Result<(), ServiceError> {
        let mut errand = self.begin(visitor, Action::AdministerUsers).await?;
        let done = format!("ended the session {session_id}");
        let answer = match self
            .end_matching_sessions(&mut errand, user_id, Some(session_id), done)
            .await
        {
            Ok(0) => {
                errand.set_summary(format!("the user has no session {session_id} that goes on"));
                Err(ServiceError::NotFound { what: "session" })
            }
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        self.end(errand, answer).await
    }

    /// Ends all sessions of a user at once.
    pub async fn end_sessions(
        &self,
        visitor: &RequestContext,
        user_id: UserId,
    ) -> Result<(), ServiceError> {
        let mut errand = self.begin(visitor, Action::AdministerUsers).await?;
        let done = "ended all sessions".to_owned();
        let answer = self
            .end_matching_sessions(&mut errand, user_id, None, done)
            .await;
        self.end(errand, answer.map(drop)).await
    }

    async fn end_matching_sessions(
        &self,
        errand: &mut AdminOperation,
        user_id: UserId,
        only: Option<SessionId>,
        done: String,
    ) -> Result<u64, ServiceError> {
        self.load_user(errand, user_id, Action::AdministerUsers)
            .await?;
        errand.set_summary(done);
        let now = self.clock.unix_seconds();
        let ended = self
            .database
            .end_user_sessions(user_id, only, now, &errand.granted_record())
            .await?;
        if ended > 0 {
            self.refresh_cache(errand).await;
        }
        Ok(ended)
    }
}
