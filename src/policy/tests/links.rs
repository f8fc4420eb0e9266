//! Templates and the links that fill them.

use super::fixtures::{ADA, BEA, decide, folder, problem_lines, signed_in};
use crate::domain::action::Action;
use crate::policy::Bundle;
use crate::policy::folder::PolicyFolder;

const TEMPLATE: &str = "@id(\"readers\") @reason(\"A role reads.\") @max_ttl(\"30\")\n\
    permit (principal in ?principal, action == Action::\"read\", resource is Dataset);\n";
const LINKS: &str = "[\n  {\"template_id\": \"readers\", \"link_id\": \"hydrology-reads\",\n   \
    \"args\": {\"?principal\": \"Role::\\\"hydrology\\\"\"}}\n]\n";

#[test]
fn a_linked_policy_decides_under_its_own_name() {
    let folder = folder(&[("t.cedar", TEMPLATE), ("deep/t.links.json", LINKS)]);
    let bundle = Bundle::load(folder.path()).unwrap();
    let decision = decide(&bundle, &signed_in(ADA, &["hydrology"]), Action::Read);
    assert!(decision.is_permitted, "{decision:?}");
    assert_eq!(decision.determining_policies, ["hydrology-reads"]);
    assert_eq!(decision.max_ttl, 30);
    assert!(!decide(&bundle, &signed_in(BEA, &["geology"]), Action::Read).is_permitted);
    let listed = &bundle.policies()["hydrology-reads"];
    assert_eq!(listed.template.as_deref(), Some("readers"));
    assert_eq!(listed.file, "deep/t.links.json");
    assert_eq!(listed.reason.as_deref(), Some("A role reads."));
    assert!(bundle.files().any(|name| name == "deep/t.links.json"));
}

#[test]
fn the_entity_in_a_slot_is_referenced_and_part_of_the_revision() {
    let load = |links: &str| {
        let folder = folder(&[("t.cedar", TEMPLATE), ("t.links.json", links)]);
        Bundle::load(folder.path()).unwrap()
    };
    let bundle = load(LINKS);
    let roles = bundle.references().roles;
    assert_eq!(roles, ["hydrology".parse().unwrap()].into());
    let other = load(&LINKS.replace("\"hydrology", "\"geology"));
    assert_ne!(bundle.revision(), other.revision());
}

#[test]
fn a_link_that_does_not_fit_is_reported_with_its_location() {
    let args = "{\"?principal\": \"Role::\\\"hydrology\\\"\"}";
    assert!(LINKS.contains(args));
    for (written, edited, line, message) in [
        (
            "\"readers\"",
            "\"writers\"",
            2,
            "template `writers` not found",
        ),
        ("\"hydrology-reads\"", "\"readers\"", 2, "is not unique"),
        (
            "\"hydrology-reads\"",
            "\"\"",
            2,
            "is not allowed in audit records",
        ),
        (
            args,
            "{}",
            2,
            "slot ?principal of template `readers` is not filled",
        ),
        (
            "Role::\\\"hydrology\\\"",
            "hydrology",
            3,
            "is not a valid entity",
        ),
        ("Role::", "Rle::", 2, "Rle"),
        ("?principal", "?action", 3, "?action"),
        (
            "\"args\": {",
            "\"args\": {\"?resource\": \"Role::\\\"a\\\"\", ",
            3,
            "has no slot ?resource",
        ),
        (
            "\"args\": {",
            "\"args\": {\"?principal\": \"Role::\\\"a\\\"\", ",
            3,
            "duplicate",
        ),
        ("\"link_id\"", "\"id\"", 2, "id"),
        ("[\n", "{\n", 1, ""),
    ] {
        assert!(LINKS.contains(written), "{written}");
        let links = LINKS.replacen(written, edited, 1);
        let problems = problem_lines(&folder(&[("t.cedar", TEMPLATE), ("t.links.json", &links)]));
        let place = format!("t.links.json:{line}:");
        assert!(
            problems[0].starts_with(&place) && problems[0].contains(message),
            "{edited}: {problems:?}"
        );
    }
}

#[test]
fn a_template_without_a_link_is_validated_all_the_same() {
    let wrong = TEMPLATE.replace(';', "\nwhen { resource.titel == \"x\" };");
    let problems = problem_lines(&folder(&[("t.cedar", &wrong)]));
    assert!(problems[0].starts_with("t.cedar:3:"), "{problems:?}");
}

#[test]
fn a_filled_slot_is_validated_as_if_it_were_written_out() {
    let template = "@id(\"t\") @reason(\"x\")\n\
        permit (principal == ?principal, action == Action::\"read\", resource is Dataset);\n";
    let links = "[{\"template_id\": \"t\", \"link_id\": \"l\",\n\
        \"args\": {\"?principal\": \"Anonymous::\\\"anonymus\\\"\"}}]";
    let problems = problem_lines(&folder(&[("t.cedar", template), ("t.links.json", links)]));
    assert!(problems[0].starts_with("t.links.json:1:"), "{problems:?}");
}

#[test]
fn a_folder_rebuilt_from_its_files_is_the_same_folder() {
    let folder = folder(&[
        ("t.cedar", TEMPLATE),
        ("t.links.json", LINKS),
        ("t.cases.json", "[]"),
        ("entities.json", "[]"),
        (
            "invariants/nobody.cedar",
            "permit (principal, action, resource);",
        ),
    ]);
    let read = PolicyFolder::load(folder.path()).unwrap();
    let files = read
        .files()
        .map(|(name, text)| (name.to_owned(), text.clone()));
    let again = PolicyFolder::from_files("kept", files.collect());
    assert_eq!(again.fingerprint(), read.fingerprint());
    let bundle = Bundle::load(folder.path()).unwrap();
    assert_eq!(again.bundle().unwrap().revision(), bundle.revision());
    assert!(again.has_cases() && again.has_invariants());
}
