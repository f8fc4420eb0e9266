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

pub use data_owner::Sight;
use data_owner::Whose;

/// The most values that are told of one condition.
pub(super) const MOST_VALUES: usize = 8;
/// The longest text that is told, in characters.
pub(super) const LONGEST_VALUE: usize = 200;
/// The most expressions of one condition that are looked at.
const MOST_LOOKS: usize = 1_000;
/// What is told of an attribute or a tag that is not there.
const ABSENT: &str = "absent";

/// Something that a condition looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// What, as Cedar writes it; `groups of ...` for what an entity is a member of.
    pub name: String,
    /// Its value, as Cedar writes it; `absent` if it is not there. Nothing if it is withheld.
    pub value: Option<String>,
}

/// What is still to be looked at.
enum Look<'a> {
    /// An expression.
    At(&'a Expr),
    /// The operands of `&&` or `||` that are left, the next one last, as long as the one `before` is
    /// `needed`.
    Along {
        before: Option<&'a Expr>,
        needed: bool,
        left: Vec<&'a Expr>,
    },
}

/// What an expression looked at, in the order in which it is evaluated, as far as it is in sight.
pub(super) fn seen(
    expression: &Expr,
    request: &Request,
    entities: &Entities,
    sight: Sight,
) -> Vec<Seen> {
    let mut looking = Looking {
        request,
        entities,
        sight,
        found: Vec::new(),
    };
    // A stack of our own: a policy may be as deep as its file is long.
    let mut open = vec![Look::At(expression)];
    for _ in 0..MOST_LOOKS {
        let Some(look) = open.pop() else { break };
        if looking.found.len() >= MOST_VALUES {
            break;
        }
        match look {
            Look::At(expression) => {
                looking.note(expression);
                looking.go_on(expression, &mut open);
            }
            Look::Along {
                before,
                needed,
                mut left,
            } => {
                let goes_on = before.is_none_or(|before| looking.may_be(before, needed));
                if let Some(next) = left.pop().filter(|_| goes_on) {
                    let before = Some(next);
                    open.push(Look::Along {
                        before,
                        needed,
                        left,
                    });
                    open.push(Look::At(next));
                }
            }
        }
    }
    looking.found
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

struct Looking<'a> {
    request: &'a Request,
    entities: &'a Entities,
    sight: Sight,
    found: Vec<Seen>,
}

impl Looking<'_> {
    fn go_on<'e>(&self, expression: &'e Expr, open: &mut Vec<Look<'e>>) {
        let along = |needed| Look::Along {
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
                    if self.may_be(test_expr, needed) {
                        open.push(Look::At(branch));
                    }
                }
                open.push(Look::At(test_expr));
            }
            _ => {
                let operands = operands(expression).into_iter().rev();
                open.extend(operands.map(Look::At));
            }
        }
    }

    fn note(&mut self, expression: &Expr) {
        match expression.expr_kind() {
            // The circumstances as a whole say nothing to a person.
            ExprKind::Var(Var::Context) => {}
            ExprKind::Var(variable) => {
                self.value(expression, None, Whose::of_variable(*variable));
            }
            ExprKind::ExtHasAttr { .. } => self.value(expression, None, Whose::ANYBODYS),
            ExprKind::GetAttr { expr, attr } => {
                self.value(expression, Some(expr), Whose::of_attribute(expr, attr));
            }
            ExprKind::HasAttr { expr, attr } => {
                let attribute = Expr::get_attr(Expr::clone(expr), attr.clone());
                self.value(&attribute, Some(expr), Whose::of_attribute(expr, attr));
            }
            ExprKind::BinaryApp {
                op: BinaryOp::GetTag | BinaryOp::HasTag,
                arg1,
                arg2,
            } => {
                let tag = Expr::get_tag(Expr::clone(arg1), Expr::clone(arg2));
                self.value(&tag, Some(arg1), Whose::of_tag(arg1, arg2));
            }
            ExprKind::BinaryApp {
                op: BinaryOp::In,
                arg1,
                ..
            } => self.groups(arg1),
            _ => {}
        }
    }

    /// The value of an expression; one `of` which nothing can be read is passed over, for what is
    /// not there has no attributes that could be absent.
    fn value(&mut self, expression: &Expr, of: Option<&Expr>, whose: Whose) {
        if !self.sight.takes_in(whose) {
            return self.tell(&expression.to_string(), None);
        }
        let value = match (self.evaluate(expression), of) {
            (Some(value), _) => value.to_string(),
            (None, Some(of)) if self.evaluate(of).is_some() => ABSENT.to_owned(),
            (None, _) => return,
        };
        self.tell(&expression.to_string(), Some(&value));
    }

    fn groups(&mut self, member: &Expr) {
        let name = format!("groups of {member}");
        if !self.sight.takes_in(Whose::of_base(member)) {
            return self.tell(&name, None);
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
        self.tell(&name, Some(&groups));
    }

    /// Whether an expression is true, or false, as far as whoever asks may learn.
    fn may_be(&self, expression: &Expr, expected: bool) -> bool {
        !self.sight.is_whole() || self.evaluate(expression) == Some(EvalResult::Bool(expected))
    }

    fn evaluate(&self, expression: &Expr) -> Option<EvalResult> {
        let expression = Expression::from(expression.clone());
        eval_expression(self.request, self.entities, &expression).ok()
    }

    fn tell(&mut self, name: &str, value: Option<&str>) {
        let seen = Seen {
            name: shortened(name, LONGEST_VALUE),
            value: value.map(|value| shortened(value, LONGEST_VALUE)),
        };
        if !self.found.contains(&seen) {
            self.found.push(seen);
        }
    }
}

/// A text cut after so many characters, with `...` if there is more.
pub(super) fn shortened(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
