//! The command line: exit codes, `error:` and `hint:`, settings, and output for scripts.

mod audit;
mod catalog;
mod dataset;
mod import_stac;
mod log;
mod migrate;
mod policy;
mod user;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::cli::{cedargate, repository};

/// A folder with a catalog file of one dataset with a file.
pub(crate) fn catalog_with(visibility: &str) -> TempDir {
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

#[test]
fn the_settings_in_force_are_printed_with_their_origin_and_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("cedargate.toml"),
        "token_lifetime = 60\n",
    )
    .unwrap();
    let url = "postgres://cedar:hunter2@localhost/cedargate";
    let printed = cedargate(
        folder.path(),
        &["config", "--json"],
        &[
            ("CEDARGATE_DATABASE_URL", url),
            ("CEDARGATE_SESSION_LIFETIME", "600"),
        ],
    );
    assert_eq!(printed.code, 0, "{}", printed.messages);
    assert!(!printed.data.contains("hunter2"));
    let settings: Vec<Value> = serde_json::from_str(&printed.data).unwrap();
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
fn the_demo_listens_on_loopback_only() {
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
    let printed = cedargate(folder.path(), &["openapi"], &[]);
    assert_eq!(printed.code, 0, "{}", printed.messages);
    let committed = std::fs::read_to_string(repository().join("openapi/openapi.json")).unwrap();
    assert!(
        printed.data == committed,
        "openapi/openapi.json is out of date: make openapi refreshes it"
    );
}

#[test]
fn read_only_commands_create_no_files() {
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
fn a_key_created_by_a_command_is_the_only_standard_output() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = "[[users]]\nusername = \"robot\"\npassword = \"correct horse\"\n";
    std::fs::write(folder.path().join("catalog.toml"), catalog).unwrap();
    let applied = cedargate(folder.path(), &["catalog", "apply", "catalog.toml"], &[]);
    assert_eq!(applied.code, 0, "{}", applied.messages);
    let create = ["api-key", "create", "--name", "nightly", "--user"];
    let with = |more: &[&str]| cedargate(folder.path(), &[&create, more].concat(), &[]);
    let created = with(&[
        "robot",
        "--expires-in",
        "30",
        "--action",
        "read",
        "--dataset",
        "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0",
    ]);
    assert_eq!(created.code, 0, "{}", created.messages);
    let key = created.data.trim_end();
    assert!(key.starts_with("cg_") && key.len() == 57);
    assert_eq!(created.data, format!("{key}\n"));
    assert!(!created.messages.contains(key));
    let exported = cedargate(folder.path(), &["audit", "export"], &[]);
    let (applied, created) = exported.data.trim_end().split_once('\n').unwrap();
    let reason = "applied the catalog file catalog.toml: created 1 user: robot";
    assert!(applied.contains(reason), "{applied}");
    let record: Value = serde_json::from_str(created).unwrap();
    assert_eq!(record["event"], "api_key_create");
    assert!(!exported.data.contains(&key[14..]));

    let unknown_user = with(&["nobody"]);
    assert_eq!(unknown_user.code, 1);
    assert!(
        unknown_user.messages.starts_with("error: "),
        "{}",
        unknown_user.messages
    );
    assert!(unknown_user.data.is_empty());
    assert_eq!(with(&["robot", "--action", "fly"]).code, 2);
    assert_eq!(with(&["robot", "--expires-in", "0"]).code, 2);
}
