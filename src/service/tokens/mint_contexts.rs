//! Mint contexts: how the caller of a mint authenticated, for the download that follows.
//!
//! A download must ask the policies the same as its mint did, and Cedar's `context` includes how the
//! caller authenticated and with which API key. A token does not carry that (it travels in URLs), but
//! its `jti` is the id of its audit record, which does.

use crate::domain::audit::MintContext;
use crate::domain::id::RecordId;
use crate::domain::recent_table::RecentTable;
use crate::service::error::ServiceError;
use crate::storage::Database;

/// How many mints are remembered, at about 60 bytes each; the database knows the others.
const MAX_REMEMBERED_MINTS: usize = 100_000;

/// Finds the mint contexts of unexpired download tokens.
///
/// The context of a mint never changes, so one that is remembered is never out of date.
pub struct MintContexts {
    database: Database,
    recent: RecentTable<RecordId, MintContext>,
}

impl MintContexts {
    /// The recorded mints of a database.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self {
            database,
            recent: RecentTable::new(MAX_REMEMBERED_MINTS),
        }
    }

    /// Remembers a mint that is about to be recorded, so that its download need not query the database.
    pub fn insert(&self, id: RecordId, context: MintContext) {
        self.recent.insert(id, context);
    }

    /// The context of the mint `id`; nothing when no granted mint with that id is recorded.
    pub async fn find(&self, id: RecordId) -> Result<Option<MintContext>, ServiceError> {
        if let Some(context) = self.recent.get(&id) {
            return Ok(Some(context));
        }
        let found = Box::pin(self.database.find_mint_context(id)).await?;
        if let Some(context) = found {
            self.recent.insert(id, context);
        }
        Ok(found)
    }
}
