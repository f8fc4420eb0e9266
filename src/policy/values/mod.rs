//! The values of the principal, the resource and the context that a condition reads.
//!
//! They are attributes, tags and variables with their values, and for `in` the groups of the entity;
//! bounded in number and length. What Cedar does not evaluate (the right side of a `||` whose left side
//! is true, the other branch of an `if`) is left out. Where some values are withheld, everything is
//! listed, evaluated or not: which parts were evaluated would reveal withheld values.

mod data_owner;

use cedar_policy::{Entities, EvalResult, Expression, Request, eval_expression};
use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Var};
use serde::Serialize;

use crate::domain::client_address::UNKNOWN;

use super::address::reads_address;
use super::unknown_address::is_address_unknown;
use data_owner::DataOwner;
pub use data_owner::ValueVisibility;

/// The most values of one condition.
pub(super) const MAX_VALUES: usize = 8;
/// The longest name or value, in characters; the rest is cut.
pub(super) const MAX_VALUE_LENGTH: usize = 200;
/// The most expressions of one condition that are visited.
const MAX_VISITED_EXPRESSIONS: usize = 1_000;
/// The value of an attribute or a tag that is absent.
const ABSENT: &str = "absent";

/// A value that a condition reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ObservedValue {
    /// The expression, as Cedar prints it; `groups of ...` for the ancestors of an entity.
    pub name: String,
    /// Its value, as Cedar prints it; `absent` if there is none. `None` if it is withheld.
    pub value: Option<String>,
}

/// What is still to be visited.
enum Visit<'a> {
    /// An expression.
    Expression(&'a Expr),
    /// The remaining operands of `&&` or `||`, the next one last, if the one `before` is `needed`.
    Chain {
        before: Option<&'a Expr>,
        needed: bool,
        left: Vec<&'a Expr>,
    },
}

/// The values that an expression reads, in the order of evaluation, as far as they are visible.
pub(super) fn observed_values(
    expression: &Expr,
    request: &Request,
    entities: &Entities,
    visibility: ValueVisibility,
) -> Vec<ObservedValue> {
    let mut collector = ValueCollector {
        request,
        entities,
        visibility,
        values: Vec::new(),
    };
    // An explicit stack: chains of operators are long.
    let mut open = vec![Visit::Expression(expression)];
    for _ in 0..MAX_VISITED_EXPRESSIONS {
        let Some(visit) = open.pop() else { break };
        if collector.values.len() >= MAX_VALUES {
            break;
        }
        match visit {
            Visit::Expression(expression) => {
                collector.record(expression);
                collector.push_operands(expression, &mut open);
            }
            Visit::Chain {
                before,
                needed,
                mut left,
            } => {
                let is_evaluated =
                    before.is_none_or(|before| collector.may_evaluate_to(before, needed));
                if let Some(next) = left.pop().filter(|_| is_evaluated) {
                    let before = Some(next);
                    open.push(Visit::Chain {
                        before,
                        needed,
                        left,
                    });
                    open.push(Visit::Expression(next));
                }
            }
        }
    }
    collector.values
}

/// The operands of a chain of `&&`, or of `||`, the first one last.
fn chain(expression: &Expr, is_and: bool) -> Vec<&Expr> {
    let mut operands = Vec::new();
    let mut open = vec![expression];
    while let Some(expression) = open.pop() {
        match expression.expr_kind() {
            ExprKind::And { left, right } if is_and => open.extend([&**left, &**right]),
            ExprKind::Or { left, right } if !is_and => open.extend([&**left, &**right]),
            _ => operands.push(expression),
        }
    }
    operands
}

/// The operands of an expression that are worth listing on their own: of `resource.owner` none is.
fn operands(expression: &Expr) -> Vec<&Expr> {
    let is_variable = |expr: &Expr| matches!(expr.expr_kind(), ExprKind::Var(_));
    match expression.expr_kind() {
        ExprKind::UnaryApp { arg, .. } => vec![arg],
        ExprKind::BinaryApp {
            op: BinaryOp::GetTag | BinaryOp::HasTag,
            arg1,
            arg2,
        } if is_variable(arg1) => vec![arg2],
        ExprKind::BinaryApp { arg1, arg2, .. } => vec![arg1, arg2],
        ExprKind::ExtensionFunctionApp { args, .. } => args.iter().collect(),
        ExprKind::Like { expr, .. } | ExprKind::Is { expr, .. } => vec![expr],
        ExprKind::GetAttr { expr, .. }
        | ExprKind::HasAttr { expr, .. }
        | ExprKind::ExtHasAttr { expr, .. }
            if !is_variable(expr) =>
        {
            vec![expr]
        }
        ExprKind::Set(members) => members.iter().collect(),
        ExprKind::Record(members) => members.values().collect(),
        _ => Vec::new(),
    }
}

struct ValueCollector<'a> {
    request: &'a Request,
    entities: &'a Entities,
    visibility: ValueVisibility,
    values: Vec<ObservedValue>,
}

