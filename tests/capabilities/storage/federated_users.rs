//! Federated users: found by issuer and subject, added once, updated by newer tokens.

use cedargate::domain::principal::{Tags, User};
use cedargate::storage::{AddUserOutcome, ExternalUser, StorageError};

use crate::support::test_database::{TestDatabase, role, roles, tags, user, write_change};

on_both! {
    a_federated_user_is_found_by_issuer_and_subject,
    an_issuer_and_subject_are_one_user_and_a_name_is_unique,
    of_many_added_at_the_same_time_one_is_stored,
    roles_that_the_catalog_lacks_are_ignored,
    a_newer_token_refreshes_and_an_older_one_changes_nothing,
    a_user_of_the_catalog_is_never_refreshed,
    replacing_a_user_keeps_its_issuer_and_subject,
    a_user_expected_by_name_is_bound_to_one_subject_permanently,
}

const ISSUER: &str = "https://id.example";

fn federated_user(name: &str, member_of: &[&str]) -> User {
    let mut user = user(name, member_of).user;
    user.issuer = Some(ISSUER.to_owned());
    user.claims = tags("group", &["Straße \"quoted\"", ""]);
    user
}

async fn add_hydrology_role(db: &TestDatabase) {
    let change = cedargate::storage::CatalogChange {
        roles_put: vec![role("hydrology")],
        ..Default::default()
    };
    write_change(db, &change).await;
}

async fn add(db: &TestDatabase, user: &User, subject: &str, issued_at: i64) -> AddUserOutcome {
    let database = &db.database;
    database
        .add_external_user(user, subject, issued_at)
        .await
        .unwrap()
}

async fn find(db: &TestDatabase, subject: &str) -> Option<ExternalUser> {
    let database = &db.database;
    database.find_external_user(ISSUER, subject).await.unwrap()
}

async fn catalog_version(db: &TestDatabase) -> i64 {
    db.database.catalog_version().await.unwrap()
}

async fn a_federated_user_is_found_by_issuer_and_subject(db: TestDatabase) {
    add_hydrology_role(&db).await;
    let before = catalog_version(&db).await;
    let ines = federated_user("ines", &["admin", "hydrology"]);
    assert_eq!(add(&db, &ines, "7|é", 100).await, AddUserOutcome::Added);
    assert_eq!(catalog_version(&db).await, before + 1);
    let found = ExternalUser {
        id: ines.id,
        claims_issued_at: Some(100),
    };
    assert_eq!(find(&db, "7|é").await, Some(found));
    let stored = db.database.find_user(ines.id).await.unwrap();
    assert_eq!(stored, Some(ines.clone()));
    let login = db
        .database
        .find_user_by_username(&ines.username)
        .await
        .unwrap();
    assert_eq!(login.unwrap().password_hash, None);
    assert_eq!(find(&db, "7|É").await, None);
    let other = db
        .database
        .find_external_user("https://id.example/", "7|é")
        .await;
    assert_eq!(other.unwrap(), None);
}

async fn an_issuer_and_subject_are_one_user_and_a_name_is_unique(db: TestDatabase) {
    let otto = user("otto", &[]);
    let change = cedargate::storage::CatalogChange {
        users_put: vec![otto],
        ..Default::default()
    };
    write_change(&db, &change).await;
    assert_eq!(
        add(&db, &federated_user("ines", &[]), "7", 1).await,
        AddUserOutcome::Added
    );
    let before = catalog_version(&db).await;
    for (name, subject) in [("otto", "8"), ("ines", "8"), ("other", "7")] {
        let addition = add(&db, &federated_user(name, &[]), subject, 2).await;
        assert_eq!(addition, AddUserOutcome::AlreadyExists, "{name} {subject}");
    }
    assert_eq!(catalog_version(&db).await, before);
    assert_eq!(find(&db, "8").await, None);
    // The same subject of another issuer is another user.
    let mut elsewhere = federated_user("elsewhere", &[]);
    elsewhere.issuer = Some("https://other.example".to_owned());
    assert_eq!(add(&db, &elsewhere, "7", 1).await, AddUserOutcome::Added);
}

async fn of_many_added_at_the_same_time_one_is_stored(db: TestDatabase) {
    let users: Vec<User> = (0..8).map(|_| federated_user("ines", &[])).collect();
    let additions = users.iter().map(|user| add(&db, user, "7", 1));
    let additions = futures_util::future::join_all(additions).await;
    let added = additions
        .iter()
        .filter(|one| **one == AddUserOutcome::Added);
    assert_eq!(added.count(), 1, "{additions:?}");
}

