//! The life of signing keys: published before they sign, kept while their tokens live, then gone.

use std::collections::BTreeMap;
use std::io::BufRead as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use cedargate::app::signing_keys;
use cedargate::domain::audit::AuditEvent;
use cedargate::domain::caller::Authentication;
use cedargate::service::tokens::signing_keys::SigningKeys;
use cedargate::storage::{Database, KeyState};
use cedargate::token::{SealingKey, SigningKey};

use crate::support::cli::cedargate_with_input;
use crate::support::eventually;
use crate::support::server::{PUBLIC, RESTRICTED, Server, TestResponse, decode_part};

const DAY: i64 = 86_400_000;

async fn published(server: &Server) -> Vec<String> {
    let body = TestResponse::send(server.get("/.well-known/jwks.json"))
        .await
        .json();
    let keys = body["keys"].as_array().unwrap().iter();
    keys.map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

async fn signing_kid(server: &Server) -> String {
    kid_of(&server.mint(PUBLIC, None).await.token())
}

fn kid_of(token: &str) -> String {
    decode_part(token, 0)["kid"].as_str().unwrap().to_owned()
}

async fn keys_of(server: &Server) -> SigningKeys {
    let by = Authentication::CommandLine;
    signing_keys(
        &server.settings,
        server.database().await,
        server.clock.clone(),
        by,
    )
}

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
async fn a_revoked_key_is_gone_at_once_with_the_tokens_that_it_signed() {
    let server = Server::start().await;
    let replica = server.replica().await;
    let login = server.login("mo", "correct horse").await.json();
    let session = login["access_token"].as_str().unwrap().to_owned();
    let token = server.mint(RESTRICTED, Some(&session)).await.token();
    assert_eq!(replica.download(RESTRICTED, &token).await.status, 200);
    let kid = kid_of(&session);

    let folder = server.folder.path().to_owned();
    let revoke = format!("keys revoke {kid}");
    let revoked = tokio::task::spawn_blocking(move || cedargate_with_input(&folder, &revoke, ""));
    let revoked = revoked.await.unwrap();
    assert_eq!(revoked.code, 0, "{}", revoked.messages);
    assert!(revoked.data.contains("for up to 360 s"), "{}", revoked.data);
    for at in [&server, &replica] {
        eventually(async || !published(at).await.contains(&kid)).await;
        at.mint(RESTRICTED, Some(&session)).await.problem(401);
        at.download(RESTRICTED, &token).await.problem(401);
        assert_ne!(signing_kid(at).await, kid);
    }
    let refresh = serde_json::json!({"refresh_token": login["refresh_token"]});
    let refreshed = TestResponse::send(server.post("/auth/refresh").json(&refresh)).await;
    let session = refreshed.json()["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(server.mint(RESTRICTED, Some(&session)).await.status, 200);

    let folder = server.folder.path();
    let again = cedargate_with_input(folder, &format!("keys revoke {kid}"), "");
    assert_eq!(again.code, 1);
    assert!(
        again
            .messages
            .contains("no published signing key has the id"),
        "{}",
        again.messages
    );
    let listed = cedargate_with_input(folder, "keys list", "");
    assert!(listed.data.contains("revoked"), "{}", listed.data);
    let stored = server.database().await.list_signing_keys().await.unwrap();
    let revoked = stored.iter().find(|key| key.kid == kid).unwrap();
    assert_eq!(
        (revoked.state, revoked.sealed.as_str()),
        (KeyState::Retired, "")
    );
}

#[tokio::test]
async fn keys_are_sealed_anew_while_servers_run() {
    let server = Server::start().await;
    let folder = server.folder.path().to_owned();
    let former = std::fs::read(folder.join("sealing.key")).unwrap();
    let before = server.database().await.list_signing_keys().await.unwrap();
    let kid = signing_kid(&server).await;
    let resealed = cedargate_with_input(&folder, "keys reseal", "");
    assert_eq!(resealed.code, 0, "{}", resealed.messages);
    assert!(
        resealed.data.starts_with("2 signing keys"),
        "{}",
        resealed.data
    );
    assert_ne!(std::fs::read(folder.join("sealing.key")).unwrap(), former);
    assert!(!folder.join("sealing.key.next").exists());
    let after = server.database().await.list_signing_keys().await.unwrap();
    for (before, after) in before.iter().zip(&after) {
        assert_eq!((&before.kid, before.state), (&after.kid, after.state));
        assert_ne!(before.sealed, after.sealed);
    }
    // The running server goes on, and rotates with the new sealing key.
    assert_eq!(signing_kid(&server).await, kid);
    server.clock.advance(30 * DAY);
    eventually(async || signing_kid(&server).await != kid).await;
    let server = server.restarted().await;
    assert_ne!(signing_kid(&server).await, kid);
}

#[tokio::test]
async fn resealing_that_was_killed_before_its_file_took_its_place_is_finished_by_the_next() {
    let server = Server::start().await;
    let folder = server.folder.path().to_owned();
    let former = std::fs::read(folder.join("sealing.key")).unwrap();
    assert_eq!(cedargate_with_input(&folder, "keys reseal", "").code, 0);
    // As if the process had ended after the transaction and before the rename.
    std::fs::rename(folder.join("sealing.key"), folder.join("sealing.key.next")).unwrap();
    std::fs::write(folder.join("sealing.key"), former).unwrap();
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(folder.join("sealing.key"), private).unwrap();
    let server = server.restarted().await;
    assert_eq!(server.mint(PUBLIC, None).await.status, 200);
    assert_eq!(cedargate_with_input(&folder, "keys reseal", "").code, 0);
    assert!(!folder.join("sealing.key.next").exists());
    let server = server.restarted().await;
    assert_eq!(server.mint(PUBLIC, None).await.status, 200);
}

/// The server logs a change before it writes it: it is killed there.
#[tokio::test]
async fn a_server_that_is_killed_while_it_rotates_leaves_one_signing_key_and_every_record() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    for changes in [1, 2, 3, 5, 4] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cedargate"))
            .arg("serve")
            .current_dir(folder.path())
            .env("CEDARGATE_DATA_DIR", &data)
            .env("CEDARGATE_LISTEN", "127.0.0.1:0")
            .env("CEDARGATE_LOG_FORMAT", "json")
            .env("CEDARGATE_JWKS_MAX_AGE", "1")
            .env("CEDARGATE_KEY_PUBLISH_AHEAD", "3")
            .env("CEDARGATE_KEY_ROTATION_AGE", "3")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = std::io::BufReader::new(child.stderr.take().unwrap()).lines();
        let changed = lines.filter(|line| line.as_ref().unwrap().contains("signing keys changed"));
        assert_eq!(changed.take(changes).count(), changes);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_keys_are_whole(&data).await;
    }
}

