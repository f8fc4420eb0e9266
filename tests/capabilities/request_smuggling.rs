//! Request smuggling: no bytes that another parser reads as a body are answered as a request.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::server::{PUBLIC, Server, ServerOptions, TestResponse};
use crate::support::tiff::test_tiff;

/// The request that must not be answered; its answer would be a 200.
const INNER: &str = "GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n";

async fn send_raw(server: &Server, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    // The server may close before it has read everything.
    let _ = stream.write_all(request).await;
    let mut response = Vec::new();
    let mut buffer = [0; 4096];
    while !response.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer).await {
            Ok(length @ 1..) => response.extend_from_slice(&buffer[..length]),
            Ok(0) | Err(_) => break,
        }
    }
    // What else was sent is answered before the server reads the end.
    let _ = stream.shutdown().await;
    let _ = stream.read_to_end(&mut response).await;
    String::from_utf8_lossy(&response).into_owned()
}

fn statuses(response: &str) -> Vec<&str> {
    let found = response.match_indices("HTTP/1.1 ");
    found
        .map(|(at, line)| &response[at + line.len()..][..3])
        .collect()
}

/// A request with these header lines, and a body that hides the inner request.
fn post(headers: &str, body: &str) -> String {
    format!("POST /auth/logout HTTP/1.1\r\nhost: x\r\n{headers}\r\n{body}{INNER}")
}

/// Heads that two parsers may read in two ways.
fn ambiguous_heads() -> Vec<(&'static str, String)> {
    let end = "0\r\n\r\n";
    vec![
        (
            "both lengths",
            post("content-length: 5\r\ntransfer-encoding: chunked\r\n", end),
        ),
        (
            "both, the other way round",
            post("transfer-encoding: chunked\r\ncontent-length: 5\r\n", end),
        ),
        (
            "lengths that differ",
            post("content-length: 0\r\ncontent-length: 5\r\n", ""),
        ),
        ("a list of lengths", post("content-length: 0, 5\r\n", "")),
        ("a signed length", post("content-length: +0\r\n", "")),
        ("a negative length", post("content-length: -1\r\n", "")),
        ("a hexadecimal length", post("content-length: 0x0\r\n", "")),
        ("a length with a blank", post("content-length: 0 0\r\n", "")),
        ("an empty length", post("content-length:\r\n", "")),
        (
            "an enormous length",
            post("content-length: 18446744073709551616\r\n", ""),
        ),
        (
            "a blank before the colon",
            post("content-length : 0\r\n", ""),
        ),
        (
            "a blank before the colon of the encoding",
            post("transfer-encoding : chunked\r\n", end),
        ),
        (
            "a folded header",
            post("x: y\r\n content-length: 0\r\n", ""),
        ),
        (
            "a folded encoding",
            post("transfer-encoding:\r\n chunked\r\n", end),
        ),
        (
            "an unknown encoding",
            post("transfer-encoding: xchunked\r\n", end),
        ),
        (
            "an encoding after chunked",
            post("transfer-encoding: chunked, identity\r\n", end),
        ),
        (
            "an encoding in two lines",
            post(
                "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
                end,
            ),
        ),
        (
            "a quoted encoding",
            post("transfer-encoding: \"chunked\"\r\n", end),
        ),
        (
            "an encoding with a vertical tab",
            post("transfer-encoding: \x0bchunked\r\n", end),
        ),
        ("a null byte in a header", post("x: a\0b\r\n", "")),
        (
            "a bare carriage return in a header",
            post("x: a\rcontent-length: 0\r\n", ""),
        ),
    ]
}

