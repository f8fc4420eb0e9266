//! Limits come before the work: an address without attempts left is refused before a signature is
//! verified, the database is asked or a writer waits, and whoever was good before is not held up.

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, SqliteConnection};

use crate::support::admin_client::AdminClient;
use crate::support::eventually;
use crate::support::server::{
    INTERNAL, PASSWORD, PUBLIC, Server, ServerOptions, TestResponse, UNKNOWN,
};

const UNKNOWN_KEY: &str = "cg_aaaaaaaaaa_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

async fn server_with_mint_limit(per_minute: u32) -> Server {
    Server::start_with(ServerOptions {
        environment: vec![("CEDARGATE_MINT_LIMIT_PER_MINUTE", per_minute.to_string())],
        ..ServerOptions::default()
    })
    .await
}

async fn execute(server: &Server, sql: &str) {
    let path = server.folder.path().join("cedargate.db");
    let url = format!("sqlite://{}", path.display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

async fn with_key(server: &Server, key: &str) -> TestResponse {
    TestResponse::send(server.mint_request(INTERNAL).header("x-api-key", key)).await
}

async fn with_refresh_token(server: &Server, path: &str, refresh_token: &str) -> TestResponse {
    let body = json!({"refresh_token": refresh_token});
    TestResponse::send(server.post(path).json(&body)).await
}

/// Uses up the attempts of this address.
async fn fail(server: &Server, times: usize) {
    for _ in 0..times {
        server.mint(PUBLIC, Some("nonsense")).await.problem(401);
    }
    server.mint(PUBLIC, Some("nonsense")).await.problem(429);
}

#[tokio::test]
async fn an_address_without_attempts_is_refused_before_the_database_is_asked() {
    let server = server_with_mint_limit(3).await;
    fail(&server, 3).await;
    execute(&server, "ALTER TABLE api_keys RENAME TO keys_elsewhere").await;
    execute(&server, "ALTER TABLE sessions RENAME TO elsewhere").await;
    with_key(&server, UNKNOWN_KEY).await.problem(429);
    let unknown = "A".repeat(43);
    for path in ["/auth/refresh", "/auth/logout"] {
        with_refresh_token(&server, path, &unknown)
            .await
            .problem(429);
    }
    server.login("otto", "wrong").await.problem(429);
    // It is the limit that refuses: later, the database is asked and fails.
    server.clock.advance(60_000);
    assert_ne!(with_key(&server, UNKNOWN_KEY).await.status, 429);
}

#[tokio::test]
async fn an_address_without_attempts_is_refused_before_a_signature_is_verified() {
    let server = server_with_mint_limit(3).await;
    let session = server.session("otto").await;
    // A process that has neither issued nor verified it cannot know whether it is good.
    let server = server.restarted().await;
    fail(&server, 3).await;
    server.mint(INTERNAL, Some(&session)).await.problem(429);
    server.clock.advance(60_000);
    assert_eq!(server.mint(INTERNAL, Some(&session)).await.status, 200);
}

#[tokio::test]
async fn failures_of_others_do_not_hold_up_credentials_that_were_good_before() {
    let server = server_with_mint_limit(8).await;
    let tokens = server.login("otto", PASSWORD).await;
    let tokens = tokens.json();
    let session = tokens["access_token"].as_str().unwrap();
    let mo = AdminClient::sign_in(&server, "mo").await;
    let created = mo.post("/auth/api-keys", json!({"name": "k"})).await;
    let key = created.json()["key"].as_str().unwrap().to_owned();
    assert_eq!(with_key(&server, &key).await.status, 200);
    let download = server.mint(INTERNAL, Some(session)).await.token();
    fail(&server, 6).await;
    // Nothing of the catalog is cached any more.
    server.apply("[[roles]]\nname = \"another\"\n").await;
    eventually(async || {
        let created = mo.post("/auth/api-keys", json!({"name": "k"})).await;
        created.status == 201
    })
    .await;
    assert_eq!(server.mint(INTERNAL, Some(session)).await.status, 200);
    assert_eq!(with_key(&server, &key).await.status, 200);
    assert_eq!(server.download(INTERNAL, &download).await.status, 200);
    let refresh_token = tokens["refresh_token"].as_str().unwrap();
    let refreshed = with_refresh_token(&server, "/auth/refresh", refresh_token).await;
    assert_eq!(refreshed.status, 200);
    let next = refreshed.json()["refresh_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let logged_out = with_refresh_token(&server, "/auth/logout", &next).await;
    assert_eq!(logged_out.status, 204);
    // Once it is known to be good no longer, it is like any other.
    for status in [429, 429] {
        let refused = with_refresh_token(&server, "/auth/refresh", &next).await;
        refused.problem(status);
        server.mint(INTERNAL, Some(session)).await.problem(status);
    }
}

#[tokio::test]
async fn good_credentials_use_up_no_attempts() {
    let server = server_with_mint_limit(20).await;
    let mut tokens = server.login("otto", PASSWORD).await;
    let mo = AdminClient::sign_in(&server, "mo").await;
    for _ in 0..10 {
        let created = mo.post("/auth/api-keys", json!({"name": "k"})).await;
        let key = created.json()["key"].as_str().unwrap().to_owned();
        assert_eq!(with_key(&server, &key).await.status, 200);
        let text = tokens.json()["refresh_token"].as_str().unwrap().to_owned();
        tokens = with_refresh_token(&server, "/auth/refresh", &text).await;
        assert_eq!(tokens.status, 200);
    }
    fail(&server, 18).await;
}

#[tokio::test]
async fn revoking_a_key_that_does_not_exist_writes_nothing() {
    let server = server_with_mint_limit(0).await;
    let mo = AdminClient::sign_in(&server, "mo").await;
    let refuse = "CREATE TRIGGER t BEFORE UPDATE ON catalog_version
        BEGIN SELECT RAISE(ABORT, 'written'); END";
    execute(&server, refuse).await;
    let path = format!("/auth/api-keys/{UNKNOWN}");
    mo.delete(&path).await.problem(404);
}
