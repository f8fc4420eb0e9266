//! Conditions: a policy taken apart, and which of its parts hold for one question.
//!
//! The parts are the scope's three constraints, and the conditions split where a whole policy needs
//! each of them: at `&&`, and at `||` under `unless`. They are tried in Cedar's order and no further
//! than Cedar goes, so a policy is satisfied if and only if all its parts hold. This module refuses
//! to know who asks why.

use cedar_policy::{Entities, Expression, Policy, Request, eval_expression};
use cedar_policy_core::ast::{Expr, ExprKind, UnaryOp};

use super::problem::with_causes;

/// What became of one part of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It holds.
    Holds,
    /// It does not, and so the policy is not satisfied.
    Fails,
    /// It cannot be evaluated, for this reason.
    Errs(String),
    /// An earlier part decided already.
    NotReached,
}

/// One part of a policy.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// As it is written; for a scope, as Cedar writes it.
    pub(super) text: String,
    /// Whether it must be false for the policy to be satisfied: it stands under `unless`.
    pub(super) is_negated: bool,
    /// The first byte of a condition in its file, if it is known.
    pub(super) start: Option<usize>,
    test: Expression,
}

/// The parts of a policy, in the order in which Cedar looks at them.
pub(super) fn parts(policy: &Policy) -> Vec<Part> {
    let policy = policy.as_ref();
    let principal = policy.principal_constraint();
    let action = policy.action_constraint();
    let resource = policy.resource_constraint();
    let scope = |text: String, test: Expr| Part {
        text,
        is_negated: false,
        start: None,
        test: test.into(),
    };
    let mut parts = vec![
        scope(principal.to_string(), principal.as_expr()),
        scope(action.to_string(), action.as_expr()),
        scope(resource.to_string(), resource.as_expr()),
    ];
    if let Some(conditions) = policy.non_scope_constraints() {
        split(conditions, false, &mut parts);
    }
    parts
}

fn split(condition: &Expr, is_negated: bool, parts: &mut Vec<Part>) {
    match condition.expr_kind() {
        ExprKind::And { left, right } if !is_negated => {
            split(left, false, parts);
            split(right, false, parts);
        }
        ExprKind::Or { left, right } if is_negated => {
            split(left, true, parts);
            split(right, true, parts);
        }
        ExprKind::UnaryApp {
            op: UnaryOp::Not,
            arg,
        } => split(arg, !is_negated, parts),
        _ => {
            let place = condition.source_loc();
            let written = place.and_then(|place| place.snippet());
            parts.push(Part {
                text: written.map_or_else(|| condition.to_string(), str::to_owned),
                is_negated,
                start: place.map(|place| place.start()),
                test: condition.clone().into(),
            });
        }
    }
}

/// What becomes of each part for one question.
pub(super) fn outcomes(parts: &[Part], request: &Request, entities: &Entities) -> Vec<Outcome> {
    let mut is_decided = false;
    let each = parts.iter().map(|part| {
        if is_decided {
            return Outcome::NotReached;
        }
        let outcome = part.outcome(request, entities);
        is_decided = outcome != Outcome::Holds;
        outcome
    });
    each.collect()
}

impl Part {
    fn outcome(&self, request: &Request, entities: &Entities) -> Outcome {
        match eval_expression(request, entities, &self.test) {
            Ok(cedar_policy::EvalResult::Bool(is_true)) if is_true != self.is_negated => {
                Outcome::Holds
            }
            Ok(cedar_policy::EvalResult::Bool(_)) => Outcome::Fails,
            Ok(other) => Outcome::Errs(format!("it is {other}, neither true nor false")),
            Err(error) => Outcome::Errs(with_causes(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use cedar_policy::{Authorizer, Context, PolicySet};

    use super::*;

    const CONDITIONS: [&str; 10] = [
        "",
        "when { context.a && context.b }",
        "when { context.a || context.b }",
        "unless { context.a || context.b }",
        "unless { context.a && context.b }",
        "when { !(context.a || context.b) && !context.c }",
        "when { context.a } unless { context.b } when { context.c }",
        "when { context has d && context.d }",
        "when { context.a && context.d }",
        "unless { context.a || 9223372036854775807 + 1 > 0 }",
    ];

    /// Every scope and condition, for every question: satisfied and failing as Cedar itself says.
    #[test]
    fn a_policy_is_satisfied_if_and_only_if_all_its_parts_hold() {
        let scopes = [
            "principal, action, resource",
            "principal == U::\"x\", action, resource",
            "principal is V, action == Action::\"r\", resource",
            "principal, action in [Action::\"w\", Action::\"r\"], resource in D::\"1\"",
        ];
        let mut seen = BTreeSet::new();
        for (scope, conditions) in scopes.iter().flat_map(|s| CONDITIONS.map(|c| (s, c))) {
            let text = format!("permit ({scope}) {conditions};");
            let policies: PolicySet = text.parse().unwrap();
            let parts = parts(policies.policies().next().unwrap());
            for (bits, action) in (0..8).flat_map(|bits| ["r", "w"].map(|a| (bits, a))) {
                let context = serde_json::json!(
                    {"a": bits & 1 == 1, "b": bits & 2 == 2, "c": bits & 4 == 4});
                let request = Request::new(
                    "U::\"x\"".parse().unwrap(),
                    format!("Action::\"{action}\"").parse().unwrap(),
                    "D::\"1\"".parse().unwrap(),
                    Context::from_json_value(context, None).unwrap(),
                    None,
                )
                .unwrap();
                let entities = Entities::empty();
                let response = Authorizer::new().is_authorized(&request, &policies, &entities);
                let outcomes = outcomes(&parts, &request, &entities);
                let all_hold = outcomes.iter().all(|outcome| *outcome == Outcome::Holds);
                let errs = |outcome: &Outcome| matches!(outcome, Outcome::Errs(_));
                let told = format!("{text} {action} {bits:b}: {outcomes:?}");
                assert_eq!(
                    response.diagnostics().reason().count() == 1,
                    all_hold,
                    "{told}"
                );
                let has_error = outcomes.iter().any(errs);
                assert_eq!(
                    response.diagnostics().errors().count() == 1,
                    has_error,
                    "{told}"
                );
                seen.insert((all_hold, has_error));
            }
        }
        assert_eq!(
            seen.len(),
            3,
            "satisfied, not satisfied and failing were all met"
        );
    }

    #[test]
    fn parts_are_told_as_they_are_written() {
        let text = "permit (principal, action, resource)\nwhen { context.a && context.b }\n\
            unless { context.c || context.d };";
        let policies: PolicySet = text.parse().unwrap();
        let told: Vec<(String, bool)> = parts(policies.policies().next().unwrap())
            .into_iter()
            .skip(3)
            .map(|part| {
                assert!(text[part.start.unwrap()..].starts_with(&part.text));
                (part.text, part.is_negated)
            })
            .collect();
        let expected = [
            ("context.a", false),
            ("context.b", false),
            ("context.c", true),
            ("context.d", true),
        ];
        assert_eq!(
            told,
            expected.map(|(text, is_negated)| (text.to_owned(), is_negated))
        );
    }
}