/// Bodies and request lines that two parsers may read in two ways.
fn ambiguous_bodies() -> Vec<(&'static str, String)> {
    let end = "0\r\n\r\n";
    vec![
        (
            "a chunk size that is no number",
            post("transfer-encoding: chunked\r\n", "z\r\n\r\n"),
        ),
        (
            "a chunk size with a sign",
            post("transfer-encoding: chunked\r\n", "+0\r\n\r\n"),
        ),
        (
            "a chunk size with a prefix",
            post("transfer-encoding: chunked\r\n", "0x0\r\n\r\n"),
        ),
        (
            "a chunk size that overflows",
            post(
                "transfer-encoding: chunked\r\n",
                "10000000000000000\r\n\r\n",
            ),
        ),
        (
            "a chunk that is longer than its size",
            post("transfer-encoding: chunked\r\n", "1\r\nab\r\n0\r\n\r\n"),
        ),
        (
            "a bare line feed in a chunk extension",
            post("transfer-encoding: chunked\r\n", "0;\nx\r\n\r\n"),
        ),
        (
            "an old version with an encoding",
            format!(
                "POST /auth/logout HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{end}{INNER}"
            ),
        ),
        (
            "a version of its own",
            format!("GET /health/live HTTP/1.2\r\nhost: x\r\n\r\n{INNER}"),
        ),
        (
            "two blanks in the request line",
            format!("GET /health/live x HTTP/1.1\r\nhost: x\r\n\r\n{INNER}"),
        ),
        (
            "two hosts",
            format!(
                "GET /health/live HTTP/1.1\r\nhost: x\r\nhost: y\r\nconnection: close\r\n\r\n{INNER}"
            ),
        ),
    ]
}

#[tokio::test]
async fn ambiguous_messages_are_refused_and_nothing_after_them_is_answered() {
    let server = Server::start().await;
    for (name, request) in ambiguous_heads().into_iter().chain(ambiguous_bodies()) {
        let response = send_raw(&server, request.as_bytes()).await;
        let statuses = statuses(&response);
        assert!(
            statuses
                .iter()
                .all(|status| status.starts_with('4') || status.starts_with('5')),
            "{name}: {response}"
        );
    }
}

#[tokio::test]
async fn what_a_body_contains_is_never_a_request() {
    let server = Server::start().await;
    let length = INNER.len();
    for request in [
        format!(
            "POST /nothing-here HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{INNER}"
        ),
        format!("GET /health/live HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{INNER}"),
        format!("HEAD /health/live HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{INNER}"),
        format!("OPTIONS * HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{INNER}"),
        format!(
            "POST /auth/logout HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n\
                 {length:x};ext=\"1\"\r\n{INNER}\r\n0\r\ntrailer: x\r\n\r\n"
        ),
        format!(
            "GET /health/live HTTP/1.1\r\nhost: x\r\nupgrade: h2c\r\nconnection: upgrade\r\n\
                 content-length: {length}\r\n\r\n{INNER}"
        ),
    ] {
        let response = send_raw(&server, request.as_bytes()).await;
        assert_eq!(statuses(&response).len(), 1, "{request}{response}");
    }
}

#[tokio::test]
async fn a_request_in_absolute_form_is_answered_for_its_path_alone() {
    let server = Server::start().await;
    let request = format!(
        "POST http://elsewhere.example/auth/download-token/{PUBLIC} HTTP/1.1\r\nhost: x\r\n\
         connection: close\r\n\r\n"
    );
    let response = send_raw(&server, request.as_bytes()).await;
    assert_eq!(statuses(&response), ["200"], "{response}");
    assert!(!response.contains("elsewhere.example"), "{response}");
}

#[tokio::test]
async fn a_foreign_host_shows_in_no_answer() {
    let server = Server::start().await;
    for path in [
        "/",
        "/docs",
        "/openapi.json",
        "/nothing",
        "/.well-known/jwks.json",
    ] {
        let request = server
            .get(path)
            .header("host", "evil.example")
            .header("accept", "text/html");
        let response = TestResponse::send(request).await;
        assert!(!response.text().contains("evil.example"), "{path}");
        assert!(
            !response.header("location").contains("evil.example"),
            "{path}"
        );
    }
    let mint = server.mint_request(PUBLIC).header("host", "evil.example");
    let token = TestResponse::send(mint).await.token();
    let claims = crate::support::server::decode_part(&token, 1);
    assert_eq!(claims["iss"], "http://cedargate.test");
}

