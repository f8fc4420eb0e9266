//! CORS for browsers.

use reqwest::Method;

use crate::support::server::{PUBLIC, Server, ServerOptions, TestResponse};

const PAGE: &str = "https://map.example";

fn preflight(server: &Server, path: &str, origin: &str) -> reqwest::RequestBuilder {
    server
        .http
        .request(Method::OPTIONS, format!("{}{path}", server.url))
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization, range")
}

#[tokio::test]
async fn any_page_may_mint_and_download_by_default() {
    let server = Server::start().await;
    let mint = format!("/auth/download-token/{PUBLIC}");
    let response = TestResponse::send(preflight(&server, &mint, PAGE)).await;
    assert_eq!(response.status, 204);
    assert_eq!(response.header("access-control-allow-origin"), "*");
    assert!(
        response
            .header("access-control-allow-methods")
            .contains("POST")
    );
    let headers = response
        .header("access-control-allow-headers")
        .to_ascii_lowercase();
    for name in [
        "authorization",
        "range",
        "if-match",
        "if-none-match",
        "if-range",
        "x-api-key",
    ] {
        assert!(headers.contains(name), "{name}");
    }
    let minted = TestResponse::send(server.post(&mint).header("origin", PAGE)).await;
    let exposed = minted
        .header("access-control-expose-headers")
        .to_ascii_lowercase();
    for name in [
        "etag",
        "content-range",
        "content-length",
        "accept-ranges",
        "retry-after",
        "x-request-id",
    ] {
        assert!(exposed.contains(name), "{name}");
    }
    let refused = TestResponse::send(server.get("/nothing").header("origin", PAGE)).await;
    assert_eq!(refused.header("access-control-allow-origin"), "*");
}

#[tokio::test]
async fn with_allowed_origins_only_listed_pages_read_responses_but_all_read_the_key_set() {
    let environment = vec![("CEDARGATE_ALLOWED_ORIGINS", PAGE.to_owned())];
    let server = Server::start_with(ServerOptions {
        environment,
        ..ServerOptions::default()
    })
    .await;
    let mint = format!("/auth/download-token/{PUBLIC}");
    let rows = [
        (mint.as_str(), PAGE, PAGE),
        (mint.as_str(), "https://evil.example", ""),
        (mint.as_str(), "null", ""),
        ("/.well-known/jwks.json", "https://evil.example", "*"),
    ];
    for (path, origin, allowed) in rows {
        let response = TestResponse::send(preflight(&server, path, origin)).await;
        assert_eq!(
            response.header("access-control-allow-origin"),
            allowed,
            "{path} {origin}"
        );
        let request = server
            .http
            .get(format!("{}{path}", server.url))
            .header("origin", origin);
        let response = TestResponse::send(request).await;
        assert_eq!(
            response.header("access-control-allow-origin"),
            allowed,
            "{path} {origin}"
        );
    }
    let own = server
        .mint_request(PUBLIC)
        .header("origin", "https://evil.example");
    assert_eq!(TestResponse::send(own).await.status, 200);
}
