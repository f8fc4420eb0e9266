//! The versions of the catalog and of the sessions that are in force here, followed in the database.
//!
//! Each version that is met is a new generation, also if its number was met before: a failover that loses a
//! change may give its number to another one. While the versions cannot be read there is no generation, and
//! the same goes for versions that were read too long ago.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::storage::{CacheVersions, Database, StorageError};

/// How old the last look at the versions may be: without a later one, nothing cached is used.
const MAX_VERSION_AGE: Duration = Duration::from_secs(5);
/// No generation.
const UNKNOWN: i64 = i64::MIN;

/// The versions that caches depend on.
pub(super) struct CatalogVersions {
    database: Database,
    /// The versions that were read last, or nothing while the database is unavailable.
    known: Mutex<Option<CacheVersions>>,
    catalog: Generation,
    sessions: Generation,
    opened_at: Instant,
    /// When the last look began, in milliseconds since `opened_at`.
    looked_at: AtomicU64,
    /// How many looks were asked for.
    requested: AtomicU64,
    /// Held while the database is asked.
    last_look: tokio::sync::Mutex<Look>,
}

/// A look at the versions, and which requests for one it answers.
#[derive(Default)]
struct Look {
    answers_up_to: u64,
    failure: Option<StorageError>,
}

/// What a look found to be different.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct VersionChanges {
    pub(super) catalog: bool,
    pub(super) sessions: bool,
}

/// The number of the current generation, and of the next one: none comes twice.
struct Generation {
    current: AtomicI64,
    next: AtomicI64,
}

impl Generation {
    fn new() -> Self {
        Self {
            current: AtomicI64::new(UNKNOWN),
            next: AtomicI64::new(0),
        }
    }

    fn advance(&self, is_known: bool) {
        let current = if is_known {
            self.next.fetch_add(1, Ordering::SeqCst)
        } else {
            UNKNOWN
        };
        self.current.store(current, Ordering::SeqCst);
    }
}

impl CatalogVersions {
    pub(super) fn new(database: Database) -> Self {
        Self {
            database,
            known: Mutex::default(),
            catalog: Generation::new(),
            sessions: Generation::new(),
            opened_at: Instant::now(),
            looked_at: AtomicU64::new(0),
            requested: AtomicU64::new(0),
            last_look: tokio::sync::Mutex::default(),
        }
    }

    /// The generation of the catalog, unless it is unknown.
    pub(super) fn catalog(&self) -> Option<i64> {
        self.current(&self.catalog)
    }

    /// The generation of the sessions, unless it is unknown.
    pub(super) fn sessions(&self) -> Option<i64> {
        self.current(&self.sessions)
    }

    /// Whether this number of the catalog's version is in force.
    pub(super) fn is_catalog_at(&self, version: i64) -> bool {
        self.known.lock().map(|known| known.catalog) == Some(version)
    }

    /// Reads the versions once and puts them in force.
    ///
    /// All who ask meanwhile share one look that began after they asked: versions are never put in force in
    /// another order than they were read in, and many writers do not become many looks. `prepare` runs before
    /// they are put in force: whoever learns of them finds what it does done.
    pub(super) async fn refresh(
        &self,
        prepare: impl AsyncFnOnce(&CacheVersions),
    ) -> (VersionChanges, Result<(), StorageError>) {
        let ticket = self.requested.fetch_add(1, Ordering::SeqCst) + 1;
        let mut last_look = self.last_look.lock().await;
        let mut changes = VersionChanges::default();
        if last_look.answers_up_to < ticket {
            let answers_up_to = self.requested.load(Ordering::SeqCst);
            let began = self.opened_at.elapsed();
            let versions = self.database.versions().await;
            if let Ok(versions) = &versions {
                prepare(versions).await;
            }
            changes = self.put_in_force(versions.as_ref().ok(), began);
            *last_look = Look {
                answers_up_to,
                failure: versions.err(),
            };
        }
        (changes, last_look.failure.clone().map_or(Ok(()), Err))
    }

    fn put_in_force(&self, found: Option<&CacheVersions>, began: Duration) -> VersionChanges {
        let mut known = self.known.lock();
        let catalog = |versions: &CacheVersions| (versions.catalog, versions.epochs.0);
        let sessions = |versions: &CacheVersions| (versions.sessions, versions.epochs.1);
        let changes = VersionChanges {
            catalog: known.as_ref().map(catalog) != found.map(catalog),
            sessions: known.as_ref().map(sessions) != found.map(sessions),
        };
        if changes.catalog {
            self.catalog.advance(found.is_some());
        }
        if changes.sessions {
            self.sessions.advance(found.is_some());
        }
        *known = found.copied();
        let began = u64::try_from(began.as_millis()).unwrap_or(u64::MAX);
        self.looked_at.store(began, Ordering::SeqCst);
        changes
    }

    fn current(&self, generation: &Generation) -> Option<i64> {
        let looked_at = Duration::from_millis(self.looked_at.load(Ordering::SeqCst));
        if self.opened_at.elapsed().saturating_sub(looked_at) > MAX_VERSION_AGE {
            return None;
        }
        let current = generation.current.load(Ordering::SeqCst);
        (current != UNKNOWN).then_some(current)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::tests::empty_database;

    fn versions(catalog: i64, epoch: i64) -> CacheVersions {
        CacheVersions {
            catalog,
            sessions: 0,
            epochs: (epoch, 0),
        }
    }

    #[tokio::test]
    async fn another_change_with_the_number_of_a_lost_one_is_another_generation() {
        let folder = tempfile::tempdir().unwrap();
        let follower = CatalogVersions::new(empty_database(folder.path()).await);
        assert_eq!(follower.catalog(), None);
        let mut met = Vec::new();
        for (version, epoch) in [(7, 1), (7, 2), (6, 1), (7, 1)] {
            let now = follower.opened_at.elapsed();
            let changes = follower.put_in_force(Some(&versions(version, epoch)), now);
            assert!(changes.catalog);
            met.push(follower.catalog().unwrap());
        }
        met.dedup();
        assert_eq!(met.len(), 4);
        let same = follower.put_in_force(Some(&versions(7, 1)), follower.opened_at.elapsed());
        assert!(!same.catalog && !same.sessions);
        follower.put_in_force(None, follower.opened_at.elapsed());
        assert_eq!((follower.catalog(), follower.sessions()), (None, None));
    }

    #[tokio::test]
    async fn every_change_draws_another_epoch() {
        let folder = tempfile::tempdir().unwrap();
        let database = empty_database(folder.path()).await;
        let before = database.versions().await.unwrap();
        let change = crate::storage::CatalogChange::default();
        database.write_catalog(&change, 0).await.unwrap();
        let after = database.versions().await.unwrap();
        assert_eq!((before.catalog, after.catalog), (0, 1));
        assert_ne!(before.epochs.0, after.epochs.0);
        assert_eq!(before.epochs.1, after.epochs.1);
    }
}
