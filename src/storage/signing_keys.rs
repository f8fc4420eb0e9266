//! Signing keys, sealed: without the sealing key they are of no use.

use strum::{Display, EnumString, IntoStaticStr, VariantArray, VariantNames};

use super::audit::append;
use super::database::{CALL_TIMEOUT, Database, FOLLOW_TIMEOUT, Transaction, on_either, run};
use super::error::StorageError;
use super::rows::from_columns;
use super::statements::{execute, select};
use crate::domain::audit::AuditRecord;
use crate::domain::text_enum::{TextEnum, UnknownVariant};

/// How many retired keys are listed, the newest ones.
const MAX_RETIRED_KEYS: i64 = 100;
const TABLE: &str = "signing_keys";

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
    /// Neither published nor signing; its private key is gone.
    Retired,
}

impl TextEnum for KeyState {
    const NOUN: &'static str = "key state";
}

/// One signing key as it is stored; all times are in seconds since 1970 UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSigningKey {
    /// The key's id: its RFC 7638 thumbprint.
    pub kid: String,
    /// The state of the key.
    pub state: KeyState,
    /// The private key as a compact JWE (RFC 7516 section 7.1); empty once the key is retired.
    pub sealed: String,
    /// When the key was created, and published.
    pub created_at: i64,
    /// When it began to sign.
    pub activated_at: Option<i64>,
    /// When somebody asked for the rotation that ends its signing.
    pub rotation_requested_at: Option<i64>,
    /// When it signed last.
    pub deactivated_at: Option<i64>,
    /// When it is to be retired.
    pub retires_at: Option<i64>,
    /// When it was retired.
    pub retired_at: Option<i64>,
    /// When it was revoked.
    pub revoked_at: Option<i64>,
    /// The longest life of a token that it may have signed, in seconds; none before it signs.
    pub token_lifetime: Option<i64>,
}

/// A change of the signing keys: whole, with its record, or not at all.
#[derive(Clone, Debug)]
pub struct SigningKeyChange {
    /// The keys that are new or different.
    pub changed: Vec<StoredSigningKey>,
    /// What is recorded of it.
    pub record: AuditRecord,
}

/// Which change of the signing keys a server has seen; see `CacheVersions` for the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigningKeyVersion {
    version: i64,
    epoch: i64,
}

struct SigningKeyRow {
    kid: String,
    state: String,
    sealed: String,
    created_at: i64,
    activated_at: Option<i64>,
    rotation_requested_at: Option<i64>,
    deactivated_at: Option<i64>,
    retires_at: Option<i64>,
    retired_at: Option<i64>,
    revoked_at: Option<i64>,
    token_lifetime: Option<i64>,
}

from_columns!(SigningKeyRow {
    kid,
    state,
    sealed,
    created_at,
    activated_at,
    rotation_requested_at,
    deactivated_at,
    retires_at,
    retired_at,
    revoked_at,
    token_lifetime,
});

impl SigningKeyRow {
    fn into_stored(self) -> Result<StoredSigningKey, String> {
        Ok(StoredSigningKey {
            state: self
                .state
                .parse()
                .map_err(|error| format!("key {}: {error}", self.kid))?,
            kid: self.kid,
            sealed: self.sealed,
            created_at: self.created_at,
            activated_at: self.activated_at,
            rotation_requested_at: self.rotation_requested_at,
            deactivated_at: self.deactivated_at,
            retires_at: self.retires_at,
            retired_at: self.retired_at,
            revoked_at: self.revoked_at,
            token_lifetime: self.token_lifetime,
        })
    }
}

/// All keys, oldest first.
const LIST: &str = "SELECT kid, state, sealed, created_at, activated_at, rotation_requested_at,
        deactivated_at, retires_at, retired_at, revoked_at, token_lifetime
    FROM signing_keys ORDER BY created_at, kid";

