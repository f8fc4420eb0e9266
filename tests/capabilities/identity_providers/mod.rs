//! Identity providers: their tokens as credentials.

mod administration;
mod key_fetching;
mod names;
mod odd_tokens;
mod provider;
mod users;

use cedargate::app::{App, Stores};
use cedargate::domain::clock::Clock;
use serde_json::{Value, json};

use crate::support::eventually;
use crate::support::records::records;
use crate::support::server::decode_part;
use crate::support::server::{
    INTERNAL, PRIVATE, PUBLIC, RESTRICTED, Server, ServerOptions, TestResponse,
};
use provider::{AUDIENCE, IdentityProvider, ProviderKey};

/// A server that accepts tokens of a provider, with `more` settings than the required ones.
async fn server_trusting(provider: &IdentityProvider, more: Value) -> Server {
    Server::start_with(ServerOptions {
        environment: vec![(
            "CEDARGATE_ISSUERS",
            identity_providers_setting(provider, more),
        )],
        ..ServerOptions::default()
    })
    .await
}

fn identity_providers_setting(provider: &IdentityProvider, more: Value) -> String {
    let mut issuer = json!({"issuer": provider.url, "audience": AUDIENCE});
    let Value::Object(more) = more else {
        panic!("no object")
    };
    issuer.as_object_mut().unwrap().extend(more);
    json!([issuer]).to_string()
}

/// A provider with one key, and a server that accepts its tokens.
async fn provider_and_server() -> (IdentityProvider, ProviderKey, Server) {
    let key = ProviderKey::generate("first");
    let provider = IdentityProvider::start(&[&key]).await;
    let server = server_trusting(&provider, json!({})).await;
    (provider, key, server)
}

/// The status of a mint for a dataset that every signed-in user may read.
async fn mint_status(server: &Server, token: &str) -> u16 {
    server.mint(INTERNAL, Some(token)).await.status
}

async fn me(server: &Server, token: &str) -> TestResponse {
    TestResponse::send(server.get("/auth/me").bearer_auth(token)).await
}

#[tokio::test]
async fn a_token_of_an_identity_provider_mints_a_token_that_downloads() {
    let (provider, key, server) = provider_and_server().await;
    let token = key.sign(&provider.claims(&server.clock, "ines"));
    let minted = server.mint(INTERNAL, Some(&token)).await.token();
    server.clock.advance(1);
    assert_eq!(server.download(INTERNAL, &minted).await.status, 200);
    let records = records(&server).await;
    let [mint, download] = records.as_slice() else {
        panic!("{records:?}")
    };
    for record in [mint, download] {
        assert_eq!(record["authentication"], "issuer");
        assert_eq!(record["outcome"], "granted");
        assert_eq!(record["user_id"], mint["user_id"]);
    }
    let of_issuer = decode_part(&minted, 1);
    assert_eq!(of_issuer["sub"], mint["user_id"]);
}

#[tokio::test]
async fn policies_see_the_authentication_method_at_mint_and_download() {
    let key = ProviderKey::generate("first");
    let provider = IdentityProvider::start(&[&key]).await;
    let policies = r#"@id("outside") permit(principal is User, action, resource) when {
        context.authentication == Authentication::"issuer" && principal has issuer
            && principal.issuer like "http://127.0.0.1*"
    };"#;
    let server = Server::start_with(ServerOptions {
        environment: vec![(
            "CEDARGATE_ISSUERS",
            identity_providers_setting(&provider, json!({})),
        )],
        policies: Some(policies),
        ..ServerOptions::default()
    })
    .await;
    let token = key.sign(&provider.claims(&server.clock, "ines"));
    let minted = server.mint(PRIVATE, Some(&token)).await.token();
    assert_eq!(server.download(PRIVATE, &minted).await.status, 200);
    let session = server.session("ada").await;
    assert_eq!(server.mint(PRIVATE, Some(&session)).await.status, 404);
}

