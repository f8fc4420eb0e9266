//! Checking a policy folder: all that is wrong with it in one run, and what deserves a look.

use std::fs;
use std::ops::Range;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::command_line::{
    CommandOutput, cedargate, copy_folder, copy_of_shipped_policies, repository,
};
use crate::policy_reload::bad_inputs;

fn check(folder: &Path, options: &[&str]) -> CommandOutput {
    let path = folder.to_str().unwrap();
    let arguments = [&["policy", "check", path], options].concat();
    cedargate(folder, &arguments, &[])
}

/// The exit code and the report for programs.
fn check_json(folder: &Path) -> (i32, Value) {
    let ended = check(folder, &["--json"]);
    let report = serde_json::from_str(&ended.data);
    let report = report.unwrap_or_else(|error| panic!("{error}: {}", ended.messages));
    (ended.code, report)
}

/// The shipped policies with one more file.
fn policies_with_file(name: &str, text: &str) -> TempDir {
    let folder = copy_of_shipped_policies();
    fs::write(folder.path().join(name), text).unwrap();
    folder
}

/// What a report warns of.
fn warnings(report: &Value) -> Vec<&str> {
    let told = report["warnings"].as_array().unwrap();
    told.iter()
        .map(|warning| warning["message"].as_str().unwrap())
        .collect()
}

#[test]
fn the_shipped_policies_and_every_example_over_them_pass_without_a_warning() {
    let mut folders = vec![copy_of_shipped_policies()];
    for example in fs::read_dir(repository().join("docs/examples")).unwrap() {
        let folder = copy_of_shipped_policies();
        copy_folder(&example.unwrap().path(), folder.path());
        folders.push(folder);
    }
    assert!(folders.len() > 5);
    for folder in folders {
        let (code, report) = check_json(folder.path());
        assert_eq!(code, 0, "{report:#}");
        assert_eq!(report["problems"], json!([]));
        assert_eq!(report["warnings"], json!([]), "{report:#}");
        assert_eq!(report["revision"].as_str().unwrap().len(), 64);
        assert!(report["counts"]["policies"].as_u64().unwrap() >= 7);
        assert!(report["counts"]["cases"].as_u64().unwrap() >= 14);
        assert!(report["counts"]["invariants"].as_u64().unwrap() >= 5);
    }
    let folder = tempfile::tempdir().unwrap();
    let embedded = cedargate(folder.path(), &["policy", "check", "--json"], &[]);
    assert_eq!(embedded.code, 0, "{}", embedded.messages);
    let report: Value = serde_json::from_str(&embedded.data).unwrap();
    assert!(report["counts"]["cases"].as_u64().unwrap() >= 14);
}

#[test]
fn policies_links_cases_and_invariants_that_are_broken_are_told_in_one_run() {
    let folder = policies_with_file(
        "a.cedar",
        "@id(\"a\") @reason(\"x\")\npermit (principal, action, resource) when { é };\n",
    );
    let path = folder.path();
    fs::write(path.join("b.links.json"), "[\n{\"template_id\": 1}]\n").unwrap();
    fs::write(path.join("c.cases.json"), "[\n  {\"name\": \"c\"}\n]\n").unwrap();
    let invariant = "@id(\"d\")\n@reason(\"x\")\npermit (principal, action, resource);\n";
    fs::write(path.join("invariants/d.cedar"), invariant).unwrap();
    let shipped = path.join("public.cases.json");
    let cases = fs::read_to_string(&shipped).unwrap();
    let misspelt = cases.replacen("\"visibility\"", "\"visibilty\"", 1);
    assert_ne!(cases, misspelt);
    fs::write(&shipped, misspelt).unwrap();

    let (code, report) = check_json(path);
    assert_eq!(code, 3);
    assert_eq!(report["revision"], Value::Null);
    assert_eq!(report["counts"]["policies"], Value::Null);
    let problems = report["problems"].as_array().unwrap();
    for (file, line) in [
        ("a.cedar", 2),
        ("b.links.json", 2),
        ("c.cases.json", 2),
        ("invariants/d.cedar", 1),
        ("public.cases.json", 2),
    ] {
        let file = path.join(file);
        let of_file = |problem: &&Value| problem["file"] == file.to_str().unwrap();
        let problem = problems.iter().find(of_file);
        let problem = problem.unwrap_or_else(|| panic!("{} in {report:#}", file.display()));
        assert_eq!(problem["line"], line, "{problem}");
        assert_eq!(problem["severity"], "error");
        assert!(problem["column"].as_u64().unwrap() >= 1);
        let text = fs::read_to_string(&file).unwrap();
        let place: Range<usize> = serde_json::from_value(problem["span"].clone()).unwrap();
        assert!(text.get(place).is_some(), "{problem}");
        assert!(problem["message"].as_str().unwrap().len() > 3);
        assert!(problem.get("help").is_some());
    }
    let told = check(path, &[]);
    assert_eq!(told.code, 3);
    assert_eq!(told.data, "");
    assert!(told.messages.starts_with("error: "), "{}", told.messages);
    for file in ["a.cedar:2", "b.links.json:2", "c.cases.json:2", "d.cedar:1"] {
        assert!(told.messages.contains(file), "{file}: {}", told.messages);
    }
}

