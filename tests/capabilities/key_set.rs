//! The key set and the signing keys.

use cedargate::app::{App, AppError, Stores};
use cedargate::domain::clock::Clock;
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::server::decode_part;
use crate::support::server::{PASSWORD, PUBLIC, Server, ServerOptions, TestResponse};

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

const METADATA: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";

async fn server_at(issuer: &str) -> Server {
    let origins = String::from("https://maps.example");
    let options = ServerOptions {
        environment: vec![
            ("CEDARGATE_ISSUER", issuer.to_owned()),
            ("CEDARGATE_ALLOWED_ORIGINS", origins),
        ],
        ..ServerOptions::default()
    };
    Server::start_with(options).await
}

#[tokio::test]
async fn verifiers_find_the_key_set_from_the_issuer() {
    let issuer = "https://gate.example/data";
    let server = server_at(issuer).await;
    let metadata = TestResponse::send(server.get(METADATA)).await.json();
    let token = server.mint(PUBLIC, None).await.token();
    assert_eq!(metadata["issuer"], decode_part(&token, 1)["iss"]);
    assert_eq!(
        metadata["id_token_signing_alg_values_supported"][0],
        decode_part(&token, 0)["alg"]
    );
    let below = |member: &str| {
        let url = metadata[member].as_str().unwrap();
        url.strip_prefix(issuer).unwrap().to_owned()
    };
    for member in ["jwks_uri", "service_documentation"] {
        let got = TestResponse::send(server.get(&below(member))).await;
        assert_eq!(got.status, 200, "{member}");
    }
    // What the metadata says of the login is how one logs in.
    assert_eq!(metadata["grant_types_supported"], json!(["password"]));
    let form = [
        ("grant_type", "password"),
        ("username", "mo"),
        ("password", PASSWORD),
    ];
    let login = server.post(&below("token_endpoint")).form(&form);
    assert_eq!(TestResponse::send(login).await.status, 200);
    assert_eq!(metadata["response_types_supported"], json!([]));
}

#[tokio::test]
async fn the_metadata_is_where_libraries_look_for_it() {
    let server = server_at("https://gate.example/data/gate").await;
    let first = TestResponse::send(server.get(METADATA)).await;
    for (path, status) in [
        (OPENID.to_owned(), 200),
        (format!("{METADATA}/data/gate"), 200),
        (format!("{OPENID}/data/gate"), 200),
        (format!("{METADATA}/data/gate/"), 200),
        (format!("{METADATA}/"), 200),
        (format!("{METADATA}/data"), 404),
        (format!("{METADATA}/gate"), 404),
        (format!("{METADATA}/data/gate/data/gate"), 404),
        (format!("{METADATA}data/gate"), 404),
        (String::from("/.well-known/jwks.json/data/gate"), 404),
        (String::from("/datasets/data/gate"), 404),
    ] {
        let got = TestResponse::send(server.get(&path)).await;
        assert_eq!(got.status, status, "{path}");
        if status == 200 {
            assert_eq!(got.body, first.body, "{path}");
            assert_eq!(got.header("etag"), first.header("etag"));
        }
    }
    let unknown = format!("{METADATA}/data/gate?x=1");
    let unknown = TestResponse::send(server.get(&unknown)).await;
    unknown.problem(422);
    let posted = TestResponse::send(server.post(OPENID)).await;
    posted.problem(405);
    // The path of an issuer without one is nothing.
    let plain = server_at("https://gate.example").await;
    for path in [METADATA, OPENID] {
        assert_eq!(TestResponse::send(plain.get(path)).await.status, 200);
    }
}

#[tokio::test]
async fn public_documents_are_for_caches_and_for_pages_of_all_origins() {
    let server = server_at("https://gate.example/data").await;
    for document in [
        "/.well-known/jwks.json",
        METADATA,
        OPENID,
        "/.well-known/openid-configuration/data",
    ] {
        let foreign = server
            .get(document)
            .header("origin", "https://elsewhere.example");
        let first = TestResponse::send(foreign).await;
        assert_eq!(
            first.header("access-control-allow-origin"),
            "*",
            "{document}"
        );
        assert_eq!(
            first.header("cache-control"),
            "public, max-age=300, stale-while-revalidate=60"
        );
        let etag = first.header("etag").to_owned();
        assert!(etag.starts_with('"') && etag.len() > 20, "{etag}");
        for (matching, status) in [
            (etag.clone(), 304),
            (format!("W/{etag}"), 304),
            (format!("\"other\", {etag}"), 304),
            (String::from("*"), 304),
            (String::from("\"other\""), 200),
        ] {
            let again = server.get(document).header("if-none-match", &matching);
            let again = TestResponse::send(again).await;
            assert_eq!(again.status, status, "{document} {matching}");
            assert_eq!(again.body.is_empty(), status == 304);
            assert_eq!(again.header("etag"), etag);
            assert_eq!(again.header("cache-control"), first.header("cache-control"));
        }
        let head = server.http.head(format!("{}{document}", server.url));
        let head = TestResponse::send(head).await;
        assert_eq!((head.status, head.header("etag")), (200, etag.as_str()));
        let length = first.body.len().to_string();
        assert_eq!(head.header("content-length"), length, "{document}");
        let preflight = server
            .http
            .request(
                reqwest::Method::OPTIONS,
                format!("{}{document}", server.url),
            )
            .header("origin", "https://elsewhere.example")
            .header("access-control-request-method", "GET");
        let preflight = TestResponse::send(preflight).await;
        assert_eq!(preflight.header("access-control-allow-origin"), "*");
    }
}

#[tokio::test]
async fn the_entity_tag_of_the_key_set_changes_with_its_keys_and_only_then() {
    let server = Server::start().await;
    let replica = server.replica().await;
    let etag = async |at: &Server| {
        let fetched = TestResponse::send(at.get("/.well-known/jwks.json")).await;
        fetched.header("etag").to_owned()
    };
    let first = etag(&server).await;
    assert_eq!(etag(&replica).await, first);
    let server = server.restarted().await;
    assert_eq!(etag(&server).await, first);
    server.clock.advance(30 * 86_400_000);
    eventually(async || etag(&server).await != first).await;
    let fetched = server.get("/.well-known/jwks.json");
    let changed = fetched.header("if-none-match", &first);
    assert_eq!(TestResponse::send(changed).await.status, 200);
    eventually(async || etag(&server).await == etag(&replica).await).await;
}
