//! Mint contexts: how the caller of a mint authenticated, for the download that follows.
//!
//! A download must ask the policies the same as its mint did, and Cedar's `context` includes how the
//! caller authenticated and with which API key. A token does not carry that (it travels in URLs), but
//! its `jti` is the id of its audit record, which does.

use std::time::Duration;

use moka::future::Cache;

use crate::domain::audit::MintContext;
use crate::domain::decision::MAX_TOKEN_TTL;
use crate::domain::id::RecordId;
use crate::service::error::ServiceError;
use crate::storage::Database;

/// How many mints are cached; the database knows the others.
const MAX_CACHED_MINTS: u64 = 100_000;

/// Finds the mint contexts of unexpired download tokens.
pub struct MintContexts {
    database: Database,
    cache: Cache<RecordId, MintContext>,
}

impl MintContexts {
    /// The recorded mints of a database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self {
            database,
            cache: Cache::builder()
                .max_capacity(MAX_CACHED_MINTS)
                .time_to_live(Duration::from_secs(u64::from(MAX_TOKEN_TTL)))
                .build(),
        }
    }

    /// Caches a mint that is about to be recorded, so that its download need not query the database.
    pub async fn insert(&self, id: RecordId, context: MintContext) {
        self.cache.insert(id, context).await;
    }

    /// The context of the mint `id`; nothing when no granted mint with that id is recorded.
    pub async fn find(&self, id: RecordId) -> Result<Option<MintContext>, ServiceError> {
        if let Some(context) = self.cache.get(&id).await {
            return Ok(Some(context));
        }
        let found = self.database.find_mint_context(id).await?;
        if let Some(context) = found {
            self.cache.insert(id, context).await;
        }
        Ok(found)
    }
}
