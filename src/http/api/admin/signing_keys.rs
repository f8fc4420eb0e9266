//! The signing keys: `GET /admin/keys`, never their private parts.
//!
//! This module refuses to know how keys sign; `key_set_api` publishes their public parts.

use std::sync::Arc;

use poem_openapi::{Enum, Object, OpenApi};

use crate::http::extract::credentials::HeaderCredentials;
use crate::http::openapi::Tags;
use crate::http::reply::responses::{ErrorResponse, ErrorStatuses, JsonOk};
use crate::http::reply::timestamp::Timestamp;
use crate::service::administration::{Administration, SigningKeyInfo};
use crate::storage::KeyState;

/// The operations of the signing keys.
pub struct SigningKeysApi {
    /// What lists them.
    pub administration: Arc<Administration>,
}

/// All signing keys.
#[derive(Object)]
pub struct SigningKeyList {
    /// The keys, oldest first; there are few, and no pages.
    pub items: Vec<SigningKeyResponse>,
}

/// A signing key, without its private part.
#[derive(Object)]
#[oai(rename = "SigningKeyAnswer")]
pub struct SigningKeyResponse {
    /// Its id: its RFC 7638 thumbprint, as in the key set and in tokens.
    pub kid: String,
    /// Where it is in its life.
    pub state: KeyStateWord,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Where a signing key is in its life.
#[derive(Clone, Copy, Enum)]
#[oai(rename_all = "lowercase")]
pub enum KeyStateWord {
    /// Published, not yet signing.
    Next,
    /// Published and signing.
    Current,
    /// Published until the last token it signed is dead.
    Previous,
    /// Neither published nor signing.
    Retired,
}

impl From<KeyState> for KeyStateWord {
    fn from(state: KeyState) -> Self {
        match state {
            KeyState::Next => Self::Next,
            KeyState::Current => Self::Current,
            KeyState::Previous => Self::Previous,
            KeyState::Retired => Self::Retired,
        }
    }
}

impl From<SigningKeyInfo> for SigningKeyResponse {
    fn from(key: SigningKeyInfo) -> Self {
        Self {
            kid: key.kid,
            state: key.state.into(),
            created_at: Timestamp(key.created_at),
        }
    }
}

/// The statuses with which the list may be refused.
pub struct SigningKeysStatuses;

impl ErrorStatuses for SigningKeysStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[(
        403,
        "The policies do not permit you to see the signing keys.",
    )];
}

#[OpenApi(tag = "Tags::Administration")]
impl SigningKeysApi {
    /// List the signing keys
    ///
    /// Their public parts are in the key set; their private parts are in no answer.
    #[oai(
        path = "/admin/keys",
        method = "get",
        operation_id = "list_signing_keys"
    )]
    async fn list(
        &self,
        visitor: HeaderCredentials,
    ) -> Result<JsonOk<SigningKeyList>, ErrorResponse<SigningKeysStatuses>> {
        let keys = self.administration.list_signing_keys(&visitor.0).await?;
        Ok(JsonOk(SigningKeyList {
            items: keys.into_iter().map(SigningKeyResponse::from).collect(),
        }))
    }
}
