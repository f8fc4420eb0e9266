//! Own types in `policy check` and in cases: what is asked and filled gives no warning, and what is not does.

use std::fmt::Write as _;
use std::fs;

use tempfile::TempDir;

use crate::policy::Bundle;
use crate::policy::bundle_entities::EntityChanges;
use crate::policy::check::PolicyCheck;
use crate::policy::folder::PolicyFolder;
use crate::policy::tests::fixtures::{folder, problem_lines};

const OWN_TYPES: &str = r#"
namespace Lab {
  entity Org;
  entity Team in [Team, Org];
  entity Person in [Team, Role] = { "username": String, "issuer"?: String, "team"?: Team };
  entity Paper in [Team] = { "visibility": String, "status"?: String };
  entity Never;
  action "reviewing";
  action "forgotten";
  action "review" in ["reviewing"] appliesTo { principal: [Person], resource: [Paper], context: { "soft"?: Bool } };
  action "file" appliesTo { principal: [User], resource: [Paper] };
}
"#;

fn lab(files: &[(&str, &str)]) -> TempDir {
    let schema = format!(
        "{}{OWN_TYPES}",
        include_str!("../../../../policies/schema.cedarschema")
    );
    let mut all = vec![("schema.cedarschema", schema.as_str())];
    all.extend(files);
    folder(&all)
}

fn warnings(folder: &TempDir) -> String {
    let check = PolicyCheck::run(PolicyFolder::load(folder.path())).unwrap();
    assert!(check.is_passed(), "{:?}", check.problems);
    let origin = format!("{}/", folder.path().display());
    let mut text = String::new();
    for warning in check.warnings {
        let file = warning.file().replace(&origin, "");
        let source = fs::read_to_string(folder.path().join(&file)).unwrap();
        let piece = warning.span().map_or("", |span| &source[span]);
        let help = warning.help().unwrap_or_default();
        writeln!(text, "{file} at {piece}: {}\n  {help}", warning.message()).unwrap();
    }
    text
}

#[test]
fn what_others_ask_and_files_fill_gives_no_warning() {
    let folder = lab(&[
        (
            "lab.cedar",
            r#"@id("review") @reason("x")
            permit (principal is Lab::Person in Lab::Team::"a", action in Lab::Action::"reviewing", resource is Lab::Paper)
            when { principal.username == "Ada Lovelace" && principal has issuer && principal.issuer == "the lab" }
            unless { context has soft && context.soft };
            @id("all") @reason("x")
            permit (principal, action == Lab::Action::"review", resource)
            when { principal.username like "A B*" && resource.visibility == "for all" };
            @id("role") @reason("x")
            permit (principal in Role::"hydrology", action == Lab::Action::"file", resource);"#,
        ),
        (
            "lab.entities.json",
            r#"[
  {"uid": {"type": "Lab::Team", "id": "a"}},
  {"uid": {"type": "Lab::Person", "id": "ada"}, "attrs": {"username": "Ada Lovelace"},
    "parents": [{"type": "Lab::Team", "id": "a"}, {"type": "Role", "id": "no role"}]}
]"#,
        ),
    ]);
    insta::assert_snapshot!(warnings(&folder));
}

#[test]
fn a_policy_without_types_is_told_that_it_is_about_own_types_too() {
    let folder = lab(&[(
        "all.cedar",
        r#"@id("all") @reason("x") permit (principal, action, resource)
        when { resource.visibility == Visibility::"public" };
        @id("some") @reason("x") permit (principal is Lab::Person, action, resource) when { resource has stauts };
        @id("user") @reason("x") permit (principal is User, action == Lab::Action::"file", resource)
        when { resource.visibility == Visibility::"public" };"#,
    )]);
    insta::assert_snapshot!(problem_lines(&folder).join("\n"));
}

