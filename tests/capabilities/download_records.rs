//! Downloads and failed logins on record: many like requests are one record, and none is lost.

use serde_json::Value;

use crate::support::admin_client::AdminClient;
use crate::support::eventually;
use crate::support::records::records;
use crate::support::server::{PUBLIC, RESTRICTED, Server, ServerOptions, TestResponse, UNKNOWN};

async fn start_with(environment: &[(&'static str, &str)]) -> Server {
    let owned = environment
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()));
    Server::start_with(ServerOptions {
        environment: owned.collect(),
        ..ServerOptions::default()
    })
    .await
}

async fn span(server: &Server, dataset_id: &str, token: &str, bytes: u64) -> u16 {
    let request = server.download_request(dataset_id, token);
    let request = request.header("range", format!("bytes=0-{}", bytes - 1));
    TestResponse::send(request).await.status
}

async fn session_span(server: &Server, dataset_id: &str, session: &str) -> TestResponse {
    let request = server.get(&format!("/datasets/{dataset_id}/download/cog"));
    let request = request.bearer_auth(session).header("range", "bytes=0-9");
    TestResponse::send(request).await
}

/// The records of an event: their outcome, requests and bytes.
async fn totals(server: &Server, event: &str) -> Vec<(String, u64, Option<u64>)> {
    let all = records(server).await;
    let records = all.iter().filter(|record| record["event"] == event);
    let total = |record: &Value| {
        let outcome = record["outcome"].as_str().unwrap().to_owned();
        let requests = record["requests"].as_u64().unwrap();
        (outcome, requests, record["bytes"].as_u64())
    };
    records.map(total).collect()
}

fn total(outcome: &str, requests: u64, bytes: u64) -> (String, u64, Option<u64>) {
    (outcome.to_owned(), requests, Some(bytes))
}

#[tokio::test]
async fn many_spans_of_one_token_are_one_record_with_their_number_and_bytes() {
    let mut server = Server::start().await;
    let token = server.mint(PUBLIC, None).await.token();
    assert_eq!(span(&server, PUBLIC, &token, 100).await, 206);
    let first = totals(&server, "download").await;
    assert_eq!(first.len(), 1, "the first request is on record at once");
    let spans = (0..29).map(|_| span(&server, PUBLIC, &token, 100));
    futures_util::future::join_all(spans).await;
    eventually(async || totals(&server, "download").await == [total("granted", 30, 3000)]).await;
    // Another token is another download, and the totals of the last seconds are written at the end.
    server.clock.advance(1);
    let token = server.mint(PUBLIC, None).await.token();
    for _ in 0..3 {
        assert_eq!(span(&server, PUBLIC, &token, 7).await, 206);
    }
    assert!(server.stop().await);
    let expected = [total("granted", 30, 3000), total("granted", 3, 21)];
    assert_eq!(totals(&server, "download").await, expected);
}

#[tokio::test]
async fn a_session_downloads_in_one_record_for_ten_minutes() {
    let mut server = Server::start().await;
    let session = server.session("mo").await;
    for millis in [0, 9 * 60_000, 2 * 60_000, 1] {
        server.clock.advance(millis);
        assert_eq!(session_span(&server, PUBLIC, &session).await.status, 206);
        assert_eq!(
            session_span(&server, RESTRICTED, &session).await.status,
            206
        );
    }
    assert!(server.stop().await);
    let expected = [20, 20, 20, 20].map(|bytes| total("granted", 2, bytes));
    assert_eq!(totals(&server, "download").await, expected);
}

#[tokio::test]
async fn a_denial_between_two_spans_is_on_record_and_repeated_ones_are_one() {
    let mut server = Server::start().await;
    let mo = server.session("mo").await;
    let token = server.mint(RESTRICTED, Some(&mo)).await.token();
    assert_eq!(span(&server, RESTRICTED, &token, 10).await, 206);
    server.clock.advance(1);
    let admin = AdminClient::sign_in(&server, "ada").await;
    let share = format!("/admin/datasets/{RESTRICTED}/shares/roles/hydrology");
    let removed = admin.delete(&share).await;
    assert!(removed.status < 300, "{}", removed.text());
    server.clock.advance(1);
    for _ in 0..5 {
        assert_eq!(span(&server, RESTRICTED, &token, 10).await, 403);
    }
    server.clock.advance(1);
    let shared = admin.put(&share, Value::Null).await;
    assert!(shared.status < 300, "{}", shared.text());
    server.clock.advance(1);
    assert_eq!(span(&server, RESTRICTED, &token, 10).await, 206);
    assert!(server.stop().await);
    let expected = [
        total("granted", 1, 10),
        total("denied", 5, 0),
        total("granted", 1, 10),
    ];
    assert_eq!(totals(&server, "download").await, expected);
}

