//! What drafts start from, and what they are moved upon.

use std::fs;
use std::path::Path;

use reqwest::Method;
use serde_json::json;

use super::{ADDED, DRAFTS, changes, create, in_force, path_of};
use crate::policy_reload::{reload, server_on};
use crate::support::admin_client::AdminClient;
use crate::support::cli::copy_of_shipped_policies;
use crate::support::server::TestResponse;

fn append(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    let before = fs::read_to_string(&path).unwrap();
    fs::write(path, [&before, text].concat()).unwrap();
}

#[tokio::test]
async fn a_draft_is_moved_upon_an_edit_that_came_into_force_meanwhile() {
    let folder = copy_of_shipped_policies();
    let server = server_on(folder.path(), "off", "off").await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let draft = create(
        &ada,
        json!({"files": {"added.cedar": ADDED, "owner.cedar": "// mine"}}),
    )
    .await;
    let rebase = async || {
        let request = ada.request(Method::POST, &path_of(&draft, "/rebase"));
        TestResponse::send(request).await
    };
    let unmoved = rebase().await;
    assert_eq!(unmoved.header("etag"), "\"1\"");
    assert_eq!(unmoved.json()["conflicts"], json!([]));
    append(folder.path(), "owner.cedar", "// theirs\n");
    append(folder.path(), "public.cedar", "// theirs\n");
    fs::write(
        folder.path().join("theirs.cedar"),
        ADDED.replace("added", "theirs"),
    )
    .unwrap();
    assert_eq!(reload(&server, &ada.session).await.status, 200);
    let old = ada.get(&path_of(&draft, "")).await.json();
    assert_eq!(old["is_current"], false);
    assert_eq!(old["base_revision"], draft["base_revision"]);
    let rebased = rebase().await;
    assert_eq!(rebased.header("etag"), "\"2\"");
    let rebased = rebased.json();
    assert_eq!(rebased["conflicts"], json!(["owner.cedar"]));
    let new = &rebased["draft"];
    assert_eq!(
        (&new["is_current"], &new["base_revision"]),
        (&json!(true), &json!(in_force(&ada).await))
    );
    assert_eq!(changes(new), ["added added.cedar", "changed owner.cedar"]);
    let file = ada.get(&path_of(&draft, "/files/owner.cedar")).await.json();
    assert_eq!(file["text"], "// mine");
    assert!(file["base_text"].as_str().unwrap().ends_with("// theirs\n"));
}

#[tokio::test]
async fn a_draft_can_start_from_the_edit_on_disk_that_was_refused() {
    let folder = copy_of_shipped_policies();
    let server = server_on(folder.path(), "off", "off").await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let revision = in_force(&ada).await;
    fs::write(folder.path().join("broken.cedar"), "permit (").unwrap();
    reload(&server, &ada.session).await.problem(409);
    let draft = create(
        &ada,
        json!({"from": "folder", "files": {"public.cedar": null}}),
    )
    .await;
    assert_eq!(draft["base_revision"], revision);
    assert_eq!(
        changes(&draft),
        ["added broken.cedar", "removed public.cedar"]
    );
    let same = create(&ada, json!({"from": revision})).await;
    assert!(changes(&same).is_empty());
    fs::write(folder.path().join("broken.cedar"), b"\xff\xfe").unwrap();
    let refused = ada.post(DRAFTS, json!({"from": "folder"})).await;
    assert_eq!(refused.problem_field(422), "from");
}