#[test]
fn a_misspelt_entity_of_an_own_type_is_told_wherever_it_is() {
    let folder = lab(&[
        (
            "lab.cedar",
            r#"@id("review") @reason("x")
            permit (principal in Lab::Team::"watr", action == Lab::Action::"review", resource is Lab::Paper)
            unless { principal == Lab::Person::"adda" || resource == Lab::Paper::"of nobody in a file" };
            @id("linked") @reason("x")
            permit (principal in ?principal, action == Lab::Action::"review", resource is Lab::Paper);"#,
        ),
        (
            "lab.links.json",
            r#"[{"template_id": "linked", "link_id": "rain", "args": {"?principal": "Lab::Team::\"ran\""}}]"#,
        ),
        (
            "lab.entities.json",
            r#"[
  {"uid": {"type": "Lab::Team", "id": "water"}},
  {"uid": {"type": "Lab::Team", "id": "rain"}},
  {"uid": {"type": "Lab::Person", "id": "ada"}, "attrs": {"username": "ada", "team": "wahter"}},
  {"uid": {"type": "Lab::Person", "id": "bob"}, "attrs": {"username": "bob", "team": "elsewhere"}}
]"#,
        ),
    ]);
    insta::assert_snapshot!(warnings(&folder));
}

const LAB_POLICY: &str = r#"@id("review") @reason("x")
permit (principal in Lab::Team::"water", action == Lab::Action::"review", resource is Lab::Paper)
when { resource.visibility == "all" };"#;
const LAB_ENTITIES: &str = r#"[
  {"uid": {"type": "Lab::Team", "id": "water"}},
  {"uid": {"type": "Lab::Team", "id": "rain"}, "parents": [{"type": "Lab::Team", "id": "water"}]},
  {"uid": {"type": "Lab::Person", "id": "ada"}, "attrs": {"username": "ada"}, "parents": [{"type": "Lab::Team", "id": "rain"}]},
  {"uid": {"type": "Lab::Person", "id": "bob"}, "attrs": {"username": "bob"}},
  {"uid": {"type": "Lab::Paper", "id": "p"}, "attrs": {"visibility": "all"}}
]"#;

fn case(name: &str, person: &str, entities: &str, decision: &str) -> String {
    let reason = if decision == "allow" {
        "[\"review\"]"
    } else {
        "[]"
    };
    format!(
        r#"{{"name": "{name}", "request": {{"principal": "Lab::Person::\"{person}\"", "action": "Lab::Action::\"review\"",
  "resource": "Lab::Paper::\"p\"", "context": {{}}}}, "entities": {entities},
  "decision": "{decision}", "reason": {reason}, "num_errors": 0}}"#
    )
}

#[test]
fn cases_are_decided_with_the_entities_of_the_bundle_under_their_own() {
    let private = r#"[{"uid": {"type": "Lab::Paper", "id": "p"}, "attrs": {"visibility": "none"}, "parents": []}]"#;
    let joined = r#"[{"uid": {"type": "Lab::Person", "id": "bob"}, "attrs": {"username": "bob"},
      "parents": [{"type": "Lab::Team", "id": "rain"}]}]"#;
    let cases = [
        case("one in the team", "ada", "[]", "allow"),
        case("one who is not", "bob", "[]", "deny"),
        case("one whom nobody knows", "eve", "[]", "deny"),
        case("another paper of the name", "ada", private, "deny"),
        case("one who joins", "bob", joined, "allow"),
        case(
            "by the name of the file",
            "ada",
            "\"lab.entities.json\"",
            "allow",
        ),
    ];
    let cases = format!("[{}]", cases.join(",\n"));
    let files = [
        ("lab.cedar", LAB_POLICY),
        ("lab.entities.json", LAB_ENTITIES),
        ("lab.cases.json", cases.as_str()),
    ];
    let folder = PolicyFolder::load(lab(&files).path()).unwrap();
    let bundle = folder.bundle().unwrap();
    let report = folder.cases().unwrap().run(&bundle).unwrap();
    assert_eq!(
        (report.passed, report.failed),
        (6, 0),
        "{}",
        report.render()
    );
    assert!(report.is_complete());
    // What the conditions of `review` are in these cases is known from the entities too.
    let coverage = folder.cases().unwrap().coverage(&bundle).unwrap();
    assert!(coverage.never_satisfied.is_empty() && coverage.never_false.is_empty());
    // Without the file there are other answers.
    let others = [
        ("lab.cedar", LAB_POLICY),
        ("lab.cases.json", cases.as_str()),
    ];
    let others = cases_without_the_file(&others);
    assert!(
        others.contains("entity file \"lab.entities.json\" not found"),
        "{others}"
    );
}

