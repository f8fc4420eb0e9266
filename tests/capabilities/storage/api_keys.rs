//! API keys: stored without their text, found, counted, removed.

use std::collections::BTreeSet;

use cedargate::domain::action::Action;
use cedargate::domain::api_key::{ApiKey, KeyDigest, KeyName, KeyScope, KeyText};
use cedargate::domain::audit::AuditRecord;
use cedargate::domain::id::{ApiKeyId, DatasetId, RecordId, UserId};
use cedargate::storage::{
    ApiKeyRemoval, CatalogChange, Database, SignInConditions, StorageError, StoredApiKey,
};
use uuid::Uuid;

use crate::support::test_database::{TestDatabase, record, user, write_change};

on_both! {
    every_field_of_an_api_key_comes_back_as_it_was_written,
    an_api_key_is_found_by_prefix_and_by_id_only,
    a_user_has_no_more_keys_than_allowed_and_expired_ones_make_room,
    only_keys_that_expired_long_ago_are_removed_to_make_room,
    of_two_keys_added_at_once_at_the_limit_one_is_stored,
    keys_are_listed_by_owner_in_pages_once_each,
    a_key_is_removed_by_its_owner_alone_and_goes_with_its_user,
    a_removal_that_cannot_be_audited_removes_nothing,
    a_key_that_cannot_be_audited_is_not_created,
    only_adding_and_removing_a_key_change_the_version,
    the_last_use_is_stored_at_most_once_per_interval,
    a_key_without_a_user_is_refused,
    a_key_that_does_not_parse_is_corrupt,
}

const NOW: i64 = 1_700_000_000;

async fn owner(db: &TestDatabase, name: &str) -> UserId {
    let record = user(name, &[]);
    let id = record.user.id;
    let change = CatalogChange {
        users_put: vec![record],
        ..CatalogChange::default()
    };
    write_change(db, &change).await;
    id
}

fn key_of(user_id: UserId, order: u64) -> StoredApiKey {
    let text = KeyText::random();
    StoredApiKey {
        key: ApiKey {
            id: ApiKeyId::generate_at(order),
            user_id,
            name: KeyName::new("CI: Straße \"quoted\"").unwrap(),
            prefix: text.prefix(),
            scope: KeyScope::default(),
            created_at: NOW,
            expires_at: None,
            last_used: None,
        },
        digest: text.digest(),
    }
}

/// The audit record of the creation of a key.
fn creation_record(stored: &StoredApiKey) -> AuditRecord {
    let mut record = record(0);
    record.id = RecordId(stored.key.id.0);
    record
}

async fn add(db: &TestDatabase, stored: &StoredApiKey) -> bool {
    db.database
        .add_api_key(stored, 100, NOW, &creation_record(stored))
        .await
        .unwrap()
}

async fn every_field_of_an_api_key_comes_back_as_it_was_written(db: TestDatabase) {
    let ada = owner(&db, "ada").await;
    let mut full = key_of(ada, 1);
    let datasets = BTreeSet::from([DatasetId(Uuid::new_v4()), DatasetId(Uuid::new_v4())]);
    let actions = BTreeSet::from([Action::Read, Action::Discover]);
    full.key.scope = KeyScope::new(Some(actions), Some(datasets)).unwrap();
    full.key.expires_at = Some(NOW + 1);
    full.key.last_used = Some(NOW - 1);
    let bare = key_of(ada, 2);
    for stored in [full, bare] {
        assert!(add(&db, &stored).await);
        let database = &db.database;
        let by_id = database.find_api_key_by_id(stored.key.id).await;
        assert_eq!(by_id, Ok(Some(stored.key.clone())));
        let by_prefix = database.find_api_key(stored.key.prefix).await;
        assert_eq!(by_prefix, Ok(Some(stored)));
    }
}

async fn an_api_key_is_found_by_prefix_and_by_id_only(db: TestDatabase) {
    let ada = owner(&db, "ada").await;
    assert!(add(&db, &key_of(ada, 1)).await);
    let other = KeyText::random().prefix();
    assert_eq!(db.database.find_api_key(other).await, Ok(None));
    let other = ApiKeyId::generate_at(1);
    assert_eq!(db.database.find_api_key_by_id(other).await, Ok(None));
}

