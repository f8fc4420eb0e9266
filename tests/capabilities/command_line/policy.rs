//! `cedargate policy`: check, test and diff.

use serde_json::Value;

use super::catalog_with;
use crate::support::cli::{cedargate, copy_of_shipped_policies, repository};

#[test]
fn the_shipped_policies_are_valid_and_every_one_has_its_cases() {
    let folder = tempfile::tempdir().unwrap();
    let checked = cedargate(folder.path(), &["policy", "check"], &[]);
    assert_eq!(checked.code, 0, "{}", checked.messages);
    assert!(checked.data.contains("policies are valid"));
    let shipped = repository().join("policies");
    let tested = cedargate(
        folder.path(),
        &["policy", "test", "--json", shipped.to_str().unwrap()],
        &[],
    );
    assert_eq!(tested.code, 0, "{}", tested.messages);
    let report: Value = serde_json::from_str(&tested.data).unwrap();
    assert_eq!(report["failed"], 0);
    assert!(report["passed"].as_u64().unwrap() >= 14);
    assert_eq!(report["without_allow_case"], serde_json::json!([]));
    assert_eq!(report["without_deny_case"], serde_json::json!([]));
}

#[test]
fn a_type_error_in_a_policy_is_reported_with_file_line_and_span_and_nothing_starts() {
    let folder = copy_of_shipped_policies();
    let broken = "@id(\"broken\") @reason(\"x\")\npermit (principal, action, resource)\nwhen { resource.title > 3 };\n";
    std::fs::write(folder.path().join("broken.cedar"), broken).unwrap();
    let path = folder.path().to_str().unwrap();
    let checked = cedargate(folder.path(), &["policy", "check", path], &[]);
    assert_eq!(checked.code, 3);
    assert!(
        checked.messages.contains("broken.cedar:3"),
        "{}",
        checked.messages
    );
    assert!(
        checked.messages.contains("resource.title"),
        "{}",
        checked.messages
    );
    let environment = [
        ("CEDARGATE_POLICY_DIR", path),
        ("CEDARGATE_LISTEN", "127.0.0.1:0"),
    ];
    let served = cedargate(folder.path(), &["serve"], &environment);
    assert_eq!(served.code, 1);
    assert!(
        served.messages.contains("broken.cedar:3"),
        "{}",
        served.messages
    );
}

#[test]
fn a_case_that_fails_is_exit_code_three() {
    let folder = copy_of_shipped_policies();
    let path = folder.path().join("public.cases.json");
    let cases = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, cases.replacen("\"allow\"", "\"deny\"", 1)).unwrap();
    let tested = cedargate(
        folder.path(),
        &["policy", "test", folder.path().to_str().unwrap()],
        &[],
    );
    assert_eq!(tested.code, 3, "{}{}", tested.data, tested.messages);
    assert!(tested.data.contains("public.cases.json"), "{}", tested.data);
    let why = "What decided";
    let (_, why) = tested.data.split_once(why).unwrap();
    assert!(why.contains("public (permit, public.cedar:2)"), "{why}");
    assert!(
        why.contains("resource.visibility = Visibility::\"public\""),
        "{why}"
    );
}

#[test]
fn uncovered_policies_are_reported_with_file_and_line_and_change_no_exit_code() {
    let folder = copy_of_shipped_policies();
    let untried = "@id(\"untried\") @reason(\"x\")\n\
        permit (principal, action == Action::\"read\", resource)\n\
        when { resource.title == \"nobody asks\" }\nunless { principal in Role::\"a\" };\n";
    std::fs::write(folder.path().join("untried.cedar"), untried).unwrap();
    let test = [
        "policy",
        "test",
        "--coverage",
        folder.path().to_str().unwrap(),
    ];
    let tested = cedargate(folder.path(), &test, &[]);
    assert_eq!(tested.code, 0, "{}{}", tested.data, tested.messages);
    assert!(
        tested.data.contains("untried.cedar:1: untried\n"),
        "{}",
        tested.data
    );
    let json = cedargate(folder.path(), &[&test[..], &["--json"]].concat(), &[]);
    let report: Value = serde_json::from_str(&json.data).unwrap();
    let coverage = |what: &str| {
        let all = report["coverage"][what].as_array().unwrap().clone();
        let ours = all.into_iter().filter(|one| one["id"] == "untried");
        ours.map(|one| one["line"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(coverage("never_satisfied"), [1]);
    assert_eq!(coverage("never_true"), [3, 4]);
    // Cedar never evaluates the second condition, since the first one never holds.
    assert_eq!(coverage("never_false"), [4]);
}

#[test]
fn a_misspelt_annotation_is_a_warning() {
    let folder = copy_of_shipped_policies();
    let policy = "@id(\"mine\") @maxttl(\"5\") @team(\"x\")\npermit (principal, action, resource is Dataset)\nwhen { resource.title == \"x\" };\n";
    std::fs::write(folder.path().join("mine.cedar"), policy).unwrap();
    let checked = cedargate(
        folder.path(),
        &["policy", "check", folder.path().to_str().unwrap()],
        &[],
    );
    assert_eq!(checked.code, 0, "{}", checked.messages);
    assert!(
        checked.messages.contains("did you mean @max_ttl?"),
        "{}",
        checked.messages
    );
    assert!(
        !checked.messages.contains("annotation @team"),
        "{}",
        checked.messages
    );
}

#[test]
fn a_diff_lists_who_gains_what_in_the_whole_catalog_and_can_fail_on_change() {
    let folder = catalog_with("private");
    let applied = cedargate(folder.path(), &["catalog", "apply", "catalog.toml"], &[]);
    assert_eq!(applied.code, 0, "{}", applied.messages);
    let edited = copy_of_shipped_policies();
    let public = edited.path().join("public.cedar");
    let text = std::fs::read_to_string(&public).unwrap();
    let to = edited.path().to_str().unwrap();
    let diff = ["policy", "diff", "--to", to, "--fail-on-change"];

    let unchanged = cedargate(folder.path(), &diff, &[]);
    assert_eq!(unchanged.code, 0, "{}", unchanged.messages);
    assert!(
        unchanged.data.contains("no decision changes"),
        "{}",
        unchanged.data
    );

    std::fs::write(&public, text.replace("\"public\" &&", "\"private\" &&")).unwrap();
    let changed = cedargate(folder.path(), &diff, &[]);
    assert_eq!(changed.code, 3, "{}", changed.messages);
    let expected =
        "anonymous gains read and discover on 1 dataset:\n  2489e9ad-2ee2-8e00-8ec9-32d5f69181c0";
    assert!(changed.data.contains(expected), "{}", changed.data);

    let json = cedargate(
        folder.path(),
        &["policy", "diff", "--to", to, "--json"],
        &[],
    );
    assert_eq!(json.code, 0, "{}", json.messages);
    let json: Value = serde_json::from_str(&json.data).unwrap();
    assert_eq!(json["changed"], 2);
    assert_eq!(json["groups"][0]["change"], "gains");
    assert_eq!(json["groups"][0]["is_anonymous"], true);

    let nowhere = cedargate(
        folder.path(),
        &["policy", "diff", "--from", "nowhere", "--to", to],
        &[],
    );
    assert_eq!(nowhere.code, 1);
    assert!(nowhere.messages.contains("hint:"), "{}", nowhere.messages);
}
