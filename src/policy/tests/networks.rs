//! Named networks: in policies, cases, validation and decisions.

use std::net::IpAddr;

use crate::domain::action::Action;
use crate::domain::caller::DecisionContext;
use crate::domain::dataset::{RecordStatus, Visibility};
use crate::domain::resource::Resource;
use crate::policy::folder::PolicyFolder;
use crate::policy::{Bundle, BundleError};

use super::fixtures::{BEA, context, dataset, folder, problem_lines, signed_in};

const OFFICE: &str = "# The two sites.\noffice = [\"192.0.2.0/24\", \"2001:db8::/32\"]\nblocked = [\"203.0.113.7\"]\n";

fn policy(effect: &str, condition: &str) -> String {
    format!(
        "@id(\"{effect}\") @reason(\"x\") {effect} (principal, action == Action::\"read\", resource) {condition};\n"
    )
}

fn bundle(networks: &str, policies: &str) -> Result<Bundle, BundleError> {
    Bundle::load(folder(&[("networks.toml", networks), ("a.cedar", policies)]).path())
}

fn may_read(bundle: &Bundle, address: Option<&str>) -> bool {
    let resource =
        Resource::Dataset(dataset(Visibility::Restricted, RecordStatus::Published).into());
    let context = DecisionContext {
        address: address.map(|address| address.parse::<IpAddr>().unwrap()),
        ..context()
    };
    let decision = bundle.decide(&signed_in(BEA, &[]), Action::Read, &resource, &context);
    assert!(decision.errors.is_empty(), "{:?}", decision.errors);
    decision.is_permitted
}

#[test]
fn an_address_is_in_the_networks_that_have_it_in_a_range() {
    let permit = policy(
        "permit",
        "when { context.networks.contains(Network::\"office\") }",
    );
    let bundle = bundle(OFFICE, &permit).unwrap();
    assert!(bundle.reads_address());
    for (address, is_permitted) in [
        ("192.0.2.0", true),
        ("192.0.2.255", true),
        ("::ffff:192.0.2.7", true),
        ("2001:db8:ffff::1", true),
        ("192.0.3.0", false),
        ("203.0.113.7", false),
        ("2001:db9::1", false),
        ("::", false),
    ] {
        assert_eq!(may_read(&bundle, Some(address)), is_permitted, "{address}");
    }
}

#[test]
fn an_unknown_address_is_in_no_network_that_grants_and_in_every_one_that_denies() {
    let permit = policy("permit", "");
    for (condition, is_permitted) in [
        (
            "unless { context.networks.contains(Network::\"office\") }",
            false,
        ),
        (
            "when { context.networks.contains(Network::\"blocked\") }",
            false,
        ),
        (
            "when { context.authentication == Authentication::\"none\" && context.networks.contains(Network::\"blocked\") }",
            true,
        ),
    ] {
        let forbid = policy("forbid", condition);
        let bundle = bundle(OFFICE, &format!("{permit}{forbid}")).unwrap();
        assert_eq!(may_read(&bundle, None), is_permitted, "{condition}");
    }
    let permit = policy(
        "permit",
        "when { context.networks.contains(Network::\"office\") }",
    );
    assert!(!may_read(&bundle(OFFICE, &permit).unwrap(), None));
    let permit = policy(
        "permit",
        "unless { context.networks.contains(Network::\"blocked\") }",
    );
    assert!(!may_read(&bundle(OFFICE, &permit).unwrap(), None));
}

#[test]
fn a_misspelt_network_is_an_error_with_what_to_write() {
    for (condition, help) in [
        (
            "context.networks.contains(Network::\"offce\")",
            "write `Network::\"office\"`",
        ),
        (
            "context.networks.contains(\"office\")",
            "write `Network::\"office\"`",
        ),
        (
            "context.networks == \"office\"",
            "write `context.networks.contains(Network::\"office\")`",
        ),
        (
            "\"office\" in context.networks",
            "write `context.networks.contains(Network::\"office\")`",
        ),
        (
            "context.network == \"office\"",
            "write `context.networks.contains(Network::\"office\")`",
        ),
    ] {
        let error = bundle(
            OFFICE,
            &policy("permit", &format!("when {{ {condition} }}")),
        )
        .unwrap_err();
        let helps: Vec<_> = error
            .problems()
            .iter()
            .map(|problem| problem.help())
            .collect();
        assert_eq!(helps, [Some(help)], "{condition}");
    }
    let permit = policy(
        "permit",
        "when { context.networks.contains(Network::\"office\") }",
    );
    let lines = problem_lines(&folder(&[("a.cedar", &permit)])).join("\n");
    assert!(lines.contains("networks.toml"), "{lines}");
}

