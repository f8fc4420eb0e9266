//! The signing keys, as administrators see them: never their private parts.
//!
//! This module refuses to know how keys sign and when they turn over.

use crate::domain::action::Action;
use crate::domain::resource::Resource;
use crate::service::identity::request_context::Visitor;
use crate::storage::{KeyState, StoredKey};

use super::super::error::ServiceError;
use super::{Administration, Errand};

/// A signing key as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedKey {
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
        visitor: &Visitor,
    ) -> Result<Vec<ListedKey>, ServiceError> {
        let mut errand = self.begin(visitor, Action::ViewKeys).await?;
        let answer = self.read_signing_keys(&mut errand).await;
        self.end(errand, answer).await
    }

    async fn read_signing_keys(&self, errand: &mut Errand) -> Result<Vec<ListedKey>, ServiceError> {
        errand.note("signing keys listed");
        errand.require(Action::ViewKeys, &Resource::Server)?;
        let stored = self.database.list_signing_keys().await?;
        Ok(stored.into_iter().map(ListedKey::from).collect())
    }
}

impl From<StoredKey> for ListedKey {
    fn from(stored: StoredKey) -> Self {
        let StoredKey {
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
