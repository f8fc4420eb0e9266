//! Signing keys, sealed: without the sealing key they are of no use.

use strum::{Display, EnumString, IntoStaticStr, VariantArray, VariantNames};

use super::database::{CALL_TIMEOUT, Database, on_either, run};
use super::error::StorageError;
use super::statements::{execute_once, select};
use crate::domain::text_enum::{TextEnum, UnknownVariant};

/// The state of a signing key.
#[derive(Display, EnumString, IntoStaticStr, VariantArray, VariantNames)]
#[strum(serialize_all = "lowercase")]
#[strum(parse_err_ty = UnknownVariant, parse_err_fn = UnknownVariant::new::<Self>)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Published, not yet signing.
    Next,
    /// Published and signing; there is at most one.
    Current,
    /// Published until the last token it signed has expired.
    Previous,
    /// Neither published nor signing.
    Retired,
}

impl TextEnum for KeyState {
    const NOUN: &'static str = "key state";
}

/// One signing key as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSigningKey {
    /// The key's id: its RFC 7638 thumbprint.
    pub kid: String,
    /// The state of the key.
    pub state: KeyState,
    /// The private key as a compact JWE (RFC 7516 section 7.1).
    pub sealed: String,
    /// When the key was created, in seconds since 1970 UTC.
    pub created_at: i64,
}

impl Database {
    /// Lists all signing keys, oldest first.
    pub async fn list_signing_keys(&self) -> Result<Vec<StoredSigningKey>, StorageError> {
        const SQL: &str =
            "SELECT kid, state, sealed, created_at FROM signing_keys ORDER BY created_at, kid";
        let operation = "list the signing keys";
        let rows: Vec<(String, String, String, i64)> =
            select!(self, operation, "signing_keys", fetch_all(SQL)).await?;
        rows.into_iter()
            .map(|(kid, state, sealed, created_at)| match state.parse() {
                Ok(state) => Ok(StoredSigningKey {
                    kid,
                    state,
                    sealed,
                    created_at,
                }),
                Err(error) => Err(StorageError::Corrupt {
                    table: "signing_keys",
                    detail: format!("key {kid}: {error}"),
                }),
            })
            .collect()
    }

    /// Stores the first signing key, which must be [`KeyState::Current`]; `false` if there is a key already.
    ///
    /// Of replicas that start together exactly one gets `true`; the others then use its key.
    pub async fn insert_first_signing_key(
        &self,
        key: &StoredSigningKey,
    ) -> Result<bool, StorageError> {
        // Two replicas may both see an empty table: then the index on the one current key decides.
        const SQL: &str = "INSERT INTO signing_keys (kid, state, sealed, created_at)
            SELECT $1, $2, $3, $4 WHERE NOT EXISTS (SELECT 1 FROM signing_keys)
            ON CONFLICT DO NOTHING";
        let operation = "store the first signing key";
        if key.state != KeyState::Current {
            return Err(StorageError::Inconsistent {
                operation: operation.into(),
                reason: format!("the first key must be current, not {}", key.state),
            });
        }
        let inserted = execute_once!(
            self,
            operation,
            "signing_keys",
            SQL,
            key.kid.as_str(),
            key.state.as_str(),
            key.sealed.as_str(),
            key.created_at
        );
        Ok(inserted.await? == 1)
    }
}
