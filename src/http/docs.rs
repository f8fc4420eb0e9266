//! The docs UI: `/docs` and `/openapi.json`, which work without internet.
//!
//! Swagger UI comes from poem-openapi; its script and its style are served as files of their own, so
//! that the page can forbid inline scripts. Page, script and document name no absolute path: the server may
//! stand under any, whether or not it knows of it.

use bytes::Bytes;
use poem::{IntoEndpoint, Route};
use poem_openapi::OpenApiService;

use super::page_file::PageFile;

const PAGE: &str = include_str!("docs/index.html");
const START: &str = include_str!("docs/start.js");
const ICON: &str = include_str!("docs/icon.svg");

/// The page loads from and talks to this server only; Swagger UI needs inline styles and `data:` images.
const SECURITY_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// The path of the OpenAPI document.
pub const DOCUMENT_PATH: &str = "/openapi.json";

/// The page of the docs UI and its files, which take GET and ignore a query.
pub const PAGE_PATHS: [&str; 5] = [
    "/docs",
    "/docs/swagger-ui.js",
    "/docs/swagger-ui.css",
    "/docs/start.js",
    "/docs/icon.svg",
];

/// Adds the docs UI to the routes.
#[must_use]
pub fn add_routes(route: Route, document: String) -> Route {
    let script = || swagger_ui_part("<script charset=\"UTF-8\">", "</script>");
    let style = || swagger_ui_part("<style charset=\"UTF-8\">", "</style>");
    let (javascript, css) = ("text/javascript; charset=utf-8", "text/css; charset=utf-8");
    route
        .at("/docs", PageFile::page(PAGE, SECURITY_POLICY).into_route())
        .at("/docs/swagger-ui.js", file(javascript, script))
        .at("/docs/swagger-ui.css", file(css, style))
        .at("/docs/start.js", file(javascript, || START))
        .at("/docs/icon.svg", file("image/svg+xml", || ICON))
        .at(DOCUMENT_PATH, file("application/json", || document))
}

fn file<C: Into<Bytes>>(
    content_type: &'static str,
    content: impl FnOnce() -> C + Send + 'static,
) -> impl IntoEndpoint {
    PageFile::new(content_type, content, SECURITY_POLICY).into_route()
}

/// What is between two tags of the page that poem-openapi makes, whatever the document is.
fn swagger_ui_part(begin: &str, end: &str) -> Bytes {
    let page = OpenApiService::new((), "", "").swagger_ui_html();
    let rest = page.split_once(begin).map_or("", |(_, rest)| rest);
    // The script has end tags in its own strings: the last ones before the body are the real ones.
    let rest = rest.rsplit_once("</head>").map_or(rest, |(head, _)| head);
    let found = rest.rsplit_once(end).map_or("", |(found, _)| found);
    Bytes::copy_from_slice(found.as_bytes())
}
