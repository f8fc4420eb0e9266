//! The form that a condition has in its source text, where Cedar's syntax tree has another.
//!
//! Cedar has no nodes for `unless`, `!=`, `>`, `>=` and `is T in G`: it parses `a != b` as `!(a == b)`,
//! `a > b` as `!(a <= b)`, `a >= b` as `!(a < b)`, and `a is T in G` as `a is T && a in G`, and gives the
//! inner nodes the location of the whole. Of such an inner node the source text says the opposite, or more.
//! So whoever shows the text of a condition with what is found about it takes it apart here, and never
//! deeper than it is written.

use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, UnaryOp};
use cedar_policy_core::parser::Loc;

/// How a condition is composed in the source.
#[derive(Clone, Copy, Debug)]
pub(super) enum SourceForm<'e> {
    /// `left && right`, or two clauses.
    And(&'e Expr, &'e Expr),
    /// `left || right`.
    Or(&'e Expr, &'e Expr),
    /// `!operand`.
    Not(&'e Expr),
    /// The condition of an `unless`.
    Unless(&'e Expr),
    /// `a != b`, `a > b` or `a >= b`: the opposite of this comparison.
    Opposite(&'e Expr),
    /// Anything else.
    Whole,
}

impl<'e> SourceForm<'e> {
    pub(super) fn new(condition: &'e Expr) -> Self {
        match condition.expr_kind() {
            ExprKind::And { left, right } => {
                let is_half = |side: &Expr| !is_and(side) && have_one_location(side, condition);
                if is_half(left) || is_half(right) {
                    Self::Whole
                } else {
                    Self::And(left, right)
                }
            }
            ExprKind::Or { left, right } => Self::Or(left, right),
            ExprKind::UnaryApp {
                op: UnaryOp::Not,
                arg,
            } => {
                let source = condition.source_loc().and_then(Loc::snippet);
                if is_comparison(arg) && have_one_location(arg, condition) {
                    Self::Opposite(arg)
                } else if source.is_some_and(|source| source.starts_with("unless")) {
                    Self::Unless(arg)
                } else {
                    Self::Not(arg)
                }
            }
            _ => Self::Whole,
        }
    }
}

fn is_and(expression: &Expr) -> bool {
    matches!(expression.expr_kind(), ExprKind::And { .. })
}

fn is_comparison(expression: &Expr) -> bool {
    matches!(
        expression.expr_kind(),
        ExprKind::BinaryApp {
            op: BinaryOp::Eq | BinaryOp::Less | BinaryOp::LessEq,
            ..
        }
    )
}

fn have_one_location(one: &Expr, other: &Expr) -> bool {
    match (one.source_loc(), other.source_loc()) {
        (Some(one), Some(other)) => (one.start(), one.end()) == (other.start(), other.end()),
        _ => false,
    }
}
