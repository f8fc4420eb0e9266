//! Publishing: a draft comes into force through the policy gate, and the policy folder has it, or nothing changes.

mod conflicts;
mod interrupted;
mod judging;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::policy_reload::{health, public_policy_with_ttl};
use crate::support::admin_client::AdminClient;
use crate::support::cli::copy_of_shipped_policies;
use crate::support::events::last_event;
use crate::support::records::records;
use crate::support::server::{CATALOG, PASSWORD, PUBLIC, Server, ServerOptions, TestResponse};

const DRAFTS: &str = "/admin/policies/drafts";

/// An author who may see the policies and not publish.
const VIEWER: &str = "@id(\"viewer\") @reason(\"x\")\n\
    permit (principal in Role::\"hydrology\", action == Action::\"view_policies\", resource);\n";

/// A server that publishes to a copy of the shipped policies; `eve` is an admin as `ada` is.
async fn publishing_server() -> (TempDir, Server) {
    let folder = copy_of_shipped_policies();
    fs::write(folder.path().join("viewer.cedar"), VIEWER).unwrap();
    let server = server_on(folder.path(), "allow").await;
    (folder, server)
}

async fn server_on(folder: &Path, writes: &str) -> Server {
    let eve =
        format!("[[users]]\nusername = \"eve\"\npassword = \"{PASSWORD}\"\nroles = [\"admin\"]\n");
    Server::start_with(ServerOptions {
        environment: vec![
            ("CEDARGATE_POLICY_DIR", folder.display().to_string()),
            ("CEDARGATE_POLICY_WRITES", writes.to_owned()),
            ("CEDARGATE_GATE_PROOFS", "off".to_owned()),
        ],
        catalog: Some([CATALOG, &eve].concat()),
        ..ServerOptions::default()
    })
    .await
}

/// The visible files of a policy folder.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                files.insert(name, fs::read_to_string(path).unwrap());
            }
        }
    }
    files
}

async fn folder_revision(client: &AdminClient<'_>) -> String {
    let policies = client.get("/admin/policies").await.json();
    let revision = policies["in_force"]["folder_revision"].as_str().unwrap();
    revision.to_owned()
}

/// A new draft with these files laid over what is in force.
async fn draft(client: &AdminClient<'_>, files: Value) -> String {
    let created = client.post(DRAFTS, json!({"files": files})).await;
    assert_eq!(created.status, 201, "{}", created.text());
    created.json()["id"].as_str().unwrap().to_owned()
}

/// Publishes the newest version of a draft, as far as the client sees it.
async fn publish(client: &AdminClient<'_>, draft: &str, replaces: &str) -> TestResponse {
    let shown = client.get(&format!("{DRAFTS}/{draft}")).await.json();
    let version = shown["version"].as_u64().unwrap_or(1);
    publish_version(client, (draft, version), replaces).await
}

async fn publish_version(
    client: &AdminClient<'_>,
    (draft, version): (&str, u64),
    replaces: &str,
) -> TestResponse {
    let path = format!("{DRAFTS}/{draft}/publish?version={version}");
    let request = client.request(Method::POST, &path);
    TestResponse::send(request.header("If-Match", format!("\"{replaces}\""))).await
}

async fn published(client: &AdminClient<'_>, draft: &str) -> Value {
    let replaces = folder_revision(client).await;
    last_event(&publish(client, draft, &replaces).await, "published")
}

#[tokio::test]
async fn a_published_draft_is_in_force_in_the_folder_and_on_record_with_who() {
    let (folder, server) = publishing_server().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let in_force = ada.get("/admin/policies").await.json();
    assert_eq!(in_force["can_publish"], true);
    assert!(in_force["publish_refusal"].is_null());
    let edit = json!({
        "public.cedar": public_policy_with_ttl(50),
        "viewer.cedar": null,
        "more/internal.cedar": "// nothing\n",
    });
    let draft = draft(&ada, edit).await;
    let event = published(&ada, &draft).await;
    assert_eq!(event["is_changed"], true);
    assert_eq!(event["folder_revision"], folder_revision(&ada).await);
    assert_eq!(event["revision"], health(&server).await["revision"]);
    assert_eq!(server.mint(PUBLIC, None).await.json()["expires_in"], 50);
    let now = files(folder.path());
    assert_eq!(now["public.cedar"], public_policy_with_ttl(50));
    assert_eq!(now["more/internal.cedar"], "// nothing\n");
    assert!(!now.contains_key("viewer.cedar"));
    assert!(now.keys().all(|name| !name.contains(".cedargate")));
    let policies = ada.get("/admin/policies").await.json();
    assert!(policies["refused"].is_null());
    let user = ada.user_id("ada").await;
    let records = records(&server).await;
    let reloads: Vec<&Value> = records
        .iter()
        .filter(|record| record["event"] == "policy_reload")
        .collect();
    let [reload] = *reloads else {
        panic!("{reloads:?}");
    };
    let reason = reload["reason"].as_str().unwrap();
    assert!(
        reason.ends_with(&format!("; published by user {user}")),
        "{reason}"
    );
    let mut operations = records.iter();
    let operation = operations.find(|record| record["action"] == "edit_policies");
    let operation = operation.unwrap();
    assert_eq!(operation["outcome"], "granted");
    assert_eq!(operation["user_id"], user);
    let summary = operation["reason"].as_str().unwrap();
    assert!(summary.contains("published: policy folder"), "{summary}");
    // The server was told nothing of it by the folder.
    let reload = ada.post("/admin/policies/reload", json!({})).await.json();
    assert_eq!(reload["is_changed"], false);
}

