//! CORS for browsers.

use reqwest::Method;

use crate::support::server::{INTERNAL, PUBLIC, Server, ServerOptions, TestResponse};

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

/// Everybody reads public data, and those in the office (here: this machine) internal data too.
const OFFICE: &str = r#"
@id("public") @reason("public")
permit (principal, action in [Action::"read", Action::"discover"], resource is Dataset)
when { resource.visibility == Visibility::"public" };
@id("office") @reason("in the office")
permit (principal is Anonymous, action in [Action::"read", Action::"discover"], resource is Dataset)
when { resource.visibility == Visibility::"internal" && context.address.isInRange(ip("127.0.0.0/8")) };
"#;

/// Everybody reads everything, but only from the office.
const ONLY_OFFICE: &str = r#"
@id("all") @reason("all") permit (principal, action in [Action::"read", Action::"discover"], resource is Dataset);
@id("elsewhere") @reason("elsewhere") forbid (principal, action, resource)
unless { context.address.isInRange(ip("127.0.0.0/8")) };
"#;

/// Everybody reads everything, but not from here.
const NOT_HERE: &str = r#"
@id("all") @reason("all") permit (principal, action in [Action::"read", Action::"discover"], resource is Dataset);
@id("here") @reason("here") forbid (principal, action, resource)
when { context.address.isInRange(ip("127.0.0.0/8")) };
"#;

async fn start_with_policies(policies: &'static str, origins: &str) -> Server {
    Server::start_with(ServerOptions {
        environment: vec![("CEDARGATE_ALLOWED_ORIGINS", origins.to_owned())],
        policies: Some(policies),
        ..ServerOptions::default()
    })
    .await
}

async fn mint_from_page(server: &Server, dataset_id: &str, origin: &str) -> u16 {
    let request = server.mint_request(dataset_id).header("origin", origin);
    TestResponse::send(request).await.status
}

#[tokio::test]
async fn a_page_of_a_foreign_origin_has_no_use_of_its_readers_address() {
    for policies in [OFFICE, ONLY_OFFICE] {
        let server = start_with_policies(policies, "*").await;
        assert_eq!(server.mint(INTERNAL, None).await.status, 200);
        for origin in ["https://evil.example", "null", "http://evil.example:8080"] {
            assert_eq!(
                mint_from_page(&server, INTERNAL, origin).await,
                404,
                "{origin}"
            );
        }
        let own = server.url.clone();
        assert_eq!(mint_from_page(&server, INTERNAL, &own).await, 200);
        assert_eq!(
            mint_from_page(&server, INTERNAL, "http://cedargate.test").await,
            200
        );
        let listed = TestResponse::send(server.get("/datasets").header("origin", PAGE)).await;
        assert!(!listed.text().contains(INTERNAL));
        let token = server.mint(INTERNAL, None).await.token();
        let download = server
            .download_request(INTERNAL, &token)
            .header("origin", PAGE);
        assert_ne!(TestResponse::send(download).await.status, 200);
        assert_eq!(server.download(INTERNAL, &token).await.status, 200);
    }
}

#[tokio::test]
async fn pages_of_listed_origins_public_data_and_callers_with_credentials_are_as_before() {
    let server = start_with_policies(OFFICE, PAGE).await;
    assert_eq!(mint_from_page(&server, INTERNAL, PAGE).await, 200);
    assert_eq!(
        mint_from_page(&server, INTERNAL, "https://evil.example").await,
        404
    );
    assert_eq!(
        mint_from_page(&server, PUBLIC, "https://evil.example").await,
        200
    );
    let server = start_with_policies(ONLY_OFFICE, "*").await;
    let session = server.session("otto").await;
    let signed_in = server
        .mint_request(INTERNAL)
        .header("origin", "https://evil.example");
    assert_eq!(
        TestResponse::send(signed_in.bearer_auth(session))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn naming_a_foreign_origin_evades_no_forbid_of_an_address() {
    let server = start_with_policies(NOT_HERE, "*").await;
    assert_ne!(server.mint(PUBLIC, None).await.status, 200);
    assert_ne!(
        mint_from_page(&server, PUBLIC, "https://evil.example").await,
        200
    );
}

#[tokio::test]
async fn a_response_that_depends_on_the_origin_says_so_to_caches() {
    let server = Server::start().await;
    let list = TestResponse::send(server.get("/datasets")).await;
    assert_eq!(list.header("vary"), "Origin");
}
