//! API keys: their properties and digests, never their text.
//!
//! Adding and removing one increments the catalog version, because caches depend on it; recording a use
//! does not.

use std::collections::BTreeSet;
use std::fmt;

use sqlx::types::Json;
use uuid::Uuid;

use super::admins::{SignInConditions, read_admins};
use super::audit::append;
use super::catalog_changes::name_no_changed_dataset;
use super::catalog_lock::bump_version;
use super::database::{CALL_TIMEOUT, Database, on_either, run};
use super::error::StorageError;
use super::rows::from_columns;
use super::statements::{execute, execute_once, select};
use crate::domain::action::Action;
use crate::domain::api_key::{ApiKey, KeyDigest, KeyName, KeyPrefix, KeyScope};
use crate::domain::audit::AuditRecord;
use crate::domain::id::{ApiKeyId, DatasetId, UserId};

/// How long an API key stays after it has expired, in seconds, if its user has many.
const EXPIRED_KEY_TTL: i64 = 7 * 24 * 3600;

/// How many keys of a user have not expired, and how many there are.
const COUNT: &str =
    "SELECT coalesce(sum(CASE WHEN expires_at <= $2 THEN 0 ELSE 1 END), 0), count(*)
    FROM api_keys WHERE user_id = $1";

/// An API key and the digest of its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredApiKey {
    /// The key.
    pub key: ApiKey,
    /// The SHA-256 of its whole text.
    pub digest: KeyDigest,
}

struct ApiKeyRow {
    id: Uuid,
    user_id: Uuid,
    name: String,
    prefix: String,
    digest: Vec<u8>,
    actions: Option<Json<BTreeSet<Action>>>,
    datasets: Option<Json<BTreeSet<DatasetId>>>,
    created_at: i64,
    expires_at: Option<i64>,
    last_used: Option<i64>,
}

from_columns!(ApiKeyRow {
    id,
    user_id,
    name,
    prefix,
    digest,
    actions,
    datasets,
    created_at,
    expires_at,
    last_used,
});

impl ApiKeyRow {
    fn into_stored(self) -> Result<StoredApiKey, StorageError> {
        let id = ApiKeyId(self.id);
        let corrupt = |column: &str, error: &dyn fmt::Display| StorageError::Corrupt {
            table: "api_keys",
            detail: format!("API key {id}: {column}: {error}"),
        };
        let limit = KeyScope::new(
            self.actions.map(|actions| actions.0),
            self.datasets.map(|datasets| datasets.0),
        );
        let digest = self.digest.try_into();
        Ok(StoredApiKey {
            key: ApiKey {
                id,
                user_id: UserId(self.user_id),
                name: KeyName::new(&self.name).map_err(|e| corrupt("name", &e))?,
                prefix: KeyPrefix::parse(&self.prefix)
                    .ok_or_else(|| corrupt("prefix", &"it does not have ten letters and digits"))?,
                scope: limit.map_err(|e| corrupt("limit", &e))?,
                created_at: self.created_at,
                expires_at: self.expires_at,
                last_used: self.last_used,
            },
            digest: digest
                .map(KeyDigest)
                .map_err(|_| corrupt("digest", &"it does not have 32 bytes"))?,
        })
    }
}

/// The result of removing a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiKeyRemoval {
    /// The key was removed.
    Removed,
    /// The user has no such key; nothing was written.
    NotFound,
    /// No admin could sign in without the key; nothing was written.
    LastAdmin,
}

