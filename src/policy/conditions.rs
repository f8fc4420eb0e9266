//! Conditions: a policy taken apart, and which of its parts hold for one question.
//!
//! The parts are the scope's three constraints, and the conditions split where a whole policy needs
//! each of them: at `&&`, and at `||` under `unless`. A policy is satisfied if and only if all its
//! parts hold; it fails to evaluate if and only if the first part that does not hold cannot be
//! evaluated, for Cedar looks no further. This module refuses to know who asks why.

use cedar_policy::{Entities, EvalResult, Expression, Policy, Request, eval_expression};
use cedar_policy_core::ast::{Expr, ExprKind, UnaryOp};
use cedar_policy_core::parser::Loc;

use super::diagnostic::message_with_causes;
use super::values::{ObservedValue, ValueVisibility, observed_values};

/// How many parts the scope of a policy has; its conditions follow.
pub(super) const SCOPE_PART_COUNT: usize = 3;

/// What became of one part of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PartResult {
    /// It holds.
    Holds,
    /// It does not, and so the policy is not satisfied.
    DoesNotHold,
    /// It cannot be evaluated, for this reason.
    Error(String),
}

/// One part of a policy.
#[derive(Clone, Debug)]
pub(super) struct PolicyPart {
    /// As it is written; for a scope, as Cedar writes it.
    pub(super) text: String,
    /// Whether it must be false for the policy to be satisfied: it stands under `unless`.
    pub(super) is_negated: bool,
    /// The line in its file on which a condition begins, if it is known.
    pub(super) line: Option<usize>,
    expression: Expr,
    evaluated: Expression,
}

/// The parts of a policy, in the order in which Cedar looks at them.
pub(super) fn policy_parts(whole: &Policy) -> Vec<PolicyPart> {
    let policy = whole.as_ref();
    let principal = policy.principal_constraint();
    let resource = policy.resource_constraint();
    let mut parts = vec![
        PolicyPart::new(principal.to_string(), &principal.as_expr()),
        action_part(whole),
        PolicyPart::new(resource.to_string(), &resource.as_expr()),
    ];
    // A stack of our own: a policy may have as many conditions as its file has room for.
    let mut open: Vec<(&Expr, bool)> = Vec::new();
    open.extend(policy.non_scope_constraints().map(|all| (all, false)));
    while let Some((condition, is_negated)) = open.pop() {
        match condition.expr_kind() {
            ExprKind::And { left, right } if !is_negated => {
                open.extend([(&**right, false), (&**left, false)]);
            }
            ExprKind::Or { left, right } if is_negated => {
                open.extend([(&**right, true), (&**left, true)]);
            }
            ExprKind::UnaryApp {
                op: UnaryOp::Not,
                arg,
            } => open.push((arg, !is_negated)),
            _ => {
                let place = condition.source_loc();
                let written = place.and_then(|place| place.snippet());
                let text = written.map_or_else(|| condition.to_string(), str::to_owned);
                parts.push(PolicyPart {
                    is_negated,
                    line: place.and_then(line_number),
                    ..PolicyPart::new(text, condition)
                });
            }
        }
    }
    parts
}

/// The part that says what is done.
pub(super) fn action_part(policy: &Policy) -> PolicyPart {
    let action = policy.as_ref().action_constraint();
    PolicyPart::new(action.to_string(), &action.as_expr())
}

/// The line on which a place begins, counted from 1.
pub(super) fn line_number(place: &Loc) -> Option<usize> {
    let before = place.src.get(..place.start())?;
    Some(before.bytes().filter(|byte| *byte == b'\n').count() + 1)
}

impl PolicyPart {
    fn new(text: String, expression: &Expr) -> Self {
        Self {
            text,
            is_negated: false,
            line: None,
            expression: expression.clone(),
            evaluated: expression.clone().into(),
        }
    }

    /// What it says; must be false where it is negated.
    pub(super) fn expression(&self) -> &Expr {
        &self.expression
    }

