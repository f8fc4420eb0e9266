//! The command line: exit codes, `error:` and `hint:`, and diagnostics with file and line.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

/// What a command printed, and how it ended.
pub struct Ended {
    pub code: i32,
    pub data: String,
    pub messages: String,
}

pub fn cedargate(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_cedargate"))
        .args(arguments)
        .current_dir(folder)
        .env("CEDARGATE_DATA_DIR", folder.join("data"))
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    Ended {
        code: output.status.code().unwrap(),
        data: String::from_utf8(output.stdout).unwrap(),
        messages: String::from_utf8(output.stderr).unwrap(),
    }
}

pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn catalog_with(visibility: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let cog = "salish-sea-topobathy.cog.tif";
    std::fs::copy(repository().join("demo").join(cog), folder.path().join(cog)).unwrap();
    let catalog = format!(
        "[[datasets]]\n\
         id = \"2489e9ad-2ee2-8e00-8ec9-32d5f69181c0\"\n\
         title = \"Salish Sea\"\n\
         visibility = \"{visibility}\"\n\
         record_status = \"published\"\n\
         file = \"{cog}\"\n"
    );
    std::fs::write(folder.path().join("catalog.toml"), catalog).unwrap();
    folder
}

/// The shipped policies, their invariants too, in a folder of their own, to be spoilt.
pub fn policies() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(&repository().join("policies"), folder.path());
    folder
}

/// Lays the files of a folder over those of another one.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn applying_a_catalog_tells_what_changed_and_the_second_time_nothing_does() {
    let folder = catalog_with("public");
    let apply = ["catalog", "apply", "catalog.toml"];
    let first = cedargate(folder.path(), &apply, &[]);
    assert_eq!(first.code, 0, "{}", first.messages);
    assert!(first.data.contains("created  dataset"), "{}", first.data);
    let second = cedargate(folder.path(), &apply, &[]);
    assert!(
        second.data.contains("0 created, 0 changed, 1 left"),
        "{}",
        second.data
    );
    let json = cedargate(
        folder.path(),
        &["catalog", "apply", "--json", "catalog.toml"],
        &[],
    );
    let report: Value = serde_json::from_str(&json.data).unwrap();
    assert_eq!(report["lines"][0]["outcome"], "left");
}

#[test]
fn a_wrong_visibility_is_told_with_file_and_line_and_writes_nothing() {
    let folder = catalog_with("pubic");
    let applied = cedargate(folder.path(), &["catalog", "apply", "catalog.toml"], &[]);
    assert_eq!(applied.code, 1);
    assert!(
        applied.messages.starts_with("error: "),
        "{}",
        applied.messages
    );
    assert!(
        applied.messages.contains("catalog.toml:4"),
        "{}",
        applied.messages
    );
    assert!(applied.messages.contains("pubic"), "{}", applied.messages);
    assert!(
        applied.messages.contains("\nhint: "),
        "{}",
        applied.messages
    );
    assert!(applied.data.is_empty());
    let repaired = catalog_with("public");
    std::fs::copy(
        repaired.path().join("catalog.toml"),
        folder.path().join("catalog.toml"),
    )
    .unwrap();
    let applied = cedargate(folder.path(), &["catalog", "apply", "catalog.toml"], &[]);
    assert!(applied.data.contains("1 created"), "{}", applied.data);
}

#[test]
fn a_missing_cog_file_is_told_with_its_line() {
    let folder = catalog_with("public");
    std::fs::remove_file(folder.path().join("salish-sea-topobathy.cog.tif")).unwrap();
    let applied = cedargate(folder.path(), &["catalog", "apply", "catalog.toml"], &[]);
    assert_eq!(applied.code, 1);
    assert!(
        applied.messages.contains("catalog.toml:6"),
        "{}",
        applied.messages
    );
}

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
fn a_type_error_in_a_policy_is_told_with_file_line_and_span_and_nothing_starts() {
    let folder = policies();
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
    let folder = policies();
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
    let why = "What decided ";
    let (_, why) = tested.data.split_once(why).unwrap();
    assert!(why.contains("public (permit, public.cedar:2)"), "{why}");
    assert!(
        why.contains("resource.visibility = Visibility::\"public\""),
        "{why}"
    );
}

#[test]
fn what_no_case_tries_is_told_with_file_and_line_and_changes_no_exit_code() {
    let folder = policies();
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
    // Cedar never comes to the second condition, for the first one never holds.
    assert_eq!(coverage("never_false"), [4]);
}

