//! API keys: create, list and revoke by their owner.

mod restrictions;
mod revocation;

use cedargate::domain::api_key::KeyText;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::records::records;
use crate::support::server::decode_part;
use crate::support::server::{PRIVATE, PUBLIC, RESTRICTED, Server, ServerOptions, TestResponse};

const KEYS: &str = "/auth/api-keys";

/// The credential of a request.
#[derive(Clone, Copy)]
enum TestCredential<'a> {
    Session(&'a str),
    Key(&'a str),
    Anonymous,
}
use TestCredential::{Anonymous, Key, Session};

fn authenticate(
    request: reqwest::RequestBuilder,
    credential: TestCredential<'_>,
) -> reqwest::RequestBuilder {
    match credential {
        Session(session) => request.bearer_auth(session),
        Key(key) => request.header("x-api-key", key),
        Anonymous => request,
    }
}

async fn create(server: &Server, credential: TestCredential<'_>, body: Value) -> TestResponse {
    TestResponse::send(authenticate(server.post(KEYS).json(&body), credential)).await
}

/// The id and the text of a new key.
async fn create_key(
    server: &Server,
    credential: TestCredential<'_>,
    body: Value,
) -> (String, String) {
    let response = create(server, credential, body).await;
    let audited = String::from_utf8_lossy(&response.body).into_owned();
    assert_eq!(response.status, 201, "{audited}");
    let created = response.json();
    let text = |name: &str| created[name].as_str().unwrap().to_owned();
    (text("id"), text("key"))
}

async fn list(server: &Server, credential: TestCredential<'_>, query: &str) -> TestResponse {
    TestResponse::send(authenticate(
        server.get(&format!("{KEYS}{query}")),
        credential,
    ))
    .await
}

async fn revoke(server: &Server, credential: TestCredential<'_>, id: &str) -> TestResponse {
    let url = format!("{}{KEYS}/{id}", server.url);
    TestResponse::send(authenticate(
        server.http.request(Method::DELETE, url),
        credential,
    ))
    .await
}

async fn mint(server: &Server, dataset_id: &str, key: &str) -> TestResponse {
    TestResponse::send(authenticate(server.mint_request(dataset_id), Key(key))).await
}

fn seconds_from_now(server: &Server, seconds: i64) -> String {
    let then = server.clock.unix_seconds() + seconds;
    chrono::DateTime::from_timestamp(then, 0)
        .unwrap()
        .to_rfc3339()
}

#[tokio::test]
async fn a_key_mints_for_what_its_owner_may_read() {
    let server = Server::start().await;
    let mo = server.session("mo").await;
    let (id, text) = create_key(&server, Session(&mo), json!({"name": "notebook"})).await;
    let response = mint(&server, RESTRICTED, &text).await;
    let token = response.token();
    assert_eq!(decode_part(&token, 1)["sub"], decode_part(&mo, 1)["sub"]);
    assert_eq!(server.download(RESTRICTED, &token).await.status, 200);
    let download = server.get(&format!("/datasets/{RESTRICTED}/download/cog"));
    let response = TestResponse::send(authenticate(download, Key(&text))).await;
    assert_eq!(response.status, 200);
    mint(&server, PRIVATE, &text).await.problem(404);

    let records = records(&server).await;
    let of_key = records.iter().filter(|record| record["key_id"] == *id);
    let events: Vec<_> = of_key
        .inspect(|record| assert_eq!(record["authentication"], "api_key"))
        .map(|record| record["event"].as_str().unwrap())
        .collect();
    assert_eq!(events.len(), 4, "{events:?}");
}

#[tokio::test]
async fn a_key_is_returned_once_and_stored_as_a_hash() {
    let server = Server::start().await;
    let otto = server.session("otto").await;
    let body = json!({"name": "once", "expires_at": null});
    let response = create(&server, Session(&otto), body).await;
    assert_eq!(response.status, 201);
    assert_eq!(response.header("cache-control"), "no-store");
    let created = response.json();
    let text = created["key"].as_str().unwrap();
    assert_eq!(created["name"], "once");
    assert_eq!(created["expires_at"], Value::Null);
    assert!(
        text.starts_with("cg_") && text.len() == 57,
        "{}",
        text.len()
    );
    assert_eq!(created["prefix"], text[3..13]);
    let listed = list(&server, Session(&otto), "").await;
    let secret = &text[14..];
    assert!(!String::from_utf8_lossy(&listed.body).contains(secret));
    assert_eq!(listed.json()["items"][0]["id"], created["id"]);
    assert_eq!(listed.json()["items"][0]["prefix"], created["prefix"]);

    let records = serde_json::to_string(&records(&server).await).unwrap();
    assert!(!records.contains(secret));
    for file in std::fs::read_dir(server.folder.path()).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            let is_inside = bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
            assert!(!is_inside, "{}", path.display());
        }
    }
}