fn cases_without_the_file(files: &[(&str, &str)]) -> String {
    let folder = PolicyFolder::load(lab(files).path()).unwrap();
    let bundle = folder.bundle().unwrap();
    let error = folder.cases().unwrap().run(&bundle).unwrap_err();
    error.lines().join("\n")
}

#[test]
fn a_case_that_puts_a_team_of_the_bundle_into_itself_is_refused() {
    let turned = r#"[{"uid": {"type": "Lab::Team", "id": "water"}, "attrs": {}, "parents": [{"type": "Lab::Team", "id": "rain"}]}]"#;
    let cases = format!("[{}]", case("a circle", "ada", turned, "deny"));
    let files = [
        ("lab.cedar", LAB_POLICY),
        ("lab.entities.json", LAB_ENTITIES),
        ("lab.cases.json", cases.as_str()),
    ];
    let folder = PolicyFolder::load(lab(&files).path()).unwrap();
    let error = folder
        .cases()
        .unwrap()
        .run(&folder.bundle().unwrap())
        .unwrap_err();
    let lines = error.lines().join("\n");
    assert!(
        lines.contains("lab.cases.json:1: case \"a circle\": its entities do not fit"),
        "{lines}"
    );
}

#[test]
fn a_folder_that_is_kept_and_read_again_has_the_same_entities() {
    let files = [
        ("lab.cedar", LAB_POLICY),
        ("more/lab.entities.json", LAB_ENTITIES),
    ];
    let folder = PolicyFolder::load(lab(&files).path()).unwrap();
    let kept = folder
        .files()
        .map(|(name, text)| (name.to_owned(), text.clone()));
    let kept = PolicyFolder::from_files("kept", kept.collect());
    assert_eq!(kept.revision(), folder.revision());
    assert_eq!(kept.fingerprint(), folder.fingerprint());
    assert_eq!(kept.bundle().unwrap().entities().len(), 5);
    // Policies that permit nothing need no entities.
    assert!(kept.closed().bundle().unwrap().entities().is_empty());
}

#[test]
fn what_an_edit_does_to_the_entities_is_told() {
    let load = |entities: &str| {
        let files = [("lab.cedar", LAB_POLICY), ("lab.entities.json", entities)];
        Bundle::load(lab(&files).path()).unwrap()
    };
    let before = load(LAB_ENTITIES);
    let line =
        |entities: &str| EntityChanges::new(before.entities(), load(entities).entities()).line();
    // The order of a file and its layout do not count.
    let mut reordered: Vec<serde_json::Value> = serde_json::from_str(LAB_ENTITIES).unwrap();
    reordered.reverse();
    assert_eq!(line(&serde_json::to_string(&reordered).unwrap()), None);
    let edited = LAB_ENTITIES
        .replace("\"username\": \"bob\"", "\"username\": \"robert\"")
        .replace("\"id\": \"p\"", "\"id\": \"q\"")
        .replace(
            r#""id": "rain"}, "parents": [{"type": "Lab::Team", "id": "water"}]"#,
            r#""id": "rain"}"#,
        );
    assert_eq!(
        line(&edited).unwrap(),
        "entities of own types: 1 added (Lab::Paper::\"q\"), 1 removed (Lab::Paper::\"p\"), \
         2 changed (Lab::Person::\"bob\", Lab::Team::\"rain\")",
        "ada is in one team less, and says the same"
    );
    let many: Vec<String> = (0..30)
        .map(|id| format!("{{\"uid\": {{\"type\": \"Lab::Team\", \"id\": \"{id:02}\"}}}}"))
        .collect();
    let line = line(&format!("[{}]", many.join(",")));
    assert!(line.unwrap().starts_with(
        "entities of own types: 30 added (Lab::Team::\"00\", Lab::Team::\"01\", Lab::Team::\"02\", \
         Lab::Team::\"03\", Lab::Team::\"04\" and 25 more), 5 removed"
    ));
}
