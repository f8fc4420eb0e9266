//! What was decided when a long upload began is decided again when it has arrived.

use futures_util::stream;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::admin_datasets::dataset_path;
use crate::support::admin_client::{AdminClient, USERS};
use crate::support::server::{CATALOG, PASSWORD, PUBLIC, Server, ServerOptions, TestResponse};
use crate::support::tiff::test_tiff;
use crate::support::{WAIT_TIMEOUT, eventually};

/// Policies under which a role administers datasets until an hour.
const POLICIES: &str = r#"
@id("admin") @reason("x")
permit (principal in Role::"admin", action, resource);
@id("curator") @reason("x")
permit (principal in Role::"curator", action == Action::"administer", resource)
unless { context.time > datetime("2100-01-01T00:00:00Z") };
"#;

async fn server() -> Server {
    let curator = format!(
        "[[roles]]\nname = \"curator\"\n[[users]]\nusername = \"cora\"\n\
         password = \"{PASSWORD}\"\nroles = [\"curator\"]\n"
    );
    Server::start_with(ServerOptions {
        catalog: Some([CATALOG, &curator].concat()),
        policies: Some(POLICIES),
        ..ServerOptions::default()
    })
    .await
}

fn incoming_files(server: &Server) -> usize {
    let mut count = 0;
    let mut folders = vec![server.folder.path().join("files/incoming")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else if !entry.file_name().as_encoded_bytes().starts_with(b".") {
                count += 1;
            }
        }
    }
    count
}

/// Uploads a file for PUBLIC; `meanwhile` runs when the server has received a part of it.
async fn upload_while(
    server: &Server,
    authorize: impl FnOnce(reqwest::RequestBuilder) -> reqwest::RequestBuilder,
    meanwhile: impl AsyncFnOnce(),
) -> TestResponse {
    let url = format!("{}{}/file", server.url, dataset_path(PUBLIC));
    let (send, receive) = mpsc::channel::<Vec<u8>>(4);
    let chunks = stream::unfold(receive, async |mut receive| {
        let chunk = receive.recv().await?;
        Some((Ok::<_, std::io::Error>(chunk), receive))
    });
    let request = server
        .http
        .request(Method::PUT, url)
        .header("content-type", "image/tiff")
        .body(reqwest::Body::wrap_stream(chunks));
    let uploading = tokio::spawn(TestResponse::send(authorize(request)));
    send.send(test_tiff(300_000)).await.unwrap();
    eventually(async || incoming_files(server) == 1).await;
    meanwhile().await;
    send.send(vec![8; 1000]).await.unwrap();
    drop(send);
    uploading.await.unwrap()
}

async fn file_of_public(ada: &AdminClient<'_>) -> Value {
    ada.get(&dataset_path(PUBLIC)).await.json()["file"].clone()
}

#[tokio::test]
async fn an_upload_of_a_user_who_was_disabled_meanwhile_changes_nothing() {
    let server = server().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let before = file_of_public(&ada).await;
    let cora = server.session("cora").await;
    let path = ada.user_path("cora").await;
    let disable = async || {
        let disabled = json!({"username": "cora", "roles": ["curator"], "is_disabled": true});
        assert_eq!(ada.put(&path, disabled).await.status, 200);
    };
    let response = upload_while(&server, |request| request.bearer_auth(cora), disable).await;
    response.problem(401);
    assert_eq!(file_of_public(&ada).await, before);
    assert_eq!(incoming_files(&server), 0);
}

#[tokio::test]
async fn an_upload_of_a_user_who_lost_its_role_meanwhile_changes_nothing() {
    let server = server().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let before = file_of_public(&ada).await;
    let cora = server.session("cora").await;
    let path = ada.user_path("cora").await;
    let demote = async || {
        let demoted = json!({"username": "cora", "roles": [], "is_disabled": false});
        assert_eq!(ada.put(&path, demoted).await.status, 200);
    };
    let response = upload_while(&server, |request| request.bearer_auth(cora), demote).await;
    response.problem(403);
    assert_eq!(file_of_public(&ada).await, before);
}

