//! Attributes of datasets and users: kept as they are, listed, described, and there after an upgrade.

use std::collections::BTreeSet;
use std::path::Path;

use cedargate::domain::attributes::{AttributeOwner, Attributes};
use cedargate::domain::dataset::Dataset;
use cedargate::domain::id::UserId;
use cedargate::storage::{CatalogChange, Database};
use serde_json::json;
use sqlx::migrate::Migrator;
use sqlx::{Connection, PgConnection, SqliteConnection};
use uuid::Uuid;

use crate::support::postgres::fresh_database;
use crate::support::test_database::{
    TestDatabase, attributes, dataset, full_change, tags, user, write_change,
};

on_both! {
    attributes_are_listed_a_page_at_a_time,
    datasets_are_described_once_for_equal_tags_and_attributes,
    attributes_of_a_federated_user_stay_when_a_newer_token_comes,
}

/// The last migration before datasets and users had attributes.
const LAST_WITHOUT_ATTRIBUTES: &str = "0018";

async fn attributes_are_listed_a_page_at_a_time(db: TestDatabase) {
    let change = full_change();
    write_change(&db, &change).await;
    for owner in AttributeOwner::ALL {
        let list = |first, limit| db.database.list_attributes(owner, first, limit);
        let all = list(Uuid::nil(), 10).await.unwrap();
        assert_eq!(all.len(), 2);
        assert!(all.is_sorted_by_key(|stored| stored.id));
        assert_eq!(list(Uuid::nil(), 1).await.unwrap(), all[..1]);
        assert_eq!(list(all[1].id, 10).await.unwrap(), all[1..]);
        let expected: Attributes = match owner {
            AttributeOwner::Dataset => change.datasets_put[0].attributes.clone(),
            AttributeOwner::User => change.users_put[0].user.attributes.clone(),
        };
        assert!(all.iter().any(|stored| stored.attributes == expected));
    }
}

async fn datasets_are_described_once_for_equal_tags_and_attributes(db: TestDatabase) {
    let with = |title: &str, value: serde_json::Value| Dataset {
        tags: tags("theme", &["elevation"]),
        attributes: attributes(&value),
        ..dataset(title, None)
    };
    let change = CatalogChange {
        datasets_put: vec![
            with("one", json!({"level": 1, "team": "tides"})),
            with("two", json!({"team": "tides", "level": 1})),
            with("three", json!({"level": 2})),
        ],
        ..Default::default()
    };
    write_change(&db, &change).await;
    let described = db.database.describe_datasets(10).await.unwrap();
    let described = described.into_iter().map(|one| json!(one.attributes));
    let mut described: Vec<_> = described.collect();
    described.sort_by_key(ToString::to_string);
    assert_eq!(
        described,
        [json!({"level": 1, "team": "tides"}), json!({"level": 2})]
    );
    assert_eq!(db.database.describe_datasets(1).await.unwrap().len(), 1);
}

async fn attributes_of_a_federated_user_stay_when_a_newer_token_comes(db: TestDatabase) {
    let mut ines = user("ines", &[]).user;
    ines.issuer = Some("https://id.example".to_owned());
    db.database
        .add_external_user(&ines, "7", 100)
        .await
        .unwrap();
    let mut record = db
        .database
        .find_user_record(ines.id)
        .await
        .unwrap()
        .unwrap();
    record.user.attributes = attributes(&json!({"clearance": 3}));
    let given = CatalogChange {
        users_put: vec![record],
        ..Default::default()
    };
    write_change(&db, &given).await;
    ines.claims = tags("group", &["field"]);
    assert!(db.database.update_external_user(&ines, 200).await.unwrap());
    let stored = db.database.find_user(ines.id).await.unwrap().unwrap();
    assert_eq!(stored.claims, ines.claims);
    assert_eq!(stored.attributes, attributes(&json!({"clearance": 3})));
}

/// The migrations of an earlier version of the program, up to the `last` one.
pub(super) async fn earlier_migrations(kind: &str, last: &str) -> Migrator {
    let folder = tempfile::tempdir().unwrap();
    let all = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("migrations")
        .join(kind);
    for file in std::fs::read_dir(all).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        if name.as_str() < last || name.starts_with(last) {
            std::fs::copy(file.path(), folder.path().join(name)).unwrap();
        }
    }
    Migrator::new(folder.path()).await.unwrap()
}

const USER: &str = "INSERT INTO users (id, username, claims, is_disabled)
    VALUES ($1, 'ada', '{\"groups\": [\"field\"]}', FALSE)";
const DATASET: &str = "INSERT INTO datasets (id, title, visibility, record_status, owner, tags)
    VALUES ($1, 'Jacksboro', 'public', 'published', $1, '{\"theme\": [\"relief\"]}')";

async fn upgrade_keeps_everything(database: Database, id: Uuid) {
    database.migrate().await.unwrap();
    let catalog = database.read_catalog().await.unwrap();
    let (ada, of_ada) = (&catalog.users[0].user, &catalog.datasets[0]);
    assert_eq!((ada.id, ada.username.as_str()), (UserId(id), "ada"));
    assert_eq!(ada.claims, tags("groups", &["field"]));
    assert_eq!(ada.attributes, Attributes::new());
    assert_eq!(of_ada.owner, Some(ada.id));
    assert_eq!(of_ada.tags, tags("theme", &["relief"]));
    assert_eq!(of_ada.attributes, Attributes::new());
    assert_eq!(of_ada.reader_users, BTreeSet::new());
    let named = database.find_dataset_with_names(of_ada.id).await.unwrap();
    assert_eq!(named.unwrap().owner, Some(ada.username.clone()));
}

#[tokio::test]
async fn a_database_of_an_earlier_version_is_upgraded_with_its_data() {
    let id = Uuid::new_v4();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/cedargate.db", folder.path().display());
    let database = Database::open(&url, 4).await.unwrap();
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let migrator = earlier_migrations("sqlite", LAST_WITHOUT_ATTRIBUTES).await;
    migrator.run(&mut connection).await.unwrap();
    for sql in [USER, DATASET] {
        let insert = sqlx::query(sql).bind(id).execute(&mut connection);
        insert.await.unwrap();
    }
    upgrade_keeps_everything(database, id).await;

    let url = fresh_database().await;
    let database = Database::open(&url, 4).await.unwrap();
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let migrator = earlier_migrations("postgres", LAST_WITHOUT_ATTRIBUTES).await;
    migrator.run(&mut connection).await.unwrap();
    for sql in [USER, DATASET] {
        let insert = sqlx::query(sql).bind(id).execute(&mut connection);
        insert.await.unwrap();
    }
    upgrade_keeps_everything(database, id).await;
}
