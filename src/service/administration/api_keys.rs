//! API keys of users: listed and revoked by others than their user.
//!
//! Making one is for the user itself. This module refuses to know what a key opens.

use crate::domain::action::Action;
use crate::domain::api_key::ApiKey;
use crate::domain::id::{ApiKeyId, UserId};
use crate::service::identity::request_context::Visitor;
use crate::service::pagination::Page;

use super::super::error::ServiceError;
use super::{Administration, Errand};

impl Administration {
    /// Lists at most `limit` API keys of a user after `after`, oldest first, expired ones too.
    pub async fn list_api_keys(
        &self,
        visitor: &Visitor,
        user_id: UserId,
        after: Option<ApiKeyId>,
        limit: u32,
    ) -> Result<Page<ApiKey>, ServiceError> {
        let mut errand = self.begin(visitor, Action::ViewUsers).await?;
        let answer = async {
            self.user_for(&mut errand, user_id, Action::ViewUsers)
                .await?;
            let to_read = Page::<ApiKey>::to_read(limit);
            let read = self.database.list_api_keys(user_id, after, to_read);
            Ok(Page::cut(read.await?, limit))
        };
        let answer = answer.await;
        self.end(errand, answer).await
    }

    /// Revokes an API key of a user at once, and with it the download tokens that it minted.
    pub async fn revoke_api_key(
        &self,
        visitor: &Visitor,
        user_id: UserId,
        key_id: ApiKeyId,
    ) -> Result<(), ServiceError> {
        let mut errand = self.begin(visitor, Action::AdministerUsers).await?;
        let answer = self.drop_api_key(&mut errand, user_id, key_id).await;
        self.end(errand, answer).await
    }

    async fn drop_api_key(
        &self,
        errand: &mut Errand,
        user_id: UserId,
        key_id: ApiKeyId,
    ) -> Result<(), ServiceError> {
        self.user_for(errand, user_id, Action::AdministerUsers)
            .await?;
        errand.note(format!("revoked the API key {key_id}"));
        let granted = errand.granted();
        if self
            .database
            .remove_api_key(user_id, key_id, &granted)
            .await?
        {
            self.take_effect(errand).await;
            return Ok(());
        }
        errand.note(format!("the user has no API key {key_id}"));
        Err(ServiceError::NotFound { what: "API key" })
    }
}
