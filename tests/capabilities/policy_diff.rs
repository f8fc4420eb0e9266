//! `policy diff` asks on both sides of what the policies name, and says why an edit changes nothing.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::cli::{cedargate, copy_folder, copy_of_shipped_policies, repository};

const CATALOG: &str = r#"
[[roles]]
name = "hydrology"
[[users]]
username = "ada"
roles = ["admin"]
[[users]]
username = "mo"
roles = ["hydrology"]
[[users]]
username = "otto"
[[datasets]]
id = "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0"
title = "Elevation"
visibility = "public"
record_status = "published"
[[datasets]]
id = "6b1f0a52-8c3d-4e7a-9f14-05d2c7e3a981"
title = "Bathymetry"
visibility = "restricted"
record_status = "published"
owner = "otto"
reader_roles = ["hydrology"]
"#;

/// A data directory with a catalog.
fn with_catalog() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("catalog.toml"), CATALOG).unwrap();
    let applied = cedargate(folder.path(), &["catalog", "apply", "catalog.toml"], &[]);
    assert_eq!(applied.code, 0, "{}", applied.messages);
    folder
}

/// The shipped policies with one more.
fn edited(policy: &str) -> TempDir {
    let folder = copy_of_shipped_policies();
    let text = format!("@id(\"new\") @reason(\"x\")\n{policy}\n");
    std::fs::write(folder.path().join("new.cedar"), text).unwrap();
    folder
}

/// The comparison, without the lines that have the time now and the number of shipped cases.
fn diff(catalog: &TempDir, to: &Path, more: &[&str]) -> String {
    let arguments = [&["policy", "diff", "--to", to.to_str().unwrap()], more].concat();
    let compared = cedargate(catalog.path(), &arguments, &[]);
    assert_eq!(compared.code, 0, "{}", compared.messages);
    let lines = compared.data.lines();
    let lines: Vec<_> = lines
        .filter(|line| !line.starts_with("asked ") && !line.starts_with("cases: "))
        .collect();
    lines.join("\n")
}

#[test]
fn a_diff_asks_by_itself_on_both_sides_of_what_the_policies_name() {
    let catalog = with_catalog();
    let mut told = String::new();
    for policy in [
        "forbid (principal, action == Action::\"read\", resource is Dataset)\n\
         unless { context.address.isInRange(ip(\"198.51.100.0/24\")) };",
        "forbid (principal, action == Action::\"read\", resource is Dataset)\n\
         when { context.address.isInRange(ip(\"10.0.0.0/8\")) && !context.address.isInRange(ip(\"10.1.0.0/16\")) };",
        "permit (principal is User, action == Action::\"read\", resource is Dataset)\n\
         when { resource.visibility == Visibility::\"restricted\" && context.time >= datetime(\"2099-01-01\") };",
        "forbid (principal in Role::\"hydrology\", action == Action::\"read\", resource is Dataset)\n\
         when { context.time.toTime() >= duration(\"22h\") || context.time.toTime() < duration(\"4h\") };",
        "forbid (principal is User, action == Action::\"read\", resource is Dataset)\n\
         when { context has key } unless { context.key has actions };",
        "forbid (principal in Role::\"hydrology\", action == Action::\"read\", resource is Dataset)\n\
         when { context.time.toTime().toHours() >= 18 && context.address.isLoopback() };",
    ] {
        let edited = edited(policy);
        let answer = diff(&catalog, edited.path(), &[]);
        write!(told, "{policy}\n---\n{answer}=====\n").unwrap();
    }
    insta::assert_snapshot!(told);
}

