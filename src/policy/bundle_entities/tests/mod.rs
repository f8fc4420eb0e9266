//! Files of entities: what is refused and where, what an entity has, and that nothing tells a class apart.

mod checks;
mod classes;
mod requests;

use std::fmt::Write as _;
use std::fs;

use cedar_policy::EntityUid;
use tempfile::TempDir;

use crate::policy::tests::fixtures::{folder, problem_lines};
use crate::policy::{Bundle, BundleError};

const TYPES: &str = r#"
entity Team in [Team];
entity Level enum ["low", "high"];
entity Person in [Team, Role, User] = {
  "level"?: Level, "since"?: datetime, "boss"?: Person, "office"?: { "floor": Long, "seats"?: Set<Long> },
} tags String;
entity Paper in [Team] = { "status": String, "author"?: Person, "curator"?: User };
action "review" appliesTo { principal: [Person], resource: [Paper], context: { "delegate"?: Person } };
"#;

fn schema() -> String {
    format!(
        "{}{TYPES}",
        include_str!("../../../../policies/schema.cedarschema")
    )
}

fn with_files(files: &[(&str, &str)]) -> TempDir {
    let schema = schema();
    let policy = "@id(\"none\") @reason(\"x\")\n\
        permit (principal is User, action == Action::\"read\", resource is Dataset);";
    let mut all = vec![
        ("schema.cedarschema", schema.as_str()),
        ("none.cedar", policy),
    ];
    all.extend(files);
    folder(&all)
}

fn load(entities: &str) -> Result<Bundle, BundleError> {
    Bundle::load(with_files(&[("some.entities.json", entities)]).path())
}

fn uid(text: &str) -> EntityUid {
    text.parse().unwrap()
}

/// What is wrong with one file, and with which piece of it.
fn told(entities: &str) -> String {
    let error = load(entities).unwrap_err();
    let mut text = String::new();
    for problem in error.problems() {
        let piece = problem.span().map(|span| &entities[span]);
        let piece = piece.unwrap_or_default();
        let piece: String = piece.chars().take(60).collect();
        let message = problem.to_string();
        let message = message
            .split_once("some.entities.json")
            .map_or("", |(_, rest)| rest);
        writeln!(text, "{message}\n  at {piece}").unwrap();
    }
    text
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of what can be wrong")]
fn what_is_wrong_is_told_with_its_place() {
    let entity =
        |rest: &str| format!("[{{\"uid\": {{\"type\": \"Paper\", \"id\": \"p\"}}{rest}}}]");
    let paper =
        |attributes: &str| entity(&format!(", \"attrs\": {{\"status\": \"new\"{attributes}}}"));
    let person =
        |rest: &str| format!("[{{\"uid\": {{\"type\": \"Person\", \"id\": \"ann\"}}{rest}}}]");
    let named = |kind: &str| format!("[{{\"uid\": {{\"type\": \"{kind}\", \"id\": \"x\"}}}}]");
    let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
    let cases = [
        ("not JSON", "[{\"uid\": }]".to_owned()),
        (
            "not a list",
            "{\"uid\": {\"type\": \"Paper\", \"id\": \"p\"}}".to_owned(),
        ),
        ("not an object", "[7]".to_owned()),
        (
            "a member twice",
            entity(", \"attrs\": {\"status\": \"a\", \"status\": \"b\"}"),
        ),
        ("an unknown member", entity(", \"atrs\": {}")),
        ("no name", "[{\"attrs\": {}}]".to_owned()),
        ("a name that is none", "[{\"uid\": \"Paper\"}]".to_owned()),
        (
            "an empty id",
            "[{\"uid\": {\"type\": \"Team\", \"id\": \"\"}}]".to_owned(),
        ),
        (
            "a control character",
            "[{\"uid\": {\"type\": \"Team\", \"id\": \"a\\n\"}}]".to_owned(),
        ),
        (
            "a long id",
            format!(
                "[{{\"uid\": {{\"type\": \"Team\", \"id\": \"{}\"}}}}]",
                "x".repeat(1_025)
            ),
        ),
        ("a user", named("User")),
        ("an enumeration", named("Level")),
        ("an action", named("Action")),
        ("a misspelt type", named("Papper")),
        ("a misspelt attribute", paper(", \"auhtor\": \"ann\"")),
        (
            "an attribute of another type",
            entity(", \"attrs\": {\"status\": 7}"),
        ),
        ("a missing attribute", entity("")),
        ("null", entity(", \"attrs\": {\"status\": null}")),
        (
            "a word of no enumeration",
            person(", \"attrs\": {\"level\": \"hihg\"}"),
        ),
        (
            "a wrong member of a record",
            person(", \"attrs\": {\"level\": \"low\", \"office\": {\"floor\": \"one\"}}"),
        ),
        (
            "a wrong extension value",
            person(", \"attrs\": {\"since\": \"yesterday\"}"),
        ),
        (
            "a fraction",
            person(", \"attrs\": {\"office\": {\"floor\": 1.5}}"),
        ),
        (
            "half a character",
            person(", \"tags\": {\"a\": \"\\ud800\"}"),
        ),
        ("a name of Cedar's own", named("__cedar::X")),
        (
            "an unknown value",
            person(", \"attrs\": {\"since\": {\"__extn\": {\"fn\": \"unknown\", \"arg\": \"x\"}}}"),
        ),
        ("a wrong tag", person(", \"tags\": {\"a\": 1}")),
        (
            "tags of a type without",
            entity(", \"attrs\": {\"status\": \"a\"}, \"tags\": {\"a\": \"b\"}"),
        ),
        ("attributes that are a list", person(", \"attrs\": []")),
        ("parents that are an object", person(", \"parents\": {}")),
        (
            "a parent of a type that it cannot be in",
            person(", \"parents\": [{\"type\": \"Paper\", \"id\": \"p\"}]"),
        ),
        (
            "an unknown parent",
            person(", \"parents\": [{\"type\": \"Team\", \"id\": \"t\"}]"),
        ),
        (
            "a user as a parent",
            person(", \"parents\": [{\"type\": \"User\", \"id\": \"u\"}]"),
        ),
        (
            "deep nesting",
            person(&format!(", \"attrs\": {{\"office\": {deep}}}")),
        ),
    ];
    let mut text = String::new();
    for (what, entities) in cases {
        write!(text, "{what}\n{}", told(&entities)).unwrap();
    }
    insta::assert_snapshot!(text);
}

#[test]
fn entities_of_all_files_are_checked_together() {
    let folder = with_files(&[
        (
            "a.entities.json",
            r#"[
  {"uid": {"type": "Team", "id": "b"}, "parents": [{"type": "Team", "id": "c"}]},
  {"uid": {"type": "Team", "id": "a"}, "parents": [{"type": "Team", "id": "b"}]},
  {"uid": {"type": "Person", "id": "ann"}, "parents": [{"type": "Team", "id": "hydrologi"}]}
]"#,
        ),
        (
            "more/b.entities.json",
            r#"[
  {"uid": {"type": "Team", "id": "c"}, "parents": [{"type": "Team", "id": "a"}]},
  {"uid": {"type": "Person", "id": "ann"}},
  {"uid": {"type": "Team", "id": "hydrology"}},
  {"uid": {"type": "Team", "id": "self"}, "parents": [{"type": "Team", "id": "self"}]}
]"#,
        ),
    ]);
    let lines = problem_lines(&folder).join("\n");
    let origin = format!("{}/", folder.path().display());
    insta::assert_snapshot!(lines.replace(&origin, ""));
}

