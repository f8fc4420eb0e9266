//! Storage: every function on SQLite and on PostgreSQL, and what outages look like.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use cedargate::domain::action::Action;
use cedargate::domain::audit::{AuditRecord, Event, Outcome};
use cedargate::domain::caller::Authentication;
use cedargate::domain::dataset::{Dataset, RecordStatus, StoredFile, Visibility};
use cedargate::domain::decision::Revision;
use cedargate::domain::id::{DatasetId, RecordId, UserId};
use cedargate::domain::name::RoleName;
use cedargate::domain::principal::{Tags, User};
use cedargate::domain::secret::Secret;
use cedargate::storage::{CatalogChange, Database, KeyState, StorageError, StoredKey, UserRecord};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use tempfile::TempDir;
use uuid::Uuid;

use crate::postgres::{Cluster, free_port, fresh_database};

/// An empty migrated database, and where it is.
struct Place {
    database: Database,
    url: String,
    _folder: Option<TempDir>,
}

impl Place {
    async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/cedargate.db", folder.path().display());
        Self::at(url, Some(folder)).await
    }

    async fn postgres() -> Self {
        Self::at(fresh_database().await, None).await
    }

    async fn at(url: String, folder: Option<TempDir>) -> Self {
        let database = Database::open(&url).await.unwrap();
        database.migrate().await.unwrap();
        Self {
            database,
            url,
            _folder: folder,
        }
    }

    /// Runs SQL past the storage module.
    async fn tamper(&self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        if self.database.kind() == "sqlite" {
            let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        } else {
            let mut connection = PgConnection::connect(&self.url).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        }
    }
}

/// Runs every scenario on both databases.
macro_rules! on_both {
    ($($scenario:ident,)*) => {
        mod on_sqlite { $(
            #[tokio::test]
            async fn $scenario() { super::$scenario(super::Place::sqlite().await).await; }
        )* }
        mod on_postgres { $(
            #[tokio::test]
            async fn $scenario() { super::$scenario(super::Place::postgres().await).await; }
        )* }
    };
}

on_both! {
    a_new_database_has_the_built_in_role_and_nothing_else,
    every_field_of_the_catalog_comes_back_as_it_was_written,
    a_change_that_is_put_again_changes_the_version_alone,
    what_is_put_replaces_what_was_there,
    a_change_planned_on_an_older_version_is_a_conflict_and_writes_nothing,
    of_two_changes_planned_on_one_version_one_wins,
    a_change_that_breaks_a_rule_writes_nothing,
    removing_a_user_removes_its_shares_and_orphans_its_datasets,
    removing_a_role_removes_its_memberships_and_shares,
    the_built_in_role_cannot_be_removed,
    a_removed_users_name_is_free_within_the_same_change,
    removing_a_dataset_leaves_the_others,
    a_row_that_does_not_parse_is_corrupt_and_not_a_default,
    the_first_signing_key_is_stored_once,
    of_two_replicas_that_start_together_one_stores_its_key,
    the_first_signing_key_must_be_current,
    every_field_of_an_audit_record_comes_back_as_it_was_written,
    five_hundred_records_are_appended_at_once_and_paged_in_order,
    records_appended_again_are_there_once,
    a_record_with_a_nul_character_does_not_cost_its_batch,
    a_mint_is_found_by_its_token_only_when_it_was_granted,
    migrating_again_does_no_harm,
    a_database_of_a_newer_program_is_told_from_a_broken_one,
    a_closed_database_is_unavailable,
}

fn role(name: &str) -> RoleName {
    name.parse().unwrap()
}

fn roles(names: &[&str]) -> BTreeSet<RoleName> {
    names.iter().map(|name| role(name)).collect()
}

fn tags(key: &str, values: &[&str]) -> Tags {
    BTreeMap::from([(
        key.to_owned(),
        values.iter().map(|&value| value.to_owned()).collect(),
    )])
}

fn user(name: &str, member_of: &[&str]) -> UserRecord {
    UserRecord {
        user: User {
            id: UserId::random(),
            username: name.parse().unwrap(),
            issuer: None,
            roles: roles(member_of),
            claims: Tags::new(),
            is_disabled: false,
        },
        password_hash: None,
    }
}

