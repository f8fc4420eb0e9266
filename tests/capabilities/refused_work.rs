//! A caller who is refused costs the others nothing: it is refused before the work begins.

use reqwest::Method;
use serde_json::{Value, json};

use crate::admin_datasets::dataset_path;
use crate::support::admin_client::{AdminClient, USERS};
use crate::support::server::{PRIVATE, PUBLIC, Server, ServerOptions, TestResponse, UNKNOWN};
use crate::support::sqlite;

const DATASETS: &str = "/admin/datasets";

/// As many readers as a request may name.
const MAX_READERS: usize = 1000;

fn widely_shared(readers: usize) -> Value {
    let names = |letter: char| -> Vec<String> {
        (0..readers)
            .map(|number| format!("{letter}{number}"))
            .collect()
    };
    json!({
        "title": "x", "visibility": "private", "record_status": "draft",
        "reader_users": names('u'), "reader_roles": names('r'),
    })
}

/// Nothing that the refused requests would have needed can be read any more: only the decision is left.
#[tokio::test]
async fn a_refused_caller_is_refused_before_names_and_datasets_are_read() {
    let server = Server::start().await;
    let otto = AdminClient::sign_in(&server, "otto").await;
    for dataset in [PRIVATE, PUBLIC, UNKNOWN] {
        otto.get(&dataset_path(dataset)).await.problem(403);
    }
    let database = server.folder.path().join("cedargate.db");
    sqlite::execute(
        &database,
        "DROP VIEW datasets_with_names; DROP VIEW users_with_roles;",
    )
    .await;
    let refused = [
        otto.post(DATASETS, widely_shared(MAX_READERS)).await,
        otto.put(&dataset_path(PRIVATE), widely_shared(MAX_READERS))
            .await,
        otto.put(&dataset_path(UNKNOWN), widely_shared(MAX_READERS))
            .await,
        otto.get(&dataset_path(PRIVATE)).await,
        otto.get(&dataset_path(UNKNOWN)).await,
        otto.delete(&dataset_path(PUBLIC)).await,
        otto.delete(&format!("{}/file", dataset_path(PUBLIC))).await,
        otto.put(
            &format!("{}/shares/users/mo", dataset_path(PUBLIC)),
            json!({}),
        )
        .await,
        otto.post(
            &format!("{}/file/import", dataset_path(PUBLIC)),
            json!({"path": "x"}),
        )
        .await,
    ];
    for (number, response) in refused.iter().enumerate() {
        let status = response.status;
        // No route of this name: then 404 comes from the router.
        assert!(status == 403, "{number}: {status} {}", response.text());
    }
}

#[tokio::test]
async fn a_caller_who_administers_by_its_shares_is_decided_on_all_readers() {
    let server = Server::start_with(ServerOptions {
        policies: Some(
            r#"
@id("admin") @reason("x") permit (principal in Role::"admin", action, resource);
@id("reader") @reason("x")
permit (principal is User, action == Action::"administer", resource)
when { principal in resource.reader_roles };
"#,
        ),
        ..ServerOptions::default()
    })
    .await;
    let mo = AdminClient::sign_in(&server, "mo").await;
    let mut body = json!({"title": "x", "visibility": "private", "record_status": "draft"});
    mo.post(DATASETS, body.clone()).await.problem(403);
    body["reader_roles"] = json!(["hydrology"]);
    assert_eq!(mo.post(DATASETS, body.clone()).await.status, 201);
    body["reader_roles"] = json!(["admin"]);
    mo.post(DATASETS, body).await.problem(403);
}

#[tokio::test]
async fn a_dataset_is_shared_with_at_most_a_thousand_users_and_roles() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let many = ada.post(DATASETS, widely_shared(MAX_READERS + 1)).await;
    many.problem(422);
    let unknown = ada.post(DATASETS, widely_shared(MAX_READERS)).await;
    assert_eq!(unknown.problem_field(422), "reader_roles");
}

#[tokio::test]
async fn changes_of_administrators_go_on_while_many_callers_are_refused() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let otto = AdminClient::sign_in(&server, "otto").await;
    let refused = (0..60).map(|_| {
        let body = widely_shared(MAX_READERS);
        TestResponse::send(otto.request(Method::POST, DATASETS).json(&body))
    });
    let refused = futures_util::future::join_all(refused);
    let create = async {
        for number in 0..5 {
            let role = json!({"name": format!("role-{number}")});
            let response = ada.post("/admin/roles", role).await;
            assert_eq!(response.status, 201, "{}", response.text());
        }
        ada.get(USERS).await
    };
    let (refused, users) = tokio::join!(refused, create);
    assert_eq!(users.status, 200);
    for response in refused {
        response.problem(403);
    }
}
