//! Restricted API keys: they give nothing, to themselves or others, that is beyond them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::admin_client::{AdminClient, USERS};
use crate::support::records::records;
use crate::support::server::{PASSWORD, Server, TestResponse};

use super::{KEYS, ROLES, password, server_with, user_body};

/// A client with an API key that is restricted to these actions.
struct KeyClient<'a> {
    server: &'a Server,
    key: String,
}

impl<'a> KeyClient<'a> {
    async fn of(client: &AdminClient<'a>, actions: &[&str]) -> Self {
        let restriction = json!({"name": "script", "actions": actions});
        let created = client.post(KEYS, restriction).await;
        assert_eq!(created.status, 201, "{}", created.text());
        Self {
            server: client.server,
            key: created.json()["key"].as_str().unwrap().to_owned(),
        }
    }

    async fn send(&self, method: Method, path: &str, body: Value) -> TestResponse {
        self.server.clock.advance(1);
        let url = format!("{}{path}", self.server.url);
        let request = self.server.http.request(method, url);
        let request = request.header("x-api-key", &self.key);
        TestResponse::send(if body.is_null() {
            request
        } else {
            request.json(&body)
        })
        .await
    }

    async fn put(&self, path: &str, body: Value) -> TestResponse {
        self.send(Method::PUT, path, body).await
    }
}

#[tokio::test]
async fn a_restricted_api_key_does_not_change_its_own_user() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let me = ada.user_path("ada").await;
    // So that no rule about the last admin stands in the way.
    let other = json!({"username": "eve", "roles": ["admin"], "password": PASSWORD});
    assert_eq!(ada.post(USERS, other).await.status, 201);
    let own_role = json!({"name": "own"});
    assert_eq!(ada.post(ROLES, own_role).await.status, 201);
    let with_own_role = user_body("ada", &["admin", "own"]);
    assert_eq!(ada.put(&me, with_own_role).await.status, 200);

    let all = ["administer_users", "assign_role", "administer_roles"];
    let key = KeyClient::of(&ada, &all).await;
    let sessions = ada.get(&format!("{me}/sessions")).await.json();
    let session = sessions["items"][0]["id"].as_str().unwrap().to_owned();
    let keys = ada.get(&format!("{me}/api-keys")).await.json();
    let key_id = keys["items"][0]["id"].as_str().unwrap().to_owned();
    let before = ada.get(&me).await.json();
    let delete = Method::DELETE;
    for (method, path, body) in [
        (Method::PUT, format!("{me}/password"), password()),
        (Method::PUT, format!("{me}/password"), json!({})),
        (Method::PUT, me.clone(), user_body("ada", &["own"])),
        (
            Method::PUT,
            me.clone(),
            user_body("renamed", &["admin", "own"]),
        ),
        (
            Method::PUT,
            me.clone(),
            json!({"username": "ada", "roles": ["admin", "own"], "is_disabled": true}),
        ),
        (delete.clone(), me.clone(), Value::Null),
        (delete.clone(), format!("{me}/sessions"), Value::Null),
        (
            delete.clone(),
            format!("{me}/sessions/{session}"),
            Value::Null,
        ),
        (
            delete.clone(),
            format!("{me}/api-keys/{key_id}"),
            Value::Null,
        ),
        // It would take the role from its own user.
        (delete.clone(), format!("{ROLES}/own"), Value::Null),
    ] {
        let response = key.send(method.clone(), &path, body).await;
        let detail = response.problem(403);
        assert!(
            detail.contains("restricted API key"),
            "{method} {path}: {detail}"
        );
    }
    assert_eq!(ada.get(&me).await.json(), before);
    let denied = records(&server).await;
    let denied = denied.iter().filter(|record| record["outcome"] == "denied");
    assert_eq!(denied.count(), 10);
    // Others, who may do no more than the key, are changed as before.
    let otto = ada.user_path("otto").await;
    let set = key.put(&format!("{otto}/password"), password()).await;
    assert_eq!(set.status, 200, "{}", set.text());
    let set = key.put(&otto, user_body("otto", &["hydrology"])).await;
    assert_eq!(set.status, 200, "{}", set.text());
}

#[tokio::test]
async fn a_restricted_api_key_gives_nobody_more_than_it_may_do_itself() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let key = KeyClient::of(&ada, &["administer_users", "assign_role"]).await;
    let admin = json!({"username": "eve", "roles": ["admin"], "password": PASSWORD});
    key.send(Method::POST, USERS, admin).await.problem(403);
    let plain = json!({"username": "eve", "password": PASSWORD});
    assert_eq!(key.send(Method::POST, USERS, plain).await.status, 201);
    let eve = ada.user_path("eve").await;
    key.put(&eve, user_body("eve", &["admin"]))
        .await
        .problem(403);
    let other = json!({"username": "other", "roles": ["admin"]});
    assert_eq!(ada.post(USERS, other).await.status, 201);
    let other = ada.user_path("other").await;
    let reset = format!("{other}/password");
    key.put(&reset, password()).await.problem(403);
    let records = records(&server).await;
    let reason = &records.last().unwrap()["reason"];
    assert_eq!(*reason, "the user other may view_users on the server");

    // Without `assign_role` among its actions a key gives and takes no role, and takes over no member.
    let key = KeyClient::of(&ada, &["administer_users"]).await;
    let mo = ada.user_path("mo").await;
    key.put(&mo, user_body("mo", &[])).await.problem(403);
    key.put(&format!("{mo}/password"), password())
        .await
        .problem(403);
    key.put(&eve, user_body("eve", &["hydrology"]))
        .await
        .problem(403);
    let same = key.put(&mo, user_body("mo", &["hydrology"])).await;
    assert_eq!(same.status, 200, "{}", same.text());
}

#[tokio::test]
async fn a_password_gives_an_api_key_no_way_around_policies_about_authentication() {
    let server = server_with(
        r#"
@id("admin") @reason("x")
permit (principal in Role::"admin", action, resource);
@id("not-by-key") @reason("x")
forbid (principal, action == Action::"view_audit", resource)
when { context.authentication == Authentication::"api_key" };
"#,
        &[],
    )
    .await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let created = ada.post(KEYS, json!({"name": "whole"})).await.json();
    let key = KeyClient {
        server: &server,
        key: created["key"].as_str().unwrap().to_owned(),
    };
    let me = ada.user_path("ada").await;
    key.put(&format!("{me}/password"), password())
        .await
        .problem(403);
    let by_session = ada.put(&format!("{me}/password"), json!({})).await;
    assert_eq!(by_session.status, 200, "{}", by_session.text());
}