#[test]
fn many_mistakes_in_many_attributes_are_told_in_time() {
    // Looking up what each was meant for, or reading an entity anew for each of its attributes, would take minutes.
    let names: Vec<String> = (0..600)
        .map(|number| format!("attribute{number}"))
        .collect();
    let declared = names.iter().map(|name| format!("\"{name}\"?: String"));
    let declared: Vec<String> = declared.collect();
    let schema = format!("{}\nentity Wide = {{ {} }};", schema(), declared.join(", "));
    let wide = |id: usize, name: &str, value: &str| {
        let members = names
            .iter()
            .map(|known| format!("\"{known}{name}\": {value}"));
        let members: Vec<String> = members.collect();
        let members = members.join(",");
        format!("{{\"uid\":{{\"type\":\"Wide\",\"id\":\"{id}\"}},\"attrs\":{{{members}}}}}")
    };
    let mut entities: Vec<String> = (0..20).map(|id| wide(id, "x", "\"\"")).collect();
    entities.extend((20..40).map(|id| wide(id, "", "true")));
    let text = format!("[{}]", entities.join(","));
    let files = [
        ("schema.cedarschema", schema.as_str()),
        ("w.entities.json", text.as_str()),
    ];
    let error = Bundle::load(with_files(&files).path()).unwrap_err();
    let problems = error.problems();
    assert_eq!(problems.len(), 1_001);
    let suggested = problems
        .iter()
        .filter(|it| it.help().is_some_and(|help| help.contains("did you mean")));
    assert_eq!(suggested.count(), 50);
}

