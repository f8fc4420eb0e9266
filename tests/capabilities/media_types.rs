//! Media types of request bodies: an unsupported one is a 415 that names those that are taken.

use serde_json::{Value, json};

use crate::admin_views::request_as;
use crate::support::server::{PASSWORD, Server, TestResponse};

fn accepted(operation: &Value) -> Vec<String> {
    let content = operation["requestBody"]["content"].as_object();
    let types = content.into_iter().flatten();
    types
        .map(|(kind, _)| kind.split(';').next().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn every_operation_with_a_body_names_the_types_that_it_takes() {
    let server = Server::start().await;
    let admin = server.session("ada").await;
    let document = TestResponse::send(server.get("/openapi.json")).await.json();
    let mut tried = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let types = accepted(operation);
            if types.is_empty() {
                continue;
            }
            for sent in [
                None,
                Some("multipart/form-data; boundary=x"),
                Some("text/plain"),
                Some("application/merge-patch+json"),
                Some("application/json-patch+json"),
                Some("application/xml; charset=utf-8"),
                Some("application/jsonx"),
                Some("nonsense"),
                Some(""),
            ] {
                let request = request_as(&server, &document, path, method, operation);
                let mut request = request.bearer_auth(&admin).build().unwrap();
                request.headers_mut().remove("content-type");
                if let Some(sent) = sent {
                    let sent = sent.parse().unwrap();
                    request.headers_mut().insert("content-type", sent);
                }
                let response = server.http.execute(request).await.unwrap();
                let response = TestResponse::read(response).await;
                // The standard of services knows no 415.
                let is_of_services = path.starts_with("/access/");
                let detail = response.problem(if is_of_services { 400 } else { 415 });
                for kind in &types {
                    assert!(
                        detail.contains(kind.as_str()),
                        "{method} {path} {sent:?}: {detail}"
                    );
                }
                if !is_of_services {
                    assert_eq!(response.header("accept"), types.join(", "));
                }
            }
            tried += 1;
        }
    }
    assert!(tried >= 12, "{tried}");
}

#[tokio::test]
async fn a_multipart_login_is_told_which_form_to_send() {
    let server = Server::start().await;
    let part = |name, value| {
        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let form = part("username", "otto") + &part("password", PASSWORD) + "--x--\r\n";
    let login = server
        .post("/auth/login")
        .header("content-type", "multipart/form-data; boundary=x");
    let response = TestResponse::send(login.body(form)).await;
    insta::assert_snapshot!(
        response.problem(415),
        @"the request body has the Content-Type `multipart/form-data`; this operation takes application/x-www-form-urlencoded"
    );
    let login = server
        .post("/auth/login")
        .json(&json!({"username": "otto", "password": PASSWORD}));
    let detail = TestResponse::send(login).await.problem(415);
    assert!(
        detail.contains("application/x-www-form-urlencoded"),
        "{detail}"
    );
}

#[tokio::test]
async fn parameters_and_case_of_a_media_type_do_not_matter() {
    let server = Server::start().await;
    for kind in [
        "application/x-www-form-urlencoded; charset=UTF-8",
        "Application/X-WWW-Form-URLencoded",
    ] {
        let login = server.post("/auth/login").header("content-type", kind);
        let login = login.body("username=otto&password=correct+horse");
        assert_eq!(TestResponse::send(login).await.status, 200, "{kind}");
    }
    for kind in [
        "application/json",
        "APPLICATION/JSON",
        "application/json;charset=utf-8",
        "application/json ; charset=\"utf-8\"",
        "application/json; profile=x",
    ] {
        let logout = server.post("/auth/logout").header("content-type", kind);
        let logout = logout.body(json!({"refresh_token": "x".repeat(43)}).to_string());
        assert_eq!(TestResponse::send(logout).await.status, 204, "{kind}");
    }
}