#[tokio::test]
async fn a_draft_that_the_policy_gate_refuses_changes_nothing() {
    let (folder, server) = publishing_server().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let before = (files(folder.path()), folder_revision(&ada).await);
    let broken = "@id(\"x\") permit (principal, action, resorce);\n";
    let open = fs::read_to_string(folder.path().join("internal.cedar")).unwrap();
    let cases = [
        (json!({"broken.cedar": broken}), "it is not valid"),
        (
            json!({"internal.cedar": open.replace("&&", "||")}),
            "its cases are not met",
        ),
    ];
    for (edit, reason) in cases {
        let draft = draft(&ada, edit).await;
        let response = publish(&ada, &draft, &before.1).await;
        let refused = last_event(&response, "refused");
        assert_eq!(refused["reason"], reason);
        assert!(!refused["details"].as_array().unwrap().is_empty());
        assert_eq!((files(folder.path()), folder_revision(&ada).await), before);
    }
    assert_eq!(health(&server).await["status"], "ready");
    let records = records(&server).await;
    let refused = records
        .iter()
        .filter(|record| record["action"] == "edit_policies" && record["outcome"] == "refused");
    assert_eq!(refused.count(), 2);
    assert!(
        records
            .iter()
            .all(|record| record["event"] != "policy_reload")
    );
}

#[tokio::test]
async fn whoever_may_read_the_audit_log_alone_is_not_told_what_a_refused_draft_says() {
    let folder = copy_of_shipped_policies();
    let auditor = VIEWER.replace("view_policies", "view_audit");
    fs::write(folder.path().join("auditor.cedar"), auditor).unwrap();
    let server = server_on(folder.path(), "allow").await;
    let (ada, mo) = (
        AdminClient::sign_in(&server, "ada").await,
        AdminClient::sign_in(&server, "mo").await,
    );
    let broken = "@id(\"x\") permit (principal, action, said_in_the_draft);\n";
    let draft = draft(&ada, json!({"broken.cedar": broken})).await;
    let response = publish(&ada, &draft, &folder_revision(&ada).await).await;
    last_event(&response, "refused");
    mo.get("/admin/policies").await.problem(403);
    for (reader, is_told) in [(&ada, true), (&mo, false)] {
        let page = reader.get("/admin/audit?outcome=refused").await.json();
        let record = &page["items"][0];
        assert_eq!(record["action"], "edit_policies");
        let reason = record["reason"].as_str().unwrap();
        assert!(reason.contains("it is not valid"), "{reason}");
        assert_eq!(reason.contains("said_in_the_draft"), is_told, "{reason}");
        assert_eq!(reason.contains("broken.cedar"), is_told, "{reason}");
    }
}

#[tokio::test]
async fn a_draft_that_an_operator_would_have_to_accept_says_how_that_is_done() {
    let folder = copy_of_shipped_policies();
    let server = Server::start_with(ServerOptions {
        environment: vec![
            ("CEDARGATE_POLICY_DIR", folder.path().display().to_string()),
            ("CEDARGATE_POLICY_WRITES", "allow".to_owned()),
            ("CEDARGATE_GATE_PROOFS", "off".to_owned()),
            ("CEDARGATE_GATE_INVARIANTS", "locked".to_owned()),
        ],
        ..ServerOptions::default()
    })
    .await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let draft = draft(&ada, json!({"invariants/shares.cedar": null})).await;
    let now = folder_revision(&ada).await;
    let refused = last_event(&publish(&ada, &draft, &now).await, "refused");
    let details = refused["details"].as_array().unwrap();
    let advice = details.last().unwrap().as_str().unwrap();
    assert!(advice.contains("apply its patch"), "{details:?}");
}

