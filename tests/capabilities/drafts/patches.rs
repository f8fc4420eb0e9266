//! Patches of drafts, as `git apply` takes them.

use std::fs;
use std::process::Command;

use cedargate::policy::folder::PolicyFolder;
use serde_json::json;

use super::{create, path_of};
use crate::policy_reload::server_on;
use crate::support::admin_client::AdminClient;
use crate::support::cli::{copy_folder, copy_of_shipped_policies};

#[tokio::test]
async fn the_patch_of_a_draft_makes_its_files_of_those_on_disk() {
    let folder = copy_of_shipped_policies();
    // As some editors save: the mark is no part of the text.
    let public = folder.path().join("public.cedar");
    let text = fs::read_to_string(&public).unwrap();
    fs::write(&public, format!("\u{feff}{}", text.replace('\n', "\r\n"))).unwrap();
    let server = server_on(folder.path(), "off", "off").await;
    let ada = AdminClient::sign_in(&server, "ada").await;
    let edited = format!("// first\r\n{}", text.replace('\n', "\r\n"));
    let files = json!({
        "public.cedar": edited,
        "owner.cedar": null,
        "more/größe \"1\".cedar": "// no end",
        "more/empty.cedar": "",
    });
    let draft = create(&ada, json!({ "files": files })).await;
    let patch = ada
        .get(&path_of(&draft, "/patch?prefix=the%20policies"))
        .await;
    assert_eq!(patch.status, 200, "{}", patch.text());
    assert_eq!(patch.header("content-type"), "text/x-diff; charset=utf-8");
    assert_eq!(patch.header("cache-control"), "no-store");
    assert_eq!(
        patch.header("content-disposition"),
        "attachment; filename=\"policies.patch\""
    );
    let repository = tempfile::tempdir().unwrap();
    let copy = repository.path().join("the policies");
    copy_folder(folder.path(), &copy);
    let file = repository.path().join("policies.patch");
    fs::write(&file, &patch.body).unwrap();
    let applied = Command::new("git")
        .args(["apply", "--whitespace=nowarn"])
        .arg(&file)
        .current_dir(repository.path())
        .env("GIT_CEILING_DIRECTORIES", repository.path())
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&applied.stderr).into_owned();
    assert!(applied.status.success(), "{error}\n{}", patch.text());
    let after = PolicyFolder::load(&copy).unwrap();
    assert_eq!(draft["folder_revision"], after.fingerprint());
    let default = ada.get(&path_of(&draft, "/patch")).await.text();
    assert!(
        default.contains("\n--- a/policies/public.cedar\n"),
        "{default}"
    );
    for prefix in ["..", "a/../b", "a%0Ab"] {
        let refused = ada
            .get(&path_of(&draft, &format!("/patch?prefix={prefix}")))
            .await;
        assert_eq!(refused.problem_field(422), "prefix");
    }
}
