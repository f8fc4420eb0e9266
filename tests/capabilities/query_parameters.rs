//! Query parameters: an operation takes those that the document names, each once, and refuses all others.

use reqwest::Method;
use serde_json::Value;

use crate::admin_views::request_as;
use crate::support::records::records;
use crate::support::server::{
    INTERNAL, PUBLIC, Server, ServerOptions, TestResponse, UNKNOWN, WITHOUT_FILE,
};

const MINT: &str = "/auth/download-token/{dataset_id}";

async fn document(server: &Server) -> Value {
    TestResponse::send(server.get("/openapi.json")).await.json()
}

/// The request with one more pair in its query.
fn with_pair(request: reqwest::RequestBuilder, name: &str, value: &str) -> reqwest::Request {
    let mut request = request.build().unwrap();
    request.url_mut().query_pairs_mut().append_pair(name, value);
    request
}

async fn execute(server: &Server, request: reqwest::Request) -> TestResponse {
    TestResponse::read(server.http.execute(request).await.unwrap()).await
}

#[tokio::test]
async fn every_operation_but_the_mint_and_those_of_services_refuses_a_parameter_that_it_does_not_have()
 {
    let server = Server::start().await;
    let document = document(&server).await;
    let admin = server.session("ada").await;
    let mut tried = 0;
    // Forward-auth has no status for it, and is asked with whatever query a proxy adds.
    let looks_at_query = |(path, _): &(&String, _)| *path != "/auth/verify";
    let paths = document["paths"].as_object().unwrap();
    for (path, operations) in paths.iter().filter(looks_at_query) {
        for (method, operation) in operations.as_object().unwrap() {
            let request =
                || request_as(&server, &document, path, method, operation).bearer_auth(&admin);
            if path == MINT {
                let odd = with_pair(request(), "no_such_parameter", "1");
                assert_eq!(execute(&server, odd).await.status, 200);
                continue;
            }
            if path.starts_with("/access/") || path.ends_with("/authzen-configuration") {
                // The standard of services knows no 422.
                let plain = request().build().unwrap();
                let plain = execute(&server, plain).await.status;
                let odd = with_pair(request(), "no_such_parameter", "1");
                assert_eq!(execute(&server, odd).await.status, plain, "{path}");
                continue;
            }
            let documented = &operation["responses"]["422"]["content"];
            assert!(documented.is_object(), "{method} {path}");
            for name in ["no_such_parameter", "Limit", "limit[]", ""] {
                let response = execute(&server, with_pair(request(), name, "1")).await;
                let detail = response.problem(422);
                let named = if name.is_empty() { "empty name" } else { name };
                assert!(detail.contains(named), "{method} {path}: {detail}");
            }
            if method == "get" {
                let mut head = with_pair(request(), "no_such_parameter", "1");
                *head.method_mut() = Method::HEAD;
                assert_eq!(execute(&server, head).await.status, 422, "HEAD {path}");
            }
            tried += 1;
        }
    }
    assert!(tried >= 45, "{tried}");
    // None of them did anything, but those that ignore their query.
    let mut acted = records(&server).await;
    acted.retain(|record| record["event"] != "evaluate" && record["event"] != "search");
    assert_eq!(acted.len(), 2, "the login and the mint: {acted:?}");
}

#[tokio::test]
async fn a_misspelt_filter_is_named_and_never_returns_everything() {
    let server = Server::start().await;
    let ada = server.session("ada").await;
    let mut told = Vec::new();
    for query in [
        "reqeust_id=x",
        "request-id=x",
        "Request_Id=x",
        "requestId=x",
        "request%5Fid=x",
        "request_id%20=x",
        "datasetid=x",
        "token=eyJx",
        "since=2026-01-01T00:00:00Z&since=2027-01-01T00:00:00Z",
        "user=ada&dataset=dem",
        "=x",
        "limit;after=x",
    ] {
        let mut answers = Vec::new();
        // The path may be written in other ways, too.
        for path in ["/admin/audit", "/admin/audit/", "/admin/aud%69t"] {
            let request = server.get(&format!("{path}?{query}")).bearer_auth(&ada);
            let response = TestResponse::send(request).await;
            answers.push(match response.status {
                200 => format!(
                    "{} records",
                    response.json()["items"].as_array().unwrap().len()
                ),
                404 => "not served".to_owned(),
                status => response.problem(status),
            });
        }
        answers.dedup();
        told.push(format!("{query}\n    {}", answers.join("\n    ")));
    }
    insta::assert_snapshot!(told.join("\n"));
}

