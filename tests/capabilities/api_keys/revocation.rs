//! The end of an API key: it expires, is revoked, or its owner is disabled.

use cedargate::storage::{ApiKeyRemoval, SignInConditions};
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::server::{INTERNAL, PUBLIC, RESTRICTED, Server};
use crate::support::test_database::record;

use super::TestCredential::{Key, Session};
use super::{create, create_key, list, mint, revoke, seconds_from_now};

#[tokio::test]
async fn a_revoked_key_revokes_its_download_tokens() {
    let server = Server::start().await;
    let mo = server.session("mo").await;
    let (id, text) = create_key(&server, Session(&mo), json!({"name": "brief"})).await;
    let token = mint(&server, RESTRICTED, &text).await.token();
    let of_session = server.mint(RESTRICTED, Some(&mo)).await.token();
    assert_eq!(server.download(RESTRICTED, &token).await.status, 200);
    let response = revoke(&server, Session(&mo), &id).await;
    assert_eq!(response.status, 204);
    assert!(response.body.is_empty());
    server.download(RESTRICTED, &token).await.problem(401);
    mint(&server, RESTRICTED, &text).await.problem(401);
    assert_eq!(server.download(RESTRICTED, &of_session).await.status, 200);
}

#[tokio::test]
async fn a_key_revoked_on_another_replica_stops_working_within_a_second_and_after_a_restart() {
    let server = Server::start().await;
    let mo = server.session("mo").await;
    let (id, text) = create_key(&server, Session(&mo), json!({"name": "brief"})).await;
    let token = mint(&server, RESTRICTED, &text).await.token();
    let server = server.restarted().await;
    assert_eq!(server.download(RESTRICTED, &token).await.status, 200);
    let database = server.database().await;
    let mo = database.find_user_by_username(&"mo".parse().unwrap()).await;
    let (mo, id) = (mo.unwrap().unwrap().user.id, id.parse().unwrap());
    let record = record(server.clock.unix_millis().unsigned_abs());
    let conditions = SignInConditions::default();
    let removed = database.remove_api_key(mo, id, &record, &conditions);
    assert_eq!(removed.await, Ok(ApiKeyRemoval::Removed));
    eventually(async || server.download(RESTRICTED, &token).await.status == 401).await;
    mint(&server, RESTRICTED, &text).await.problem(401);
}

#[tokio::test]
async fn an_expired_key_stops_working_with_its_download_tokens() {
    let server = Server::start().await;
    let mo = server.session("mo").await;
    let body = json!({"name": "brief", "expires_at": seconds_from_now(&server, 60)});
    let (_, text) = create_key(&server, Session(&mo), body).await;
    server
        .clock
        .advance(59_000 - server.clock.unix_millis() % 1000);
    let token = mint(&server, RESTRICTED, &text).await.token();
    assert_eq!(server.download(RESTRICTED, &token).await.status, 200);
    server.clock.advance(1_000);
    mint(&server, RESTRICTED, &text).await.problem(401);
    server.download(RESTRICTED, &token).await.problem(401);
}

#[tokio::test]
async fn a_key_of_a_disabled_user_stops_working() {
    let server = Server::start().await;
    let otto = server.session("otto").await;
    let (_, text) = create_key(&server, Session(&otto), json!({"name": "k"})).await;
    assert_eq!(mint(&server, INTERNAL, &text).await.status, 200);
    server
        .apply("[[users]]\nusername = \"otto\"\ndisabled = true\n")
        .await;
    eventually(async || mint(&server, INTERNAL, &text).await.status == 401).await;
}

#[tokio::test]
async fn the_last_use_of_a_key_is_listed() {
    let server = Server::start().await;
    let mo = server.session("mo").await;
    let (_, text) = create_key(&server, Session(&mo), json!({"name": "k"})).await;
    let last_used = async || {
        let listed = list(&server, Key(&text), "").await.json();
        listed["items"][0]["last_used"].clone()
    };
    let at = |seconds: i64| {
        let time = chrono::DateTime::from_timestamp(seconds, 0).unwrap();
        json!(time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
    };
    let listed = list(&server, Session(&mo), "").await.json();
    assert_eq!(listed["items"][0]["last_used"], Value::Null);
    let first = server.clock.unix_seconds();
    assert_eq!(mint(&server, PUBLIC, &text).await.status, 200);
    eventually(async || last_used().await == at(first)).await;
    server.clock.advance(3_599_000);
    assert_eq!(mint(&server, PUBLIC, &text).await.status, 200);
    assert_eq!(last_used().await, at(first));
    server.clock.advance(1_000);
    assert_eq!(mint(&server, PUBLIC, &text).await.status, 200);
    eventually(async || last_used().await == at(first + 3600)).await;
}

#[tokio::test]
async fn a_key_creates_no_key_that_expires_later() {
    let server = Server::start().await;
    let mo = server.session("mo").await;
    let body = |seconds| json!({"name": "k", "expires_at": seconds_from_now(&server, seconds)});
    let (_, brief) = create_key(&server, Session(&mo), body(60)).await;
    let credential = Key(&brief);
    create(&server, credential, json!({"name": "k"}))
        .await
        .problem(422);
    create(&server, credential, body(61)).await.problem(422);
    create_key(&server, credential, body(60)).await;
}
