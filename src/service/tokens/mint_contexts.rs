//! Mints: what a download token's mint was asked with.
//!
//! A download must put the same question to the policies as the mint did, and `context` says how
//! the caller authenticated, with which API key. A token does not carry that (it travels in URLs), but its `jti` is the
//! id of its audit record, which does. This module refuses to know what the answer is used for.

use std::time::Duration;

use moka::future::Cache;

use crate::domain::audit::MintContext;
use crate::domain::decision::MAX_TOKEN_TTL;
use crate::domain::id::RecordId;
use crate::service::error::ServiceError;
use crate::storage::Database;

/// The most mints that are remembered; the database knows the others.
const MAX_CACHED_MINTS: u64 = 100_000;

/// Knows with what the mint of a living token was asked.
pub struct MintContexts {
    database: Database,
    cache: Cache<RecordId, MintContext>,
}

impl MintContexts {
    /// The mints on record in a database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        let longest_life = Duration::from_secs(u64::from(MAX_TOKEN_TTL));
        Self {
            database,
            cache: Cache::builder()
                .max_capacity(MAX_CACHED_MINTS)
                .time_to_live(longest_life)
                .build(),
        }
    }

    /// Remembers a mint that is about to be recorded, so that its download need not look it up.
    pub async fn insert(&self, id: RecordId, mint: MintContext) {
        self.cache.insert(id, mint).await;
    }

    /// With what the mint `id` was asked; nothing when no granted mint of that id is on record.
    pub async fn find(&self, id: RecordId) -> Result<Option<MintContext>, ServiceError> {
        if let Some(mint) = self.cache.get(&id).await {
            return Ok(Some(mint));
        }
        let found = self.database.find_mint_context(id).await?;
        if let Some(mint) = found {
            self.cache.insert(id, mint).await;
        }
        Ok(found)
    }
}