#[test]
fn every_problem_of_the_file_is_told_at_its_place() {
    let file = "office = [\"192.0.2.7/24\", \"10.*\", 7, \"here\", \"::ffff:192.0.2.1\"]\nempty = []\n\
                \"the lab\" = [\"192.0.2.1\"]\nvpn = \"192.0.2.1\"\n";
    let permit = policy("permit", "");
    let lines = problem_lines(&folder(&[("a.cedar", &permit), ("networks.toml", file)]));
    insta::assert_snapshot!(lines.join("\n"));
    for broken in [
        "",
        "office",
        "office = [\"192.0.2.1\"]\noffice = [\"192.0.2.2\"]",
    ] {
        let lines = problem_lines(&folder(&[("a.cedar", &permit), ("networks.toml", broken)]));
        assert!(lines[0].starts_with("networks.toml:"), "{lines:?}");
    }
    let many = |count: usize| {
        let ranges =
            (0..count).map(|number| format!("\"10.{}.{}.0/24\"", number / 256, number % 256));
        format!("office = [{}]", ranges.collect::<Vec<_>>().join(","))
    };
    let permit = policy(
        "permit",
        "when { context.networks.contains(Network::\"office\") }",
    );
    assert!(may_read(
        &bundle(&many(2_000), &permit).unwrap(),
        Some("10.7.207.1")
    ));
    assert!(bundle(&many(2_001), &permit).is_err());
}

#[test]
fn the_file_is_part_of_the_revision_and_declares_what_the_schema_must_not() {
    let permit = policy("permit", "");
    let revision = |networks| bundle(networks, &permit).unwrap().revision().clone();
    assert_ne!(revision(OFFICE), revision("office = [\"192.0.2.0/24\"]"));
    let schema = include_str!("../../../policies/schema.cedarschema");
    let own = format!("{schema}\nentity Network;\n");
    let folder = folder(&[
        ("a.cedar", &permit),
        ("networks.toml", OFFICE),
        ("schema.cedarschema", &own),
    ]);
    let lines = problem_lines(&folder);
    assert!(lines[0].contains("declares `Network`"), "{lines:?}");
}

#[test]
fn a_case_has_the_networks_of_its_address_unless_it_names_them() {
    let permit = policy(
        "permit",
        "when { context.networks.contains(Network::\"office\") }",
    );
    let case = |context: &str, decision: &str| {
        format!(
            r#"{{"request": {{"principal": "Anonymous::\"anonymous\"", "action": "Action::\"read\"",
            "resource": "Dataset::\"00000000-0000-4000-8000-000000000001\"",
            "context": {{"time": "2026-01-01T00:00:00Z", "authentication": "none", {context}}}}},
            "entities": [], "decision": "{decision}", "reason": [], "num_errors": 0}}"#
        )
    };
    let cases = [
        case(r#""address": "192.0.2.7""#, "allow"),
        case(
            r#""address": {"__extn": {"fn": "ip", "arg": "192.0.2.7"}}"#,
            "allow",
        ),
        case(r#""address": "198.51.100.7""#, "deny"),
        case(r#""address": "unknown""#, "deny"),
        case(
            r#""address": "198.51.100.7", "networks": ["office"]"#,
            "allow",
        ),
    ];
    let cases = format!("[{}]", cases.join(","));
    let files = [
        ("a.cedar", permit.as_str()),
        ("networks.toml", OFFICE),
        ("a.cases.json", &cases),
    ];
    let folder = folder(&files);
    let folder = PolicyFolder::load(folder.path()).unwrap();
    let report = folder
        .cases()
        .unwrap()
        .run(&folder.bundle().unwrap())
        .unwrap();
    assert_eq!((report.passed, report.failed), (5, 0), "{report:?}");
}
