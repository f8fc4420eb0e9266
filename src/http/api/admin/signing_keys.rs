//! The signing keys admin API: `GET /admin/keys`, without private parts.
//!
//! The key set API publishes the public parts.

use std::sync::Arc;

use poem_openapi::{Object, OpenApi};

use crate::http::extract::credentials::HeaderCredentials;
use crate::http::openapi::ApiTag;
use crate::http::reply::admin_statuses::ReadAllStatuses;
use crate::http::reply::responses::{ErrorResponse, JsonOk};
use crate::http::reply::timestamp::Timestamp;
use crate::service::administration::{Administration, SigningKeyInfo};
use crate::service::tokens::key_schedule::KeySchedule;
use crate::storage::KeyState;

/// The signing keys admin API.
pub struct SigningKeysApi {
    /// Performs administrative operations.
    pub administration: Arc<Administration>,
    /// When signing keys change.
    pub schedule: KeySchedule,
}

/// All signing keys.
#[derive(Object)]
pub struct SigningKeyList {
    /// The keys, oldest first; not paged, because there are few.
    pub items: Vec<SigningKeyResponse>,
}

/// A signing key, without its private part.
#[derive(Object)]
#[oai(rename = "SigningKeyAnswer")]
pub struct SigningKeyResponse {
    /// The key id: its RFC 7638 thumbprint, as in the key set and in tokens.
    pub kid: String,
    /// Its state in the rotation.
    pub state: KeyState,
    /// When it was created, and published.
    pub created_at: Timestamp,
    /// When it began to sign.
    #[oai(skip_serializing_if_is_none)]
    pub activated_at: Option<Timestamp>,
    /// When it ceased to sign.
    #[oai(skip_serializing_if_is_none)]
    pub deactivated_at: Option<Timestamp>,
    /// When it was retired: it is published no more.
    #[oai(skip_serializing_if_is_none)]
    pub retired_at: Option<Timestamp>,
    /// When it was revoked.
    #[oai(skip_serializing_if_is_none)]
    pub revoked_at: Option<Timestamp>,
    /// The state that it comes into next; none after `retired`.
    #[oai(skip_serializing_if_is_none)]
    pub next_state: Option<KeyState>,
    /// When; none if only a rotation that somebody asks for changes it.
    #[oai(skip_serializing_if_is_none)]
    pub next_state_at: Option<Timestamp>,
}

impl From<SigningKeyInfo> for SigningKeyResponse {
    fn from(key: SigningKeyInfo) -> Self {
        Self {
            kid: key.kid,
            state: key.state,
            created_at: Timestamp(key.created_at),
            activated_at: key.activated_at.map(Timestamp),
            deactivated_at: key.deactivated_at.map(Timestamp),
            retired_at: key.retired_at.map(Timestamp),
            revoked_at: key.revoked_at.map(Timestamp),
            next_state: key.next_state.map(|next| next.state),
            next_state_at: key.next_state.and_then(|next| next.at).map(Timestamp),
        }
    }
}

#[OpenApi(tag = "ApiTag::Administration")]
impl SigningKeysApi {
    /// List signing keys
    ///
    /// Returns all signing keys without their private parts; the key set has their public parts.
    /// Requires `view_keys`.
    #[oai(
        path = "/admin/keys",
        method = "get",
        operation_id = "list_signing_keys"
    )]
    async fn list(
        &self,
        credentials: HeaderCredentials,
    ) -> Result<JsonOk<SigningKeyList>, ErrorResponse<ReadAllStatuses>> {
        let keys = self
            .administration
            .list_signing_keys(&credentials.0, &self.schedule)
            .await?;
        Ok(JsonOk(SigningKeyList {
            items: keys.into_iter().map(SigningKeyResponse::from).collect(),
        }))
    }
}
