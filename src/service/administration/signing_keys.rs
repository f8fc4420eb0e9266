//! The signing keys, as administrators list them, without their private parts.

use crate::domain::action::Action;
use crate::domain::resource::Resource;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;
use crate::storage::{KeyState, StoredSigningKey};

use super::Administration;

/// A signing key without its private part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKeyInfo {
    /// Its id: its RFC 7638 thumbprint.
    pub kid: String,
    /// Its state in the rotation.
    pub state: KeyState,
    /// When it was created, in seconds since 1970 UTC.
    pub created_at: i64,
}

impl From<StoredSigningKey> for SigningKeyInfo {
    fn from(stored: StoredSigningKey) -> Self {
        Self {
            kid: stored.kid,
            state: stored.state,
            created_at: stored.created_at,
        }
    }
}

impl Administration {
    /// Lists all signing keys, oldest first.
    pub async fn list_signing_keys(
        &self,
        request: &RequestContext,
    ) -> Result<Vec<SigningKeyInfo>, ServiceError> {
        self.audited(request, Action::ViewKeys, async |operation| {
            operation.set_summary("signing keys listed");
            operation.authorize(Action::ViewKeys, &Resource::Server)?;
            let stored = self.database.list_signing_keys().await?;
            Ok(stored.into_iter().map(SigningKeyInfo::from).collect())
        })
        .await
    }
}
