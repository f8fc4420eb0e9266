//! Facts: the users, sessions, API keys and datasets that decisions rest on, remembered between
//! requests.
//!
//! Remembered facts belong to one version of the catalog. Every write to the catalog makes a new
//! version, this replica's writes at once and everybody else's within a second
//! ([`CatalogCache::poll_versions`]), and a fact of an older version is never looked at again. Sessions have a
//! version of their own, new whenever one ends early, so that a logout makes nobody forget datasets.
//! While the version is not known the database is away: every question is refused at once, instead
//! of letting each caller find out for itself. This module refuses to know what follows from a fact.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use moka::future::Cache;
use sha2::{Digest, Sha256};
use tokio::time::MissedTickBehavior;

use crate::domain::api_key::{ApiKey, KeyDigest, KeyPrefix};
use crate::domain::dataset::Dataset;
use crate::domain::id::{ApiKeyId, DatasetId, SessionId, UserId};
use crate::domain::name::RoleName;
use crate::domain::principal::User;
use crate::domain::session::Session;
use crate::storage::{CacheVersions, Database, ExternalUser, StorageError, StoredApiKey};

use super::error::ServiceError;

/// How often the catalog's version is read: changes made elsewhere are in force within this.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// The most users, the most sessions and the most datasets that are remembered.
const MAX_CACHED_ENTRIES: u64 = 50_000;
/// How many API keys are remembered; one that is limited to datasets counts as one more for each.
const MAX_CACHED_KEYS: u64 = 200_000;
/// Stands for a version that is not known.
const UNKNOWN_VERSION: i64 = i64::MIN;

/// Users, sessions and datasets, remembered as long as the catalog does not change.
pub struct CatalogCache {
    database: Database,
    version: AtomicI64,
    session_version: AtomicI64,
    users: Cache<(i64, UserId), Arc<User>>,
    sessions: Cache<(i64, SessionId), Arc<Session>>,
    datasets: Cache<(i64, DatasetId), Arc<Dataset>>,
    api_keys: Cache<(i64, KeyPrefix), Arc<CachedApiKey>>,
    api_keys_by_id: Cache<(i64, ApiKeyId), Arc<ApiKey>>,
    external_users: Cache<(i64, SubjectDigest), Arc<ExternalUser>>,
    roles: Cache<(i64, ()), Arc<BTreeSet<RoleName>>>,
}

/// A user of an outside issuer, as its issuer names it: the SHA-256 of issuer and subject.
type SubjectDigest = [u8; 32];

/// An API key and the digest of its text; callers share the key.
pub struct CachedApiKey {
    /// The key.
    pub key: Arc<ApiKey>,
    /// The SHA-256 of its text.
    pub digest: KeyDigest,
}

impl CatalogCache {
    /// Facts of a database; nothing is remembered until [`CatalogCache::poll_versions`] knows the version.
    #[must_use]
    pub fn new(database: Database) -> Self {
        Self {
            database,
            version: AtomicI64::new(UNKNOWN_VERSION),
            session_version: AtomicI64::new(UNKNOWN_VERSION),
            users: Cache::new(MAX_CACHED_ENTRIES),
            sessions: Cache::new(MAX_CACHED_ENTRIES),
            datasets: Cache::new(MAX_CACHED_ENTRIES),
            api_keys: Cache::builder()
                .max_capacity(MAX_CACHED_KEYS)
                .weigher(|_, stored: &Arc<CachedApiKey>| cache_weight(&stored.key))
                .build(),
            api_keys_by_id: Cache::builder()
                .max_capacity(MAX_CACHED_KEYS)
                .weigher(|_, key: &Arc<ApiKey>| cache_weight(key))
                .build(),
            external_users: Cache::new(MAX_CACHED_ENTRIES),
            roles: Cache::new(1),
        }
    }

    /// The user with an id, or nothing.
    pub async fn user(&self, id: UserId) -> Result<Option<Arc<User>>, ServiceError> {
        get_or_load(&self.users, self.version(), id, || {
            self.database.find_user(id)
        })
        .await
    }

    /// The user that an outside issuer means by a subject, or nothing.
    pub async fn external_user(
        &self,
        issuer: &str,
        subject: &str,
    ) -> Result<Option<Arc<ExternalUser>>, ServiceError> {
        // An issuer is a URL, so the blank tells where it ends.
        let key: SubjectDigest = Sha256::digest(format!("{issuer} {subject}")).into();
        get_or_load(&self.external_users, self.version(), key, || {
            self.database.find_external_user(issuer, subject)
        })
        .await
    }

    /// The roles that the catalog has.
    pub async fn roles(&self) -> Result<Arc<BTreeSet<RoleName>>, ServiceError> {
        let roles = get_or_load(&self.roles, self.version(), (), async || {
            let names = self.database.role_names().await?;
            Ok(Some(names.into_iter().collect()))
        })
        .await?;
        Ok(roles.unwrap_or_default())
    }

    /// The session with an id, or nothing when it was ended; it may have expired.
    pub async fn session(&self, id: SessionId) -> Result<Option<Arc<Session>>, ServiceError> {
        let version = self.session_version.load(Ordering::SeqCst);
        get_or_load(&self.sessions, version, id, || {
            self.database.find_session(id)
        })
        .await
    }