#[tokio::test]
async fn a_wrong_secret_and_a_malformed_key_are_refused_and_counted() {
    let environment = vec![("CEDARGATE_MINT_LIMIT_PER_MINUTE", "4".to_owned())];
    let server = Server::start_with(ServerOptions {
        environment,
        ..ServerOptions::default()
    })
    .await;
    let mo = server.session("mo").await;
    let (_, text) = create_key(&server, Session(&mo), json!({"name": "k"})).await;
    let other = KeyText::random();
    let forged = format!("{}{}", &text[..14], &other.text().reveal()[14..]);
    mint(&server, PUBLIC, &text[..56]).await.problem(401);
    mint(&server, PUBLIC, &forged).await.problem(401);
    mint(&server, PUBLIC, other.text().reveal())
        .await
        .problem(401);
    mint(&server, PUBLIC, &text[..56]).await.problem(429);
    mint(&server, PUBLIC, &forged).await.problem(429);
    assert_eq!(mint(&server, PUBLIC, &text).await.status, 200);
}

#[tokio::test]
async fn a_user_sees_and_revokes_only_its_own_keys() {
    let server = Server::start().await;
    let (mo, otto) = (server.session("mo").await, server.session("otto").await);
    let (id, text) = create_key(&server, Session(&mo), json!({"name": "k"})).await;
    let others = revoke(&server, Session(&otto), &id).await;
    let detail = others.problem(404);
    let unknown = "018f0000-0000-7000-8000-000000000000";
    let unknown = revoke(&server, Session(&otto), unknown).await;
    assert_eq!(unknown.problem(404), detail);
    revoke(&server, Session(&otto), "x").await.problem(422);
    let listed = list(&server, Session(&otto), "").await.json();
    assert_eq!(listed["items"], json!([]));
    assert_eq!(mint(&server, RESTRICTED, &text).await.status, 200);
    let body = json!({"name": "k"});
    create(&server, Anonymous, body).await.problem(401);
    list(&server, Anonymous, "").await.problem(401);
    revoke(&server, Anonymous, &id).await.problem(401);
}

#[tokio::test]
async fn keys_are_paged_oldest_first_and_the_hundred_and_first_is_a_conflict() {
    let server = Server::start().await;
    let mo = server.session("mo").await;
    let mut created = Vec::new();
    for number in 0..100 {
        server.clock.advance(1);
        let body = json!({"name": format!("key {number}")});
        created.push(create_key(&server, Session(&mo), body).await.0);
    }
    let body = json!({"name": "one too many"});
    create(&server, Session(&mo), body.clone())
        .await
        .problem(409);
    let mut listed = Vec::new();
    let mut query = "?limit=33".to_owned();
    loop {
        let page = list(&server, Session(&mo), &query).await.json();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= 33);
        listed.extend(
            items
                .iter()
                .map(|key| key["id"].as_str().unwrap().to_owned()),
        );
        match page["next"].as_str() {
            Some(next) => query = format!("?limit=33&after={next}"),
            None => break,
        }
    }
    assert_eq!(listed, created);
    for query in ["?limit=0", "?limit=101", "?limit=x", "?after=x"] {
        list(&server, Session(&mo), query).await.problem(422);
    }
    assert_eq!(revoke(&server, Session(&mo), &created[7]).await.status, 204);
    assert_eq!(create(&server, Session(&mo), body).await.status, 201);
}

#[tokio::test]
async fn an_invalid_key_request_is_unprocessable() {
    let server = Server::start().await;
    let mo = server.session("mo").await;
    let past = seconds_from_now(&server, 0);
    let many: Vec<_> = (0..1001)
        .map(|_| uuid::Uuid::new_v4().to_string())
        .collect();
    for body in [
        json!({}),
        json!({"name": ""}),
        json!({"name": "a".repeat(101)}),
        json!({"name": "a\u{0}"}),
        json!({"name": "k", "expires_at": past}),
        json!({"name": "k", "expires_at": "tomorrow"}),
        json!({"name": "k", "expire_at": seconds_from_now(&server, 60)}),
        json!({"name": "k", "actions": []}),
        json!({"name": "k", "actions": ["fly"]}),
        json!({"name": "k", "datasets": []}),
        json!({"name": "k", "datasets": ["x"]}),
        json!({"name": "k", "datasets": many}),
    ] {
        create(&server, Session(&mo), body).await.problem(422);
    }
    let listed = list(&server, Session(&mo), "").await.json();
    assert_eq!(listed["items"], json!([]));
}

#[tokio::test]
async fn creating_and_revoking_keys_is_audited_by_key_id() {
    let server = Server::start().await;
    let mo = server.session("mo").await;
    server.clock.advance(1);
    let (id, _) = create_key(&server, Session(&mo), json!({"name": "k"})).await;
    server.clock.advance(1);
    assert_eq!(revoke(&server, Session(&mo), &id).await.status, 204);
    server.clock.advance(1);
    revoke(&server, Session(&mo), &id).await.problem(404);
    let audited: Vec<String> = records(&server).await[1..]
        .iter()
        .map(|record| {
            assert_eq!(record["user_id"], decode_part(&mo, 1)["sub"]);
            let word = |name: &str| record[name].as_str().unwrap().to_owned();
            format!("{} {} {}", word("event"), word("outcome"), word("reason"))
        })
        .collect();
    assert_eq!(
        audited,
        [
            format!("api_key_create granted API key {id}"),
            format!("api_key_revoke granted API key {id}"),
            format!("api_key_revoke refused the user has no API key {id}"),
        ]
    );
}
