//! When API keys were last used, to the hour.
//!
//! Owners want to know which keys are unused, and no request should wait for that: a use is written in
//! the background, at most once an hour for each key.

use moka::sync::Cache;

use crate::domain::api_key::ApiKey;
use crate::domain::id::ApiKeyId;
use crate::storage::Database;

/// How long a recorded use stands for later ones, in seconds.
const RECORD_INTERVAL: i64 = 3600;
/// How many keys have their last recorded use cached; the database knows the others.
const MAX_CACHED_KEYS: u64 = 100_000;

/// Records when API keys are used.
pub struct LastUsedRecorder {
    database: Database,
    recorded: Cache<ApiKeyId, i64>,
}

impl LastUsedRecorder {
    /// Records uses in a database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self {
            database,
            recorded: Cache::new(MAX_CACHED_KEYS),
        }
    }

    /// Records that a key is used at `now` (seconds since 1970 UTC), unless that was recorded recently.
    ///
    /// A use that cannot be written is lost: the next one comes within the hour.
    pub fn record_use(&self, key: &ApiKey, now: i64) {
        let due = now - RECORD_INTERVAL;
        let recorded = self.recorded.get(&key.id).max(key.last_used);
        if recorded.is_some_and(|recorded| recorded > due) {
            return;
        }
        self.recorded.insert(key.id, now);
        let (database, id) = (self.database.clone(), key.id);
        tokio::spawn(async move {
            if let Err(error) = database.record_api_key_use(id, now, due).await {
                tracing::warn!(%error, api_key = %id, "last use of API key not recorded");
            }
        });
    }
}
