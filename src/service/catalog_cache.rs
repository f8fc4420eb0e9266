//! The catalog cache: users, sessions, API keys and datasets, cached between requests.
//!
//! Cached entries belong to one version of the catalog. Every write to the catalog makes a new
//! version, which this replica sees at once and every other within a second
//! ([`CatalogCache::follow`]), and an entry of an older version is never used again. Sessions
//! have a version of their own, which changes whenever one ends early, so that a logout does not drop
//! datasets. Datasets that did not change stay cached for the next version. While the version is unknown the database is unavailable: every lookup fails at once,
//! instead of each caller waiting for the database.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::domain::api_key::{ApiKey, KeyDigest, KeyPrefix};
use crate::domain::dataset::Dataset;
use crate::domain::id::{ApiKeyId, DatasetId, SessionId, UserId};
use crate::domain::name::{RoleName, Username};
use crate::domain::principal::User;
use crate::domain::session::Session;
use crate::storage::{Database, ExternalUser, StorageError, StoredApiKey};

use self::dataset_cache::DatasetCache;
use self::lookup::{EntryCache, database_unavailable, get_or_load, weighed_cache};
use super::catalog_versions::CatalogVersions;
use super::error::ServiceError;

mod dataset_cache;
mod lookup;
mod packed_dataset;
mod resident_datasets;

/// How often the catalog's version is read: changes made elsewhere are in force within this.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
const _: () = assert!(POLL_INTERVAL.as_millis() <= 500, "within a second");
/// How many users of identity providers, names of users and unknown ids are cached; each entry takes at most about 700
/// bytes.
const MAX_CACHED_ENTRIES: u64 = 50_000;
/// The most bytes of cached users, and of sessions, beside the hot ones.
const MAX_USERS_SIZE: u64 = 16 * 1024 * 1024;
const MAX_SESSIONS_SIZE: u64 = 16 * 1024 * 1024;
/// The most bytes of API keys that are cached by their prefix, and by their id.
const MAX_KEYS_SIZE: u64 = 16 * 1024 * 1024;
/// About how many bytes each dataset in the scope of an API key takes.
const KEY_DATASET_SIZE: usize = 40;

/// Users, sessions, API keys and datasets, cached until the catalog changes.
pub struct CatalogCache {
    database: Database,
    versions: CatalogVersions,
    users: EntryCache<UserId, User>,
    /// The ids of users by the SHA-256 of their names.
    usernames: Cache<(i64, UsernameDigest), Arc<UserId>>,
    sessions: EntryCache<SessionId, Session>,
    datasets: DatasetCache,
    /// Ids that no dataset has, so that an id that was asked about before costs the same whether or not it
    /// is one of a dataset.
    unknown_datasets: Cache<(i64, DatasetId), ()>,
    api_keys: Cache<(i64, KeyPrefix), Arc<CachedApiKey>>,
    api_keys_by_id: Cache<(i64, ApiKeyId), Arc<ApiKey>>,
    external_users: Cache<(i64, SubjectDigest), Arc<ExternalUser>>,
    roles: Cache<(i64, ()), Arc<BTreeSet<RoleName>>>,
    password_costs: Cache<(i64, ()), Arc<Vec<String>>>,
}

/// A user of an identity provider: the SHA-256 of issuer and subject.
type SubjectDigest = [u8; 32];
type UsernameDigest = [u8; 32];

/// An API key and the digest of its text; callers share the key.
pub struct CachedApiKey {
    /// The key.
    pub key: Arc<ApiKey>,
    /// The SHA-256 of its text.
    pub digest: KeyDigest,
}

