//! Administration of shares: add and remove, in force immediately.

use serde_json::json;

use crate::admin_datasets::dataset_path;
use crate::support::admin_client::AdminClient;
use crate::support::server::{PUBLIC, RESTRICTED, Server, TestResponse};

#[tokio::test]
async fn a_share_grants_access_until_removed_and_both_are_idempotent() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let otto = server.session("otto").await;
    let shares = dataset_path(RESTRICTED) + "/shares";
    let of_otto = format!("{shares}/users/otto");
    server.mint(RESTRICTED, Some(&otto)).await.problem(403);
    for _ in 0..2 {
        let added = ada.put(&of_otto, json!({})).await;
        assert_eq!(
            added.json(),
            json!({"users": ["otto"], "roles": ["hydrology"]})
        );
        assert_eq!(ada.get(&shares).await.header("etag"), added.header("etag"));
    }
    let token = server.mint(RESTRICTED, Some(&otto)).await.token();
    assert_eq!(server.download(RESTRICTED, &token).await.status, 200);
    for _ in 0..2 {
        let withdrawn = ada.delete(&of_otto).await;
        assert_eq!(
            withdrawn.json(),
            json!({"users": [], "roles": ["hydrology"]})
        );
    }
    server.download(RESTRICTED, &token).await.problem(403);

    let mo = server.session("mo").await;
    assert_eq!(server.mint(RESTRICTED, Some(&mo)).await.status, 200);
    let of_role = format!("{shares}/roles/hydrology");
    assert_eq!(ada.delete(&of_role).await.status, 200);
    server.mint(RESTRICTED, Some(&mo)).await.problem(403);
    assert_eq!(ada.put(&of_role, json!({})).await.status, 200);
    assert_eq!(server.mint(RESTRICTED, Some(&mo)).await.status, 200);

    let unknown = |kind: &str| format!("{shares}/{kind}/nobody");
    ada.put(&unknown("users"), json!({})).await.problem(404);
    ada.put(&unknown("roles"), json!({})).await.problem(404);
    assert_eq!(ada.delete(&unknown("users")).await.status, 200);
    ada.put(&format!("{shares}/users/No%20Name"), json!({}))
        .await
        .problem(422);
}

#[tokio::test]
async fn a_share_of_an_old_version_is_refused() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let shares = dataset_path(PUBLIC) + "/shares";
    let old_etag = ada.get(&shares).await.header("etag").to_owned();
    let share = |etag: &str| {
        let request = ada.request(reqwest::Method::PUT, &format!("{shares}/users/otto"));
        TestResponse::send(request.header("if-match", etag))
    };
    let added = share(&old_etag).await;
    assert_eq!(added.status, 200, "{}", added.text());
    share(&old_etag).await.problem(412);
    assert_eq!(share(added.header("etag")).await.status, 200);
}