#[test]
fn cases_and_invariants_are_checked_beside_policies_that_are_in_order() {
    for (name, text) in [
        ("c.cases.json", "[]]"),
        ("invariants/d.cedar", "permit (principl);"),
    ] {
        let folder = policies_with_file(name, text);
        let (code, report) = check_json(folder.path());
        assert_eq!(code, 3, "{name}");
        let problems = report["problems"].as_array().unwrap();
        assert!(!problems.is_empty(), "{report}");
        let is_there = |problem: &Value| problem["file"].as_str().unwrap().ends_with(name);
        assert!(problems.iter().all(is_there), "{report}");
        assert_eq!(report["revision"].as_str().unwrap().len(), 64);
    }
}

#[test]
fn a_folder_that_is_not_there_is_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let ended = cedargate(folder.path(), &["policy", "check", "nosuch", "--json"], &[]);
    assert_eq!((ended.code, ended.data.as_str()), (1, ""));
    assert!(ended.messages.starts_with("error: "), "{}", ended.messages);
}

/// The same inputs as a running server refuses.
#[test]
fn bad_folders_are_told_clearly_and_answered_with_no() {
    for (name, spoil, told) in bad_inputs() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("policies");
        copy_folder(&repository().join("policies"), &folder);
        spoil(&folder);
        let run = |verb: &str| {
            let path = folder.to_str().unwrap();
            cedargate(outer.path(), &["policy", verb, path], &[])
        };
        let checked = run("check");
        // What cannot be read is no answer.
        let code = if folder.exists() { 3 } else { 1 };
        assert_eq!(checked.code, code, "{name}: {}", checked.messages);
        let tested = run("test");
        assert_eq!(tested.code, 1, "{name}: {}", tested.messages);
        for ended in [checked, tested] {
            assert_eq!(ended.data, "", "{name}");
            assert!(ended.messages.starts_with("error: "), "{name}");
            assert!(ended.messages.contains(told), "{name}: {}", ended.messages);
        }
    }
}

#[test]
fn a_policy_that_would_take_the_stack_is_told_and_the_program_goes_on() {
    let brackets = "(".repeat(100_000) + "true" + &")".repeat(100_000);
    let text =
        format!("@id(\"a\")\npermit (principal, action, resource)\nwhen {{ {brackets} }};\n");
    for verb in ["check", "test", "format", "prove"] {
        let folder = policies_with_file("deep.cedar", &text);
        let path = folder.path().to_str().unwrap();
        let ended = cedargate(folder.path(), &["policy", verb, path], &[]);
        assert_eq!(ended.code, if verb == "check" { 3 } else { 1 });
        assert!(ended.messages.contains("nest deeper"), "{}", ended.messages);
    }
}

#[test]
fn what_deserves_a_look_is_shown_with_its_place_and_is_no_refusal() {
    let folder = policies_with_file(
        "mine.cedar",
        "@id(\"mine\")\npermit (principal in Role::\"hydrology\", action == Action::\"read\", resource);\n\n\
         @id(\"ours\") @reason(\"x\")\npermit (principal in ?principal, action, resource is Dataset);\n",
    );
    let schema = folder.path().join("schema.cedarschema");
    let shipped = fs::read_to_string(&schema).unwrap();
    let added = "entity Team; // A team.\n\naction \"look\" appliesTo { principal: [User], resource: [Dataset] };\n\n";
    fs::write(&schema, [added, &shipped].concat()).unwrap();
    let (code, report) = check_json(folder.path());
    assert_eq!(code, 0);
    assert_eq!(warnings(&report).len(), 4, "{report:#}");
    let told = check(folder.path(), &[]);
    assert_eq!(told.code, 0);
    assert!(
        told.data.contains("8 policies are valid, with 1 template,"),
        "{}",
        told.data
    );
    let origin = folder.path().display().to_string();
    insta::assert_snapshot!(told.messages.replace(&origin, "policies"));
}