#[tokio::test]
async fn a_forged_forwarded_address_neither_evades_a_limit_nor_spends_that_of_others() {
    let server = Server::start_with(ServerOptions {
        environment: vec![("CEDARGATE_MINT_LIMIT_PER_MINUTE", "2".to_owned())],
        ..ServerOptions::default()
    })
    .await;
    let mint = async |forged: &str| {
        let request = server.mint_request(PUBLIC);
        let request = request
            .header("x-forwarded-for", forged)
            .header("forwarded", "for=10.9.9.9");
        TestResponse::send(request.header("x-real-ip", forged))
            .await
            .status
    };
    assert_eq!(mint("192.0.2.1").await, 200);
    assert_eq!(mint("192.0.2.2, 127.0.0.1").await, 200);
    assert_eq!(mint("192.0.2.3").await, 429);
}

#[tokio::test]
async fn path_tricks_on_ids_lead_nowhere() {
    let server = Server::start().await;
    for trick in [
        format!("/auth/download-token/{PUBLIC}/."),
        format!("/auth/download-token/../download-token/{PUBLIC}/x"),
        format!("/auth//download-token/{PUBLIC}"),
        format!("/auth/download-token/{PUBLIC}%00"),
        format!("/auth/download-token/{PUBLIC}%0d%0aset-cookie:%20x"),
        format!("/auth/download-token/%2e%2e%2f{PUBLIC}"),
        format!("/auth/download-token/{PUBLIC};x=y"),
        format!("/auth/download-token/{PUBLIC}%20"),
        format!("/auth/download-token/{{{PUBLIC}}}x"),
        format!("/auth/download%2Dtoken%2F{PUBLIC}"),
    ] {
        let request = format!("POST {trick} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let response = send_raw(&server, request.as_bytes()).await;
        let statuses = statuses(&response);
        assert!(
            matches!(statuses[..], ["404" | "422" | "400"]),
            "{trick}: {response}"
        );
        assert!(
            !response.to_ascii_lowercase().contains("\r\nset-cookie"),
            "{response}"
        );
    }
}

#[tokio::test]
async fn a_file_name_cannot_add_a_header_to_the_download() {
    let server = Server::start().await;
    let admin = server.session("ada").await;
    for name in [
        "a\r\nset-cookie: x=y.tif",
        "a\"; filename=\"b.tif",
        "\u{202e}fit.tif",
        "..\\a.tif",
    ] {
        let url = format!("{}/admin/datasets/{PUBLIC}/file", server.url);
        let url = reqwest::Url::parse_with_params(&url, [("name", name)]).unwrap();
        let upload = server.http.put(url).bearer_auth(&admin);
        let upload = upload
            .header("content-type", "image/tiff")
            .body(test_tiff(200));
        assert_eq!(TestResponse::send(upload).await.status, 200, "{name:?}");
        let token = server.mint(PUBLIC, None).await.token();
        let download = server.download(PUBLIC, &token).await;
        assert!(download.headers.get("set-cookie").is_none());
        let disposition = download.header("content-disposition");
        assert_eq!(disposition.matches('"').count(), 2, "{disposition}");
        assert!(
            disposition
                .bytes()
                .all(|byte| byte.is_ascii_graphic() || byte == b' '),
            "{disposition}"
        );
    }
}

#[tokio::test]
async fn nothing_is_tunnelled() {
    let server = Server::start().await;
    for request in [
        "CONNECT elsewhere.example:1 HTTP/1.1\r\nhost: elsewhere.example:1\r\nconnection: close\r\n\r\n",
        "TRACE /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    ] {
        let response = send_raw(&server, request.as_bytes()).await;
        assert!(
            matches!(statuses(&response)[..], ["404" | "405" | "400"]),
            "{response}"
        );
        assert!(!response.contains("elsewhere.example"), "{response}");
    }
}
