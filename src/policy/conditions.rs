//! The parts of a policy, and which of them hold for one request.
//!
//! The parts are the three constraints of the scope, and the conditions split at `&&` (under `unless`,
//! at `||`), where the policy needs each of them. A policy is satisfied if and only if all its parts
//! hold; it fails to evaluate if and only if the first part that does not hold cannot be evaluated,
//! because Cedar evaluates no further.

use cedar_policy::{Effect, Entities, EvalResult, Expression, Policy, Request, eval_expression};
use cedar_policy_core::ast::{Expr, ExprKind, UnaryOp};
use cedar_policy_core::parser::Loc;

use crate::domain::error_chain::error_chain;
use crate::domain::text_position::line_at;

use super::unknown_address::{Truth, is_address_unknown, truth};
use super::values::{ObservedValue, ValueVisibility, observed_values};

/// The number of parts of a scope; the conditions follow.
pub(super) const SCOPE_PART_COUNT: usize = 3;

/// The result of evaluating one part of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PartResult {
    /// It holds.
    Holds,
    /// It does not hold, so the policy is not satisfied.
    DoesNotHold,
    /// It cannot be evaluated, with the error.
    Error(String),
}

/// One part of a policy.
#[derive(Clone, Debug)]
pub(super) struct PolicyPart {
    /// Its source text; for a part of the scope, as Cedar prints it.
    pub(super) text: String,
    /// Whether it is under `unless`, so that it must be false for the policy to be satisfied.
    pub(super) is_negated: bool,
    /// The line where a condition begins, if known.
    pub(super) line: Option<usize>,
    is_permit: bool,
    expression: Expr,
    cedar_expression: Expression,
}

/// The parts of a policy, in the order in which Cedar evaluates them.
pub(super) fn policy_parts(policy: &Policy) -> Vec<PolicyPart> {
    let ast = policy.as_ref();
    let principal = ast.principal_constraint();
    let resource = ast.resource_constraint();
    let is_permit = ast.effect() == Effect::Permit;
    let new = |text, expression: &Expr| PolicyPart::new(is_permit, text, expression);
    let mut parts = vec![
        new(principal.to_string(), &principal.as_expr()),
        action_part(policy),
        new(resource.to_string(), &resource.as_expr()),
    ];
    // An explicit stack: the number of conditions is bounded only by the size of the file.
    let mut open: Vec<(&Expr, bool)> = Vec::new();
    open.extend(ast.non_scope_constraints().map(|all| (all, false)));
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
                let location = condition.source_loc();
                let source = location.and_then(|location| location.snippet());
                let text = source.map_or_else(|| condition.to_string(), str::to_owned);
                parts.push(PolicyPart {
                    is_negated,
                    line: location.and_then(line_number),
                    ..new(text, condition)
                });
            }
        }
    }
    parts
}

/// The action constraint of the scope.
pub(super) fn action_part(policy: &Policy) -> PolicyPart {
    let is_permit = policy.effect() == Effect::Permit;
    let action = policy.as_ref().action_constraint();
    PolicyPart::new(is_permit, action.to_string(), &action.as_expr())
}

/// The line where a location begins, counted from 1.
pub(super) fn line_number(location: &Loc) -> Option<usize> {
    location.src.get(..location.start())?;
    Some(line_at(location.src.as_ref(), location.start()))
}

impl PolicyPart {
    fn new(is_permit: bool, text: String, expression: &Expr) -> Self {
        Self {
            is_permit,
            text,
            is_negated: false,
            line: None,
            expression: expression.clone(),
            cedar_expression: expression.clone().into(),
        }
    }

    /// The expression, which must be false if the part is negated.
    pub(super) fn expression(&self) -> &Expr {
        &self.expression
    }

    /// Evaluates it for one request, without regard to the parts before it.
    ///
    /// What depends on an unknown address never holds in a permit, and always in a forbid.
    pub(super) fn evaluate(&self, request: &Request, entities: &Entities) -> PartResult {
        if is_address_unknown(request) {
            return match truth(&self.expression, request, entities) {
                Ok(Truth::True) if !self.is_negated => PartResult::Holds,
                Ok(Truth::False) if self.is_negated => PartResult::Holds,
                Ok(Truth::Unknown) if !self.is_permit => PartResult::Holds,
                Ok(Truth::True | Truth::False | Truth::Unknown) => PartResult::DoesNotHold,
                Err(error) => PartResult::Error(error_chain(&error)),
            };
        }
        match eval_expression(request, entities, &self.cedar_expression) {
            Ok(EvalResult::Bool(is_true)) if is_true != self.is_negated => PartResult::Holds,
            Ok(EvalResult::Bool(_)) => PartResult::DoesNotHold,
            Ok(other) => PartResult::Error(format!("the value is {other}, neither true nor false")),
            Err(error) => PartResult::Error(error_chain(&error)),
        }
    }

    /// The values that it reads, as far as they are visible.
    pub(super) fn observed_values(
        &self,
        request: &Request,
        entities: &Entities,
        visibility: ValueVisibility,
    ) -> Vec<ObservedValue> {
        observed_values(&self.expression, request, entities, visibility)
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
                let described = format!("{text} {action} {bits:b}: {outcomes:?}");
                assert_eq!(
                    response.diagnostics().reason().count() == 1,
                    all_hold,
                    "{described}"
                );
                let has_error = matches!(first_unmet, Some(PartResult::Error(_)));
                assert_eq!(
                    response.diagnostics().errors().count() == 1,
                    has_error,
                    "{described}"
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
        let described: Vec<(String, bool, usize)> =
            policy_parts(policies.policies().next().unwrap())
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
        assert_eq!(described, expected);
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
