//! Login with user name and password.

use crate::support::eventually;
use crate::support::server::decode_part;
use crate::support::server::{INTERNAL, PASSWORD, Server, TestResponse};

#[tokio::test]
async fn a_login_gives_a_session_token_of_its_own_kind() {
    let server = Server::start().await;
    let response = server.login("otto", PASSWORD).await;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("cache-control"), "no-store");
    let body = response.json();
    assert_eq!(body["token_type"], "bearer");
    assert_eq!(
        body["expires_in"],
        server.settings.session_lifetime.as_secs()
    );
    let session = body["access_token"].as_str().unwrap();
    assert_eq!(decode_part(session, 0)["typ"], "at+jwt");
    let claims = decode_part(session, 1);
    assert_eq!(claims["typ"], "session");
    assert_ne!(claims["aud"], server.settings.audience);
    assert!(!claims.to_string().contains("otto"));
}

#[tokio::test]
async fn unknown_wrong_and_disabled_logins_get_the_same_response() {
    let server = Server::start().await;
    let responses = [
        server.login("otto", "wrong").await,
        server.login("nobody", PASSWORD).await,
        server.login("NO SUCH NAME", PASSWORD).await,
        server.login("dora", PASSWORD).await,
        server.login("otto", "").await,
    ];
    for response in &responses {
        response.problem(401);
        assert_eq!(response.body, responses[0].body);
        assert_eq!(
            response.header("www-authenticate"),
            r#"Bearer realm="cedargate""#
        );
    }
}

#[tokio::test]
async fn a_login_reads_only_the_form() {
    let server = Server::start().await;
    let form = [
        ("username", "otto"),
        ("password", PASSWORD),
        ("scope", ""),
        ("client_id", "x"),
    ];
    let request = server
        .post("/auth/login")
        .basic_auth("x", Some("y"))
        .form(&form);
    assert_eq!(TestResponse::send(request).await.status, 200);
}

#[tokio::test]
async fn a_malformed_form_is_unprocessable() {
    let server = Server::start().await;
    let login = || server.post("/auth/login");
    TestResponse::send(login().form(&[("username", "otto")]))
        .await
        .problem(422);
    let wrong_grant = [
        ("username", "otto"),
        ("password", PASSWORD),
        ("grant_type", "implicit"),
    ];
    TestResponse::send(login().form(&wrong_grant))
        .await
        .problem(422);
    TestResponse::send(login().json(&serde_json::json!({"username": "otto"})))
        .await
        .problem(415);
    TestResponse::send(login()).await.problem(415);
}

#[tokio::test]
async fn disabling_a_user_ends_the_session() {
    let server = Server::start().await;
    let session = server.session("otto").await;
    assert_eq!(server.mint(INTERNAL, Some(&session)).await.status, 200);
    server
        .apply("[[users]]\nusername = \"otto\"\ndisabled = true\n")
        .await;
    eventually(async || server.mint(INTERNAL, Some(&session)).await.status == 401).await;
}
