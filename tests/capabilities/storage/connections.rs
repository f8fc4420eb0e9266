//! Connections after something went wrong: none is lent again in a state that it was not lent in.

use std::future::Future;
use std::time::Duration;

use cedargate::domain::audit::{AuditFilter, AuditRecord};
use cedargate::storage::{AuditOrder, StorageError};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use crate::support::test_database::{TestDatabase, record};

/// Far more than a call may take.
const HANGING: Duration = Duration::from_secs(20);

/// A record at which the triggers of these tests do something.
fn marked(reason: &str) -> AuditRecord {
    AuditRecord {
        reason: Some(reason.to_owned()),
        ..record(1)
    }
}

async fn append(db: &TestDatabase, record: &AuditRecord) -> Result<(), StorageError> {
    let records = std::slice::from_ref(record);
    let call = db.database.append_audit_records(records);
    tokio::time::timeout(HANGING, call)
        .await
        .expect("a call ends")
}

async fn check_writable(db: &TestDatabase) {
    let probe = record(1);
    let check = db.database.check_writable(&probe, Duration::ZERO);
    check.await.unwrap();
}

/// All connections work, and there is nothing left of `lost`.
async fn assert_works_without(db: &TestDatabase, lost: &AuditRecord) {
    let kept = marked("kept");
    assert_eq!(append(db, &kept).await, Ok(()));
    let read = db.database.list_audit_records(None, 10).await.unwrap();
    assert!(read.contains(&kept) && !read.contains(lost), "{read:?}");
    db.database.versions().await.unwrap();
    check_writable(db).await;
}

on_both! {
    a_call_that_was_dropped_in_the_middle_of_a_transaction_leaves_nothing_behind,
    a_statement_ends_at_its_deadline_on_the_database_too,
}

/// Creates a trigger that runs `sql` before a record with the reason `bad`.
async fn trigger(db: &TestDatabase, kind: &str, sql: &str) {
    if db.database.kind() == "sqlite" {
        db.execute(&format!(
            "CREATE TRIGGER bad {kind} INSERT ON audit_records WHEN new.reason = 'bad' BEGIN {sql}; END"
        ))
        .await;
    } else {
        db.execute(&format!(
            "CREATE FUNCTION bad() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {sql}; RETURN NEW; END $$;
             CREATE {kind} INSERT ON audit_records {} FOR EACH ROW WHEN (new.reason = 'bad')
                EXECUTE FUNCTION bad()",
            if kind.starts_with("CONSTRAINT") { "DEFERRABLE INITIALLY DEFERRED" } else { "" }
        ))
        .await;
    }
}

#[tokio::test]
async fn on_sqlite_a_trigger_that_raises_leaves_no_transaction_behind() {
    for how in ["ABORT, 'x'", "FAIL, 'x'", "ROLLBACK, 'x'", "IGNORE"] {
        let db = TestDatabase::sqlite().await;
        trigger(&db, "BEFORE", &format!("SELECT RAISE({how})")).await;
        let bad = marked("bad");
        for _ in 0..3 {
            assert!(append(&db, &bad).await.is_err(), "{how}");
        }
        assert_works_without(&db, &bad).await;
    }
}

#[tokio::test]
async fn on_postgres_a_trigger_that_raises_leaves_no_transaction_behind() {
    for (kind, sql) in [
        ("TRIGGER bad BEFORE", "RAISE EXCEPTION 'x'"),
        ("CONSTRAINT TRIGGER bad AFTER", "RAISE EXCEPTION 'x'"),
        ("TRIGGER bad BEFORE", "RETURN NULL"),
        (
            "TRIGGER bad BEFORE",
            "PERFORM pg_terminate_backend(pg_backend_pid())",
        ),
        (
            "CONSTRAINT TRIGGER bad AFTER",
            "PERFORM pg_terminate_backend(pg_backend_pid())",
        ),
    ] {
        let db = TestDatabase::postgres().await;
        trigger(&db, kind, sql).await;
        let bad = marked("bad");
        for _ in 0..3 {
            assert!(append(&db, &bad).await.is_err(), "{kind}: {sql}");
        }
        assert_works_without(&db, &bad).await;
    }
}

const SQLITE_SLOW: &str = "SELECT count(*) FROM (WITH RECURSIVE n (i) AS
    (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000000000) SELECT i FROM n)";

async fn make_slow(db: &TestDatabase) {
    match db.database.kind() {
        "sqlite" => trigger(db, "BEFORE", SQLITE_SLOW).await,
        _ => trigger(db, "TRIGGER bad BEFORE", "PERFORM pg_sleep(3600)").await,
    }
}

/// Whether a statement of the storage module is running that has begun to write.
async fn is_writing(db: &TestDatabase) -> bool {
    if db.database.kind() == "sqlite" {
        let mut other = SqliteConnection::connect(&db.url).await.unwrap();
        sqlx::raw_sql("PRAGMA busy_timeout = 0; BEGIN IMMEDIATE")
            .execute(&mut other)
            .await
            .is_err()
    } else {
        let mut other = PgConnection::connect(&db.url).await.unwrap();
        sqlx::query_scalar(AssertSqlSafe(
            "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = current_database()
                AND application_name = 'cedargate' AND state = 'active' AND wait_event = 'PgSleep')",
        ))
        .fetch_one(&mut other)
        .await
        .unwrap()
    }
}

async fn within_bounds(what: &str, holds: impl AsyncFn() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(HANGING, waiting).await.expect(what);
}

async fn a_call_that_was_dropped_in_the_middle_of_a_transaction_leaves_nothing_behind(
    db: TestDatabase,
) {
    make_slow(&db).await;
    let bad = marked("bad");
    for _ in 0..3 {
        let call: std::pin::Pin<Box<dyn Future<Output = _> + Send>> = Box::pin({
            let (database, records) = (db.database.clone(), vec![bad.clone()]);
            async move { database.append_audit_records(&records).await }
        });
        let call = tokio::spawn(call);
        within_bounds("it writes", async || is_writing(&db).await).await;
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        assert_eq!(append(&db, &marked("next")).await, Ok(()));
    }
    within_bounds("the statement ends", async || !is_writing(&db).await).await;
    assert_works_without(&db, &bad).await;
}

async fn a_statement_ends_at_its_deadline_on_the_database_too(db: TestDatabase) {
    make_slow(&db).await;
    let bad = marked("bad");
    let error = append(&db, &bad).await.unwrap_err();
    assert!(error.is_unavailable(), "{error}");
    within_bounds("the statement ends", async || !is_writing(&db).await).await;
    assert_works_without(&db, &bad).await;
}

#[tokio::test]
async fn searches_that_wait_leave_connections_to_the_others() {
    let db = TestDatabase::postgres().await;
    let mut other = PgConnection::connect(&db.url).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE audit_records IN ACCESS EXCLUSIVE MODE")
        .execute(&mut other)
        .await
        .unwrap();
    let searches: Vec<_> = (0..12)
        .map(|_| {
            let database = db.database.clone();
            tokio::spawn(async move {
                let (filter, order) = (AuditFilter::default(), AuditOrder::NewestFirst(None));
                database.search_audit_records(&filter, order, 10).await
            })
        })
        .collect();
    for _ in 0..20 {
        db.database.versions().await.unwrap();
        db.database.catalog_version().await.unwrap();
    }
    for search in searches {
        assert!(search.await.unwrap().unwrap_err().is_unavailable());
    }
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    assert_eq!(append(&db, &record(1)).await, Ok(()));
}