#[test]
fn a_policy_beside_which_another_leaves_nothing_to_do_is_told() {
    let scope = "(principal is User, action in [Action::\"read\", Action::\"discover\"], resource is Dataset)";
    let conditions =
        "when { resource.title == \"x\" && resource has owner } unless { principal.hasTag(\"y\") }";
    let turned =
        "when { resource has owner } when { !principal.hasTag(\"y\") && resource.title == \"x\" }";
    let same = scope.replace(
        "\"read\", Action::\"discover\"",
        "\"discover\", Action::\"read\"",
    );
    let narrower = format!("when {{ resource.title like \"x*\" }} {conditions}");
    for (second, told) in [
        (
            format!("permit {same} {turned}"),
            "policy `second` is redundant: `first` is the same",
        ),
        (
            format!("@max_ttl(\"30\") permit {same} {turned}"),
            "policy `first` is redundant: `second` is the same",
        ),
        (
            format!("permit {scope} {narrower}"),
            "policy `second` is redundant: `first` always applies when it does",
        ),
        (
            format!("permit {scope} when {{ resource has owner }}"),
            "policy `first` is redundant: `second` always applies when it does",
        ),
        (
            "permit (principal, action, resource is Dataset) when { resource.title == \"x\" }"
                .to_owned(),
            "policy `first` is redundant: `second` always applies when it does",
        ),
        (format!("@max_ttl(\"30\") permit {scope} {narrower}"), ""),
        (format!("forbid {scope} {conditions}"), ""),
        (
            format!(
                "permit {} {narrower}",
                scope.replace("is User", "in Role::\"a\"")
            ),
            "",
        ),
    ] {
        let folder = policies_with_file(
            "pair.cedar",
            &format!(
                "@id(\"first\") @reason(\"x\") permit {scope} {conditions};\n\
                 @id(\"second\") @reason(\"x\") {second};\n"
            ),
        );
        let (code, report) = check_json(folder.path());
        assert_eq!(code, 0, "{report:#}");
        assert_eq!(warnings(&report).join("; "), told, "{second}");
    }
}

#[test]
fn linked_policies_that_fill_a_template_alike_are_told_at_the_link() {
    let template = "@id(\"reads\") @reason(\"x\")\npermit (principal in ?principal, action == Action::\"read\", resource is Dataset);\n";
    let folder = policies_with_file("reads.cedar", template);
    let link = |name: &str, role: &str| json!({"template_id": "reads", "link_id": name, "args": {"?principal": format!("Role::\"{role}\"")}});
    let links = [link("one", "a"), link("two", "b"), link("twice", "a")];
    let links: Vec<String> = links.iter().map(Value::to_string).collect();
    let links = format!("[\n{}\n]\n", links.join(",\n"));
    fs::write(folder.path().join("reads.links.json"), links).unwrap();
    let (code, report) = check_json(folder.path());
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(
        warnings(&report),
        ["policy `twice` is redundant: `one` is the same"]
    );
    assert_eq!(report["warnings"][0]["line"], 4);
}

#[test]
fn what_an_author_declares_counts_as_used_where_anything_speaks_of_it() {
    let folder = policies_with_file(
        "team.cedar",
        "@id(\"team\") @reason(\"x\")\npermit (principal, action in Action::\"look\", resource is Dataset)\n\
         when { resource has team && resource.team == Team::\"a\" };\n",
    );
    let schema = folder.path().join("schema.cedarschema");
    let text = fs::read_to_string(&schema).unwrap();
    let edited = text
        .replace("\"owner\"?: User,", "\"owner\"?: User, \"team\"?: Team,")
        .replace(
            "action \"read\", \"discover\", \"administer\" appliesTo",
            "action \"look\";\naction \"administer\" appliesTo { principal: [User, Anonymous], resource: [Dataset], context: Context };\n\
             action \"read\", \"discover\" in [\"look\"] appliesTo",
        );
    assert!(edited.contains("[\"look\"]") && edited.contains("team"));
    let peek = "action \"peek\" in [\"look\"] appliesTo { principal: [User], resource: [Dataset], context: Context };\n";
    let groups = "entity Team in [Group];\nentity Group;\n";
    fs::write(&schema, [&edited, peek, groups].concat()).unwrap();
    let (code, report) = check_json(folder.path());
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(report["warnings"], json!([]), "{report:#}");
}
