use super::*;
use crate::domain::api_key::{KeyName, KeyScope, KeyText};
use crate::domain::attributes::Attributes;
use crate::domain::audit::AuditEvent;
use crate::domain::clock::Clock;
use crate::domain::principal::Tags;
use crate::service::identity::request_context::RequestContext;
use crate::service::tests::empty_database;
use crate::storage::{ApiKeyRemoval, CatalogChange, SignInConditions, UserRecord};

/// Inserts a user with one API key.
async fn insert_user_with_key(database: &Database) -> (ApiKey, KeyText) {
    let user = User {
        id: UserId::random(),
        username: "ada".parse().unwrap(),
        issuer: None,
        roles: BTreeSet::new(),
        claims: Tags::new(),
        attributes: Attributes::new(),
        display_name: None,
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
    let record = RequestContext::local().open_record(AuditEvent::ApiKeyCreate, &Clock::system());
    let added = database.add_api_key(&stored, 1, 0, &record).await;
    assert!(added.unwrap());
    (key, text)
}

#[tokio::test]
async fn an_unknown_id_is_read_once_per_catalog_version() {
    let folder = tempfile::tempdir().unwrap();
    let database = empty_database(folder.path()).await;
    let cache = CatalogCache::new(database.clone());
    let id = DatasetId::random();
    assert!(cache.dataset(id).await.is_err());
    cache.refresh().await.unwrap();
    assert_eq!(cache.dataset(id).await.unwrap(), None);

    let dataset = Dataset {
        id,
        title: "x".to_owned(),
        visibility: crate::domain::dataset::Visibility::Public,
        record_status: crate::domain::dataset::RecordStatus::Draft,
        owner: None,
        reader_users: BTreeSet::new(),
        reader_roles: BTreeSet::new(),
        share_ends: crate::domain::share_ends::ShareEnds::default(),
        tags: Tags::new(),
        attributes: Attributes::new(),
        file: None,
    };
    let change = CatalogChange {
        datasets_put: vec![dataset],
        ..CatalogChange::default()
    };
    let version = database.catalog_version().await.unwrap();
    database.write_catalog(&change, version).await.unwrap();
    // Still cached: the version has not been read again.
    assert_eq!(cache.dataset(id).await.unwrap(), None);
    cache.refresh().await.unwrap();
    assert!(cache.dataset(id).await.unwrap().is_some());
}

#[tokio::test]
async fn an_api_key_is_read_once_per_catalog_version() {
    let folder = tempfile::tempdir().unwrap();
    let database = empty_database(folder.path()).await;
    let (key, text) = insert_user_with_key(&database).await;
    let cache = CatalogCache::new(database.clone());
    cache.refresh().await.unwrap();
    let found = async || {
        let by_prefix = cache.api_key(text.prefix()).await?;
        let by_id = cache.api_key_by_id(key.id).await?;
        Ok::<_, ServiceError>((
            by_prefix.map(|cached| cached.key.id),
            by_id.map(|key| key.id),
        ))
    };
    assert_eq!(found().await.unwrap(), (Some(key.id), Some(key.id)));

    // Still cached: the version has not been read again since this removal.
    let request = RequestContext::local();
    let record = request.open_record(AuditEvent::ApiKeyRevoke, &Clock::system());
    let conditions = SignInConditions::default();
    let removed = database.remove_api_key(key.user_id, key.id, &record, &conditions);
    assert_eq!(removed.await, Ok(ApiKeyRemoval::Removed));
    assert_eq!(found().await.unwrap(), (Some(key.id), Some(key.id)));
    cache.refresh().await.unwrap();
    assert_eq!(found().await.unwrap(), (None, None));
    database.close().await;
    assert!(found().await.is_err());
}

#[tokio::test]
async fn a_user_is_read_once_per_catalog_version() {
    let folder = tempfile::tempdir().unwrap();
    let database = empty_database(folder.path()).await;
    let (key, _) = insert_user_with_key(&database).await;
    let cache = CatalogCache::new(database.clone());
    cache.refresh().await.unwrap();
    let user = cache.user(key.user_id).await.unwrap().unwrap();
    assert!(!user.is_disabled);

    let change = CatalogChange {
        users_put: vec![UserRecord {
            user: User {
                is_disabled: true,
                ..(*user).clone()
            },
            password_hash: None,
        }],
        ..CatalogChange::default()
    };
    let version = database.catalog_version().await.unwrap();
    database.write_catalog(&change, version).await.unwrap();
    // Still the very same: the version has not been read again.
    let cached = cache.user(key.user_id).await.unwrap().unwrap();
    assert!(Arc::ptr_eq(&cached, &user));
    cache.refresh().await.unwrap();
    let changed = cache.user(key.user_id).await.unwrap().unwrap();
    assert!(changed.is_disabled);
    database.close().await;
    cache.refresh().await.unwrap_err();
    assert!(cache.user(key.user_id).await.is_err());
}
