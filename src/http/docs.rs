//! The docs UI: `/docs` and `/openapi.json`, which work without internet.
//!
//! Swagger UI comes from poem-openapi; its script and its style are served as files of their own, so
//! that the page can forbid inline scripts. Page, script and document name no absolute path: the server may
//! stand under any, whether or not it knows of it.

use std::sync::Arc;

use bytes::Bytes;
use poem::endpoint::make_sync;
use poem::http::{Method, StatusCode, header};
use poem::{Endpoint, IntoEndpoint, IntoResponse, Request, Response, Route, get};

use crate::http::server::final_slash::FinalSlash;

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
pub fn add_routes(route: Route, swagger_ui_html: &str, document: String) -> Route {
    let script = text_between(swagger_ui_html, "<script charset=\"UTF-8\">", "</script>");
    let style = text_between(swagger_ui_html, "<style charset=\"UTF-8\">", "</style>");
    route
        .at("/docs", get(make_sync(|request| page(&request))))
        .at(
            "/docs/swagger-ui.js",
            asset("text/javascript; charset=utf-8", script),
        )
        .at(
            "/docs/swagger-ui.css",
            asset("text/css; charset=utf-8", style),
        )
        .at(
            "/docs/start.js",
            asset("text/javascript; charset=utf-8", START),
        )
        .at("/docs/icon.svg", asset("image/svg+xml", ICON))
        .at(DOCUMENT_PATH, asset("application/json", document))
}

/// Leads a browser from `/` to the docs UI, relative to where it is; other requests go on.
///
/// Not a route: the router gives `/` to the nested API before any other route.
pub async fn redirect_browser<E: Endpoint>(
    next: Arc<E>,
    request: Request,
) -> poem::Result<Response> {
    if !is_browser_at_root(&request) {
        return next.call(request).await.map(IntoResponse::into_response);
    }
    Ok(Response::builder()
        .status(StatusCode::SEE_OTHER)
        .header(header::LOCATION, "docs")
        .header(header::VARY, "Accept")
        .finish())
}

fn is_browser_at_root(request: &Request) -> bool {
    let mut accepted = request.headers().get_all(header::ACCEPT).iter();
    request.uri().path() == "/"
        && matches!(*request.method(), Method::GET | Method::HEAD)
        && accepted.any(|value| value.to_str().is_ok_and(|text| text.contains("text/html")))
}

fn asset(content_type: &'static str, body: impl Into<Bytes>) -> impl IntoEndpoint {
    let body: Bytes = body.into();
    get(make_sync(move |_| response(content_type, body.clone())))
}

/// The page, which names its files relative to where it was fetched.
fn page(request: &Request) -> Response {
    let page = if request.extensions().get::<FinalSlash>().is_some() {
        PAGE.replace("\"docs/", "\"../docs/")
    } else {
        PAGE.to_owned()
    };
    response("text/html; charset=utf-8", page.into())
}

fn response(content_type: &str, body: Bytes) -> Response {
    Response::builder()
        .content_type(content_type)
        .header(header::CACHE_CONTROL, "no-cache")
        .header(header::CONTENT_SECURITY_POLICY, SECURITY_POLICY)
        .body(body)
}

fn text_between(text: &str, begin: &str, end: &str) -> Bytes {
    let rest = text.split_once(begin).map_or("", |(_, rest)| rest);
    // The script has end tags in its own strings: the last ones before the body are the real ones.
    let rest = rest.rsplit_once("</head>").map_or(rest, |(head, _)| head);
    let found = rest.rsplit_once(end).map_or("", |(found, _)| found);
    Bytes::copy_from_slice(found.as_bytes())
}
