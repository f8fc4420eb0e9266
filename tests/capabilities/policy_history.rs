//! The history of the policies over HTTP: what came into force, and what the policies were needed for.

use std::fs;
use std::path::Path;

use cedargate::policy::Bundle;
use serde_json::{Value, json};

use crate::policy_reload::{health, public_policy_with_ttl, reload, server_on};
use crate::support::admin_client::AdminClient;
use crate::support::cli::copy_of_shipped_policies;
use crate::support::eventually;
use crate::support::server::{
    PRIVATE, PUBLIC, RESTRICTED, Server, ServerOptions, TestResponse, UNKNOWN,
};

const REVISIONS: &str = "/admin/policies/revisions";
const USAGE: &str = "/admin/policies/usage";

async fn edit_public_policy(server: &Server, admin: &AdminClient<'_>, folder: &Path, ttl: u32) {
    fs::write(folder.join("public.cedar"), public_policy_with_ttl(ttl)).unwrap();
    server.clock.advance(1000);
    let reloaded = reload(server, &admin.session).await;
    assert_eq!(reloaded.status, 200, "{}", reloaded.text());
}

#[tokio::test]
async fn each_folder_that_comes_into_force_is_in_the_history_with_what_it_changed() {
    let folder = copy_of_shipped_policies();
    let server = server_on(folder.path(), "require", "off").await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    edit_public_policy(&server, &ada, folder.path(), 50).await;
    fs::write(folder.path().join("more.cases.json"), "[]\n").unwrap();
    reload(&server, &ada.session).await;
    // A refused edit is no revision.
    fs::write(folder.path().join("broken.cedar"), "permit (principal").unwrap();
    reload(&server, &ada.session).await.problem(409);

    let page = ada.get(&format!("{REVISIONS}?limit=2")).await.json();
    let items = page["items"].as_array().unwrap();
    assert_eq!(page["next"], 2);
    let rest = ada.get(&format!("{REVISIONS}?before=2")).await.json();
    assert_eq!(rest.get("next"), None);
    let start = &rest["items"][0];
    assert_eq!(start["origin"], "start");
    assert_eq!(start["id"], 1);
    assert_eq!(start["summary"], "the first policies");
    let (cases, edit) = (&items[0], &items[1]);
    assert_eq!(
        (&edit["files"], &edit["policies"]),
        (
            &json!([{"name": "public.cedar", "change": "changed"}]),
            &json!([{"id": "public", "change": "changed"}])
        )
    );
    assert_eq!(edit["origin"], "folder");
    assert_eq!(edit["summary"], "policy `public` changed");
    assert_eq!(cases["policies"], json!([]));
    assert_eq!(
        cases["summary"],
        "no policy says anything else; file `more.cases.json` added"
    );
    assert_eq!(cases["revision"], edit["revision"]);

    let policies = ada.get("/admin/policies").await.json();
    assert_eq!(
        policies["in_force"]["folder_revision"],
        cases["folder_revision"]
    );
    assert_eq!(policies["in_force_since"], cases["in_force_at"]);
    assert_eq!(policies["origin"], "folder");

    let path = format!("{REVISIONS}/{}", edit["folder_revision"].as_str().unwrap());
    let one = ada.get(&path).await.json();
    let diff = one["patch"].as_str().unwrap();
    assert!(
        diff.starts_with("diff --git a/policies/public.cedar b/policies/public.cedar\n"),
        "{diff}"
    );
    assert!(diff.contains("\n+@max_ttl(\"50\")\n"), "{diff}");
    ada.get(&format!("{REVISIONS}/{}", "0".repeat(64)))
        .await
        .problem(404);
}

#[tokio::test]
async fn a_restart_with_the_same_policies_is_no_revision_and_a_draft_can_start_from_an_old_one() {
    let folder = copy_of_shipped_policies();
    let server = server_on(folder.path(), "require", "off").await;
    {
        let ada = AdminClient::sign_in(&server, "ada").await;
        edit_public_policy(&server, &ada, folder.path(), 50).await;
    }
    let server = server.restarted().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let page = ada.get(REVISIONS).await.json();
    let items = page["items"].as_array().unwrap();
    assert_eq!(items.len(), 2, "{page}");
    let first = items[1]["folder_revision"].as_str().unwrap();
    let draft = ada
        .post("/admin/policies/drafts", json!({"from": first}))
        .await;
    assert_eq!(draft.status, 201, "{}", draft.text());
    let draft = draft.json();
    assert_eq!(draft["folder_revision"], first);
    let changed: Vec<&Value> = draft["files"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|file| file["change"] != "unchanged")
        .map(|file| &file["name"])
        .collect();
    assert_eq!(changed, ["public.cedar"]);
    let unknown = json!({"from": "0".repeat(64)});
    ada.post("/admin/policies/drafts", unknown)
        .await
        .problem(404);
}

