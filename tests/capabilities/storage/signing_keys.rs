//! Signing keys: one first key, even if replicas start at the same time.

use cedargate::storage::{Database, KeyState, StorageError};

use crate::support::test_database::{TestDatabase, key};

on_both! {
    the_first_signing_key_is_stored_once,
    of_two_replicas_that_start_together_one_stores_its_key,
    the_first_signing_key_must_be_current,
}

async fn the_first_signing_key_is_stored_once(db: TestDatabase) {
    let first = key("first", KeyState::Current, 1_700_000_000);
    let second = key("second", KeyState::Current, 1_700_000_001);
    assert_eq!(db.database.insert_first_signing_key(&first).await, Ok(true));
    assert_eq!(
        db.database.insert_first_signing_key(&second).await,
        Ok(false)
    );
    assert_eq!(
        db.database.insert_first_signing_key(&first).await,
        Ok(false)
    );
    let listed = db.database.list_signing_keys().await;
    assert_eq!(listed, Ok(vec![first.clone()]));

    db.execute("UPDATE signing_keys SET state = 'previous'")
        .await;
    assert_eq!(
        db.database.insert_first_signing_key(&second).await,
        Ok(false)
    );
    let listed = db.database.list_signing_keys().await.unwrap();
    assert_eq!(listed[0].state, KeyState::Previous);
}

async fn of_two_replicas_that_start_together_one_stores_its_key(db: TestDatabase) {
    let other = Database::open(&db.url, 4).await.unwrap();
    let (here, there) = (
        key("here", KeyState::Current, 1),
        key("there", KeyState::Current, 2),
    );
    let (has_won, has_lost) = tokio::join!(
        db.database.insert_first_signing_key(&here),
        other.insert_first_signing_key(&there)
    );
    assert_ne!(has_won, has_lost);
    let has_won = has_won.unwrap();
    let stored = if has_won { here } else { there };
    assert_eq!(other.list_signing_keys().await, Ok(vec![stored]));
}

async fn the_first_signing_key_must_be_current(db: TestDatabase) {
    let next = key("next", KeyState::Next, 1);
    let response = db.database.insert_first_signing_key(&next).await;
    assert!(
        matches!(response, Err(StorageError::Inconsistent { .. })),
        "{response:?}"
    );
    assert_eq!(db.database.list_signing_keys().await, Ok(vec![]));
}