#[test]
fn an_edit_that_changes_nothing_says_so_and_why() {
    let catalog = with_catalog();
    let mut told = String::new();
    for policy in [
        "permit (principal in Role::\"night-crew\", action == Action::\"read\", resource);",
        "permit (principal is User, action == Action::\"read\", resource == Dataset::\"c05d7e1b-34f6-4b09-a2c8-7e91d46f0b32\");",
        "permit (principal is User, action == Action::\"read\", resource is Dataset) when { resource.title == \"Tides\" };",
        "permit (principal in Role::\"hydrology\", action == Action::\"read\", resource)\n\
         when { context.time.toTime() >= duration(\"22h\") && context.time.toTime() < duration(\"4h\") };",
        "permit (principal is User, action == Action::\"read\", resource is Dataset)\n\
         when { resource.visibility == Visibility::\"public\" && resource.record_status == RecordStatus::\"published\" };",
        "permit (principal in Role::\"hydrology\", action == Action::\"view_audit\", resource);",
        "forbid (principal is Anonymous, action == Action::\"administer\", resource is Dataset);",
    ] {
        let edited = edited(policy);
        let answer = diff(&catalog, edited.path(), &[]);
        assert!(answer.contains("no decision changes"), "{policy}\n{answer}");
        write!(told, "{policy}\n---\n{answer}=====\n").unwrap();
    }
    // Confined to a time, it says that others are not asked about.
    let later = edited(
        "forbid (principal, action == Action::\"read\", resource is Dataset)\n\
         when { datetime(\"2099-01-01\") <= context.time };",
    );
    let confined = ["--time", "2026-03-01T12:00:00Z", "--address", "192.0.2.7"];
    told += &diff(&catalog, later.path(), &confined);
    let layout = copy_of_shipped_policies();
    let file = layout.path().join("public.cedar");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("// Reviewed.\n{text}")).unwrap();
    told += &diff(&catalog, layout.path(), &[]);
    insta::assert_snapshot!(told);
}

#[test]
fn shorter_tokens_and_removed_policies_are_told() {
    let catalog = with_catalog();
    let edited = copy_of_shipped_policies();
    copy_folder(
        &repository().join("docs/examples/short-tokens"),
        edited.path(),
    );
    std::fs::remove_file(edited.path().join("internal.cedar")).unwrap();
    std::fs::remove_file(edited.path().join("internal.cases.json")).unwrap();
    insta::assert_snapshot!(diff(&catalog, edited.path(), &[]));
}

#[test]
fn programs_get_every_context_that_was_asked_about() {
    let catalog = with_catalog();
    let edited = edited(
        "forbid (principal is User, action == Action::\"read\", resource is Dataset)\n\
         when { context.authentication != Authentication::\"password\" && context.address.isIpv6() };",
    );
    let json: Value = serde_json::from_str(&diff(&catalog, edited.path(), &["--json"])).unwrap();
    let asked = json["asked"].as_array().unwrap();
    assert_eq!(asked.len(), 3 * 2, "{json:#}");
    for group in json["groups"].as_array().unwrap() {
        assert_eq!(group["change"], "loses");
        for index in group["asked_in"].as_array().unwrap() {
            let context = &asked[usize::try_from(index.as_u64().unwrap()).unwrap()];
            assert_eq!(
                context["caller"], "with an unrestricted API key",
                "{json:#}"
            );
            assert_ne!(context["address"], "192.0.2.1", "{json:#}");
        }
        assert_eq!(group["when"].as_array().unwrap().len(), 1, "{json:#}");
    }
    assert_eq!(json["is_cut"], false);
    assert_eq!(json["ineffective"], serde_json::json!([]));
}

#[test]
fn very_many_networks_and_times_are_asked_about_as_far_as_there_is_room() {
    let catalog = with_catalog();
    let networks: Vec<String> = (0..150).map(|n| format!("ip(\"10.{n}.0.0/16\")")).collect();
    let networks = networks.chunks(20).map(|some| {
        let ranges = some
            .iter()
            .map(|range| format!("context.address.isInRange({range})"));
        let ranges: Vec<String> = ranges.collect();
        format!("when {{ {} }}", ranges.join(" || "))
    });
    let policies = networks.enumerate().map(|(number, condition)| {
        format!(
            "@id(\"n{number}\") @reason(\"x\")\nforbid (principal, action == Action::\"read\", resource is Dataset)\n\
             {condition};\n"
        )
    });
    let edited = copy_of_shipped_policies();
    std::fs::write(
        edited.path().join("new.cedar"),
        policies.collect::<String>(),
    )
    .unwrap();
    let answer = diff(&catalog, edited.path(), &[]);
    assert!(answer.contains("from any other known address"), "{answer}");
    assert!(
        answer.contains("more addresses, times and API keys apart than were asked about"),
        "{answer}"
    );
    assert!(answer.lines().count() < 60, "{answer}");
}

