//! Signing keys: published before they sign, kept while their tokens live, then gone.

mod kills;
mod life;
mod resealing;
mod revocation;

use cedargate::app::signing_keys;
use cedargate::domain::caller::Authentication;
use cedargate::service::tokens::signing_keys::SigningKeys;
use cedargate::storage::KeyState;

use crate::support::cli::{CommandOutput, cedargate_with_input};
use crate::support::server::{PUBLIC, Server, TestResponse, decode_part};

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

/// The id of the one key in a state.
async fn kid_with(server: &Server, state: KeyState) -> String {
    let stored = server.database().await.list_signing_keys().await.unwrap();
    let mut found = stored.into_iter().filter(|key| key.state == state);
    found.next().unwrap().kid
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

/// Runs `cedargate keys` beside a server.
async fn run(server: &Server, arguments: &str) -> CommandOutput {
    let folder = server.folder.path().to_owned();
    let command = format!("keys {arguments}");
    let running = tokio::task::spawn_blocking(move || cedargate_with_input(&folder, &command, ""));
    running.await.unwrap()
}
