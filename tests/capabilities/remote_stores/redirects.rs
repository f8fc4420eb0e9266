//! Redirects to a store: presigned URLs, and what is answered without one.

use std::collections::BTreeMap;

use reqwest::{Method, redirect};
use url::Url;

use crate::support::eventually;
use crate::support::s3_server::SECRET_ACCESS_KEY;
use crate::support::server::TestResponse;

use super::{JACKSBORO, MAP, SECRET, s3_with_objects, start};

/// Sends a request and follows no redirect.
async fn send_once(request: reqwest::RequestBuilder) -> TestResponse {
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .build()
        .unwrap();
    let sent = client.execute(request.build().unwrap()).await;
    TestResponse::read(sent.unwrap()).await
}

fn query(url: &str) -> BTreeMap<String, String> {
    Url::parse(url)
        .unwrap()
        .query_pairs()
        .into_owned()
        .collect()
}

#[tokio::test]
async fn a_redirect_is_a_presigned_url_that_dies_with_the_token() {
    let s3 = s3_with_objects().await;
    let server = start(&s3, "redirect").await;
    let token = server.mint(MAP, None).await.token();
    server.clock.advance(117_000);
    let request = || {
        server
            .download_request(MAP, &token)
            .header("range", "bytes=100-199")
    };
    let redirected = send_once(request()).await;
    assert_eq!((redirected.status, redirected.body.len()), (302, 0));
    assert_eq!(redirected.header("cache-control"), "no-store");
    let location = redirected.header("location").to_owned();
    assert!(!location.contains(&token));
    assert!(!location.contains(SECRET_ACCESS_KEY));
    let left: u64 = query(&location)["X-Amz-Expires"].parse().unwrap();
    assert!(
        (1..=3).contains(&left),
        "{left} of 3 seconds are left of the token"
    );

    let fetched =
        TestResponse::send(server.http.get(&location).header("range", "bytes=100-199")).await;
    assert_eq!(
        (fetched.status, fetched.body.as_slice()),
        (206, &JACKSBORO[100..200])
    );
    // It opens this object to be read, and nothing else.
    for (method, url) in [
        (Method::PUT, location.clone()),
        (Method::DELETE, location.clone()),
        (
            Method::GET,
            location.replace("jacksboro%20map.tif", "../secret.tif"),
        ),
        (
            Method::GET,
            location.replace(&format!("Expires={left}"), "Expires=9999"),
        ),
        (Method::GET, location.split('?').next().unwrap().to_owned()),
    ] {
        let refused = TestResponse::send(server.http.request(method.clone(), &url)).await;
        assert_eq!(refused.status, 403, "{method} {url}");
    }
    // The store is the judge, by its own clock: a few seconds from now at most.
    eventually(async || {
        let late = TestResponse::send(server.http.get(&location)).await;
        if late.status == 403 {
            assert!(
                late.text().contains("Request has expired"),
                "{}",
                late.text()
            );
        }
        late.status == 403
    })
    .await;

    server.clock.advance(3_000);
    let dead = send_once(request()).await;
    dead.problem(401);
    assert_eq!(dead.header("location"), "");
}

#[tokio::test]
async fn conditions_and_head_are_answered_without_a_redirect() {
    let s3 = s3_with_objects().await;
    let server = start(&s3, "redirect").await;
    let token = server.mint(MAP, None).await.token();
    let url = format!("{}/datasets/{MAP}/download/cog?token={token}", server.url);
    let head = send_once(server.http.request(Method::HEAD, &url)).await;
    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-length"), JACKSBORO.len().to_string());
    let with = async |name: &'static str, value: &str| {
        send_once(server.download_request(MAP, &token).header(name, value)).await
    };
    let etag = head.header("etag");
    assert_eq!(with("if-none-match", etag).await.status, 304);
    with("if-match", "\"other\"").await.problem(412);
    with("range", "bytes=999999999-").await.problem(416);
    assert_eq!(with("if-match", etag).await.status, 302);
    // A client that follows redirects gets the file.
    assert_eq!(server.download(MAP, &token).await.body, JACKSBORO);
}

#[tokio::test]
async fn a_redirect_for_a_session_lives_a_minute_at_most() {
    let s3 = s3_with_objects().await;
    let server = start(&s3, "redirect").await;
    let session = server.session("olivia").await;
    let path = format!("/datasets/{SECRET}/download/cog");
    let redirected = send_once(server.get(&path).bearer_auth(&session)).await;
    assert_eq!(redirected.status, 302);
    let lifetime: u64 = query(redirected.header("location"))["X-Amz-Expires"]
        .parse()
        .unwrap();
    assert!((1..=60).contains(&lifetime), "{lifetime}");
}