#[tokio::test]
async fn an_upload_in_a_session_that_ended_meanwhile_changes_nothing() {
    let server = server().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let before = file_of_public(&ada).await;
    let cora = server.session("cora").await;
    let id = ada.user_id("cora").await;
    let end = async || {
        let ended = ada.delete(&format!("{USERS}/{id}/sessions")).await;
        assert_eq!(ended.status, 204);
    };
    let response = upload_while(&server, |request| request.bearer_auth(cora), end).await;
    response.problem(401);
    assert_eq!(file_of_public(&ada).await, before);
}

#[tokio::test]
async fn an_upload_outlives_its_session_token_but_not_its_session() {
    let server = server().await;
    let token = server.session("cora").await;
    let later = async || server.clock.advance(16 * 60 * 1000);
    let response = upload_while(&server, |request| request.bearer_auth(&token), later).await;
    assert_eq!(response.status, 200, "{}", response.text());
    let again = TestResponse::send(server.get("/auth/me").bearer_auth(&token)).await;
    again.problem(401);
}

#[tokio::test]
async fn an_upload_with_an_api_key_that_was_revoked_or_expired_meanwhile_changes_nothing() {
    let server = server().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let before = file_of_public(&ada).await;
    let cora = AdminClient::sign_in(&server, "cora").await;
    let expires_at = server.clock.unix_seconds() + 600;
    let expires_at = chrono::DateTime::from_timestamp(expires_at, 0).unwrap();
    let body = json!({"name": "k", "expires_at": expires_at.to_rfc3339()});
    let key = cora.post("/auth/api-keys", body).await.json();
    let with_key = |request: reqwest::RequestBuilder| {
        request.header("x-api-key", key["key"].as_str().unwrap())
    };
    let later = async || server.clock.advance(601 * 1000);
    upload_while(&server, with_key, later).await.problem(401);

    let key = cora
        .post("/auth/api-keys", json!({"name": "k"}))
        .await
        .json();
    let with_key = |request: reqwest::RequestBuilder| {
        request.header("x-api-key", key["key"].as_str().unwrap())
    };
    let revoke = async || {
        let path = format!("/auth/api-keys/{}", key["id"].as_str().unwrap());
        assert_eq!(cora.delete(&path).await.status, 204);
    };
    upload_while(&server, with_key, revoke).await.problem(401);
    let ada = AdminClient::sign_in(&server, "ada").await;
    assert_eq!(file_of_public(&ada).await, before);
}

#[tokio::test]
async fn an_upload_that_new_policies_forbid_meanwhile_changes_nothing() {
    let server = server().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let before = file_of_public(&ada).await;
    let cora = server.session("cora").await;
    let forbid = async || {
        let folder = server.folder.path().join("policies");
        let more = "@id(\"closed\") @reason(\"x\")\nforbid (principal in Role::\"curator\", \
                    action == Action::\"administer\", resource);\n";
        std::fs::write(folder.join("more.cedar"), more).unwrap();
        let reloaded = ada.post("/admin/policies/reload", json!({})).await;
        assert_eq!(reloaded.status, 200, "{}", reloaded.text());
    };
    let response = upload_while(&server, |request| request.bearer_auth(cora), forbid).await;
    response.problem(403);
    assert_eq!(file_of_public(&ada).await, before);
}

#[tokio::test]
async fn an_upload_that_arrives_when_the_policies_do_not_permit_it_any_more_changes_nothing() {
    let server = server().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let before = file_of_public(&ada).await;
    let day = 24 * 3600 * 1000;
    let until_2100 = 4_102_444_800_000 - server.clock.unix_millis();
    server.clock.advance(until_2100 - day);
    let cora = server.session("cora").await;
    let past_the_hour = async || server.clock.advance(day + 2000);
    let response = upload_while(&server, |request| request.bearer_auth(cora), past_the_hour).await;
    response.problem(403);
    let ada = AdminClient::sign_in(&server, "ada").await;
    assert_eq!(file_of_public(&ada).await, before);
}

/// Twenty changes at once are all made, whatever they wait for.
#[tokio::test]
async fn many_administrators_change_the_catalog_at_once() {
    let server = server().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let creating = (0..20).map(|number| {
        let role = json!({"name": format!("role-{number}")});
        TestResponse::send(ada.request(Method::POST, "/admin/roles").json(&role))
    });
    let created =
        tokio::time::timeout(WAIT_TIMEOUT, futures_util::future::join_all(creating)).await;
    for response in created.unwrap() {
        assert_eq!(response.status, 201, "{}", response.text());
    }
}
