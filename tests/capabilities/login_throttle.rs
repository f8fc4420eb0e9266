//! Login throttling: growing waits after failures, the same for existing and unknown accounts.

use crate::support::cli::cedargate_with_input;
use crate::support::server::{PASSWORD, Server, ServerOptions, TestResponse};

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

/// Logs in through a proxy, as a client at `address`.
async fn login_from(
    server: &Server,
    address: &str,
    username: &str,
    password: &str,
) -> TestResponse {
    let form = [("username", username), ("password", password)];
    let request = server.post("/auth/login").form(&form);
    TestResponse::send(request.header("x-forwarded-for", address)).await
}

async fn server_behind_proxy() -> Server {
    Server::start_with(ServerOptions {
        environment: vec![
            ("CEDARGATE_TRUSTED_PROXIES", "127.0.0.1".to_owned()),
            ("CEDARGATE_MINT_LIMIT_PER_MINUTE", "60".to_owned()),
        ],
        ..ServerOptions::default()
    })
    .await
}

#[tokio::test]
async fn who_has_signed_in_from_a_network_before_is_not_locked_out_by_strangers() {
    let server = server_behind_proxy().await;
    let home = "2001:db8:7:1::5";
    assert_eq!(
        login_from(&server, home, "otto", PASSWORD).await.status,
        200
    );
    // A restart forgets all failures, and not where people signed in.
    let server = server.restarted().await;
    for number in 0..50 {
        let stranger = format!("198.51.100.{number}");
        login_from(&server, &stranger, "otto", "wrong").await;
    }
    login_from(&server, "192.0.2.9", "otto", PASSWORD)
        .await
        .problem(429);
    let elsewhere_at_home = "2001:db8:7:1::6";
    let login = login_from(&server, elsewhere_at_home, "otto", PASSWORD).await;
    assert_eq!(login.status, 200);
    // Nor by the neighbours, who use up all attempts of the address.
    for number in 0..100 {
        let other = format!("neighbour-{number}");
        login_from(&server, home, &other, "wrong").await;
    }
    login_from(&server, home, "mo", PASSWORD).await.problem(429);
    assert_eq!(
        login_from(&server, home, "otto", PASSWORD).await.status,
        200
    );
    // A known network is no way to guess faster.
    let mut checked = 0;
    for _ in 0..20 {
        let guess = login_from(&server, home, "otto", "wrong").await;
        checked += u32::from(guess.status == 401);
    }
    assert_eq!(checked, 5);
}

#[tokio::test]
async fn the_operator_gives_a_locked_out_owner_a_session() {
    let server = Server::start().await;
    for _ in 0..6 {
        server.login("otto", "wrong").await;
    }
    server.login("otto", PASSWORD).await.problem(429);
    let printed = cedargate_with_input(server.folder.path(), "user session otto", "");
    assert_eq!(printed.code, 0, "{}", printed.messages);
    let body = serde_json::json!({"refresh_token": printed.data.trim()});
    let refreshed = TestResponse::send(server.post("/auth/refresh").json(&body)).await;
    assert_eq!(refreshed.status, 200);
    let session = refreshed.json()["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let mint = server
        .mint(crate::support::server::INTERNAL, Some(&session))
        .await;
    assert_eq!(mint.status, 200);
    server.clock.advance(11_000);
    TestResponse::send(server.post("/auth/refresh").json(&body))
        .await
        .problem(401);
    let records = crate::support::records::records(&server).await;
    let started = records
        .iter()
        .find(|record| record["event"] == "login" && record["authentication"] == "command_line");
    assert!(started.is_some());
}
