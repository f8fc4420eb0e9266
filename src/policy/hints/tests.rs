//! What an author is told to write, for many mistakes of each kind.
//!
//! Each line of a table is a condition or a policy; the snapshot has what is told of it. What is told to be written is
//! written, and the policy is then valid at once.

use std::fmt::Write;
use std::fs;

use crate::domain::diagnostic::SourceDiagnostic;
use crate::policy::Bundle;
use crate::policy::tests::fixtures::folder;

/// Conditions of a policy for datasets and any principal.
const TIMES_AND_ADDRESSES: &str = include_str!("tests/times_and_addresses.txt");
const ENTITIES: &str = include_str!("tests/entities.txt");
const GUARDS: &str = include_str!("tests/guards.txt");
const SYNTAX: &str = include_str!("tests/syntax.txt");
/// Whole policies; an empty line is between two of them.
const POLICIES: &str = include_str!("tests/policies.txt");

/// How often what is told may have to be followed: what does not parse hides what is not valid.
const MAX_STEPS: usize = 3;

fn policy_with(condition: &str) -> String {
    format!("permit (principal, action == Action::\"read\", resource)\nwhen {{ {condition} }};")
}

fn errors(text: &str) -> Vec<SourceDiagnostic> {
    let folder = folder(&[("a.cedar", text)]);
    match Bundle::load(folder.path()) {
        Ok(_) => Vec::new(),
        Err(error) => error.problems().to_vec(),
    }
}

fn problems(text: &str) -> Vec<SourceDiagnostic> {
    let folder = folder(&[("a.cedar", text)]);
    match Bundle::load(folder.path()) {
        Ok(bundle) => bundle.warnings().to_vec(),
        Err(error) => error.problems().to_vec(),
    }
}

/// The policy with everything that is told to be written; none if nothing is.
fn mended(text: &str, problems: &[SourceDiagnostic]) -> Option<String> {
    let mut edits: Vec<(std::ops::Range<usize>, &str)> = problems
        .iter()
        .filter_map(|problem| {
            let written = match problem.help()? {
                "leave it out" => "",
                help => help.strip_prefix("write `")?.strip_suffix('`')?,
            };
            Some((problem.span()?, written))
        })
        .collect();
    edits.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
    let mut mended = text.to_owned();
    for (span, written) in &edits {
        mended.replace_range(span.clone(), written);
    }
    (!edits.is_empty()).then_some(mended)
}

/// What is told of each input.
fn told(inputs: impl Iterator<Item = (String, String)>) -> String {
    let mut told = String::new();
    for (input, policy) in inputs {
        let text = format!("@id(\"a\")\n@reason(\"x\")\n{policy}\n");
        let found = problems(&text);
        writeln!(told, "{}", input.replace('\n', "\n| ")).unwrap();
        for problem in &found {
            let place = problem.span().map(|span| text[span].to_owned());
            let message = problem.message().replacen("for policy `a`, ", "", 1);
            let (line, column) = problem.position().unwrap_or_default();
            writeln!(
                told,
                "  {line}:{column} [{}] {message}",
                place.unwrap_or_default()
            )
            .unwrap();
            writeln!(told, "      {}", problem.help().unwrap_or("-")).unwrap();
        }
        if found.is_empty() {
            told.push_str("  valid\n");
        }
        assert_mended(&text, found);
    }
    told
}

/// Follows what is told until nothing is told to be written: each step is free of what it was about, and the last one
/// is valid, or an advice is left.
fn assert_mended(text: &str, mut found: Vec<SourceDiagnostic>) {
    let mut text = text.to_owned();
    for _ in 0..MAX_STEPS {
        let Some(next) = mended(&text, &found) else {
            return;
        };
        text = next;
        found = errors(&text);
        if found.is_empty() {
            return;
        }
    }
    panic!("{text}\n{found:#?}");
}

fn conditions(table: &str) -> String {
    let lines = table.lines().filter(|line| !line.is_empty());
    told(lines.map(|line| (line.to_owned(), policy_with(line))))
}

#[test]
fn times_durations_addresses_and_decimals_are_told_as_they_are_written() {
    insta::assert_snapshot!(conditions(TIMES_AND_ADDRESSES));
}

#[test]
fn users_roles_datasets_and_enumerations_are_told_as_they_are_written() {
    insta::assert_snapshot!(conditions(ENTITIES));
}

#[test]
fn all_guards_that_a_part_needs_are_told_at_once() {
    insta::assert_snapshot!(conditions(GUARDS));
}

#[test]
fn words_and_signs_of_other_languages_are_told_in_cedar() {
    insta::assert_snapshot!(conditions(SYNTAX));
}

#[test]
fn scopes_missing_signs_and_other_languages_are_told_in_cedar() {
    let policies = POLICIES
        .split("\n\n")
        .map(|policy| policy.trim_matches('\n').to_owned());
    insta::assert_snapshot!(told(policies.map(|policy| (policy.clone(), policy))));
}

#[test]
fn attributes_and_enumerations_of_an_authors_own_get_the_same_hints() {
    let schema = include_str!("../../../policies/schema.cedarschema")
        .replace("entity Role;", "entity Role;\nentity Licence enum [\"open\", \"closed\"];")
        .replace(
            "\"title\": String,",
            "\"title\": String,\n  \"embargo\"?: { \"until\"?: datetime, \"by\": User },\n  \"licence\"?: Licence,\n  \
             \"networks\"?: Set<ipaddr>,",
        );
    let mut told = String::new();
    for condition in [
        r#"resource.embargo.until < "2027-01-01""#,
        "resource.embargo.until < context.time",
        r#"resource.licence == "Open""#,
        r#"["open", "closed"].contains(resource.licence)"#,
        r#"resource.networks.contains("10.0.0.1")"#,
        "!resource.embargo.until.isEmpty()",
        "resource.licnce == Licence::\"open\"",
    ] {
        let text = format!("@id(\"a\")\n@reason(\"x\")\n{}\n", policy_with(condition));
        let folder = folder(&[("a.cedar", &text)]);
        fs::write(folder.path().join("schema.cedarschema"), &schema).unwrap();
        let error = Bundle::load(folder.path()).unwrap_err();
        writeln!(told, "{condition}").unwrap();
        for problem in error.problems() {
            writeln!(
                told,
                "  {}\n      {}",
                problem.message(),
                problem.help().unwrap_or("-")
            )
            .unwrap();
        }
        if let Some(mended) = mended(&text, error.problems()) {
            fs::write(folder.path().join("a.cedar"), &mended).unwrap();
            assert!(Bundle::load(folder.path()).is_ok(), "{mended}");
        }
    }
    insta::assert_snapshot!(told);
}

#[test]
fn an_invariant_gets_hints_too() {
    let folder = folder(&[
        (
            "a.cedar",
            "@id(\"a\") @reason(\"x\") permit (principal, action, resource);",
        ),
        (
            "invariants/i.cedar",
            "@id(\"i\") @reason(\"x\") @invariant(\"upper\")\n\
             permit (principal, action == Action::\"read\", resource)\n\
             when { context.time < \"2027-01-01\" };",
        ),
    ]);
    let folder = crate::policy::folder::PolicyFolder::load(folder.path()).unwrap();
    let schema = folder.schema().unwrap();
    let Err(error) = folder.invariants().unwrap().parse(&schema) else {
        panic!("the invariant is valid");
    };
    assert_eq!(
        error.problems()[0].help(),
        Some("write `datetime(\"2027-01-01\")`")
    );
}
