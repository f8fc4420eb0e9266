//! The catalog: users, roles, datasets, shares and its version.

use std::collections::BTreeSet;

use cedargate::domain::dataset::{Dataset, DatasetFile, RecordStatus, StoredFile, Visibility};
use cedargate::domain::id::{DatasetId, RecordId, UserId};
use cedargate::domain::principal::Tags;
use cedargate::storage::{CatalogChange, Database, StorageError};
use uuid::Uuid;

use crate::support::test_database::{
    TestDatabase, dataset, full_change, record, role, roles, user, write_change,
};

on_both! {
    a_new_database_has_the_built_in_role_and_nothing_else,
    every_field_of_the_catalog_comes_back_as_it_was_written,
    writing_the_same_change_again_changes_only_the_version,
    a_written_item_replaces_the_stored_one,
    a_file_moves_between_the_file_store_another_store_and_a_url,
    a_change_planned_on_an_older_version_is_a_conflict_and_writes_nothing,
    of_two_changes_planned_on_one_version_one_wins,
    a_change_that_breaks_a_rule_writes_nothing,
    removing_a_user_removes_its_shares_and_orphans_its_datasets,
    removing_a_role_removes_its_memberships_and_shares,
    the_built_in_role_cannot_be_removed,
    a_removed_users_name_is_free_within_the_same_change,
    removing_a_dataset_leaves_all_others,
    datasets_are_paged_by_id,
}

async fn a_new_database_has_the_built_in_role_and_nothing_else(db: TestDatabase) {
    let database = &db.database;
    let catalog = database.read_catalog().await.unwrap();
    assert_eq!(catalog.roles, roles(&["admin"]));
    assert!(catalog.users.is_empty() && catalog.datasets.is_empty());
    assert_eq!(catalog.version, database.catalog_version().await.unwrap());
    assert_eq!(database.find_user(UserId::random()).await, Ok(None));
    assert_eq!(
        database
            .find_user_by_username(&"ada".parse().unwrap())
            .await,
        Ok(None)
    );
    assert_eq!(
        database.find_dataset(DatasetId(Uuid::nil())).await,
        Ok(None)
    );
    assert_eq!(database.list_signing_keys().await, Ok(vec![]));
    assert_eq!(database.list_audit_records(None, 10).await, Ok(vec![]));
    assert_eq!(
        database.find_mint_context(RecordId::generate_at(1)).await,
        Ok(None)
    );
    assert_eq!(
        database
            .check_writable(&record(1), std::time::Duration::ZERO)
            .await,
        Ok(())
    );
    assert!(db.url.starts_with(database.kind()));
}

async fn every_field_of_the_catalog_comes_back_as_it_was_written(db: TestDatabase) {
    let change = full_change();
    let before = db.database.catalog_version().await.unwrap();
    let version = write_change(&db, &change).await;
    assert_eq!(version, before + 1);

    let catalog = db.database.read_catalog().await.unwrap();
    assert_eq!(catalog.version, version);
    assert_eq!(catalog.roles, roles(&["admin", "hydrology"]));
    assert_eq!(catalog.users, change.users_put);
    let mut datasets = change.datasets_put.clone();
    datasets.sort_by_key(|dataset| dataset.id);
    assert_eq!(catalog.datasets, datasets);

    for record in change.users_put {
        let found = db.database.find_user(record.user.id).await.unwrap();
        assert_eq!(found.as_ref(), Some(&record.user));
        let login = db
            .database
            .find_user_by_username(&record.user.username)
            .await;
        assert_eq!(login, Ok(Some(record)));
    }
    for dataset in change.datasets_put {
        assert_eq!(
            db.database.find_dataset(dataset.id).await,
            Ok(Some(dataset))
        );
    }
}

async fn writing_the_same_change_again_changes_only_the_version(db: TestDatabase) {
    let change = full_change();
    let first_version = write_change(&db, &change).await;
    let first = db.database.read_catalog().await.unwrap();
    assert_eq!(write_change(&db, &change).await, first_version + 1);
    let mut second = db.database.read_catalog().await.unwrap();
    second.version = first.version;
    assert_eq!(second, first);
}

