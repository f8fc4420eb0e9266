//! Users and roles that much refers to are gone at once, and swept in small transactions.

use cedargate::storage::{CatalogChange, StorageError};

use crate::support::test_database::{TestDatabase, dataset, role, roles, user, write_change};

on_both! {
    a_user_with_many_datasets_is_gone_before_they_are_swept,
    a_role_with_many_shares_is_gone_before_they_are_swept_and_its_name_is_free_after,
    a_dataset_with_many_readers_is_written_by_what_differs,
}

/// More than what is swept right after a removal.
const MANY: usize = 2500;

async fn a_user_with_many_datasets_is_gone_before_they_are_swept(db: TestDatabase) {
    let ada = user("ada", &["admin"]);
    let mut owned: Vec<_> = (0..MANY)
        .map(|_| dataset("owned", Some(ada.user.id)))
        .collect();
    for dataset in &mut owned {
        dataset.reader_users = [ada.user.id].into();
    }
    let change = CatalogChange {
        users_put: vec![ada.clone()],
        datasets_put: owned,
        ..CatalogChange::default()
    };
    write_change(&db, &change).await;
    let again = user("ada", &[]);
    let removal = CatalogChange {
        users_removed: vec![ada.user.id],
        users_put: vec![again.clone()],
        ..CatalogChange::default()
    };
    write_change(&db, &removal).await;

    for _ in 0..2 {
        let catalog = db.database.read_catalog().await.unwrap();
        assert_eq!(catalog.users, std::slice::from_ref(&again));
        assert_eq!(catalog.datasets.len(), MANY);
        let mut datasets = catalog.datasets.iter();
        assert!(datasets.all(|d| d.owner.is_none() && d.reader_users.is_empty()));
        assert_eq!(db.database.find_user(ada.user.id).await, Ok(None));
        while db.database.sweep_removed().await.unwrap() {}
    }
}

async fn a_role_with_many_shares_is_gone_before_they_are_swept_and_its_name_is_free_after(
    db: TestDatabase,
) {
    let mut shared: Vec<_> = (0..MANY).map(|_| dataset("shared", None)).collect();
    for dataset in &mut shared {
        dataset.reader_roles = roles(&["hydrology"]);
    }
    let put_role = CatalogChange {
        roles_put: vec![role("hydrology")],
        ..CatalogChange::default()
    };
    let ada = user("ada", &["hydrology"]);
    let change = CatalogChange {
        users_put: vec![ada.clone()],
        datasets_put: shared,
        ..put_role.clone()
    };
    write_change(&db, &change).await;
    let removal = CatalogChange {
        roles_removed: vec![role("hydrology")],
        ..CatalogChange::default()
    };
    let version = write_change(&db, &removal).await;

    let early = db.database.write_catalog(&put_role, version).await;
    assert!(
        matches!(early, Err(StorageError::Unavailable { .. })),
        "{early:?}"
    );
    for is_again in [false, true] {
        let catalog = db.database.read_catalog().await.unwrap();
        assert_eq!(catalog.roles.contains(&role("hydrology")), is_again);
        assert!(catalog.users[0].user.roles.is_empty());
        assert!(catalog.datasets.iter().all(|d| d.reader_roles.is_empty()));
        assert_eq!(db.database.has_role(&role("hydrology")).await, Ok(is_again));
        while db.database.sweep_removed().await.unwrap() {}
        write_change(&db, &put_role).await;
    }
}

async fn a_dataset_with_many_readers_is_written_by_what_differs(db: TestDatabase) {
    let users: Vec<_> = (0..300).map(|n| user(&format!("user-{n}"), &[])).collect();
    let ids: Vec<_> = users.iter().map(|record| record.user.id).collect();
    let mut shared = dataset("shared", None);
    shared.reader_users = ids[..200].iter().copied().collect();
    shared.reader_roles = roles(&["admin", "hydrology"]);
    let mut change = CatalogChange {
        roles_put: vec![role("hydrology")],
        users_put: users,
        datasets_put: vec![shared.clone()],
        ..CatalogChange::default()
    };
    write_change(&db, &change).await;
    assert_eq!(
        db.database.find_dataset(shared.id).await,
        Ok(Some(shared.clone()))
    );
    shared.reader_users = ids[100..].iter().copied().collect();
    shared.reader_roles = roles(&["hydrology"]);
    change.datasets_put = vec![shared.clone()];
    write_change(&db, &change).await;
    assert_eq!(db.database.find_dataset(shared.id).await, Ok(Some(shared)));
}
