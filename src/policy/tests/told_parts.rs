//! A part of a policy is told as it stands in the file, with its own value, and with what that means.

use std::sync::Arc;

use cedar_policy::{EvalResult, Expression, eval_expression};
use proptest::prelude::*;
use proptest::sample::select;

use super::fixtures::{ADA, bundle, context, dataset, signed_in, slow_property};
use crate::domain::action::Action;
use crate::domain::caller::DecisionContext;
use crate::domain::dataset::{RecordStatus, Visibility};
use crate::domain::principal::Principal;
use crate::domain::resource::Resource;
use crate::policy::Bundle;
use crate::policy::explain::{Explanation, PolicyExplanation, ValueVisibility};

/// Conditions that are not composed of others: with every operator that Cedar parses as the opposite or as
/// more than it is, some true, some false, some that fail.
const SIMPLE: [&str; 14] = [
    "context.authentication == Authentication::\"password\"",
    "context.authentication != Authentication::\"password\"",
    "context.time.toTime() >= duration(\"22h\")",
    "context.time.toTime() > duration(\"4h\")",
    "context.time.toTime() < duration(\"4h\")",
    "context.time.toTime() <= duration(\"22h\")",
    "resource.visibility != Visibility::\"restricted\"",
    "principal is User in Role::\"b\"",
    "principal is User",
    "resource has owner",
    "!context.address.isIpv4() != (resource has owner)",
    "context.address.isInRange(ip(\"198.51.100.0/24\"))",
    "context.address != ip(\"192.0.2.7\")",
    "9223372036854775807 + 1 > 0",
];

fn simple_conditions() -> impl Strategy<Value = String> {
    // The one that Cedar parses as two conditions is likely.
    let all =
        prop_oneof![2 => select(SIMPLE.to_vec()), 1 => Just("principal is User in Role::\"b\"")];
    all.prop_map(str::to_owned)
}

fn conditions() -> impl Strategy<Value = String> {
    let nested = simple_conditions().prop_recursive(3, 12, 3, |inner| {
        let three = (inner.clone(), inner.clone(), inner.clone());
        prop_oneof![
            inner.clone().prop_map(|it| format!("!({it})")),
            inner.prop_map(|it| format!("!!({it})")),
            three
                .clone()
                .prop_map(|(a, b, c)| format!("({a}) && ({b}) && ({c})")),
            three
                .clone()
                .prop_map(|(a, b, c)| format!("({a}) || ({b}) || ({c})")),
            three.prop_map(|(a, b, c)| format!("if {a} then {b} else ({c})")),
        ]
    });
    let none_of = (simple_conditions(), simple_conditions());
    prop_oneof![
        2 => simple_conditions(),
        2 => none_of.prop_map(|(a, b)| format!("!({a} || {b})")),
        3 => nested,
    ]
}

fn clauses() -> impl Strategy<Value = String> {
    let clause = (select(vec!["when", "unless"]), conditions());
    let clause = clause.prop_map(|(word, condition)| format!("{word} {{ {condition} }}"));
    proptest::collection::vec(clause, 1..=3).prop_map(|all| all.join("\n"))
}

fn restricted() -> Resource {
    let dataset = dataset(Visibility::Restricted, RecordStatus::Published);
    Resource::Dataset(Arc::new(dataset))
}

fn explain(bundle: &Bundle, principal: &Principal, context: &DecisionContext) -> Explanation {
    let all = ValueVisibility::ALL;
    bundle.explain(all, principal, Action::Read, &restricted(), context)
}

/// The value of a text by Cedar itself.
fn value_by_cedar(
    bundle: &Bundle,
    principal: &Principal,
    context: &DecisionContext,
    text: &str,
) -> &'static str {
    let prepared = bundle.prepare(principal, Action::Read, &restricted(), context);
    let (facts, request) = prepared.unwrap();
    let expression: Expression = text.parse().unwrap();
    match eval_expression(&request, &facts.entities, &expression) {
        Ok(EvalResult::Bool(true)) => "true",
        Ok(EvalResult::Bool(false)) => "false",
        Ok(other) => panic!("{text} is {other}"),
        Err(_) => "error",
    }
}

