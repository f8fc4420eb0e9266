//! Resealing: the private keys under another sealing key, while servers run.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use cedargate::token::SealingKey;

use super::{DAY, run, signing_kid};
use crate::support::eventually;
use crate::support::server::{PUBLIC, Server};

fn write_private(path: &Path, content: impl AsRef<[u8]>) {
    std::fs::write(path, content).unwrap();
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, private).unwrap();
}

#[tokio::test]
async fn keys_are_sealed_anew_while_servers_run() {
    let server = Server::start().await;
    let folder = server.folder.path().to_owned();
    let former = std::fs::read(folder.join("sealing.key")).unwrap();
    let before = server.database().await.list_signing_keys().await.unwrap();
    let kid = signing_kid(&server).await;
    let resealed = run(&server, "reseal").await;
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
    assert_eq!(run(&server, "reseal").await.code, 0);
    // As if the process had ended after the transaction and before the rename.
    std::fs::rename(folder.join("sealing.key"), folder.join("sealing.key.next")).unwrap();
    write_private(&folder.join("sealing.key"), former);
    let server = server.restarted().await;
    assert_eq!(server.mint(PUBLIC, None).await.status, 200);
    assert_eq!(run(&server, "reseal").await.code, 0);
    assert!(!folder.join("sealing.key.next").exists());
    let server = server.restarted().await;
    assert_eq!(server.mint(PUBLIC, None).await.status, 200);
}

#[tokio::test]
async fn resealing_that_was_killed_before_its_transaction_goes_on_with_the_key_that_it_made() {
    let server = Server::start().await;
    let folder = server.folder.path().to_owned();
    let made = format!("{}\n", SealingKey::generate().to_text().reveal());
    write_private(&folder.join("sealing.key.next"), &made);
    // Nothing needs it yet.
    let server = server.restarted().await;
    let before = signing_kid(&server).await;
    server.clock.advance(30 * DAY);
    assert_eq!(run(&server, "reseal").await.code, 0);
    assert_eq!(
        std::fs::read_to_string(folder.join("sealing.key")).unwrap(),
        made
    );
    assert!(!folder.join("sealing.key.next").exists());
    eventually(async || signing_kid(&server).await != before).await;
    let server = server.restarted().await;
    assert_eq!(server.mint(PUBLIC, None).await.status, 200);
}

#[tokio::test]
async fn a_sealing_key_of_ones_own_takes_the_place_of_the_one_in_the_settings() {
    let server = Server::start().await;
    let folder = server.folder.path().to_owned();
    let missing = run(&server, "reseal --to other.key").await;
    assert_eq!(missing.code, 1);
    assert!(
        missing.messages.contains("other.key"),
        "{}",
        missing.messages
    );
    write_private(&folder.join("other.key"), "too short");
    assert_eq!(run(&server, "reseal --to other.key").await.code, 1);
    assert_eq!(server.mint(PUBLIC, None).await.status, 200);
    let text = SealingKey::generate().to_text();
    write_private(&folder.join("other.key"), text.reveal());
    let resealed = run(&server, "reseal --to other.key").await;
    assert_eq!(resealed.code, 0, "{}", resealed.messages);
    assert!(
        resealed.messages.contains("CEDARGATE_SEALING_KEY_FILE"),
        "{}",
        resealed.messages
    );
    // The server has its keys, and says that it could not open them again.
    assert_eq!(server.mint(PUBLIC, None).await.status, 200);
    let mut settings = server.settings.clone();
    settings.sealing_key_file = folder.join("other.key");
    let server = server.restarted_with(settings).await;
    assert_eq!(server.mint(PUBLIC, None).await.status, 200);
}
