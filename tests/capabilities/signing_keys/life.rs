//! The life of a key: next, current, previous, retired.

use std::time::Duration;

use cedargate::domain::audit::AuditEvent;
use cedargate::domain::caller::Authentication;
use cedargate::storage::KeyState;
use serde_json::{Value, json};

use super::{DAY, keys_of, kid_of, kid_with, published, run, signing_kid};
use crate::support::eventually;
use crate::support::server::{PUBLIC, RESTRICTED, Server, ServerOptions, TestResponse};

#[tokio::test]
async fn a_key_is_published_before_it_signs_and_after_it_signed_its_last_token() {
    let server = Server::start().await;
    let first = signing_kid(&server).await;
    let at_first = published(&server).await;
    assert_eq!(at_first.len(), 2);
    let next = at_first.iter().find(|kid| **kid != first).unwrap().clone();

    server.clock.advance(30 * DAY - 60_000);
    let token = server.mint(PUBLIC, None).await.token();
    assert_eq!(kid_of(&token), first);
    server.clock.advance(60_000);
    eventually(async || signing_kid(&server).await == next).await;
    assert_eq!(server.download(PUBLIC, &token).await.status, 200);
    let meanwhile = published(&server).await;
    assert!(meanwhile.len() == 3 && meanwhile.contains(&first));

    // The longest-lived token is a session token of 15 minutes, and caches keep a key set for 6.
    server.clock.advance((900 + 360 + 60) * 1000 - 1000);
    assert!(published(&server).await.contains(&first));
    server.clock.advance(1000);
    eventually(async || !published(&server).await.contains(&first)).await;
    assert_eq!(published(&server).await.len(), 2);
}

#[tokio::test]
async fn a_rotation_on_demand_waits_until_the_next_key_is_known_everywhere() {
    let server = Server::start().await;
    let keys = keys_of(&server).await;
    let first = signing_kid(&server).await;
    assert!(keys.rotate().await.unwrap());
    assert!(!keys.rotate().await.unwrap());
    server.clock.advance(DAY - 1000);
    assert_eq!(signing_kid(&server).await, first);
    server.clock.advance(1000);
    eventually(async || signing_kid(&server).await != first).await;
    server.clock.advance(DAY);
    assert!(keys.rotate().await.unwrap());
    let database = server.database().await;
    let stored = database.list_signing_keys().await.unwrap();
    let current: Vec<_> = stored
        .iter()
        .filter(|key| key.state == KeyState::Current)
        .collect();
    assert_eq!(current.len(), 1);
    assert_eq!(current[0].activated_at, Some(server.clock.unix_seconds()));
}

#[tokio::test]
async fn sessions_outlive_a_rotation() {
    let server = Server::start().await;
    let login = server.login("mo", "correct horse").await.json();
    let session = login["access_token"].as_str().unwrap().to_owned();
    server.clock.advance(30 * DAY - 300_000);
    let refresh = json!({"refresh_token": login["refresh_token"]});
    let renewed = TestResponse::send(server.post("/auth/refresh").json(&refresh)).await;
    // A session of thirty days ends by itself with a key of thirty days; this one began later.
    assert_eq!(renewed.status, 200);
    let later = server.login("mo", "correct horse").await.json();
    let session_later = later["access_token"].as_str().unwrap();
    assert_eq!(kid_of(&session), kid_of(session_later));
    server.clock.advance(300_000);
    eventually(async || signing_kid(&server).await != kid_of(&session)).await;
    let token = server.mint(RESTRICTED, Some(session_later)).await.token();
    assert_ne!(kid_of(&token), kid_of(session_later));
    assert_eq!(server.download(RESTRICTED, &token).await.status, 200);
    let refresh = json!({"refresh_token": later["refresh_token"]});
    let renewed = TestResponse::send(server.post("/auth/refresh").json(&refresh)).await;
    let renewed = renewed.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(kid_of(&renewed), kid_of(&token));
    // The session token itself is good until it expires, and the key goes only afterwards.
    server.clock.advance(590_000);
    assert_eq!(
        server.mint(RESTRICTED, Some(session_later)).await.status,
        200
    );
    server.clock.advance(20_000);
    server
        .mint(RESTRICTED, Some(session_later))
        .await
        .problem(401);
    assert!(published(&server).await.contains(&kid_of(session_later)));
    assert_eq!(server.mint(RESTRICTED, Some(&renewed)).await.status, 200);
    let former = kid_of(session_later);
    server.clock.advance(800_000);
    eventually(async || !published(&server).await.contains(&former)).await;
}

#[tokio::test]
async fn a_session_token_of_before_a_shorter_setting_outlives_a_rotation() {
    let options = ServerOptions {
        environment: vec![
            ("CEDARGATE_SESSION_LIFETIME", String::from("3600")),
            ("CEDARGATE_KEY_PUBLISH_AHEAD", String::from("361")),
        ],
        ..ServerOptions::default()
    };
    let server = Server::start_with(options).await;
    let session = server.session("mo").await;
    let mut settings = server.settings.clone();
    settings.session_lifetime = Duration::from_mins(1);
    let server = server.restarted_with(settings).await;
    server.clock.advance(361_000);
    keys_of(&server).await.rotate().await.unwrap();
    eventually(async || signing_kid(&server).await != kid_of(&session)).await;
    // Long after a session token of a minute would be dead, and its key retired.
    server.clock.advance(3_200_000);
    assert_eq!(server.mint(RESTRICTED, Some(&session)).await.status, 200);
    server.clock.advance(1_000_000);
    eventually(async || !published(&server).await.contains(&kid_of(&session))).await;
}

