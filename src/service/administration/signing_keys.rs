//! The signing keys, as administrators list them, without their private parts.

use crate::domain::action::Action;
use crate::domain::resource::Resource;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;
use crate::service::tokens::key_schedule::{KeySchedule, NextState};
use crate::storage::{KeyState, StoredSigningKey};

use super::Administration;

/// A signing key without its private part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKeyInfo {
    /// Its id: its RFC 7638 thumbprint.
    pub kid: String,
    /// Its state in the rotation.
    pub state: KeyState,
    /// When it was created and published, in seconds since 1970 UTC.
    pub created_at: i64,
    /// When it began to sign.
    pub activated_at: Option<i64>,
    /// When it ceased to sign.
    pub deactivated_at: Option<i64>,
    /// When it was retired.
    pub retired_at: Option<i64>,
    /// When it was revoked.
    pub revoked_at: Option<i64>,
    /// What becomes of it next.
    pub next_state: Option<NextState>,
}

impl SigningKeyInfo {
    /// What is told of these keys.
    #[must_use]
    pub fn of_all(stored: &[StoredSigningKey], schedule: &KeySchedule) -> Vec<Self> {
        let told = stored.iter().map(|key| Self {
            next_state: schedule.next_state(stored, key),
            kid: key.kid.clone(),
            state: key.state,
            created_at: key.created_at,
            activated_at: key.activated_at,
            deactivated_at: key.deactivated_at,
            retired_at: key.retired_at,
            revoked_at: key.revoked_at,
        });
        told.collect()
    }
}

impl Administration {
    /// Lists all signing keys, oldest first.
    pub async fn list_signing_keys(
        &self,
        request: &RequestContext,
        schedule: &KeySchedule,
    ) -> Result<Vec<SigningKeyInfo>, ServiceError> {
        self.audited(request, Action::ViewKeys, async |operation| {
            operation.set_summary("signing keys listed");
            operation.authorize(Action::ViewKeys, &Resource::Server)?;
            let stored = self.database.list_signing_keys().await?;
            Ok(SigningKeyInfo::of_all(&stored, schedule))
        })
        .await
    }
}
