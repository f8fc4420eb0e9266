//! The parts of a policy, with the value of each for one request.
//!
//! The parts are the three constraints of the scope, and the conditions split at `&&` where the policy needs
//! all operands to be true, and at `||` where it needs all to be false (under `unless` or `!`). A part is told
//! as it stands in the file, with its own value; it is met if that is the value that the policy needs. A
//! policy is satisfied if and only if all its parts are met; it fails to evaluate if and only if the first
//! part that is not met cannot be evaluated, because Cedar evaluates no further.

use cedar_policy::{Effect, Entities, EvalResult, Expression, Policy, Request, eval_expression};
use cedar_policy_core::ast::{Expr, ExprKind, UnaryOp};
use cedar_policy_core::parser::Loc;

use crate::domain::error_chain::error_chain;
use crate::domain::text_position::line_at;

use super::part_value::{Negations, PartValue};
use super::source_form::SourceForm;
use super::unknown_address::{Truth, is_address_unknown, truth};
use super::values::{ObservedValue, ValueVisibility, observed_values};

/// The number of parts of a scope; the conditions follow.
pub(super) const SCOPE_PART_COUNT: usize = 3;

/// The result of evaluating one part of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PartResult {
    /// Its own value.
    pub(super) value: PartValue,
    /// Why it cannot be evaluated.
    pub(super) error: Option<String>,
    /// Whether it has the value that the policy needs.
    pub(super) is_met: bool,
}

/// One part of a policy.
#[derive(Clone, Debug)]
pub(super) struct PolicyPart {
    /// Its source text; for a part of the scope, as Cedar prints it.
    pub(super) text: String,
    /// The line where a condition begins, if known.
    pub(super) line: Option<usize>,
    /// What is written around it.
    pub(super) negations: Negations,
    is_permit: bool,
    expression: Expr,
    cedar_expression: Expression,
}

/// A condition that is to be split.
#[derive(Clone, Copy)]
struct OpenCondition<'e> {
    condition: &'e Expr,
    negations: Negations,
}

impl OpenCondition<'_> {
    /// What the policy needs each of; none if it is a part.
    fn operands(self) -> Vec<Self> {
        let with = |condition, negations| Self {
            condition,
            negations,
        };
        let Negations { must_be_false, .. } = self.negations;
        match SourceForm::new(self.condition) {
            SourceForm::And(left, right) if !must_be_false => {
                [left, right].map(|it| with(it, self.negations)).to_vec()
            }
            SourceForm::Or(left, right) if must_be_false => {
                [left, right].map(|it| with(it, self.negations)).to_vec()
            }
            SourceForm::Unless(operand) => {
                let negations = Negations {
                    is_under_unless: true,
                    must_be_false: !must_be_false,
                    ..self.negations
                };
                vec![with(operand, negations)]
            }
            // A `!` that is not split belongs to the text. Cedar refuses more than four in a row.
            SourceForm::Not(operand) => {
                let negations = Negations {
                    is_under_not: true,
                    must_be_false: !must_be_false,
                    ..self.negations
                };
                with(operand, negations).operands()
            }
            _ => Vec::new(),
        }
    }
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
    let mut open: Vec<OpenCondition<'_>> = Vec::new();
    open.extend(ast.non_scope_constraints().map(|condition| OpenCondition {
        condition,
        negations: Negations::default(),
    }));
    while let Some(next) = open.pop() {
        let operands = next.operands();
        if operands.is_empty() {
            let location = next.condition.source_loc();
            let source = location.and_then(|location| location.snippet());
            let text = source.map_or_else(|| next.condition.to_string(), str::to_owned);
            parts.push(PolicyPart {
                negations: next.negations,
                line: location.and_then(line_number),
                ..new(text, next.condition)
            });
        }
        open.extend(operands.into_iter().rev());
    }
    parts
}