#[tokio::test]
async fn servers_that_share_a_database_keep_one_revision_of_an_edit() {
    let folder = copy_of_shipped_policies();
    let server = server_on(folder.path(), "require", "off").await;
    let replica = server.replica().await;
    fs::write(
        folder.path().join("public.cedar"),
        public_policy_with_ttl(50),
    )
    .unwrap();
    let revision = Bundle::load(folder.path()).unwrap().revision().to_string();
    for one in [&server, &replica] {
        eventually(async || health(one).await["revision"] == revision).await;
    }
    let ada = AdminClient::sign_in(&replica, "ada").await;
    let page = ada.get(REVISIONS).await.json();
    let origins: Vec<&Value> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["origin"])
        .collect();
    assert_eq!(origins, ["folder", "start"], "{page}");
    assert_eq!(page["items"][0]["revision"], revision);
}

#[tokio::test]
async fn usage_counts_decisions_by_time_and_policy_and_names_what_is_denied_most() {
    let server = Server::start().await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let mo = server.session("mo").await;
    let otto = server.session("otto").await;
    server.clock.advance(1000);
    let seconds = |seconds: i64| 1000 * seconds;
    let start = server.clock.unix_millis();
    server.mint(PUBLIC, None).await.token();
    server.mint(RESTRICTED, Some(&mo)).await.token();
    server.clock.advance(seconds(30));
    for _ in 0..2 {
        server.mint(RESTRICTED, Some(&otto)).await.problem(403);
    }
    server.mint(PRIVATE, None).await.problem(404);
    server.mint(UNKNOWN, None).await.problem(404);
    server.clock.advance(seconds(10));
    let from = cedargate::domain::rfc3339::format_millis(start);
    let to = cedargate::domain::rfc3339::format_millis(start + seconds(40));
    let usage = ada
        .get(&format!("{USAGE}?from={from}&to={to}&buckets=4"))
        .await
        .json();
    let counts = |usage: &Value| -> Vec<Value> {
        let buckets = usage["buckets"].as_array().unwrap().iter();
        buckets
            .map(|one| json!([one["granted"], one["denied"], one["failed"]]))
            .collect()
    };
    assert_eq!(
        counts(&usage),
        [
            json!([2, 0, 0]),
            json!([0, 0, 0]),
            json!([0, 0, 0]),
            json!([0, 3, 1])
        ]
    );
    assert_eq!(
        (&usage["records"], &usage["is_cut"]),
        (&json!(6), &json!(false))
    );
    let used: Vec<Value> = usage["policies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| json!([one["id"], one["granted"], one["denied"]]))
        .collect();
    assert_eq!(
        used,
        [json!(["public", 1, 0]), json!(["shared-with-role", 1, 0])]
    );
    // What an admin does is no access to data, but it needs a policy.
    let later = ada.get(&format!("{USAGE}?from={from}")).await.json();
    assert_eq!(later["records"], usage["records"]);
    assert!(
        !later["never_used"]
            .as_array()
            .unwrap()
            .contains(&json!("admin"))
    );
    let never_used = usage["never_used"].as_array().unwrap();
    assert!(never_used.contains(&json!("owner")) && !never_used.contains(&json!("public")));
    let denials = usage["denials"].as_array().unwrap();
    assert_eq!(denials[0]["principal"]["username"], "otto");
    assert_eq!(denials[0]["dataset_title"], "Restricted");
    assert_eq!(
        (&denials[0]["action"], &denials[0]["count"]),
        (&json!("read"), &json!(2))
    );
    assert_eq!(denials[1].get("principal"), None);
    assert_eq!(denials.len(), 2, "{denials:?}");

    // Of another interval nothing is counted.
    let earlier = format!("{USAGE}?from=2020-01-01T00:00:00Z&to={from}");
    assert_eq!(ada.get(&earlier).await.json()["records"], 0);
    let detail = ada
        .get(&format!("{USAGE}?from={to}&to={from}"))
        .await
        .problem(422);
    assert!(detail.contains("before `to`"), "{detail}");
    ada.get(&format!("{USAGE}?buckets=0")).await.problem(422);
}

#[tokio::test]
async fn history_is_for_those_who_may_view_the_policies_and_usage_for_those_who_may_view_the_log_too()
 {
    let viewers = r#"
@id("admin") permit (principal in Role::"admin", action, resource);
@id("viewer") permit (principal in Role::"hydrology", action == Action::"view_policies", resource);
"#;
    let server = Server::start_with(ServerOptions {
        policies: Some(viewers),
        ..ServerOptions::default()
    })
    .await;
    let mo = AdminClient::sign_in(&server, "mo").await;
    let otto = AdminClient::sign_in(&server, "otto").await;
    assert_eq!(mo.get(REVISIONS).await.status, 200);
    mo.get(USAGE).await.problem(403);
    for path in [REVISIONS, USAGE] {
        otto.get(path).await.problem(403);
        TestResponse::send(server.get(path)).await.problem(401);
    }
    let one = format!("{REVISIONS}/{}", "0".repeat(64));
    otto.get(&one).await.problem(403);
}
