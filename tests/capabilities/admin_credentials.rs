//! Administration of credentials: passwords, sessions and API keys.

use serde_json::{Value, json};

use crate::support::admin_client::{AdminClient, USERS};
use crate::support::eventually;
use crate::support::records::records;
use crate::support::server::decode_part;
use crate::support::server::{PASSWORD, RESTRICTED, Server, TestResponse, UNKNOWN};

async fn api_key(server: &Server, session: &str) -> (String, String) {
    let request = server.post("/auth/api-keys").bearer_auth(session);
    let created = TestResponse::send(request.json(&json!({"name": "script"})))
        .await
        .json();
    let text = |name: &str| created[name].as_str().unwrap().to_owned();
    (text("id"), text("key"))
}

/// The statuses of a mint with a session, a mint with a key, and a download with a token.
async fn access_statuses(server: &Server, session: &str, key: &str, token: &str) -> [u16; 3] {
    let by_key = server.mint_request(RESTRICTED).header("x-api-key", key);
    [
        server.mint(RESTRICTED, Some(session)).await.status,
        TestResponse::send(by_key).await.status,
        server.download(RESTRICTED, token).await.status,
    ]
}

#[tokio::test]
async fn all_credentials_of_a_disabled_user_stop_working_within_a_second() {
    let server = Server::start().await;
    let replica = server.replica().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let mo = server.session("mo").await;
    let (_, key) = api_key(&server, &mo).await;
    let token = server.mint(RESTRICTED, Some(&mo)).await.token();
    assert_eq!(access_statuses(&server, &mo, &key, &token).await, [200; 3]);
    eventually(async || access_statuses(&replica, &mo, &key, &token).await == [200; 3]).await;
    let path = ada.user_path("mo").await;
    let body = json!({"username": "mo", "roles": ["hydrology"], "is_disabled": true});
    assert_eq!(ada.put(&path, body.clone()).await.status, 200);
    assert_eq!(access_statuses(&server, &mo, &key, &token).await, [401; 3]);
    eventually(async || access_statuses(&replica, &mo, &key, &token).await == [401; 3]).await;
    server.login("mo", PASSWORD).await.problem(401);

    // After enabling, the key and the token work again, but an ended session stays ended.
    let mut enabled = body;
    enabled["is_disabled"] = json!(false);
    assert_eq!(ada.put(&path, enabled).await.status, 200);
    assert_eq!(
        access_statuses(&server, &mo, &key, &token).await,
        [401, 200, 200]
    );
}

#[tokio::test]
async fn a_password_reset_ends_the_sessions_and_replaces_the_password() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let mo = server.session("mo").await;
    let user = ada.user_path("mo").await;
    let path = format!("{user}/password");
    let response = ada.put(&path, json!({"password": "battery staple"})).await;
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(response.json(), json!({}));
    server.mint(RESTRICTED, Some(&mo)).await.problem(401);
    server.login("mo", PASSWORD).await.problem(401);
    assert_eq!(server.login("mo", "battery staple").await.status, 200);

    let short = ada.put(&path, json!({"password": "short"})).await;
    assert_eq!(short.problem_field(422), "password");
    ada.put(&path, json!({"pasword": "battery staple"}))
        .await
        .problem(422);
    let unknown_user = format!("{USERS}/{UNKNOWN}/password");
    ada.put(&unknown_user, json!({})).await.problem(404);

    let made_up = ada.put(&path, json!({})).await;
    assert_eq!(made_up.header("cache-control"), "no-store");
    let password = made_up.json()["password"].as_str().unwrap().to_owned();
    assert_eq!(password.len(), 19);
    assert_eq!(server.login("mo", &password).await.status, 200);
    let other = ada.put(&path, json!({})).await.json();
    assert_ne!(other["password"], password);
    let audited = serde_json::to_string(&records(&server).await).unwrap();
    assert!(audited.contains("set the password of the user mo"));
    for secret in ["battery staple", &password] {
        assert!(!audited.contains(secret));
    }
}

