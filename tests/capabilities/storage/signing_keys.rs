//! Signing keys: a change of them is whole, with its record, or there is none.

use cedargate::storage::{Database, KeyState, SigningKeyChange, StoredSigningKey};

use crate::support::test_database::{TestDatabase, key, record};

on_both! {
    signing_keys_come_back_as_they_were_stored,
    of_two_replicas_that_start_together_one_makes_the_first_key,
    a_change_that_the_database_rejects_leaves_keys_and_records_as_they_were,
    every_change_of_the_keys_is_another_version,
    of_the_retired_keys_the_newest_hundred_stay,
}

fn change(changed: Vec<StoredSigningKey>) -> SigningKeyChange {
    SigningKeyChange {
        changed,
        record: record(1_700_000_000_000),
    }
}

async fn records_of(database: &Database) -> usize {
    database.list_audit_records(None, 100).await.unwrap().len()
}

async fn signing_keys_come_back_as_they_were_stored(db: TestDatabase) {
    let first = StoredSigningKey {
        activated_at: Some(2),
        rotation_requested_at: Some(3),
        deactivated_at: Some(4),
        retires_at: Some(5),
        retired_at: Some(6),
        revoked_at: Some(7),
        token_lifetime: Some(8),
        ..key("first", KeyState::Retired, 1)
    };
    let second = key("second", KeyState::Current, 1);
    let stored = vec![first, second];
    let planned = change(stored.clone());
    let planned = db.database.change_signing_keys(|keys| {
        assert_eq!(keys, []);
        Some(planned)
    });
    assert_eq!(planned.await, Ok(true));
    assert_eq!(db.database.list_signing_keys().await, Ok(stored.clone()));
    let nothing = db.database.change_signing_keys(|keys| {
        assert_eq!(keys, stored);
        None
    });
    assert_eq!(nothing.await, Ok(false));
    assert_eq!(records_of(&db.database).await, 1);
}

async fn of_two_replicas_that_start_together_one_makes_the_first_key(db: TestDatabase) {
    let other = Database::open(&db.url, 4).await.unwrap();
    let first = |kid: &'static str| {
        move |keys: &[StoredSigningKey]| {
            let is_first = keys.is_empty();
            is_first.then(|| change(vec![key(kid, KeyState::Current, 1)]))
        }
    };
    let (here, there) = tokio::join!(
        db.database.change_signing_keys(first("here")),
        other.change_signing_keys(first("there"))
    );
    let (here, there) = (here.unwrap(), there.unwrap());
    assert_ne!(here, there);
    let stored = other.list_signing_keys().await.unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].kid, if here { "here" } else { "there" });
}

async fn a_change_that_the_database_rejects_leaves_keys_and_records_as_they_were(db: TestDatabase) {
    let first = key("first", KeyState::Current, 1);
    let made = db
        .database
        .change_signing_keys(|_| Some(change(vec![first.clone()])));
    assert_eq!(made.await, Ok(true));
    let version = db.database.signing_key_version().await.unwrap();
    let two_current = change(vec![
        key("second", KeyState::Next, 2),
        key("third", KeyState::Current, 3),
    ]);
    let refused = db.database.change_signing_keys(|_| Some(two_current)).await;
    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(db.database.list_signing_keys().await, Ok(vec![first]));
    assert_eq!(records_of(&db.database).await, 1);
    assert_eq!(db.database.signing_key_version().await, Ok(version));
}

async fn every_change_of_the_keys_is_another_version(db: TestDatabase) {
    let before = db.database.signing_key_version().await.unwrap();
    let first = key("first", KeyState::Current, 1);
    let planned = db
        .database
        .change_signing_keys(|_| Some(change(vec![first])));
    planned.await.unwrap();
    let after = db.database.signing_key_version().await.unwrap();
    assert_ne!(before, after);
    db.database.change_signing_keys(|_| None).await.unwrap();
    assert_eq!(db.database.signing_key_version().await, Ok(after));
}

async fn of_the_retired_keys_the_newest_hundred_stay(db: TestDatabase) {
    let retired = (0..103).map(|at| StoredSigningKey {
        retired_at: Some(at),
        ..key(&format!("k{at:03}"), KeyState::Retired, at)
    });
    let mut keys: Vec<_> = retired.collect();
    keys.push(key("old", KeyState::Current, 0));
    let planned = db.database.change_signing_keys(|_| Some(change(keys)));
    planned.await.unwrap();
    let stored = db.database.list_signing_keys().await.unwrap();
    assert_eq!(stored.len(), 101);
    assert_eq!(
        (stored[0].kid.as_str(), stored[1].kid.as_str()),
        ("old", "k003")
    );
}