async fn a_written_item_replaces_the_stored_one(db: TestDatabase) {
    let mut change = full_change();
    write_change(&db, &change).await;
    let ada = &mut change.users_put[0];
    ada.user.username = "countess".parse().unwrap();
    ada.user.roles = roles(&["hydrology"]);
    ada.user.claims = Tags::new();
    ada.user.issuer = None;
    ada.password_hash = None;
    let full = &mut change.datasets_put[0];
    full.title = String::from("renamed");
    full.visibility = Visibility::Public;
    full.record_status = RecordStatus::Draft;
    full.owner = None;
    full.reader_users.pop_first();
    full.reader_roles.clear();
    full.tags = Tags::new();
    full.file = None;
    write_change(&db, &change).await;

    let ada = &change.users_put[0];
    let login = db.database.find_user_by_username(&ada.user.username).await;
    assert_eq!(login, Ok(Some(ada.clone())));
    assert_eq!(
        db.database
            .find_user_by_username(&"ada".parse().unwrap())
            .await,
        Ok(None)
    );
    let full = &change.datasets_put[0];
    assert_eq!(
        db.database.find_dataset(full.id).await,
        Ok(Some(full.clone()))
    );
}

async fn a_file_moves_between_the_file_store_another_store_and_a_url(db: TestDatabase) {
    let mut moved = dataset("moved", None);
    let stored = DatasetFile::Stored(StoredFile {
        sha256: "0f".repeat(32),
        name: String::from("a.tif"),
        size: 1,
        modified: 2,
    });
    let object = r#"{"store": "archive", "key": "a/b.tif"}"#;
    let url = r#"{"url": "https://data.example.org/b.tif"}"#;
    let remote = |json| DatasetFile::Remote(serde_json::from_str(json).unwrap());
    let places = [
        stored.clone(),
        remote(object),
        remote(url),
        stored.clone(),
        remote(url),
        remote(object),
    ];
    for file in places.into_iter().map(Some).chain([None]) {
        moved.file = file;
        let change = CatalogChange {
            datasets_put: vec![moved.clone()],
            ..CatalogChange::default()
        };
        write_change(&db, &change).await;
        let found = db.database.find_dataset(moved.id).await.unwrap();
        assert_eq!(found.as_ref(), Some(&moved));
        let named = db.database.find_dataset_with_names(moved.id).await.unwrap();
        assert_eq!(named.unwrap().dataset, moved);
        let listed = db.database.list_datasets(None, 10).await.unwrap();
        assert_eq!(listed, [moved.clone()]);
    }
}

async fn a_change_planned_on_an_older_version_is_a_conflict_and_writes_nothing(db: TestDatabase) {
    let planned_on = db.database.catalog_version().await.unwrap();
    write_change(&db, &full_change()).await;
    let before = db.database.read_catalog().await.unwrap();
    let change = CatalogChange {
        users_put: vec![user("late", &[])],
        ..CatalogChange::default()
    };
    assert_eq!(
        db.database.write_catalog(&change, planned_on).await,
        Err(StorageError::Conflict {
            expected: planned_on,
            found: planned_on + 1
        })
    );
    assert_eq!(db.database.read_catalog().await, Ok(before));
}

async fn of_two_changes_planned_on_one_version_one_wins(db: TestDatabase) {
    let other = Database::open(&db.url, 4).await.unwrap();
    let version = other.catalog_version().await.unwrap();
    let change = |name| CatalogChange {
        users_put: vec![user(name, &["admin"])],
        ..CatalogChange::default()
    };
    let (here, there) = (change("here"), change("there"));
    let (here, there) = tokio::join!(
        db.database.write_catalog(&here, version),
        other.write_catalog(&there, version)
    );
    let (won, lost) = if here.is_ok() {
        (here, there)
    } else {
        (there, here)
    };
    assert_eq!(won, Ok(version + 1));
    assert!(
        matches!(lost, Err(StorageError::Conflict { .. })),
        "{lost:?}"
    );
    assert_eq!(db.database.read_catalog().await.unwrap().users.len(), 1);
}

