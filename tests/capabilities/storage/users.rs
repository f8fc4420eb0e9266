//! Users and roles: read in pages, and the last admin.

use cedargate::domain::id::UserId;
use cedargate::domain::name::RoleName;
use cedargate::storage::{CatalogChange, UserFilter, UserRecord};

use crate::support::test_database::{TestDatabase, role, user, write_change};

on_both! {
    users_are_read_in_pages_in_the_order_of_their_ids,
    a_filter_reads_one_name_or_the_members_of_a_role,
    roles_are_read_in_pages,
    another_admin_is_one_who_is_not_disabled,
    many_names_are_looked_up_in_one_statement,
}

async fn put_users(db: &TestDatabase, users: &[UserRecord]) {
    let change = CatalogChange {
        roles_put: vec![role("hydrology")],
        users_put: users.to_vec(),
        ..CatalogChange::default()
    };
    write_change(db, &change).await;
}

/// All users that a filter finds, in pages of three.
async fn list_all(db: &TestDatabase, filter: &UserFilter) -> Vec<UserRecord> {
    let mut all: Vec<UserRecord> = Vec::new();
    loop {
        let after: Option<UserId> = all.last().map(|record| record.user.id);
        let page = db.database.list_users(after, 3, filter).await.unwrap();
        assert!(page.len() <= 3);
        if page.is_empty() {
            return all;
        }
        all.extend(page);
    }
}

fn seven_users() -> Vec<UserRecord> {
    let mut users: Vec<_> = (0..7)
        .map(|n| {
            let member_of: &[&str] = if n < 4 { &["hydrology"] } else { &[] };
            user(&format!("user{n}"), member_of)
        })
        .collect();
    users[5].user.is_disabled = true;
    users.sort_by_key(|record| record.user.id);
    users
}

async fn users_are_read_in_pages_in_the_order_of_their_ids(db: TestDatabase) {
    let users = seven_users();
    put_users(&db, &users).await;
    assert_eq!(list_all(&db, &UserFilter::default()).await, users);
    let found = db.database.find_user_record(users[0].user.id).await;
    assert_eq!(found, Ok(Some(users[0].clone())));
}

async fn a_filter_reads_one_name_or_the_members_of_a_role(db: TestDatabase) {
    let users = seven_users();
    put_users(&db, &users).await;
    let by = |username: Option<&str>, member_of: Option<&str>| UserFilter {
        username: username.map(|name| name.parse().unwrap()),
        role: member_of.map(role),
    };
    let names = async |filter: UserFilter| {
        let found = list_all(&db, &filter).await;
        let names = found.iter().map(|record| record.user.username.to_string());
        names.collect::<Vec<_>>()
    };
    let members: Vec<_> = users
        .iter()
        .filter(|record| !record.user.roles.is_empty())
        .map(|record| record.user.username.to_string())
        .collect();
    assert_eq!(names(by(None, Some("hydrology"))).await, members);
    assert_eq!(names(by(Some("user2"), None)).await, ["user2"]);
    assert_eq!(names(by(Some("user2"), Some("hydrology"))).await, ["user2"]);
    assert_eq!(names(by(Some("user6"), Some("hydrology"))).await, [""; 0]);
    assert_eq!(names(by(Some("user"), None)).await, [""; 0]);
    assert_eq!(names(by(None, Some("admin"))).await, [""; 0]);
}

async fn roles_are_read_in_pages(db: TestDatabase) {
    let all: Vec<RoleName> = ["a1", "admin", "b", "c", "d"].map(role).into();
    let change = CatalogChange {
        roles_put: all.clone(),
        ..CatalogChange::default()
    };
    write_change(&db, &change).await;
    let database = &db.database;
    let first = database.list_roles(None, 3).await.unwrap();
    let second = database.list_roles(first.last(), 3).await.unwrap();
    assert_eq!((first.len(), second.len()), (3, 2));
    assert_eq!([first, second].concat(), all);
    assert_eq!(database.has_role(&role("b")).await, Ok(true));
    assert_eq!(database.has_role(&role("e")).await, Ok(false));
}

async fn another_admin_is_one_who_is_not_disabled(db: TestDatabase) {
    let (ada, mut ben) = (user("ada", &["admin"]), user("ben", &["admin"]));
    let cy = user("cy", &["hydrology"]);
    ben.user.is_disabled = true;
    put_users(&db, &[ada.clone(), ben.clone(), cy]).await;
    let database = &db.database;
    assert_eq!(database.has_another_admin(ada.user.id).await, Ok(false));
    assert_eq!(database.has_another_admin(ben.user.id).await, Ok(true));
    ben.user.is_disabled = false;
    put_users(&db, &[ben]).await;
    assert_eq!(database.has_another_admin(ada.user.id).await, Ok(true));
}

async fn many_names_are_looked_up_in_one_statement(db: TestDatabase) {
    let users = seven_users();
    put_users(&db, &users).await;
    let names: Vec<_> = users.iter().map(|record| &record.user.username).collect();
    let odd: cedargate::domain::name::Username = "nobody".parse().unwrap();
    let asked = names.iter().copied().take(3).chain([&odd]).collect();
    let found = db.database.find_user_ids(&asked).await.unwrap();
    let expected = users.iter().take(3);
    let expected = expected.map(|record| (record.user.username.clone(), record.user.id));
    assert_eq!(found, expected.collect());
    let none = db
        .database
        .find_user_ids(&std::collections::BTreeSet::new())
        .await;
    assert!(none.unwrap().is_empty());

    let (known, unknown) = (role("hydrology"), role("nobody"));
    let find = async |names: &[&RoleName]| {
        let names = names.iter().copied().collect();
        db.database.find_unknown_role(&names).await.unwrap()
    };
    assert_eq!(find(&[]).await, None);
    assert_eq!(find(&[&known]).await, None);
    assert_eq!(find(&[&known, &unknown]).await, Some(unknown.clone()));
}