#[tokio::test]
async fn a_rotation_on_demand_that_was_due_anyway_is_one_rotation() {
    let mut server = Server::start().await;
    let next = kid_with(&server, KeyState::Next).await;
    assert!(server.stop().await);
    server.clock.advance(31 * DAY);
    assert!(keys_of(&server).await.rotate().await.unwrap());
    let stored = server.database().await.list_signing_keys().await.unwrap();
    let mut current = stored.iter().filter(|key| key.state == KeyState::Current);
    let current = current.next().unwrap();
    assert_eq!((&current.kid, current.rotation_requested_at), (&next, None));
}

#[tokio::test]
async fn every_transition_is_on_record_with_who_made_it() {
    let server = Server::start().await;
    let keys = keys_of(&server).await;
    let first = signing_kid(&server).await;
    let next = kid_with(&server, KeyState::Next).await;
    server.clock.advance(DAY);
    keys.rotate().await.unwrap();
    eventually(async || signing_kid(&server).await == next).await;
    server.clock.advance(DAY);
    eventually(async || !published(&server).await.contains(&first)).await;
    keys.revoke(&next).await.unwrap();
    let third = kid_with(&server, KeyState::Current).await;
    let fourth = kid_with(&server, KeyState::Next).await;
    let records = server.database().await.list_audit_records(None, 1000).await;
    let records = records.unwrap();
    let mut told: Vec<_> = records
        .iter()
        .filter(|record| <&str>::from(record.event).starts_with("key_"))
        .map(|record| {
            let reason = record.reason.clone().unwrap();
            let reason = reason.split(", which stays").next().unwrap().to_owned();
            (record.event, record.authentication, reason)
        })
        .collect();
    let none = Authentication::None;
    let by_hand = Authentication::CommandLine;
    let mut expected = [
        (
            AuditEvent::KeyRotate,
            none,
            format!("the first signing key {first} signs"),
        ),
        (
            AuditEvent::KeyPublish,
            none,
            format!("the signing key {next} is published as next"),
        ),
        (
            AuditEvent::KeyRotate,
            by_hand,
            format!("the rotation of the signing key {first} is requested"),
        ),
        (
            AuditEvent::KeyRotate,
            by_hand,
            format!("the signing key {next} signs instead of {first}"),
        ),
        (
            AuditEvent::KeyPublish,
            by_hand,
            format!("the signing key {third} is published as next"),
        ),
        (
            AuditEvent::KeyRetire,
            none,
            format!("the signing key {first} is retired"),
        ),
        (
            AuditEvent::KeyRevoke,
            by_hand,
            format!("the current signing key {next} is revoked; {third} signs"),
        ),
        (
            AuditEvent::KeyPublish,
            by_hand,
            format!("the signing key {fourth} is published as next"),
        ),
    ];
    // The clock stands still, so that records have no order.
    told.sort_by(|one, other| one.2.cmp(&other.2));
    expected.sort_by(|one, other| one.2.cmp(&other.2));
    assert_eq!(told.len(), expected.len());
    for (told, expected) in told.iter().zip(&expected) {
        assert_eq!((told.0, &told.2), (expected.0, &expected.2));
        // The server may be first to do what a change by hand brings, but no server asks for it.
        let is_asked = told.2.contains("requested") || told.2.contains("revoked");
        assert!(
            told.1 == expected.1 || told.1 == none && !is_asked,
            "{told:?}"
        );
    }
}

#[tokio::test]
async fn the_command_line_lists_keys_and_says_when_a_rotation_happens() {
    // Commands follow the system's clock, and this server's stands still at its start.
    let server = Server::start().await;
    let current = kid_with(&server, KeyState::Current).await;
    let next = kid_with(&server, KeyState::Next).await;
    let told = run(&server, "rotate").await;
    assert_eq!(told.code, 0, "{}", told.messages);
    let expected = format!("{next} signs from ");
    assert!(told.data.starts_with(&expected), "{}", told.data);
    let again = run(&server, "rotate").await;
    let expected = format!("{next} was asked for before and signs from ");
    assert!(again.data.starts_with(&expected), "{}", again.data);
    let listed = run(&server, "list").await.data;
    for (kid, state, then) in [
        (&current, "current", "previous from "),
        (&next, "next", "current from "),
    ] {
        let line = listed.lines().find(|line| line.contains(kid)).unwrap();
        assert!(line.contains(state) && line.contains(then), "{listed}");
    }
    let listed: Value = serde_json::from_str(&run(&server, "list --json").await.data).unwrap();
    let shown: Vec<_> = listed.as_array().unwrap().iter().collect();
    assert_eq!(shown.len(), 2);
    for key in shown {
        let is_current = key["kid"] == json!(current);
        let then = if is_current { "previous" } else { "current" };
        assert_eq!(key["next_state"], then);
        assert_eq!(key["activated_at"].is_string(), is_current);
        assert!(key["next_state_at"].is_string());
    }
}
