//! Delegated administration: policies decide on each request, and nobody can raise its own rights.

use reqwest::Method;
use serde_json::json;

use crate::support::admin_client::{AdminClient, USERS, delegated_admins};
use crate::support::records::records;
use crate::support::server::{PASSWORD, Server, TestResponse, UNKNOWN};

/// Every operation on users, roles, sessions and API keys, with a valid body.
fn operations(user: &str) -> Vec<(Method, String, serde_json::Value)> {
    let change = json!({"username": "x", "roles": [], "is_disabled": true});
    let at = |rest: &str| format!("{user}{rest}");
    vec![
        (Method::GET, USERS.to_owned(), json!(null)),
        (Method::GET, at(""), json!(null)),
        (Method::GET, at("/sessions"), json!(null)),
        (Method::GET, at("/api-keys"), json!(null)),
        (Method::GET, "/admin/roles".to_owned(), json!(null)),
        (Method::GET, "/admin/roles/admin".to_owned(), json!(null)),
        (
            Method::GET,
            "/admin/roles/admin/members".to_owned(),
            json!(null),
        ),
        (Method::POST, USERS.to_owned(), json!({"username": "x"})),
        (Method::PUT, at(""), change),
        (Method::DELETE, at(""), json!(null)),
        (Method::PUT, at("/password"), json!({})),
        (Method::DELETE, at("/sessions"), json!(null)),
        (
            Method::DELETE,
            at(&format!("/sessions/{UNKNOWN}")),
            json!(null),
        ),
        (
            Method::DELETE,
            at(&format!("/api-keys/{UNKNOWN}")),
            json!(null),
        ),
        (
            Method::POST,
            "/admin/roles".to_owned(),
            json!({"name": "x"}),
        ),
        (
            Method::DELETE,
            "/admin/roles/hydrology".to_owned(),
            json!(null),
        ),
    ]
}

fn with_body(
    request: reqwest::RequestBuilder,
    body: &serde_json::Value,
) -> reqwest::RequestBuilder {
    if body.is_null() {
        request
    } else {
        request.json(body)
    }
}

#[tokio::test]
async fn administration_requires_a_permit() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let mo = ada.user_path("mo").await;
    let before = ada.get(&mo).await.json();
    let otto = AdminClient::sign_in(&server, "otto").await;
    for (method, path, body) in operations(&mo) {
        let url = format!("{}{path}", server.url);
        let anonymous = with_body(server.http.request(method.clone(), url), &body);
        TestResponse::send(anonymous).await.problem(401);
        let plain = with_body(otto.request(method.clone(), &path), &body);
        let response = TestResponse::send(plain).await;
        assert_eq!(response.status, 403, "{method} {path}: {}", response.text());
    }
    assert_eq!(ada.get(&mo).await.json(), before);
    let denied = records(&server).await;
    let denied = denied.iter().filter(|record| record["outcome"] == "denied");
    assert_eq!(denied.count(), operations(&mo).len());
}

#[tokio::test]
async fn a_role_with_view_users_alone_changes_nothing() {
    let server = delegated_admins().await;
    let lookout = AdminClient::sign_in(&server, "of-lookout").await;
    let mo = lookout.user_path("mo").await;
    let before = lookout.get(&mo).await.json();
    for (method, path, body) in operations(&mo) {
        let response =
            TestResponse::send(with_body(lookout.request(method.clone(), &path), &body)).await;
        let expected = if method == Method::GET { 200 } else { 403 };
        assert_eq!(
            response.status,
            expected,
            "{method} {path}: {}",
            response.text()
        );
    }
    assert_eq!(lookout.get(&mo).await.json(), before);
}

#[tokio::test]
async fn a_helpdesk_that_may_not_administer_admins_creates_none() {
    let server = delegated_admins().await;
    let helpdesk = AdminClient::sign_in(&server, "of-helpdesk").await;
    let (me, mo, ada) = (
        helpdesk.user_path("of-helpdesk").await,
        helpdesk.user_path("mo").await,
        helpdesk.user_path("ada").await,
    );
    let user = |name: &str, roles: &[&str]| json!({"username": name, "roles": roles, "is_disabled": false});
    let created = json!({"username": "eve", "roles": ["admin"], "password": PASSWORD});
    helpdesk.post(USERS, created).await.problem(403);
    for (path, name) in [(&me, "of-helpdesk"), (&mo, "mo")] {
        let risen = user(name, &["helpdesk", "admin"]);
        helpdesk.put(path, risen).await.problem(403);
    }
    helpdesk.put(&ada, user("ada", &[])).await.problem(403);
    let password = json!({"password": PASSWORD});
    let reset = format!("{ada}/password");
    helpdesk.put(&reset, password.clone()).await.problem(403);
    let sessions = format!("{ada}/sessions");
    helpdesk.delete(&sessions).await.problem(403);
    helpdesk.delete(&ada).await.problem(403);
    let role = json!({"name": "admins"});
    helpdesk.post("/admin/roles", role).await.problem(403);

    let response = helpdesk.put(&format!("{mo}/password"), password).await;
    assert_eq!(response.status, 200, "{}", response.text());
    let response = helpdesk
        .put(&mo, user("mo", &["hydrology", "lookout"]))
        .await;
    assert_eq!(response.status, 200, "{}", response.text());
    // It may change itself, as long as it gains no rights.
    let response = helpdesk.put(&me, user("of-desk", &["helpdesk"])).await;
    assert_eq!(response.status, 200, "{}", response.text());
}

#[tokio::test]
async fn a_user_that_is_not_visible_is_answered_as_not_found() {
    let server = delegated_admins().await;
    let helpdesk = AdminClient::sign_in(&server, "of-helpdesk").await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let hidden = ada.user_path("of-hidden").await;
    let unknown = format!("{USERS}/{UNKNOWN}");
    for rest in ["", "/sessions", "/api-keys"] {
        let hidden = helpdesk.get(&format!("{hidden}{rest}")).await;
        let unknown = helpdesk.get(&format!("{unknown}{rest}")).await;
        assert_eq!(hidden.problem(404), unknown.problem(404));
        assert_eq!(hidden.body, unknown.body);
    }
    let listed = helpdesk.list_all(USERS, 3).await;
    assert!(listed.iter().all(|user| user["username"] != "of-hidden"));
    assert_eq!(listed.len(), ada.list_all(USERS, 100).await.len() - 1);
    let members = helpdesk.list_all("/admin/roles/hidden/members", 3).await;
    assert!(members.is_empty());
}

#[tokio::test]
async fn a_caller_who_may_not_list_users_does_not_learn_which_exist() {
    let server = delegated_admins().await;
    let mute = AdminClient::sign_in(&server, "of-mute").await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let (mo, otto) = (ada.user_path("mo").await, ada.user_path("otto").await);
    let unknown = format!("{USERS}/{UNKNOWN}");
    mute.get(USERS).await.problem(403);
    for method in [Method::GET, Method::DELETE] {
        let known = TestResponse::send(mute.request(method.clone(), &otto)).await;
        let unknown = TestResponse::send(mute.request(method, &unknown)).await;
        assert_eq!(known.problem(403), unknown.problem(403));
        assert_eq!(known.body, unknown.body);
    }
    let password = json!({"password": PASSWORD});
    let response = mute.put(&format!("{mo}/password"), password).await;
    assert_eq!(response.status, 200, "{}", response.text());
}
