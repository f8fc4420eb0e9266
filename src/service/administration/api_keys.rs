//! API keys of users, as administrators list and revoke them.
//!
//! Only the user itself creates one ([`crate::service::identity::api_keys`]).

use parking_lot::Mutex;

use crate::domain::action::Action;
use crate::domain::api_key::ApiKey;
use crate::domain::id::{ApiKeyId, UserId};
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;
use crate::service::pagination::Page;
use crate::storage::ApiKeyRemoval;

use super::Administration;

impl Administration {
    /// Lists up to `limit` API keys of a user after `after`, oldest first, expired ones too.
    pub async fn list_api_keys(
        &self,
        request: &RequestContext,
        user_id: UserId,
        after: Option<ApiKeyId>,
        limit: u32,
    ) -> Result<Page<ApiKey>, ServiceError> {
        self.audited(request, Action::ViewUsers, async |operation| {
            self.load_user(&operation, user_id, Action::ViewUsers)
                .await?;
            let read = async |limit| self.database.list_api_keys(user_id, after, limit).await;
            Ok(Page::read(limit, read).await?)
        })
        .await
    }

    /// Revokes an API key of a user at once, and with it the download tokens that it minted.
    pub async fn revoke_api_key(
        &self,
        request: &RequestContext,
        user_id: UserId,
        key_id: ApiKeyId,
    ) -> Result<(), ServiceError> {
        self.audited(request, Action::AdministerUsers, async |operation| {
            self.load_user(&operation, user_id, Action::AdministerUsers)
                .await?;
            operation.protect_own_user(user_id)?;
            operation.set_summary(format!("revoked the API key {key_id}"));
            let conditions = self.sign_in_conditions();
            let removal = Mutex::new(ApiKeyRemoval::NotFound);
            let revoke = async |record| {
                let removed = self
                    .database
                    .remove_api_key(user_id, key_id, &record, &conditions);
                let removed = removed.await?;
                *removal.lock() = removed;
                Ok(removed == ApiKeyRemoval::Removed)
            };
            if self.write_recorded(&operation, revoke).await? {
                return Ok(());
            }
            match removal.into_inner() {
                ApiKeyRemoval::LastAdmin => {
                    operation.set_summary(format!("the last admin signs in with {key_id}"));
                    Err(ServiceError::LastAdminKey)
                }
                ApiKeyRemoval::Removed | ApiKeyRemoval::NotFound => {
                    operation.set_summary(format!("the user has no API key {key_id}"));
                    Err(ServiceError::NotFound { what: "API key" })
                }
            }
        })
        .await
    }
}
