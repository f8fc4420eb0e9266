//! The audit log over HTTP: pages, filters and export.

use cedargate::domain::audit::{AuditEvent, AuditOutcome, AuditRecord};
use cedargate::domain::clock::Clock;
use cedargate::service::identity::request_context::RequestContext;
use serde_json::Value;

use crate::support::records::{is_of_start, records};
use crate::support::server::decode_part;
use crate::support::server::{PRIVATE, PUBLIC, RESTRICTED, Server, TestResponse, UNKNOWN};

/// One page of the audit log, as an admin gets it.
async fn page(server: &Server, session: &str, query: &str) -> Value {
    let request = server.get(&format!("/admin/audit?{query}"));
    let response = TestResponse::send(request.bearer_auth(session)).await;
    assert_eq!(response.status, 200, "{}", response.json());
    // The next record gets a later time, although the clock stands still.
    server.clock.advance(1);
    response.json()
}

fn ids(records: &[Value]) -> Vec<&str> {
    records
        .iter()
        .map(|record| record["id"].as_str().unwrap())
        .collect()
}

async fn export(server: &Server, session: &str, query: &str) -> TestResponse {
    let request = server.get(&format!("/admin/audit/export?{query}"));
    TestResponse::send(request.bearer_auth(session)).await
}

fn lines(response: &TestResponse) -> Vec<Value> {
    assert_eq!(response.status, 200);
    let text = str::from_utf8(&response.body).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Makes one record of each kind, a millisecond apart; returns ada's session.
async fn record_events(server: &Server) -> String {
    let later = || server.clock.advance(1);
    let ada = server.session("ada").await;
    later();
    let mo = server.session("mo").await;
    later();
    let token = server.mint(RESTRICTED, Some(&mo)).await.token();
    later();
    assert_eq!(server.download(RESTRICTED, &token).await.status, 200);
    later();
    server.mint(PRIVATE, Some(&mo)).await.problem(404);
    later();
    server.mint(UNKNOWN, None).await.problem(404);
    later();
    server.mint(PUBLIC, None).await.token();
    later();
    server.login("ada", "wrong").await.problem(401);
    later();
    ada
}

#[tokio::test]
async fn an_admin_reads_the_audit_log_newest_first_in_the_format_of_the_export() {
    let server = Server::start().await;
    // Records of one millisecond have no order, and the catalog was applied in this one.
    server.clock.advance(1);
    let ada = record_events(&server).await;
    let mut expected = records(&server).await;
    expected.reverse();
    let page = page(&server, &ada, "limit=100").await;
    let mut listed = page["items"].as_array().unwrap().clone();
    listed.retain(|record| !is_of_start(record));
    assert_eq!(listed, expected);
    assert_eq!(page.get("next"), None);
}

#[tokio::test]
async fn a_filter_finds_its_records_and_no_others() {
    let server = Server::start().await;
    let ada = record_events(&server).await;
    let mo = decode_part(&server.session("mo").await, 1)["sub"].clone();
    let mo = mo.as_str().unwrap();
    server.clock.advance(1);
    let all = records(&server).await;
    let text = |at: usize, member: &str| all[at][member].as_str().unwrap().to_owned();
    let moment = |at: usize| text(at, "time");
    let questions = [
        (format!("user_id={mo}"), vec![1, 2, 3, 4, 8]),
        (format!("dataset_id={RESTRICTED}"), vec![2, 3]),
        (format!("dataset_id={}", PRIVATE.to_uppercase()), vec![4]),
        ("outcome=denied".to_owned(), vec![4]),
        ("outcome=refused".to_owned(), vec![5, 7]),
        ("event=download".to_owned(), vec![3]),
        ("event=login&outcome=granted".to_owned(), vec![0, 1, 8]),
        ("action=read&event=mint".to_owned(), vec![2, 4, 5, 6]),
        (
            format!("since={}&until={}", moment(3), moment(5)),
            vec![3, 4],
        ),
        (format!("since={}&outcome=refused", moment(6)), vec![7]),
        (format!("until={}", moment(0)), vec![]),
        (format!("user_id={UNKNOWN}"), vec![]),
        (format!("resource_user_id={mo}"), vec![]),
        (format!("jti={}", text(2, "jti")), vec![2, 3]),
        (format!("jti={}&event=download", text(2, "jti")), vec![3]),
        (format!("jti={}", text(6, "jti")), vec![6]),
        (format!("jti={}", text(4, "id")), vec![]),
        (format!("request_id={}", text(4, "request_id")), vec![4]),
        ("request_id=".to_owned(), vec![]),
    ];
    for (query, expected) in questions {
        // The requests are audited too, and some filters would find them.
        let before = &all.last().unwrap()["time"];
        let span = if query.contains("until=") {
            String::new()
        } else {
            let before = chrono::DateTime::parse_from_rfc3339(before.as_str().unwrap()).unwrap();
            let end = before + chrono::Duration::milliseconds(1);
            format!("&until={}", end.format("%FT%T%.3fZ"))
        };
        let newest_first = page(&server, &ada, &format!("{query}{span}")).await;
        let found = newest_first["items"].as_array().unwrap();
        let expected: Vec<&str> = expected.iter().map(|at| ids(&all)[*at]).collect();
        // The totals of a download grow for a few seconds.
        let mut found = ids(found);
        found.reverse();
        assert_eq!(found, expected, "{query}");
        let exported = lines(&export(&server, &ada, &format!("{query}{span}")).await);
        assert_eq!(ids(&exported), expected, "{query}");
        server.clock.advance(1);
    }
}

#[tokio::test]
async fn paging_gives_every_record_once_while_others_are_appended() {
    let server = Server::start().await;
    let ada = record_events(&server).await;
    let mut expected = records(&server).await;
    expected.reverse();
    let mut listed = Vec::new();
    let mut after = String::new();
    loop {
        let page = page(&server, &ada, &format!("limit=3{after}")).await;
        listed.extend(page["items"].as_array().unwrap().clone());
        server.mint(PUBLIC, None).await.token();
        server.clock.advance(1);
        let Some(next) = page.get("next") else { break };
        after = format!("&after={}", next.as_str().unwrap());
    }
    listed.retain(|record| !is_of_start(record));
    assert_eq!(ids(&listed), ids(&expected));
}

#[tokio::test]
async fn an_export_of_any_size_is_streamed_oldest_first_and_ends_with_itself() {
    let server = Server::start().await;
    let ada = server.session("ada").await;
    let database = server.database().await;
    let created = |millis: i64| AuditRecord {
        outcome: AuditOutcome::Granted,
        ..RequestContext::local().open_record(AuditEvent::Mint, &Clock::fixed_at(millis))
    };
    let past: Vec<AuditRecord> = (0..2_500).map(|at| created(1_000_000 + at)).collect();
    database.append_audit_records(&past).await.unwrap();
    let future = created(server.clock.unix_millis() + 60_000);
    database.append_audit_records(&[future]).await.unwrap();

    let response = export(&server, &ada, "event=mint").await;
    assert_eq!(response.header("content-type"), "application/x-ndjson");
    assert_eq!(response.header("cache-control"), "no-store");
    let exported = lines(&response);
    let expected: Vec<Value> = past
        .iter()
        .map(|record| serde_json::to_value(record).unwrap())
        .collect();
    assert_eq!(exported.len(), expected.len());
    assert_eq!(exported, expected);
}

#[tokio::test]
async fn reading_the_audit_log_is_audited() {
    let server = Server::start().await;
    let ada = server.session("ada").await;
    server.clock.advance(1);
    page(
        &server,
        &ada,
        &format!("outcome=denied&dataset_id={PUBLIC}"),
    )
    .await;
    export(&server, &ada, "").await;
    server.clock.advance(1);
    let mo = server.session("mo").await;
    server.clock.advance(1);
    for path in ["/admin/audit", "/admin/audit/export"] {
        let response = TestResponse::send(server.get(path).bearer_auth(&mo)).await;
        response.problem(403);
        server.clock.advance(1);
    }
    let summary: Vec<String> = records(&server)
        .await
        .iter()
        .filter(|record| record["event"] == "administer")
        .map(|record| {
            assert_eq!(record["action"], "view_audit");
            assert!(record["user_id"].is_string());
            format!("{} {}", record["outcome"], record["reason"])
        })
        .collect();
    let denied = "\"denied\" \"not permitted: the policies do not allow you to view_audit here\"";
    assert_eq!(
        summary,
        [
            format!("\"granted\" \"audit records listed, dataset_id {PUBLIC}, outcome denied\""),
            "\"granted\" \"audit records exported\"".to_owned(),
            denied.to_owned(),
            denied.to_owned(),
        ]
    );
}

#[tokio::test]
async fn a_malformed_filter_is_unprocessable_and_an_ordinary_user_reads_nothing() {
    let server = Server::start().await;
    let ada = server.session("ada").await;
    for query in [
        "user_id=ada",
        "dataset_id=dem",
        "outcome=maybe",
        "event=coffee",
        "action=brew",
        "since=yesterday",
        "until=2026-03-01",
        "limit=0",
        "limit=101",
        "after=1",
        "jti=eyJ",
    ] {
        let request = server.get(&format!("/admin/audit?{query}"));
        let summary = TestResponse::send(request.bearer_auth(&ada))
            .await
            .problem(422);
        assert!(
            summary.contains(query.split('=').next().unwrap()),
            "{summary}"
        );
    }
    for path in ["/admin/audit", "/admin/audit/export"] {
        TestResponse::send(server.get(path)).await.problem(401);
    }
}
