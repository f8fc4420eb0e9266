//! The cache of datasets: those used lately as they are, and as many as there is room for packed, so that a
//! dataset that was not used lately costs a microsecond and no statement.
//!
//! What is cached is right for one version of the catalog. For a newer one the datasets that changed since are
//! dropped, and all of them if it is not known which. What is read from the database meanwhile is added only if
//! it did not change since the reading began, so nothing older than the version in force stays.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::sync::Cache;
use parking_lot::RwLock;
use tokio::sync::Notify;

use super::lookup::ENTRY_SIZE;
use super::resident_datasets::ResidentDatasets;
use crate::domain::dataset::Dataset;
use crate::domain::id::DatasetId;
use crate::domain::recent_table::RecentTable;
use crate::storage::{CacheVersions, Database, DatasetChanges, StorageError};

/// The most bytes of datasets that were used lately, beside the hot ones.
const MAX_RECENT_SIZE: u64 = 16 * 1024 * 1024;
/// The most datasets that are found without the bookkeeping of a cache that is bounded in bytes, and the most bytes of
/// each of them.
const MAX_HOT_DATASETS: usize = 4096;
const MAX_HOT_SIZE: usize = 2 * 1024;
/// The most bytes of packed datasets: about a million small ones take half of it.
const MAX_RESIDENT_SIZE: usize = 224 * 1024 * 1024;
/// How many changes are remembered for what is being read meanwhile.
const MAX_REMEMBERED_CHANGES: usize = 64;
/// How long after everything was dropped all is read again: a start, or what follows a large change, goes first.
const FILL_DELAY: Duration = Duration::from_secs(1);
/// How many datasets are read at once to be packed.
const FILL_PAGE_SIZE: u32 = 500;
/// How long to wait before reading again after a failure.
const FILL_RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// How often everything was dropped before, and the id.
type RecentKey = (u64, DatasetId);

/// Datasets by id, right for one version of the catalog.
pub(super) struct DatasetCache {
    database: Database,
    state: RwLock<State>,
    recent: Cache<RecentKey, Arc<Dataset>>,
    /// Small ones that were used lately.
    hot: RecentTable<RecentKey, Arc<Dataset>>,
    emptied: Notify,
}

struct State {
    /// What it is right for.
    versions: Option<CacheVersions>,
    moment: Moment,
    /// The datasets of the last changes, the newest last.
    changes: VecDeque<BTreeSet<DatasetId>>,
    resident: ResidentDatasets,
}

/// When a dataset was looked up or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moment {
    /// How often everything was dropped before.
    fill: u64,
    /// How many changes were met before.
    change: u64,
}

impl State {
    /// Whether what was read since a moment is right now.
    fn is_unchanged_since(&self, read: Moment, id: DatasetId) -> bool {
        let Ok(later) = usize::try_from(self.moment.change - read.change) else {
            return false;
        };
        let mut changes = self.changes.iter().rev().take(later);
        read.fill == self.moment.fill
            && later <= self.changes.len()
            && !changes.any(|changed| changed.contains(&id))
    }
}

impl DatasetCache {
    /// An empty cache over a database.
    pub(super) fn new(database: Database) -> Self {
        let size = |_: &RecentKey, dataset: &Arc<Dataset>| {
            u32::try_from(ENTRY_SIZE + dataset.approximate_size()).unwrap_or(u32::MAX)
        };
        let recent = Cache::builder()
            .max_capacity(MAX_RECENT_SIZE)
            .weigher(size)
            .build();
        Self {
            database,
            state: RwLock::new(State {
                versions: None,
                moment: Moment { fill: 0, change: 0 },
                changes: VecDeque::new(),
                resident: ResidentDatasets::new(MAX_RESIDENT_SIZE),
            }),
            recent,
            hot: RecentTable::new(MAX_HOT_DATASETS),
            emptied: Notify::new(),
        }
    }

    /// The dataset with an id, if it is cached and was used lately.
    pub(super) fn recent(&self, id: DatasetId) -> Option<Arc<Dataset>> {
        let state = self.state.read();
        self.recent_at((state.moment.fill, id))
    }

    /// The state is locked meanwhile, so that nothing is added that was just dropped.
    fn recent_at(&self, key: RecentKey) -> Option<Arc<Dataset>> {
        if let Some(dataset) = self.hot.get(&key) {
            return Some(dataset);
        }
        let dataset = self.recent.get(&key)?;
        self.keep_hot(key, &dataset);
        Some(dataset)
    }