impl CatalogCache {
    /// A cache over a database; empty until [`CatalogCache::follow`] reads the version.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self {
            versions: CatalogVersions::new(database.clone()),
            datasets: DatasetCache::new(database.clone()),
            database,
            users: EntryCache::new(MAX_USERS_SIZE, User::approximate_size),
            usernames: Cache::new(MAX_CACHED_ENTRIES),
            sessions: EntryCache::new(MAX_SESSIONS_SIZE, |_| size_of::<Session>()),
            unknown_datasets: Cache::new(MAX_CACHED_ENTRIES),
            api_keys: weighed_cache(MAX_KEYS_SIZE, |cached: &Arc<CachedApiKey>| {
                size_of_key(&cached.key)
            }),
            api_keys_by_id: weighed_cache(MAX_KEYS_SIZE, |key: &Arc<ApiKey>| size_of_key(key)),
            external_users: Cache::new(MAX_CACHED_ENTRIES),
            roles: Cache::new(1),
            password_costs: Cache::new(1),
        }
    }

    /// The user with an id, or nothing.
    pub async fn user(&self, id: UserId) -> Result<Option<Arc<User>>, ServiceError> {
        let version = self.versions.catalog();
        let load = || self.database.find_user(id);
        self.users.get_or_load(version, id, load).await
    }

    /// The user with a name, or nothing.
    pub async fn user_by_name(&self, name: &Username) -> Result<Option<Arc<User>>, ServiceError> {
        let key: UsernameDigest = Sha256::digest(name.as_str()).into();
        let id = get_or_load(&self.usernames, self.versions.catalog(), key, || {
            self.database.find_user_id(name)
        })
        .await?;
        match id {
            Some(id) => self.user(*id).await,
            None => Ok(None),
        }
    }

    /// The user of an identity provider with this subject, or nothing.
    pub async fn external_user(
        &self,
        issuer: &str,
        subject: &str,
    ) -> Result<Option<Arc<ExternalUser>>, ServiceError> {
        // An issuer is a URL and has no spaces, so the space separates it unambiguously.
        let key: SubjectDigest = Sha256::digest(format!("{issuer} {subject}")).into();
        get_or_load(&self.external_users, self.versions.catalog(), key, || {
            self.database.find_external_user(issuer, subject)
        })
        .await
    }

    /// The names of all roles of the catalog.
    pub async fn roles(&self) -> Result<Arc<BTreeSet<RoleName>>, ServiceError> {
        let roles = get_or_load(&self.roles, self.versions.catalog(), (), async || {
            let names = self.database.role_names().await?;
            Ok(Some(names.into_iter().collect()))
        })
        .await?;
        Ok(roles.unwrap_or_default())
    }

    /// The costs of all password hashes of the catalog, as PHC strings have them.
    pub async fn password_costs(&self) -> Result<Arc<Vec<String>>, ServiceError> {
        let costs = get_or_load(
            &self.password_costs,
            self.versions.catalog(),
            (),
            async || Ok(Some(self.database.password_costs().await?)),
        )
        .await?;
        Ok(costs.unwrap_or_default())
    }

    /// The session with an id, or nothing when it was ended; it may have expired.
    pub async fn session(&self, id: SessionId) -> Result<Option<Arc<Session>>, ServiceError> {
        let version = self.versions.sessions();
        let load = || self.database.find_session(id);
        self.sessions.get_or_load(version, id, load).await
    }

    /// The dataset with an id, or nothing.
    pub async fn dataset(&self, id: DatasetId) -> Result<Option<Arc<Dataset>>, ServiceError> {
        let Some(version) = self.versions.catalog() else {
            return Err(database_unavailable());
        };
        if let Some(found) = self.datasets.cached(id) {
            return Ok(Some(found));
        }
        if self.unknown_datasets.get(&(version, id)).await.is_some() {
            return Ok(None);
        }
        // Boxed, so that callers have no room for what is rare.
        Box::pin(self.load_dataset(version, id)).await
    }

    async fn load_dataset(
        &self,
        version: i64,
        id: DatasetId,
    ) -> Result<Option<Arc<Dataset>>, ServiceError> {
        let found = self.datasets.load(id).await?;
        if found.is_none() {
            self.unknown_datasets.insert((version, id), ()).await;
        }
        Ok(found)
    }

    /// At most `limit` datasets whose ids come after `after`, in the order of their ids.
    pub async fn datasets_after(
        &self,
        after: Option<DatasetId>,
        limit: u32,
    ) -> Result<Vec<Arc<Dataset>>, ServiceError> {
        if self.versions.catalog().is_none() {
            return Err(database_unavailable());
        }
        let mut page = Vec::new();
        for dataset in self.database.list_datasets(after, limit).await? {
            // The same value as the mint's, so that the entities prepared for a decision serve both.
            let cached = self.datasets.recent(dataset.id);
            page.push(match cached {
                Some(cached) if *cached == dataset => cached,
                Some(_) | None => Arc::new(dataset),
            });
        }
        Ok(page)
    }

    /// The API key with a prefix, expired ones too, or nothing.
    pub async fn api_key(
        &self,
        prefix: KeyPrefix,
    ) -> Result<Option<Arc<CachedApiKey>>, ServiceError> {
        get_or_load(
            &self.api_keys,
            self.versions.catalog(),
            prefix,
            async || {
                let found = self.database.find_api_key(prefix).await?;
                Ok(found.map(|StoredApiKey { key, digest }| CachedApiKey {
                    key: Arc::new(key),
                    digest,
                }))
            },
        )
        .await
    }

    /// The API key with an id, expired ones too, or nothing.
    pub async fn api_key_by_id(&self, id: ApiKeyId) -> Result<Option<Arc<ApiKey>>, ServiceError> {
        get_or_load(&self.api_keys_by_id, self.versions.catalog(), id, || {
            self.database.find_api_key_by_id(id)
        })
        .await
    }

    /// Reads the versions once, and drops the entries of other versions.
    pub async fn refresh(&self) -> Result<(), StorageError> {
        let prepare = async |versions: &_| self.datasets.advance(versions).await;
        let (changes, result) = self.versions.refresh(prepare).await;
        if changes.catalog {
            self.users.invalidate_all();
            self.usernames.invalidate_all();
            self.unknown_datasets.invalidate_all();
            self.api_keys.invalidate_all();
            self.api_keys_by_id.invalidate_all();
            self.external_users.invalidate_all();
            self.roles.invalidate_all();
            self.password_costs.invalidate_all();
        }
        if changes.sessions {
            self.sessions.invalidate_all();
        }
        result
    }

    /// The generation of the catalog: what was read since it is known is not older.
    pub(super) fn generation(&self) -> Result<i64, ServiceError> {
        self.versions.catalog().ok_or_else(database_unavailable)
    }

    /// Whether the catalog is followed, so that lookups do not fail.
    #[must_use]
    pub fn is_followed(&self) -> bool {
        self.versions.catalog().is_some()
    }

    /// Puts a committed write in force in this process at once; other replicas poll for it.
    ///
    /// If the version cannot be read, nothing is cached until it is known again, so that nothing is
    /// out of date.
    pub async fn refresh_after_write(&self) {
        if let Err(error) = self.refresh().await {
            tracing::warn!(%error, "catalog version not read after a write");
        }
    }

    /// Catches up with a version that was just read from the database, so that a decision about a change
    /// of that version knows what others changed before it.
    pub async fn catch_up(&self, version: i64) -> Result<(), ServiceError> {
        if !self.versions.is_catalog_at(version) {
            self.refresh().await?;
        }
        Ok(())
    }

    /// Reads the versions again and again, and the datasets ahead.
    pub async fn follow(self: Arc<Self>) {
        // In a task of its own, which ends with this one: if it fails, versions are followed all the same.
        let mut reading_ahead = JoinSet::new();
        let cache = Arc::clone(&self);
        reading_ahead.spawn(async move { cache.datasets.fill().await });
        self.follow_versions().await;
    }

    /// Reads the versions again and again. A look that panics is told, and the next one follows.
    async fn follow_versions(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(POLL_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut was_unavailable = false;
        loop {
            ticks.tick().await;
            let cache = Arc::clone(&self);
            let look = tokio::spawn(async move { cache.refresh().await });
            match look.await {
                Ok(Ok(())) if was_unavailable => {
                    tracing::info!("database available again");
                    was_unavailable = false;
                }
                Ok(Err(error)) if !was_unavailable => {
                    tracing::error!(%error, "database unavailable; answering 503 until it recovers");
                    was_unavailable = true;
                }
                Ok(Ok(()) | Err(_)) => {}
                Err(error) => tracing::error!(%error, "reading the catalog version failed"),
            }
        }
    }
}

fn size_of_key(key: &ApiKey) -> usize {
    let datasets = key.scope.datasets().map_or(0, BTreeSet::len);
    size_of::<ApiKey>() + key.name.as_str().len() + datasets * KEY_DATASET_SIZE
}

#[cfg(test)]
mod tests;
