//! Migrations, and rows that another program wrote.

use std::collections::BTreeSet;
use std::fs;

use cedargate::storage::{Database, StorageError};
use sqlx::{Connection, SqliteConnection};

use crate::support::postgres::fresh_database;
use crate::support::test_database::{TestDatabase, full_change, record, write_change};

on_both! {
    a_row_that_does_not_parse_is_corrupt_and_not_a_default,
    migrating_again_does_no_harm,
    a_database_of_a_newer_program_is_distinguished_from_a_broken_one,
}

async fn a_row_that_does_not_parse_is_corrupt_and_not_a_default(db: TestDatabase) {
    let change = full_change();
    write_change(&db, &change).await;
    db.database
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

    db.execute(r#"UPDATE users SET claims = '{"groups": "all"}'"#)
        .await;
    is_corrupt("users", db.database.find_user(ada.id).await.err());
    is_corrupt(
        "users",
        db.database.find_user_by_username(&ada.username).await.err(),
    );
    is_corrupt("users", db.database.read_catalog().await.err());
    db.execute("UPDATE users SET claims = '{}', username = 'No Name' WHERE username = 'ada'")
        .await;
    is_corrupt("users", db.database.find_user(ada.id).await.err());
    db.execute(r#"UPDATE datasets SET tags = '{"theme": [1]}'"#)
        .await;
    is_corrupt("datasets", db.database.find_dataset(full.id).await.err());
    db.execute("UPDATE audit_records SET address = 'somewhere'")
        .await;
    is_corrupt(
        "audit_records",
        db.database.list_audit_records(None, 1).await.err(),
    );
    db.execute("INSERT INTO roles (name) VALUES ('No Role')")
        .await;
    is_corrupt("roles", db.database.read_catalog().await.err());
}

async fn migrating_again_does_no_harm(db: TestDatabase) {
    write_change(&db, &full_change()).await;
    let before = db.database.read_catalog().await.unwrap();
    assert_eq!(db.database.migrate().await, Ok(()));
    assert_eq!(db.database.read_catalog().await, Ok(before));
}

async fn a_database_of_a_newer_program_is_distinguished_from_a_broken_one(db: TestDatabase) {
    db.execute("UPDATE _sqlx_migrations SET version = 9999 WHERE version = 1")
        .await;
    let error = db.database.migrate().await.unwrap_err();
    assert!(
        matches!(error, StorageError::NewerSchema { found: 9999, .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("newer version"), "{error}");

    db.execute(
        "UPDATE _sqlx_migrations SET version = 1, checksum = checksum || checksum
             WHERE version = 9999",
    )
    .await;
    let error = db.database.migrate().await.unwrap_err();
    assert!(matches!(error, StorageError::Migrate { .. }), "{error:?}");
}

async fn migrate_an_empty_database_from_two_sides(url: &str) {
    let (one, two) = tokio::join!(Database::open(url, 4), Database::open(url, 4));
    let (one, two) = (one.unwrap(), two.unwrap());
    let migrated = tokio::join!(one.migrate(), two.migrate());
    assert_eq!(migrated, (Ok(()), Ok(())), "{url}");
    assert_eq!(one.catalog_version().await, two.catalog_version().await);
}

#[tokio::test]
async fn programs_that_start_together_migrate_an_empty_database_once() {
    // The two open the file at the same moment in only some of the rounds.
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let file = format!("sqlite://{}/cedargate.db", folder.path().display());
        migrate_an_empty_database_from_two_sides(&file).await;
    }
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
    let db = TestDatabase::sqlite().await;
    let mut connection = SqliteConnection::connect(&db.url).await.unwrap();
    let applied: i64 = sqlx::query_scalar("SELECT count(*) FROM _sqlx_migrations")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(usize::try_from(applied).unwrap(), files.len());
}