#[tokio::test]
async fn auth_me_returns_the_user_of_an_external_token() {
    let (provider, key, server) = provider_and_server().await;
    let claims = provider.claims(&server.clock, "ines");
    let response = me(&server, &key.sign(&claims)).await;
    assert_eq!(response.status, 200);
    let body = response.json();
    assert_eq!(body["username"], "ines");
    assert_eq!(body["authentication"], "issuer");
    assert_eq!(body["issuer"], provider.url);
    assert_eq!(body["roles"], json!([]));
    assert_eq!(body.get("session_id"), None);
    let expires_at =
        chrono::DateTime::parse_from_rfc3339(body["session_expires_at"].as_str().unwrap());
    assert_eq!(
        expires_at.unwrap().timestamp(),
        claims["exp"].as_i64().unwrap()
    );
}

#[tokio::test]
async fn invalid_external_tokens_are_refused() {
    let (provider, key, server) = provider_and_server().await;
    let claims = provider.claims(&server.clock, "ines");
    assert_eq!(mint_status(&server, &key.sign(&claims)).await, 200);
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        key.sign(&claims)
    };
    let now = server.clock.unix_seconds();
    let other_key = ProviderKey::generate("first");
    let header = |name: &str, value: Value| {
        let mut header = json!({"alg": "ES256", "kid": "first"});
        header[name] = value;
        other_key.sign_with(&header, &claims)
    };
    let whole = key.sign(&claims);
    let (signed, _) = whole.rsplit_once('.').unwrap();
    for (what, token) in [
        ("a wrong audience", with("aud", json!("another"))),
        (
            "an issuer that is not connected",
            with("iss", json!("https://evil.example")),
        ),
        ("a token that has expired", with("exp", json!(now - 31))),
        ("a key of somebody else's", other_key.sign(&claims)),
        ("an embedded key", header("jwk", other_key.public.clone())),
        ("no algorithm", header("alg", json!("none"))),
        ("a symmetric algorithm", header("alg", json!("HS256"))),
        ("no signature", format!("{signed}.")),
        ("an unknown key", header("kid", json!("unknown"))),
    ] {
        let response = server.mint(INTERNAL, Some(&token)).await;
        response.problem(401);
        assert!(
            response
                .header("www-authenticate")
                .contains("invalid_token"),
            "{what}"
        );
        let public = server.mint(PUBLIC, Some(&token)).await;
        public.problem(401);
    }
    // Malformed tokens cause no fetch: only the first one, and the one for the unknown key.
    assert_eq!(provider.fetch_count(), 2);
}

#[tokio::test]
async fn no_kind_of_token_is_taken_for_another() {
    let (provider, key, server) = provider_and_server().await;
    let token = key.sign(&provider.claims(&server.clock, "ines"));
    server.download(PUBLIC, &token).await.problem(401);
    let minted = server.mint(INTERNAL, Some(&token)).await.token();
    server.mint(INTERNAL, Some(&minted)).await.problem(401);
    let keyed = server.mint_request(INTERNAL).header("x-api-key", &token);
    TestResponse::send(keyed).await.problem(401);
    let session = server.session("otto").await;
    assert_eq!(mint_status(&server, &session).await, 200);
    // The provider claims to be this server, and signs with its own key.
    let mut claims = provider.claims(&server.clock, "ines");
    claims["iss"] = json!("http://cedargate.test");
    server
        .mint(INTERNAL, Some(&key.sign(&claims)))
        .await
        .problem(401);
    // A session token of this server, with the provider as its issuer.
    let mut payload = decode_part(&session, 1);
    payload["iss"] = json!(provider.url);
    server
        .mint(INTERNAL, Some(&key.sign(&payload)))
        .await
        .problem(401);
}

#[tokio::test]
async fn an_external_token_is_refused_once_it_has_expired() {
    let (provider, key, server) = provider_and_server().await;
    let token = key.sign(&provider.claims(&server.clock, "ines"));
    assert_eq!(mint_status(&server, &token).await, 200);
    server.clock.advance(329_000);
    assert_eq!(mint_status(&server, &token).await, 200);
    server.clock.advance(1_000);
    assert_eq!(mint_status(&server, &token).await, 401);
}

