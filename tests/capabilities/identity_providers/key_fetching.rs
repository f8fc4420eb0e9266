//! Fetching the keys of an identity provider: when, how often, from where, and failures.

use serde_json::json;

use crate::support::eventually;
use crate::support::server::{INTERNAL, PUBLIC, Server, TestResponse};

use super::provider::{Behavior, IdentityProvider, ProviderKey};
use super::{mint_status, provider_and_server};

/// Waits for the fetch in the background.
async fn wait_for_fetches(provider: &IdentityProvider, times: usize) {
    eventually(async || provider.fetch_count() >= times).await;
    assert_eq!(provider.fetch_count(), times);
}

async fn retry_after(server: &Server, token: &str) -> String {
    let response = server.mint(INTERNAL, Some(token)).await;
    response.problem(503);
    response.header("retry-after").to_owned()
}

#[tokio::test]
async fn a_new_key_is_fetched_when_a_token_names_it_at_most_every_30_seconds() {
    let (provider, first, server) = provider_and_server().await;
    let claims = provider.claims(&server.clock, "ines");
    assert_eq!(mint_status(&server, &first.sign(&claims)).await, 200);
    assert_eq!(provider.fetch_count(), 1);
    let (second, third) = (
        ProviderKey::generate("second"),
        ProviderKey::generate("third"),
    );
    provider.publish(&[&first, &second]);
    assert_eq!(mint_status(&server, &second.sign(&claims)).await, 200);
    assert_eq!(provider.fetch_count(), 2);
    provider.publish(&[&second, &third]);
    server.clock.advance(29_999);
    for _ in 0..3 {
        assert_eq!(mint_status(&server, &third.sign(&claims)).await, 401);
    }
    assert_eq!(provider.fetch_count(), 2);
    server.clock.advance(1);
    assert_eq!(mint_status(&server, &third.sign(&claims)).await, 200);
    // The first key was withdrawn, and tokens verified with it before are not accepted any more.
    assert_eq!(mint_status(&server, &first.sign(&claims)).await, 401);
    assert_eq!(provider.fetch_count(), 3);
}

#[tokio::test]
async fn requests_at_the_same_moment_share_one_fetch() {
    let key = ProviderKey::generate("first");
    let provider = IdentityProvider::start(&[&key]).await;
    let server = super::server_trusting(&provider, json!({})).await;
    let token = key.sign(&provider.claims(&server.clock, "ines"));
    let statuses =
        futures_util::future::join_all((0..8).map(|_| mint_status(&server, &token))).await;
    assert_eq!(statuses, [200; 8]);
    assert_eq!(provider.fetch_count(), 1);
}

#[tokio::test]
async fn keys_are_cached_for_max_age_within_bounds() {
    for (cache_control, seconds) in [
        (None, 300),
        (Some("public, max-age=120"), 120),
        (Some("max-age=1"), 60),
        (Some("no-store"), 60),
        (Some("max-age=99999999"), 3600),
    ] {
        let key = ProviderKey::generate("first");
        let provider = IdentityProvider::start(&[&key]).await;
        if let Some(cache_control) = cache_control {
            provider.set_cache_control(cache_control);
        }
        let server = super::server_trusting(&provider, json!({})).await;
        let mut claims = provider.claims(&server.clock, "ines");
        claims["exp"] = json!(server.clock.unix_seconds() + 10_000);
        let token = key.sign(&claims);
        assert_eq!(mint_status(&server, &token).await, 200);
        server.clock.advance(seconds * 1000 - 1);
        assert_eq!(mint_status(&server, &token).await, 200);
        assert_eq!(provider.fetch_count(), 1, "{cache_control:?}");
        server.clock.advance(1);
        assert_eq!(mint_status(&server, &token).await, 200);
        wait_for_fetches(&provider, 2).await;
    }
}

#[tokio::test]
async fn a_withdrawn_key_is_not_trusted_after_a_long_idle_time() {
    let (provider, first, server) = provider_and_server().await;
    let mut claims = provider.claims(&server.clock, "ines");
    claims["exp"] = json!(server.clock.unix_seconds() + 10_000);
    let token = first.sign(&claims);
    assert_eq!(mint_status(&server, &token).await, 200);
    provider.publish(&[&ProviderKey::generate("second")]);
    server.clock.advance(600_000);
    assert_eq!(mint_status(&server, &token).await, 401);
}

#[tokio::test]
async fn the_last_good_keys_work_through_an_outage_of_a_day() {
    let (provider, key, server) = provider_and_server().await;
    let fresh = || key.sign(&provider.claims(&server.clock, "ines"));
    assert_eq!(mint_status(&server, &fresh()).await, 200);
    provider.set_behavior(Behavior::Failing);
    server.clock.advance(300_000);
    assert_eq!(mint_status(&server, &fresh()).await, 200);
    wait_for_fetches(&provider, 2).await;
    server.clock.advance(23 * 3_600_000);
    assert_eq!(mint_status(&server, &fresh()).await, 200);
    wait_for_fetches(&provider, 3).await;
    // An unknown key may be a new one, which cannot be known now.
    let unknown = ProviderKey::generate("unknown").sign(&provider.claims(&server.clock, "ines"));
    assert!(!retry_after(&server, &unknown).await.is_empty());
    let left = 86_400_000 - 300_000 - 23 * 3_600_000;
    server.clock.advance(left - 1);
    assert_eq!(mint_status(&server, &fresh()).await, 200);
    server.clock.advance(1);
    let late = fresh();
    assert!(!retry_after(&server, &late).await.is_empty());
    assert_eq!(server.mint(PUBLIC, None).await.status, 200);
    provider.set_behavior(Behavior::Correct);
    server.clock.advance(5_000);
    assert_eq!(mint_status(&server, &late).await, 200);
}

