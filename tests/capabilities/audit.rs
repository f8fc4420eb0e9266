//! The audit trail: caller, request, outcome and reason; durable before the response.

use crate::support::eventually;
use crate::support::records::records;
use crate::support::server::decode_part;
use crate::support::server::{PRIVATE, PUBLIC, RESTRICTED, Server, TestResponse, UNKNOWN};

#[tokio::test]
async fn a_mint_is_audited_under_its_tokens_jti() {
    let server = Server::start().await;
    let session = server.session("mo").await;
    let token = server.mint(RESTRICTED, Some(&session)).await.token();
    let jti = decode_part(&token, 1)["jti"].clone();
    let records = records(&server).await;
    let record = records.iter().find(|record| record["id"] == jti).unwrap();
    assert_eq!(record["event"], "mint");
    assert_eq!(record["outcome"], "granted");
    assert_eq!(record["jti"], jti);
    assert_eq!(record["user_id"], decode_part(&session, 1)["sub"]);
    assert_eq!(record["authentication"], "password");
    assert_eq!(record["dataset_id"], RESTRICTED);
    assert_eq!(record["action"], "read");
    assert_eq!(
        record["determining_policies"],
        serde_json::json!(["shared-with-role"])
    );
    assert_eq!(record["revision"].as_str().unwrap().len(), 64);
    assert_eq!(record["address"], "127.0.0.1");
    let time = chrono::DateTime::parse_from_rfc3339(record["time"].as_str().unwrap()).unwrap();
    assert_eq!(time.timestamp_millis(), server.clock.unix_millis());
}

#[tokio::test]
async fn refusals_and_downloads_are_audited_with_their_reason() {
    let server = Server::start().await;
    // Records are ordered by time, and this clock stands still unless it is advanced.
    let later = || server.clock.advance(1);
    let otto = server.session("otto").await;
    later();
    server.mint(PRIVATE, Some(&otto)).await.problem(404);
    later();
    server.mint(RESTRICTED, Some(&otto)).await.problem(403);
    later();
    server.mint(UNKNOWN, None).await.problem(404);
    later();
    server.mint(PUBLIC, Some("nonsense")).await.problem(401);
    later();
    let token = server.mint(PUBLIC, None).await.token();
    later();
    let ranged = server
        .download_request(PUBLIC, &token)
        .header("range", "bytes=0-9");
    assert_eq!(TestResponse::send(ranged).await.status, 206);
    later();
    server.login("ada", "wrong").await.problem(401);

    let audited: Vec<String> = records(&server)
        .await
        .iter()
        .map(|record| {
            let word = |name: &str| record[name].as_str().unwrap_or("-").to_owned();
            format!("{} {} {}", word("event"), word("outcome"), word("reason"))
        })
        .collect();
    assert_eq!(
        audited,
        [
            "login granted -",
            "mint denied the caller may not discover the dataset, and was answered that it does not exist",
            "mint denied the caller may discover the dataset but not read it",
            "mint refused the dataset does not exist",
            "mint refused the session token is not valid or has expired",
            "mint granted -",
            "download granted -",
            "login refused the user name or the password is wrong",
        ]
    );
    let download = &records(&server).await[6];
    assert_eq!(download["jti"], decode_part(&token, 1)["jti"]);
}

#[tokio::test]
async fn a_request_id_of_the_client_is_echoed_and_recorded_beside_our_own() {
    let server = Server::start().await;
    let ours: Vec<String> = {
        let first = server.mint(PUBLIC, None).await;
        server.clock.advance(1);
        vec![first.header("x-request-id").to_owned()]
    };
    for id in ["trace-42", &ours[0]] {
        let request = server.mint_request(PUBLIC).header("x-request-id", id);
        let response = TestResponse::send(request).await;
        assert_eq!(response.header("x-request-id"), id);
        server.clock.advance(1);
    }
    let records = records(&server).await;
    assert_eq!(records[0]["request_id"], ours[0].as_str());
    assert_eq!(records[0]["client_request_id"], serde_json::Value::Null);
    assert_eq!(records[1]["client_request_id"], "trace-42");
    assert_eq!(records[2]["client_request_id"], ours[0].as_str());
    let mut own_ids: Vec<&str> = Vec::new();
    own_ids.extend(records.iter().map(|r| r["request_id"].as_str().unwrap()));
    own_ids.sort_unstable();
    own_ids.dedup();
    assert_eq!(own_ids.len(), 3, "nobody chooses the id of a request");
    for id in own_ids {
        assert_eq!(uuid::Uuid::parse_str(id).unwrap().get_version_num(), 7);
    }
}

