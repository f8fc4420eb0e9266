//! Mints: what a download token's mint was asked with.
//!
//! A download must put the same question to the policies as the mint did, and `context` says how
//! the caller authenticated, with which API key. A token does not carry that (it travels in URLs), but its `jti` is the
//! id of its audit record, which does. This module refuses to know what the answer is used for.

use std::time::Duration;

use moka::future::Cache;

use crate::domain::audit::Mint;
use crate::domain::decision::LONGEST_TOKEN_LIFE;
use crate::domain::id::RecordId;
use crate::service::error::ServiceError;
use crate::storage::Database;

/// The most mints that are remembered; the database knows the others.
const MOST_REMEMBERED: u64 = 100_000;

/// Knows with what the mint of a living token was asked.
pub struct Mints {
    database: Database,
    remembered: Cache<RecordId, Mint>,
}

impl Mints {
    /// The mints on record in a database.
    #[must_use]
    pub fn of(database: Database) -> Self {
        let longest_life = Duration::from_secs(u64::from(LONGEST_TOKEN_LIFE));
        Self {
            database,
            remembered: Cache::builder()
                .max_capacity(MOST_REMEMBERED)
                .time_to_live(longest_life)
                .build(),
        }
    }

    /// Remembers a mint that is about to be recorded, so that its download need not look it up.
    pub async fn remember(&self, id: RecordId, mint: Mint) {
        self.remembered.insert(id, mint).await;
    }

    /// With what the mint `id` was asked; nothing when no granted mint of that id is on record.
    pub async fn find(&self, id: RecordId) -> Result<Option<Mint>, ServiceError> {
        if let Some(mint) = self.remembered.get(&id).await {
            return Ok(Some(mint));
        }
        let found = self.database.find_mint(id).await?;
        if let Some(mint) = found {
            self.remembered.insert(id, mint).await;
        }
        Ok(found)
    }
}