impl Database {
    /// Lists all signing keys, oldest first, and the newest 100 of the retired ones.
    pub async fn list_signing_keys(&self) -> Result<Vec<StoredSigningKey>, StorageError> {
        let operation = "list the signing keys";
        let rows: Vec<SigningKeyRow> = select!(self, operation, TABLE, fetch_all(LIST)).await?;
        let keys = rows.into_iter().map(SigningKeyRow::into_stored);
        keys.collect::<Result<_, _>>()
            .map_err(|detail| StorageError::Corrupt {
                table: TABLE,
                detail,
            })
    }

    /// The version of the signing keys, which every change of them updates.
    pub async fn signing_key_version(&self) -> Result<SigningKeyVersion, StorageError> {
        const SQL: &str = "SELECT version, epoch FROM signing_key_version";
        let operation = "read the version of the signing keys";
        let (version, epoch) = run(FOLLOW_TIMEOUT, operation, "signing_key_version", async {
            let mut follower = self.follower().await?;
            on_either!(&mut follower, connection => {
                sqlx::query_as(SQL).fetch_one(&mut **connection).await
            })
        })
        .await?;
        Ok(SigningKeyVersion { version, epoch })
    }

    /// Changes the signing keys as `plan` says, which sees all of them and runs while no other change can be
    /// made; returns whether there was something to change.
    ///
    /// The change and its record are one transaction: whatever ends the process, there is one current key.
    pub async fn change_signing_keys(
        &self,
        plan: impl FnOnce(&[StoredSigningKey]) -> Option<SigningKeyChange>,
    ) -> Result<bool, StorageError> {
        const LOCK: &str = "UPDATE signing_key_version SET version = version + 1";
        const FORGET: &str = "DELETE FROM signing_keys WHERE state = 'retired' AND kid NOT IN (
            SELECT kid FROM signing_keys WHERE state = 'retired'
            ORDER BY retired_at DESC, kid LIMIT $1)";
        run(CALL_TIMEOUT, "change the signing keys", TABLE, async {
            let mut transaction = self.begin_writing().await?;
            execute!(&mut transaction, LOCK)?;
            let rows: Vec<SigningKeyRow> = on_either!(&mut transaction, connection => {
                sqlx::query_as(LIST).fetch_all(&mut **connection).await
            })?;
            let keys = rows.into_iter().map(SigningKeyRow::into_stored);
            let keys = keys
                .collect::<Result<Vec<_>, _>>()
                .map_err(|detail| sqlx::Error::Decode(detail.into()))?;
            let Some(SigningKeyChange {
                mut changed,
                record,
            }) = plan(&keys)
            else {
                transaction.rollback().await?;
                return Ok(false);
            };
            // There is at most one current key at any moment: the former one goes first.
            changed.sort_by_key(|key| key.state == KeyState::Current);
            for key in &changed {
                write_key(&mut transaction, key).await?;
            }
            execute!(&mut transaction, FORGET, MAX_RETIRED_KEYS)?;
            append(&mut transaction, std::slice::from_ref(&record)).await?;
            transaction.commit().await?;
            Ok(true)
        })
        .await
    }
}

async fn write_key(
    transaction: &mut Transaction,
    key: &StoredSigningKey,
) -> Result<(), sqlx::Error> {
    const SQL: &str = "INSERT INTO signing_keys (kid, state, sealed, created_at, activated_at,
            rotation_requested_at, deactivated_at, retires_at, retired_at, revoked_at, token_lifetime)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        ON CONFLICT (kid) DO UPDATE SET state = excluded.state, sealed = excluded.sealed,
            activated_at = excluded.activated_at,
            rotation_requested_at = excluded.rotation_requested_at,
            deactivated_at = excluded.deactivated_at, retires_at = excluded.retires_at,
            retired_at = excluded.retired_at, revoked_at = excluded.revoked_at,
            token_lifetime = excluded.token_lifetime";
    execute!(
        transaction,
        SQL,
        key.kid.as_str(),
        key.state.as_str(),
        key.sealed.as_str(),
        key.created_at,
        key.activated_at,
        key.rotation_requested_at,
        key.deactivated_at,
        key.retires_at,
        key.retired_at,
        key.revoked_at,
        key.token_lifetime
    )
    .map(drop)
}
