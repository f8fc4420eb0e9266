//! Fetching an issuer's keys: when, how often, from where, and what happens when it fails.

use serde_json::json;

use crate::eventually;
use crate::support::server::{Answer, INTERNAL, PUBLIC, Server};

use super::provider::{Key, Manner, Provider};
use super::{pair, status};

/// Waits until the fetch that goes on beside the requests has been made.
async fn fetched(provider: &Provider, times: usize) {
    eventually(async || {
        tokio::task::yield_now().await;
        provider.fetches() >= times
    })
    .await;
    assert_eq!(provider.fetches(), times);
}

async fn retry_after(server: &Server, token: &str) -> String {
    let answer = server.mint(INTERNAL, Some(token)).await;
    answer.problem(503);
    answer.header("retry-after").to_owned()
}

#[tokio::test]
async fn a_new_key_is_fetched_when_a_token_names_it_and_then_not_again_for_30_seconds() {
    let (provider, first, server) = pair().await;
    let claims = provider.claims(&server.clock, "ines");
    assert_eq!(status(&server, &first.sign(&claims)).await, 200);
    assert_eq!(provider.fetches(), 1);
    let (second, third) = (Key::made("second"), Key::made("third"));
    provider.publish(&[&first, &second]);
    assert_eq!(status(&server, &second.sign(&claims)).await, 200);
    assert_eq!(provider.fetches(), 2);
    provider.publish(&[&second, &third]);
    server.clock.advance(29_999);
    for _ in 0..3 {
        assert_eq!(status(&server, &third.sign(&claims)).await, 401);
    }
    assert_eq!(provider.fetches(), 2);
    server.clock.advance(1);
    assert_eq!(status(&server, &third.sign(&claims)).await, 200);
    // The first key was withdrawn, and what was verified with it before counts no more.
    assert_eq!(status(&server, &first.sign(&claims)).await, 401);
    assert_eq!(provider.fetches(), 3);
}

#[tokio::test]
async fn requests_at_the_same_moment_share_one_fetch() {
    let key = Key::made("first");
    let provider = Provider::start(&[&key]).await;
    let server = super::trusting(&provider, json!({})).await;
    let token = key.sign(&provider.claims(&server.clock, "ines"));
    let statuses = futures_util::future::join_all((0..8).map(|_| status(&server, &token))).await;
    assert_eq!(statuses, [200; 8]);
    assert_eq!(provider.fetches(), 1);
}

#[tokio::test]
async fn keys_are_fresh_as_long_as_their_server_says_within_bounds() {
    for (cache_control, seconds) in [
        (None, 300),
        (Some("public, max-age=120"), 120),
        (Some("max-age=1"), 60),
        (Some("no-store"), 60),
        (Some("max-age=99999999"), 3600),
    ] {
        let key = Key::made("first");
        let provider = Provider::start(&[&key]).await;
        if let Some(cache_control) = cache_control {
            provider.allow_caching(cache_control);
        }
        let server = super::trusting(&provider, json!({})).await;
        let mut claims = provider.claims(&server.clock, "ines");
        claims["exp"] = json!(server.clock.unix_seconds() + 10_000);
        let token = key.sign(&claims);
        assert_eq!(status(&server, &token).await, 200);
        server.clock.advance(seconds * 1000 - 1);
        assert_eq!(status(&server, &token).await, 200);
        assert_eq!(provider.fetches(), 1, "{cache_control:?}");
        server.clock.advance(1);
        assert_eq!(status(&server, &token).await, 200);
        fetched(&provider, 2).await;
    }
}

#[tokio::test]
async fn after_a_long_silence_a_withdrawn_key_is_not_trusted_once_more() {
    let (provider, first, server) = pair().await;
    let mut claims = provider.claims(&server.clock, "ines");
    claims["exp"] = json!(server.clock.unix_seconds() + 10_000);
    let token = first.sign(&claims);
    assert_eq!(status(&server, &token).await, 200);
    provider.publish(&[&Key::made("second")]);
    server.clock.advance(600_000);
    assert_eq!(status(&server, &token).await, 401);
}

#[tokio::test]
async fn through_an_outage_the_last_good_keys_work_up_to_a_day() {
    let (provider, key, server) = pair().await;
    let fresh = || key.sign(&provider.claims(&server.clock, "ines"));
    assert_eq!(status(&server, &fresh()).await, 200);
    provider.behave(Manner::Failing);
    server.clock.advance(300_000);
    assert_eq!(status(&server, &fresh()).await, 200);
    fetched(&provider, 2).await;
    server.clock.advance(23 * 3_600_000);
    assert_eq!(status(&server, &fresh()).await, 200);
    fetched(&provider, 3).await;
    // A key that is not known may be a new one: nobody can tell now.
    let unknown = Key::made("unknown").sign(&provider.claims(&server.clock, "ines"));
    assert!(!retry_after(&server, &unknown).await.is_empty());
    let left = 86_400_000 - 300_000 - 23 * 3_600_000;
    server.clock.advance(left - 1);
    assert_eq!(status(&server, &fresh()).await, 200);
    server.clock.advance(1);
    let late = fresh();
    assert!(!retry_after(&server, &late).await.is_empty());
    assert_eq!(server.mint(PUBLIC, None).await.status, 200);
    provider.behave(Manner::Well);
    server.clock.advance(5_000);
    assert_eq!(status(&server, &late).await, 200);
}

