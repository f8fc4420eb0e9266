//! Liveness and readiness.

use crate::support::eventually;
use crate::support::server::{Server, TestResponse};

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
