//! `policy explain --entities`: decisions on the entities in a file.

use serde_json::Value;

use crate::support::cli::{CommandOutput, cedargate, copy_of_shipped_policies};

fn parse_json(output: &CommandOutput) -> Value {
    assert_eq!(output.code, 0, "{}", output.messages);
    serde_json::from_str(&output.data).unwrap()
}

/// A user, a dataset and a role in the JSON of the Cedar command line.
const ENTITIES: &str = r#"[
  {
    "uid": {"type": "User", "id": "mo"},
    "attrs": {"username": "maureen"},
    "parents": [{"type": "Role", "id": "hydrology"}]
  },
  {
    "uid": {"type": "User", "id": "4d51f3a1-0000-4000-8000-000000000001"},
    "attrs": {"username": "ivo", "issuer": "https://login.example.org"},
    "parents": []
  },
  {
    "uid": {"type": "Dataset", "id": "tides"},
    "attrs": {
      "title": "Tides",
      "visibility": {"__entity": {"type": "Visibility", "id": "restricted"}},
      "record_status": {"__entity": {"type": "RecordStatus", "id": "published"}},
      "reader_users": [],
      "reader_roles": [{"__entity": {"type": "Role", "id": "geology"}}]
    },
    "parents": [],
    "tags": {"state": ["checked"]}
  },
  {"uid": {"type": "Role", "id": "hydrology"}, "attrs": {}, "parents": []}
]
"#;

/// Explains a decision on a file of entities, without a catalog and without a reachable database.
fn explain_entities(entities: &str, who: &str, dataset: &str, more: &[&str]) -> CommandOutput {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("entities.json"), entities).unwrap();
    let arguments = [
        "policy",
        "explain",
        "--action",
        "read",
        "--entities",
        "entities.json",
        "--principal",
        who,
        "--dataset",
        dataset,
    ];
    let nowhere = ("CEDARGATE_DATABASE_URL", "postgres://127.0.0.1:1/nowhere");
    let output = cedargate(folder.path(), &[&arguments, more].concat(), &[nowhere]);
    assert!(!folder.path().join("data").exists());
    output
}

#[test]
fn entities_in_a_file_are_explained_without_a_database() {
    let at = ["--time", "2026-03-01T12:00:00Z"];
    let output = explain_entities(ENTITIES, "mo", "tides", &at);
    assert_eq!(output.code, 0, "{}", output.messages);
    insta::assert_snapshot!(output.data);
    for (who, which) in [("maureen", "tides"), ("User::\"mo\"", "Dataset::\"tides\"")] {
        let same = explain_entities(ENTITIES, who, which, &at);
        assert_eq!(same.data, output.data, "{who}: {}", same.messages);
    }
    let shared = ENTITIES.replace("\"geology\"", "\"hydrology\"");
    let json = parse_json(&explain_entities(&shared, "mo", "tides", &["--json"]));
    assert_eq!(json["is_permitted"], true);
    assert_eq!(json["determining"][0]["id"], "shared-with-role");
    assert_eq!(json["mint"]["status"], 200);
    assert_eq!(json["username"], "maureen");
    let outside = parse_json(&explain_entities(ENTITIES, "ivo", "tides", &["--json"]));
    assert_eq!(outside["authentication"], "issuer");
    assert_eq!(outside["mint"]["status"], 403);
    let anonymous = parse_json(&explain_entities(
        ENTITIES,
        "anonymous",
        "tides",
        &["--json"],
    ));
    assert_eq!(anonymous["principal"], "anonymous");
    assert_eq!(anonymous["authentication"], "none");
    assert_eq!(anonymous["mint"]["status"], 404);
}

#[test]
fn an_edit_can_be_explained_with_attributes_that_no_catalog_has_yet() {
    let edited = copy_of_shipped_policies();
    let schema = edited.path().join("schema.cedarschema");
    let text = std::fs::read_to_string(&schema).unwrap();
    let more = text.replace("\"title\": String,", "\"title\": String, \"depth\"?: Long,");
    assert_ne!(more, text);
    std::fs::write(&schema, more).unwrap();
    let deep = "@id(\"deep\") @reason(\"x\") forbid (principal, action == Action::\"read\", resource)\n\
        when { resource has depth && resource.depth * 2 > 100 };\n";
    std::fs::write(edited.path().join("deep.cedar"), deep).unwrap();
    let dir = ["--json", "--dir", edited.path().to_str().unwrap()];
    let with = |depth| {
        ENTITIES
            .replace(
                "\"title\": \"Tides\"",
                &format!("\"title\": \"Tides\", \"depth\": {depth}"),
            )
            .replace("\"geology\"", "\"hydrology\"")
    };
    let shallow = parse_json(&explain_entities(&with("50"), "mo", "tides", &dir));
    assert_eq!(shallow["is_permitted"], true);
    let others = shallow["others"].as_array().unwrap();
    let near = others.iter().find(|policy| policy["id"] == "deep");
    assert_eq!(near.unwrap()["parts"][0]["seen"][0]["value"], "50");
    let deep = parse_json(&explain_entities(&with("51"), "mo", "tides", &dir));
    assert_eq!(deep["determining"][0]["id"], "deep");
    // An error denies what would be permitted, and is printed with the values it saw.
    let text = explain_entities(&with("9223372036854775807"), "mo", "tides", &dir[1..]);
    assert!(text.data.starts_with("DENIED"), "{}", text.data);
    assert!(
        text.data.contains("\nevaluation error, which denies: "),
        "{}",
        text.data
    );
    assert!(
        text.data
            .contains("\nWithout the error, permitted by\n\n  shared-with-role "),
        "{}",
        text.data
    );
    let catalog = explain_entities(&with("50"), "mo", "tides", &[]);
    assert_eq!(catalog.code, 1, "the shipped schema has no depth");
    assert!(catalog.messages.contains("depth"), "{}", catalog.messages);
}

