//! Decisions about a client whose address is unknown.

use std::sync::Arc;

use super::fixtures::{ADA, bundle, context, dataset, folder, signed_in};
use crate::domain::action::Action;
use crate::domain::caller::DecisionContext;
use crate::domain::dataset::{RecordStatus, Visibility};
use crate::domain::decision::Decision;
use crate::domain::resource::Resource;
use crate::policy::Bundle;
use crate::policy::explain::{PolicyExplanation, ValueVisibility};
use crate::policy::folder::PolicyFolder;

/// Addresses within and outside the networks of the conditions below.
const ADDRESSES: [&str; 8] = [
    "192.0.2.7",
    "198.51.100.7",
    "203.0.113.1",
    "127.0.0.1",
    "::",
    "::1",
    "2001:db8::7",
    "ff02::1",
];

/// Conditions that depend on the address, some of which are true of every address.
const CONDITIONS: [&str; 17] = [
    "when { context.address.isInRange(ip(\"192.0.2.0/24\")) }",
    "unless { context.address.isInRange(ip(\"192.0.2.0/24\")) }",
    "when { context.address.isInRange(ip(\"0.0.0.0/0\")) || context.address.isInRange(ip(\"::/0\")) }",
    "when { context.address.isIpv4() || context.address.isIpv6() }",
    "when { context.address == ip(\"192.0.2.7\") }",
    "when { context.address != ip(\"192.0.2.7\") }",
    "when { [ip(\"192.0.2.7\"), ip(\"::1\")].contains(context.address) }",
    "when { if context.address.isLoopback() then false else true }",
    "when { {\"at\": context.address}.at.isIpv4() }",
    "when { (if context.authentication == Authentication::\"none\" then ip(\"::1\") else context.address).isIpv4() }",
    "when { context == context }",
    "when { !context.address.isMulticast() && context.authentication == Authentication::\"password\" }",
    "when { context.authentication == Authentication::\"password\" && !context.address.isMulticast() }",
    "unless { context.address.isLoopback() || context.address.isMulticast() }",
    "when { context.address.isInRange(ip(\"192.0.2.0/24\")) == false }",
    "when { context.address.isLoopback() || context.authentication == Authentication::\"none\" }",
    "unless { context.authentication == Authentication::\"password\" && context.address.isLoopback() }",
];

fn at(address: Option<&str>) -> DecisionContext {
    DecisionContext {
        address: address.map(|address| address.parse().unwrap()),
        ..context()
    }
}

fn decide(bundle: &Bundle, address: Option<&str>) -> Decision {
    let dataset = Arc::new(dataset(Visibility::Internal, RecordStatus::Published));
    let resource = Resource::Dataset(dataset);
    let principal = signed_in(ADA, &[]);
    let decide = |unindexed: bool| {
        let context = at(address);
        if unindexed {
            return bundle.decide_unindexed(&principal, Action::Read, &resource, &context);
        }
        bundle.decide(&principal, Action::Read, &resource, &context)
    };
    let decision = decide(false);
    assert_eq!(decision, decide(true));
    decision
}

fn policies(texts: &[&str]) -> Bundle {
    let named = texts.iter().enumerate().map(|(at, text)| {
        let text = text.replacen(
            " (",
            " (principal, action == Action::\"read\", resource)",
            1,
        );
        format!("@id(\"p{at}\") @reason(\"x\") {text};\n")
    });
    bundle(&named.collect::<String>()).unwrap()
}

#[test]
fn no_permit_is_satisfied_by_an_unknown_address() {
    for condition in CONDITIONS {
        let bundle = policies(&[&format!("permit ({condition}")]);
        let decision = decide(&bundle, None);
        assert!(!decision.is_permitted, "{condition}");
        assert_eq!(decision.errors, [""; 0], "{condition}");
    }
}

#[test]
fn every_forbid_that_depends_on_an_unknown_address_forbids() {
    for condition in CONDITIONS {
        let bundle = policies(&["permit (", &format!("forbid ({condition}")]);
        let decision = decide(&bundle, None);
        assert!(!decision.is_permitted, "{condition}");
        assert_eq!(decision.determining_policies, ["p1"], "{condition}");
        assert_eq!(decision.errors, [""; 0], "{condition}");
    }
}

#[test]
fn what_an_unknown_address_may_every_address_may() {
    for (first, second) in CONDITIONS.iter().flat_map(|a| CONDITIONS.map(|b| (a, b))) {
        for others in [&["permit ("][..], &[]] {
            let (permit, forbid) = (format!("permit ({first}"), format!("forbid ({second}"));
            let all: Vec<&str> = [permit.as_str(), forbid.as_str()]
                .into_iter()
                .chain(others.to_vec())
                .collect();
            let bundle = policies(&all);
            if decide(&bundle, None).is_permitted {
                for address in ADDRESSES {
                    let decision = decide(&bundle, Some(address));
                    assert!(decision.is_permitted, "{address}: {all:?}");
                }
            }
        }
    }
}