fn dataset(title: &str, owner: Option<UserId>) -> Dataset {
    Dataset {
        id: DatasetId(Uuid::new_v4()),
        title: title.to_owned(),
        visibility: Visibility::Restricted,
        record_status: RecordStatus::Published,
        owner,
        reader_users: BTreeSet::new(),
        reader_roles: BTreeSet::new(),
        tags: Tags::new(),
        file: None,
    }
}

/// Two users and two datasets in which every field has something to lose.
fn full_change() -> CatalogChange {
    let mut ada = user("ada", &["admin", "hydrology"]);
    ada.user.claims = tags("groups", &["Straße \"quoted\"", "\u{1f30d}", ""]);
    ada.user.issuer = Some(String::from("https://issuer.example/"));
    ada.password_hash = Some(Secret::new(String::from(
        "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA",
    )));
    let mut ben = user("ben", &[]);
    ben.user.is_disabled = true;
    let mut full = dataset("Jacksboro fault: élévation", Some(ada.user.id));
    full.reader_users = BTreeSet::from([ada.user.id, ben.user.id]);
    full.reader_roles = roles(&["hydrology", "admin"]);
    full.tags = tags("theme", &["elevation", "a,b"]);
    full.file = Some(StoredFile {
        sha256: "0f".repeat(32),
        name: String::from("jacksboro-fault-dem.cog.tif"),
        size: i64::MAX.unsigned_abs(),
        modified: -1,
    });
    let mut bare = dataset("", None);
    bare.visibility = Visibility::Private;
    bare.record_status = RecordStatus::Draft;
    CatalogChange {
        roles_put: vec![role("hydrology")],
        users_put: vec![ada, ben],
        datasets_put: vec![full, bare],
        ..CatalogChange::default()
    }
}

async fn put(place: &Place, change: &CatalogChange) -> i64 {
    let version = place.database.catalog_version().await.unwrap();
    place.database.write_catalog(change, version).await.unwrap()
}

fn key(kid: &str, state: KeyState, created_at: i64) -> StoredKey {
    StoredKey {
        kid: kid.to_owned(),
        state,
        sealed: format!("sealed {kid}"),
        created_at,
    }
}

fn record(unix_millis: u64) -> AuditRecord {
    let id = RecordId::at(unix_millis);
    AuditRecord {
        id,
        unix_millis: unix_millis.cast_signed(),
        event: Event::Mint,
        outcome: Outcome::Granted,
        status: 200,
        user_id: Some(UserId::random()),
        authentication: Authentication::Password,
        address: "2001:db8::1".parse().unwrap(),
        dataset_id: Some(DatasetId(Uuid::new_v4())),
        action: Some(Action::Read),
        determining_policies: vec![String::from("shared-role"), String::from("owner \"x\"")],
        errors: vec![String::from("no such attribute: é")],
        revision: Some(Revision("ab".repeat(32).into())),
        jti: Some(id),
        reason: Some(String::from("because")),
        request_id: Some(String::from("req-1")),
    }
}

async fn a_new_database_has_the_built_in_role_and_nothing_else(place: Place) {
    let database = &place.database;
    let catalog = database.read_catalog().await.unwrap();
    assert_eq!(catalog.roles, roles(&["admin"]));
    assert!(catalog.users.is_empty() && catalog.datasets.is_empty());
    assert_eq!(catalog.version, database.catalog_version().await.unwrap());
    assert_eq!(database.find_user(UserId::random()).await, Ok(None));
    assert_eq!(database.find_login(&"ada".parse().unwrap()).await, Ok(None));
    assert_eq!(
        database.find_dataset(DatasetId(Uuid::nil())).await,
        Ok(None)
    );
    assert_eq!(database.list_signing_keys().await, Ok(vec![]));
    assert_eq!(database.audit_page(None, 10).await, Ok(vec![]));
    assert_eq!(database.find_mint(RecordId::at(1)).await, Ok(None));
    assert_eq!(database.ping().await, Ok(()));
    assert!(place.url.starts_with(database.kind()));
}

async fn every_field_of_the_catalog_comes_back_as_it_was_written(place: Place) {
    let change = full_change();
    let before = place.database.catalog_version().await.unwrap();
    let version = put(&place, &change).await;
    assert_eq!(version, before + 1);

    let catalog = place.database.read_catalog().await.unwrap();
    assert_eq!(catalog.version, version);
    assert_eq!(catalog.roles, roles(&["admin", "hydrology"]));
    assert_eq!(catalog.users, change.users_put);
    let mut datasets = change.datasets_put.clone();
    datasets.sort_by_key(|dataset| dataset.id);
    assert_eq!(catalog.datasets, datasets);

    for record in change.users_put {
        let found = place.database.find_user(record.user.id).await.unwrap();
        assert_eq!(found.as_ref(), Some(&record.user));
        let login = place.database.find_login(&record.user.username).await;
        assert_eq!(login, Ok(Some(record)));
    }
    for dataset in change.datasets_put {
        assert_eq!(
            place.database.find_dataset(dataset.id).await,
            Ok(Some(dataset))
        );
    }
}