/// Evaluates all parts of a policy for one request.
///
/// A forbid may also be satisfied, by [`truth`], where a part cannot be met: what is before it depends on
/// an unknown address and may fail. Then that part is met too, for whatever reason it is not.
pub(super) fn evaluate_parts(
    policy: &Policy,
    parts: &[PolicyPart],
    request: &Request,
    entities: &Entities,
) -> Vec<PartResult> {
    let all = parts.iter().map(|part| part.evaluate(request, entities));
    let mut results: Vec<PartResult> = all.collect();
    let is_uncertain = |result: &PartResult| result.value == PartValue::Unknown;
    if policy.effect() == Effect::Forbid && results.iter().any(is_uncertain) {
        let condition = policy.as_ref().condition();
        let truth = truth(&condition, request, entities);
        if matches!(truth, Ok(Truth::True | Truth::Unknown)) {
            for result in &mut results {
                result.is_met = true;
            }
        }
    }
    results
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
            negations: Negations::default(),
            line: None,
            expression: expression.clone(),
            cedar_expression: expression.clone().into(),
        }
    }

    /// The expression without the negations around it, and whether that must be false, so that parts that
    /// are written differently can be compared.
    pub(super) fn normalized(&self) -> (bool, &Expr) {
        let mut must_be_false = self.negations.must_be_false;
        let mut expression = &self.expression;
        while let ExprKind::UnaryApp {
            op: UnaryOp::Not,
            arg,
        } = expression.expr_kind()
        {
            must_be_false = !must_be_false;
            expression = arg;
        }
        (must_be_false, expression)
    }

    /// Evaluates it for one request, without regard to the parts before it.
    ///
    /// What depends on an unknown address is never met in a permit, and always in a forbid.
    pub(super) fn evaluate(&self, request: &Request, entities: &Entities) -> PartResult {
        let result = if is_address_unknown(request) {
            match truth(&self.expression, request, entities) {
                Ok(Truth::True) => Ok(PartValue::True),
                Ok(Truth::False) => Ok(PartValue::False),
                Ok(Truth::Unknown) => Ok(PartValue::Unknown),
                Err(error) => Err(error_chain(&error)),
            }
        } else {
            match eval_expression(request, entities, &self.cedar_expression) {
                Ok(EvalResult::Bool(true)) => Ok(PartValue::True),
                Ok(EvalResult::Bool(false)) => Ok(PartValue::False),
                Ok(other) => Err(format!("the value is {other}, neither true nor false")),
                Err(error) => Err(error_chain(&error)),
            }
        };
        let (value, error) = match result {
            Ok(value) => (value, None),
            Err(error) => (PartValue::Error, Some(error)),
        };
        PartResult {
            is_met: match value {
                PartValue::True => !self.negations.must_be_false,
                PartValue::False => self.negations.must_be_false,
                PartValue::Unknown => !self.is_permit,
                PartValue::Error => false,
            },
            value,
            error,
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
    fn a_policy_is_satisfied_if_and_only_if_all_its_parts_are_met() {
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
                let mut unmet = outcomes.iter().filter(|it| !it.is_met);
                let first_unmet = unmet.next();
                let all_hold = first_unmet.is_none();
                let described = format!("{text} {action} {bits:b}: {outcomes:?}");
                assert_eq!(
                    response.diagnostics().reason().count() == 1,
                    all_hold,
                    "{described}"
                );
                let has_error = first_unmet.is_some_and(|it| it.error.is_some());
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
                .map(|part| (part.text, part.negations.must_be_false, part.line.unwrap()))
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
            assert_eq!(outcome.is_met, is_member);
            let seen = parts[0].observed_values(&request, &entities, ValueVisibility::ALL);
            assert_eq!(seen[0].value, Some(format!("R::\"{group}\"")));
            assert!(parts[3].evaluate(&request, &entities).is_met);
            let response = Authorizer::new().is_authorized(&request, &policies, &entities);
            assert_eq!(response.diagnostics().reason().count() == 1, is_member);
        }
    }
}