impl ValueCollector<'_> {
    fn push_operands<'e>(&self, expression: &'e Expr, open: &mut Vec<Visit<'e>>) {
        let along = |needed| Visit::Chain {
            before: None,
            needed,
            left: chain(expression, needed),
        };
        match expression.expr_kind() {
            ExprKind::And { .. } => open.push(along(true)),
            ExprKind::Or { .. } => open.push(along(false)),
            ExprKind::If {
                test_expr,
                then_expr,
                else_expr,
            } => {
                // The last one pushed is visited first.
                for (branch, needed) in [(else_expr, false), (then_expr, true)] {
                    if self.may_evaluate_to(test_expr, needed) {
                        open.push(Visit::Expression(branch));
                    }
                }
                open.push(Visit::Expression(test_expr));
            }
            _ => {
                let operands = operands(expression).into_iter().rev();
                open.extend(operands.map(Visit::Expression));
            }
        }
    }

    fn record(&mut self, expression: &Expr) {
        match expression.expr_kind() {
            // The whole context is too much to read.
            ExprKind::Var(Var::Context) => {}
            ExprKind::Var(variable) => {
                self.record_value(expression, None, DataOwner::from_variable(*variable));
            }
            ExprKind::ExtHasAttr { .. } => self.record_value(expression, None, DataOwner::ANY),
            ExprKind::GetAttr { expr, attr } => {
                self.record_value(
                    expression,
                    Some(expr),
                    DataOwner::from_attribute(expr, attr),
                );
            }
            ExprKind::HasAttr { expr, attr } => {
                let attribute = Expr::get_attr(Expr::clone(expr), attr.clone());
                self.record_value(
                    &attribute,
                    Some(expr),
                    DataOwner::from_attribute(expr, attr),
                );
            }
            ExprKind::BinaryApp {
                op: BinaryOp::GetTag | BinaryOp::HasTag,
                arg1,
                arg2,
            } => {
                let tag = Expr::get_tag(Expr::clone(arg1), Expr::clone(arg2));
                self.record_value(&tag, Some(arg1), DataOwner::from_tag(arg1, arg2));
            }
            ExprKind::BinaryApp {
                op: BinaryOp::In,
                arg1,
                ..
            } => self.record_groups(arg1),
            _ => {}
        }
    }

    /// Records the value of an expression. If its `base` has no value it is skipped, because an absent
    /// value has no attributes.
    fn record_value(&mut self, expression: &Expr, base: Option<&Expr>, owner: DataOwner) {
        if !self.visibility.includes(owner) {
            return self.push(&expression.to_string(), None);
        }
        let value = match (self.evaluate(expression), base) {
            (Some(_), _) if self.is_unknown_address(expression) => UNKNOWN.to_owned(),
            (Some(value), _) => value.to_string(),
            (None, Some(base)) if self.evaluate(base).is_some() => ABSENT.to_owned(),
            (None, _) => return,
        };
        self.push(&expression.to_string(), Some(&value));
    }

    fn record_groups(&mut self, member: &Expr) {
        let name = format!("groups of {member}");
        if !self.visibility.includes(DataOwner::from_base(member)) {
            return self.push(&name, None);
        }
        let Some(EvalResult::EntityUid(uid)) = self.evaluate(member) else {
            return;
        };
        let mut groups: Vec<String> = self
            .entities
            .ancestors(&uid)
            .into_iter()
            .flatten()
            .map(ToString::to_string)
            .collect();
        groups.sort();
        let groups = if groups.is_empty() {
            "none".to_owned()
        } else {
            groups.join(", ")
        };
        self.push(&name, Some(&groups));
    }

    /// Whether an expression evaluates to `expected`, or may do so as far as the caller may know.
    fn may_evaluate_to(&self, expression: &Expr, expected: bool) -> bool {
        !self.visibility.is_unrestricted()
            || self.is_unknown_address(expression)
            || self.evaluate(expression) == Some(EvalResult::Bool(expected))
    }

    /// Whether the value of an expression depends on an address that is unknown.
    fn is_unknown_address(&self, expression: &Expr) -> bool {
        is_address_unknown(self.request) && reads_address(expression)
    }

    fn evaluate(&self, expression: &Expr) -> Option<EvalResult> {
        let expression = Expression::from(expression.clone());
        eval_expression(self.request, self.entities, &expression).ok()
    }

    fn push(&mut self, name: &str, value: Option<&str>) {
        let value = ObservedValue {
            name: truncated(name, MAX_VALUE_LENGTH),
            value: value.map(|value| truncated(value, MAX_VALUE_LENGTH)),
        };
        if !self.values.contains(&value) {
            self.values.push(value);
        }
    }
}

/// A text cut after `max_length` characters, with `...` if there is more.
pub(super) fn truncated(text: &str, max_length: usize) -> String {
    match text.char_indices().nth(max_length) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
