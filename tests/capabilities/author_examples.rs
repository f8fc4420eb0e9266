//! The examples for policy authors, with the shipped policies of a running server.

use std::path::Path;

use cedargate::domain::clock::Clock;
use tempfile::TempDir;

use crate::support::cli::{copy_folder, copy_of_shipped_policies, repository};
use crate::support::server::{
    CATALOG, INTERNAL, PRIVATE, RESTRICTED, Server, ServerOptions, TestResponse,
};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// The shipped policies and one example.
fn with_example(name: &str) -> TempDir {
    let folder = copy_of_shipped_policies();
    copy_folder(
        &repository().join("docs/examples").join(name),
        folder.path(),
    );
    folder
}

async fn server_on(folder: &Path, catalog: Option<String>) -> Server {
    let policies = folder.display().to_string();
    Server::start_with(ServerOptions {
        environment: vec![
            ("CEDARGATE_POLICY_DIR", policies),
            ("CEDARGATE_TRUSTED_PROXIES", "127.0.0.1".to_owned()),
        ],
        catalog,
        ..ServerOptions::default()
    })
    .await
}

/// Advances the clock to a time of the day, in milliseconds since midnight.
fn set_clock(clock: &Clock, time: i64) {
    clock.advance((time - clock.unix_millis()).rem_euclid(DAY));
}

#[tokio::test]
async fn one_internal_dataset_is_readable_by_everyone() {
    let folder = with_example("one-dataset");
    let server = server_on(folder.path(), None).await;
    server.mint(INTERNAL, None).await.token();
    server.mint(RESTRICTED, None).await.problem(404);
}

#[tokio::test]
async fn partners_read_between_9_and_17_from_their_network_only() {
    let folder = with_example("partners-in-hours");
    let otto = "username = \"otto\"\n";
    let catalog = CATALOG.replace(otto, &format!("{otto}roles = [\"partners\"]\n"));
    let catalog = format!("[[roles]]\nname = \"partners\"\n{catalog}");
    let server = server_on(folder.path(), Some(catalog)).await;
    let status = async |address: &str| {
        let session = server.session("otto").await;
        let minting = server.mint_request(RESTRICTED).bearer_auth(session);
        TestResponse::send(minting.header("x-forwarded-for", address))
            .await
            .status
    };
    for (time, address, expected) in [
        (9 * HOUR - 1, "203.0.113.20", 403),
        (9 * HOUR, "203.0.113.20", 200),
        (12 * HOUR, "192.0.2.7", 403),
        (17 * HOUR - 1, "203.0.113.255", 200),
        (17 * HOUR, "203.0.113.20", 403),
    ] {
        set_clock(&server.clock, time);
        assert_eq!(status(address).await, expected, "{time} {address}");
    }
}

#[tokio::test]
async fn a_link_grants_its_dataset_to_its_role_only() {
    let folder = with_example("dataset-for-role");
    let server = server_on(folder.path(), None).await;
    let (member, other) = (server.session("mo").await, server.session("otto").await);
    server.mint(PRIVATE, Some(&member)).await.token();
    server.mint(PRIVATE, Some(&other)).await.problem(404);
}