    /// The dataset with an id, or nothing.
    pub async fn dataset(&self, id: DatasetId) -> Result<Option<Arc<Dataset>>, ServiceError> {
        get_or_load(&self.datasets, self.version(), id, || {
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
        if version == UNKNOWN_VERSION {
            return Err(database_unavailable());
        }
        let mut page = Vec::new();
        for dataset in self.database.list_datasets(after, limit).await? {
            // The same facts as the mint's, so that what is prepared for a decision serves both.
            let remembered = self.datasets.get(&(version, dataset.id)).await;
            page.push(match remembered {
                Some(remembered) if *remembered == dataset => remembered,
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
        get_or_load(&self.api_keys, self.version(), prefix, async || {
            let found = self.database.find_api_key(prefix).await?;
            Ok(found.map(|StoredApiKey { key, digest }| CachedApiKey {
                key: Arc::new(key),
                digest,
            }))
        })
        .await
    }

    /// The API key with an id, expired ones too, or nothing.
    pub async fn api_key_by_id(&self, id: ApiKeyId) -> Result<Option<Arc<ApiKey>>, ServiceError> {
        get_or_load(&self.api_keys_by_id, self.version(), id, || {
            self.database.find_api_key_by_id(id)
        })
        .await
    }

    /// Reads the versions once; what is remembered of other versions is forgotten.
    pub async fn refresh(&self) -> Result<(), StorageError> {
        let versions = self.database.versions().await;
        let now = *versions.as_ref().unwrap_or(&CacheVersions {
            catalog: UNKNOWN_VERSION,
            sessions: UNKNOWN_VERSION,
        });
        if self.version.swap(now.catalog, Ordering::SeqCst) != now.catalog {
            self.users.invalidate_all();
            self.datasets.invalidate_all();
            self.api_keys.invalidate_all();
            self.api_keys_by_id.invalidate_all();
            self.external_users.invalidate_all();
            self.roles.invalidate_all();
        }
        if self.session_version.swap(now.sessions, Ordering::SeqCst) != now.sessions {
            self.sessions.invalidate_all();
        }
        versions.map(drop)
    }

    /// Follows the catalog's version for as long as it is polled.
    pub async fn poll_versions(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(POLL_INTERVAL);
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

fn database_unavailable() -> ServiceError {
    ServiceError::Unavailable {
        what: "the database",
        source: "it did not answer when it was last asked, a moment ago".into(),
    }
}

fn cache_weight(key: &ApiKey) -> u32 {
    let datasets = key.scope.datasets().map_or(0, BTreeSet::len);
    u32::try_from(datasets).map_or(u32::MAX, |datasets| datasets.saturating_add(1))
}

async fn get_or_load<I, T, F>(
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
    if version == UNKNOWN_VERSION {
        return Err(database_unavailable());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::api_key::{KeyName, KeyScope, KeyText};
    use crate::domain::audit::AuditEvent;
    use crate::domain::clock::Clock;
    use crate::domain::principal::Tags;
    use crate::service::identity::request_context::RequestContext;
    use crate::service::tests::empty_database;
    use crate::storage::{CatalogChange, UserRecord};

    /// A database with one user, who has one API key.
    async fn insert_user_with_key(database: &Database) -> (ApiKey, KeyText) {
        let user = User {
            id: UserId::random(),
            username: "ada".parse().unwrap(),
            issuer: None,
            roles: BTreeSet::new(),
            claims: Tags::new(),
            is_disabled: false,
        };
        let text = KeyText::random();
        let key = ApiKey {
            id: ApiKeyId::generate_at(1),
            user_id: user.id,
            name: KeyName::new("k").unwrap(),
            prefix: text.prefix(),
            scope: KeyScope::default(),
            created_at: 0,
            expires_at: None,
            last_used: None,
        };
        let change = CatalogChange {
            users_put: vec![UserRecord {
                user,
                password_hash: None,
            }],
            ..CatalogChange::default()
        };
        let version = database.catalog_version().await.unwrap();
        database.write_catalog(&change, version).await.unwrap();
        let stored = StoredApiKey {
            key: key.clone(),
            digest: text.digest(),
        };
        let record =
            RequestContext::local().open_record(AuditEvent::ApiKeyCreate, &Clock::system());
        let added = database.add_api_key(&stored, 1, 0, &record).await;
        assert!(added.unwrap());
        (key, text)
    }

    #[tokio::test]
    async fn an_api_key_is_read_once_per_catalog_version() {
        let folder = tempfile::tempdir().unwrap();
        let database = empty_database(folder.path()).await;
        let (key, text) = insert_user_with_key(&database).await;
        let facts = CatalogCache::new(database.clone());
        facts.refresh().await.unwrap();
        let found = async || {
            let by_prefix = facts.api_key(text.prefix()).await?;
            let by_id = facts.api_key_by_id(key.id).await?;
            Ok::<_, ServiceError>((
                by_prefix.map(|stored| stored.key.id),
                by_id.map(|key| key.id),
            ))
        };
        assert_eq!(found().await.unwrap(), (Some(key.id), Some(key.id)));

        // Nobody who remembers asks again: this removal has not been heard of yet.
        let visitor = RequestContext::local();
        let record = visitor.open_record(AuditEvent::ApiKeyRevoke, &Clock::system());
        let removed = database.remove_api_key(key.user_id, key.id, &record).await;
        assert_eq!(removed, Ok(true));
        assert_eq!(found().await.unwrap(), (Some(key.id), Some(key.id)));
        facts.refresh().await.unwrap();
        assert_eq!(found().await.unwrap(), (None, None));
        database.close().await;
        assert!(found().await.is_err());
    }
}
