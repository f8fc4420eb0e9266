//! Liveness and readiness.

use crate::support::admin_client::AdminClient;
use crate::support::eventually;
use crate::support::server::{PUBLIC, RESTRICTED, Server, TestResponse};

#[tokio::test]
async fn a_server_that_can_do_its_work_is_ready() {
    let server = Server::start().await;
    let live = TestResponse::send(server.get("/health/live")).await;
    assert_eq!(
        (live.status, live.json()["status"].as_str()),
        (200, Some("live"))
    );
    let ready = TestResponse::send(server.get("/health/ready")).await;
    assert_eq!(ready.status, 200);
    let body = ready.json();
    assert_eq!(body["status"], "ready");
    assert_eq!(body["problems"], serde_json::json!([]));
    assert_eq!(body["revision"].as_str().unwrap().len(), 64);
}

#[tokio::test]
async fn without_its_database_a_server_is_unready_with_retry_after() {
    let mut cluster = crate::support::postgres::PostgresCluster::start();
    let environment = vec![("CEDARGATE_DATABASE_URL", cluster.create_database().await)];
    let body = crate::support::server::ServerOptions {
        environment,
        ..Default::default()
    };
    let server = Server::start_with(body).await;
    assert_eq!(
        TestResponse::send(server.get("/health/ready")).await.json()["status"],
        "ready"
    );
    cluster.stop();
    let ready = async || TestResponse::send(server.get("/health/ready")).await;
    eventually(async || ready().await.status == 503).await;
    let ready = ready().await;
    assert_eq!(ready.json()["status"], "unready");
    assert!(!ready.header("retry-after").is_empty());
    let mint = server.mint(crate::support::server::PUBLIC, None).await;
    mint.problem(503);
    assert!(!mint.header("retry-after").is_empty());
    cluster.restart();
    eventually(async || {
        server
            .mint(crate::support::server::PUBLIC, None)
            .await
            .status
            == 200
    })
    .await;
}

#[tokio::test]
async fn without_its_file_store_a_server_is_degraded() {
    let server = Server::start().await;
    std::fs::remove_dir_all(&server.settings.files_dir).unwrap();
    eventually(async || {
        let ready = TestResponse::send(server.get("/health/ready")).await;
        assert_eq!(ready.status, 200);
        ready.json()["status"] == "degraded"
    })
    .await;
}

#[tokio::test]
async fn metrics_count_what_was_decided() {
    let server = Server::start().await;
    server
        .mint(crate::support::server::PUBLIC, None)
        .await
        .token();
    let metrics = TestResponse::send(server.get("/metrics")).await;
    assert!(metrics.header("content-type").starts_with("text/plain"));
    let text = String::from_utf8(metrics.body).unwrap();
    assert!(
        text.contains("cedargate_decided_total{event=\"mint\",outcome=\"granted\"}"),
        "{text}"
    );
}

#[tokio::test]
async fn stopping_lets_a_slow_download_end() {
    let mut server = Server::start().await;
    let token = server
        .mint(crate::support::server::PUBLIC, None)
        .await
        .token();
    let mut response = server
        .download_request(crate::support::server::PUBLIC, &token)
        .send()
        .await
        .unwrap();
    let mut body = response.chunk().await.unwrap().unwrap().to_vec();
    let address = server.address;
    let stopped = tokio::spawn(async move { server.stop().await });
    while let Some(chunk) = response.chunk().await.unwrap() {
        body.extend_from_slice(&chunk);
    }
    assert_eq!(
        body,
        include_bytes!("../../demo/jacksboro-fault-dem.cog.tif")
    );
    drop(response);
    assert!(stopped.await.unwrap());
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn below_the_floor_of_free_disk_nothing_is_created_and_mints_go_on() {
    // A floor that no disk has, and then none.
    for (floor, status) in [("4294967295", 503), ("0", 201)] {
        let server = Server::start_with(crate::support::server::ServerOptions {
            environment: vec![("CEDARGATE_FREE_DISK_FLOOR", floor.to_owned())],
            ..Default::default()
        })
        .await;
        let admin = AdminClient::sign_in(&server, "ada").await;
        let role = admin
            .post("/admin/roles", serde_json::json!({"name": "x"}))
            .await;
        assert_eq!(role.status, status, "{}", role.text());
        let key = server
            .post("/auth/api-keys")
            .json(&serde_json::json!({"name": "k"}));
        let session = server.session("mo").await;
        let key = TestResponse::send(key.bearer_auth(&session)).await;
        assert_eq!(key.status, status, "{}", key.text());
        let token = server.mint(PUBLIC, None).await.token();
        assert_eq!(server.download(PUBLIC, &token).await.status, 200);
        let share = format!("/admin/datasets/{RESTRICTED}/shares/roles/hydrology");
        assert_eq!(admin.delete(&share).await.status, 204);
        let ready = TestResponse::send(server.get("/health/ready")).await.json();
        let is_low = ready["problems"].to_string().contains("free disk space");
        assert_eq!(is_low, status == 503, "{ready}");
    }
}