#[tokio::test]
async fn a_first_fetch_that_fails_is_503_and_the_next_one_mends_it() {
    let key = Key::made("first");
    let provider = Provider::start(&[&key]).await;
    provider.behave(Manner::Failing);
    let server = super::trusting(&provider, json!({})).await;
    let token = key.sign(&provider.claims(&server.clock, "ines"));
    assert!(!retry_after(&server, &token).await.is_empty());
    let ready = Answer::of(server.get("/health/ready")).await;
    assert_eq!(
        (ready.status, ready.json()["status"].as_str()),
        (200, Some("degraded"))
    );
    provider.behave(Manner::Well);
    server.clock.advance(5_000);
    assert_eq!(status(&server, &token).await, 200);
}

type Misbehaviour = Box<dyn Fn(&str) -> Manner>;

#[tokio::test]
async fn what_must_not_be_followed_or_read_is_not() {
    let key = Key::made("first");
    let elsewhere = Provider::start(&[&key]).await;
    let jwks = |url: &str| json!({"issuer": url, "jwks_uri": format!("{url}/jwks")});
    let elsewhere_url = elsewhere.url.clone();
    let manners: Vec<(&str, Misbehaviour)> = vec![
        (
            "a redirect to another host",
            Box::new(move |_| Manner::Redirecting(format!("{elsewhere_url}/jwks"))),
        ),
        (
            "a redirect to another name of this host",
            Box::new(|url| Manner::Redirecting(url.replace("127.0.0.1", "localhost") + "/keys")),
        ),
        (
            "redirects without end",
            Box::new(|_| Manner::Redirecting("/jwks".to_owned())),
        ),
        (
            "a key set without end",
            Box::new(|_| Manner::Large(300_000)),
        ),
        (
            "the discovery document of another issuer",
            Box::new(move |_| Manner::Discovering(jwks("https://id.example"))),
        ),
        (
            "a key set on plain http of another machine",
            Box::new(|url| {
                Manner::Discovering(json!({"issuer": url, "jwks_uri": "http://192.0.2.1/jwks"}))
            }),
        ),
        (
            "a key set that is a file",
            Box::new(|url| {
                Manner::Discovering(json!({"issuer": url, "jwks_uri": "file:///etc/passwd"}))
            }),
        ),
        (
            "a discovery document without a key set",
            Box::new(|url| Manner::Discovering(json!({"issuer": url}))),
        ),
    ];
    for (what, manner) in manners {
        let provider = Provider::start(&[&key]).await;
        provider.behave(manner(&provider.url));
        let server = super::trusting(&provider, json!({})).await;
        let token = key.sign(&provider.claims(&server.clock, "ines"));
        let answer = server.mint(INTERNAL, Some(&token)).await;
        assert_eq!(answer.status, 503, "{what}");
    }
    assert_eq!(elsewhere.fetches(), 0);
}

#[tokio::test]
async fn a_redirect_within_the_host_is_followed_and_a_large_key_set_is_read() {
    let key = Key::made("first");
    for manner in [
        Manner::Redirecting("/keys".to_owned()),
        Manner::Large(200_000),
    ] {
        let provider = Provider::start(&[&key]).await;
        provider.behave(manner);
        let server = super::trusting(&provider, json!({})).await;
        let token = key.sign(&provider.claims(&server.clock, "ines"));
        assert_eq!(status(&server, &token).await, 200);
    }
}

#[tokio::test]
async fn an_issuer_that_never_answers_holds_up_nobody_else() {
    let key = Key::made("first");
    let provider = Provider::start(&[&key]).await;
    provider.behave(Manner::Silent);
    let server = super::trusting(&provider, json!({})).await;
    let token = key.sign(&provider.claims(&server.clock, "ines"));
    let waiting = tokio::spawn(server.minting(INTERNAL).bearer_auth(&token).send());
    fetched(&provider, 1).await;
    assert_eq!(server.mint(PUBLIC, None).await.status, 200);
    let session = server.session("otto").await;
    assert_eq!(status(&server, &session).await, 200);
    assert!(!waiting.is_finished());
    waiting.abort();
}
