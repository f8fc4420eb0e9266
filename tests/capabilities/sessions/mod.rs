//! Sessions: logout, everything that ends a session, and `/auth/me`.

mod audit;
mod family_model;
mod refresh_tokens;
mod siblings;

use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::records::records;
use crate::support::server::decode_part;
use crate::support::server::{INTERNAL, PASSWORD, Server, ServerOptions, TestResponse};

/// A refresh token except for its last bits, which no encoder sets.
const NOT_CANONICAL: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB";

/// The response of a login: `access_token`, `refresh_token` and so on.
async fn log_in(server: &Server, username: &str) -> Value {
    let response = server.login(username, PASSWORD).await;
    assert_eq!(response.status, 200);
    response.json()
}

fn text<'a>(tokens: &'a Value, name: &str) -> &'a str {
    tokens[name].as_str().unwrap()
}

async fn refresh(server: &Server, refresh_token: &str) -> TestResponse {
    let body = json!({"refresh_token": refresh_token});
    TestResponse::send(server.post("/auth/refresh").json(&body)).await
}

async fn logout(server: &Server, refresh_token: &str) -> TestResponse {
    let body = json!({"refresh_token": refresh_token});
    TestResponse::send(server.post("/auth/logout").json(&body)).await
}

async fn mint_status(server: &Server, session: &str) -> u16 {
    server.mint(INTERNAL, Some(session)).await.status
}

async fn me(server: &Server, session: &str) -> TestResponse {
    TestResponse::send(server.get("/auth/me").bearer_auth(session)).await
}

#[tokio::test]
async fn logout_ends_the_session_immediately() {
    let server = Server::start().await;
    let tokens = log_in(&server, "otto").await;
    let bystander = log_in(&server, "otto").await;
    let session = text(&tokens, "access_token");
    assert_eq!(mint_status(&server, session).await, 200);
    let response = logout(&server, text(&tokens, "refresh_token")).await;
    assert_eq!(response.status, 204);
    assert!(response.body.is_empty());
    assert_eq!(mint_status(&server, session).await, 401);
    me(&server, session).await.problem(401);
    refresh(&server, text(&tokens, "refresh_token"))
        .await
        .problem(401);
    assert_eq!(
        mint_status(&server, text(&bystander, "access_token")).await,
        200
    );
}

#[tokio::test]
async fn a_logout_is_in_force_on_another_replica_too() {
    let server = Server::start().await;
    let replica = server.replica().await;
    let tokens = log_in(&server, "otto").await;
    let session = text(&tokens, "access_token");
    assert_eq!(mint_status(&replica, session).await, 200);
    assert_eq!(
        logout(&server, text(&tokens, "refresh_token")).await.status,
        204
    );
    eventually(async || mint_status(&replica, session).await == 401).await;
}

#[tokio::test]
async fn a_logout_may_be_repeated_and_an_unknown_token_is_no_error() {
    let server = Server::start().await;
    let tokens = log_in(&server, "otto").await;
    let token = text(&tokens, "refresh_token");
    let unknown = "A".repeat(43);
    for refresh_token in [token, token, unknown.as_str(), NOT_CANONICAL] {
        server.clock.advance(1);
        assert_eq!(
            logout(&server, refresh_token).await.status,
            204,
            "{refresh_token}"
        );
    }
    let outcomes: Vec<Value> = records(&server)
        .await
        .into_iter()
        .filter(|record| record["event"] == "logout")
        .map(|record| record["outcome"].clone())
        .collect();
    // Two refusals alike within a minute are one record.
    assert_eq!(outcomes, ["granted", "granted", "refused"]);
}

#[tokio::test]
async fn a_malformed_body_is_unprocessable() {
    let server = Server::start().await;
    let tokens = log_in(&server, "otto").await;
    for path in ["/auth/refresh", "/auth/logout"] {
        for body in [
            json!({}),
            json!([]),
            json!({"refresh_token": 7}),
            json!({"refresh_token": ""}),
            json!({"refresh_token": "A".repeat(44)}),
            json!({"refresh_token": text(&tokens, "access_token")}),
        ] {
            TestResponse::send(server.post(path).json(&body))
                .await
                .problem(422);
        }
        let form = [("refresh_token", "x")];
        TestResponse::send(server.post(path).form(&form))
            .await
            .problem(415);
    }
}

