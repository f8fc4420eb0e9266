//! API keys of users: listed and revoked by others than their user.
//!
//! Making one is for the user itself. This module refuses to know what a key opens.

use crate::domain::action::Action;
use crate::domain::api_key::ApiKey;
use crate::domain::id::{ApiKeyId, UserId};
use crate::service::identity::request_context::RequestContext;
use crate::service::pagination::Page;

use super::super::error::ServiceError;
use super::{AdminOperation, Administration};

impl Administration {
    /// Lists at most `limit` API keys of a user after `after`, oldest first, expired ones too.
    pub async fn list_api_keys(
        &self,
        visitor: &RequestContext,
        user_id: UserId,
        after: Option<ApiKeyId>,
        limit: u32,
    ) -> Result<Page<ApiKey>, ServiceError> {
        let mut errand = self.begin(visitor, Action::ViewUsers).await?;
        let answer = async {
            self.load_user(&mut errand, user_id, Action::ViewUsers)
                .await?;
            let to_read = Page::<ApiKey>::fetch_size(limit);
            let read = self.database.list_api_keys(user_id, after, to_read);
            Ok(Page::from_fetched(read.await?, limit))
        };
        let answer = answer.await;
        self.end(errand, answer).await
    }

    /// Revokes an API key of a user at once, and with it the download tokens that it minted.
    pub async fn revoke_api_key(
        &self,
        visitor: &RequestContext,
        user_id: UserId,
        key_id: ApiKeyId,
    ) -> Result<(), ServiceError> {
        let mut errand = self.begin(visitor, Action::AdministerUsers).await?;
        let answer = self.delete_api_key(&mut errand, user_id, key_id).await;
        self.end(errand, answer).await
    }

    async fn delete_api_key(
        &self,
        errand: &mut AdminOperation,
        user_id: UserId,
        key_id: ApiKeyId,
    ) -> Result<(), ServiceError> {
        self.load_user(errand, user_id, Action::AdministerUsers)
            .await?;
        errand.set_summary(format!("revoked the API key {key_id}"));
        let granted = errand.granted_record();
        if self
            .database
            .remove_api_key(user_id, key_id, &granted)
            .await?
        {
            self.refresh_cache(errand).await;
            return Ok(());
        }
        errand.set_summary(format!("the user has no API key {key_id}"));
        Err(ServiceError::NotFound { what: "API key" })
    }
}