#[test]
fn a_case_for_each_change_is_saved_and_passes_at_once() {
    let catalog = with_catalog();
    let edited = edited(
        "forbid (principal is User, action == Action::\"read\", resource is Dataset)\n\
         when { context has key && context.address.isInRange(ip(\"198.51.100.0/24\")) };",
    );
    let file = edited.path().join("changed.cases.json");
    let path = file.to_str().unwrap();
    diff(&catalog, edited.path(), &["--save-cases", path]);
    let saved = std::fs::read_to_string(&file).unwrap();
    // The same cases are not saved twice.
    diff(&catalog, edited.path(), &["--save-cases", path]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), saved);
    let to = edited.path().to_str().unwrap();
    let tested = cedargate(catalog.path(), &["policy", "test", "--json", to], &[]);
    let report: Value = serde_json::from_str(&tested.data).unwrap();
    let results = report["results"].as_array().unwrap().iter();
    let ours: Vec<&Value> = results
        .filter(|result| result["file"] == "changed.cases.json")
        .collect();
    assert!(!ours.is_empty(), "{saved}");
    for result in ours {
        assert_eq!(result["is_passed"], true, "{result}");
        assert_eq!(result["actual_reasons"], serde_json::json!(["new"]));
        let name = result["name"].as_str().unwrap();
        assert!(
            name.contains(" may not read ") && name.contains("198.51.100.0/24"),
            "{name}"
        );
    }
}

#[test]
fn an_explanation_can_be_asked_for_with_an_api_key() {
    let catalog = with_catalog();
    let edited = edited(
        "forbid (principal is User, action == Action::\"read\", resource is Dataset)\n\
         when { context has key } unless { context.key has actions };",
    );
    let created = cedargate(
        catalog.path(),
        &[
            "api-key", "create", "--user", "mo", "--name", "nightly", "--action", "read",
        ],
        &[],
    );
    assert_eq!(created.code, 0, "{}", created.messages);
    let (_, after) = created.messages.split_once("API key ").unwrap();
    let id = after.split_whitespace().next().unwrap();
    let explain = |principal: &str, action: &str, more: &[&str]| {
        let dataset = "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0";
        let to = edited.path().to_str().unwrap();
        let fixed = ["policy", "explain", "--dir", to, "--dataset", dataset];
        let asked = ["--principal", principal, "--action", action];
        cedargate(catalog.path(), &[&fixed[..], &asked, more].concat(), &[])
    };
    let with_password = explain("mo", "read", &[]);
    assert!(
        with_password.data.starts_with("PERMITTED"),
        "{}",
        with_password.data
    );
    let unrestricted = explain("mo", "read", &["--authentication", "api_key"]);
    assert!(
        unrestricted.data.starts_with("DENIED"),
        "{}",
        unrestricted.data
    );
    assert!(unrestricted.data.contains("authentication api_key"));
    let restricted = explain("mo", "read", &["--key", id]);
    assert!(
        restricted.data.starts_with("PERMITTED"),
        "{}",
        restricted.data
    );
    let beyond = explain("mo", "administer", &["--key", id]);
    let told = "whatever the policies say: the action is beyond the limit of the API key";
    assert!(beyond.data.contains(told), "{}", beyond.data);
    for (principal, more, told) in [
        ("otto", vec!["--key", id], "is of the user"),
        (
            "mo",
            vec!["--key", "00000000-0000-4000-8000-000000000000"],
            "there is no API key",
        ),
        (
            "anonymous",
            vec!["--authentication", "password"],
            "anonymous callers do not authenticate",
        ),
        (
            "mo",
            vec!["--authentication", "none"],
            "a user authenticates",
        ),
        ("mo", vec!["--authentication", "apikey"], "apikey"),
        (
            "mo",
            vec!["--authentication", "command_line"],
            "no request authenticates so",
        ),
    ] {
        let refused = explain(principal, "read", &more);
        assert_ne!(refused.code, 0, "{more:?}: {}", refused.data);
        assert!(
            refused.messages.contains(told),
            "{more:?}: {}",
            refused.messages
        );
    }
}
