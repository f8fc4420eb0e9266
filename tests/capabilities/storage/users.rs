//! Users and roles: read in pages, and the last admin.

use cedargate::domain::action::Action;
use cedargate::domain::api_key::{ApiKey, KeyName, KeyScope, KeyText};
use cedargate::domain::id::{ApiKeyId, UserId};
use cedargate::domain::name::RoleName;
use cedargate::domain::secret::Secret;
use cedargate::storage::{
    ApiKeyRemoval, CatalogChange, SignInConditions, StoredApiKey, UserFilter, UserRecord,
};

use crate::support::test_database::{TestDatabase, record, role, user, write_change};

on_both! {
    users_are_read_in_pages_in_the_order_of_their_ids,
    a_filter_reads_one_name_or_the_members_of_a_role,
    roles_are_read_in_pages,
    many_names_are_looked_up_in_one_statement,
    an_admin_counts_only_while_it_can_sign_in,
    the_key_of_the_last_admin_is_not_removed,
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

const ISSUER: &str = "https://id.example";

fn conditions(now: i64, issuers: &[&str]) -> SignInConditions {
    SignInConditions {
        now,
        admin_issuers: issuers.iter().map(ToString::to_string).collect(),
    }
}

async fn add_key(db: &TestDatabase, owner: UserId, scope: KeyScope, expires_at: i64) -> ApiKeyId {
    let text = KeyText::random();
    let key = ApiKey {
        id: ApiKeyId::generate_at(1),
        user_id: owner,
        name: KeyName::new("key").unwrap(),
        prefix: text.prefix(),
        scope,
        created_at: 0,
        expires_at: Some(expires_at),
        last_used: None,
    };
    let stored = StoredApiKey {
        key,
        digest: text.digest(),
    };
    let added = db.database.add_api_key(&stored, 9, 0, &record(1)).await;
    assert_eq!(added, Ok(true));
    stored.key.id
}

async fn an_admin_counts_only_while_it_can_sign_in(db: TestDatabase) {
    let admin = |name: &str| {
        let mut record = user(name, &["admin"]);
        record.password_hash = None;
        record
    };
    let mut ada = admin("ada");
    put_users(&db, &[ada.clone(), user("cy", &["hydrology"])]).await;
    let count = async |now: i64, issuers: &[&str]| {
        let conditions = conditions(now, issuers);
        let admins = db.database.admins_who_can_sign_in(&conditions).await;
        admins.unwrap().len()
    };
    assert_eq!(count(1, &[]).await, 0, "neither password nor key");
    ada.password_hash = Some(Secret::new("hash".to_owned()));
    put_users(&db, &[ada.clone()]).await;
    assert_eq!(count(1, &[]).await, 1);
    ada.user.is_disabled = true;
    put_users(&db, &[ada.clone()]).await;
    assert_eq!(count(1, &[]).await, 0, "disabled");

    let ben = admin("ben");
    put_users(&db, std::slice::from_ref(&ben)).await;
    let restricted = KeyScope::new(Some([Action::Read].into()), None).unwrap();
    add_key(&db, ben.user.id, restricted, 100).await;
    assert_eq!(count(1, &[]).await, 0, "a restricted key");
    add_key(&db, ben.user.id, KeyScope::default(), 100).await;
    assert_eq!(count(1, &[]).await, 1);
    assert_eq!(count(100, &[]).await, 0, "an expired key");

    let mut ines = admin("ines");
    ines.user.issuer = Some(ISSUER.to_owned());
    // A hash is no way in for the user of a provider.
    ines.password_hash = Some(Secret::new("hash".to_owned()));
    put_users(&db, &[ines.clone()]).await;
    assert_eq!(count(100, &[ISSUER]).await, 0, "no token has been seen");
    assert_eq!(db.database.bind_subject(ines.user.id, "7").await, Ok(true));
    let updated = db.database.update_external_user(&ines.user, 50).await;
    assert_eq!(updated, Ok(true));
    assert_eq!(count(100, &[ISSUER]).await, 1);
    assert_eq!(count(100, &[]).await, 0, "its provider is not configured");
}

async fn the_key_of_the_last_admin_is_not_removed(db: TestDatabase) {
    let mut ada = user("ada", &["admin"]);
    ada.password_hash = None;
    let owner = ada.user.id;
    put_users(&db, &[ada]).await;
    let key = add_key(&db, owner, KeyScope::default(), 100).await;
    let remove = async |id, now| {
        let (record, conditions) = (record(2), conditions(now, &[]));
        let removed = db.database.remove_api_key(owner, id, &record, &conditions);
        removed.await.unwrap()
    };
    assert_eq!(remove(key, 1).await, ApiKeyRemoval::LastAdmin);
    let found = db.database.find_api_key_by_id(key).await;
    assert!(found.unwrap().is_some());
    add_key(&db, owner, KeyScope::default(), 100).await;
    assert_eq!(remove(key, 1).await, ApiKeyRemoval::Removed);
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
