//! Bodies of requests: small, read for those who may send them, and without duplicate members.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::server::{PUBLIC, Server, TestResponse};

/// Takes a body of anonymous callers too.
const BATCH_MINT: &str = "/auth/download-tokens";

/// The operations of the OpenAPI document that take a body, each with whether it names credentials.
async fn operations_with_bodies(server: &Server) -> Vec<(Method, String, Value)> {
    let document = TestResponse::send(server.get("/openapi.json")).await.json();
    let mut found = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            if operation.get("requestBody").is_some() {
                let method: Method = method.to_uppercase().parse().unwrap();
                found.push((method, with_uuids(path), operation.clone()));
            }
        }
    }
    found
}

/// The path with a UUID for each parameter.
fn with_uuids(path: &str) -> String {
    let segments = path.split('/').map(|segment| {
        if segment.starts_with('{') {
            PUBLIC
        } else {
            segment
        }
    });
    segments.collect::<Vec<_>>().join("/")
}

fn needs_credential(operation: &Value) -> bool {
    operation["security"].is_array()
}

fn takes_json(operation: &Value) -> bool {
    let content = operation["requestBody"]["content"].as_object().unwrap();
    content
        .keys()
        .any(|kind| kind.starts_with("application/json"))
}

#[tokio::test]
async fn a_body_without_a_valid_credential_is_a_401_whatever_is_wrong_with_the_body() {
    let server = Server::start().await;
    let mut tried = 0;
    for (method, path, operation) in operations_with_bodies(&server).await {
        if !needs_credential(&operation) {
            continue;
        }
        let large = "x".repeat(3_000_000);
        for (kind, body) in [
            ("application/json", "{"),
            ("application/json", r#"{"no such member": 1}"#),
            ("text/csv", "x"),
            ("application/json", large.as_str()),
        ] {
            let anonymous = (path != BATCH_MINT).then_some("");
            let bad = ["Bearer no-token", "Basic eDp5"];
            for credential in anonymous.into_iter().chain(bad) {
                let url = format!("{}{path}", server.url);
                let request = server.http.request(method.clone(), url);
                let request = request.header("content-type", kind).body(body.to_owned());
                let request = match credential {
                    "" => request,
                    credential => request.header("authorization", credential),
                };
                let response = TestResponse::send(request).await;
                assert_eq!(response.status, 401, "{method} {path} {kind} {credential}");
                assert!(!response.header("www-authenticate").is_empty());
            }
        }
        tried += 1;
    }
    assert!(tried >= 10, "{tried}");
}

#[tokio::test]
async fn who_sends_a_body_without_a_credential_is_told_before_sending_it() {
    let server = Server::start().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "PUT /admin/datasets/{PUBLIC}/file HTTP/1.1\r\nhost: x\r\ncontent-type: image/tiff\r\n\
         content-length: 999999999\r\nexpect: 100-continue\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut response = vec![0; 12];
    stream.read_exact(&mut response).await.unwrap();
    assert_eq!(response, b"HTTP/1.1 401");
}

/// Sends the text and reads the head and the body of the response.
async fn exchange(stream: &mut TcpStream, request: &str) -> String {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    let mut left = None;
    while left != Some(0) {
        response.push(stream.read_u8().await.unwrap());
        left = left.map(|left: usize| left - 1);
        if left.is_none() && response.ends_with(b"\r\n\r\n") {
            let head = std::str::from_utf8(&response).unwrap();
            let length = head.split("content-length: ").nth(1).unwrap();
            left = length.split("\r\n").next().unwrap().parse().ok();
        }
    }
    String::from_utf8(response).unwrap()
}

/// RFC 9112, section 9.6: a client that is not told sends its next request into a closed connection.
#[tokio::test]
async fn a_response_before_the_end_of_the_body_says_that_the_connection_is_closed() {
    let server = Server::start().await;
    let post = |path: &str, length: usize, more: &str, sent: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{more}\
             content-length: {length}\r\n\r\n{sent}"
        )
    };
    let expecting = "expect: 100-continue\r\n";
    for (request, status, is_closed) in [
        (post("/auth/refresh", 50_000_000, "", "{"), "413", true),
        (post("/admin/users", 8, expecting, ""), "401", true),
        (post("/admin/users", 8, "", "{\"a\": 1}"), "401", false),
        (post("/admin/users", 100_000, "", "{"), "401", true),
        (post("/auth/refresh", 2, "", "{}"), "422", false),
        (post("/auth/refresh", 0, "", ""), "422", false),
    ] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let response = exchange(&mut stream, &request).await;
        let head = request.split("\r\n\r\n").next().unwrap();
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status}")),
            "{head}: {response}"
        );
        assert_eq!(
            response.contains("connection: close\r\n"),
            is_closed,
            "{head}: {response}"
        );
        if !is_closed {
            let next = "GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n";
            let next = exchange(&mut stream, next).await;
            assert!(next.starts_with("HTTP/1.1 200"), "{head}: {next}");
        }
    }
}