#[tokio::test]
async fn keys_can_be_read_from_a_file_in_a_closed_network() {
    let (first, second) = (
        ProviderKey::generate("first"),
        ProviderKey::generate("second"),
    );
    let provider = IdentityProvider::start(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    let write = |key: &ProviderKey| {
        std::fs::write(&file, json!({"keys": [key.public]}).to_string()).unwrap();
    };
    write(&first);
    let server = server_trusting(&provider, json!({"jwks_file": file})).await;
    let claims = provider.claims(&server.clock, "ines");
    assert_eq!(mint_status(&server, &first.sign(&claims)).await, 200);
    // A replaced file is read when a token needs it.
    write(&second);
    assert_eq!(mint_status(&server, &second.sign(&claims)).await, 200);
    assert_eq!(mint_status(&server, &first.sign(&claims)).await, 401);
    assert_eq!(provider.fetch_count(), 0);
}

#[tokio::test]
async fn an_unusable_key_set_file_prevents_the_start() {
    let provider = IdentityProvider::start(&[]).await;
    let server = Server::start().await;
    for text in [None, Some("no key set")] {
        let file = server.folder.path().join("jwks.json");
        if let Some(text) = text {
            std::fs::write(&file, text).unwrap();
        }
        let mut settings = server.settings.clone();
        let environment = vec![(
            "CEDARGATE_ISSUERS".to_owned(),
            identity_providers_setting(&provider, json!({"jwks_file": file})),
        )];
        let sources = cedargate::config::SettingSources {
            directory: server.folder.path().to_owned(),
            environment,
        };
        settings.issuers = cedargate::config::Settings::load(&sources).unwrap().issuers;
        let stores = Stores::open(&settings).await.unwrap();
        let refused = App::open(&settings, stores, Clock::system())
            .await
            .err()
            .unwrap();
        assert!(
            refused.to_string().contains("identity provider"),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn the_dataset_list_follows_the_roles_of_the_token() {
    let key = ProviderKey::generate("first");
    let provider = IdentityProvider::start(&[&key]).await;
    let server = server_trusting(&provider, json!({"roles_claim": "roles"})).await;
    let mut claims = provider.claims(&server.clock, "ines");
    claims["roles"] = json!(["hydrology", "no-such-role", "admin"]);
    let token = key.sign(&claims);
    let minted = server.mint(RESTRICTED, Some(&token)).await.token();
    assert_eq!(server.download(RESTRICTED, &minted).await.status, 200);
    assert_eq!(
        me(&server, &token).await.json()["roles"],
        json!(["hydrology"])
    );
    assert_eq!(server.mint(PRIVATE, Some(&token)).await.status, 404);
    let page = TestResponse::send(server.get("/datasets").bearer_auth(&token))
        .await
        .json();
    let readable = page["datasets"]
        .as_array()
        .or(page["items"].as_array())
        .unwrap();
    assert!(
        readable
            .iter()
            .any(|one| one["id"] == RESTRICTED && one["can_read"] == true)
    );
}

#[tokio::test]
async fn a_provider_whose_keys_cannot_be_fetched_makes_the_server_degraded() {
    let (provider, key, server) = provider_and_server().await;
    let token = key.sign(&provider.claims(&server.clock, "ines"));
    assert_eq!(mint_status(&server, &token).await, 200);
    let ready = async || TestResponse::send(server.get("/health/ready")).await;
    assert_eq!(ready().await.json()["status"], "ready");
    provider.set_behavior(provider::Behavior::Failing);
    server.clock.advance(300_000);
    eventually(async || ready().await.json()["status"] == "degraded").await;
    let response = ready().await;
    assert_eq!(response.status, 200);
    assert!(
        response.json()["problems"][0]
            .as_str()
            .unwrap()
            .contains(&provider.url)
    );
    let metrics = TestResponse::send(server.get("/metrics")).await;
    let metrics = String::from_utf8(metrics.body).unwrap();
    for outcome in ["fetched", "failed"] {
        let counter = format!(
            "cedargate_issuer_fetches_total{{issuer=\"{}\",outcome=\"{outcome}\"}} 1",
            provider.url
        );
        assert!(metrics.contains(&counter), "{counter}: {metrics}");
    }
    provider.set_behavior(provider::Behavior::Correct);
    server.clock.advance(30_000);
    eventually(async || ready().await.json()["status"] == "ready").await;
}