/// Every private key opens, one signs, and whatever happened is on record once.
async fn assert_keys_are_whole(data: &std::path::Path) {
    let url = format!("sqlite://{}/cedargate.db", data.display());
    let database = Database::open(&url, 2).await.unwrap();
    let stored = database.list_signing_keys().await.unwrap();
    let sealing_key = std::fs::read_to_string(data.join("sealing.key")).unwrap();
    let sealing_key = SealingKey::parse(&sealing_key).unwrap();
    for key in &stored {
        assert_eq!(
            SigningKey::unseal(&key.sealed, &sealing_key).unwrap().kid(),
            key.kid
        );
    }
    let of_state = |state| stored.iter().filter(|key| key.state == state).count();
    assert_eq!(of_state(KeyState::Current), usize::from(!stored.is_empty()));
    assert!(of_state(KeyState::Next) <= 1);
    let mut events: BTreeMap<&str, usize> = BTreeMap::new();
    let records = database.list_audit_records(None, 1000).await.unwrap();
    for record in &records {
        *events.entry(record.event.into()).or_default() += 1;
    }
    let count = |event: AuditEvent| events.get(event.into()).copied().unwrap_or_default();
    let has_signed = stored.iter().filter(|key| key.activated_at.is_some());
    assert_eq!(count(AuditEvent::KeyRotate), has_signed.count());
    assert_eq!(
        count(AuditEvent::KeyPublish),
        stored.len().saturating_sub(1)
    );
}