async fn a_user_has_no_more_keys_than_allowed_and_expired_ones_make_room(db: TestDatabase) {
    let (ada, ben) = (owner(&db, "ada").await, owner(&db, "ben").await);
    let add = async |stored: &StoredApiKey, now| {
        let added = db
            .database
            .add_api_key(stored, 2, now, &creation_record(stored))
            .await;
        added.unwrap()
    };
    let mut brief = key_of(ada, 1);
    brief.key.expires_at = Some(NOW + 10);
    assert!(add(&brief, NOW).await);
    assert!(add(&key_of(ada, 2), NOW).await);
    let third = key_of(ada, 3);
    assert!(!add(&third, NOW + 9).await);
    assert!(add(&key_of(ben, 4), NOW + 9).await);
    let found = db.database.find_api_key_by_id(brief.key.id).await;
    assert_eq!(found, Ok(Some(brief.key.clone())));

    // An expired key makes room, and stays: the clock may be wrong.
    assert!(add(&third, NOW + 10).await);
    let found = db.database.find_api_key_by_id(brief.key.id).await;
    assert_eq!(found, Ok(Some(brief.key.clone())));
    assert!(!add(&key_of(ada, 5), NOW + 10).await);
}

async fn only_keys_that_expired_long_ago_are_removed_to_make_room(db: TestDatabase) {
    let ada = owner(&db, "ada").await;
    let add = async |order, expires_at: i64, now| {
        let mut stored = key_of(ada, order);
        stored.key.expires_at = Some(expires_at);
        let record = creation_record(&stored);
        db.database.add_api_key(&stored, 1, now, &record).await
    };
    let later = NOW + 1_000_000_000;
    assert_eq!(add(1, NOW + 10, NOW).await, Ok(true));
    assert_eq!(add(2, later + 10, later).await, Ok(true));
    // Both have expired by a clock that is far ahead, but only one by the sweep horizon.
    db.execute(&format!("UPDATE sweep_horizon SET horizon = {NOW}"))
        .await;
    let far = later + 20;
    assert_eq!(add(3, far + 10, far).await, Ok(false));
    db.execute(&format!(
        "UPDATE sweep_horizon SET horizon = {}",
        NOW + 10 + 7 * 86_400
    ))
    .await;
    assert_eq!(add(3, far + 10, far).await, Ok(true));
    let listed = db.database.list_api_keys(ada, None, 9).await.unwrap();
    assert_eq!(listed.len(), 2);
}

async fn of_two_keys_added_at_once_at_the_limit_one_is_stored(db: TestDatabase) {
    let ada = owner(&db, "ada").await;
    let other = Database::open(&db.url, 4).await.unwrap();
    let (here, there) = (key_of(ada, 1), key_of(ada, 2));
    let records = (creation_record(&here), creation_record(&there));
    let (here, there) = tokio::join!(
        db.database.add_api_key(&here, 1, NOW, &records.0),
        other.add_api_key(&there, 1, NOW, &records.1)
    );
    assert_eq!(u8::from(here.unwrap()) + u8::from(there.unwrap()), 1);
}

async fn keys_are_listed_by_owner_in_pages_once_each(db: TestDatabase) {
    let (ada, ben) = (owner(&db, "ada").await, owner(&db, "ben").await);
    let keys: Vec<_> = (1..=7).map(|order| key_of(ada, order)).collect();
    for stored in keys.iter().rev() {
        assert!(add(&db, stored).await);
    }
    assert!(add(&db, &key_of(ben, 4)).await);
    let mut listed: Vec<ApiKey> = Vec::new();
    loop {
        let after = listed.last().map(|key| key.id);
        let page = db.database.list_api_keys(ada, after, 3).await.unwrap();
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 3);
        listed.extend(page);
    }
    let keys: Vec<_> = keys.into_iter().map(|stored| stored.key).collect();
    assert_eq!(listed, keys);
}

async fn a_key_is_removed_by_its_owner_alone_and_goes_with_its_user(db: TestDatabase) {
    let (ada, ben) = (owner(&db, "ada").await, owner(&db, "ben").await);
    let (first, second) = (key_of(ada, 1), key_of(ada, 2));
    assert!(add(&db, &first).await && add(&db, &second).await);
    let removal = record(1);
    let remove = async |owner| {
        let database = &db.database;
        let conditions = SignInConditions::default();
        let removed = database.remove_api_key(owner, first.key.id, &removal, &conditions);
        removed.await
    };
    let on_record = async || db.database.list_audit_records(None, 9).await.unwrap();
    let mut expected = on_record().await;
    assert_eq!(expected.len(), 2);
    assert_eq!(remove(ben).await, Ok(ApiKeyRemoval::NotFound));
    assert_eq!(on_record().await, expected);
    assert_eq!(remove(ada).await, Ok(ApiKeyRemoval::Removed));
    expected.push(removal.clone());
    expected.sort_by_key(|record| record.id);
    assert_eq!(on_record().await, expected);
    assert_eq!(remove(ada).await, Ok(ApiKeyRemoval::NotFound));
    let left = db.database.list_api_keys(ada, None, 10).await;
    assert_eq!(left, Ok(vec![second.key.clone()]));

    let removal = CatalogChange {
        users_removed: vec![ada],
        ..CatalogChange::default()
    };
    write_change(&db, &removal).await;
    let found = db.database.find_api_key_by_id(second.key.id).await;
    assert_eq!(found, Ok(None));
}

