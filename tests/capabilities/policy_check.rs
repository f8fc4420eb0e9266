//! `policy check`: all errors and warnings of a policy folder in one run.

use std::fs;
use std::ops::Range;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::policy_reload::bad_inputs;
use crate::support::cli::{
    CommandOutput, cedargate, copy_folder, copy_of_shipped_policies, repository,
};

fn check(folder: &Path, options: &[&str]) -> CommandOutput {
    let path = folder.to_str().unwrap();
    let arguments = [&["policy", "check", path], options].concat();
    cedargate(folder, &arguments, &[])
}

/// The exit code and the JSON report.
fn check_json(folder: &Path) -> (i32, Value) {
    let output = check(folder, &["--json"]);
    let report = serde_json::from_str(&output.data);
    let report = report.unwrap_or_else(|error| panic!("{error}: {}", output.messages));
    (output.code, report)
}

/// The shipped policies with one more file.
fn policies_with_file(name: &str, text: &str) -> TempDir {
    let folder = copy_of_shipped_policies();
    fs::write(folder.path().join(name), text).unwrap();
    folder
}

/// The warnings of a report.
fn warnings(report: &Value) -> Vec<&str> {
    let output = report["warnings"].as_array().unwrap();
    output
        .iter()
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
        // That is so, and an author has to know it; the examples are right all the same.
        let known = [
            "policy `office-network` reads context.address",
            "the AuthZEN type \"user\" means ",
        ];
        let mut others = warnings(&report);
        others.retain(|message| !known.iter().any(|known| message.starts_with(known)));
        assert!(others.is_empty(), "{report:#}");
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
fn broken_policies_links_cases_and_invariants_are_reported_in_one_run() {
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
        let span: Range<usize> = serde_json::from_value(problem["span"].clone()).unwrap();
        assert!(text.get(span).is_some(), "{problem}");
        assert!(problem["message"].as_str().unwrap().len() > 3);
        assert!(problem.get("help").is_some());
    }
    let output = check(path, &[]);
    assert_eq!(output.code, 3);
    assert_eq!(output.data, "");
    assert!(
        output.messages.starts_with("error: "),
        "{}",
        output.messages
    );
    for file in ["a.cedar:2", "b.links.json:2", "c.cases.json:2", "d.cedar:1"] {
        assert!(
            output.messages.contains(file),
            "{file}: {}",
            output.messages
        );
    }
}

#[test]
fn cases_and_invariants_are_checked_with_valid_policies() {
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
fn a_missing_folder_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let output = cedargate(folder.path(), &["policy", "check", "nosuch", "--json"], &[]);
    assert_eq!((output.code, output.data.as_str()), (1, ""));
    assert!(
        output.messages.starts_with("error: "),
        "{}",
        output.messages
    );
}

/// The same inputs that a running server refuses.
#[test]
fn bad_folders_are_reported_clearly_and_fail_the_check() {
    for (name, break_folder, expected) in bad_inputs() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("policies");
        copy_folder(&repository().join("policies"), &folder);
        break_folder(&folder);
        let run = |verb: &str| {
            let path = folder.to_str().unwrap();
            cedargate(outer.path(), &["policy", verb, path], &[])
        };
        let checked = run("check");
        // A folder that cannot be read is an error, not a failed check.
        let code = if folder.exists() { 3 } else { 1 };
        assert_eq!(checked.code, code, "{name}: {}", checked.messages);
        let tested = run("test");
        assert_eq!(tested.code, 1, "{name}: {}", tested.messages);
        for output in [checked, tested] {
            assert_eq!(output.data, "", "{name}");
            assert!(output.messages.starts_with("error: "), "{name}");
            assert!(
                output.messages.contains(expected),
                "{name}: {}",
                output.messages
            );
        }
    }
}

#[test]
fn a_policy_that_nests_too_deep_is_reported_without_a_stack_overflow() {
    let brackets = "(".repeat(100_000) + "true" + &")".repeat(100_000);
    let text =
        format!("@id(\"a\")\npermit (principal, action, resource)\nwhen {{ {brackets} }};\n");
    for verb in ["check", "test", "format", "prove"] {
        let folder = policies_with_file("deep.cedar", &text);
        let path = folder.path().to_str().unwrap();
        let output = cedargate(folder.path(), &["policy", verb, path], &[]);
        assert_eq!(output.code, if verb == "check" { 3 } else { 1 });
        assert!(
            output.messages.contains("nest deeper"),
            "{}",
            output.messages
        );
    }
}

#[test]
fn warnings_are_printed_with_their_location_and_do_not_fail_the_check() {
    let folder = policies_with_file(
        "mine.cedar",
        "@id(\"mine\")\npermit (principal in Role::\"hydrology\", action == Action::\"read\", resource);\n\n\
         @id(\"ours\") @reason(\"x\")\npermit (principal in ?principal, action, resource is Dataset);\n",
    );
    let schema = folder.path().join("schema.cedarschema");
    let shipped = fs::read_to_string(&schema).unwrap();
    let added = "entity Team; // A team.\n\naction \"look\";\n\n";
    fs::write(&schema, [added, &shipped].concat()).unwrap();
    let (code, report) = check_json(folder.path());
    assert_eq!(code, 0);
    assert_eq!(warnings(&report).len(), 4, "{report:#}");
    let output = check(folder.path(), &[]);
    assert_eq!(output.code, 0);
    assert!(
        output
            .data
            .contains("9 policies are valid, with 1 template,"),
        "{}",
        output.data
    );
    let origin = folder.path().display().to_string();
    insta::assert_snapshot!(output.messages.replace(&origin, "policies"));
}

#[test]
fn a_policy_made_redundant_by_another_is_a_warning() {
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
    for (second, output) in [
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
        (
            format!("forbid {scope} {conditions}"),
            "permit `first` has no effect: forbid `second` always applies when it does",
        ),
        (
            "forbid (principal, action, resource is Dataset) when { resource has owner }"
                .to_owned(),
            "permit `first` has no effect: forbid `second` always applies when it does",
        ),
        (format!("forbid {scope} {narrower}"), ""),
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
        assert_eq!(warnings(&report).join("; "), output, "{second}");
    }
}

#[test]
fn links_that_fill_a_template_alike_are_reported_at_the_link() {
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
fn a_declared_name_counts_as_used_wherever_it_is_used() {
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
    let warnings = report["warnings"].as_array().unwrap().iter();
    let messages: Vec<_> = warnings.map(|warning| &warning["message"]).collect();
    assert_eq!(messages, Vec::<&Value>::new());
}
