//! Audit records that a thread inserts into SQLite by itself: all of them, or whoever waits for the file does it.

use std::fs;
use std::path::PathBuf;

use cedargate::domain::audit::AuditRecord;
use cedargate::storage::{AppendThreads, Database};
use sqlx::{Connection, SqliteConnection};

use crate::support::test_database::{TestDatabase, record};

/// Whether a thread can append these records by itself.
fn append(database: &Database, records: &[AuditRecord]) -> bool {
    let inserted = database.try_insert_blocking(records);
    inserted.is_some_and(|inserted| inserted.make_durable_blocking().is_ok())
}

#[tokio::test]
async fn records_of_a_thread_are_stored_beside_those_of_others() {
    let db = TestDatabase::sqlite().await;
    let records: Vec<_> = (0..300).map(record).collect();
    for (at, group) in records.chunks(100).enumerate() {
        if at == 1 {
            db.database.append_audit_records(group).await.unwrap();
        } else {
            assert!(append(&db.database, group));
        }
    }
    let stored = db.database.list_audit_records(None, 1000).await;
    assert_eq!(stored, Ok(records));
}

#[tokio::test]
async fn a_thread_leaves_records_to_others_while_another_program_writes() {
    let db = TestDatabase::sqlite().await;
    assert!(append(&db.database, &[record(1)]));
    let mut other = SqliteConnection::connect(&db.url).await.unwrap();
    let run = async |other: &mut SqliteConnection, sql| {
        sqlx::raw_sql(sql).execute(other).await.unwrap();
    };
    run(&mut other, "BEGIN IMMEDIATE").await;
    assert!(!append(&db.database, &[record(2)]));
    run(&mut other, "ROLLBACK").await;
    assert!(append(&db.database, &[record(3)]));
    let stored = db.database.list_audit_records(None, 10).await.unwrap();
    assert_eq!(stored.len(), 2);
}

#[tokio::test]
async fn what_a_thread_does_not_store_for_certain_it_leaves_to_others() {
    let db = TestDatabase::sqlite().await;
    let first = record(1);
    assert!(append(&db.database, std::slice::from_ref(&first)));
    let changed = AuditRecord {
        reason: Some("another".to_owned()),
        ..first.clone()
    };
    assert!(!append(&db.database, &[changed]));
    let stored = db.database.list_audit_records(None, 10).await;
    assert_eq!(stored, Ok(vec![first]));
    db.execute(
        "CREATE TRIGGER leaves_out BEFORE INSERT ON audit_records WHEN NEW.reason = 'left out'
            BEGIN SELECT RAISE(IGNORE); END",
    )
    .await;
    let left_out = AuditRecord {
        reason: Some("left out".to_owned()),
        ..record(2)
    };
    assert!(!append(&db.database, &[left_out, record(3)]));
    assert!(append(&db.database, &[record(4)]));
}

#[tokio::test]
async fn a_thread_appends_again_after_a_failure() {
    let db = TestDatabase::sqlite().await;
    assert!(append(&db.database, &[record(1)]));
    db.execute("ALTER TABLE audit_records RENAME TO aside")
        .await;
    assert!(!append(&db.database, &[record(2)]));
    db.execute("ALTER TABLE aside RENAME TO audit_records")
        .await;
    assert!(append(&db.database, &[record(3)]));
}

#[tokio::test]
async fn a_thread_appends_to_no_file_that_has_taken_the_place_of_the_database() {
    let db = TestDatabase::sqlite().await;
    let path = PathBuf::from(db.url.strip_prefix("sqlite://").unwrap());
    let aside = path.with_extension("aside");
    fs::rename(&path, &aside).unwrap();
    fs::write(&path, "").unwrap();
    assert!(!append(&db.database, &[record(1)]));
    fs::rename(&aside, &path).unwrap();
    assert!(append(&db.database, &[record(2)]));
    let stored = db.database.list_audit_records(None, 10).await.unwrap();
    assert_eq!(stored.len(), 1);
}

#[tokio::test]
async fn a_thread_appends_nothing_to_a_closed_database_and_leaves_no_log() {
    let db = TestDatabase::sqlite().await;
    assert!(append(&db.database, &[record(1)]));
    let path = PathBuf::from(db.url.strip_prefix("sqlite://").unwrap());
    let log = path.with_extension("db-wal");
    assert!(log.exists());
    db.database.close().await;
    assert!(!log.exists());
    assert!(!append(&db.database, &[record(2)]));
    let reopened = Database::open(&db.url, 4).await.unwrap();
    let stored = reopened.list_audit_records(None, 10).await.unwrap();
    assert_eq!(stored.len(), 1);
}

#[tokio::test]
async fn no_thread_appends_to_postgresql_by_itself() {
    let db = TestDatabase::postgres().await;
    assert_eq!(db.database.append_threads(), AppendThreads::None);
    assert!(!append(&db.database, &[record(1)]));
}
