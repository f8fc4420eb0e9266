//! Values: what a condition saw of the principal, the resource and the circumstances.
//!
//! Attributes, tags and variables are told with their values, and for `in` what the entity is a
//! member of; as many and as long as a person reads. What Cedar does not come to (the right side of a
//! `||` whose left side is true, the other branch of an `if`) was not seen. To whoever may not see all
//! of it everything that is written is told, come to or not: which of it was come to would tell what
//! is withheld. This module refuses to know policies.

mod data_owner;

use cedar_policy::{Entities, EvalResult, Expression, Request, eval_expression};
use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Var};
use serde::Serialize;

use data_owner::DataOwner;
pub use data_owner::ValueVisibility;

/// The most values that are told of one condition.
pub(super) const MAX_VALUES: usize = 8;
/// The longest text that is told, in characters.
pub(super) const MAX_VALUE_LENGTH: usize = 200;
/// The most expressions of one condition that are looked at.
const MAX_VISITED_EXPRESSIONS: usize = 1_000;
/// What is told of an attribute or a tag that is not there.
const ABSENT: &str = "absent";

/// Something that a condition looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ObservedValue {
    /// What, as Cedar writes it; `groups of ...` for what an entity is a member of.
    pub name: String,
    /// Its value, as Cedar writes it; `absent` if it is not there. Nothing if it is withheld.
    pub value: Option<String>,
}

/// What is still to be looked at.
enum Visit<'a> {
    /// An expression.
    Expression(&'a Expr),
    /// The operands of `&&` or `||` that are left, the next one last, as long as the one `before` is
    /// `needed`.
    Chain {
        before: Option<&'a Expr>,
        needed: bool,
        left: Vec<&'a Expr>,
    },
}

/// What an expression looked at, in the order in which it is evaluated, as far as it is in sight.
pub(super) fn observed_values(
    expression: &Expr,
    request: &Request,
    entities: &Entities,
    sight: ValueVisibility,
) -> Vec<ObservedValue> {
    let mut looking = ValueCollector {
        request,
        entities,
        visibility: sight,
        values: Vec::new(),
    };
    // A stack of our own: a policy may be as deep as its file is long.
    let mut open = vec![Visit::Expression(expression)];
    for _ in 0..MAX_VISITED_EXPRESSIONS {
        let Some(look) = open.pop() else { break };
        if looking.values.len() >= MAX_VALUES {
            break;
        }
        match look {
            Visit::Expression(expression) => {
                looking.record(expression);
                looking.push_operands(expression, &mut open);
            }
            Visit::Chain {
                before,
                needed,
                mut left,
            } => {
                let goes_on = before.is_none_or(|before| looking.may_evaluate_to(before, needed));
                if let Some(next) = left.pop().filter(|_| goes_on) {
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
    looking.values
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

/// The parts of an expression that are evaluated with it and worth a look of their own: of
/// `resource.owner` none is.
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
                // The last that is pushed is looked at first.
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
            // The circumstances as a whole say nothing to a person.
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

    /// The value of an expression; one `of` which nothing can be read is passed over, for what is
    /// not there has no attributes that could be absent.
    fn record_value(&mut self, expression: &Expr, of: Option<&Expr>, whose: DataOwner) {
        if !self.visibility.includes(whose) {
            return self.push(&expression.to_string(), None);
        }
        let value = match (self.evaluate(expression), of) {
            (Some(value), _) => value.to_string(),
            (None, Some(of)) if self.evaluate(of).is_some() => ABSENT.to_owned(),
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

    /// Whether an expression is true, or false, as far as whoever asks may learn.
    fn may_evaluate_to(&self, expression: &Expr, expected: bool) -> bool {
        !self.visibility.is_unrestricted()
            || self.evaluate(expression) == Some(EvalResult::Bool(expected))
    }

    fn evaluate(&self, expression: &Expr) -> Option<EvalResult> {
        let expression = Expression::from(expression.clone());
        eval_expression(self.request, self.entities, &expression).ok()
    }

    fn push(&mut self, name: &str, value: Option<&str>) {
        let seen = ObservedValue {
            name: truncated(name, MAX_VALUE_LENGTH),
            value: value.map(|value| truncated(value, MAX_VALUE_LENGTH)),
        };
        if !self.values.contains(&seen) {
            self.values.push(seen);
        }
    }
}

/// A text cut after so many characters, with `...` if there is more.
pub(super) fn truncated(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
