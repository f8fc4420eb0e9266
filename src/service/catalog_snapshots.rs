//! Catalog snapshots: all users and datasets in memory, for a short time, for authors who ask what an edit of the policies
//! changes and then edit again.
//!
//! There is one snapshot at a time, of the generation of the catalog that is in force, and for each of the last callers
//! what it may see of it ([`ViewKey`]). A catalog that takes too much memory is not read. What nobody asks for any more is
//! dropped.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::domain::caller::Caller;
use crate::domain::dataset::Dataset;
use crate::domain::principal::User;
use crate::policy::Bundle;
use crate::storage::{CatalogSize, Database, DatasetColumns};

use super::catalog_cache::CatalogCache;
use super::error::ServiceError;
use super::policies::review::matrix::MatrixCatalog;

/// How long a snapshot is kept after it was asked for.
const SNAPSHOT_LIFETIME: Duration = Duration::from_mins(2);
/// About the most bytes of a snapshot.
const MAX_SNAPSHOT_SIZE: i64 = 384 * 1024 * 1024;
/// About how many bytes a user, a dataset and a share take, and how many a character of tags and attributes.
const USER_SIZE: i64 = 700;
const DATASET_SIZE: i64 = 500;
const SHARE_SIZE: i64 = 60;
const TEXT_SIZE: i64 = 4;
/// For how many callers is kept what they may see; about 20 bytes for each dataset.
const MAX_VIEWS: usize = 4;

/// All users and datasets.
pub(super) struct CatalogSnapshot {
    /// What the catalog cache calls this state of the catalog.
    generation: i64,
    /// The users, by name.
    pub(super) users: Vec<Arc<User>>,
    /// The datasets, by id, without their files.
    pub(super) datasets: Vec<Arc<Dataset>>,
}

/// Of what a view is right.
pub(super) struct ViewKey {
    /// Who looks.
    pub(super) caller: Caller,
    /// The policies that say what it may see.
    pub(super) bundle: Arc<Bundle>,
    /// The seconds since 1970 UTC in which they say so: from the first one until before the second one.
    pub(super) seconds: (i64, i64),
}

struct KeptView {
    key: ViewKey,
    generation: i64,
    view: Arc<MatrixCatalog>,
}

#[derive(Default)]
struct Kept {
    snapshot: Option<Arc<CatalogSnapshot>>,
    views: VecDeque<KeptView>,
    asked_at: Option<Instant>,
    /// Whether a task will drop it.
    is_watched: bool,
}

/// The snapshot that was asked for last.
#[derive(Default)]
pub(super) struct CatalogSnapshots {
    kept: Arc<Mutex<Kept>>,
    /// Held while the catalog is read.
    reading: tokio::sync::Mutex<()>,
}

impl CatalogSnapshots {
    /// The catalog as it is.
    pub(super) async fn current(
        &self,
        database: &Database,
        cache: &CatalogCache,
    ) -> Result<Arc<CatalogSnapshot>, ServiceError> {
        let _reading = self.reading.lock().await;
        // Before it is read: what is read may be newer, and is never older.
        let generation = cache.generation()?;
        if let Some(known) = self.known(generation) {
            return Ok(known);
        }
        require_room(database.catalog_size().await?)?;
        let everything = DatasetColumns {
            tags: true,
            attributes: true,
        };
        let (directory, datasets) = tokio::try_join!(
            database.read_directory(),
            database.read_dataset_facts(everything)
        )?;
        let share = move || CatalogSnapshot {
            generation,
            users: directory
                .users
                .into_iter()
                .map(|record| Arc::new(record.user))
                .collect(),
            datasets: datasets.into_iter().map(Arc::new).collect(),
        };
        let shared = tokio::task::spawn_blocking(share).await;
        let snapshot =
            shared.map_err(|error| ServiceError::internal("reading a catalog", error))?;
        let snapshot = Arc::new(snapshot);
        self.keep(Arc::clone(&snapshot));
        Ok(snapshot)
    }

    /// The kept snapshot, if it is of this generation.
    fn known(&self, generation: i64) -> Option<Arc<CatalogSnapshot>> {
        let mut kept = self.kept.lock();
        kept.asked_at = Some(Instant::now());
        let known = kept.snapshot.clone();
        let known = known.filter(|snapshot| snapshot.generation == generation);
        if known.is_none() {
            // So that there are no two of them while the next one is read.
            kept.snapshot = None;
            kept.views.clear();
        }
        known
    }

    fn keep(&self, snapshot: Arc<CatalogSnapshot>) {
        let mut kept = self.kept.lock();
        kept.snapshot = Some(snapshot);
        if !std::mem::replace(&mut kept.is_watched, true) {
            tokio::spawn(drop_when_unused(Arc::downgrade(&self.kept)));
        }
    }