/// The conditions that are printed of a policy, each with its value and the line below it.
fn printed(policy: &PolicyExplanation) -> Vec<(String, String, String)> {
    let text = policy.render();
    let lines: Vec<&str> = text.lines().collect();
    let parts = lines.iter().enumerate().filter_map(|(at, line)| {
        let (value, rest) = line.strip_prefix("    ")?.split_once(": line ")?;
        let (_, told) = rest.split_once(", ")?;
        let below = lines.get(at + 1).copied().unwrap_or_default();
        Some((value.to_owned(), told.to_owned(), below.trim().to_owned()))
    });
    parts.collect()
}

proptest! {
    #![proptest_config(slow_property(200))]

    /// Under `when`, `unless`, `!`, `&&`, `||` and `if`, nested, in a permit and in a forbid.
    #[test]
    fn what_is_printed_of_each_part_equals_its_evaluation_by_cedar(
        clauses in clauses(),
        is_permit in any::<bool>(),
        has_role in any::<bool>(),
        is_address_known in any::<bool>(),
    ) {
        let effect = if is_permit { "permit" } else { "forbid" };
        let bundle = bundle(&format!(
            "@id(\"p\") @reason(\"x\") {effect} (principal, action == Action::\"read\", resource)\n{clauses};"
        ));
        let bundle = bundle.unwrap();
        let principal = signed_in(ADA, if has_role { &["b"] } else { &[] });
        let known = context();
        let asked = if is_address_known {
            known.clone()
        } else {
            DecisionContext { address: None, ..known.clone() }
        };
        let explanation = explain(&bundle, &principal, &asked);
        let decides = explanation.decision.determining_policies == ["p"];
        let policy = explanation.determining.iter().chain(&explanation.others).next().unwrap();
        prop_assert_eq!(policy.is_satisfied, decides, "{}", clauses);
        let operators = ["when {", "unless {", "&&", "||"];
        let written: usize = operators.iter().map(|it| clauses.matches(it).count()).sum();
        prop_assert!(policy.part_count - 3 <= written, "{}", policy.render());
        let printed = printed(policy);
        prop_assert!(!printed.is_empty(), "{}", policy.render());
        for (value, told, below) in printed {
            prop_assert!(clauses.contains(&told), "{} is not in {}", told, clauses);
            if value == "unknown" {
                prop_assert!(told.contains("context.address") && !is_address_known);
            } else {
                let by_cedar = value_by_cedar(&bundle, &principal, &known, &told);
                prop_assert_eq!(&value, by_cedar, "{}", policy.render());
            }
            let prevents = below.contains("so the policy does not apply")
                || below.contains("so the policy cannot be evaluated");
            prop_assert_eq!(prevents, !decides, "{}", policy.render());
        }
    }
}

/// Each with what the file has, and neither its opposite nor a half of it.
#[test]
fn a_part_is_told_as_it_stands_in_the_file_with_what_its_value_means() {
    let texts = [
        "forbid (?) unless { context.time.toTime() >= duration(\"22h\") };",
        "forbid (?) when { context.time.toTime() >= duration(\"22h\") };",
        "permit (?) unless { resource.visibility != Visibility::\"restricted\" };",
        "permit (?) when { resource.visibility != Visibility::\"restricted\" };",
        "forbid (?) unless { context.address.isInRange(ip(\"198.51.100.0/24\")) };",
        "permit (?) when { principal is User in Role::\"b\" };",
        "permit (?) unless { !(resource has owner && principal has issuer) };",
        "permit (?) when { !(principal has issuer || resource has owner) };",
        "permit (?) when { !(resource has owner) };",
        "permit (?) unless { if resource has owner then true else false };",
    ];
    let policies: Vec<String> = texts
        .iter()
        .enumerate()
        .map(|(at, text)| {
            let scope = "principal, action == Action::\"read\", resource";
            format!(
                "@id(\"p{at}\") @reason(\"x\") {}\n",
                text.replace('?', scope)
            )
        })
        .collect();
    let bundle = bundle(&policies.concat()).unwrap();
    let explanation = explain(&bundle, &signed_in(ADA, &[]), &context());
    let all = explanation.determining.iter().chain(&explanation.others);
    let mut told: Vec<String> = all.map(PolicyExplanation::render).collect();
    told.sort();
    insta::assert_snapshot!(told.concat());
}