#[test]
fn the_settings_in_force_are_told_with_their_origin_and_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("cedargate.toml"),
        "token_lifetime = 60\n",
    )
    .unwrap();
    let url = "postgres://cedar:hunter2@localhost/cedargate";
    let told = cedargate(
        folder.path(),
        &["config", "--json"],
        &[
            ("CEDARGATE_DATABASE_URL", url),
            ("CEDARGATE_SESSION_LIFETIME", "600"),
        ],
    );
    assert_eq!(told.code, 0, "{}", told.messages);
    assert!(!told.data.contains("hunter2"));
    let settings: Vec<Value> = serde_json::from_str(&told.data).unwrap();
    let origin = |name: &str| {
        let setting = settings
            .iter()
            .find(|setting| setting["name"] == name)
            .unwrap();
        setting["origin"].as_str().unwrap().to_owned()
    };
    assert!(origin("token_lifetime").contains("cedargate.toml"));
    assert!(origin("session_lifetime").contains("CEDARGATE_SESSION_LIFETIME"));
    assert_eq!(origin("audience"), "default");
}

#[test]
fn wrong_usage_and_wrong_settings_are_exit_code_two() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(cedargate(folder.path(), &["sevre"], &[]).code, 2);
    let misspelt = cedargate(folder.path(), &["config"], &[("CEDARGATE_LISTN", "x")]);
    assert_eq!(misspelt.code, 2);
    assert!(
        misspelt.messages.contains("CEDARGATE_LISTEN"),
        "{}",
        misspelt.messages
    );
    let too_long = cedargate(
        folder.path(),
        &["config"],
        &[("CEDARGATE_TOKEN_LIFETIME", "121")],
    );
    assert_eq!(too_long.code, 2);
    assert!(too_long.messages.contains("120"), "{}", too_long.messages);
}

#[test]
fn the_demo_refuses_to_listen_anywhere_but_loopback() {
    let folder = tempfile::tempdir().unwrap();
    let served = cedargate(
        folder.path(),
        &["serve", "--demo"],
        &[("CEDARGATE_LISTEN", "0.0.0.0:0")],
    );
    assert_eq!(served.code, 1);
    assert!(served.messages.contains("hint: "), "{}", served.messages);
    assert!(!folder.path().join("data").exists());
}

#[test]
fn the_committed_openapi_document_is_the_one_that_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let told = cedargate(folder.path(), &["openapi"], &[]);
    assert_eq!(told.code, 0, "{}", told.messages);
    let committed = std::fs::read_to_string(repository().join("openapi/openapi.json")).unwrap();
    assert!(
        told.data == committed,
        "openapi/openapi.json is out of date: make openapi refreshes it"
    );
}

#[test]
fn a_misspelt_annotation_is_warned_of() {
    let folder = policies();
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
fn looking_at_what_is_not_there_makes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let exported = cedargate(folder.path(), &["audit", "export"], &[]);
    assert_eq!(exported.code, 1);
    assert!(
        exported.messages.contains("cedargate.db"),
        "{}",
        exported.messages
    );
    assert!(!folder.path().join("data").exists());
    let checked = cedargate(folder.path(), &["policy", "check", "nosuch"], &[]);
    assert_eq!(checked.code, 1, "{}", checked.messages);
}

#[test]
fn a_key_made_at_the_command_line_is_all_that_standard_output_gets() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = "[[users]]\nusername = \"robot\"\npassword = \"correct horse\"\n";
    std::fs::write(folder.path().join("catalog.toml"), catalog).unwrap();
    let applied = cedargate(folder.path(), &["catalog", "apply", "catalog.toml"], &[]);
    assert_eq!(applied.code, 0, "{}", applied.messages);
    let create = ["api-key", "create", "--name", "nightly", "--user"];
    let with = |more: &[&str]| cedargate(folder.path(), &[&create, more].concat(), &[]);
    let made = with(&[
        "robot",
        "--expires-in",
        "30",
        "--action",
        "read",
        "--dataset",
        "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0",
    ]);
    assert_eq!(made.code, 0, "{}", made.messages);
    let key = made.data.trim_end();
    assert!(key.starts_with("cg_") && key.len() == 57);
    assert_eq!(made.data, format!("{key}\n"));
    assert!(!made.messages.contains(key));
    let exported = cedargate(folder.path(), &["audit", "export"], &[]);
    let record: Value = serde_json::from_str(exported.data.trim_end()).unwrap();
    assert_eq!(record["event"], "api_key_create");
    assert!(!exported.data.contains(&key[14..]));

    let nobody = with(&["nobody"]);
    assert_eq!(nobody.code, 1);
    assert!(
        nobody.messages.starts_with("error: "),
        "{}",
        nobody.messages
    );
    assert!(nobody.data.is_empty());
    assert_eq!(with(&["robot", "--action", "fly"]).code, 2);
    assert_eq!(with(&["robot", "--expires-in", "0"]).code, 2);
}