async fn a_removal_that_cannot_be_audited_removes_nothing(db: TestDatabase) {
    let ada = owner(&db, "ada").await;
    let stored = key_of(ada, 1);
    assert!(add(&db, &stored).await);
    db.execute("ALTER TABLE audit_records RENAME TO gone").await;
    let (database, id) = (&db.database, stored.key.id);
    let conditions = SignInConditions::default();
    let record = record(1);
    let removed = database.remove_api_key(ada, id, &record, &conditions);
    assert!(removed.await.is_err());
    let found = database.find_api_key_by_id(id).await;
    assert_eq!(found, Ok(Some(stored.key)));
}

async fn a_key_that_cannot_be_audited_is_not_created(db: TestDatabase) {
    let ada = owner(&db, "ada").await;
    db.execute("ALTER TABLE audit_records RENAME TO gone").await;
    let (database, stored) = (&db.database, key_of(ada, 1));
    let added = database
        .add_api_key(&stored, 100, NOW, &creation_record(&stored))
        .await;
    assert!(added.is_err());
    let found = database.find_api_key_by_id(stored.key.id).await;
    assert_eq!(found, Ok(None));
}

async fn only_adding_and_removing_a_key_change_the_version(db: TestDatabase) {
    let ada = owner(&db, "ada").await;
    let (database, stored) = (&db.database, key_of(ada, 1));
    let version = async || database.catalog_version().await.unwrap();
    let begun = version().await;
    assert!(add(&db, &stored).await);
    assert_eq!(version().await, begun + 1);
    let id = stored.key.id;
    database.record_api_key_use(id, NOW, NOW - 1).await.unwrap();
    let second = key_of(ada, 2);
    let full = database
        .add_api_key(&second, 1, NOW, &creation_record(&second))
        .await;
    assert_eq!(full, Ok(false));
    let conditions = SignInConditions::default();
    let unknown = database
        .remove_api_key(ada, ApiKeyId::generate_at(9), &record(1), &conditions)
        .await;
    assert_eq!(unknown, Ok(ApiKeyRemoval::NotFound));
    assert_eq!(version().await, begun + 1);
    let record = record(2);
    let removed = database.remove_api_key(ada, id, &record, &conditions);
    assert_eq!(removed.await, Ok(ApiKeyRemoval::Removed));
    assert_eq!(version().await, begun + 2);
}

async fn the_last_use_is_stored_at_most_once_per_interval(db: TestDatabase) {
    let ada = owner(&db, "ada").await;
    let stored = key_of(ada, 1);
    assert!(add(&db, &stored).await);
    let (database, id) = (&db.database, stored.key.id);
    for (now, expected) in [(NOW, NOW), (NOW + 9, NOW), (NOW + 10, NOW + 10)] {
        database
            .record_api_key_use(id, now, now - 10)
            .await
            .unwrap();
        let found = database.find_api_key_by_id(id).await.unwrap().unwrap();
        assert_eq!(found.last_used, Some(expected));
    }
}

async fn a_key_without_a_user_is_refused(db: TestDatabase) {
    let stored = key_of(UserId::random(), 1);
    let added = db
        .database
        .add_api_key(&stored, 100, NOW, &creation_record(&stored))
        .await;
    assert!(
        matches!(added, Err(StorageError::Inconsistent { .. })),
        "{added:?}"
    );
    let ada = owner(&db, "ada").await;
    let first = key_of(ada, 2);
    assert!(add(&db, &first).await);
    let mut same_prefix = key_of(ada, 3);
    same_prefix.key.prefix = first.key.prefix;
    let added = db
        .database
        .add_api_key(&same_prefix, 100, NOW, &creation_record(&same_prefix))
        .await;
    assert!(
        matches!(added, Err(StorageError::Inconsistent { .. })),
        "{added:?}"
    );
}

async fn a_key_that_does_not_parse_is_corrupt(db: TestDatabase) {
    let ada = owner(&db, "ada").await;
    let mut stored = key_of(ada, 1);
    stored.digest = KeyDigest([7; 32]);
    assert!(add(&db, &stored).await);
    for change in [
        r#"actions = '["read", "fly"]'"#,
        "actions = '[]'",
        r#"actions = NULL, datasets = '["everything"]'"#,
        "datasets = NULL, prefix = '0123-56789'",
    ] {
        db.execute(&format!("UPDATE api_keys SET {change}")).await;
        let found = db.database.find_api_key_by_id(stored.key.id).await;
        assert!(
            matches!(
                &found,
                Err(StorageError::Corrupt {
                    table: "api_keys",
                    ..
                })
            ),
            "{change}: {found:?}"
        );
    }
}
