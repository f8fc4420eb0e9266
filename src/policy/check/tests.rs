//! Property: a bundle without its redundant policies decides the same.

use std::sync::Arc;

use proptest::prelude::*;
use strum::VariantArray;

use crate::domain::action::Action;
use crate::domain::dataset::{RecordStatus, Visibility};
use crate::domain::principal::Principal;
use crate::domain::resource::Resource;
use crate::policy::Bundle;
use crate::policy::tests::fixtures::{
    ADA, BEA, bundle, bundle_with_schema, context, dataset, signed_in, slow_property,
};

use super::{redundant, unfilled};

const CONDITIONS: [&str; 5] = [
    r#"resource.visibility == Visibility::"public""#,
    r#"resource.record_status == RecordStatus::"published""#,
    "resource has owner",
    r#"resource.title == "x""#,
    "context.address.isLoopback()",
];

fn some_policy() -> impl Strategy<Value = String> {
    let conditions = proptest::sample::subsequence(&CONDITIONS[..], 0..=CONDITIONS.len());
    (
        proptest::sample::select(vec!["permit", "permit", "forbid"]),
        proptest::sample::select(vec![
            "principal",
            "principal is User",
            r#"principal in Role::"a""#,
        ]),
        proptest::sample::select(vec![
            r#"action == Action::"read""#,
            r#"action in [Action::"read", Action::"discover"]"#,
            r#"action in [Action::"discover", Action::"read"]"#,
        ]),
        conditions.prop_shuffle(),
        any::<bool>(),
        proptest::option::of(1..3_u8),
    )
        .prop_map(
            |(effect, principal, action, conditions, is_unless, max_ttl)| {
                let life = max_ttl.filter(|_| effect == "permit");
                let life = life.map_or(String::new(), |life| format!("@max_ttl(\"{life}\") "));
                let (word, operator, sign) = if is_unless {
                    ("unless", " || ", "!")
                } else {
                    ("when", " && ", "")
                };
                let said: Vec<String> = conditions.iter().map(|c| format!("{sign}({c})")).collect();
                let said = match said.as_slice() {
                    [] => String::new(),
                    said => format!("{word} {{ {} }}", said.join(operator)),
                };
                format!("{life}{effect} ({principal}, {action}, resource is Dataset) {said};\n")
            },
        )
}

fn named(policies: &[(usize, &String)]) -> Bundle {
    let named = policies
        .iter()
        .map(|(number, policy)| format!("@id(\"{number}\") {policy}"));
    let text: Vec<String> = named.collect();
    bundle(&text.concat()).unwrap()
}

/// The decisions of a bundle, with their token life, for all requests that the conditions distinguish.
fn answers(bundle: &Bundle) -> Vec<(bool, u32)> {
    let mut answers = Vec::new();
    let principals = [
        Principal::Anonymous,
        signed_in(ADA, &["a"]),
        signed_in(BEA, &[]),
    ];
    for visibility in [Visibility::Public, Visibility::Private] {
        for record_status in RecordStatus::VARIANTS {
            for (title, owner, address) in [
                ("x", Some(ADA), "127.0.0.1"),
                ("y", Some(ADA), "192.0.2.7"),
                ("x", None, "192.0.2.7"),
                ("y", None, "127.0.0.1"),
                ("x", Some(ADA), "192.0.2.7"),
            ] {
                let mut dataset = dataset(visibility, *record_status);
                (dataset.title, dataset.owner) = (title.to_owned(), owner);
                let mut context = context();
                context.address = Some(address.parse().unwrap());
                let resource = Resource::Dataset(Arc::new(dataset));
                for principal in &principals {
                    for action in [Action::Read, Action::Discover] {
                        let decision = bundle.decide(principal, action, &resource, &context);
                        answers.push((decision.is_permitted, decision.max_ttl));
                    }
                }
            }
        }
    }
    answers
}

proptest! {
    #![proptest_config(slow_property(20))]

    #[test]
    fn a_bundle_without_its_redundant_policies_decides_the_same(
        policies in proptest::collection::vec(some_policy(), 2..7),
    ) {
        let all: Vec<(usize, &String)> = policies.iter().enumerate().collect();
        let whole = named(&all);
        let redundant: Vec<String> = redundant::warnings(&whole)
            .iter()
            .map(|warning| warning.message().split('`').nth(1).unwrap().to_owned())
            .collect();
        let mut rest = all;
        rest.retain(|(number, _)| !redundant.contains(&number.to_string()));
        prop_assert!(!rest.is_empty(), "one of equal policies stays");
        prop_assert_eq!(answers(&named(&rest)), answers(&whole));
    }
}

#[test]
fn warnings_beyond_the_limit_are_counted() {
    let policy = "permit (principal, action == Action::\"read\", resource is Dataset);";
    let policies = (0..1_200).map(|number| format!("@id(\"{number}\") @reason(\"x\") {policy}\n"));
    let warnings = super::bundle_warnings(&bundle(&policies.collect::<String>()).unwrap());
    assert_eq!(warnings.len(), super::MAX_WARNINGS + 1);
    assert_eq!(
        warnings[1_000].message(),
        "199 more warnings are not listed"
    );
}

#[test]
fn what_the_schema_declares_and_nothing_fills_is_told() {
    let warnings = |additions: &[(&str, &str)]| {
        let mut schema = include_str!("../../../policies/schema.cedarschema").to_owned();
        for (text, added) in additions {
            assert!(schema.contains(text), "{text}");
            schema = schema.replacen(text, &format!("{text}{added}"), 1);
        }
        let bundle = bundle_with_schema(
            &schema,
            "@id(\"all\") permit (principal, action, resource);",
        )
        .unwrap();
        let warnings = unfilled::warnings(&bundle);
        let lines = warnings.iter().map(|warning| warning.message().to_owned());
        lines.collect::<Vec<_>>()
    };
    assert_eq!(warnings(&[]), Vec::<String>::new());
    let title = "  \"title\": String,\n";
    assert_eq!(
        warnings(&[
            (
                title,
                "  \"licence\"?: String,\n  \"projects\"?: Set<Project>,\n"
            ),
            ("entity Role;\n", "entity Project;\n")
        ]),
        Vec::<String>::new(),
        "the catalog fills what is of a type of its own"
    );
    let told = warnings(&[
        (
            "entity Role;\n",
            "entity Project in [Programme] = { \"lead\"?: User };\nentity Programme;\n",
        ),
        ("  \"address\": ipaddr,\n", "  \"purpose\"?: String,\n"),
        ("  \"username\": String,\n", "  \"department\": String,\n"),
    ]);
    insta::assert_snapshot!(told.join("\n"));
}