    /// What a caller may see of a snapshot, if it is known.
    pub(super) fn view(
        &self,
        snapshot: &CatalogSnapshot,
        caller: &Caller,
        bundle: &Arc<Bundle>,
        second: i64,
    ) -> Option<Arc<MatrixCatalog>> {
        let kept = self.kept.lock();
        let found = kept.views.iter().find(|one| {
            let (from, until) = one.key.seconds;
            one.generation == snapshot.generation
                && one.key.caller == *caller
                && Arc::ptr_eq(&one.key.bundle, bundle)
                && (from..until).contains(&second)
        });
        found.map(|one| Arc::clone(&one.view))
    }

    /// Keeps what a caller may see of a snapshot, as long as that is kept: it holds everything that it is about.
    pub(super) fn keep_view(
        &self,
        snapshot: &CatalogSnapshot,
        key: ViewKey,
        view: &Arc<MatrixCatalog>,
    ) {
        let mut kept = self.kept.lock();
        let generation = kept.snapshot.as_ref().map(|kept| kept.generation);
        if generation != Some(snapshot.generation) {
            return;
        }
        kept.views.retain(|one| one.key.caller != key.caller);
        if kept.views.len() >= MAX_VIEWS {
            kept.views.pop_front();
        }
        kept.views.push_back(KeptView {
            key,
            generation: snapshot.generation,
            view: Arc::clone(view),
        });
    }
}

fn require_room(size: CatalogSize) -> Result<(), ServiceError> {
    let parts = [
        (size.users, USER_SIZE),
        (size.datasets, DATASET_SIZE),
        (size.shares, SHARE_SIZE),
        (size.texts, TEXT_SIZE),
    ];
    let bytes = parts.into_iter().fold(0_i64, |sum, (count, size)| {
        sum.saturating_add(count.saturating_mul(size))
    });
    if bytes <= MAX_SNAPSHOT_SIZE {
        return Ok(());
    }
    let detail =
        "the catalog is too large to be looked at as a whole here: use `cedargate policy diff`";
    Err(ServiceError::conflict("catalog", detail))
}

/// Drops what is kept when nobody has asked for it for long enough.
async fn drop_when_unused(kept: Weak<Mutex<Kept>>) {
    loop {
        tokio::time::sleep(SNAPSHOT_LIFETIME).await;
        let Some(kept) = kept.upgrade() else {
            return;
        };
        let mut kept = kept.lock();
        let is_used = |at: Instant| at.elapsed() < SNAPSHOT_LIFETIME;
        if !kept.asked_at.is_some_and(is_used) {
            let dropped = std::mem::take(&mut *kept);
            drop(kept);
            drop(dropped);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::caller::{Authentication, UNSPECIFIED_ADDRESS};
    use crate::domain::client_address::ClientAddress;
    use crate::domain::principal::Principal;

    fn snapshot(generation: i64) -> Arc<CatalogSnapshot> {
        Arc::new(CatalogSnapshot {
            generation,
            users: Vec::new(),
            datasets: Vec::new(),
        })
    }

    fn anonymous() -> Caller {
        Caller {
            principal: Principal::Anonymous,
            authentication: Authentication::None,
            key: None,
            address: ClientAddress::Known(UNSPECIFIED_ADDRESS),
            is_foreign_page: false,
        }
    }

    #[tokio::test]
    async fn of_what_is_not_kept_no_view_is_kept_and_one_task_drops_all() {
        let (snapshots, bundle) = (CatalogSnapshots::default(), Bundle::embedded().unwrap());
        let (bundle, view) = (Arc::new(bundle), Arc::default());
        let generations = [snapshot(1), snapshot(2)];
        let key = || ViewKey {
            caller: anonymous(),
            bundle: Arc::clone(&bundle),
            seconds: (0, 10),
        };
        for generation in &generations {
            snapshots.keep(Arc::clone(generation));
        }
        let kept = generations.each_ref().map(|generation| {
            snapshots.keep_view(generation, key(), &view);
            let found = snapshots.view(generation, &anonymous(), &bundle, 5);
            found.is_some()
        });
        assert_eq!(kept, [false, true]);
        let tasks = tokio::runtime::Handle::current().metrics();
        assert_eq!(tasks.num_alive_tasks(), 1);
    }

    #[test]
    fn a_catalog_that_takes_too_much_memory_is_not_read() {
        let size = CatalogSize {
            users: 1_000,
            datasets: 100_000,
            shares: 200_000,
            texts: 10_000_000,
        };
        assert!(require_room(size).is_ok());
        for large in [
            CatalogSize {
                datasets: 1_000_000,
                ..size
            },
            CatalogSize {
                shares: i64::MAX,
                ..size
            },
        ] {
            assert!(matches!(
                require_room(large),
                Err(ServiceError::Conflict { .. })
            ));
        }
    }
}
