//! A change whose commit outlives its request: the answer says what became of it, or that it is not known.

use std::time::Duration;

use serde_json::json;
use sqlx::{Connection, PgConnection, PgPool};

use crate::support::admin_client::AdminClient;
use crate::support::eventually;
use crate::support::postgres::fresh_database;
use crate::support::server::{Server, ServerOptions};
use crate::support::tcp_proxy::database_behind_proxy;

/// A server on a PostgreSQL database that takes longer to commit a role than a request may, and a session of ada.
async fn server_with_slow_commits(url: &str) -> (Server, String) {
    let environment = [
        ("CEDARGATE_DATABASE_URL", url),
        ("CEDARGATE_SHUTDOWN_GRACE", "1"),
    ];
    let server = Server::start_with(ServerOptions {
        environment: environment
            .map(|(name, value)| (name, value.to_owned()))
            .to_vec(),
        ..ServerOptions::default()
    })
    .await;
    let session = server.session("ada").await;
    let mut settings = server.settings.clone();
    settings.request_timeout = Duration::from_secs(2);
    let server = server.restarted_with(settings).await;
    let mut connection = PgConnection::connect(url).await.unwrap();
    let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql
            AS 'BEGIN PERFORM pg_sleep(4); RETURN NULL; END';
        CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON roles DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION slow();";
    sqlx::raw_sql(slow).execute(&mut connection).await.unwrap();
    (server, session)
}

fn client(server: &Server, session: String) -> AdminClient<'_> {
    AdminClient { server, session }
}

#[tokio::test]
async fn a_commit_that_has_begun_is_answered_by_its_outcome() {
    let (server, session) = server_with_slow_commits(&fresh_database().await).await;
    let admin = client(&server, session);
    let created = admin.post("/admin/roles", json!({"name": "late"})).await;
    assert_eq!(created.status, 201);
}

#[tokio::test]
async fn a_commit_that_was_cut_off_is_an_unknown_outcome() {
    let (proxy, through, url) = database_behind_proxy().await;
    let (server, session) = server_with_slow_commits(&through).await;
    let admin = client(&server, session);
    let observer = PgPool::connect(&url).await.unwrap();
    let cut = async {
        let committing = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND query ILIKE 'COMMIT%' AND wait_event = 'PgSleep'";
        let is_committing = async || {
            let count: i64 = sqlx::query_scalar(committing)
                .fetch_one(&observer)
                .await
                .unwrap();
            count > 0
        };
        eventually(is_committing).await;
        proxy.silence_connections();
    };
    let creation = admin.post("/admin/roles", json!({"name": "cut"}));
    let (created, ()) = tokio::join!(creation, cut);
    let problem = created.json();
    assert_eq!(created.status, 503, "{problem}");
    assert_eq!(problem["type"], "urn:cedargate:outcome-unknown");
    assert!(created.headers.get("retry-after").is_none(), "{problem}");
    let request_id = created.header("x-request-id");
    assert!(
        problem["detail"].as_str().unwrap().contains(request_id),
        "{problem}"
    );
}
