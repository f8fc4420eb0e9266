//! `policy explain` on the live catalog.

use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::cli::{CommandOutput, cedargate, copy_of_shipped_policies};

const DATASET: &str = "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0";
const UNKNOWN_USER: &str = "00000000-0000-0000-0000-000000000ada";

/// A catalog with users and with a restricted dataset that is shared with geologists.
fn catalog() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let catalog = format!(
        "[[roles]]\nname = \"geology\"\n[[roles]]\nname = \"hydrology\"\n\
         [[users]]\nusername = \"ada\"\nroles = [\"hydrology\"]\n\
         [[users]]\nusername = \"bea\"\n\
         roles = [\"geology\"]\ndisabled = true\n\
         [[datasets]]\nid = \"{DATASET}\"\ntitle = \"Salish Sea\"\nvisibility = \"restricted\"\n\
         record_status = \"published\"\nreader_roles = [\"geology\"]\n"
    );
    std::fs::write(folder.path().join("catalog.toml"), catalog).unwrap();
    let applied = cedargate(folder.path(), &["catalog", "apply", "catalog.toml"], &[]);
    assert_eq!(applied.code, 0, "{}", applied.messages);
    folder
}

fn explain(folder: &Path, who: &str, more: &[&str]) -> CommandOutput {
    let arguments = [
        "policy",
        "explain",
        "--dataset",
        DATASET,
        "--principal",
        who,
    ];
    cedargate(folder, &[&arguments, more].concat(), &[])
}

fn parse_json(output: &CommandOutput) -> Value {
    assert_eq!(output.code, 0, "{}", output.messages);
    serde_json::from_str(&output.data).unwrap()
}

#[test]
fn a_denial_is_explained_with_the_condition_that_failed_and_the_values_it_saw() {
    let folder = catalog();
    let read = ["--action", "read", "--time", "2026-03-01T12:00:00Z"];
    let output = explain(folder.path(), "ada", &read);
    assert_eq!(output.code, 0, "{}", output.messages);
    let json = parse_json(&explain(
        folder.path(),
        "ada",
        &[&read[..], &["--json"]].concat(),
    ));
    let id = json["principal"].as_str().unwrap();
    insta::assert_snapshot!(output.data.replace(id, "User::\"ada's id\""));
    for who in [id, &id["User::\"".len()..id.len() - 1]] {
        assert_eq!(
            explain(folder.path(), who, &read).data,
            output.data,
            "{who}"
        );
    }
    assert_eq!(json["is_permitted"], false);
    assert_eq!(json["mint"]["status"], 403);
    assert_eq!(json["others"][0]["id"], "shared-with-role");
    assert_eq!(
        json["others"][0]["parts"][0]["seen"][0]["value"],
        "Role::\"hydrology\""
    );
}

#[test]
fn another_folder_can_be_explained_instead_of_the_policies_in_force() {
    let folder = catalog();
    let edited = copy_of_shipped_policies();
    let permit = "@id(\"hydrologists\")\n@reason(\"Hydrologists read all.\")\n@max_ttl(\"30\")\n\
        permit (principal in Role::\"hydrology\", action == Action::\"read\", resource)\n\
        when { context.address.isInRange(ip(\"192.0.2.0/24\")) };\n";
    std::fs::write(edited.path().join("hydrologists.cedar"), permit).unwrap();
    let arguments = [
        "--action",
        "read",
        "--json",
        "--dir",
        edited.path().to_str().unwrap(),
    ];
    let near = [&arguments[..], &["--address", "192.0.2.7"]].concat();
    let json = parse_json(&explain(folder.path(), "ada", &near));
    assert_eq!(json["is_permitted"], true);
    assert_eq!(json["max_ttl"], 30);
    // The dataset has no file.
    assert_eq!(json["mint"]["status"], 404);
    let determining = &json["determining"][0];
    assert_eq!(determining["file"], "hydrologists.cedar");
    assert_eq!(determining["line"], 1);
    assert_eq!(determining["text"], permit.trim_end());
    let far = parse_json(&explain(folder.path(), "ada", &arguments));
    assert_eq!(far["is_permitted"], false);
    let mut others = far["others"].as_array().unwrap().iter();
    let ours = others.find(|policy| policy["id"] == "hydrologists");
    assert_eq!(ours.unwrap()["parts"][0]["line"], 5);
}

#[test]
fn the_status_of_the_mint_is_explained_for_disabled_and_anonymous_callers() {
    let folder = catalog();
    let bea = explain(folder.path(), "bea", &["--action", "read"]);
    assert!(bea.data.contains("The user is disabled"), "{}", bea.data);
    assert!(bea.data.contains("answer 401"), "{}", bea.data);
    let anonymous = explain(folder.path(), "anonymous", &["--action", "read"]);
    assert!(anonymous.data.contains("answer 404"), "{}", anonymous.data);
    let discovers = parse_json(&explain(
        folder.path(),
        "ada",
        &["--action", "discover", "--json"],
    ));
    assert_eq!(discovers["is_permitted"], true);
    assert_eq!(discovers["mint"], Value::Null);
}

#[test]
fn an_unknown_user_or_dataset_is_reported_with_a_hint() {
    let folder = catalog();
    let misspelt = explain(folder.path(), "adda", &["--action", "read"]);
    assert_eq!(misspelt.code, 1);
    assert!(
        misspelt.messages.contains("did you mean \"ada\"?"),
        "{}",
        misspelt.messages
    );
    let ask = [
        "policy",
        "explain",
        "--principal",
        "ada",
        "--action",
        "read",
        "--dataset",
    ];
    let lost = cedargate(folder.path(), &[&ask[..], &[UNKNOWN_USER]].concat(), &[]);
    assert_eq!(lost.code, 1);
    assert!(lost.messages.contains("\nhint: "), "{}", lost.messages);
    let wrong = explain(folder.path(), "ada", &["--action", "view_users"]);
    assert_eq!(wrong.code, 2, "{}", wrong.messages);
    let empty = tempfile::tempdir().unwrap();
    let without = explain(empty.path(), "ada", &["--action", "read"]);
    assert_eq!(without.code, 1, "{}", without.data);
    assert!(!empty.path().join("data/cedargate.db").exists());
}

#[test]
fn a_malformed_principal_or_dataset_is_wrong_usage() {
    let folder = catalog();
    for (who, which) in [("m o", DATASET), ("ada", "tides")] {
        let ask = [
            "policy",
            "explain",
            "--action",
            "read",
            "--principal",
            who,
            "--dataset",
            which,
        ];
        let output = cedargate(folder.path(), &ask, &[]);
        assert_eq!(output.code, 2, "{}", output.messages);
    }
}
