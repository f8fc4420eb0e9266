//! Honest clients that race: refreshes and logouts at the same moment, and repetitions after a lost response.

use futures_util::future::join_all;
use serde_json::Value;

use crate::support::records::records;
use crate::support::server::{Server, ServerOptions};

use super::{log_in, logout, me, refresh, text};

async fn start_with_grace(grace: &str) -> Server {
    Server::start_with(ServerOptions {
        environment: vec![("CEDARGATE_REFRESH_GRACE", grace.to_owned())],
        ..ServerOptions::default()
    })
    .await
}

/// The outcomes and reasons of all refreshes on record, reasons up to their colon, sorted.
async fn refreshes_on_record(server: &Server) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let records = records(server).await;
    let refreshes = records.iter().filter(|record| record["event"] == "refresh");
    let mut found: Vec<_> = refreshes
        .map(|record| {
            let reason = text(&record["reason"]);
            let kind = reason.split(':').next().unwrap_or_default().to_owned();
            (text(&record["outcome"]), kind)
        })
        .collect();
    found.sort();
    found
}

fn pair(outcome: &str, kind: &str) -> (String, String) {
    (outcome.to_owned(), kind.to_owned())
}

#[tokio::test]
async fn twenty_refreshes_at_once_on_two_replicas_all_give_tokens_that_work() {
    let server = Server::start().await;
    let replica = server.replica().await;
    let first = log_in(&server, "otto").await;
    let token = text(&first, "refresh_token");
    let refreshes = (0..20).map(|number| {
        let server = if number % 2 == 0 { &server } else { &replica };
        refresh(server, token)
    });
    let mut next = Vec::new();
    for response in join_all(refreshes).await {
        assert_eq!(response.status, 200, "{}", response.text());
        next.push(response.json());
    }
    let mut tokens: Vec<_> = next
        .iter()
        .map(|next| text(next, "refresh_token"))
        .collect();
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), 20, "each has a token of its own");
    for next in &next {
        assert_eq!(me(&replica, text(next, "access_token")).await.status, 200);
        assert_eq!(
            refresh(&server, text(next, "refresh_token")).await.status,
            200
        );
    }
    let on_record = refreshes_on_record(&server).await;
    let count = |kind| {
        on_record
            .iter()
            .filter(|found| **found == pair("granted", kind))
            .count()
    };
    assert_eq!((count("rotation"), count("sibling")), (21, 19));
}

#[tokio::test]
async fn a_refresh_whose_response_was_lost_is_repeated_within_the_grace() {
    let server = Server::start().await;
    let first = log_in(&server, "otto").await;
    let token = text(&first, "refresh_token");
    let lost = refresh(&server, token).await.json();
    server.clock.advance(3_000);
    let again = refresh(&server, token).await;
    assert_eq!(again.status, 200);
    let again = again.json();
    assert_ne!(text(&again, "refresh_token"), text(&lost, "refresh_token"));
    assert_eq!(me(&server, text(&again, "access_token")).await.status, 200);
    server.clock.advance(800_000);
    assert_eq!(
        refresh(&server, text(&again, "refresh_token")).await.status,
        200
    );
}

#[tokio::test]
async fn after_the_grace_a_reuse_ends_every_sibling_and_the_record_says_which_it_was() {
    let server = Server::start().await;
    let first = log_in(&server, "otto").await;
    let token = text(&first, "refresh_token");
    let mut family = vec![first.clone()];
    for _ in 0..3 {
        family.push(refresh(&server, token).await.json());
        server.clock.advance(3_000);
    }
    server.clock.advance(2_000);
    let detail = refresh(&server, token).await.problem(401);
    assert!(detail.starts_with("reuse"), "{detail}");
    for tokens in &family {
        me(&server, text(tokens, "access_token")).await.problem(401);
        server.clock.advance(1);
        refresh(&server, text(tokens, "refresh_token"))
            .await
            .problem(401);
    }
    let on_record = refreshes_on_record(&server).await;
    for (kind, times) in [
        (pair("granted", "rotation"), 1),
        (pair("granted", "sibling"), 2),
    ] {
        let found = on_record.iter().filter(|found| **found == kind).count();
        assert_eq!(found, times, "{kind:?} {on_record:?}");
    }
    let reuses = on_record
        .iter()
        .filter(|found| **found == pair("refused", "reuse"));
    assert_eq!(reuses.count(), 1, "{on_record:?}");
}