    /// Keeps a small one where it is found first.
    fn keep_hot(&self, key: RecentKey, dataset: &Arc<Dataset>) {
        if dataset.approximate_size() <= MAX_HOT_SIZE {
            self.hot.insert(key, Arc::clone(dataset));
        }
    }

    /// The dataset with an id, if it is cached.
    pub(super) fn cached(&self, id: DatasetId) -> Option<Arc<Dataset>> {
        let state = self.state.read();
        let key = (state.moment.fill, id);
        if let Some(dataset) = self.hot.get(&key) {
            return Some(dataset);
        }
        let Some(dataset) = state.resident.get(id) else {
            return self.recent_at(key);
        };
        if dataset.approximate_size() > MAX_HOT_SIZE {
            return Some(self.recent.get_with(key, || Arc::new(dataset)));
        }
        let dataset = Arc::new(dataset);
        self.keep_hot(key, &dataset);
        Some(dataset)
    }

    /// Reads the dataset with an id, or nothing if there is none.
    pub(super) async fn load(&self, id: DatasetId) -> Result<Option<Arc<Dataset>>, StorageError> {
        let moment = self.state.read().moment;
        let Some(dataset) = self.database.find_dataset(id).await? else {
            return Ok(None);
        };
        let dataset = Arc::new(dataset);
        let mut state = self.state.write();
        if state.is_unchanged_since(moment, id) {
            let key = (moment.fill, id);
            self.recent.insert(key, Arc::clone(&dataset));
            self.keep_hot(key, &dataset);
            state.resident.put(&dataset);
        }
        Ok(Some(dataset))
    }

    /// Makes the cache right for newer versions, before anybody learns of them.
    pub(super) async fn advance(&self, versions: &CacheVersions) {
        let catalog = |versions: &CacheVersions| (versions.catalog, versions.epochs.0);
        let before = self.state.read().versions;
        let changes = match before {
            Some(before) if catalog(&before) == catalog(versions) => return,
            Some(before) => {
                let changes = self.database.dataset_changes(&before, versions).await;
                // Unknown is any.
                changes.unwrap_or(DatasetChanges::Any)
            }
            None => DatasetChanges::Any,
        };
        let mut state = self.state.write();
        state.versions = Some(*versions);
        match changes {
            DatasetChanges::Any => {
                state.moment.fill += 1;
                state.changes.clear();
                let none = ResidentDatasets::new(MAX_RESIDENT_SIZE);
                let dropped = std::mem::replace(&mut state.resident, none);
                drop(state);
                // Nobody waits while a large one is freed.
                drop(dropped);
                self.hot.clear();
                self.recent.invalidate_all();
                self.emptied.notify_one();
            }
            DatasetChanges::These(datasets) => {
                for id in &datasets {
                    self.recent.invalidate(&(state.moment.fill, *id));
                    self.hot.remove(&(state.moment.fill, *id));
                    state.resident.remove(*id);
                }
                state.moment.change += 1;
                state.changes.push_back(datasets);
                if state.changes.len() > MAX_REMEMBERED_CHANGES {
                    state.changes.pop_front();
                }
            }
        }
    }

    /// Reads all datasets and packs them, again whenever everything was dropped; never ends.
    pub(super) async fn fill(&self) {
        loop {
            self.emptied.notified().await;
            tokio::time::sleep(FILL_DELAY).await;
            self.fill_once().await;
        }
    }

    /// Reads all datasets and packs them, as far as there is room and nothing drops them meanwhile.
    async fn fill_once(&self) {
        let fill = self.state.read().moment.fill;
        let mut after = None;
        loop {
            let (began, moment) = (Instant::now(), self.state.read().moment);
            if moment.fill != fill {
                return;
            }
            let page = match self.database.list_datasets(after, FILL_PAGE_SIZE).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::debug!(%error, "datasets not read ahead; trying again");
                    tokio::time::sleep(FILL_RETRY_INTERVAL).await;
                    continue;
                }
            };
            let is_last = page.len() < FILL_PAGE_SIZE as usize;
            if !self.add_page(moment, &page) || is_last {
                return;
            }
            after = page.last().map(|dataset| dataset.id);
            // Requests come first.
            tokio::time::sleep(began.elapsed() / 2).await;
        }
    }

    /// Packs datasets that were read since a moment; false if there is no room.
    fn add_page(&self, read: Moment, page: &[Dataset]) -> bool {
        let mut has_room = true;
        for dataset in page {
            // One by one, so that nobody waits for long.
            let mut state = self.state.write();
            if state.is_unchanged_since(read, dataset.id) {
                has_room = state.resident.put(dataset);
            }
        }
        has_room
    }
}

#[cfg(test)]
mod tests;
