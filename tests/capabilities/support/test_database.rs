//! An empty database for a test, and items to store in it.

use std::collections::{BTreeMap, BTreeSet};

use cedargate::domain::action::Action;
use cedargate::domain::attributes::Attributes;
use cedargate::domain::audit::{AuditEvent, AuditOutcome, AuditRecord};
use cedargate::domain::caller::Authentication;
use cedargate::domain::dataset::{Dataset, DatasetFile, RecordStatus, StoredFile, Visibility};
use cedargate::domain::decision::Revision;
use cedargate::domain::id::{ApiKeyId, DatasetId, RecordId, UserId};
use cedargate::domain::name::RoleName;
use cedargate::domain::principal::{Tags, User};
use cedargate::domain::secret::Secret;
use cedargate::storage::{CatalogChange, Database, KeyState, StoredSigningKey, UserRecord};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use tempfile::TempDir;
use uuid::Uuid;

use super::postgres::fresh_database;

/// An empty migrated database.
pub(crate) struct TestDatabase {
    /// The database.
    pub database: Database,
    /// Its URL.
    pub url: String,
    _folder: Option<TempDir>,
}

impl TestDatabase {
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/cedargate.db", folder.path().display());
        Self::open(url, Some(folder)).await
    }

    pub(crate) async fn postgres() -> Self {
        Self::open(fresh_database().await, None).await
    }

    pub(crate) async fn open(url: String, folder: Option<TempDir>) -> Self {
        let database = Database::open(&url, 4).await.unwrap();
        database.migrate().await.unwrap();
        Self {
            database,
            url,
            _folder: folder,
        }
    }

    /// Runs SQL without the storage module.
    pub(crate) async fn execute(&self, sql: &str) {
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

pub(crate) fn role(name: &str) -> RoleName {
    name.parse().unwrap()
}

pub(crate) fn roles(names: &[&str]) -> BTreeSet<RoleName> {
    names.iter().map(|name| role(name)).collect()
}

pub(crate) fn tags(key: &str, values: &[&str]) -> Tags {
    BTreeMap::from([(
        key.to_owned(),
        values.iter().map(|&value| value.to_owned()).collect(),
    )])
}

pub(crate) fn user(name: &str, member_of: &[&str]) -> UserRecord {
    UserRecord {
        user: User {
            id: UserId::random(),
            username: name.parse().unwrap(),
            issuer: None,
            roles: roles(member_of),
            claims: Tags::new(),
            attributes: Attributes::new(),
            display_name: None,
            is_disabled: false,
        },
        password_hash: None,
    }
}

/// Attributes, from a JSON object.
pub(crate) fn attributes(members: &Value) -> Attributes {
    serde_json::from_value(members.clone()).unwrap()
}

pub(crate) fn dataset(title: &str, owner: Option<UserId>) -> Dataset {
    Dataset {
        id: DatasetId(Uuid::new_v4()),
        title: title.to_owned(),
        visibility: Visibility::Restricted,
        record_status: RecordStatus::Published,
        owner,
        reader_users: BTreeSet::new(),
        reader_roles: BTreeSet::new(),
        share_ends: cedargate::domain::share_ends::ShareEnds::default(),
        tags: Tags::new(),
        attributes: Attributes::new(),
        file: None,
    }
}

/// Two users and two datasets, with a value in every field that could be lost.
pub(crate) fn full_change() -> CatalogChange {
    let mut ada = user("ada", &["admin", "hydrology"]);
    ada.user.attributes = attributes(&json!({"clearance": -1, "teams": []}));
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
    full.attributes = attributes(&json!({
        "licence": "CC-BY-4.0",
        "level": i64::MAX,
        "keywords": ["élévation", ""],
        "contact": {"since": "2027-01-01", "a": true},
    }));
    full.file = Some(DatasetFile::Stored(StoredFile {
        sha256: "0f".repeat(32),
        name: String::from("jacksboro-fault-dem.cog.tif"),
        size: i64::MAX.unsigned_abs(),
        modified: -1,
    }));
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

pub(crate) async fn write_change(db: &TestDatabase, change: &CatalogChange) -> i64 {
    let version = db.database.catalog_version().await.unwrap();
    db.database.write_catalog(change, version).await.unwrap()
}

pub(crate) fn key(kid: &str, state: KeyState, created_at: i64) -> StoredSigningKey {
    StoredSigningKey {
        kid: kid.to_owned(),
        state,
        sealed: format!("sealed {kid}"),
        created_at,
        activated_at: None,
        rotation_requested_at: None,
        deactivated_at: None,
        retires_at: None,
        retired_at: None,
        revoked_at: None,
        token_lifetime: None,
    }
}

pub(crate) fn record(unix_millis: u64) -> AuditRecord {
    let id = RecordId::generate_at(unix_millis);
    AuditRecord {
        id,
        unix_millis: unix_millis.cast_signed(),
        event: AuditEvent::Mint,
        outcome: AuditOutcome::Granted,
        user_id: Some(UserId::random()),
        username: Some(String::from("ada")),
        authentication: Authentication::Password,
        key_id: Some(ApiKeyId::generate_at(unix_millis)),
        address: Some("2001:db8::1".parse().unwrap()),
        dataset_id: Some(DatasetId(Uuid::new_v4())),
        resource_user_id: Some(UserId::random()),
        action: Some(Action::Read),
        determining_policies: vec![String::from("shared-role"), String::from("owner \"x\"")],
        errors: vec![String::from("no such attribute: é")],
        revision: Some(Revision("ab".repeat(32).into())),
        jti: Some(id),
        requests: Some(3),
        bytes: Some(1 << 40),
        reason: Some(String::from("because")),
        request_id: Some(String::from("req-1")),
        client_request_id: Some(String::from("trace-1")),
        asked_principal: Some(String::from("User::\"bob\"")),
        asked_action: Some(String::from("Todo::Action::\"update\"")),
        asked_resource: Some(String::from("Todo::Item::\"1\"")),
    }
}