#[tokio::test]
async fn a_request_id_of_a_trusted_proxy_is_the_id() {
    let environment = vec![("CEDARGATE_TRUSTED_PROXIES", "127.0.0.1".to_owned())];
    let server = Server::start_with(crate::support::server::ServerOptions {
        environment,
        ..Default::default()
    })
    .await;
    let request = server.mint_request(PUBLIC);
    let request = request.header("x-request-id", "from-the-proxy");
    let response = TestResponse::send(request).await;
    assert_eq!(response.header("x-request-id"), "from-the-proxy");
    let record = &records(&server).await[0];
    assert_eq!(record["request_id"], "from-the-proxy");
    assert_eq!(record["client_request_id"], serde_json::Value::Null);
}

#[tokio::test]
async fn no_token_is_issued_while_its_record_cannot_be_written() {
    let server = Server::start().await;
    assert_eq!(server.mint(PUBLIC, None).await.status, 200);
    let path = server.folder.path().join("cedargate.db");
    let lock = crate::support::sqlite::ExclusiveLock::acquire(&path).await;
    let response = server.mint(PUBLIC, None).await;
    response.problem(503);
    assert!(!response.header("retry-after").is_empty());
    assert!(!String::from_utf8_lossy(&response.body).contains("eyJ"));
    lock.release().await;
    assert_eq!(server.mint(PUBLIC, None).await.status, 200);
}

#[tokio::test]
async fn many_mints_at_once_are_all_audited() {
    let server = Server::start().await;
    let mints = (0..200).map(|_| server.mint(PUBLIC, None));
    let tokens = futures_util::future::join_all(mints).await;
    let records = records(&server).await;
    for response in tokens {
        let jti = decode_part(&response.token(), 1)["jti"].clone();
        assert_eq!(
            records.iter().filter(|record| record["id"] == jti).count(),
            1
        );
    }
}

#[tokio::test]
async fn a_replaced_database_file_is_noticed_before_a_token_is_issued() {
    let server = Server::start().await;
    let path = server.folder.path().join("cedargate.db");
    let aside = server.folder.path().join("aside.db");
    std::fs::rename(&path, &aside).unwrap();
    server.mint(PUBLIC, None).await.problem(503);
    let ready = TestResponse::send(server.get("/health/ready")).await;
    assert_eq!(
        (ready.status, ready.json()["status"].as_str()),
        (503, Some("unready"))
    );
    std::fs::rename(&aside, &path).unwrap();
    eventually(async || server.mint(PUBLIC, None).await.status == 200).await;
}

#[tokio::test]
async fn errors_while_deciding_discover_are_audited_too() {
    let policies = r#"
        @id("overflows") @reason("Test.")
        forbid (principal, action == Action::"discover", resource)
        when { 9223372036854775807 + context.time.toTime().toMilliseconds() > 0 };
    "#;
    let body = crate::support::server::ServerOptions {
        policies: Some(policies),
        ..Default::default()
    };
    let server = Server::start_with(body).await;
    let to_one_o_clock = 86_400_000 - server.clock.unix_millis().rem_euclid(86_400_000) + 3_600_000;
    server.clock.advance(to_one_o_clock);
    server.mint(PUBLIC, None).await.problem(404);
    let record = &records(&server).await[0];
    assert!(
        record["errors"][0].as_str().unwrap().contains("overflows"),
        "{record}"
    );
}
