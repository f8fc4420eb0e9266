//! Replicas whose clocks differ accept what the others issue, and nothing for longer than it says.

use cedargate::domain::clock::Clock;
use serde_json::json;

use crate::support::server::{PUBLIC, RESTRICTED, Server, TestResponse, decode_part};

/// How far the clock of the other replica is ahead, in seconds; behind if it is negative.
const DIFFERENCES: [i64; 4] = [-59, -5, 5, 59];

/// Another server on the same data, whose clock is ahead by so many milliseconds, or behind.
async fn replica_ahead(server: &Server, millis: i64) -> Server {
    let clock = Clock::fixed_at(server.clock.unix_millis() + millis);
    Server::replica_of(server.settings.clone(), clock).await
}

#[tokio::test]
async fn tokens_of_a_replica_whose_clock_differs_are_accepted() {
    let server = Server::start().await;
    for seconds in DIFFERENCES {
        let other = replica_ahead(&server, seconds * 1000).await;
        for (issuing, checking) in [(&server, &other), (&other, &server)] {
            let login = issuing.login("mo", "correct horse").await.json();
            let session = login["access_token"].as_str().unwrap();
            let me = TestResponse::send(checking.get("/auth/me").bearer_auth(session)).await;
            assert_eq!(me.status, 200, "{seconds}: {}", me.text());
            let token = issuing.mint(RESTRICTED, Some(session)).await.token();
            let download = checking.download(RESTRICTED, &token).await;
            assert_eq!(download.status, 200, "{seconds}: {}", download.text());
            let refresh = json!({"refresh_token": login["refresh_token"]});
            let renewed = TestResponse::send(checking.post("/auth/refresh").json(&refresh)).await;
            assert_eq!(renewed.status, 200, "{seconds}: {}", renewed.text());
            let renewed = renewed.json()["access_token"].as_str().unwrap().to_owned();
            let me = TestResponse::send(issuing.get("/auth/me").bearer_auth(renewed)).await;
            assert_eq!(me.status, 200, "{seconds}: {}", me.text());
        }
    }
}

#[tokio::test]
async fn a_token_of_a_replica_that_is_further_ahead_than_clocks_may_differ_is_refused() {
    let server = Server::start().await;
    let ahead = replica_ahead(&server, 61_000).await;
    let token = ahead.mint(PUBLIC, None).await.token();
    server.download(PUBLIC, &token).await.problem(401);
    let session = ahead.session("mo").await;
    let me = TestResponse::send(server.get("/auth/me").bearer_auth(&session)).await;
    me.problem(401);
}

#[tokio::test]
async fn a_token_ends_when_it_says_by_the_clock_of_whoever_checks_it() {
    let server = Server::start().await;
    for seconds in [-5, 5] {
        let issuing = replica_ahead(&server, seconds * 1000).await;
        let token = issuing.mint(PUBLIC, None).await.token();
        let expires_at = decode_part(&token, 1)["exp"].as_i64().unwrap();
        for (left, status) in [(1, 200), (0, 401), (-1, 401)] {
            let until = (expires_at - left) * 1000 - server.clock.unix_millis();
            let checking = replica_ahead(&server, until).await;
            let download = checking.download(PUBLIC, &token).await;
            assert_eq!(
                download.status,
                status,
                "{seconds}, {left}: {}",
                download.text()
            );
        }
    }
}
