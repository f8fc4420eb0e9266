//! Uses of API keys: when one was last used, coarsely.
//!
//! An owner wants to know which keys lie idle, and no request should wait for that: a use is
//! written beside the request, at most once an hour for each key. This module refuses to know what
//! a key was used for; the audit trail does.

use moka::sync::Cache;

use crate::domain::api_key::ApiKey;
use crate::domain::id::ApiKeyId;
use crate::storage::Database;

/// How long a noted use stands for later ones, in seconds.
const RECORD_INTERVAL: i64 = 3600;
/// The most keys whose last noted use is remembered; the database knows the others.
const MAX_CACHED_KEYS: u64 = 100_000;

/// Notes when API keys are used.
pub struct LastUsedRecorder {
    database: Database,
    recorded: Cache<ApiKeyId, i64>,
}

impl LastUsedRecorder {
    /// Notes uses in a database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self {
            database,
            recorded: Cache::new(MAX_CACHED_KEYS),
        }
    }

    /// Notes that a key is used at `now` (seconds since 1970 UTC), unless that is known well enough.
    ///
    /// A note that cannot be written is lost: the next one comes within the hour.
    pub fn record_use(&self, key: &ApiKey, now: i64) {
        let due = now - RECORD_INTERVAL;
        let noted = self.recorded.get(&key.id).max(key.last_used);
        if noted.is_some_and(|noted| noted > due) {
            return;
        }
        self.recorded.insert(key.id, now);
        let (database, id) = (self.database.clone(), key.id);
        tokio::spawn(async move {
            if let Err(error) = database.record_api_key_use(id, now, due).await {
                tracing::warn!(%error, api_key = %id, "the use of an API key was not noted");
            }
        });
    }
}