#[tokio::test]
async fn a_download_takes_a_token_in_the_query_and_nothing_else() {
    let server = Server::start().await;
    let token = server.mint(PUBLIC, None).await.token();
    let before = records(&server).await.len();
    let path = format!("/datasets/{PUBLIC}/download/cog");
    for (query, named) in [
        (format!("toekn={token}"), "did you mean `token`?"),
        (format!("Token={token}"), "did you mean `token`?"),
        (format!("token={token}&_=1700000000"), "`_`"),
        (format!("token={token}&.tif"), "`.tif`"),
        (format!("token={token}&utm_source=mail"), "`utm_source`"),
        (format!("token={token}&=1"), "empty name"),
        ("access_token=x".to_owned(), "`access_token`"),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let url = format!("{}{path}?{query}", server.url);
            let request = server.http.request(method.clone(), url);
            let response = TestResponse::send(request.header("range", "bytes=0-9")).await;
            assert_eq!(response.status, 422, "{query}");
            if method == Method::GET {
                let detail = response.problem(422);
                assert!(detail.contains(named), "{detail}");
                assert!(!detail.contains(&token), "{detail}");
            }
        }
    }
    // Nothing was looked up, decided or counted for them.
    assert_eq!(records(&server).await.len(), before);
    for query in [format!("token={token}"), format!("&t%6Fken={token}&")] {
        let response = TestResponse::send(server.get(&format!("{path}?{query}"))).await;
        assert_eq!(response.status, 200, "{query}");
    }
    let twice = server.get(&format!("{path}?token={token}&token={token}"));
    TestResponse::send(twice).await.problem(400);
}

#[tokio::test]
async fn a_refused_query_costs_no_attempt_and_comes_after_the_gate_of_bodies() {
    let server = Server::start_with(ServerOptions {
        environment: vec![("CEDARGATE_REQUEST_LIMIT_PER_MINUTE", "4".to_owned())],
        ..ServerOptions::default()
    })
    .await;
    let mut accepted = Vec::new();
    for (user, refused) in [("mo", 0), ("otto", 6)] {
        let session = server.session(user).await;
        for _ in 0..refused {
            let request = server.get("/admin/users?limti=1").bearer_auth(&session);
            TestResponse::send(request).await.problem(422);
        }
        let mut count = 0;
        loop {
            let request = server.get("/admin/users?limit=1").bearer_auth(&session);
            match TestResponse::send(request).await.status {
                403 => count += 1,
                status => break assert_eq!(status, 429),
            }
        }
        accepted.push(count);
    }
    assert!(
        accepted[0] > 0 && accepted[0] == accepted[1],
        "{accepted:?}"
    );
    // Nobody may send a body without a credential, whatever the query is.
    let path = format!("/admin/datasets/{WITHOUT_FILE}/file?nmae=x.tif");
    let upload = server
        .http
        .put(format!("{}{path}", server.url))
        .header("content-type", "image/tiff")
        .body("II*\0");
    TestResponse::send(upload).await.problem(401);
}

#[tokio::test]
async fn a_login_does_not_take_a_password_from_the_url() {
    let server = Server::start().await;
    let login = server
        .post("/auth/login?username=ada&password=hunter2")
        .header("content-type", "application/x-www-form-urlencoded")
        .body("username=ada&password=correct+horse");
    let detail = TestResponse::send(login).await.problem(422);
    insta::assert_snapshot!(
        detail,
        @"unknown query parameters `username`, `password`: this operation takes none in its URL"
    );
}

#[tokio::test]
async fn pages_for_people_ignore_a_query_and_other_paths_answer_as_without() {
    let server = Server::start().await;
    for path in ["/docs", "/docs/", "/docs/start.js", "/docs/icon.svg"] {
        let page = TestResponse::send(server.get(&format!("{path}?utm_source=mail"))).await;
        assert_eq!(page.status, 200, "{path}");
    }
    for path in [
        "/openapi.json",
        "/metrics",
        "/health/live",
        "/.well-known/jwks.json",
    ] {
        let detail = TestResponse::send(server.get(&format!("{path}?v=1"))).await;
        assert!(detail.problem(422).contains("`v`"), "{path}");
        let bare = TestResponse::send(server.get(&format!("{path}?"))).await;
        assert_eq!(bare.status, 200, "{path}");
    }
    TestResponse::send(server.get("/nothing?v=1"))
        .await
        .problem(404);
    let wrong_method = server.post("/datasets?v=1");
    TestResponse::send(wrong_method).await.problem(405);
}

#[tokio::test]
async fn a_query_that_nobody_has_says_nothing_of_a_hidden_dataset() {
    let server = Server::start().await;
    let mut answers = Vec::new();
    for dataset in [INTERNAL, UNKNOWN] {
        let request = server.get(&format!("/datasets/{dataset}?x=1"));
        answers.push(TestResponse::send(request).await.problem(422));
    }
    assert_eq!(answers[0], answers[1]);
}