#[tokio::test]
async fn a_first_fetch_that_fails_is_503_until_the_next_one_succeeds() {
    let key = ProviderKey::generate("first");
    let provider = IdentityProvider::start(&[&key]).await;
    provider.set_behavior(Behavior::Failing);
    let server = super::server_trusting(&provider, json!({})).await;
    let token = key.sign(&provider.claims(&server.clock, "ines"));
    assert!(!retry_after(&server, &token).await.is_empty());
    let ready = TestResponse::send(server.get("/health/ready")).await;
    assert_eq!(
        (ready.status, ready.json()["status"].as_str()),
        (200, Some("degraded"))
    );
    provider.set_behavior(Behavior::Correct);
    server.clock.advance(5_000);
    assert_eq!(mint_status(&server, &token).await, 200);
}

type MakeBehavior = Box<dyn Fn(&str) -> Behavior>;

#[tokio::test]
async fn unsafe_redirects_and_large_documents_are_refused() {
    let key = ProviderKey::generate("first");
    let elsewhere = IdentityProvider::start(&[&key]).await;
    let jwks = |url: &str| json!({"issuer": url, "jwks_uri": format!("{url}/jwks")});
    let elsewhere_url = elsewhere.url.clone();
    let manners: Vec<(&str, MakeBehavior)> = vec![
        (
            "a redirect to another host",
            Box::new(move |_| Behavior::Redirecting(format!("{elsewhere_url}/jwks"))),
        ),
        (
            "a redirect to another name of this host",
            Box::new(|url| Behavior::Redirecting(url.replace("127.0.0.1", "localhost") + "/keys")),
        ),
        (
            "redirects without end",
            Box::new(|_| Behavior::Redirecting("/jwks".to_owned())),
        ),
        (
            "a key set without end",
            Box::new(|_| Behavior::Large(300_000)),
        ),
        (
            "the discovery document of another issuer",
            Box::new(move |_| Behavior::Discovering(jwks("https://id.example"))),
        ),
        (
            "a key set on plain http of another machine",
            Box::new(|url| {
                Behavior::Discovering(json!({"issuer": url, "jwks_uri": "http://192.0.2.1/jwks"}))
            }),
        ),
        (
            "a key set that is a file",
            Box::new(|url| {
                Behavior::Discovering(json!({"issuer": url, "jwks_uri": "file:///etc/passwd"}))
            }),
        ),
        (
            "a discovery document without a key set",
            Box::new(|url| Behavior::Discovering(json!({"issuer": url}))),
        ),
    ];
    for (what, manner) in manners {
        let provider = IdentityProvider::start(&[&key]).await;
        provider.set_behavior(manner(&provider.url));
        let server = super::server_trusting(&provider, json!({})).await;
        let token = key.sign(&provider.claims(&server.clock, "ines"));
        let response = server.mint(INTERNAL, Some(&token)).await;
        assert_eq!(response.status, 503, "{what}");
    }
    assert_eq!(elsewhere.fetch_count(), 0);
}

#[tokio::test]
async fn a_redirect_within_the_host_is_followed_and_a_large_key_set_is_read() {
    let key = ProviderKey::generate("first");
    for manner in [
        Behavior::Redirecting("/keys".to_owned()),
        Behavior::Large(200_000),
    ] {
        let provider = IdentityProvider::start(&[&key]).await;
        provider.set_behavior(manner);
        let server = super::server_trusting(&provider, json!({})).await;
        let token = key.sign(&provider.claims(&server.clock, "ines"));
        assert_eq!(mint_status(&server, &token).await, 200);
    }
}

#[tokio::test]
async fn a_provider_that_never_responds_delays_no_other_request() {
    let key = ProviderKey::generate("first");
    let provider = IdentityProvider::start(&[&key]).await;
    provider.set_behavior(Behavior::Silent);
    let server = super::server_trusting(&provider, json!({})).await;
    let token = key.sign(&provider.claims(&server.clock, "ines"));
    // On a busy machine a password may take longer than the fetch may.
    let session = server.session("otto").await;
    let waiting = tokio::spawn(server.mint_request(INTERNAL).bearer_auth(&token).send());
    wait_for_fetches(&provider, 1).await;
    assert_eq!(server.mint(PUBLIC, None).await.status, 200);
    assert_eq!(mint_status(&server, &session).await, 200);
    assert!(!waiting.is_finished());
    waiting.abort();
}
