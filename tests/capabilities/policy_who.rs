//! `policy who` and `policy what` list who may do what, by which policies, through what and in which contexts.

use std::fmt::Write as _;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::cli::{CommandOutput, cedargate, copy_of_shipped_policies};

const ELEVATION: &str = "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0";
const BATHYMETRY: &str = "6b1f0a52-8c3d-4e7a-9f14-05d2c7e3a981";

const CATALOG: &str = r#"
[[roles]]
name = "hydrology"
[[roles]]
name = "geology"
[[roles]]
name = "guests"
[[users]]
username = "ada"
roles = ["admin"]
[[users]]
username = "mo"
roles = ["hydrology"]
[[users]]
username = "otto"
[[users]]
username = "gil"
roles = ["guests"]
[[users]]
username = "rita"
roles = ["geology", "hydrology"]
[[users]]
username = "ned"
[[users]]
username = "old"
roles = ["hydrology"]
disabled = true
[[datasets]]
id = "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0"
title = "Elevation"
visibility = "public"
record_status = "published"
owner = "otto"
[[datasets]]
id = "6b1f0a52-8c3d-4e7a-9f14-05d2c7e3a981"
title = "Bathymetry"
visibility = "restricted"
record_status = "published"
owner = "otto"
reader_roles = ["hydrology", "geology"]
reader_users = ["ned"]
[[datasets]]
id = "91e4c6d8-7b2f-4a35-8d60-1c9e3f5a7b24"
title = "Tides"
visibility = "private"
record_status = "draft"
owner = "mo"
"#;

/// A data directory with a catalog.
fn with_catalog() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("catalog.toml"), CATALOG).unwrap();
    let applied = cedargate(folder.path(), &["catalog", "apply", "catalog.toml"], &[]);
    assert_eq!(applied.code, 0, "{}", applied.messages);
    folder
}

/// The shipped policies with some more.
fn edited() -> TempDir {
    let folder = copy_of_shipped_policies();
    let text = r#"
@id("office-only") @reason("Guests read in the office.")
permit (principal in Role::"guests", action == Action::"read", resource is Dataset)
when { context.address.isInRange(ip("198.51.100.0/24")) };
@id("embargo") @reason("Before 2030 nobody reads elevation in the night.")
forbid (principal, action == Action::"read", resource == Dataset::"2489e9ad-2ee2-8e00-8ec9-32d5f69181c0")
when { context.time < datetime("2030-01-01") && context.time.toTime() < duration("4h") };
"#;
    std::fs::write(folder.path().join("new.cedar"), text).unwrap();
    folder
}

fn ask(catalog: &TempDir, arguments: &[&str]) -> CommandOutput {
    let asked = cedargate(catalog.path(), &[&["policy"], arguments].concat(), &[]);
    assert_eq!(asked.code, 0, "{}", asked.messages);
    asked
}

/// The answer without the random ids of users.
fn without_user_ids(answer: &str) -> String {
    let is_random =
        |word: &str| word.parse::<uuid::Uuid>().is_ok() && !matches!(word, ELEVATION | BATHYMETRY);
    let words = answer.split_inclusive(['(', ')']).map(|part| {
        let word = part.trim_end_matches(')');
        if is_random(word) {
            part.replace(word, "ID")
        } else {
            part.to_owned()
        }
    });
    words.collect()
}

#[test]
fn access_lists_say_who_may_what_by_which_policy_and_when() {
    let (catalog, edited) = (with_catalog(), edited());
    let to = edited.path().to_str().unwrap();
    let mut told = String::new();
    for arguments in [
        &["who", "--action", "read", "--dataset", BATHYMETRY][..],
        &["who", "--action", "discover", "--dataset", ELEVATION],
        &["who", "--action", "administer", "--dataset", ELEVATION],
        &[
            "who",
            "--action",
            "read",
            "--dataset",
            BATHYMETRY,
            "--to",
            to,
        ],
        &[
            "who",
            "--action",
            "read",
            "--dataset",
            ELEVATION,
            "--to",
            to,
        ],
        &["what", "--principal", "rita"],
        &["what", "--principal", "mo", "--action", "read"],
        &["what", "--principal", "ada", "--action", "administer"],
        &["what", "--principal", "anonymous", "--action", "discover"],
        &["what", "--principal", "old"],
        &["what", "--principal", "gil", "--action", "read", "--to", to],
    ] {
        let shown = arguments.join(" ").replace(to, "DIR");
        let answer = without_user_ids(&ask(&catalog, arguments).data);
        writeln!(told, "$ cedargate policy {shown}\n{answer}").unwrap();
    }
    insta::assert_snapshot!(told);
}