#[tokio::test]
async fn asking_for_unknown_datasets_does_not_fill_the_audit_log() {
    let server = start_with(&[("CEDARGATE_MINT_LIMIT_PER_MINUTE", "5")]).await;
    let otto = server.session("otto").await;
    let mut statuses = Vec::new();
    for _ in 0..12 {
        let unknown = uuid::Uuid::new_v4().to_string();
        let response = session_span(&server, &unknown, &otto).await;
        if response.status == 429 {
            assert!(!response.header("retry-after").is_empty());
        }
        statuses.push(response.status);
    }
    assert_eq!(statuses, [vec![404; 5], vec![429; 7]].concat());
    // The same one again is no other record.
    let server = start_with(&[("CEDARGATE_MINT_LIMIT_PER_MINUTE", "5")]).await;
    let otto = server.session("otto").await;
    for _ in 0..12 {
        assert_eq!(session_span(&server, UNKNOWN, &otto).await.status, 404);
    }
    eventually(async || totals(&server, "download").await == [total("refused", 12, 0)]).await;
}

#[tokio::test]
async fn one_caller_may_download_so_often_a_minute_and_a_network_four_times_as_often() {
    let server = start_with(&[("CEDARGATE_DOWNLOAD_LIMIT_PER_MINUTE", "10")]).await;
    let callers = [
        server.session("mo").await,
        server.session("ada").await,
        server.session("otto").await,
        server.session("olivia").await,
    ];
    for session in &callers[..3] {
        for _ in 0..10 {
            assert_eq!(session_span(&server, PUBLIC, session).await.status, 206);
        }
        let response = session_span(&server, PUBLIC, session).await;
        response.problem(429);
        assert_eq!(response.header("retry-after"), "6");
    }
    // 33 requests of the network so far.
    let mut statuses = Vec::new();
    for _ in 0..8 {
        statuses.push(session_span(&server, PUBLIC, &callers[3]).await.status);
    }
    assert_eq!(statuses, [vec![206; 7], vec![429]].concat());
    server.clock.advance(6_000);
    assert_eq!(session_span(&server, PUBLIC, &callers[0]).await.status, 206);
}

#[tokio::test]
async fn failed_logins_are_on_record_with_the_name_that_was_tried() {
    let server = Server::start().await;
    let tries = [
        "ada",
        "ada",
        "nobody",
        "My Secret Passw0rd",
        "ada\n",
        &"a".repeat(65),
    ];
    for name in tries {
        server.login(name, "wrong").await.problem(401);
        server.clock.advance(3_000);
    }
    let ada = server.session("ada").await;
    server.clock.advance(1);
    let names = async || -> Vec<(Option<String>, Option<u64>)> {
        let all = records(&server).await;
        let logins = all.iter().filter(|record| record["event"] == "login");
        logins
            .map(|record| {
                let name = record["username"].as_str().map(str::to_owned);
                (name, record["requests"].as_u64())
            })
            .collect()
    };
    let ada_name = || Some("ada".to_owned());
    let expected = [
        (ada_name(), Some(2)),
        (Some("nobody".to_owned()), Some(1)),
        (None, Some(3)),
        (ada_name(), None),
    ];
    eventually(async || names().await == expected).await;
    let request = server.get("/admin/audit?username=ada&outcome=refused");
    let found = TestResponse::send(request.bearer_auth(&ada)).await.json();
    assert_eq!(found["items"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(found["items"][0]["requests"], 2);
    let text = String::from_utf8(serde_json::to_vec(&records(&server).await).unwrap()).unwrap();
    assert!(!text.contains("Passw0rd"));
}