#[tokio::test]
async fn without_a_grace_any_second_use_ends_the_session() {
    let server = start_with_grace("0").await;
    let first = log_in(&server, "otto").await;
    let token = text(&first, "refresh_token");
    let (one, two) = tokio::join!(refresh(&server, token), refresh(&server, token));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 401]);
    let won = if one.status == 200 { one } else { two }.json();
    me(&server, text(&won, "access_token")).await.problem(401);
    refresh(&server, text(&won, "refresh_token"))
        .await
        .problem(401);
}

#[tokio::test]
async fn the_grace_is_a_setting() {
    let server = start_with_grace("60").await;
    let first = log_in(&server, "otto").await;
    let token = text(&first, "refresh_token");
    assert_eq!(refresh(&server, token).await.status, 200);
    server.clock.advance(60_000);
    assert_eq!(refresh(&server, token).await.status, 200);
    server.clock.advance(1_000);
    refresh(&server, token).await.problem(401);
}

#[tokio::test]
async fn logging_out_with_any_token_of_the_family_ends_all_of_it_and_is_no_reuse() {
    let server = Server::start().await;
    for logs_out in 0..3 {
        let first = log_in(&server, "otto").await;
        let mut family = vec![first.clone()];
        for _ in 0..2 {
            family.push(refresh(&server, text(&first, "refresh_token")).await.json());
        }
        let token = text(&family[logs_out], "refresh_token");
        assert_eq!(logout(&server, token).await.status, 204);
        for tokens in &family {
            me(&server, text(tokens, "access_token")).await.problem(401);
            refresh(&server, text(tokens, "refresh_token"))
                .await
                .problem(401);
        }
    }
    // Nobody else has had any of the tokens, and no session ended for that.
    let on_record = refreshes_on_record(&server).await;
    assert!(
        !on_record.contains(&pair("refused", "reuse")),
        "{on_record:?}"
    );
}

#[tokio::test]
async fn logouts_at_once_are_all_done_and_one_of_them_is_what_ended_the_session() {
    let server = Server::start().await;
    let replica = server.replica().await;
    let first = log_in(&server, "otto").await;
    let token = text(&first, "refresh_token");
    let logouts = (0..6).map(|number| {
        let server = if number % 2 == 0 { &server } else { &replica };
        logout(server, token)
    });
    for response in join_all(logouts).await {
        assert_eq!(response.status, 204, "{}", response.text());
    }
    let records = records(&server).await;
    let ended = records
        .iter()
        .filter(|record| record["event"] == "logout" && record["reason"].is_null());
    assert_eq!(ended.count(), 1, "{records:?}");
}

#[tokio::test]
async fn a_refresh_and_a_logout_at_once_leave_no_session() {
    let server = Server::start().await;
    for _ in 0..5 {
        let first = log_in(&server, "otto").await;
        let token = text(&first, "refresh_token");
        let (refreshed, again, ended) = tokio::join!(
            refresh(&server, token),
            refresh(&server, token),
            logout(&server, token)
        );
        assert_eq!(ended.status, 204);
        for response in [refreshed, again] {
            assert!([200, 401].contains(&response.status), "{}", response.text());
            if response.status == 200 {
                let tokens = response.json();
                me(&server, text(&tokens, "access_token"))
                    .await
                    .problem(401);
            }
        }
        refresh(&server, token).await.problem(401);
    }
}

#[tokio::test]
async fn a_password_changed_during_refreshes_ends_what_they_gave() {
    let server = Server::start().await;
    let catalog = "[[users]]\nusername = \"otto\"\npassword = \"battery staple\"\n";
    let first = log_in(&server, "otto").await;
    let token = text(&first, "refresh_token");
    let refreshes = join_all((0..4).map(|_| refresh(&server, token)));
    let (responses, ()) = tokio::join!(refreshes, server.apply(catalog));
    for response in responses {
        assert!([200, 401].contains(&response.status), "{}", response.text());
        if response.status == 200 {
            let tokens = response.json();
            refresh(&server, text(&tokens, "refresh_token"))
                .await
                .problem(401);
        }
    }
    refresh(&server, token).await.problem(401);
}
