//! The file store: who may fill it, what is removed from it, and when it is asked.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::admin_datasets::dataset_path;
use crate::admin_files::{begin_upload, cog, partial_uploads, stored_files, upload_request};
use crate::support::admin_client::{AdminClient, USERS};
use crate::support::eventually;
use crate::support::server::{
    INTERNAL, PASSWORD, PRIVATE, PUBLIC, Server, TestResponse, WITHOUT_FILE,
};
use crate::support::tiff::test_tiff as tiff;

#[tokio::test]
async fn leftovers_of_a_crash_are_deleted_at_the_next_start() {
    let server = Server::start().await;
    let incoming = server.folder.path().join("files/incoming");
    let [dead, alive] = ["dead", "alive"].map(|name| incoming.join(name));
    for folder in [&dead, &alive] {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join(".lock"), "").unwrap();
        std::fs::write(folder.join("part#1"), "part").unwrap();
    }
    let lock = std::fs::File::open(alive.join(".lock")).unwrap();
    lock.try_lock().unwrap();
    // As an earlier version left them, a day and an hour ago.
    let (old, young) = (incoming.join("old#1"), incoming.join("young#1"));
    let now = std::fs::metadata(&incoming).unwrap().modified().unwrap();
    for (path, hours) in [(&old, 25), (&young, 1)] {
        let file = std::fs::File::create(path).unwrap();
        let age = Duration::from_secs(hours * 3600);
        file.set_modified(now - age).unwrap();
    }
    let _server = server.restarted().await;
    eventually(async || !dead.exists() && !old.exists()).await;
    assert!(young.exists() && alive.join("part#1").exists());
}

const DAY: i64 = 24 * 3600 * 1000;

#[tokio::test]
async fn a_replaced_file_is_deleted_after_a_day_unless_another_dataset_names_it() {
    let mut server = Server::start().await;
    let before = stored_files(&server);
    for (content, dataset) in [
        (tiff(1000), PUBLIC),
        (tiff(2000), PUBLIC),
        (tiff(3000), INTERNAL),
    ] {
        let ada = AdminClient::sign_in(&server, "ada").await;
        let upload = upload_request(&ada, dataset, "").body(content);
        assert_eq!(TestResponse::send(upload).await.status, 200);
    }
    // The demo file of PUBLIC is that of other datasets too; of two uploads for it the first is unused.
    assert_eq!(stored_files(&server).len(), before.len() + 3);
    server = server.restarted().await;
    assert_eq!(stored_files(&server).len(), before.len() + 3);
    server.clock.advance(DAY + 5000);
    server = server.restarted().await;
    eventually(async || stored_files(&server).len() == before.len() + 2).await;
    let token = server.mint(PUBLIC, None).await.token();
    assert!(server.download(PUBLIC, &token).await.body == tiff(2000));
    let ada = AdminClient::sign_in(&server, "ada").await;
    for (dataset, content) in [(INTERNAL, tiff(3000)), (PRIVATE, cog())] {
        let token = server.mint(dataset, Some(&ada.session)).await.token();
        assert!(server.download(dataset, &token).await.body == content);
    }
}

#[tokio::test]
async fn a_file_that_is_stored_again_is_kept() {
    let mut server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let upload = upload_request(&ada, PUBLIC, "").body(tiff(1000));
    assert_eq!(TestResponse::send(upload).await.status, 200);
    let removed = ada.delete(&dataset_path(PUBLIC)).await;
    assert_eq!(removed.status, 204);
    server.clock.advance(DAY + 5000);
    // Unused for a day, and about to be deleted; then it is stored again for another dataset.
    let ada = AdminClient::sign_in(&server, "ada").await;
    let upload = upload_request(&ada, WITHOUT_FILE, "").body(tiff(1000));
    assert_eq!(TestResponse::send(upload).await.status, 200);
    let stored = stored_files(&server);
    server = server.restarted().await;
    let token = server.mint(WITHOUT_FILE, None).await.token();
    assert!(server.download(WITHOUT_FILE, &token).await.body == tiff(1000));
    assert_eq!(stored_files(&server), stored);
}

#[tokio::test]
async fn a_file_that_was_set_aside_before_a_crash_gets_its_place_back_if_it_is_used() {
    let server = Server::start().await;
    let stored = stored_files(&server);
    let removed = server.folder.path().join("files/removed");
    std::fs::create_dir(&removed).unwrap();
    let used = stored.first().unwrap();
    std::fs::rename(used, removed.join(used.file_name().unwrap())).unwrap();
    let unused = removed.join("ab".repeat(32));
    let file = std::fs::File::create(&unused).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    let server = server.restarted().await;
    eventually(async || stored_files(&server) == stored).await;
}

#[tokio::test]
async fn one_user_cannot_hold_all_turns_to_upload() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let body = json!({
        "username": "eve", "password": PASSWORD, "roles": ["admin"], "is_disabled": false,
    });
    let created = ada.post(USERS, body).await;
    assert_eq!(created.status, 201, "{}", created.text());
    let eve = server.session("eve").await;
    let mut held: Vec<TcpStream> = Vec::new();
    for _ in 0..12 {
        let mut connection = begin_upload(&server, &eve, "");
        connection.write_all(&tiff(1000)).unwrap();
        held.push(connection);
    }
    eventually(async || partial_uploads(&server) == 2).await;
    let upload = upload_request(&ada, PUBLIC, "").body(cog());
    assert_eq!(TestResponse::send(upload).await.status, 200);
}

/// While this process has just seen a file, a mint asks nothing of the file system.
#[tokio::test]
async fn a_mint_does_not_wait_for_the_file_store_that_was_just_asked() {
    let server = Server::start().await;
    server.mint(PUBLIC, None).await.token();
    std::fs::remove_dir_all(server.folder.path().join("files/sha256")).unwrap();
    let token = server.mint(PUBLIC, None).await.token();
    // The download misses it, and from then on the mint does.
    server.download(PUBLIC, &token).await.problem(404);
    server.mint(PUBLIC, None).await.problem(404);
}
