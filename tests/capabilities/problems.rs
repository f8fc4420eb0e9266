//! Bad input: each kind gets a clear problem, and the server keeps working.

use std::fmt::Write;

use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::server::{PUBLIC, Server, TestResponse};

/// Sends bytes unchanged and reads the whole response.
async fn send_raw(server: &Server, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut response = Vec::new();
    // A server that refuses early may reset the connection after its response.
    let _ = stream.read_to_end(&mut response).await;
    String::from_utf8_lossy(&response).into_owned()
}

#[tokio::test]
async fn an_unknown_route_is_a_problem() {
    let server = Server::start().await;
    for path in [
        "/nothing",
        "/",
        "/auth",
        "/auth/download-token/",
        "/datasets//download/cog",
    ] {
        let response = TestResponse::send(server.get(path)).await;
        assert!(
            [404, 422].contains(&response.status),
            "{path}: {}",
            response.status
        );
        response.problem(response.status);
    }
}

#[tokio::test]
async fn a_wrong_method_is_a_405_with_allow() {
    let server = Server::start().await;
    let mint = format!("/auth/download-token/{PUBLIC}");
    let download = format!("/datasets/{PUBLIC}/download/cog");
    let rows = [
        (Method::GET, mint.as_str(), "POST, OPTIONS"),
        (Method::DELETE, mint.as_str(), "POST, OPTIONS"),
        (Method::POST, download.as_str(), "GET, HEAD, OPTIONS"),
        (Method::POST, "/.well-known/jwks.json", "GET, HEAD, OPTIONS"),
        (Method::PUT, "/docs", "GET, HEAD, OPTIONS"),
        (Method::PATCH, "/metrics", "GET, HEAD, OPTIONS"),
    ];
    for (method, path, allow) in rows {
        let request = server
            .http
            .request(method.clone(), format!("{}{path}", server.url));
        let response = TestResponse::send(request).await;
        response.problem(405);
        assert_eq!(response.header("allow"), allow, "{method} {path}");
    }
    let options = server
        .http
        .request(Method::OPTIONS, format!("{}{mint}", server.url));
    let response = TestResponse::send(options).await;
    assert_eq!(
        (response.status, response.header("allow")),
        (204, "POST, OPTIONS")
    );
}

#[tokio::test]
async fn headers_that_are_too_large_are_refused() {
    let server = Server::start().await;
    let token = "a".repeat(64 * 1024);
    TestResponse::send(server.mint_request(PUBLIC).bearer_auth(token))
        .await
        .problem(431);
    assert_eq!(server.mint(PUBLIC, None).await.status, 200);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let server = Server::start().await;
    let head = "POST /auth/login HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999\r\n\r\n";
    let response = send_raw(&server, head.as_bytes()).await;
    assert!(response.starts_with("HTTP/1.1 413"), "{response}");
    assert!(response.contains("application/problem+json"));
}

#[tokio::test]
async fn a_body_that_no_operation_takes_does_not_cost_the_connection() {
    let server = Server::start().await;
    let body = "x".repeat(1_000_000);
    let mut requests = String::new();
    for target in [
        format!("POST /auth/download-token/{PUBLIC}"),
        "POST /admin/audit".to_owned(),
        "PUT /nothing".to_owned(),
    ] {
        write!(
            requests,
            "{target} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
    }
    requests += "GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answers = send_raw(&server, requests.as_bytes()).await;
    let statuses: Vec<_> = answers
        .match_indices("HTTP/1.1 ")
        .map(|(at, found)| &answers[at + found.len()..][..3])
        .collect();
    assert_eq!(statuses, ["200", "405", "404", "200"], "{answers}");
}

#[tokio::test]
async fn a_percent_encoded_slash_is_not_a_separator() {
    let server = Server::start().await;
    let request = format!(
        "POST /auth/download-token/..%2F{PUBLIC} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    );
    let response = send_raw(&server, request.as_bytes()).await;
    assert!(response.starts_with("HTTP/1.1 422"), "{response}");
    assert!(response.contains("application/problem+json"));
}

#[tokio::test]
async fn bytes_that_are_not_http_do_no_harm() {
    let server = Server::start().await;
    for request in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"GET\r\n\r\n",
        b"\0\0\0\0\r\n\r\n",
    ] {
        send_raw(&server, request).await;
    }
    assert_eq!(server.mint(PUBLIC, None).await.status, 200);
}

#[tokio::test]
async fn every_response_keeps_tokens_out_of_referrers_and_caches() {
    let server = Server::start().await;
    for path in [
        "/docs",
        "/health/ready",
        "/nothing",
        "/.well-known/jwks.json",
    ] {
        let response = TestResponse::send(server.get(path)).await;
        assert_eq!(response.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(
            response.header("x-content-type-options"),
            "nosniff",
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_request_names_its_host_once() {
    let server = Server::start().await;
    for hosts in ["", "host: a\r\nhost: b\r\n"] {
        let request = format!("GET /health/live HTTP/1.1\r\n{hosts}connection: close\r\n\r\n");
        let response = send_raw(&server, request.as_bytes()).await;
        assert!(response.starts_with("HTTP/1.1 400"), "{response}");
    }
    let old = send_raw(&server, b"GET /health/live HTTP/1.0\r\n\r\n").await;
    assert!(old.contains(" 200 "), "{old}");
}

#[tokio::test]
async fn a_preflight_of_an_unknown_path_succeeds_so_that_the_page_sees_the_404() {
    let server = Server::start().await;
    let preflight = server
        .http
        .request(Method::OPTIONS, format!("{}/nothing", server.url))
        .header("origin", "https://map.example")
        .header("access-control-request-method", "GET");
    let response = TestResponse::send(preflight).await;
    assert_eq!(response.status, 204);
    assert!(response.body.is_empty());
    assert!(!response.header("x-request-id").is_empty());
}