#[tokio::test]
async fn auth_me_returns_the_user_and_the_expiry() {
    let server = Server::start().await;
    let tokens = log_in(&server, "mo").await;
    let session = text(&tokens, "access_token");
    let claims = decode_part(session, 1);
    let response = me(&server, session).await;
    assert_eq!(response.status, 200);
    let body = response.json();
    let expires_at = body["session_expires_at"].as_str().unwrap();
    let expires_at = chrono::DateTime::parse_from_rfc3339(expires_at).unwrap();
    assert_eq!(
        expires_at.timestamp(),
        server.clock.unix_seconds() + 30 * 86_400
    );
    assert_eq!(body["user_id"], claims["sub"]);
    assert_eq!(body["session_id"], claims["sid"]);
    assert_eq!(body["username"], "mo");
    assert_eq!(body["roles"], json!(["hydrology"]));
    assert_eq!(body["authentication"], "password");
}

#[tokio::test]
async fn auth_me_requires_a_session_token() {
    let server = Server::start().await;
    TestResponse::send(server.get("/auth/me"))
        .await
        .problem(401);
    me(&server, "nonsense").await.problem(401);
    let download_token = server
        .mint(crate::support::server::PUBLIC, None)
        .await
        .token();
    me(&server, &download_token).await.problem(401);
    TestResponse::send(server.get("/auth/me").header("x-api-key", "cg_x"))
        .await
        .problem(401);
    TestResponse::send(server.get("/auth/me").header("authorization", "Bearer"))
        .await
        .problem(401);
}

#[tokio::test]
async fn a_session_expires_however_often_it_was_refreshed() {
    let environment = vec![("CEDARGATE_REFRESH_LIFETIME", "3600".to_owned())];
    let server = Server::start_with(ServerOptions {
        environment,
        ..ServerOptions::default()
    })
    .await;
    let mut tokens = log_in(&server, "otto").await;
    for _ in 0..4 {
        server.clock.advance(800_000);
        tokens = refresh(&server, text(&tokens, "refresh_token"))
            .await
            .json();
    }
    assert_eq!(tokens["expires_in"], 400, "never beyond the session");
    server.clock.advance(399_000);
    assert_eq!(
        mint_status(&server, text(&tokens, "access_token")).await,
        200
    );
    server.clock.advance(1_000);
    assert_eq!(
        mint_status(&server, text(&tokens, "access_token")).await,
        401
    );
    refresh(&server, text(&tokens, "refresh_token"))
        .await
        .problem(401);
}

#[tokio::test]
async fn a_changed_password_ends_the_sessions() {
    let server = Server::start().await;
    let tokens = log_in(&server, "otto").await;
    let bystander = log_in(&server, "mo").await;
    let session = text(&tokens, "access_token");
    assert_eq!(mint_status(&server, session).await, 200);
    let catalog =
        |password: &str| format!("[[users]]\nusername = \"otto\"\npassword = \"{password}\"\n");
    server.apply(&catalog(PASSWORD)).await;
    assert_eq!(
        refresh(
            &server,
            text(&log_in(&server, "otto").await, "refresh_token")
        )
        .await
        .status,
        200,
        "the same password again changes nothing"
    );
    assert_eq!(me(&server, session).await.status, 200);
    server.apply(&catalog("battery staple")).await;
    eventually(async || me(&server, session).await.status == 401).await;
    refresh(&server, text(&tokens, "refresh_token"))
        .await
        .problem(401);
    assert_eq!(
        mint_status(&server, text(&bystander, "access_token")).await,
        200
    );
    assert_eq!(server.login("otto", "battery staple").await.status, 200);
}

#[tokio::test]
async fn enabling_a_user_again_does_not_restore_its_sessions() {
    let server = Server::start().await;
    let tokens = log_in(&server, "otto").await;
    let session = text(&tokens, "access_token");
    let catalog =
        |is_disabled: bool| format!("[[users]]\nusername = \"otto\"\ndisabled = {is_disabled}\n");
    server.apply(&catalog(true)).await;
    eventually(async || me(&server, session).await.status == 401).await;
    refresh(&server, text(&tokens, "refresh_token"))
        .await
        .problem(401);
    server.apply(&catalog(false)).await;
    eventually(async || server.login("otto", PASSWORD).await.status == 200).await;
    me(&server, session).await.problem(401);
    refresh(&server, text(&tokens, "refresh_token"))
        .await
        .problem(401);
}

#[tokio::test]
async fn a_session_survives_a_restart() {
    let server = Server::start().await;
    let tokens = log_in(&server, "otto").await;
    let server = server.restarted().await;
    assert_eq!(me(&server, text(&tokens, "access_token")).await.status, 200);
    assert_eq!(
        refresh(&server, text(&tokens, "refresh_token"))
            .await
            .status,
        200
    );
}
