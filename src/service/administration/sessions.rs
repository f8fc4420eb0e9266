//! Sessions of users: listed and ended by others than their user.
//!
//! This module refuses to know session tokens and refresh tokens.

use crate::domain::action::Action;
use crate::domain::id::{SessionId, UserId};
use crate::domain::session::Session;
use crate::service::identity::request_context::Visitor;
use crate::service::pagination::Page;

use super::super::error::ServiceError;
use super::{Administration, Errand};

impl Administration {
    /// Lists at most `limit` sessions of a user after `after` that go on, in the order of their ids.
    pub async fn list_sessions(
        &self,
        visitor: &Visitor,
        user_id: UserId,
        after: Option<SessionId>,
        limit: u32,
    ) -> Result<Page<Session>, ServiceError> {
        let mut errand = self.begin(visitor, Action::ViewUsers).await?;
        let answer = async {
            self.user_for(&mut errand, user_id, Action::ViewUsers)
                .await?;
            let now = self.clock.unix_seconds();
            let to_read = Page::<Session>::to_read(limit);
            let read = self.database.session_page(user_id, now, after, to_read);
            Ok(Page::cut(read.await?, limit))
        };
        let answer = answer.await;
        self.end(errand, answer).await
    }

    /// Ends one session of a user at once.
    pub async fn end_session(
        &self,
        visitor: &Visitor,
        user_id: UserId,
        session_id: SessionId,
    ) -> Result<(), ServiceError> {
        let mut errand = self.begin(visitor, Action::AdministerUsers).await?;
        let done = format!("ended the session {session_id}");
        let answer = match self
            .end_those(&mut errand, user_id, Some(session_id), done)
            .await
        {
            Ok(0) => {
                errand.note(format!("the user has no session {session_id} that goes on"));
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
        visitor: &Visitor,
        user_id: UserId,
    ) -> Result<(), ServiceError> {
        let mut errand = self.begin(visitor, Action::AdministerUsers).await?;
        let done = "ended all sessions".to_owned();
        let answer = self.end_those(&mut errand, user_id, None, done).await;
        self.end(errand, answer.map(drop)).await
    }

    async fn end_those(
        &self,
        errand: &mut Errand,
        user_id: UserId,
        only: Option<SessionId>,
        done: String,
    ) -> Result<u64, ServiceError> {
        self.user_for(errand, user_id, Action::AdministerUsers)
            .await?;
        errand.note(done);
        let now = self.clock.unix_seconds();
        let ended = self
            .database
            .end_sessions_of(user_id, only, now, &errand.granted())
            .await?;
        if ended > 0 {
            self.take_effect(errand).await;
        }
        Ok(ended)
    }
}
