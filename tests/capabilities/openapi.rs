//! The OpenAPI document: it promises what the server does, and a browser finds it.

use serde_json::Value;

use crate::admin_views::{example_value, request_as};
use crate::support::server::{Server, TestResponse};

async fn document(server: &Server) -> Value {
    TestResponse::send(server.get("/openapi.json")).await.json()
}

#[tokio::test]
async fn unknown_members_are_rejected_exactly_where_the_document_says_so() {
    let server = Server::start().await;
    let document = document(&server).await;
    let admin = server.session("ada").await;
    let (mut strict, mut lenient) = (0, Vec::new());
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let content = &operation["requestBody"]["content"];
            let schema = &content["application/json; charset=utf-8"]["schema"];
            let Some(reference) = schema["$ref"].as_str() else {
                continue;
            };
            let is_strict = document.pointer(&reference[1..]).unwrap()["additionalProperties"]
                == Value::Bool(false);
            let mut body = example_value(&document, schema);
            body["no_such_member"] = 1.into();
            let request = request_as(&server, &document, path, method, operation);
            let request = request.bearer_auth(&admin).json(&body);
            let response = TestResponse::send(request).await;
            let is_rejected =
                response.status == 422 && response.problem(422).contains("no_such_member");
            assert_eq!(is_rejected, is_strict, "{method} {path}");
            if is_strict {
                strict += 1;
            } else {
                lenient.push(path);
            }
        }
    }
    assert!(strict >= 9, "{strict}");
    assert_eq!(lenient, ["/auth/refresh", "/auth/logout"]);
}

#[tokio::test]
async fn a_422_that_names_a_field_is_documented_so() {
    let server = Server::start().await;
    let document = document(&server).await;
    let schema_of = |path: &str, method: &str| {
        let content = &document["paths"][path][method]["responses"]["422"]["content"];
        let schema = &content["application/problem+json"]["schema"]["$ref"];
        let name = schema.as_str().unwrap().rsplit('/').next().unwrap();
        name.to_owned()
    };
    for (path, method) in [
        ("/admin/users", "post"),
        ("/admin/users/{user_id}/password", "put"),
        ("/admin/datasets/{dataset_id}", "put"),
        ("/admin/datasets/{dataset_id}/file", "put"),
        ("/admin/policies/explain", "post"),
    ] {
        assert_eq!(schema_of(path, method), "FieldProblemDetail", "{path}");
    }
    let mint = schema_of("/auth/download-token/{dataset_id}", "post");
    assert_eq!(mint, "ProblemDetail");
}

#[tokio::test]
async fn tags_come_in_the_order_in_which_people_need_them() {
    let server = Server::start().await;
    let document = document(&server).await;
    let tags = document["tags"].as_array().unwrap();
    let names: Vec<_> = tags
        .iter()
        .map(|tag| tag["name"].as_str().unwrap())
        .collect();
    let expected = [
        "Auth",
        "Datasets",
        "Key set",
        "Sessions",
        "API keys",
        "Access",
        "Administration",
        "Operators",
    ];
    assert_eq!(names, expected);
    let (path, mint) = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .next()
        .unwrap();
    assert_eq!(path, "/auth/download-token/{dataset_id}");
    assert_eq!(mint["post"]["tags"][0], "Auth");
}

#[tokio::test]
async fn the_key_set_has_the_media_type_that_the_document_says() {
    let server = Server::start().await;
    let document = document(&server).await;
    let content =
        &document["paths"]["/.well-known/jwks.json"]["get"]["responses"]["200"]["content"];
    let documented: Vec<_> = content.as_object().unwrap().keys().collect();
    let response = TestResponse::send(server.get("/.well-known/jwks.json")).await;
    assert_eq!(documented, [response.header("content-type")]);
}

#[tokio::test]
async fn a_browser_gets_a_page_at_the_root() {
    let server = Server::start().await;
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .unwrap();
    let accepting = |accept: &str| {
        let request = client.get(format!("{}/", server.url));
        TestResponse::send(request.header("accept", accept))
    };
    let browser = accepting("text/html,application/xhtml+xml;q=0.9,*/*;q=0.8").await;
    assert_eq!((browser.status, browser.header("vary")), (200, "Accept"));
    assert!(browser.text().contains("<!doctype html>"));
    accepting("application/json").await.problem(404);
    accepting("*/*").await.problem(404);
    let posted = client.post(format!("{}/", server.url));
    TestResponse::send(posted.header("accept", "text/html"))
        .await
        .problem(404);
}
