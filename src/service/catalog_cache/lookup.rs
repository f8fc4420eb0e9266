//! Look-ups in the caches of the catalog: entries of one version, read from the database where they are not cached.

use std::hash::Hash;
use std::sync::Arc;

use moka::future::Cache;

use crate::domain::recent_table::RecentTable;
use crate::service::error::ServiceError;
use crate::storage::StorageError;

/// About how many bytes an entry takes beside its value.
pub(super) const ENTRY_SIZE: usize = 250;
/// The most entries of a kind that are found without the bookkeeping of a cache that is bounded in bytes, and the most
/// bytes of each of them.
const MAX_HOT_ENTRIES: usize = 16 * 1024;
const MAX_HOT_SIZE: usize = 512;

/// Entries that nearly each request asks for: those used lately are found without the cache that is bounded in bytes.
pub(super) struct EntryCache<I, T> {
    hot: RecentTable<(i64, I), Arc<T>>,
    all: Cache<(i64, I), Arc<T>>,
    size: fn(&T) -> usize,
}

impl<I, T> EntryCache<I, T>
where
    I: Copy + Eq + Hash + Send + Sync + 'static,
    T: Send + Sync + 'static,
{
    /// None, of at most about `max_size` bytes beside the hot ones; `size` is how many an entry has.
    pub(super) fn new(max_size: u64, size: fn(&T) -> usize) -> Self {
        Self {
            hot: RecentTable::new(MAX_HOT_ENTRIES),
            all: weighed_cache(max_size, move |entry: &Arc<T>| size(entry)),
            size,
        }
    }

    /// The entry of a version with an id, or what `load` reads; the database is unavailable while no version is known.
    pub(super) async fn get_or_load<F>(
        &self,
        version: Option<i64>,
        id: I,
        load: impl FnOnce() -> F,
    ) -> Result<Option<Arc<T>>, ServiceError>
    where
        F: Future<Output = Result<Option<T>, StorageError>>,
    {
        let key = version.map(|version| (version, id));
        let hot = key.and_then(|key| self.hot.get(&key));
        if hot.is_some() {
            return Ok(hot);
        }
        // Boxed, so that callers have no room for what is rare.
        let entry = Box::pin(get_or_load(&self.all, version, id, load)).await?;
        if let (Some(key), Some(entry)) = (key, &entry)
            && (self.size)(entry) <= MAX_HOT_SIZE
        {
            self.hot.insert(key, Arc::clone(entry));
        }
        Ok(entry)
    }

    /// Drops all.
    pub(super) fn invalidate_all(&self) {
        self.hot.clear();
        self.all.invalidate_all();
    }
}

/// A cache that is bounded in bytes.
pub(super) fn weighed_cache<K, V>(
    max_size: u64,
    size: impl Fn(&V) -> usize + Send + Sync + 'static,
) -> Cache<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    Cache::builder()
        .max_capacity(max_size)
        .weigher(move |_, value| u32::try_from(ENTRY_SIZE + size(value)).unwrap_or(u32::MAX))
        .build()
}

/// The entry of a version with an id, or what `load` reads; the database is unavailable while no version is known.
pub(super) async fn get_or_load<I, T, F>(
    cache: &Cache<(i64, I), Arc<T>>,
    version: Option<i64>,
    id: I,
    load: impl FnOnce() -> F,
) -> Result<Option<Arc<T>>, ServiceError>
where
    I: Copy + Eq + Hash + Send + Sync + 'static,
    T: Send + Sync + 'static,
    F: Future<Output = Result<Option<T>, StorageError>>,
{
    let Some(version) = version else {
        return Err(database_unavailable());
    };
    if let Some(entry) = cache.get(&(version, id)).await {
        return Ok(Some(entry));
    }
    // Boxed, so that callers have no room for what is rare.
    let loading = Box::pin(async {
        let entry = load().await?.map(Arc::new);
        if let Some(entry) = &entry {
            // The entry may already be newer than `version`, which is harmless; it cannot be older.
            cache.insert((version, id), Arc::clone(entry)).await;
        }
        Ok(entry)
    });
    loading.await
}

pub(super) fn database_unavailable() -> ServiceError {
    ServiceError::unavailable("the database", "the last poll of the database failed")
}
