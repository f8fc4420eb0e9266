//! Refresh tokens: used once, stored as hashes, limited against guessing.

use serde_json::Value;

use crate::support::records::records;
use crate::support::server::decode_part;
use crate::support::server::{INTERNAL, Server, ServerOptions};

use super::{NOT_CANONICAL, log_in, logout, mint_status, refresh, text};

#[tokio::test]
async fn a_refresh_gives_new_tokens_of_the_same_session() {
    let server = Server::start().await;
    let first = log_in(&server, "otto").await;
    assert_eq!(text(&first, "refresh_token").len(), 43);
    server.clock.advance(899_000);
    let response = refresh(&server, text(&first, "refresh_token")).await;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("cache-control"), "no-store");
    let second = response.json();
    let names: Vec<&String> = second.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        ["access_token", "refresh_token", "token_type", "expires_in"]
    );
    assert_eq!(second["expires_in"], 900);
    assert_eq!(second["token_type"], "bearer");
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    let (before, after) = (
        decode_part(text(&first, "access_token"), 1),
        decode_part(text(&second, "access_token"), 1),
    );
    assert_eq!(before["sid"], after["sid"]);
    assert_eq!(before["sub"], after["sub"]);
    assert_ne!(before["jti"], after["jti"]);
    server.clock.advance(1_000);
    assert_eq!(
        mint_status(&server, text(&first, "access_token")).await,
        401
    );
    assert_eq!(
        mint_status(&server, text(&second, "access_token")).await,
        200
    );
}

#[tokio::test]
async fn refresh_token_reuse_ends_the_whole_session() {
    let server = Server::start().await;
    let first = log_in(&server, "otto").await;
    let bystander = log_in(&server, "otto").await;
    let second = refresh(&server, text(&first, "refresh_token")).await.json();
    assert_eq!(
        mint_status(&server, text(&second, "access_token")).await,
        200
    );
    server.clock.advance(11_000);
    let detail = refresh(&server, text(&first, "refresh_token"))
        .await
        .problem(401);
    assert!(detail.contains("reuse"), "{detail}");
    for tokens in [&first, &second] {
        assert_eq!(
            mint_status(&server, text(tokens, "access_token")).await,
            401
        );
    }
    // Records are ordered by time, and this clock stands still unless it is advanced.
    server.clock.advance(1);
    refresh(&server, text(&second, "refresh_token"))
        .await
        .problem(401);
    assert_eq!(
        mint_status(&server, text(&bystander, "access_token")).await,
        200
    );

    let records = records(&server).await;
    let is_reuse = |record: &&Value| {
        record["reason"]
            .as_str()
            .unwrap_or_default()
            .contains("reuse")
    };
    let refused = records.iter().find(is_reuse).unwrap();
    assert_eq!(refused["event"], "refresh");
    assert_eq!(refused["outcome"], "refused");
    let granted = records
        .iter()
        .find(|record| record["event"] == "refresh" && record["outcome"] == "granted")
        .unwrap();
    assert_eq!(
        granted["id"],
        decode_part(text(&second, "access_token"), 1)["jti"]
    );
    assert_eq!(
        refused["user_id"],
        decode_part(text(&first, "access_token"), 1)["sub"]
    );
}

#[tokio::test]
async fn an_invalid_refresh_token_is_refused() {
    let server = Server::start().await;
    let tokens = log_in(&server, "otto").await;
    for invalid in [&"A".repeat(43), NOT_CANONICAL] {
        refresh(&server, invalid).await.problem(401);
    }
    let as_session = text(&tokens, "refresh_token");
    server.mint(INTERNAL, Some(as_session)).await.problem(401);
}

#[tokio::test]
async fn refresh_tokens_are_stored_as_hashes_only() {
    let server = Server::start().await;
    let first = log_in(&server, "otto").await;
    let second = refresh(&server, text(&first, "refresh_token")).await.json();
    let mut looked_at = 0;
    for entry in std::fs::read_dir(server.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_file() {
            continue;
        }
        looked_at += 1;
        let content = std::fs::read(&path).unwrap();
        for token in [&first, &second] {
            let token = text(token, "refresh_token").as_bytes();
            assert!(
                !content.windows(token.len()).any(|window| window == token),
                "{}",
                path.display()
            );
        }
    }
    assert!(looked_at >= 2, "the database and its log");
}

#[tokio::test]
async fn invalid_refresh_tokens_count_for_the_address() {
    let environment = vec![("CEDARGATE_MINT_LIMIT_PER_MINUTE", "4".to_owned())];
    let server = Server::start_with(ServerOptions {
        environment,
        ..ServerOptions::default()
    })
    .await;
    let tokens = log_in(&server, "otto").await;
    for _ in 0..3 {
        refresh(&server, NOT_CANONICAL).await.problem(401);
    }
    refresh(&server, NOT_CANONICAL).await.problem(429);
    logout(&server, NOT_CANONICAL).await.problem(429);
    assert_eq!(
        refresh(&server, text(&tokens, "refresh_token"))
            .await
            .status,
        200,
        "who has a session is not held up by others at the same address"
    );
}

#[tokio::test]
async fn refreshing_too_often_is_refused_and_spends_no_token() {
    let environment = vec![("CEDARGATE_MINT_LIMIT_PER_MINUTE", "2".to_owned())];
    let server = Server::start_with(ServerOptions {
        environment,
        ..ServerOptions::default()
    })
    .await;
    let mut tokens = log_in(&server, "otto").await;
    let spent = text(&tokens, "refresh_token").to_owned();
    for _ in 0..2 {
        tokens = refresh(&server, text(&tokens, "refresh_token"))
            .await
            .json();
    }
    let newest = text(&tokens, "refresh_token");
    let response = refresh(&server, newest).await;
    response.problem(429);
    let seconds: i64 = response.header("retry-after").parse().unwrap();
    server.clock.advance(seconds * 1000);
    assert_eq!(refresh(&server, newest).await.status, 200);
    let detail = refresh(&server, &spent).await.problem(401);
    assert!(detail.contains("reuse"), "reuse is noticed all the same");
}