#[tokio::test]
async fn an_admin_ends_one_session_of_a_user_or_all() {
    let server = Server::start().await;
    let replica = server.replica().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let user = ada.user_path("mo").await;
    let path = format!("{user}/sessions");
    let mut sessions = Vec::new();
    for _ in 0..3 {
        sessions.push(server.session("mo").await);
    }
    let of_otto = server.session("otto").await;
    let listed = ada.list_all(&path, 2).await;
    assert_eq!(listed.len(), 3);
    let id_of = |session: &str| decode_part(session, 1)["sid"].clone();
    let first = id_of(&sessions[0]);
    let session = listed.iter().find(|session| session["id"] == first);
    let session = session.unwrap();
    assert!(session["started_at"].is_string() && session["expires_at"].is_string());

    let works = async |server: &Server, session: &String| {
        let response = TestResponse::send(server.get("/auth/me").bearer_auth(session)).await;
        response.status == 200
    };
    eventually(async || works(&replica, &sessions[0]).await).await;
    let one = format!("{path}/{}", first.as_str().unwrap());
    assert_eq!(ada.delete(&one).await.status, 204);
    assert!(!works(&server, &sessions[0]).await && works(&server, &sessions[1]).await);
    eventually(async || !works(&replica, &sessions[0]).await).await;
    ada.delete(&one).await.problem(404);
    let of_another = format!("{path}/{}", id_of(&of_otto).as_str().unwrap());
    ada.delete(&of_another).await.problem(404);
    assert_eq!(ada.list_all(&path, 100).await.len(), 2);

    assert_eq!(ada.delete(&path).await.status, 204);
    assert_eq!(
        ada.delete(&path).await.status,
        204,
        "also when there is none"
    );
    assert!(!works(&server, &sessions[1]).await && !works(&server, &sessions[2]).await);
    assert!(works(&server, &of_otto).await);
    assert!(ada.list_all(&path, 100).await.is_empty());
    server.session("mo").await;
    let audited = reasons(&server).await;
    assert_eq!(
        audited[0],
        json!(format!("ended the session {}", first.as_str().unwrap()))
    );
    assert!(
        audited
            .iter()
            .filter(|reason| **reason == "ended all sessions")
            .count()
            == 2
    );
}

/// The reasons in the audit records of administrative operations on users.
async fn reasons(server: &Server) -> Vec<Value> {
    let records = records(server).await.into_iter();
    let changes = records.filter(|record| record["action"] == "administer_users");
    changes.map(|record| record["reason"].clone()).collect()
}

#[tokio::test]
async fn an_admin_revokes_a_key_of_a_user_with_the_tokens_that_it_minted() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let mo = server.session("mo").await;
    let (id, key) = api_key(&server, &mo).await;
    let (other, _) = api_key(&server, &server.session("otto").await).await;
    let request = server.mint_request(RESTRICTED).header("x-api-key", &key);
    let token = TestResponse::send(request).await.token();
    let user = ada.user_path("mo").await;
    let path = format!("{user}/api-keys");
    let listed = ada.get(&path).await;
    assert_eq!(listed.json()["items"][0]["id"], id);
    assert_eq!(listed.json()["items"].as_array().unwrap().len(), 1);
    assert!(!listed.text().contains(&key[14..]));
    ada.delete(&format!("{path}/{other}")).await.problem(404);
    assert_eq!(ada.delete(&format!("{path}/{id}")).await.status, 204);
    ada.delete(&format!("{path}/{id}")).await.problem(404);
    assert_eq!(
        access_statuses(&server, &mo, &key, &token).await,
        [200, 401, 401]
    );
    assert!(ada.list_all(&path, 1).await.is_empty());
    let audited = reasons(&server).await;
    assert_eq!(audited[1], json!(format!("revoked the API key {id}")));
    let refused = json!(format!("the user has no API key {id}"));
    assert_eq!(audited[2], refused);
    let last = records(&server).await;
    let last = last.iter().find(|record| record["reason"] == refused);
    assert_eq!(last.unwrap()["outcome"], "refused");
}

#[tokio::test]
async fn a_restricted_key_administers_nothing_outside_its_restriction() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let body = json!({"name": "lookout", "actions": ["view_users"]});
    let key = ada.post("/auth/api-keys", body).await.json();
    let key = key["key"].as_str().unwrap();
    let mo = ada.user_path("mo").await;
    let with_key = |method, path: &str| {
        let url = format!("{}{path}", server.url);
        TestResponse::send(server.http.request(method, url).header("x-api-key", key))
    };
    let listed = with_key(reqwest::Method::GET, USERS).await;
    assert_eq!(listed.status, 200, "{}", listed.text());
    with_key(reqwest::Method::DELETE, &mo).await.problem(403);
    let reason = "the action is beyond the limit of the API key";
    let records = records(&server).await;
    assert!(records.iter().any(|record| record["reason"] == reason));
}