#[test]
fn an_entity_file_that_violates_the_schema_is_reported_with_file_line_and_entity() {
    for (written, edited, location, message) in [
        (
            "\"attrs\": {},",
            "\"attrs\": {,",
            "entities.json:24:",
            "key must be a string",
        ),
        (
            "\"title\": \"Tides\"",
            "\"title\": 7",
            "entities.json:12:",
            "entity 3: ",
        ),
        (
            "\"title\": \"Tides\"",
            "\"title\": 7",
            "entities.json:12:",
            "Dataset::\"tides\"",
        ),
        (
            "\"title\": \"Tides\"",
            "\"titel\": \"Tides\"",
            "entities.json:12:",
            "titel",
        ),
        (
            "\"id\": \"restricted\"",
            "\"id\": \"secret\"",
            "entities.json:12:",
            "secret",
        ),
        (
            "{\"type\": \"Role\", \"id\": \"hydrology\"}]",
            "{\"type\": \"Dataset\", \"id\": \"tides\"}]",
            "entities.json:2:",
            "entity 1: ",
        ),
        (
            "[\"checked\"]",
            "\"checked\"",
            "entities.json:12:",
            "entity 3: ",
        ),
        (
            "\"type\": \"Role\", \"id\": \"hydrology\"}, \"attrs\"",
            "\"type\": \"User\", \"id\": \"mo\"}, \"attrs\"",
            "entities.json:24:",
            "entity 4: ",
        ),
    ] {
        assert!(ENTITIES.contains(written), "{written}");
        let output = explain_entities(&ENTITIES.replace(written, edited), "mo", "tides", &[]);
        assert_eq!(output.code, 1, "{edited}: {}", output.data);
        assert!(output.data.is_empty());
        for part in [location, message, "\nhint: "] {
            assert!(
                output.messages.contains(part),
                "{edited}: {part}: {}",
                output.messages
            );
        }
    }
}

#[test]
fn an_entity_file_that_is_no_list_or_has_a_duplicate_is_refused() {
    let twice = ENTITIES.replace(
        "\"type\": \"Role\", \"id\": \"hydrology\"}, \"attrs\": {}",
        "\"type\": \"User\", \"id\": \"mo\"}, \"attrs\": {\"username\": \"mo\"}",
    );
    let large = format!("{ENTITIES}{}", " ".repeat(1024 * 1024));
    for (text, message) in [
        (twice.as_str(), "User::\"mo\""),
        ("{}", "expected a sequence"),
        ("", "EOF"),
        (large.as_str(), "larger than 1024 KiB"),
    ] {
        let output = explain_entities(text, "mo", "tides", &[]);
        assert_eq!(output.code, 1);
        for part in ["entities.json", message] {
            assert!(
                output.messages.contains(part),
                "{part}: {}",
                output.messages
            );
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let ask = [
        "policy",
        "explain",
        "--action",
        "read",
        "--principal",
        "mo",
        "--dataset",
        "tides",
    ];
    let lost = cedargate(
        folder.path(),
        &[&ask[..], &["--entities", "none.json"]].concat(),
        &[],
    );
    assert_eq!(lost.code, 1);
    assert!(
        lost.messages.contains("cannot read none.json"),
        "{}",
        lost.messages
    );
}

#[test]
fn an_entity_that_the_file_lacks_is_reported_with_a_hint() {
    for (who, which, message) in [
        (
            "maurene",
            "tides",
            "there is no user maurene\nhint: did you mean \"maureen\"?",
        ),
        (
            "User::\"m\"",
            "tides",
            "there is no user User::\"m\"\nhint: ",
        ),
        (
            "mo",
            "tide",
            "there is no dataset tide\nhint: did you mean \"tides\"?",
        ),
        (
            "Role::\"hydrology\"",
            "tides",
            "Role::\"hydrology\" is not a user",
        ),
        ("mo", "User::\"mo\"", "User::\"mo\" is not a dataset"),
        (
            "User::\"mo",
            "tides",
            "User::\"mo is not a valid entity name",
        ),
    ] {
        let output = explain_entities(ENTITIES, who, which, &[]);
        assert_eq!(output.code, 1, "{}", output.data);
        assert!(
            output.messages.contains(message),
            "{message}: {}",
            output.messages
        );
    }
    let both = ENTITIES.replace("\"ivo\"", "\"maureen\"");
    let output = explain_entities(&both, "maureen", "tides", &[]);
    assert!(
        output.messages.contains("more than one user"),
        "{}",
        output.messages
    );
}
