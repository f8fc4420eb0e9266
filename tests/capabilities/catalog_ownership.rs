//! A catalog file beside administration over HTTP: whose a user is, and what a running server sees of an apply.

use std::fmt::Write;

use cedargate::app::Stores;
use cedargate::domain::clock::Clock;
use cedargate::service::catalog::{
    self, ApplyError, ApplyOptions, ApplyReport, ApplyStep, CatalogFile,
};
use serde_json::json;

use crate::support::admin_client::{AdminClient, USERS};
use crate::support::server::{PASSWORD, Server};

const NEW_ADMIN: &str = "[[users]]\nusername = 'newadmin'\nroles = ['admin']";

async fn try_apply(server: &Server, catalog: &str) -> Result<ApplyReport, ApplyError> {
    let options = ApplyOptions::new(server.clock.clone());
    apply_with(server, catalog, &options).await
}

async fn apply_with(
    server: &Server,
    catalog: &str,
    options: &ApplyOptions<'_>,
) -> Result<ApplyReport, ApplyError> {
    let stores = Stores::open(&server.settings).await.unwrap();
    let file = CatalogFile::parse("catalog.toml", catalog, std::path::Path::new("."));
    let Stores {
        database,
        files,
        passwords,
    } = &stores;
    let applied = catalog::apply(database, files, passwords, &file, options).await;
    database.close().await;
    applied
}

#[tokio::test]
async fn a_user_created_over_http_gets_no_role_from_a_catalog_file() {
    let server = Server::start().await;
    let admin = AdminClient::sign_in(&server, "ada").await;
    let newadmin = json!({"username": "newadmin", "password": "of the helpdesk"});
    assert_eq!(admin.post(USERS, newadmin).await.status, 201);
    let applied = try_apply(&server, NEW_ADMIN).await;
    assert!(
        matches!(applied, Err(ApplyError::NeedsAdoption(_))),
        "{applied:?}"
    );
    let session = server.login("newadmin", "of the helpdesk").await.json();
    let newadmin = AdminClient {
        server: &server,
        session: session["access_token"].as_str().unwrap().to_owned(),
    };
    assert_eq!(newadmin.get(USERS).await.status, 403);
}

#[tokio::test]
async fn a_user_of_the_file_that_was_renamed_over_http_is_not_the_files_any_more() {
    let server = Server::start().await;
    let admin = AdminClient::sign_in(&server, "ada").await;
    let user = format!("[[users]]\nusername = 'carl'\npassword = '{PASSWORD}'");
    try_apply(&server, &user).await.unwrap();
    let path = admin.user_path("carl").await;
    let shown = admin.get(&path).await;
    let mut body = shown.json();
    body["username"] = json!("newadmin");
    for member in ["id", "issuer", "has_password"] {
        body.as_object_mut().unwrap().remove(member);
    }
    let request = admin.request(reqwest::Method::PUT, &path);
    let request = request.header("If-Match", shown.header("etag")).json(&body);
    let renamed = request.send().await.unwrap();
    assert_eq!(renamed.status(), 200, "{}", renamed.text().await.unwrap());
    let applied = try_apply(&server, NEW_ADMIN).await;
    assert!(
        matches!(applied, Err(ApplyError::NeedsAdoption(_))),
        "{applied:?}"
    );
}

#[tokio::test]
async fn a_running_server_sees_nothing_of_a_large_catalog_that_is_staged() {
    let server = Server::start().await;
    let ids: Vec<_> = (0..600)
        .map(|number| format!("7a89e9ad-2ee2-8e00-8ec9-{number:012x}"))
        .collect();
    let mut text = String::new();
    for id in &ids {
        write!(
            text,
            "[[datasets]]\nid = '{id}'\ntitle = 't'\nvisibility = 'public'\n\
             record_status = 'published'\n"
        )
        .unwrap();
    }
    let (first, last) = (ids.first().unwrap(), ids.last().unwrap());
    let statuses = async || {
        let first = server.get(&format!("/datasets/{first}")).send().await;
        let last = server.get(&format!("/datasets/{last}")).send().await;
        (first.unwrap().status(), last.unwrap().status())
    };
    let (sender, mut stagings) = tokio::sync::mpsc::unbounded_channel();
    let progress = move |progress: catalog::ApplyProgress| {
        if progress.step == ApplyStep::Staging {
            sender.send(()).unwrap();
        }
    };
    let options = ApplyOptions {
        progress: &progress,
        ..ApplyOptions::new(Clock::system())
    };
    let applying = apply_with(&server, &text, &options);
    tokio::pin!(applying);
    let report = loop {
        tokio::select! {
            applied = &mut applying => break applied.unwrap(),
            _ = stagings.recv() => {
                let (first, last) = statuses().await;
                assert_eq!((first.as_u16(), last.as_u16()), (404, 404));
            }
        }
    };
    assert_eq!(report.lines.len(), ids.len());
}