#[test]
fn datasets_are_looked_at_and_shared_at_the_command_line() {
    let folder = catalog_with("restricted");
    let more = "[[roles]]\nname = \"hydrology\"\n[[users]]\nusername = \"robot\"\n";
    let path = folder.path().join("catalog.toml");
    let catalog = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{catalog}{more}")).unwrap();
    let run = |arguments: &[&str]| cedargate(folder.path(), arguments, &[]);
    assert_eq!(
        run(&["dataset", "list"]).code,
        1,
        "there is no database yet"
    );
    assert!(!folder.path().join("data").exists());
    assert_eq!(run(&["catalog", "apply", "catalog.toml"]).code, 0);

    let id = "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0";
    let listed = run(&["dataset", "list"]);
    assert!(listed.data.contains(id), "{}", listed.data);
    assert!(listed.data.contains("restricted"), "{}", listed.data);
    let shared = run(&["share", "add", id, "--user", "robot"]);
    assert_eq!(shared.code, 0, "{}", shared.messages);
    assert_eq!(shared.data, "reader users   robot\nreader roles   none\n");
    let shared = run(&["share", "add", id, "--role", "hydrology"]);
    assert_eq!(
        shared.data,
        "reader users   robot\nreader roles   hydrology\n"
    );
    let shown = run(&["dataset", "show", id, "--json"]);
    let dataset: Value = serde_json::from_str(&shown.data).unwrap();
    assert_eq!(dataset["reader_users"], serde_json::json!(["robot"]));
    assert_eq!(dataset["file"]["name"], "salish-sea-topobathy.cog.tif");
    let listed = run(&["dataset", "list", "--json"]);
    let listed: Value = serde_json::from_str(&listed.data).unwrap();
    assert_eq!(listed, serde_json::json!([dataset]));
    assert_eq!(run(&["share", "remove", id, "--user", "robot"]).code, 0);
    let shown = run(&["dataset", "show", id]);
    assert!(shown.data.contains("reader users   none"), "{}", shown.data);
    assert!(shown.data.contains("hydrology"), "{}", shown.data);

    let exported = run(&["audit", "export"]).data;
    let records: Vec<Value> = exported
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let changes: Vec<_> = records
        .iter()
        .filter(|record| record["event"] == "administer")
        .collect();
    assert_eq!(changes.len(), 3, "{exported}");
    for record in changes {
        assert_eq!(record["authentication"], "command_line");
        assert_eq!(record["dataset_id"], id);
    }
}

#[test]
fn a_name_that_nobody_has_is_told_with_the_closest_one() {
    let folder = catalog_with("restricted");
    let run = |arguments: &[&str]| cedargate(folder.path(), arguments, &[]);
    let path = folder.path().join("catalog.toml");
    let catalog = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{catalog}[[users]]\nusername = \"robot\"\n")).unwrap();
    assert_eq!(run(&["catalog", "apply", "catalog.toml"]).code, 0);
    let id = "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0";
    for verb in ["add", "remove"] {
        let misspelt = run(&["share", verb, id, "--user", "robto"]);
        assert_eq!(misspelt.code, 1);
        assert!(
            misspelt.messages.contains("there is no user robto"),
            "{}",
            misspelt.messages
        );
        assert!(
            misspelt.messages.contains("did you mean \"robot\"?"),
            "{}",
            misspelt.messages
        );
        assert_eq!(run(&["share", verb, id]).code, 2);
        assert_eq!(
            run(&["share", verb, id, "--user", "robot", "--role", "admin"]).code,
            2
        );
    }
    let unknown = run(&["dataset", "show", "00000000-0000-4000-8000-000000000000"]);
    assert_eq!(unknown.code, 1);
    assert!(unknown.messages.contains("hint: "), "{}", unknown.messages);
}

#[test]
fn a_diff_tells_who_gains_what_over_the_whole_catalog_and_can_fail_for_it() {
    let folder = catalog_with("private");
    let applied = cedargate(folder.path(), &["catalog", "apply", "catalog.toml"], &[]);
    assert_eq!(applied.code, 0, "{}", applied.messages);
    let edited = policies();
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
    let expected = "anonymous gains read on 1 dataset:\n  2489e9ad-2ee2-8e00-8ec9-32d5f69181c0";
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