async fn a_change_that_is_put_again_changes_the_version_alone(place: Place) {
    let change = full_change();
    let first_version = put(&place, &change).await;
    let first = place.database.read_catalog().await.unwrap();
    assert_eq!(put(&place, &change).await, first_version + 1);
    let mut second = place.database.read_catalog().await.unwrap();
    second.version = first.version;
    assert_eq!(second, first);
}

async fn what_is_put_replaces_what_was_there(place: Place) {
    let mut change = full_change();
    put(&place, &change).await;
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
    put(&place, &change).await;

    let ada = &change.users_put[0];
    let login = place.database.find_login(&ada.user.username).await;
    assert_eq!(login, Ok(Some(ada.clone())));
    assert_eq!(
        place.database.find_login(&"ada".parse().unwrap()).await,
        Ok(None)
    );
    let full = &change.datasets_put[0];
    assert_eq!(
        place.database.find_dataset(full.id).await,
        Ok(Some(full.clone()))
    );
}

async fn a_change_planned_on_an_older_version_is_a_conflict_and_writes_nothing(place: Place) {
    let planned_on = place.database.catalog_version().await.unwrap();
    put(&place, &full_change()).await;
    let before = place.database.read_catalog().await.unwrap();
    let change = CatalogChange {
        users_put: vec![user("late", &[])],
        ..CatalogChange::default()
    };
    assert_eq!(
        place.database.write_catalog(&change, planned_on).await,
        Err(StorageError::Conflict {
            expected: planned_on,
            found: planned_on + 1
        })
    );
    assert_eq!(place.database.read_catalog().await, Ok(before));
}

