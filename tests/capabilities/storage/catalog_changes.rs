//! Which datasets a change of the catalog may have changed: as its transaction says, and any otherwise.

use std::collections::BTreeSet;

use cedargate::domain::id::DatasetId;
use cedargate::storage::{
    CacheVersions, CatalogChange, CommitConditions, DatasetChanges, SignInConditions, StagedDataset,
};

use crate::support::test_database::{TestDatabase, dataset, role, user, write_change};

on_both! {
    a_change_of_datasets_names_them,
    a_change_that_may_reach_other_datasets_names_none,
    a_large_apply_may_have_changed_any_and_settling_it_changes_none,
    changes_that_were_lost_or_are_not_known_any_more_are_any,
}

async fn versions(db: &TestDatabase) -> CacheVersions {
    db.database.versions().await.unwrap()
}

/// What is known to have changed since.
async fn changes(db: &TestDatabase, since: &CacheVersions) -> DatasetChanges {
    let now = versions(db).await;
    db.database.dataset_changes(since, &now).await.unwrap()
}

fn these(ids: &[DatasetId]) -> DatasetChanges {
    DatasetChanges::These(ids.iter().copied().collect::<BTreeSet<_>>())
}

async fn a_change_of_datasets_names_them(db: TestDatabase) {
    let (one, two) = (dataset("one", None), dataset("two", None));
    let before = versions(&db).await;
    assert_eq!(changes(&db, &before).await, these(&[]));
    let put = |datasets| CatalogChange {
        datasets_put: datasets,
        ..CatalogChange::default()
    };
    write_change(&db, &put(vec![one.clone()])).await;
    assert_eq!(changes(&db, &before).await, these(&[one.id]));
    let between = versions(&db).await;
    write_change(&db, &put(vec![two.clone()])).await;
    let removal = CatalogChange {
        datasets_removed: vec![one.id],
        ..CatalogChange::default()
    };
    write_change(&db, &removal).await;
    assert_eq!(changes(&db, &between).await, these(&[one.id, two.id]));
    // People change no dataset.
    let between = versions(&db).await;
    let people = CatalogChange {
        users_put: vec![user("ada", &[])],
        ..CatalogChange::default()
    };
    write_change(&db, &people).await;
    let mut ines = user("ines", &[]).user;
    ines.issuer = Some("https://id.example".to_owned());
    db.database.add_external_user(&ines, "7", 1).await.unwrap();
    assert!(db.database.update_external_user(&ines, 2).await.unwrap());
    assert_eq!(changes(&db, &between).await, these(&[]));
}

async fn a_change_that_may_reach_other_datasets_names_none(db: TestDatabase) {
    let ada = user("ada", &[]);
    let people = CatalogChange {
        users_put: vec![ada.clone()],
        ..CatalogChange::default()
    };
    write_change(&db, &people).await;
    let of_roles = |roles_put, roles_removed| CatalogChange {
        roles_put,
        roles_removed,
        ..CatalogChange::default()
    };
    let user_removed = CatalogChange {
        users_removed: vec![ada.user.id],
        ..CatalogChange::default()
    };
    for change in [
        of_roles(vec![role("geo")], vec![]),
        of_roles(vec![], vec![role("geo")]),
        user_removed,
    ] {
        let before = versions(&db).await;
        write_change(&db, &change).await;
        assert_eq!(changes(&db, &before).await, DatasetChanges::Any);
    }
    // Nor does a program that does not know of this.
    let before = versions(&db).await;
    db.execute("UPDATE catalog_version SET version = version + 1")
        .await;
    assert_eq!(changes(&db, &before).await, DatasetChanges::Any);
}

async fn a_large_apply_may_have_changed_any_and_settling_it_changes_none(db: TestDatabase) {
    let database = &db.database;
    let before = versions(&db).await;
    let state = database.apply_state().await.unwrap();
    let lease = database.lease_apply(state).await.unwrap().unwrap();
    let staged = StagedDataset::Put(dataset("one", None));
    assert!(database.stage_datasets(lease, &[staged]).await.unwrap());
    assert_eq!(versions(&db).await, before);
    let (change, sign_in) = (CatalogChange::default(), SignInConditions::default());
    let conditions = CommitConditions::new(&sign_in);
    let committed = database.commit_apply(lease, before.catalog, &change, &conditions, |_| None);
    committed.await.unwrap();
    assert_eq!(changes(&db, &before).await, DatasetChanges::Any);

    let committed = versions(&db).await;
    while database.settle_staged_datasets(2).await.unwrap().is_some() {}
    assert_eq!(versions(&db).await, committed);

    // A small one says what it changed.
    let state = database.apply_state().await.unwrap();
    let lease = database.lease_apply(state).await.unwrap().unwrap();
    let two = dataset("two", None);
    let change = CatalogChange {
        datasets_put: vec![two.clone()],
        ..CatalogChange::default()
    };
    let small = database.commit_apply(lease, committed.catalog, &change, &conditions, |_| None);
    small.await.unwrap();
    assert_eq!(changes(&db, &committed).await, these(&[two.id]));
}

async fn changes_that_were_lost_or_are_not_known_any_more_are_any(db: TestDatabase) {
    write_change(&db, &CatalogChange::default()).await;
    let known = versions(&db).await;
    write_change(&db, &CatalogChange::default()).await;
    let lost = versions(&db).await;
    // Another change gets the number of one that a failover lost.
    let back = format!("UPDATE catalog_version SET version = {}", known.catalog);
    db.execute(&back).await;
    write_change(&db, &CatalogChange::default()).await;
    assert_eq!(versions(&db).await.catalog, lost.catalog);
    assert_eq!(changes(&db, &lost).await, DatasetChanges::Any);
    assert_eq!(changes(&db, &known).await, DatasetChanges::Any);

    let old = versions(&db).await;
    for _ in 0..256 {
        write_change(&db, &CatalogChange::default()).await;
    }
    assert_eq!(changes(&db, &old).await, DatasetChanges::Any);
}