#[test]
fn policies_that_do_not_need_the_address_decide_as_ever() {
    let not_needed = [
        "when { context.address.isLoopback() || context.authentication == Authentication::\"password\" }",
        "when { context.authentication == Authentication::\"password\" || context.address.isLoopback() }",
        "unless { context.address.isLoopback() && context.authentication == Authentication::\"none\" }",
        "when { !(context.address == ip(\"::1\") && !(context.authentication == Authentication::\"password\")) }",
        "when { context has address }",
        "when { context.authentication == Authentication::\"password\" }",
    ];
    for condition in not_needed {
        let bundle = policies(&[&format!("permit ({condition}")]);
        assert!(decide(&bundle, None).is_permitted, "{condition}");
        let forbidding = policies(&["permit (", &format!("forbid ({condition}")]);
        assert!(!decide(&forbidding, None).is_permitted, "{condition}");
    }
    // A forbid for others than this request, whatever its address.
    let other = "forbid (when { context.address.isLoopback() && context.authentication == Authentication::\"none\" }";
    assert!(decide(&policies(&["permit (", other]), None).is_permitted);
    // A permit to everybody is none by the address.
    let office = "permit (when { context.address.isInRange(ip(\"192.0.2.0/24\")) }";
    let decision = decide(&policies(&["permit (", office]), None);
    assert!(decision.is_permitted);
    assert_eq!(decision.determining_policies, ["p0"]);
}

#[test]
fn an_error_denies_at_an_unknown_address_as_at_any() {
    let overflow = "when { 9223372036854775807 + 1 > 0 && context.address.isLoopback() }";
    let decision = decide(
        &policies(&["permit (", &format!("permit ({overflow}")]),
        None,
    );
    assert!(!decision.is_permitted);
    assert_eq!(decision.errors.len(), 1);
    // It might fail at a loopback address: so it is not permitted either.
    let hidden = "when { (if context.address.isLoopback() then 9223372036854775807 + 1 > 0 else true) || true }";
    assert!(!decide(&policies(&[&format!("permit ({hidden}")]), None).is_permitted);
}

#[test]
fn explanations_say_that_the_address_is_unknown() {
    let office = "context.address.isInRange(ip(\"192.0.2.0/24\"))";
    let permit = format!("permit (when {{ {office} }}");
    let forbid = format!("forbid (unless {{ {office} }}");
    let bundle = policies(&[&permit, &forbid]);
    let explanation = bundle.explain(
        ValueVisibility::ALL,
        &signed_in(ADA, &[]),
        Action::Read,
        &Resource::Dataset(Arc::new(dataset(
            Visibility::Internal,
            RecordStatus::Published,
        ))),
        &at(None),
    );
    let texts = [&explanation.determining, &explanation.others].map(|all| {
        all.iter()
            .map(PolicyExplanation::render)
            .collect::<String>()
    });
    insta::assert_snapshot!(texts.join("---\n"));
}

#[test]
fn a_case_asks_from_an_unknown_address() {
    let case = |address: &str| {
        format!(
            r#"[{{"name": "x", "request": {{"principal": "Anonymous::\"anonymous\"", "action": "Action::\"read\"",
            "resource": "Dataset::\"00000000-0000-0000-0000-00000000da7a\"", "context": {{"address": {address},
            "time": {{"__extn": {{"fn": "datetime", "arg": "2026-03-01T12:00:00Z"}}}}, "authentication": "none"}}}},
            "entities": [{{"uid": {{"type": "Dataset", "id": "00000000-0000-0000-0000-00000000da7a"}}, "attrs": {{
            "title": "x", "visibility": {{"type": "Visibility", "id": "internal"}}, "record_status":
            {{"type": "RecordStatus", "id": "published"}}, "reader_users": [], "reader_roles": []}}, "parents": []}}],
            "decision": "deny", "reason": [], "num_errors": 0}}]"#
        )
    };
    let policy = "@id(\"p\") @reason(\"x\") permit (principal, action == Action::\"read\", resource)\n\
        unless { context.address.isInRange(ip(\"192.0.2.0/24\")) };";
    let load = |address: &str| {
        let files = [("p.cedar", policy), ("p.cases.json", &*case(address))];
        let folder = folder(&files);
        let cases = PolicyFolder::load(folder.path()).unwrap().cases().unwrap();
        let report = cases.run(&Bundle::load(folder.path()).unwrap());
        report.map(|report| report.passed)
    };
    assert_eq!(load("\"unknown\"").unwrap(), 1);
    assert_eq!(
        load("{\"__extn\": {\"fn\": \"ip\", \"arg\": \"::\"}}").unwrap(),
        0
    );
    assert!(load("\"nowhere\"").is_err());
}