#[test]
fn too_many_and_too_long_are_refused() {
    let team = |id: usize, parents: &str| {
        format!("{{\"uid\":{{\"type\":\"Team\",\"id\":\"{id}\"}},\"parents\":[{parents}]}}")
    };
    let parent = |id: usize| format!("{{\"type\":\"Team\",\"id\":\"{id}\"}}");
    let fails = |count: usize, parents: &dyn Fn(usize) -> String, expected: &str| {
        let all: Vec<String> = (0..count).map(|id| team(id, &parents(id))).collect();
        // A file has at most 1 MiB.
        let files: Vec<(String, String)> = all
            .chunks(5_000)
            .enumerate()
            .map(|(at, part)| {
                (
                    format!("{at}.entities.json"),
                    format!("[{}]", part.join(",")),
                )
            })
            .collect();
        let files: Vec<(&str, &str)> = files
            .iter()
            .map(|(name, text)| (&**name, &**text))
            .collect();
        let error = Bundle::load(with_files(&files).path()).unwrap_err();
        let lines: Vec<String> = error.problems().iter().map(ToString::to_string).collect();
        assert!(
            lines.iter().any(|line| line.contains(expected)),
            "{lines:?}"
        );
        lines
    };
    fails(
        50_001,
        &|_| String::new(),
        "the bundle has more than 50000 entities",
    );
    let lines = fails(
        2_000,
        &|id| {
            if id == 1_999 {
                String::new()
            } else {
                parent(id + 1)
            }
        },
        "more than 1000000 ancestors together",
    );
    assert_eq!(lines.len(), 1);
    let lines = fails(
        10_000,
        &|id| parent((id + 1) % 10_000),
        "Team::\"0\" is in itself: Team::\"0\" -> Team::\"1\" -> Team::\"2\"",
    );
    assert!(
        lines[0].contains("-> 9994 more -> Team::\"0\""),
        "{lines:?}"
    );
    fails(
        1_001,
        &|id| match id {
            0 => vec![parent(1); 1_001].join(","),
            _ => String::new(),
        },
        "Team::\"0\" has more than 1000 parents",
    );
    let lines = fails(
        3_000,
        &|id| parent(id + 10_000),
        "2000 more problems of entities are not listed",
    );
    assert_eq!(lines.len(), 1_001);
}

#[test]
fn a_large_file_a_pipe_and_a_link_in_a_circle_are_refused() {
    let folder = with_files(&[]);
    let path = |name: &str| folder.path().join(name);
    fs::write(path("large.entities.json"), vec![b' '; 1024 * 1024 + 1]).unwrap();
    make_pipe(&path("pipe.entities.json"));
    assert_eq!(
        problem_lines(&folder),
        [
            "large.entities.json: the file is larger than 1024 KiB (split it into several files)",
            "pipe.entities.json: this is not a regular file",
        ]
    );
    std::os::unix::fs::symlink("circle.entities.json", path("circle.entities.json")).unwrap();
    let error = Bundle::load(folder.path()).unwrap_err();
    assert!(matches!(error, BundleError::Unreadable { .. }), "{error}");
}

fn make_pipe(path: &std::path::Path) {
    let status = std::process::Command::new("mkfifo").arg(path).status();
    assert!(status.unwrap().success());
}

#[test]
fn an_entity_has_what_its_file_says_and_all_its_ancestors() {
    let bundle = load(
        r#"[
  {"uid": {"type": "Person", "id": "ann"},
    "attrs": {"level": "high", "since": "2026-01-02", "boss": "Person::\"bob\"", "office": {"floor": 2, "seats": [1, 2]}},
    "parents": [{"type": "Team", "id": "rain"}, {"type": "Role", "id": "hydrology"}], "tags": {"desk": "left"}},
  {"uid": {"__entity": {"type": "Person", "id": "bob"}}},
  {"uid": {"type": "Team", "id": "water"}},
  {"uid": {"type": "Team", "id": "rain"}, "parents": [{"type": "Team", "id": "water"}]}
]"#,
    )
    .unwrap();
    let entities = bundle.entities();
    assert_eq!((entities.len(), entities.is_empty()), (4, false));
    let ann = entities.get(&uid("Person::\"ann\"")).unwrap();
    let mut json = ann.to_json_value().unwrap();
    let parents = json["parents"].as_array_mut().unwrap();
    parents.sort_by_key(ToString::to_string);
    insta::assert_json_snapshot!(json);
    let people = entities.of_type(&"Person".parse().unwrap());
    assert_eq!(people, [uid("Person::\"ann\""), uid("Person::\"bob\"")]);
    assert!(entities.of_type(&"Paper".parse().unwrap()).is_empty());
    assert!(entities.get(&uid("Person::\"eve\"")).is_none());
    let named = entities.named_elsewhere();
    let named: Vec<String> = named.iter().map(|named| named.uid.to_string()).collect();
    assert_eq!(named, ["Role::\"hydrology\""]);
}

#[test]
fn the_entities_are_part_of_the_revision_and_a_file_without_the_suffix_is_not() {
    let revision = |files: &[(&str, &str)]| {
        Bundle::load(with_files(files).path())
            .unwrap()
            .revision()
            .clone()
    };
    let team = r#"[{"uid": {"type": "Team", "id": "a"}}]"#;
    let none = revision(&[]);
    assert_eq!(revision(&[("entities.json", team), ("a.json", team)]), none);
    assert_ne!(revision(&[("a.entities.json", team)]), none);
    // Nobody but the two is swapped.
    let swapped = [("b", "a"), ("a", "b")].map(|(rain, ice)| {
        let person = |id: &str, team: &str| {
            format!(r#"{{"uid": {{"type": "Person", "id": "{id}"}}, "parents": [{{"type": "Team", "id": "{team}"}}]}}"#)
        };
        let teams = r#"{"uid": {"type": "Team", "id": "a"}}, {"uid": {"type": "Team", "id": "b"}}"#;
        let text = format!("[{teams}, {}, {}]", person("rain", rain), person("ice", ice));
        revision(&[("a.entities.json", &text)])
    });
    assert_ne!(swapped[0], swapped[1]);
}