async fn of_two_changes_planned_on_one_version_one_wins(place: Place) {
    let other = Database::open(&place.url).await.unwrap();
    let version = other.catalog_version().await.unwrap();
    let change = |name| CatalogChange {
        users_put: vec![user(name, &["admin"])],
        ..CatalogChange::default()
    };
    let (here, there) = (change("here"), change("there"));
    let (here, there) = tokio::join!(
        place.database.write_catalog(&here, version),
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
    assert_eq!(place.database.read_catalog().await.unwrap().users.len(), 1);
}

async fn a_change_that_breaks_a_rule_writes_nothing(place: Place) {
    put(&place, &full_change()).await;
    let before = place.database.read_catalog().await.unwrap();
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
    too_large.file = Some(StoredFile {
        sha256: "0f".repeat(32),
        name: String::from("large.tif"),
        size: u64::MAX,
        modified: 0,
    });
    let mut shared_with_nobody = dataset("shared with an unknown role", None);
    shared_with_nobody.reader_roles = roles(&["unknown"]);
    for change in [
        with_users(vec![user("fine", &[]), user("ada", &[])]),
        with_users(vec![user("member", &["unknown"])]),
        with_dataset(dataset("owned by nobody", Some(UserId::random()))),
        with_dataset(shared_with_nobody),
        with_dataset(too_large),
    ] {
        let answer = place.database.write_catalog(&change, before.version).await;
        assert!(
            matches!(answer, Err(StorageError::Inconsistent { .. })),
            "{change:?}: {answer:?}"
        );
        assert_eq!(place.database.read_catalog().await.as_ref(), Ok(&before));
    }
}

async fn removing_a_user_removes_its_shares_and_orphans_its_datasets(place: Place) {
    let change = full_change();
    put(&place, &change).await;
    let (ada, ben) = (change.users_put[0].user.id, change.users_put[1].user.id);
    let removal = CatalogChange {
        users_removed: vec![ada],
        ..CatalogChange::default()
    };
    put(&place, &removal).await;

    assert_eq!(place.database.find_user(ada).await, Ok(None));
    let mut left = change.datasets_put[0].clone();
    left.owner = None;
    left.reader_users = BTreeSet::from([ben]);
    assert_eq!(place.database.find_dataset(left.id).await, Ok(Some(left)));
}

async fn removing_a_role_removes_its_memberships_and_shares(place: Place) {
    let change = full_change();
    put(&place, &change).await;
    let removal = CatalogChange {
        roles_removed: vec![role("hydrology")],
        ..CatalogChange::default()
    };
    put(&place, &removal).await;

    let catalog = place.database.read_catalog().await.unwrap();
    assert_eq!(catalog.roles, roles(&["admin"]));
    assert_eq!(catalog.users[0].user.roles, roles(&["admin"]));
    let left = place.database.find_dataset(change.datasets_put[0].id).await;
    assert_eq!(left.unwrap().unwrap().reader_roles, roles(&["admin"]));
}

async fn the_built_in_role_cannot_be_removed(place: Place) {
    let removal = CatalogChange {
        roles_removed: vec![role("admin")],
        ..CatalogChange::default()
    };
    let version = place.database.catalog_version().await.unwrap();
    let answer = place.database.write_catalog(&removal, version).await;
    assert!(
        matches!(answer, Err(StorageError::Inconsistent { .. })),
        "{answer:?}"
    );
    assert_eq!(
        place.database.read_catalog().await.unwrap().roles,
        roles(&["admin"])
    );
}

async fn a_removed_users_name_is_free_within_the_same_change(place: Place) {
    let old = user("ada", &["admin"]);
    let new = user("ada", &[]);
    put(
        &place,
        &CatalogChange {
            users_put: vec![old.clone()],
            ..CatalogChange::default()
        },
    )
    .await;
    put(
        &place,
        &CatalogChange {
            users_put: vec![new.clone()],
            users_removed: vec![old.user.id],
            ..CatalogChange::default()
        },
    )
    .await;
    assert_eq!(place.database.read_catalog().await.unwrap().users, [new]);
}

async fn removing_a_dataset_leaves_the_others(place: Place) {
    let change = full_change();
    put(&place, &change).await;
    let removal = CatalogChange {
        datasets_removed: vec![change.datasets_put[0].id],
        ..CatalogChange::default()
    };
    put(&place, &removal).await;
    let catalog = place.database.read_catalog().await.unwrap();
    assert_eq!(catalog.datasets, [change.datasets_put[1].clone()]);
    assert_eq!(catalog.users, change.users_put);
}

async fn a_row_that_does_not_parse_is_corrupt_and_not_a_default(place: Place) {
    let change = full_change();
    put(&place, &change).await;
    place
        .database
        .append_audit_records(&[record(1)])
        .await
        .unwrap();
    let (ada, full) = (&change.users_put[0].user, &change.datasets_put[0]);
    let is_corrupt = |table: &str, error: Option<StorageError>| {
        assert!(
            matches!(&error, Some(StorageError::Corrupt { table: found, .. }) if *found == table),
            "{table}: {error:?}"
        );
    };

    place
        .tamper(r#"UPDATE users SET claims = '{"groups": "all"}'"#)
        .await;
    is_corrupt("users", place.database.find_user(ada.id).await.err());
    is_corrupt(
        "users",
        place.database.find_login(&ada.username).await.err(),
    );
    is_corrupt("users", place.database.read_catalog().await.err());
    place
        .tamper("UPDATE users SET claims = '{}', username = 'No Name' WHERE username = 'ada'")
        .await;
    is_corrupt("users", place.database.find_user(ada.id).await.err());
    place
        .tamper(r#"UPDATE datasets SET tags = '{"theme": [1]}'"#)
        .await;
    is_corrupt("datasets", place.database.find_dataset(full.id).await.err());
    place
        .tamper("UPDATE audit_records SET address = 'somewhere'")
        .await;
    is_corrupt(
        "audit_records",
        place.database.audit_page(None, 1).await.err(),
    );
    place
        .tamper("INSERT INTO roles (name) VALUES ('No Role')")
        .await;
    is_corrupt("roles", place.database.read_catalog().await.err());
}

async fn the_first_signing_key_is_stored_once(place: Place) {
    let first = key("first", KeyState::Current, 1_700_000_000);
    let second = key("second", KeyState::Current, 1_700_000_001);
    assert_eq!(
        place.database.insert_first_signing_key(&first).await,
        Ok(true)
    );
    assert_eq!(
        place.database.insert_first_signing_key(&second).await,
        Ok(false)
    );
    assert_eq!(
        place.database.insert_first_signing_key(&first).await,
        Ok(false)
    );
    let listed = place.database.list_signing_keys().await;
    assert_eq!(listed, Ok(vec![first.clone()]));

    place
        .tamper("UPDATE signing_keys SET state = 'previous'")
        .await;
    assert_eq!(
        place.database.insert_first_signing_key(&second).await,
        Ok(false)
    );
    let listed = place.database.list_signing_keys().await.unwrap();
    assert_eq!(listed[0].state, KeyState::Previous);
}

async fn of_two_replicas_that_start_together_one_stores_its_key(place: Place) {
    let other = Database::open(&place.url).await.unwrap();
    let (here, there) = (
        key("here", KeyState::Current, 1),
        key("there", KeyState::Current, 2),
    );
    let (is_here, is_there) = tokio::join!(
        place.database.insert_first_signing_key(&here),
        other.insert_first_signing_key(&there)
    );
    assert_ne!(is_here.clone().unwrap(), is_there.unwrap());
    let stored = if is_here.unwrap() { here } else { there };
    assert_eq!(other.list_signing_keys().await, Ok(vec![stored]));
}

async fn the_first_signing_key_must_be_current(place: Place) {
    let next = key("next", KeyState::Next, 1);
    let answer = place.database.insert_first_signing_key(&next).await;
    assert!(
        matches!(answer, Err(StorageError::Inconsistent { .. })),
        "{answer:?}"
    );
    assert_eq!(place.database.list_signing_keys().await, Ok(vec![]));
}

async fn every_field_of_an_audit_record_comes_back_as_it_was_written(place: Place) {
    let full = record(1_700_000_000_000);
    let bare = AuditRecord {
        id: RecordId::at(1_700_000_000_001),
        unix_millis: -1,
        event: Event::Login,
        outcome: Outcome::Refused,
        status: u16::MAX,
        user_id: None,
        authentication: Authentication::None,
        address: "192.0.2.7".parse().unwrap(),
        dataset_id: None,
        action: None,
        determining_policies: vec![],
        errors: vec![],
        revision: None,
        jti: None,
        reason: None,
        request_id: None,
    };
    let mut denied = record(1_700_000_000_002);
    denied.event = Event::Download;
    denied.outcome = Outcome::Denied;
    denied.action = Some(Action::Administer);
    let records = [full, bare, denied];
    place.database.append_audit_records(&records).await.unwrap();
    assert_eq!(
        place.database.audit_page(None, 10).await,
        Ok(records.to_vec())
    );
}

async fn five_hundred_records_are_appended_at_once_and_paged_in_order(place: Place) {
    let records: Vec<_> = (0..500).map(|at| record(1_700_000_000_000 + at)).collect();
    let mut shuffled = records.clone();
    shuffled.reverse();
    place
        .database
        .append_audit_records(&shuffled)
        .await
        .unwrap();
    place.database.append_audit_records(&[]).await.unwrap();

    let mut read = Vec::new();
    loop {
        let after = read.last().map(|record: &AuditRecord| record.id);
        let page = place.database.audit_page(after, 120).await.unwrap();
        if page.is_empty() {
            break;
        }
        assert!(page.len() <= 120);
        read.extend(page);
    }
    assert_eq!(read, records);
}

async fn records_appended_again_are_there_once(place: Place) {
    let records: Vec<_> = (0..7).map(record).collect();
    place
        .database
        .append_audit_records(&records[..3])
        .await
        .unwrap();
    place.database.append_audit_records(&records).await.unwrap();
    assert_eq!(place.database.audit_page(None, 100).await, Ok(records));
}

async fn a_record_with_a_nul_character_does_not_cost_its_batch(place: Place) {
    let mut odd = record(1);
    odd.reason = Some(String::from("a\0b"));
    odd.request_id = Some(String::from("\0"));
    odd.errors = vec![String::from("\0")];
    odd.determining_policies = vec![String::from("\0")];
    let records = [odd, record(2)];
    place.database.append_audit_records(&records).await.unwrap();
    let read = place.database.audit_page(None, 10).await.unwrap();
    assert_eq!(read[0].reason.as_deref(), Some("a\u{fffd}b"));
    assert_eq!(read[0].errors, ["\u{fffd}"]);
    assert_eq!(read[1], records[1]);
}

async fn a_mint_is_found_by_its_token_only_when_it_was_granted(place: Place) {
    let granted = record(1);
    let mut denied = record(2);
    denied.outcome = Outcome::Denied;
    let mut download = record(3);
    download.event = Event::Download;
    let ids = [granted.id, denied.id, download.id, RecordId::at(4)];
    let records = [granted, denied, download];
    place.database.append_audit_records(&records).await.unwrap();
    let mut found = Vec::new();
    for id in ids {
        found.push(place.database.find_mint(id).await.unwrap());
    }
    assert_eq!(found, [Some(Authentication::Password), None, None, None]);
}

async fn migrating_again_does_no_harm(place: Place) {
    put(&place, &full_change()).await;
    let before = place.database.read_catalog().await.unwrap();
    assert_eq!(place.database.migrate().await, Ok(()));
    assert_eq!(place.database.read_catalog().await, Ok(before));
}

async fn a_database_of_a_newer_program_is_told_from_a_broken_one(place: Place) {
    place
        .tamper("UPDATE _sqlx_migrations SET version = 9999 WHERE version = 1")
        .await;
    let error = place.database.migrate().await.unwrap_err();
    assert!(
        matches!(error, StorageError::Newer { found: 9999, .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("newer version"), "{error}");

    place
        .tamper("UPDATE _sqlx_migrations SET version = 1, checksum = checksum || checksum")
        .await;
    let error = place.database.migrate().await.unwrap_err();
    assert!(matches!(error, StorageError::Migrate { .. }), "{error:?}");
}

async fn a_closed_database_is_unavailable(place: Place) {
    place.database.close().await;
    assert!(place.database.ping().await.unwrap_err().is_unavailable());
    let error = place.database.append_audit_records(&[record(1)]).await;
    assert!(error.unwrap_err().is_unavailable());
}

#[tokio::test]
async fn a_stopped_server_is_unavailable_and_is_used_again_when_it_is_back() {
    let mut cluster = Cluster::start();
    let place = Place::at(cluster.create_database().await, None).await;
    let ada = user("ada", &[]);
    let change = CatalogChange {
        users_put: vec![ada.clone()],
        ..CatalogChange::default()
    };
    put(&place, &change).await;

    cluster.stop();
    let database = &place.database;
    let (found, appended, pinged, written) = tokio::join!(
        database.find_user(ada.user.id),
        database.append_audit_records(&[]),
        database.ping(),
        database.write_catalog(&change, 1)
    );
    assert_eq!(appended, Ok(()), "nothing to append needs no server");
    for error in [found.err(), pinged.err(), written.err()] {
        assert!(
            error.as_ref().is_some_and(StorageError::is_unavailable),
            "{error:?}"
        );
    }
    let error = database
        .append_audit_records(&[record(1)])
        .await
        .unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    let error = Database::open(&place.url).await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");

    cluster.start_again();
    assert_eq!(database.find_user(ada.user.id).await, Ok(Some(ada.user)));
    assert_eq!(database.append_audit_records(&[record(1)]).await, Ok(()));
}

#[tokio::test]
async fn connections_that_died_unnoticed_are_replaced_at_their_next_use() {
    let place = Place::postgres().await;
    let (one, two) = tokio::join!(place.database.ping(), place.database.catalog_version());
    assert!(one.is_ok() && two.is_ok());
    place
        .tamper(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'cedargate'",
        )
        .await;
    assert_eq!(
        place.database.append_audit_records(&[record(1)]).await,
        Ok(())
    );
}

#[tokio::test]
async fn a_read_only_server_is_unavailable_for_audit_records() {
    let place = Place::postgres().await;
    let name = place.url.rsplit('/').next().unwrap();
    place
        .tamper(&format!(
            "ALTER DATABASE {name} SET default_transaction_read_only = on"
        ))
        .await;
    let reopened = Database::open(&place.url).await.unwrap();
    let error = reopened
        .append_audit_records(&[record(1)])
        .await
        .unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    assert_eq!(reopened.audit_page(None, 10).await, Ok(vec![]));
}

#[tokio::test]
async fn commits_are_durable_even_where_the_servers_default_is_not() {
    let place = Place::postgres().await;
    let name = place.url.rsplit('/').next().unwrap();
    place
        .tamper(&format!(
            "ALTER DATABASE {name} SET synchronous_commit = off"
        ))
        .await;
    place
        .tamper(
            "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                NEW.reason := current_setting('synchronous_commit'); RETURN NEW; END $$;
             CREATE TRIGGER tell BEFORE INSERT ON audit_records
                FOR EACH ROW EXECUTE FUNCTION tell()",
        )
        .await;
    let reopened = Database::open(&place.url).await.unwrap();
    reopened.append_audit_records(&[record(1)]).await.unwrap();
    let read = reopened.audit_page(None, 1).await.unwrap();
    assert_eq!(read[0].reason.as_deref(), Some("on"));
}

#[tokio::test]
async fn a_file_locked_by_another_program_is_unavailable_until_it_lets_go() {
    let place = Place::sqlite().await;
    let mut other = SqliteConnection::connect(&place.url).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut other)
        .await
        .unwrap();
    let error = place
        .database
        .append_audit_records(&[record(1)])
        .await
        .unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    assert_eq!(
        place.database.audit_page(None, 1).await,
        Ok(vec![]),
        "reading goes on"
    );
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    assert_eq!(
        place.database.append_audit_records(&[record(1)]).await,
        Ok(())
    );
}

#[tokio::test]
async fn a_sqlite_file_and_its_log_are_readable_by_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::sqlite().await;
    let path = place.url.strip_prefix("sqlite://").unwrap();
    let mode = fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(fs::exists(format!("{path}-wal")).unwrap());
    let wal_mode = fs::metadata(format!("{path}-wal"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(wal_mode & 0o777, 0o600);
}

#[tokio::test]
async fn records_survive_reopening_the_file() {
    let place = Place::sqlite().await;
    let kept = record(1);
    place
        .database
        .append_audit_records(std::slice::from_ref(&kept))
        .await
        .unwrap();
    place.database.close().await;
    let reopened = Database::open(&place.url).await.unwrap();
    reopened.migrate().await.unwrap();
    assert_eq!(reopened.audit_page(None, 10).await, Ok(vec![kept]));
}

#[tokio::test]
async fn a_url_that_cannot_be_used_is_told_without_its_password() {
    let folder = tempfile::tempdir().unwrap();
    let missing = format!("sqlite://{}/missing/cedargate.db", folder.path().display());
    let refused = format!("postgres://ada:hunter2@127.0.0.1:{}/x", free_port());
    for (url, is_unavailable) in [
        ("mysql://ada:hunter2@localhost/x", false),
        ("ada:hunter2", false),
        ("postgres://ada:hunter2@localhost:port/x", false),
        ("postgres://ada:hunter2@localhost/x?sslmode=hunter2", false),
        ("sqlite://", false),
        ("sqlite://:memory:", false),
        ("sqlite://hunter2.db?mode=memory", false),
        (missing.as_str(), true),
        (refused.as_str(), true),
    ] {
        let error = Database::open(url).await.unwrap_err();
        assert_eq!(error.is_unavailable(), is_unavailable, "{url}: {error}");
        assert_eq!(
            matches!(error, StorageError::Url { .. }),
            !is_unavailable,
            "{url}: {error}"
        );
        assert!(
            !format!("{error} {error:?}").contains("hunter2"),
            "{error:?}"
        );
    }
}

async fn migrate_an_empty_database_from_two_sides(url: &str) {
    let (one, two) = tokio::join!(Database::open(url), Database::open(url));
    let (one, two) = (one.unwrap(), two.unwrap());
    let migrated = tokio::join!(one.migrate(), two.migrate());
    assert_eq!(migrated, (Ok(()), Ok(())), "{url}");
    assert_eq!(one.catalog_version().await, two.catalog_version().await);
}

#[tokio::test]
async fn programs_that_start_together_migrate_an_empty_database_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = format!("sqlite://{}/cedargate.db", folder.path().display());
    migrate_an_empty_database_from_two_sides(&file).await;
    migrate_an_empty_database_from_two_sides(&fresh_database().await).await;
}

fn migration_files(kind: &str) -> BTreeSet<std::ffi::OsString> {
    fs::read_dir(format!("{}/migrations/{kind}", env!("CARGO_MANIFEST_DIR")))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect()
}

#[tokio::test]
async fn both_databases_have_the_same_migrations_and_the_program_has_them_all() {
    let files = migration_files("sqlite");
    assert_eq!(files, migration_files("postgres"));
    let place = Place::sqlite().await;
    let mut connection = SqliteConnection::connect(&place.url).await.unwrap();
    let applied: i64 = sqlx::query_scalar("SELECT count(*) FROM _sqlx_migrations")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(usize::try_from(applied).unwrap(), files.len());
}
