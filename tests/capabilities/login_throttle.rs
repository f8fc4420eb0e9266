//! Login throttling: growing waits after failures, the same for existing and unknown accounts.

use crate::support::server::{PASSWORD, Server, TestResponse};

fn observable(response: &TestResponse) -> (u16, String, Vec<u8>) {
    let wait = response.header("retry-after").to_owned();
    (response.status, wait, response.body.clone())
}

#[tokio::test]
async fn unknown_and_wrong_accounts_are_throttled_alike() {
    let mut stories = Vec::new();
    for username in ["otto", "nobody", "dora", "NO SUCH NAME"] {
        let server = Server::start().await;
        let mut story = Vec::new();
        for _ in 0..5 {
            story.push(observable(&server.login(username, "wrong password").await));
        }
        for millis in [0, 999, 1, 0, 2_000, 3_999, 1] {
            server.clock.advance(millis);
            story.push(observable(&server.login(username, "wrong password").await));
        }
        stories.push(story);
    }
    let statuses: Vec<(u16, &str)> = stories[0]
        .iter()
        .map(|(status, wait, _)| (*status, wait.as_str()))
        .collect();
    assert_eq!(
        statuses,
        [
            (401, ""),
            (401, ""),
            (401, ""),
            (401, ""),
            (401, ""),
            (429, "1"),
            (429, "1"),
            (401, ""),
            (429, "2"),
            (401, ""),
            (429, "1"),
            (401, ""),
        ]
    );
    for story in &stories {
        assert_eq!(*story, stories[0]);
    }
}

#[tokio::test]
async fn a_throttled_account_refuses_the_right_password_which_then_resets_the_streak() {
    let server = Server::start().await;
    for _ in 0..5 {
        server.login("otto", "wrong password").await.problem(401);
    }
    server.login("otto", PASSWORD).await.problem(429);
    assert_eq!(
        server.login("mo", PASSWORD).await.status,
        200,
        "another account"
    );
    server.clock.advance(1_000);
    assert_eq!(server.login("otto", PASSWORD).await.status, 200);
    for _ in 0..5 {
        server.login("otto", "wrong password").await.problem(401);
    }
    let response = server.login("otto", PASSWORD).await;
    response.problem(429);
    assert_eq!(response.header("retry-after"), "1");
}

#[tokio::test]
async fn one_address_that_tries_many_accounts_has_to_wait() {
    let server = Server::start().await;
    for at in 0..20 {
        let username = format!("user{at}");
        server.login(&username, "wrong password").await.problem(401);
    }
    let response = server.login("mo", PASSWORD).await;
    response.problem(429);
    assert_eq!(response.header("retry-after"), "1");
    server.clock.advance(1_000);
    assert_eq!(server.login("mo", PASSWORD).await.status, 200);
}

#[tokio::test]
async fn a_session_continues_while_its_account_is_throttled() {
    let server = Server::start().await;
    let session = server.session("otto").await;
    for _ in 0..6 {
        server.login("otto", "wrong password").await;
    }
    server.login("otto", PASSWORD).await.problem(429);
    let mint = server
        .mint(crate::support::server::INTERNAL, Some(&session))
        .await;
    assert_eq!(mint.status, 200);
}
