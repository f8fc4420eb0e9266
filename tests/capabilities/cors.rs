//! CORS for browsers.

use std::collections::BTreeSet;

use reqwest::Method;
use reqwest::header::HeaderName;

use crate::admin_views::request_as;
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

fn names(list: &str) -> BTreeSet<String> {
    let names = list.split(',').map(|name| name.trim().to_ascii_lowercase());
    names.filter(|name| !name.is_empty()).collect()
}

/// Response headers that pages may always read (the Fetch standard, *CORS-safelisted response-header name*), and
/// those that no page reads.
const NEED_NOT_BE_EXPOSED: [&str; 9] = [
    "cache-control",
    "content-length",
    "content-type",
    "last-modified",
    "connection",
    "date",
    "referrer-policy",
    "transfer-encoding",
    "x-content-type-options",
];

#[tokio::test]
async fn a_page_may_use_every_operation_of_the_document_and_read_every_header_of_its_response() {
    let server = Server::start().await;
    let admin = server.session("ada").await;
    let document = TestResponse::send(server.get("/openapi.json")).await.json();
    let mut tried = 0;
    // It is for proxies, which say themselves what pages may read.
    let is_for_pages = |(path, _): &(&String, _)| *path != "/auth/verify";
    let paths = document["paths"].as_object().unwrap();
    for (path, operations) in paths.iter().filter(is_for_pages) {
        for (method, operation) in operations.as_object().unwrap() {
            let request = request_as(&server, &document, path, method, operation);
            let request = request
                .bearer_auth(&admin)
                .header("origin", PAGE)
                .build()
                .unwrap();
            let sent: Vec<&str> = request.headers().keys().map(HeaderName::as_str).collect();
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let parameters = parameters
                .filter(|one| one["in"] == "header")
                .map(|one| one["name"].as_str().unwrap());
            let needed: Vec<&str> = sent
                .into_iter()
                .chain(parameters)
                .chain(["x-api-key"])
                .collect();
            let preflight = server
                .http
                .request(Method::OPTIONS, request.url().clone())
                .header("origin", PAGE)
                .header("access-control-request-method", request.method().as_str())
                .header("access-control-request-headers", "authorization");
            let allowed = TestResponse::send(preflight).await;
            assert_eq!(allowed.status, 204, "{method} {path}");
            assert_eq!(allowed.header("access-control-allow-origin"), "*");
            let methods = names(allowed.header("access-control-allow-methods"));
            assert!(methods.contains(method), "{method} {path}: {methods:?}");
            let headers = names(allowed.header("access-control-allow-headers"));
            for name in needed {
                let name = name.to_ascii_lowercase();
                assert!(
                    name == "origin" || headers.contains(&name),
                    "{method} {path}: {name}"
                );
            }
            let response = server.http.execute(request).await.unwrap();
            let exposed = names(
                response.headers()["access-control-expose-headers"]
                    .to_str()
                    .unwrap(),
            );
            for name in response.headers().keys().map(HeaderName::as_str) {
                let is_known = NEED_NOT_BE_EXPOSED.contains(&name)
                    || name == "vary"
                    || name.starts_with("access-control-");
                assert!(
                    is_known || exposed.contains(name),
                    "{method} {path}: {name}"
                );
            }
            tried += 1;
        }
    }
    assert!(tried >= 45, "{tried}");
}

#[tokio::test]
async fn a_page_may_send_headers_that_its_libraries_add_but_none_that_speak_for_a_proxy() {
    let server = Server::start().await;
    let asking = |headers: &str| {
        let path = format!("/admin/datasets/{PUBLIC}/file");
        let request = server
            .http
            .request(Method::OPTIONS, format!("{}{path}", server.url))
            .header("origin", PAGE)
            .header("access-control-request-method", "PUT")
            .header("access-control-request-headers", headers);
        TestResponse::send(request)
    };
    let libraries =
        "traceparent,sentry-trace, X-Requested-With,content-disposition,digest,content-range";
    let allowed = asking(libraries).await;
    let headers = names(allowed.header("access-control-allow-headers"));
    assert!(names(libraries).is_subset(&headers), "{headers:?}");
    let spoken = "x-forwarded-for, Forwarded, X-Forwarded-Host";
    let refused = asking(spoken).await;
    let headers = names(refused.header("access-control-allow-headers"));
    assert!(names(spoken).is_disjoint(&headers), "{headers:?}");
    let odd = asking(&format!("a b, (, {}", "x".repeat(3000))).await;
    assert_eq!(odd.status, 204);
    let headers = odd.header("access-control-allow-headers");
    assert!(
        headers.contains("authorization") && headers.len() < 1000,
        "{headers}"
    );
}

#[tokio::test]
async fn a_page_can_read_every_kind_of_error() {
    let server = Server::start_with(ServerOptions {
        environment: vec![("CEDARGATE_MINT_LIMIT_PER_MINUTE", "1".to_owned())],
        ..ServerOptions::default()
    })
    .await;
    let send = async |method: &str, path: &str, body: usize| {
        let url = format!("{}{path}", server.url);
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = server.http.request(method, url).header("origin", PAGE);
        TestResponse::send(request.body("x".repeat(body))).await
    };
    let mint = format!("/auth/download-token/{PUBLIC}");
    for (method, path, body, status) in [
        ("GET", "/nothing", 0, 404),
        ("PATCH", mint.as_str(), 0, 405),
        ("POST", "/auth/login", 1, 415),
        ("POST", "/auth/login", 20_000, 413),
        ("POST", "/auth/download-token/x", 0, 422),
        ("DELETE", "/admin/roles/x", 0, 401),
        ("POST", mint.as_str(), 0, 200),
        ("POST", mint.as_str(), 0, 429),
    ] {
        let response = send(method, path, body).await;
        assert_eq!(response.status, status, "{method} {path}");
        assert_eq!(response.header("access-control-allow-origin"), "*");
        let exposed = names(response.header("access-control-expose-headers"));
        for name in [
            "retry-after",
            "www-authenticate",
            "allow",
            "location",
            "x-request-id",
        ] {
            assert!(exposed.contains(name), "{method} {path}: {name}");
        }
    }
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