#[tokio::test]
async fn a_refused_body_is_on_record_like_any_other_refused_operation() {
    let server = Server::start().await;
    let request = server.post("/admin/users").json(&json!({"username": 1}));
    TestResponse::send(request).await.problem(401);
    let admin = server.session("ada").await;
    let log = server
        .get("/admin/audit?event=administer")
        .bearer_auth(&admin);
    let log = TestResponse::send(log).await.json();
    let refused = log["items"].as_array().unwrap().iter();
    assert_eq!(
        refused
            .filter(|record| record["outcome"] == "refused")
            .count(),
        1,
        "{log}"
    );
}

#[tokio::test]
async fn a_duplicate_member_is_refused_in_every_json_body_and_named() {
    let server = Server::start().await;
    let admin = server.session("ada").await;
    let mut tried = 0;
    for (method, path, operation) in operations_with_bodies(&server).await {
        if !takes_json(&operation) {
            continue;
        }
        for body in [
            r#"{"zone": 1, "zone": 1}"#,
            r#"{"outer": [{"zone": 1, "\u007aone": 2}]}"#,
        ] {
            let request = server
                .http
                .request(method.clone(), format!("{}{path}", server.url))
                .bearer_auth(&admin)
                .header("content-type", "application/json")
                .body(body);
            // The standard of services knows no 422.
            let status = if path.starts_with("/access/") {
                400
            } else {
                422
            };
            let detail = TestResponse::send(request).await.problem(status);
            assert!(
                detail.contains("duplicate field `zone`"),
                "{method} {path}: {detail}"
            );
        }
        tried += 1;
    }
    assert!(tried >= 11, "{tried}");
}

#[tokio::test]
async fn bodies_are_small_unless_the_operation_needs_more() {
    let server = Server::start().await;
    let admin = server.session("ada").await;
    let send = async |path: &str, body: Value| {
        let request = server.post(path).bearer_auth(&admin).json(&body);
        TestResponse::send(request).await.status
    };
    let refresh = |size| json!({"refresh_token": "x".repeat(size)});
    assert_eq!(send("/auth/refresh", refresh(16_000)).await, 422);
    assert_eq!(send("/auth/refresh", refresh(17_000)).await, 413);
    assert_eq!(
        send("/admin/roles", json!({"name": "x".repeat(17_000)})).await,
        413
    );
    let user = |roles: usize| {
        let roles: Vec<_> = (0..roles)
            .map(|number| format!("role-{number:058}"))
            .collect();
        json!({"username": "new", "roles": roles})
    };
    assert_ne!(send("/admin/users", user(800)).await, 413);
    assert_eq!(send("/admin/users", user(1_100)).await, 413);
    let dataset = |readers: usize| {
        let readers: Vec<_> = (0..readers)
            .map(|number| format!("user-{number:058}"))
            .collect();
        json!({"title": "x", "visibility": "private", "record_status": "draft",
               "reader_users": readers})
    };
    assert_ne!(send("/admin/datasets", dataset(10_000)).await, 413);
    assert_eq!(send("/admin/datasets", dataset(40_000)).await, 413);
    let chunk = Ok::<_, std::io::Error>("x".repeat(17_000));
    let streamed = reqwest::Body::wrap_stream(futures_util::stream::iter([chunk]));
    let chunked = server
        .post("/auth/refresh")
        .header("content-type", "application/json");
    TestResponse::send(chunked.body(streamed))
        .await
        .problem(413);
}