#[test]
fn an_access_list_is_confined_to_an_address_and_a_time() {
    let (catalog, edited) = (with_catalog(), edited());
    let to = edited.path().to_str().unwrap();
    let users = |more: &[&str]| {
        let who = ["who", "--action", "read", "--json", "--to", to];
        let answer = ask(&catalog, &[&who, more].concat());
        let report: Value = serde_json::from_str(&answer.data).unwrap();
        for group in report["groups"].as_array().unwrap() {
            assert_eq!(group["when"], serde_json::json!([]), "{group}");
        }
        report["permitted"].as_u64().unwrap()
    };
    let office = ["--dataset", BATHYMETRY, "--address", "198.51.100.7"];
    let elsewhere = ["--dataset", BATHYMETRY, "--address", "192.0.2.7"];
    assert_eq!(users(&office), users(&elsewhere) + 1);
    let elsewhere = ["--dataset", ELEVATION, "--address", "192.0.2.7"];
    let night = [&elsewhere[..], &["--time", "2026-03-01T03:00:00Z"]].concat();
    let day = [&elsewhere[..], &["--time", "2026-03-01T12:00:00Z"]].concat();
    assert_eq!(users(&night), 0);
    assert_eq!(users(&day), 6);
}

#[test]
fn an_access_list_names_everything_as_json() {
    let catalog = with_catalog();
    let who = ["who", "--action", "read", "--dataset", BATHYMETRY, "--json"];
    let report: Value = serde_json::from_str(&ask(&catalog, &who).data).unwrap();
    let group = report["groups"]
        .as_array()
        .unwrap()
        .iter()
        .find(|group| group["through"]["name"] == "hydrology")
        .unwrap();
    assert_eq!(group["policies"], serde_json::json!(["shared-with-role"]));
    assert_eq!(group["through"]["kind"], "role");
    let names = group["users"].as_array().unwrap().iter();
    let names: Vec<&str> = names
        .map(|user| user["username"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["mo", "rita"]);
    let what = [
        "what",
        "--principal",
        &format!("User::{}", group["users"][0]["id"]),
        "--json",
    ];
    let report: Value = serde_json::from_str(&ask(&catalog, &what).data).unwrap();
    let actions = report["actions"].as_array().unwrap().iter();
    let counts: Vec<_> = actions
        .map(|one| {
            (
                one["action"].as_str().unwrap(),
                one["permitted"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(counts, [("read", 3), ("discover", 3), ("administer", 0)]);
    assert_eq!(report["user"]["username"], "mo");
}

#[test]
fn an_access_list_of_nobody_or_nothing_is_an_error_with_a_suggestion() {
    let catalog = with_catalog();
    let fails = |arguments: &[&str], code: i32, texts: &[&str]| {
        let asked = cedargate(catalog.path(), &[&["policy"], arguments].concat(), &[]);
        assert_eq!(asked.code, code, "{}", asked.messages);
        assert_eq!(asked.data, "");
        for text in texts {
            assert!(asked.messages.contains(text), "{text}: {}", asked.messages);
        }
    };
    let nearly = "2489e9ad-2ee2-8e00-8ec9-32d5f69181c1";
    fails(
        &["who", "--action", "read", "--dataset", nearly],
        1,
        &["there is no dataset", ELEVATION],
    );
    fails(
        &["what", "--principal", "oto"],
        1,
        &["there is no user oto", "did you mean \"otto\"?"],
    );
    fails(&["what", "--principal", nearly], 1, &["there is no user"]);
    fails(&["who", "--action", "read"], 2, &["--dataset"]);
    fails(
        &["who", "--action", "view_users", "--dataset", ELEVATION],
        2,
        &["read, discover or administer"],
    );
    fails(
        &["who", "--action", "read", "--dataset", "1"],
        2,
        &["RFC 9562"],
    );
}
