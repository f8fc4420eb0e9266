//! Restrictions of an API key: actions, datasets, and policies that read the key.

use serde_json::json;

use crate::support::records::records;
use crate::support::server::{
    INTERNAL, PASSWORD, PRIVATE, PUBLIC, RESTRICTED, Server, ServerOptions, TestResponse,
    WITHOUT_FILE,
};

use super::TestCredential::{Key, Session};
use super::{authenticate, create, create_key, list, mint, revoke};

#[tokio::test]
async fn a_key_restricted_to_read_manages_no_keys() {
    let server = Server::start().await;
    let mo = server.session("mo").await;
    let body = json!({"name": "reader", "actions": ["read"]});
    let (id, reader) = create_key(&server, Session(&mo), body).await;
    assert_eq!(mint(&server, RESTRICTED, &reader).await.status, 200);
    let credential = Key(&reader);
    let more = create(&server, credential, json!({"name": "more"})).await;
    more.problem(403);
    list(&server, credential, "").await.problem(403);
    revoke(&server, credential, &id).await.problem(403);
    assert_eq!(mint(&server, RESTRICTED, &reader).await.status, 200);

    let (full_id, full) = create_key(&server, Session(&mo), json!({"name": "full"})).await;
    create_key(&server, Key(&full), json!({"name": "more"})).await;
    assert_eq!(revoke(&server, Key(&full), &id).await.status, 204);
    assert_eq!(revoke(&server, Key(&full), &full_id).await.status, 204);
    revoke(&server, Key(&full), &full_id).await.problem(401);
}

#[tokio::test]
async fn a_key_restricted_to_one_dataset_mints_for_no_other() {
    let server = Server::start().await;
    let olivia = server.session("olivia").await;
    let body = json!({"name": "one", "datasets": [PRIVATE.to_uppercase()]});
    let (id, one) = create_key(&server, Session(&olivia), body).await;
    let token = mint(&server, PRIVATE, &one).await.token();
    assert_eq!(server.download(PRIVATE, &token).await.status, 200);
    for other in [PUBLIC, INTERNAL, RESTRICTED, WITHOUT_FILE] {
        mint(&server, other, &one).await.problem(404);
        let download = server.get(&format!("/datasets/{other}/download/cog"));
        TestResponse::send(authenticate(download, Key(&one)))
            .await
            .problem(404);
    }
    create(&server, Key(&one), json!({"name": "more"}))
        .await
        .problem(403);
    let records = records(&server).await;
    let denied: Vec<_> = records
        .iter()
        .filter(|record| record["key_id"] == *id && record["outcome"] == "denied")
        .collect();
    assert_eq!(denied.len(), 8);
    for record in denied {
        let reason = "the resource is beyond the limit of the API key";
        assert_eq!(record["reason"], reason);
        assert_eq!(record["determining_policies"], json!([]));
    }
}

#[tokio::test]
async fn a_key_without_the_action_read_mints_nothing() {
    let server = Server::start().await;
    let otto = server.session("otto").await;
    let body = json!({"name": "looker", "actions": ["discover"]});
    let (_, looker) = create_key(&server, Session(&otto), body).await;
    mint(&server, PUBLIC, &looker).await.problem(403);
    let reason = "the action is beyond the limit of the API key";
    let records = records(&server).await;
    assert!(records.iter().any(|record| record["reason"] == reason));
}

const KEY_AWARE_POLICIES: &str = r#"
@id("sessions") @reason("x")
permit (principal, action, resource) when { context.authentication == Authentication::"password" };
@id("narrow-keys") @reason("x")
permit (principal, action, resource)
when { context.authentication == Authentication::"api_key" && context has key && context.key has datasets
       && context.key.datasets.contains("2489e9ad-2ee2-8e00-8ec9-32d5f69181c0") };
"#;

#[tokio::test]
async fn policies_see_the_key_at_mint_and_download() {
    let server = Server::start_with(ServerOptions {
        policies: Some(KEY_AWARE_POLICIES),
        ..ServerOptions::default()
    })
    .await;
    let mo = server.session("mo").await;
    let (_, wide) = create_key(&server, Session(&mo), json!({"name": "wide"})).await;
    mint(&server, PUBLIC, &wide).await.problem(404);
    let body = json!({"name": "narrow", "datasets": [PUBLIC]});
    let (_, narrow) = create_key(&server, Session(&mo), body).await;
    let token = mint(&server, PUBLIC, &narrow).await.token();
    assert_eq!(server.download(PUBLIC, &token).await.status, 200);
    assert_eq!(server.login("mo", PASSWORD).await.status, 200);
}