#[tokio::test]
async fn the_second_of_two_authors_is_told_what_changed_beneath_and_loses_nothing() {
    let (folder, server) = publishing_server().await;
    let (ada, eve) = (
        AdminClient::sign_in(&server, "ada").await,
        AdminClient::sign_in(&server, "eve").await,
    );
    let base = folder_revision(&ada).await;
    let first = draft(&ada, json!({"public.cedar": public_policy_with_ttl(50)})).await;
    let second = draft(&eve, json!({"more.cedar": "// of eve\n"})).await;
    last_event(&publish(&ada, &first, &base).await, "published");
    let now = folder_revision(&ada).await;
    // The draft is made from what was before, whichever revision the request names.
    for replaces in [&base, &now] {
        let detail = publish(&eve, &second, replaces).await.problem(412);
        assert!(
            detail.contains(&now) && detail.contains("published by ada"),
            "{detail}"
        );
        assert!(detail.contains("rebase"), "{detail}");
    }
    assert!(!folder.path().join("more.cedar").exists());
    let path = format!("{DRAFTS}/{second}/rebase");
    let rebased = ada.server.http.post(format!("{}{path}", server.url));
    let rebased = TestResponse::send(rebased.bearer_auth(&eve.session)).await;
    assert_eq!(rebased.json()["conflicts"], json!([]), "{}", rebased.text());
    last_event(&publish(&eve, &second, &now).await, "published");
    let files = files(folder.path());
    assert_eq!(files["public.cedar"], public_policy_with_ttl(50));
    assert_eq!(files["more.cedar"], "// of eve\n");
}

#[tokio::test]
async fn an_edit_that_is_under_way_in_the_folder_is_not_overwritten() {
    let (folder, server) = publishing_server().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let base = folder_revision(&ada).await;
    let draft = draft(&ada, json!({"public.cedar": public_policy_with_ttl(50)})).await;
    fs::write(folder.path().join("broken.cedar"), "permit (").unwrap();
    let before = files(folder.path());
    let detail = publish(&ada, &draft, &base).await.problem(409);
    assert!(detail.contains("nothing was overwritten"), "{detail}");
    assert_eq!(files(folder.path()), before);
    assert_eq!(folder_revision(&ada).await, base);
    fs::remove_file(folder.path().join("broken.cedar")).unwrap();
    last_event(&publish(&ada, &draft, &base).await, "published");
}

#[tokio::test]
async fn only_who_may_edit_policies_publishes_its_own_drafts_and_says_what_they_replace() {
    let (folder, server) = publishing_server().await;
    let (ada, mo) = (
        AdminClient::sign_in(&server, "ada").await,
        AdminClient::sign_in(&server, "mo").await,
    );
    let before = (files(folder.path()), folder_revision(&ada).await);
    let edit = || json!({"public.cedar": public_policy_with_ttl(50)});
    let of_mo = draft(&mo, edit()).await;
    let detail = publish(&mo, &of_mo, &before.1).await.problem(403);
    assert!(detail.contains("edit_policies"), "{detail}");
    let of_ada = draft(&ada, edit()).await;
    publish(&mo, &of_ada, &before.1).await.problem(404);
    publish(&ada, &of_mo, &before.1).await.problem(404);
    let path = format!("{DRAFTS}/{of_ada}/publish");
    ada.post(&path, json!({})).await.problem(422);
    ada.post(&format!("{path}?version=1"), json!({}))
        .await
        .problem(428);
    publish(&ada, &of_ada, &"0".repeat(64)).await.problem(412);
    assert_eq!((files(folder.path()), folder_revision(&ada).await), before);
    let policies = mo.get("/admin/policies").await.json();
    assert_eq!(policies["can_publish"], false);
    let refusal = policies["publish_refusal"].as_str().unwrap();
    assert!(refusal.contains("edit_policies"), "{refusal}");
}

#[tokio::test]
async fn a_server_publishes_only_if_its_settings_say_so_and_it_has_a_folder() {
    let folder = copy_of_shipped_policies();
    let before = files(folder.path());
    for (server, why) in [
        (server_on(folder.path(), "deny").await, "policy_writes"),
        (
            Server::start_with(ServerOptions {
                environment: vec![("CEDARGATE_POLICY_WRITES", "allow".to_owned())],
                ..ServerOptions::default()
            })
            .await,
            "inside the program",
        ),
    ] {
        let ada = AdminClient::sign_in(&server, "ada").await;
        let draft = draft(&ada, json!({"public.cedar": public_policy_with_ttl(50)})).await;
        let replaces = folder_revision(&ada).await;
        let detail = publish(&ada, &draft, &replaces).await.problem(409);
        assert!(detail.contains(why), "{detail}");
        let policies = ada.get("/admin/policies").await.json();
        assert_eq!(policies["can_publish"], false);
        assert_eq!(policies["publish_refusal"], detail);
    }
    assert_eq!(files(folder.path()), before);
}