impl Database {
    /// Adds a key together with its audit record; `false`, without a record, if the user has `max_keys` that
    /// have not expired at `now` (seconds since 1970 UTC).
    ///
    /// Expired keys stay. When there are as many of them, those are removed that are older than the sweep
    /// horizon by [`EXPIRED_KEY_TTL`], which a clock that is wrong for a while does not move.
    pub async fn add_api_key(
        &self,
        stored: &StoredApiKey,
        max_keys: u32,
        now: i64,
        granted: &AuditRecord,
    ) -> Result<bool, StorageError> {
        const DELETE_EXPIRED: &str = "DELETE FROM api_keys WHERE user_id = $1
            AND expires_at <= (SELECT horizon FROM sweep_horizon) - $2";
        const ADD: &str = "INSERT INTO api_keys (id, user_id, name, prefix, digest, actions,
                datasets, created_at, expires_at, last_used)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)";
        let StoredApiKey { key, digest } = stored;
        let user_id = key.user_id.0;
        let max_keys = i64::from(max_keys);
        // Whoever has too many keys makes nobody wait.
        let (active, _): (i64, i64) = select!(
            self,
            "count API keys",
            "api_keys",
            fetch_one(COUNT, user_id, now)
        )
        .await?;
        if active >= max_keys {
            return Ok(false);
        }
        run(CALL_TIMEOUT, "add an API key", "api_keys", async {
            let mut transaction = self.begin_catalog_change().await?;
            // First, so that two additions cannot both count before either has added.
            bump_version(&mut transaction).await?;
            name_no_changed_dataset(&mut transaction).await?;
            let (active, mut stored_keys): (i64, i64) = on_either!(&mut transaction, connection => {
                let query = sqlx::query_as(COUNT).bind(user_id).bind(now);
                query.fetch_one(&mut **connection).await?
            });
            let max_stored = max_keys.saturating_mul(2);
            if stored_keys >= max_stored {
                let deleted = execute!(&mut transaction, DELETE_EXPIRED, user_id, EXPIRED_KEY_TTL)?;
                stored_keys = stored_keys.saturating_sub_unsigned(deleted);
            }
            let is_added = active < max_keys && stored_keys < max_stored;
            if is_added {
                execute!(
                    &mut transaction,
                    ADD,
                    key.id.0,
                    user_id,
                    key.name.as_str(),
                    key.prefix.as_str(),
                    digest.0.as_slice(),
                    key.scope.actions().map(Json),
                    key.scope.datasets().map(Json),
                    key.created_at,
                    key.expires_at,
                    key.last_used
                )?;
            }
            if is_added {
                append(&mut transaction, std::slice::from_ref(granted)).await?;
                transaction.commit().await?;
            } else {
                transaction.rollback().await?;
            }
            Ok(is_added)
        })
        .await
    }

    /// Removes a key of a user together with its audit record, unless there is none (then nothing waits for
    /// other writers), or it is how the last admin signs in.
    pub async fn remove_api_key(
        &self,
        owner: UserId,
        id: ApiKeyId,
        granted: &AuditRecord,
        conditions: &SignInConditions,
    ) -> Result<ApiKeyRemoval, StorageError> {
        const SQL: &str = "DELETE FROM api_keys WHERE id = $1 AND user_id = $2";
        let found = self.find_api_key_by_id(id).await?;
        if found.is_none_or(|key| key.user_id != owner) {
            return Ok(ApiKeyRemoval::NotFound);
        }
        run(CALL_TIMEOUT, "remove an API key", "api_keys", async {
            let mut transaction = self.begin_catalog_change().await?;
            bump_version(&mut transaction).await?;
            name_no_changed_dataset(&mut transaction).await?;
            let admins = read_admins(&mut transaction, conditions).await?;
            if execute!(&mut transaction, SQL, id.0, owner.0)? == 0 {
                transaction.rollback().await?;
                return Ok(ApiKeyRemoval::NotFound);
            }
            let remaining = read_admins(&mut transaction, conditions).await?;
            if remaining.is_empty() && !admins.is_empty() {
                transaction.rollback().await?;
                return Ok(ApiKeyRemoval::LastAdmin);
            }
            append(&mut transaction, std::slice::from_ref(granted)).await?;
            transaction.commit().await?;
            Ok(ApiKeyRemoval::Removed)
        })
        .await
    }

    /// Finds a key by its public prefix, expired or not.
    pub async fn find_api_key(
        &self,
        prefix: KeyPrefix,
    ) -> Result<Option<StoredApiKey>, StorageError> {
        const SQL: &str = "SELECT * FROM api_keys WHERE prefix = $1";
        let row: Option<ApiKeyRow> = select!(
            self,
            "find an API key",
            "api_keys",
            fetch_optional(SQL, prefix.as_str())
        )
        .await?;
        row.map(ApiKeyRow::into_stored).transpose()
    }

    /// Finds a key by its id, expired or not.
    pub async fn find_api_key_by_id(&self, id: ApiKeyId) -> Result<Option<ApiKey>, StorageError> {
        const SQL: &str = "SELECT * FROM api_keys WHERE id = $1";
        let row: Option<ApiKeyRow> = select!(
            self,
            "find an API key",
            "api_keys",
            fetch_optional(SQL, id.0)
        )
        .await?;
        let stored = row.map(ApiKeyRow::into_stored).transpose()?;
        Ok(stored.map(|stored| stored.key))
    }

    /// Lists at most `limit` keys of a user after `after`, oldest first.
    pub async fn list_api_keys(
        &self,
        owner: UserId,
        after: Option<ApiKeyId>,
        limit: u32,
    ) -> Result<Vec<ApiKey>, StorageError> {
        const SQL: &str =
            "SELECT * FROM api_keys WHERE user_id = $1 AND id > $2 ORDER BY id LIMIT $3";
        let after = after.map_or(Uuid::nil(), |id| id.0);
        let rows: Vec<ApiKeyRow> = select!(
            self,
            "list API keys",
            "api_keys",
            fetch_all(SQL, owner.0, after, i64::from(limit))
        )
        .await?;
        let keys = rows.into_iter().map(|row| Ok(row.into_stored()?.key));
        keys.collect()
    }

    /// Records that a key was used at `now`, unless a use after `unless_after` is recorded already (both in
    /// seconds since 1970 UTC).
    pub async fn record_api_key_use(
        &self,
        id: ApiKeyId,
        now: i64,
        unless_after: i64,
    ) -> Result<(), StorageError> {
        const SQL: &str = "UPDATE api_keys SET last_used = $2
            WHERE id = $1 AND (last_used IS NULL OR last_used <= $3)";
        execute_once!(
            self,
            "record the use of an API key",
            "api_keys",
            SQL,
            id.0,
            now,
            unless_after
        )
        .await
        .map(drop)
    }
}
