//! A base path: the server stands under the path of its issuer, behind a proxy that removes it.

use serde_json::json;

use crate::support::server::{PUBLIC, Server, ServerOptions, TestResponse, decode_part};

async fn start_at(issuer: &str) -> Server {
    Server::start_with(ServerOptions {
        environment: vec![("CEDARGATE_ISSUER", issuer.to_owned())],
        ..ServerOptions::default()
    })
    .await
}

#[tokio::test]
async fn the_document_names_the_path_of_the_issuer() {
    for (issuer, servers) in [
        ("https://gate.example", json!([])),
        ("https://gate.example/gate", json!([{"url": "/gate"}])),
        (
            "https://gate.example:8443/a/b/gate",
            json!([{"url": "/a/b/gate"}]),
        ),
        (
            "https://gate.example/my%20gate",
            json!([{"url": "/my%20gate"}]),
        ),
    ] {
        let server = start_at(issuer).await;
        let document = TestResponse::send(server.get("/openapi.json")).await.json();
        assert_eq!(document["servers"], servers, "{issuer}");
        let flow =
            &document["components"]["securitySchemes"]["OAuth2PasswordBearer"]["flows"]["password"];
        let fetched = reqwest::Url::parse(&format!("{issuer}/openapi.json")).unwrap();
        let login = fetched.join(flow["tokenUrl"].as_str().unwrap()).unwrap();
        assert_eq!(login.as_str(), format!("{issuer}/auth/login"));
        let token = server.mint(PUBLIC, None).await.token();
        assert_eq!(decode_part(&token, 1)["iss"], issuer);
    }
}

/// Every absolute path in attributes and strings of a page.
fn absolute_paths(text: &str) -> Vec<&str> {
    let starts = text.match_indices("\"/").map(|(at, _)| &text[at + 1..]);
    starts
        .filter_map(|rest| rest.split('"').next())
        .filter(|path| path.len() > 1)
        .collect()
}

#[tokio::test]
async fn the_docs_page_names_no_absolute_path() {
    let server = Server::start().await;
    for path in ["/docs", "/docs/", "/docs/start.js", "/docs/start.js/"] {
        let response = TestResponse::send(server.get(path)).await;
        assert_eq!(response.status, 200, "{path}");
        assert_eq!(
            absolute_paths(&response.text()),
            Vec::<&str>::new(),
            "{path}"
        );
    }
    for path in ["/docs", "/docs/"] {
        let url = reqwest::Url::parse(&format!("{}{path}", server.url)).unwrap();
        let page = TestResponse::send(server.get(path)).await.text();
        let mut files = 0;
        for attribute in ["href=\"", "src=\""] {
            for (at, found) in page.match_indices(attribute) {
                let reference = page[at + found.len()..].split('"').next().unwrap();
                let file = server.http.get(url.join(reference).unwrap());
                let file = file.header("accept", "text/html");
                assert_eq!(
                    TestResponse::send(file).await.status,
                    200,
                    "{path} {reference}"
                );
                files += 1;
            }
        }
        assert_eq!(files, 6, "{path}");
    }
}

#[tokio::test]
async fn a_request_whose_path_the_proxy_did_not_remove_is_told_so() {
    let server = start_at("https://gate.example/gate").await;
    for path in ["/gate", "/gate/", "/gate/datasets", "/gate/health/live"] {
        let detail = TestResponse::send(server.get(path)).await.problem(404);
        assert!(detail.contains("the proxy must remove"), "{path}: {detail}");
    }
    for path in ["/gates", "/gatekeeper/x", "/x/gate"] {
        let detail = TestResponse::send(server.get(path)).await.problem(404);
        assert!(!detail.contains("proxy"), "{path}: {detail}");
    }
    // A path of the API stays one, whatever the issuer is.
    let server = start_at("https://gate.example/datasets").await;
    assert_eq!(
        TestResponse::send(server.get("/datasets")).await.status,
        200
    );
    TestResponse::send(server.get(&format!("/datasets/{PUBLIC}x")))
        .await
        .problem(422);
}
