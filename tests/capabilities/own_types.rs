//! Entities of the author's own types: part of the policies from the check to the restart.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::policy_reload::{health, reload, server_on};
use crate::support::cli::{CommandOutput, cedargate, copy_of_shipped_policies, edit};
use crate::support::server::Server;

const TYPES: &str = r#"
namespace Lab {
  entity Team;
  entity Member in [Team] = { "trained"?: Bool };
  entity Instrument = { "team": Team };
  action "book" appliesTo { principal: [Member], resource: [Instrument] };
}
"#;
const POLICY: &str = r#"@id("team-books") @reason("The instrument is of the member's team.")
permit (principal, action == Lab::Action::"book", resource)
when { principal in resource.team && principal has trained && principal.trained };
"#;
const ENTITIES: &str = r#"[
  {"uid": {"type": "Lab::Team", "id": "hydrology"}},
  {"uid": {"type": "Lab::Member", "id": "mira"}, "attrs": {"trained": true},
    "parents": [{"type": "Lab::Team", "id": "hydrology"}]},
  {"uid": {"type": "Lab::Member", "id": "noel"}, "parents": [{"type": "Lab::Team", "id": "hydrology"}]},
  {"uid": {"type": "Lab::Instrument", "id": "sonar"}, "attrs": {"team": "hydrology"}}
]
"#;

/// The shipped policies with a laboratory, and a case for whether each of two members books.
fn lab() -> TempDir {
    let folder = copy_of_shipped_policies();
    let path = |name: &str| folder.path().join(name);
    let schema = fs::read_to_string(path("schema.cedarschema")).unwrap();
    fs::write(path("schema.cedarschema"), schema + TYPES).unwrap();
    fs::write(path("lab.cedar"), POLICY).unwrap();
    fs::write(path("lab.entities.json"), ENTITIES).unwrap();
    let case = |member: &str, decision: &str, reason: Value| {
        json!({
            "name": format!("{member} books"),
            "request": {
                "principal": format!("Lab::Member::\"{member}\""),
                "action": "Lab::Action::\"book\"",
                "resource": "Lab::Instrument::\"sonar\"",
                "context": {},
            },
            "entities": [],
            "decision": decision,
            "reason": reason,
            "num_errors": 0,
        })
    };
    let cases = json!([
        case("mira", "allow", json!(["team-books"])),
        case("noel", "deny", json!([]))
    ]);
    fs::write(path("lab.cases.json"), cases.to_string()).unwrap();
    folder
}

fn policy(folder: &Path, command: &str) -> CommandOutput {
    cedargate(folder, &["policy", command, folder.to_str().unwrap()], &[])
}

#[test]
fn a_folder_with_entities_is_checked_tried_and_proved_without_a_warning() {
    let folder = lab();
    let checked = policy(folder.path(), "check");
    assert_eq!((checked.code, checked.messages.as_str()), (0, ""));
    let tested = policy(folder.path(), "test");
    assert_eq!(tested.code, 0, "{}", tested.data);
    assert!(tested.data.contains("mira books") && tested.data.contains("noel books"));
    // Who is trained is in the entities alone.
    edit(
        folder.path(),
        "lab.entities.json",
        "\"trained\": true",
        "\"trained\": false",
    );
    let tested = policy(folder.path(), "test");
    assert_eq!(tested.code, 3, "{}", tested.data);
    assert!(
        tested.data.contains("expected allow, got deny"),
        "{}",
        tested.data
    );
}

#[test]
fn what_is_wrong_with_entities_is_shown_in_the_file() {
    let folder = lab();
    edit(
        folder.path(),
        "lab.entities.json",
        "\"trained\"",
        "\"traind\"",
    );
    edit(
        folder.path(),
        "lab.entities.json",
        "\"team\": \"hydrology\"",
        "\"team\": 7",
    );
    let checked = policy(folder.path(), "check");
    assert_eq!(checked.code, 3);
    let messages = checked
        .messages
        .replace(folder.path().to_str().unwrap(), "FOLDER");
    insta::assert_snapshot!(messages);
}

#[test]
fn a_diff_tells_the_entities_of_an_edit() {
    let (before, after) = (lab(), lab());
    edit(
        after.path(),
        "lab.entities.json",
        "\"id\": \"mira\"",
        "\"id\": \"mara\"",
    );
    let data = tempfile::tempdir().unwrap();
    fs::write(
        data.path().join("catalog.toml"),
        "[[users]]\nusername = \"ada\"\nroles = [\"admin\"]\n",
    )
    .unwrap();
    let applied = cedargate(data.path(), &["catalog", "apply", "catalog.toml"], &[]);
    assert_eq!(applied.code, 0, "{}", applied.messages);
    let diff = |more: &[&str]| {
        let (from, to) = (
            before.path().to_str().unwrap(),
            after.path().to_str().unwrap(),
        );
        let arguments = ["policy", "diff", "--from", from, "--to", to];
        cedargate(data.path(), &[&arguments, more].concat(), &[])
    };
    let told = diff(&["--fail-on-change"]);
    assert_eq!(told.code, 3, "{}", told.messages);
    let line = "entities of own types: 1 added (Lab::Member::\"mara\"), 1 removed (Lab::Member::\"mira\")\n";
    assert!(told.data.starts_with(line), "{}", told.data);
    assert!(told.data.contains("no decision changes"), "{}", told.data);
    let json: Value = serde_json::from_str(&diff(&["--json"]).data).unwrap();
    assert_eq!(
        json["entities"],
        json!({
            "added": {"count": 1, "names": ["Lab::Member::\"mara\""]},
            "removed": {"count": 1, "names": ["Lab::Member::\"mira\""]},
            "changed": {"count": 0, "names": []},
        })
    );
}

async fn revision(server: &Server) -> Value {
    health(server).await["revision"].clone()
}

#[tokio::test]
async fn an_edit_of_entities_alone_comes_into_force_and_a_broken_one_does_not() {
    let folder = lab();
    let server = server_on(folder.path(), "require", "off").await;
    let session = server.session("ada").await;
    let before = revision(&server).await;
    let more = "\n  {\"uid\": {\"type\": \"Lab::Member\", \"id\": \"nora\"}},";
    edit(
        folder.path(),
        "lab.entities.json",
        "[\n",
        &format!("[{more}\n"),
    );
    assert_eq!(reload(&server, &session).await.status, 200);
    let edited = revision(&server).await;
    assert_ne!(edited, before);
    edit(
        folder.path(),
        "lab.entities.json",
        "\"type\": \"Lab::Member\", \"id\": \"nora\"",
        "\"type\": \"User\", \"id\": \"nora\"",
    );
    let detail = reload(&server, &session).await.problem(409);
    assert!(detail.contains("lab.entities.json:2:"), "{detail}");
    assert!(
        detail.contains("cannot be in a file of entities"),
        "{detail}"
    );
    assert_eq!(revision(&server).await, edited);
    // The last good policies have their entities.
    let server = server.restarted().await;
    let ready = health(&server).await;
    assert_eq!(
        (&ready["revision"], &ready["status"]),
        (&edited, &json!("degraded")),
        "{ready}"
    );
}
