//! Facts: the users, sessions and datasets that decisions rest on, remembered between requests.
//!
//! Remembered facts belong to one version of the catalog. Every write to the catalog makes a new
//! version, this replica's writes at once and everybody else's within a second
//! ([`Facts::follow`]), and a fact of an older version is never looked at again. Sessions have a
//! version of their own, new whenever one ends early, so that a logout makes nobody forget datasets.
//! While the version is not known the database is away: every question is refused at once, instead
//! of letting each caller find out for itself. This module refuses to know what follows from a fact.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use moka::future::Cache;
use tokio::time::MissedTickBehavior;

use crate::domain::dataset::Dataset;
use crate::domain::id::{DatasetId, SessionId, UserId};
use crate::domain::principal::User;
use crate::domain::session::Session;
use crate::storage::{Database, StorageError, Versions};

use super::error::ServiceError;

/// How often the catalog's version is read: changes made elsewhere are in force within this.
const FOLLOW_EVERY: Duration = Duration::from_millis(250);
/// The most users, the most sessions and the most datasets that are remembered.
const MOST_REMEMBERED: u64 = 50_000;
/// Stands for a version that is not known.
const UNKNOWN: i64 = i64::MIN;

/// Users, sessions and datasets, remembered as long as the catalog does not change.
pub struct Facts {
    database: Database,
    version: AtomicI64,
    session_version: AtomicI64,
    users: Cache<(i64, UserId), Arc<User>>,
    sessions: Cache<(i64, SessionId), Arc<Session>>,
    datasets: Cache<(i64, DatasetId), Arc<Dataset>>,
}

impl Facts {
    /// Facts of a database; nothing is remembered until [`Facts::follow`] knows the version.
    #[must_use]
    pub fn of(database: Database) -> Self {
        Self {
            database,
            version: AtomicI64::new(UNKNOWN),
            session_version: AtomicI64::new(UNKNOWN),
            users: Cache::new(MOST_REMEMBERED),
            sessions: Cache::new(MOST_REMEMBERED),
            datasets: Cache::new(MOST_REMEMBERED),
        }
    }

    /// The user with an id, or nothing.
    pub async fn user(&self, id: UserId) -> Result<Option<Arc<User>>, ServiceError> {
        remembered(&self.users, self.version(), id, || {
            self.database.find_user(id)
        })
        .await
    }

    /// The session with an id, or nothing when it was ended; it may have expired.
    pub async fn session(&self, id: SessionId) -> Result<Option<Arc<Session>>, ServiceError> {
        let version = self.session_version.load(Ordering::SeqCst);
        remembered(&self.sessions, version, id, || {
            self.database.find_session(id)
        })
        .await
    }

    /// The dataset with an id, or nothing.
    pub async fn dataset(&self, id: DatasetId) -> Result<Option<Arc<Dataset>>, ServiceError> {
        remembered(&self.datasets, self.version(), id, || {
            self.database.find_dataset(id)
        })
        .await
    }

    /// At most `limit` datasets whose ids come after `after`, in the order of their ids.
    pub async fn datasets_after(
        &self,
        after: Option<DatasetId>,
        limit: u32,
    ) -> Result<Vec<Arc<Dataset>>, ServiceError> {
        let version = self.version();
        if version == UNKNOWN {
            return Err(away());
        }
        let mut page = Vec::new();
        for dataset in self.database.dataset_page(after, limit).await? {
            // The same facts as the mint's, so that what is prepared for a decision serves both.
            let remembered = self.datasets.get(&(version, dataset.id)).await;
            page.push(match remembered {
                Some(remembered) if *remembered == dataset => remembered,
                Some(_) | None => Arc::new(dataset),
            });
        }
        Ok(page)
    }

    /// Reads the versions once; what is remembered of other versions is forgotten.
    pub async fn refresh(&self) -> Result<(), StorageError> {
        let versions = self.database.versions().await;
        let now = *versions.as_ref().unwrap_or(&Versions {
            catalog: UNKNOWN,
            sessions: UNKNOWN,
        });
        if self.version.swap(now.catalog, Ordering::SeqCst) != now.catalog {
            self.users.invalidate_all();
            self.datasets.invalidate_all();
        }
        if self.session_version.swap(now.sessions, Ordering::SeqCst) != now.sessions {
            self.sessions.invalidate_all();
        }
        versions.map(drop)
    }

    /// Follows the catalog's version for as long as it is polled.
    pub async fn follow(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(FOLLOW_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut was_away = false;
        loop {
            ticks.tick().await;
            match self.refresh().await {
                Ok(()) if was_away => {
                    tracing::info!("the database is back");
                    was_away = false;
                }
                Err(error) if !was_away => {
                    tracing::error!(%error, "the database is away; answering 503 until it is back");
                    was_away = true;
                }
                Ok(()) | Err(_) => {}
            }
        }
    }

    fn version(&self) -> i64 {
        self.version.load(Ordering::SeqCst)
    }
}

fn away() -> ServiceError {
    ServiceError::Unavailable {
        what: "the database",
        source: "it did not answer when it was last asked, a moment ago".into(),
    }
}

async fn remembered<I, T, F>(
    cache: &Cache<(i64, I), Arc<T>>,
    version: i64,
    id: I,
    find: impl FnOnce() -> F,
) -> Result<Option<Arc<T>>, ServiceError>
where
    I: Copy + Eq + std::hash::Hash + Send + Sync + 'static,
    T: Send + Sync + 'static,
    F: Future<Output = Result<Option<T>, StorageError>>,
{
    if version == UNKNOWN {
        return Err(away());
    }
    if let Some(fact) = cache.get(&(version, id)).await {
        return Ok(Some(fact));
    }
    let fact = find().await?.map(Arc::new);
    if let Some(fact) = &fact {
        // The fact may already be newer than `version`, which is harmless; it cannot be older.
        cache.insert((version, id), Arc::clone(fact)).await;
    }
    Ok(fact)
}
