//! The key set and the signing keys.

use cedargate::app::{App, AppError, Stores};
use cedargate::domain::clock::Clock;
use serde_json::Value;

use crate::support::server::decode_part;
use crate::support::server::{PUBLIC, Server, ServerOptions, TestResponse};

#[tokio::test]
async fn the_key_set_has_public_members_only_and_can_be_cached() {
    let server = Server::start().await;
    let response = TestResponse::send(server.get("/.well-known/jwks.json")).await;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("content-type"), "application/json");
    assert_eq!(
        response.header("cache-control"),
        "public, max-age=300, stale-while-revalidate=60"
    );
    let key = &response.json()["keys"][0];
    let mut members: Vec<_> = key.as_object().unwrap().keys().cloned().collect();
    members.sort();
    assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"]);

    let etag = response.header("etag").to_owned();
    assert!(etag.starts_with('"'));
    let again = server
        .get("/.well-known/jwks.json")
        .header("if-none-match", &etag);
    let again = TestResponse::send(again).await;
    assert_eq!(again.status, 304);
    assert_eq!(again.header("etag"), etag);
}

#[tokio::test]
async fn keys_catalog_and_sessions_survive_a_restart() {
    let server = Server::start().await;
    let session = server.session("mo").await;
    let token = server.mint(PUBLIC, Some(&session)).await.token();
    let keys = TestResponse::send(server.get("/.well-known/jwks.json"))
        .await
        .body;
    let server = server.restarted().await;
    assert_eq!(
        TestResponse::send(server.get("/.well-known/jwks.json"))
            .await
            .body,
        keys
    );
    assert_eq!(server.download(PUBLIC, &token).await.status, 200);
    let after = server.mint(PUBLIC, Some(&session)).await.token();
    assert_eq!(decode_part(&after, 0), decode_part(&token, 0));
}

#[tokio::test]
async fn no_private_key_is_readable_in_the_data_directory() {
    let server = Server::start().await;
    let jwks: Value = TestResponse::send(server.get("/.well-known/jwks.json"))
        .await
        .json();
    let server = server.restarted().await;
    let mut seen_sealed = false;
    for name in ["cedargate.db", "cedargate.db-wal"] {
        let Ok(bytes) = std::fs::read(server.folder.path().join(name)) else {
            continue;
        };
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("\"d\""), "{name}");
        seen_sealed |= text.contains(jwks["keys"][0]["kid"].as_str().unwrap());
    }
    assert!(seen_sealed);
}

#[tokio::test]
async fn a_lost_sealing_key_is_an_error_at_the_start_and_is_not_replaced() {
    let mut server = Server::start().await;
    server.stop().await;
    std::fs::remove_file(server.folder.path().join("sealing.key")).unwrap();
    let stores = Stores::open(&server.settings).await.unwrap();
    let opened = App::open(&server.settings, stores, Clock::system()).await;
    assert!(matches!(opened.err(), Some(AppError::Sealing(_))));
    assert!(!server.folder.path().join("sealing.key").exists());

    let other = Server::start().await;
    let key = other.folder.path().join("sealing.key");
    std::fs::copy(key, server.folder.path().join("sealing.key")).unwrap();
    let stores = Stores::open(&server.settings).await.unwrap();
    let opened = App::open(&server.settings, stores, Clock::system()).await;
    assert!(matches!(opened.err(), Some(AppError::Keys(_))));
}

#[tokio::test]
async fn verifiers_find_the_key_set_from_the_issuer() {
    let options = ServerOptions {
        environment: vec![
            (
                "CEDARGATE_ISSUER",
                String::from("https://gate.example/data"),
            ),
            (
                "CEDARGATE_ALLOWED_ORIGINS",
                String::from("https://maps.example"),
            ),
        ],
        ..ServerOptions::default()
    };
    let server = Server::start_with(options).await;
    let path = "/.well-known/oauth-authorization-server";
    let foreign = server
        .get(path)
        .header("origin", "https://elsewhere.example");
    let response = TestResponse::send(foreign).await;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("access-control-allow-origin"), "*");
    let metadata = response.json();
    let token = server.mint(PUBLIC, None).await.token();
    assert_eq!(metadata["issuer"], decode_part(&token, 1)["iss"]);
    assert_eq!(
        metadata["id_token_signing_alg_values_supported"][0],
        decode_part(&token, 0)["alg"]
    );
    let below = |member: &str| {
        let url = metadata[member].as_str().unwrap();
        url.strip_prefix("https://gate.example/data")
            .unwrap()
            .to_owned()
    };
    for (member, status) in [
        ("jwks_uri", 200),
        ("token_endpoint", 405),
        ("service_documentation", 200),
    ] {
        let got = TestResponse::send(server.get(&below(member))).await;
        assert_eq!(got.status, status, "{member}");
    }
    assert_eq!(metadata["response_types_supported"], serde_json::json!([]));
    for document in [path, "/.well-known/jwks.json"] {
        let first = TestResponse::send(server.get(document)).await;
        let etag = first.header("etag").to_owned();
        let again = server.get(document).header("if-none-match", &etag);
        let again = TestResponse::send(again).await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{document}");
        assert_eq!(again.header("cache-control"), first.header("cache-control"));
        let head = server.http.head(format!("{}{document}", server.url));
        let head = TestResponse::send(head).await;
        assert_eq!(
            (head.status, head.header("etag")),
            (200, etag.as_str()),
            "{document}"
        );
    }
}
