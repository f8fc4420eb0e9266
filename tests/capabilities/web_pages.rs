//! The pages for people: at `/` and `/workbench`, with their files, under any path and with a policy against scripts of others.

use reqwest::{Method, StatusCode, Url};

use crate::support::server::{Server, TestResponse};

const PAGES: [&str; 3] = ["/", "/workbench", "/workbench/"];

async fn get_page(server: &Server, path: &str) -> TestResponse {
    TestResponse::send(server.get(path).header("accept", "text/html,*/*;q=0.8")).await
}

/// The references of a page to other pages and files.
fn references(page: &str) -> Vec<String> {
    let attributes = ["href=\"", "src=\""].into_iter();
    let found = attributes.flat_map(|attribute| page.match_indices(attribute));
    found
        .map(|(at, attribute)| {
            page[at + attribute.len()..]
                .split('"')
                .next()
                .unwrap()
                .to_owned()
        })
        .collect()
}

#[tokio::test]
async fn a_page_and_all_that_it_names_is_found_under_any_path() {
    let server = Server::start().await;
    for path in PAGES {
        let page = get_page(&server, path).await;
        assert_eq!(page.status, 200, "{path}");
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        let url = Url::parse(&format!("{}{path}", server.url)).unwrap();
        let references = references(&page.text());
        assert!(references.len() >= 3, "{path}: {references:?}");
        for reference in references {
            assert!(
                !reference.starts_with('/') && !reference.contains(':'),
                "{reference}"
            );
            let found = server.http.get(url.join(&reference).unwrap());
            let found = TestResponse::send(found).await;
            assert_eq!(found.status, 200, "{path} {reference}");
        }
    }
}

#[tokio::test]
async fn a_page_runs_only_its_own_scripts_and_is_in_no_frame() {
    let server = Server::start().await;
    for path in ["/", "/workbench", "/web/workbench.js", "/web/style.css"] {
        let response = get_page(&server, path).await;
        assert_eq!(response.status, 200, "{path}");
        let policy = response.header("content-security-policy");
        for directive in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ] {
            let mut directives = policy.split(';').map(str::trim);
            assert!(directives.any(|it| it == directive), "{path}: {directive}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(response.header("referrer-policy"), "no-referrer", "{path}");
        let page = response.text();
        assert!(
            !page.contains("<script>") && !page.contains(" style="),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_browser_asks_again_and_is_told_that_its_copy_is_current() {
    let server = Server::start().await;
    let mut etags = std::collections::BTreeSet::new();
    for path in [
        "/",
        "/workbench",
        "/workbench/",
        "/web/data.js",
        "/docs",
        "/docs/start.js",
    ] {
        let first = get_page(&server, path).await;
        let etag = first.header("etag").to_owned();
        assert!(etag.starts_with('"'), "{path}: {etag}");
        assert_eq!(first.header("cache-control"), "no-cache", "{path}");
        let again = server.get(path).header("accept", "text/html");
        let again = TestResponse::send(again.header("if-none-match", &etag)).await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        assert_eq!(again.header("etag"), etag, "{path}");
        let other = server.get(path).header("accept", "text/html");
        let other = TestResponse::send(other.header("if-none-match", "\"other\"")).await;
        assert_eq!(other.status, 200, "{path}");
        let head = server
            .http
            .request(Method::HEAD, format!("{}{path}", server.url));
        let head = head.header("accept", "text/html").send().await.unwrap();
        assert_eq!(head.status(), StatusCode::OK, "{path}");
        assert_eq!(
            head.headers()["content-length"],
            first.body.len().to_string().as_str()
        );
        assert_eq!(head.headers()["etag"], etag.as_str(), "{path}");
        // With a final slash a page names its files otherwise: it is another page.
        assert!(etags.insert(etag), "{path}");
    }
}

#[tokio::test]
async fn only_a_browser_gets_the_data_page_and_only_what_there_is_is_served() {
    let server = Server::start().await;
    TestResponse::send(server.get("/").header("accept", "application/json"))
        .await
        .problem(404);
    for path in [
        "/web",
        "/web/",
        "/web/index.html",
        "/web/nothing.js",
        "/web/../web.rs",
    ] {
        assert_eq!(get_page(&server, path).await.status, 404, "{path}");
    }
    for path in ["/workbench", "/web/data.js"] {
        let with_query = get_page(&server, &format!("{path}?utm_source=mail")).await;
        assert_eq!(with_query.status, 200, "{path}");
        let posted = TestResponse::send(server.post(path)).await;
        posted.problem(405);
        assert_eq!(posted.header("allow"), "GET, HEAD, OPTIONS", "{path}");
    }
}
