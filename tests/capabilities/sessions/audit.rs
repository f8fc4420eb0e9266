//! What changes a session and its audit record are one transaction: while no record can be written,
//! the session stays as it was.

use std::path::Path;

use sqlx::{Connection, SqliteConnection};

use crate::support::records::records;
use crate::support::server::{Server, TestResponse};

use super::{log_in, logout, me, refresh, text};

/// Makes the database refuse audit records, or accept them again.
async fn refuse_records(folder: &Path, is_refusing: bool) {
    const REFUSE: &str = "CREATE TRIGGER refuse BEFORE INSERT ON audit_records
        BEGIN SELECT RAISE(ABORT, 'refused'); END";
    let url = format!("sqlite://{}", folder.join("cedargate.db").display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let sql = if is_refusing {
        REFUSE
    } else {
        "DROP TRIGGER refuse"
    };
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn without_records(server: &Server, request: impl Future<Output = TestResponse>) {
    refuse_records(server.folder.path(), true).await;
    request.await.problem(503);
    refuse_records(server.folder.path(), false).await;
}

/// How many records of an event there are with an outcome.
async fn count(server: &Server, event: &str, outcome: &str) -> usize {
    let records = records(server).await;
    records
        .iter()
        .filter(|record| record["event"] == event && record["outcome"] == outcome)
        .count()
}

#[tokio::test]
async fn a_logout_that_cannot_be_recorded_ends_nothing() {
    let server = Server::start().await;
    let tokens = log_in(&server, "otto").await;
    let (session, token) = (
        text(&tokens, "access_token"),
        text(&tokens, "refresh_token"),
    );
    without_records(&server, logout(&server, token)).await;
    assert_eq!(me(&server, session).await.status, 200);
    assert_eq!(count(&server, "logout", "granted").await, 0);
    assert_eq!(logout(&server, token).await.status, 204);
    me(&server, session).await.problem(401);
    assert_eq!(count(&server, "logout", "granted").await, 1);
}

#[tokio::test]
async fn a_reuse_that_cannot_be_recorded_ends_nothing_and_is_noticed_the_next_time() {
    let server = Server::start().await;
    let first = log_in(&server, "otto").await;
    let second = refresh(&server, text(&first, "refresh_token")).await.json();
    let spent = text(&first, "refresh_token");
    server.clock.advance(11_000);
    without_records(&server, refresh(&server, spent)).await;
    let session = text(&second, "access_token");
    assert_eq!(me(&server, session).await.status, 200);
    refresh(&server, spent).await.problem(401);
    me(&server, session).await.problem(401);
    assert_eq!(count(&server, "refresh", "refused").await, 1);
}

#[tokio::test]
async fn a_refresh_and_a_login_that_cannot_be_recorded_change_nothing() {
    let server = Server::start().await;
    let tokens = log_in(&server, "otto").await;
    let token = text(&tokens, "refresh_token");
    without_records(&server, refresh(&server, token)).await;
    assert_eq!(refresh(&server, token).await.status, 200);
    let password = crate::support::server::PASSWORD;
    without_records(&server, server.login("otto", password)).await;
    let url = format!(
        "sqlite://{}",
        server.folder.path().join("cedargate.db").display()
    );
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let sessions: i64 = sqlx::query_scalar("SELECT count(*) FROM sessions")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(sessions, 1);
}

#[tokio::test]
async fn a_refresh_in_the_last_second_of_a_session_spends_no_token() {
    let server = Server::start().await;
    let tokens = log_in(&server, "otto").await;
    let token = text(&tokens, "refresh_token");
    let lifetime = i64::try_from(server.settings.refresh_lifetime.as_millis()).unwrap();
    server.clock.advance(lifetime - 1000);
    let last = refresh(&server, token).await;
    assert_eq!(last.status, 200);
    assert_eq!(last.json()["expires_in"], 1);
    server.clock.advance(1000);
    let newest = last.json();
    refresh(&server, text(&newest, "refresh_token"))
        .await
        .problem(401);
}
