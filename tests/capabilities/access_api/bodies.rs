//! Bodies, request ids and the metadata.

use serde_json::{Value, json};

use super::{AccessServer, EVALUATION, EVALUATIONS, question};
use crate::support::server::{PUBLIC, Server, ServerOptions, TestResponse};

#[tokio::test]
async fn whatever_is_wrong_with_a_body_is_400_with_its_path() {
    let access = AccessServer::start().await;
    let asked = question(("user", "mo"), "read", ("dataset", PUBLIC));
    let text = asked.to_string();
    let json = Some("application/json");
    let double = text.replacen('{', "{\"subject\": {}, ", 1);
    let deep = format!("{{\"context\": {}1{}}}", "[".repeat(1000), "]".repeat(1000));
    for (media_type, body, detail) in [
        (json, "{\"subject\":", "not JSON"),
        (json, "", "not JSON"),
        (json, "[]", "not a JSON object"),
        (json, "{\"action\": {\"name\": \"\\ud800\"}}", "not JSON"),
        (json, "{\"context\": NaN}", "not JSON"),
        (json, "{\"context\": 1e400}", "not JSON"),
        (json, &double, "duplicate field `subject`"),
        (json, &deep, "not JSON"),
        (json, "{}", "the field `subject` is missing"),
        (Some("text/plain"), &text, "application/json"),
        (
            Some("application/merge-patch+json"),
            &text,
            "application/json",
        ),
        (
            Some("application/json, text/plain"),
            &text,
            "application/json",
        ),
        (None, &text, "application/json"),
    ] {
        for path in [EVALUATION, EVALUATIONS, "/access/v1/search/subject"] {
            let request = access.server.post(path).bearer_auth(&access.gateway);
            let request = match media_type {
                Some(media_type) => request.header("content-type", media_type),
                None => request,
            };
            let response = TestResponse::send(request.body(body.to_owned())).await;
            let found = response.problem(400);
            assert!(found.contains(detail), "{path} {body:.60}: {found}");
        }
    }
    let with_parameters = access.server.post(&format!("{EVALUATION}?trace=1"));
    let with_parameters = with_parameters
        .bearer_auth(&access.gateway)
        .header("content-type", "Application/JSON; charset=utf-8")
        .body(text);
    assert_eq!(TestResponse::send(with_parameters).await.status, 200);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_413() {
    let access = AccessServer::start().await;
    let mut asked = question(("user", "mo"), "read", ("dataset", PUBLIC));
    asked["context"] = json!({"x": "x".repeat(60 * 1024)});
    assert_eq!(access.ask(EVALUATION, &asked).await.status, 200);
    asked["context"] = json!({"x": "x".repeat(65 * 1024)});
    access.ask(EVALUATION, &asked).await.problem(413);
    access
        .ask("/access/v1/search/action", &asked)
        .await
        .problem(413);
    let mut batch = json!({"evaluations": [asked]});
    assert_eq!(access.ask(EVALUATIONS, &batch).await.status, 200);
    batch["ignored"] = json!("x".repeat(1024 * 1024));
    access.ask(EVALUATIONS, &batch).await.problem(413);
}

#[tokio::test]
async fn the_request_id_of_a_service_comes_back_as_it_was() {
    let access = AccessServer::start().await;
    let asked = question(("user", "mo"), "read", ("dataset", PUBLIC));
    let server = &access.server;
    let long = "x".repeat(300);
    for (id, is_on_record) in [("trace-1", true), ("a/b:\"c\" d", false), (&long, false)] {
        let request = server
            .post(EVALUATION)
            .bearer_auth(&access.gateway)
            .json(&asked);
        let response = TestResponse::send(request.header("x-request-id", id)).await;
        assert_eq!(response.header("x-request-id"), id);
        let refused = server.post(EVALUATION).header("x-request-id", id);
        assert_eq!(TestResponse::send(refused).await.header("x-request-id"), id);
        let metadata = server.get("/.well-known/authzen-configuration");
        let metadata = TestResponse::send(metadata.header("x-request-id", id)).await;
        assert_eq!(metadata.header("x-request-id"), id);
        let elsewhere = server.get("/health/live").header("x-request-id", id);
        let elsewhere = TestResponse::send(elsewhere).await;
        assert_eq!(elsewhere.header("x-request-id") == id, is_on_record);
        let records = access.asked().await;
        let found = records
            .iter()
            .any(|record| record["client_request_id"] == id);
        assert_eq!(found, is_on_record);
    }
    let without = access.ask(EVALUATION, &asked).await;
    assert!(!without.header("x-request-id").is_empty());
}

#[tokio::test]
async fn a_service_configures_itself_from_the_metadata() {
    let path = "/.well-known/authzen-configuration";
    let issuer = "https://gate.example/tenant1";
    let server = Server::start_with(ServerOptions {
        environment: vec![("CEDARGATE_ISSUER", issuer.to_owned())],
        ..ServerOptions::default()
    })
    .await;
    let response = TestResponse::send(server.get(path)).await;
    assert_eq!(response.status, 200);
    assert_eq!(response.header("content-type"), "application/json");
    let endpoint = |path: &str| Value::from(format!("{issuer}/access/v1/{path}"));
    let expected = json!({
        "policy_decision_point": issuer,
        "access_evaluation_endpoint": endpoint("evaluation"),
        "access_evaluations_endpoint": endpoint("evaluations"),
        "search_subject_endpoint": endpoint("search/subject"),
        "search_resource_endpoint": endpoint("search/resource"),
        "search_action_endpoint": endpoint("search/action"),
    });
    assert_eq!(response.json(), expected);
    let before_issuer = TestResponse::send(server.get(&format!("{path}/tenant1"))).await;
    assert_eq!(before_issuer.json(), expected);
}
