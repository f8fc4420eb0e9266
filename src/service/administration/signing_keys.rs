//! The signing keys, as administrators see them: never their private parts.
//!
//! This module refuses to know how keys sign and when they turn over.

use crate::domain::action::Action;
use crate::domain::resource::Resource;
use crate::service::identity::request_context::RequestContext;
use crate::storage::{KeyState, StoredSigningKey};

use super::super::error::ServiceError;
use super::{AdminOperation, Administration};

/// A signing key as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKeyInfo {
    /// Its id: its RFC 7638 thumbprint.
    pub kid: String,
    /// Where it is in its life.
    pub state: KeyState,
    /// When it was made, in seconds since 1970 UTC.
    pub created_at: i64,
}

impl Administration {
    /// All signing keys, oldest first.
    pub async fn list_signing_keys(
        &self,
        visitor: &RequestContext,
    ) -> Result<Vec<SigningKeyInfo>, ServiceError> {
        let mut errand = self.begin(visitor, Action::ViewKeys).await?;
        let answer = self.load_signing_keys(&mut errand).await;
        self.end(errand, answer).await
    }

    async fn load_signing_keys(
        &self,
        errand: &mut AdminOperation,
    ) -> Result<Vec<SigningKeyInfo>, ServiceError> {
        errand.set_summary("signing keys listed");
        errand.require(Action::ViewKeys, &Resource::Server)?;
        let stored = self.database.list_signing_keys().await?;
        Ok(stored.into_iter().map(SigningKeyInfo::from).collect())
    }
}

impl From<StoredSigningKey> for SigningKeyInfo {
    fn from(stored: StoredSigningKey) -> Self {
        let StoredSigningKey {
            kid,
            state,
            created_at,
            ..
        } = stored;
        Self {
            kid,
            state,
            created_at,
        }
    }
}