async fn roles_that_the_catalog_lacks_are_ignored(db: TestDatabase) {
    add_hydrology_role(&db).await;
    let ines = federated_user("ines", &["hydrology", "no-such-role"]);
    assert_eq!(add(&db, &ines, "7", 1).await, AddUserOutcome::Added);
    let stored = db.database.find_user(ines.id).await.unwrap().unwrap();
    assert_eq!(stored.roles, roles(&["hydrology"]));
    let names = db.database.role_names().await.unwrap();
    assert_eq!(
        names.into_iter().collect::<std::collections::BTreeSet<_>>(),
        roles(&["admin", "hydrology"])
    );
}

async fn a_newer_token_refreshes_and_an_older_one_changes_nothing(db: TestDatabase) {
    add_hydrology_role(&db).await;
    let mut ines = federated_user("ines", &["hydrology"]);
    add(&db, &ines, "7", 100).await;
    let stored = async || db.database.find_user(ines.id).await.unwrap().unwrap();
    ines.roles = roles(&["admin"]);
    ines.claims = Tags::new();
    for (issued_at, is_newer) in [(99, false), (100, false), (101, true), (101, false)] {
        let before = catalog_version(&db).await;
        let refreshed = db.database.update_external_user(&ines, issued_at).await;
        assert_eq!(refreshed.unwrap(), is_newer, "{issued_at}");
        assert_eq!(catalog_version(&db).await, before + i64::from(is_newer));
        assert_eq!(stored().await == ines, issued_at == 101);
    }
    assert_eq!(find(&db, "7").await.unwrap().claims_issued_at, Some(101));
}

async fn a_user_of_the_catalog_is_never_refreshed(db: TestDatabase) {
    let otto = user("otto", &[]);
    let mut other = otto.user.clone();
    let change = cedargate::storage::CatalogChange {
        users_put: vec![otto.clone()],
        ..Default::default()
    };
    write_change(&db, &change).await;
    other.roles = roles(&["admin"]);
    let refreshed = db.database.update_external_user(&other, 1).await;
    assert_eq!(refreshed, Ok::<_, StorageError>(false));
    let stored = db.database.find_user(otto.user.id).await.unwrap();
    assert_eq!(stored, Some(otto.user));
}

async fn replacing_a_user_keeps_its_issuer_and_subject(db: TestDatabase) {
    let ines = federated_user("ines", &[]);
    add(&db, &ines, "7", 100).await;
    let mut record = db
        .database
        .find_user_by_username(&ines.username)
        .await
        .unwrap()
        .unwrap();
    record.user.is_disabled = true;
    let change = cedargate::storage::CatalogChange {
        users_put: vec![record],
        ..Default::default()
    };
    write_change(&db, &change).await;
    let found = find(&db, "7").await.unwrap();
    assert_eq!((found.id, found.claims_issued_at), (ines.id, Some(100)));
    assert!(
        db.database
            .find_user(ines.id)
            .await
            .unwrap()
            .unwrap()
            .is_disabled
    );
}

async fn a_user_expected_by_name_is_bound_to_one_subject_permanently(db: TestDatabase) {
    let mut expected = user("ines", &[]);
    expected.user.issuer = Some(ISSUER.to_owned());
    let otto = user("otto", &[]);
    let (ines, own) = (expected.user.clone(), otto.user.clone());
    let change = cedargate::storage::CatalogChange {
        users_put: vec![expected, otto],
        ..Default::default()
    };
    write_change(&db, &change).await;
    let database = &db.database;
    let look = async |issuer: &str, user: &User| {
        let name = &user.username;
        database.find_unbound_user(issuer, name).await.unwrap()
    };
    assert_eq!(look(ISSUER, &ines).await, Some(ines.id));
    assert_eq!(look("https://other.example", &ines).await, None);
    assert_eq!(look(ISSUER, &own).await, None);
    let before = catalog_version(&db).await;
    assert!(!database.bind_subject(own.id, "7").await.unwrap());
    assert!(database.bind_subject(ines.id, "7").await.unwrap());
    assert!(!database.bind_subject(ines.id, "8").await.unwrap());
    assert_eq!(catalog_version(&db).await, before + 1);
    assert_eq!(look(ISSUER, &ines).await, None);
    assert_eq!(find(&db, "7").await.unwrap().id, ines.id);
    assert_eq!(find(&db, "8").await, None);
}
