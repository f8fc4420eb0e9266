//! Narrowings: conditions of an invariant that a policy may lack.
//!
//! Of an upper bound that is a permit, each alternative of its condition; of one that is a forbid, and of a lower
//! bound, what it is about, to be left out with `unless`.

use std::fmt;

use cedar_policy::Effect;
use cedar_policy_core::ast::{Expr, ExprKind};

use super::invariants::{Invariant, InvariantBound};
use super::source_text::source_text;
use super::statement::{principal_condition, resource_condition, scope_condition};

/// The most conditions that are tried for one policy.
const MAX_NARROWINGS: usize = 8;

/// A condition to add to a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Narrowing {
    keyword: &'static str,
    text: String,
}

impl Narrowing {
    fn when(text: String) -> Self {
        Self {
            keyword: "when",
            text,
        }
    }

    fn unless(text: String) -> Self {
        Self {
            keyword: "unless",
            text,
        }
    }

    /// The same for a policy that is about more than datasets.
    pub(super) fn for_datasets(&self) -> Self {
        Self {
            keyword: self.keyword,
            text: format!("resource is Dataset && {}", in_brackets(&self.text)),
        }
    }
}

impl fmt::Display for Narrowing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {{ {} }}", self.keyword, self.text)
    }
}

/// What may be added to a policy that violates an invariant, the simplest first.
pub(super) fn narrowings(invariant: &Invariant) -> Vec<Narrowing> {
    let policy = &invariant.policy;
    let condition = policy.as_ref().non_scope_constraints();
    let scope = [principal_condition(policy), resource_condition(policy)];
    let scope = scope.into_iter().flatten();
    let mut found = Vec::new();
    let is_permit = policy.effect() == Effect::Permit;
    if invariant.bound == InvariantBound::Upper && is_permit {
        let alternatives = condition.map(alternatives).unwrap_or_default();
        let texts = alternatives.iter().map(|one| source_text(one));
        found.extend(texts.map(Narrowing::when));
        found.extend(scope.map(Narrowing::unless));
        if let Some(condition) = condition.filter(|_| alternatives.len() > 1) {
            found.push(Narrowing::when(source_text(condition)));
        }
    } else {
        found.extend(scope.map(Narrowing::unless));
        found.extend(condition.map(|condition| Narrowing::unless(source_text(condition))));
        let whole = match (scope_condition(policy), condition) {
            (scope, Some(condition)) => {
                format!("{scope} && {}", in_brackets(&source_text(condition)))
            }
            (scope, None) => scope,
        };
        found.push(Narrowing::unless(whole));
    }
    found.truncate(MAX_NARROWINGS);
    found
}

/// The operands of `||`, each of which is enough.
fn alternatives(condition: &Expr) -> Vec<&Expr> {
    let mut found = Vec::new();
    let mut open = vec![condition];
    while let Some(expression) = open.pop() {
        match expression.expr_kind() {
            ExprKind::Or { left, right } => open.extend([&**right, &**left]),
            _ => found.push(expression),
        }
    }
    found
}

fn in_brackets(text: &str) -> String {
    format!("({text})")
}
