//! Databases that cannot be opened, are stopped, locked or read-only.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use cedargate::domain::audit::AuditRecord;
use cedargate::storage::{CatalogChange, Database, StorageError};
use sqlx::{Connection, SqliteConnection};

use crate::support::postgres::{PostgresCluster, free_port};
use crate::support::test_database::{TestDatabase, record, user, write_change};

on_both! {
    a_closed_database_is_unavailable,
}

async fn a_closed_database_is_unavailable(db: TestDatabase) {
    db.database.close().await;
    let error = db.database.check_writable(&record(1), Duration::ZERO).await;
    assert!(error.unwrap_err().is_unavailable());
    let error = db.database.append_audit_records(&[record(1)]).await;
    assert!(error.unwrap_err().is_unavailable());
}

#[tokio::test]
async fn a_stopped_server_is_unavailable_and_is_used_again_after_a_restart() {
    let mut cluster = PostgresCluster::start();
    let db = TestDatabase::open(cluster.create_database().await, None).await;
    let ada = user("ada", &[]);
    let change = CatalogChange {
        users_put: vec![ada.clone()],
        ..CatalogChange::default()
    };
    write_change(&db, &change).await;

    cluster.stop();
    let database = &db.database;
    let probe = record(2);
    let (found, appended, pinged, written) = tokio::join!(
        database.find_user(ada.user.id),
        database.append_audit_records(&[]),
        database.check_writable(&probe, Duration::ZERO),
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
    let error = Database::open(&db.url, 4).await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");

    cluster.restart();
    assert_eq!(database.find_user(ada.user.id).await, Ok(Some(ada.user)));
    assert_eq!(database.append_audit_records(&[record(1)]).await, Ok(()));
}

#[tokio::test]
async fn broken_connections_are_replaced_at_their_next_use() {
    let db = TestDatabase::postgres().await;
    let probe = record(2);
    let (one, two) = tokio::join!(
        db.database.check_writable(&probe, Duration::ZERO),
        db.database.catalog_version()
    );
    assert!(one.is_ok() && two.is_ok());
    db.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND application_name = 'cedargate'",
    )
    .await;
    assert_eq!(db.database.append_audit_records(&[record(1)]).await, Ok(()));
}

#[tokio::test]
async fn a_read_only_server_is_unavailable_for_audit_records() {
    let db = TestDatabase::postgres().await;
    let name = db.url.rsplit('/').next().unwrap();
    db.execute(&format!(
        "ALTER DATABASE {name} SET default_transaction_read_only = on"
    ))
    .await;
    let reopened = Database::open(&db.url, 4).await.unwrap();
    let error = reopened
        .append_audit_records(&[record(1)])
        .await
        .unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    let error = reopened.check_writable(&record(2), Duration::ZERO).await;
    assert!(error.unwrap_err().is_unavailable());
    assert_eq!(reopened.list_audit_records(None, 10).await, Ok(vec![]));
}

#[tokio::test]
async fn commits_are_durable_even_where_the_servers_default_is_not() {
    let db = TestDatabase::postgres().await;
    let name = db.url.rsplit('/').next().unwrap();
    db.execute(&format!(
        "ALTER DATABASE {name} SET synchronous_commit = off"
    ))
    .await;
    db.execute(
        "CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                NEW.reason := current_setting('synchronous_commit'); RETURN NEW; END $$;
             CREATE TRIGGER tell BEFORE INSERT ON audit_records
                FOR EACH ROW EXECUTE FUNCTION tell()",
    )
    .await;
    let reopened = Database::open(&db.url, 4).await.unwrap();
    reopened.append_audit_records(&[record(1)]).await.unwrap();
    let read = reopened.list_audit_records(None, 1).await.unwrap();
    assert_eq!(read[0].reason.as_deref(), Some("on"));
}

#[tokio::test]
async fn a_file_locked_by_another_program_is_unavailable_until_it_is_unlocked() {
    let db = TestDatabase::sqlite().await;
    let mut other = SqliteConnection::connect(&db.url).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut other)
        .await
        .unwrap();
    let error = db
        .database
        .append_audit_records(&[record(1)])
        .await
        .unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    assert_eq!(
        db.database.list_audit_records(None, 1).await,
        Ok(vec![]),
        "reading goes on"
    );
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    assert_eq!(db.database.append_audit_records(&[record(1)]).await, Ok(()));
}

#[tokio::test]
async fn what_could_not_be_synced_is_moved_into_the_database_before_more_is_written() {
    let db = TestDatabase::sqlite().await;
    let append = async |reason| {
        let record = AuditRecord {
            reason: Some(String::from(reason)),
            ..record(1)
        };
        db.database.append_audit_records(&[record]).await
    };
    append("synced").await.unwrap();
    let path = PathBuf::from(db.url.strip_prefix("sqlite://").unwrap());
    let (log, aside) = (path.with_extension("db-wal"), path.with_extension("aside"));
    fs::rename(&log, &aside).unwrap();
    // A device cannot be synced.
    std::os::unix::fs::symlink("/dev/null", &log).unwrap();
    for _ in 0..2 {
        let error = append("not synced").await.unwrap_err();
        assert!(error.is_unavailable(), "{error:?}");
    }
    fs::rename(&aside, &log).unwrap();
    append("in a new log").await.unwrap();
    // Without its log.
    let copy = path.with_extension("copy");
    fs::copy(&path, &copy).unwrap();
    let mut copied = SqliteConnection::connect(copy.to_str().unwrap())
        .await
        .unwrap();
    let reasons: Vec<String> =
        sqlx::query_scalar("SELECT reason FROM audit_records ORDER BY reason")
            .fetch_all(&mut copied)
            .await
            .unwrap();
    assert_eq!(reasons, ["not synced", "not synced", "synced"]);
}

#[tokio::test]
async fn a_sqlite_file_and_its_log_are_readable_by_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let db = TestDatabase::sqlite().await;
    let path = db.url.strip_prefix("sqlite://").unwrap();
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
    let db = TestDatabase::sqlite().await;
    let kept = record(1);
    db.database
        .append_audit_records(std::slice::from_ref(&kept))
        .await
        .unwrap();
    db.database.close().await;
    let reopened = Database::open(&db.url, 4).await.unwrap();
    reopened.migrate().await.unwrap();
    assert_eq!(reopened.list_audit_records(None, 10).await, Ok(vec![kept]));
}

#[tokio::test]
async fn an_unusable_url_is_reported_without_its_password() {
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
        let error = Database::open(url, 4).await.unwrap_err();
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

/// Closing any descriptor of the file would drop the locks of the whole process, and another program that closes its
/// last connection would then remove the log of a running server.
#[tokio::test]
async fn sqlite_keeps_its_locks_when_the_log_is_moved_into_the_file() {
    let db = TestDatabase::sqlite().await;
    let path = db.url.strip_prefix("sqlite://").unwrap();
    let inode = fs::metadata(path).unwrap().ino();
    let locks = || {
        let all = fs::read_to_string("/proc/locks").unwrap();
        let of_file = all
            .lines()
            .filter(|line| line.contains(&format!(":{inode} ")));
        of_file.count()
    };
    assert!(locks() > 0);
    db.database
        .append_audit_records(&[record(1)])
        .await
        .unwrap();
    db.database.checkpoint().await.unwrap();
    assert!(locks() > 0);
}
