//! Rejected invariants and their problems.

use std::fs;

use super::fixtures::{bundle, folder};
use crate::policy::BundleError;
use crate::policy::folder::PolicyFolder;
use crate::policy::prove::{ProofOptions, ProveError, prove};

const ALL: &str = "@id(\"all\") @reason(\"x\")\npermit (principal, action, resource);\n";

/// The problems of one file of invariants, one line each.
fn problem_lines(invariants: &str) -> Vec<String> {
    let folder = folder(&[("invariants/i.cedar", invariants)]);
    let options = ProofOptions::within(std::time::Duration::from_secs(1));
    let origin = format!("{}/", folder.path().display());
    let invariants = PolicyFolder::load(folder.path()).and_then(|folder| folder.invariants());
    let proved =
        invariants.map(|invariants| prove(&bundle(ALL).unwrap(), &invariants, &options, |_, _| {}));
    let (Err(error) | Ok(Err(ProveError::Invariants(error)))) = proved else {
        panic!("there is no problem");
    };
    let lines = error.lines().into_iter();
    lines.map(|line| line.replace(&origin, "")).collect()
}

#[test]
fn every_problem_of_every_invariant_is_reported_with_its_location() {
    let lines = problem_lines(
        "permit (principal, action, resource) when { true };\n\
         @id(\"a\") @reason(\"x\") @invariant(\"middle\")\nforbid (principal, action, resource);\n\
         @id(\"a\") @reason(\"\") @invariant(\"upper\")\nforbid (principal, action, resource);\n\
         @id(\"b\") @reason(\"x\") @invariant(\"lower\")\nforbid (principal, action, resource);\n\
         @id(\"c\") @reason(\"x\") @invariant(\"upper\")\npermit (principal is User, action, resource);\n\
         @id(\"d\") @reasn(\"x\") @invariant(\"lower\")\npermit (principal, action, resource);\n\
         @id(\"e\") @reason(\"x\") @invariant(\"lower\") @max_ttl(\"3\")\npermit (principal, action, resource);\n\
         @id(\"f\") @reason(\"x\") @invariant(\"lower\")\npermit (principal == ?principal, action, resource);\n\
         @id(\"g\") @reason(\"x\") @invariant(\"lower\")\npermit (principal, action, resource)\nwhen { context.adress.isLoopback() };\n",
    );
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn an_invariant_that_does_not_parse_is_reported_with_its_location() {
    let lines = problem_lines("@id(\"a\")\npermit (principal action, resource);\n");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].starts_with("invariants/i.cedar:2:"),
        "{}",
        lines[0]
    );
}

#[test]
fn a_missing_folder_has_no_invariants() {
    let folder = folder(&[]);
    let gone = folder.path().join("gone");
    let read = || PolicyFolder::load(&gone);
    let error = read().unwrap_err();
    assert!(matches!(error, BundleError::Unreadable { .. }), "{error}");
    fs::create_dir(&gone).unwrap();
    assert!(read().unwrap().invariants().is_ok());
}
