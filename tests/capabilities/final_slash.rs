//! A final slash: a path with one is answered as the path without it.

use reqwest::header::HeaderMap;
use serde_json::json;

use crate::admin_views::request_as;
use crate::support::server::{PUBLIC, Server, ServerOptions, TestResponse};

/// The status, the headers that do not name the request, and the type of the body.
fn described(response: &TestResponse) -> (u16, HeaderMap) {
    let mut headers = response.headers.clone();
    for name in [
        "x-request-id",
        "date",
        "content-length",
        "last-modified",
        "location",
        "etag",
    ] {
        headers.remove(name);
    }
    (response.status, headers)
}

#[tokio::test]
async fn every_operation_answers_with_a_final_slash_as_without() {
    // Two servers, because some operations change what the next one would answer.
    let (plain, slashed) = (Server::start().await, Server::start().await);
    let document = TestResponse::send(plain.get("/openapi.json")).await.json();
    let mut credentials = vec![(String::new(), String::new())];
    for username in ["olivia", "ada"] {
        credentials.push((
            plain.session(username).await,
            slashed.session(username).await,
        ));
    }
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            for (on_plain, on_slashed) in &credentials {
                let send = async |server: &Server, path: &str, session: &str| {
                    let request = request_as(server, &document, path, method, operation);
                    TestResponse::send(match session {
                        "" => request,
                        session => request.bearer_auth(session),
                    })
                    .await
                };
                let without = send(&plain, path, on_plain).await;
                let with = send(&slashed, &format!("{path}/"), on_slashed).await;
                assert_eq!(described(&with), described(&without), "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn a_final_slash_evades_no_limit_and_no_gate() {
    let server = Server::start_with(ServerOptions {
        environment: vec![("CEDARGATE_MINT_LIMIT_PER_MINUTE", "2".to_owned())],
        ..ServerOptions::default()
    })
    .await;
    let large = "x".repeat(20_000);
    for path in ["/auth/login", "/auth/login/"] {
        let request = server.post(path).body(large.clone());
        TestResponse::send(request).await.problem(413);
    }
    for path in ["/admin/users", "/admin/users/"] {
        let request = server.post(path).body("x".repeat(17_000));
        TestResponse::send(request).await.problem(401);
    }
    for (slash, status) in [("", 200), ("/", 200), ("/", 429), ("", 429)] {
        let mint = server.post(&format!("/auth/download-token/{PUBLIC}{slash}"));
        assert_eq!(TestResponse::send(mint).await.status, status);
    }
}

#[tokio::test]
async fn an_upload_with_a_final_slash_may_be_as_large_as_without() {
    let server = Server::start().await;
    let admin = server.session("ada").await;
    let file = std::fs::read("demo/jacksboro-fault-dem.cog.tif").unwrap();
    for slash in ["", "/"] {
        let path = format!("/admin/datasets/{PUBLIC}/file{slash}?name=x.tif");
        let request = server
            .http
            .put(format!("{}{path}", server.url))
            .bearer_auth(&admin)
            .header("content-type", "image/tiff")
            .body(file.clone());
        assert_eq!(TestResponse::send(request).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn what_has_an_empty_segment_is_another_path() {
    let server = Server::start().await;
    for path in [
        "/nothing/",
        "//",
        "/datasets//",
        "//datasets",
        "/auth//me",
        "/datasets/%2F",
    ] {
        let response = TestResponse::send(server.get(path)).await;
        assert!(
            [404, 422].contains(&response.status),
            "{path} {}",
            response.status
        );
        response.problem(response.status);
        assert_eq!(response.header("location"), "", "{path}");
    }
}

#[tokio::test]
async fn the_location_of_what_was_created_leads_there_from_either_path() {
    let server = Server::start().await;
    let admin = server.session("ada").await;
    for (slash, number) in [("", 1), ("/", 2)] {
        let dataset = json!({"title": "x", "visibility": "private", "record_status": "draft"});
        let user = json!({"username": format!("new-{number}")});
        let role = json!({"name": format!("new-{number}")});
        for (path, body) in [("datasets", dataset), ("users", user), ("roles", role)] {
            let url = format!("{}/admin/{path}{slash}", server.url);
            let created = server.http.post(&url).bearer_auth(&admin).json(&body);
            let created = TestResponse::send(created).await;
            assert_eq!(created.status, 201, "{}", created.text());
            let location = created.header("location");
            assert!(!location.starts_with('/'), "{location}");
            let found = reqwest::Url::parse(&url).unwrap().join(location).unwrap();
            let found = server.http.get(found).bearer_auth(&admin);
            assert_eq!(
                TestResponse::send(found).await.status,
                200,
                "{url} {location}"
            );
        }
    }
}
