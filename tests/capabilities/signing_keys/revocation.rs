//! Revocation: for an emergency, in force everywhere at once.

use std::os::unix::fs::PermissionsExt as _;

use cedargate::storage::KeyState;

use super::{kid_of, kid_with, published, run, signing_kid};
use crate::support::eventually;
use crate::support::server::{PUBLIC, RESTRICTED, Server, TestResponse};

#[tokio::test]
async fn a_revoked_key_is_gone_at_once_with_the_tokens_that_it_signed() {
    let server = Server::start().await;
    let replica = server.replica().await;
    let login = server.login("mo", "correct horse").await.json();
    let session = login["access_token"].as_str().unwrap().to_owned();
    let token = server.mint(RESTRICTED, Some(&session)).await.token();
    assert_eq!(replica.download(RESTRICTED, &token).await.status, 200);
    let kid = kid_of(&session);

    let revoked = run(&server, &format!("revoke {kid}")).await;
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

    let again = run(&server, &format!("revoke {kid}")).await;
    assert_eq!(again.code, 1);
    assert!(
        again
            .messages
            .contains("no published signing key has the id"),
        "{}",
        again.messages
    );
    let listed = run(&server, "list").await;
    assert!(listed.data.contains("revoked"), "{}", listed.data);
    let stored = server.database().await.list_signing_keys().await.unwrap();
    let revoked = stored.iter().find(|key| key.kid == kid).unwrap();
    assert_eq!(
        (revoked.state, revoked.sealed.as_str()),
        (KeyState::Retired, "")
    );
}

#[tokio::test]
async fn a_key_is_revoked_while_no_server_runs() {
    let mut server = Server::start().await;
    let login = server.login("mo", "correct horse").await.json();
    let session = login["access_token"].as_str().unwrap().to_owned();
    let waits = kid_with(&server, KeyState::Next).await;
    assert!(server.stop().await);
    let revoked = run(&server, &format!("revoke {}", kid_of(&session))).await;
    assert_eq!(revoked.code, 0, "{}", revoked.messages);
    assert!(
        revoked.data.contains(&format!("{waits} signs now")),
        "{}",
        revoked.data
    );
    let server = server.started_again().await;
    server.mint(RESTRICTED, Some(&session)).await.problem(401);
    assert_eq!(signing_kid(&server).await, waits);
    assert_eq!(published(&server).await.len(), 2);
}

#[tokio::test]
async fn a_key_is_revoked_without_the_sealing_key() {
    let mut server = Server::start().await;
    let signs = signing_kid(&server).await;
    let waits = kid_with(&server, KeyState::Next).await;
    assert!(server.stop().await);
    std::fs::remove_file(server.folder.path().join("sealing.key")).unwrap();
    let rotated = run(&server, "rotate").await;
    assert_eq!(rotated.code, 1, "{}", rotated.data);
    let revoked = run(&server, &format!("revoke {signs}")).await;
    assert_eq!(revoked.code, 0, "{}", revoked.messages);
    let stored = server.database().await.list_signing_keys().await.unwrap();
    let state = |kid: &str| stored.iter().find(|key| key.kid == kid).unwrap().state;
    assert_eq!(
        (state(&signs), state(&waits)),
        (KeyState::Retired, KeyState::Current)
    );
}

/// Ids are base64url: one in 64 begins with a hyphen, and is no option.
#[tokio::test]
async fn a_key_whose_id_begins_with_a_hyphen_can_be_revoked() {
    let server = Server::start().await;
    for kid in ["-e3e4hP7kQ5Yw1oTRXNfT", "-hP7kQ5Yw1oTRXNfTGm", "--json"] {
        let refused = run(&server, &format!("revoke {kid}")).await;
        let expected = format!("no published signing key has the id {kid}");
        assert!(refused.messages.contains(&expected), "{}", refused.messages);
    }
}

/// The other server does not have the new sealing key: it cannot sign on, and it must not take what is revoked.
#[tokio::test]
async fn a_revocation_reaches_a_server_that_cannot_open_the_keys_any_more() {
    let server = Server::start().await;
    let beside = tempfile::tempdir().unwrap();
    let sealing_key_file = beside.path().join("sealing.key");
    std::fs::copy(server.folder.path().join("sealing.key"), &sealing_key_file).unwrap();
    let mut settings = server.settings.clone();
    settings.sealing_key_file.clone_from(&sealing_key_file);
    let replica = Server::replica_of(settings, server.clock.clone()).await;
    let token = replica.mint(PUBLIC, None).await.token();
    let kid = kid_of(&token);
    let ready = async || {
        TestResponse::send(replica.get("/health/ready"))
            .await
            .json()
    };

    assert_eq!(run(&server, "reseal").await.code, 0);
    eventually(async || ready().await["status"] == "degraded").await;
    assert_eq!(
        ready().await["problems"][0],
        "the signing keys in the database cannot be opened"
    );
    assert_eq!(signing_kid(&replica).await, kid);
    assert_eq!(run(&server, &format!("revoke {kid}")).await.code, 0);
    eventually(async || !published(&replica).await.contains(&kid)).await;
    replica.download(PUBLIC, &token).await.problem(401);
    let refused = replica.mint(PUBLIC, None).await;
    refused.problem(503);
    assert!(!refused.header("retry-after").is_empty());
    eventually(async || ready().await["status"] == "unready").await;

    // With the sealing key it goes on by itself.
    std::fs::copy(server.folder.path().join("sealing.key"), &sealing_key_file).unwrap();
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&sealing_key_file, private).unwrap();
    eventually(async || replica.mint(PUBLIC, None).await.status == 200).await;
    eventually(async || ready().await["status"] == "ready").await;
}