    /// What becomes of it for one question, whatever becomes of the parts before it.
    pub(super) fn evaluate(&self, request: &Request, entities: &Entities) -> PartResult {
        match eval_expression(request, entities, &self.evaluated) {
            Ok(EvalResult::Bool(is_true)) if is_true != self.is_negated => PartResult::Holds,
            Ok(EvalResult::Bool(_)) => PartResult::DoesNotHold,
            Ok(other) => PartResult::Error(format!("it is {other}, neither true nor false")),
            Err(error) => PartResult::Error(message_with_causes(&error)),
        }
    }

    /// What it looked at, as far as it is in sight.
    pub(super) fn observed_values(
        &self,
        request: &Request,
        entities: &Entities,
        sight: ValueVisibility,
    ) -> Vec<ObservedValue> {
        observed_values(&self.expression, request, entities, sight)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};

    use cedar_policy::{Authorizer, Context, PolicyId, PolicySet, SlotId};

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
            let parts = policy_parts(policies.policies().next().unwrap());
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
                let outcomes: Vec<PartResult> = parts
                    .iter()
                    .map(|part| part.evaluate(&request, &entities))
                    .collect();
                let mut unmet = outcomes.iter().filter(|it| **it != PartResult::Holds);
                let first_unmet = unmet.next();
                let all_hold = first_unmet.is_none();
                let told = format!("{text} {action} {bits:b}: {outcomes:?}");
                assert_eq!(
                    response.diagnostics().reason().count() == 1,
                    all_hold,
                    "{told}"
                );
                let has_error = matches!(first_unmet, Some(PartResult::Error(_)));
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
    fn parts_have_their_source_text_and_line() {
        let text = "permit (principal, action, resource)\nwhen { context.a && context.b }\n\
            unless { context.c || context.d };";
        let policies: PolicySet = text.parse().unwrap();
        let told: Vec<(String, bool, usize)> = policy_parts(policies.policies().next().unwrap())
            .into_iter()
            .skip(SCOPE_PART_COUNT)
            .map(|part| (part.text, part.is_negated, part.line.unwrap()))
            .collect();
        let expected = [
            ("context.a", false, 2),
            ("context.b", false, 2),
            ("context.c", true, 3),
            ("context.d", true, 3),
        ];
        let expected = expected.map(|(text, negated, line)| (text.to_owned(), negated, line));
        assert_eq!(told, expected);
    }

    #[test]
    fn a_linked_template_is_taken_apart_with_what_it_is_linked_to() {
        let text = "permit (principal in ?principal, action, resource) when { resource has a };";
        let mut policies: PolicySet = text.parse().unwrap();
        let link = PolicyId::new("link");
        let values = HashMap::from([(SlotId::principal(), "R::\"a\"".parse().unwrap())]);
        policies
            .link(PolicyId::new("policy0"), link.clone(), values)
            .unwrap();
        let entities = r#"[
            {"uid": {"type": "U", "id": "x"}, "attrs": {}, "parents": [{"type": "R", "id": "a"}]},
            {"uid": {"type": "U", "id": "y"}, "attrs": {}, "parents": [{"type": "R", "id": "b"}]},
            {"uid": {"type": "D", "id": "1"}, "attrs": {"a": 1}, "parents": []}]"#;
        let entities = Entities::from_json_str(entities, None).unwrap();
        let parts = policy_parts(policies.policy(&link).unwrap());
        assert_eq!(parts[0].text, "principal in R::\"a\"");
        for (user, group, is_member) in [("x", "a", true), ("y", "b", false)] {
            let request = Request::new(
                format!("U::\"{user}\"").parse().unwrap(),
                "Action::\"r\"".parse().unwrap(),
                "D::\"1\"".parse().unwrap(),
                Context::empty(),
                None,
            )
            .unwrap();
            let outcome = parts[0].evaluate(&request, &entities);
            assert_eq!(outcome == PartResult::Holds, is_member);
            let seen = parts[0].observed_values(&request, &entities, ValueVisibility::ALL);
            assert_eq!(seen[0].value, Some(format!("R::\"{group}\"")));
            assert_eq!(parts[3].evaluate(&request, &entities), PartResult::Holds);
            let response = Authorizer::new().is_authorized(&request, &policies, &entities);
            assert_eq!(response.diagnostics().reason().count() == 1, is_member);
        }
    }
}