async fn a_change_that_breaks_a_rule_writes_nothing(db: TestDatabase) {
    write_change(&db, &full_change()).await;
    let before = db.database.read_catalog().await.unwrap();
    let with_users = |users_put| CatalogChange {
        users_put,
        ..CatalogChange::default()
    };
    let with_dataset = |dataset| CatalogChange {
        users_put: vec![user("fine", &[])],
        datasets_put: vec![dataset],
        ..CatalogChange::default()
    };
    let mut too_large = dataset("too large", None);
    too_large.file = Some(DatasetFile::Stored(StoredFile {
        sha256: "0f".repeat(32),
        name: String::from("large.tif"),
        size: u64::MAX,
        modified: 0,
    }));
    let mut shared_with_nobody = dataset("shared with an unknown role", None);
    shared_with_nobody.reader_roles = roles(&["unknown"]);
    for change in [
        with_users(vec![user("fine", &[]), user("ada", &[])]),
        with_users(vec![user("member", &["unknown"])]),
        with_dataset(dataset("owned by nobody", Some(UserId::random()))),
        with_dataset(shared_with_nobody),
        with_dataset(too_large),
    ] {
        let response = db.database.write_catalog(&change, before.version).await;
        assert!(
            matches!(response, Err(StorageError::Inconsistent { .. })),
            "{change:?}: {response:?}"
        );
        assert_eq!(db.database.read_catalog().await.as_ref(), Ok(&before));
    }
}

async fn removing_a_user_removes_its_shares_and_orphans_its_datasets(db: TestDatabase) {
    let change = full_change();
    write_change(&db, &change).await;
    let (ada, ben) = (change.users_put[0].user.id, change.users_put[1].user.id);
    let removal = CatalogChange {
        users_removed: vec![ada],
        ..CatalogChange::default()
    };
    write_change(&db, &removal).await;

    assert_eq!(db.database.find_user(ada).await, Ok(None));
    let mut left = change.datasets_put[0].clone();
    left.owner = None;
    left.reader_users = BTreeSet::from([ben]);
    assert_eq!(db.database.find_dataset(left.id).await, Ok(Some(left)));
}

async fn removing_a_role_removes_its_memberships_and_shares(db: TestDatabase) {
    let change = full_change();
    write_change(&db, &change).await;
    let removal = CatalogChange {
        roles_removed: vec![role("hydrology")],
        ..CatalogChange::default()
    };
    write_change(&db, &removal).await;

    let catalog = db.database.read_catalog().await.unwrap();
    assert_eq!(catalog.roles, roles(&["admin"]));
    assert_eq!(catalog.users[0].user.roles, roles(&["admin"]));
    let left = db.database.find_dataset(change.datasets_put[0].id).await;
    assert_eq!(left.unwrap().unwrap().reader_roles, roles(&["admin"]));
}

async fn the_built_in_role_cannot_be_removed(db: TestDatabase) {
    let removal = CatalogChange {
        roles_removed: vec![role("admin")],
        ..CatalogChange::default()
    };
    let version = db.database.catalog_version().await.unwrap();
    let response = db.database.write_catalog(&removal, version).await;
    assert!(
        matches!(response, Err(StorageError::Inconsistent { .. })),
        "{response:?}"
    );
    assert_eq!(
        db.database.read_catalog().await.unwrap().roles,
        roles(&["admin"])
    );
}

async fn a_removed_users_name_is_free_within_the_same_change(db: TestDatabase) {
    let old = user("ada", &["admin"]);
    let new = user("ada", &[]);
    write_change(
        &db,
        &CatalogChange {
            users_put: vec![old.clone()],
            ..CatalogChange::default()
        },
    )
    .await;
    write_change(
        &db,
        &CatalogChange {
            users_put: vec![new.clone()],
            users_removed: vec![old.user.id],
            ..CatalogChange::default()
        },
    )
    .await;
    assert_eq!(db.database.read_catalog().await.unwrap().users, [new]);
}

async fn removing_a_dataset_leaves_all_others(db: TestDatabase) {
    let change = full_change();
    write_change(&db, &change).await;
    let removal = CatalogChange {
        datasets_removed: vec![change.datasets_put[0].id],
        ..CatalogChange::default()
    };
    write_change(&db, &removal).await;
    let catalog = db.database.read_catalog().await.unwrap();
    assert_eq!(catalog.datasets, [change.datasets_put[1].clone()]);
    assert_eq!(catalog.users, change.users_put);
}

async fn datasets_are_paged_by_id(db: TestDatabase) {
    let mut datasets: Vec<_> = (0..7)
        .map(|number| dataset(&number.to_string(), None))
        .collect();
    let change = CatalogChange {
        datasets_put: datasets.clone(),
        ..CatalogChange::default()
    };
    write_change(&db, &change).await;
    datasets.sort_by_key(|dataset| dataset.id);
    let mut paged = Vec::new();
    loop {
        let after = paged.last().map(|last: &Dataset| last.id);
        let page = db.database.list_datasets(after, 3).await.unwrap();
        assert!(page.len() <= 3);
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, datasets);
}
