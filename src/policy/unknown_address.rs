//! Decisions about a client whose address is unknown.
//!
//! Whatever the address might be decides nothing in anybody's favour: a permit is satisfied only if it is
//! so at every address, and a forbid forbids if it may do so at any. So conditions are evaluated with
//! three truth values: true, false, and unknown for what depends on the address. Neither a reserved
//! address nor a missing attribute would do instead: a policy may permit `unless` an address is in a
//! network, or forbid `when` it is in one, and a condition that fails to evaluate would deny even what
//! other policies permit to everybody.
//!
//! A request says so with [`unknown_address`] as its `context.address`, a value that no client has.

use std::sync::LazyLock;

use cedar_policy::{
    AuthorizationError, Entities, PolicyId, PolicySet, Request, RestrictedExpression,
};
use cedar_policy_core::ast::{
    BinaryOp, Context, Effect, Expr, ExprKind, Literal, SlotEnv, UnaryOp, Value, ValueKind, Var,
};
use cedar_policy_core::authorizer::AuthorizationError as CoreAuthorizationError;
use cedar_policy_core::evaluator::{EvaluationError, Evaluator, RestrictedEvaluator};
use cedar_policy_core::extensions::Extensions;

use super::address::{ADDRESS, reads_address};

/// The value of an unknown address: a block, which is no client's address, of IPv4-mapped addresses, which
/// stand for IPv4 addresses and never appear. Cedar has one type for addresses and blocks.
pub(super) const UNKNOWN_ADDRESS_VALUE: &str = "0:0:0:0:0:ffff:0:0/96";
/// How deep a condition is looked into; what is deeper counts as depending on the address.
const MAX_DEPTH: usize = 200;
/// The operations on addresses, none of which fails.
const ADDRESS_FUNCTIONS: [&str; 6] = [
    "ip",
    "isInRange",
    "isIpv4",
    "isIpv6",
    "isLoopback",
    "isMulticast",
];

static UNKNOWN_VALUE: LazyLock<Option<Value>> = LazyLock::new(|| {
    let extensions = Extensions::all_available();
    let expression = unknown_address();
    let evaluator = RestrictedEvaluator::new(extensions);
    evaluator.interpret(expression.as_ref().as_borrowed()).ok()
});

/// The truth of a condition at every address that the client may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Truth {
    /// True at all of them.
    True,
    /// False at all of them.
    False,
    /// It depends, or is not known.
    Unknown,
}

/// The policies that decide, whatever the address is.
#[derive(Debug, Default)]
pub(super) struct SatisfiedPolicies {
    /// The permits that are satisfied at every address.
    pub(super) permits: Vec<PolicyId>,
    /// The forbids that may be satisfied.
    pub(super) forbids: Vec<PolicyId>,
    /// What failed to evaluate.
    pub(super) errors: Vec<AuthorizationError>,
}

/// `context.address` of a request whose client's address is unknown.
pub(super) fn unknown_address() -> RestrictedExpression {
    RestrictedExpression::new_ip(UNKNOWN_ADDRESS_VALUE)
}

/// Whether the address of a request is unknown.
pub(super) fn is_address_unknown(request: &Request) -> bool {
    let Some(Context::Value(attributes)) = request.as_ref().context() else {
        return false;
    };
    let address = attributes.get(ADDRESS);
    address.is_some_and(|address| UNKNOWN_VALUE.as_ref() == Some(address))
}

/// Evaluates every policy of every set for a request with an unknown address.
pub(super) fn evaluate_sets<'a>(
    request: &Request,
    sets: impl IntoIterator<Item = &'a PolicySet>,
    entities: &Entities,
) -> SatisfiedPolicies {
    let evaluator = evaluator(request, entities);
    let mut found = SatisfiedPolicies::default();
    for policy in sets.into_iter().flat_map(PolicySet::policies) {
        let core = policy.as_ref();
        let conditions = Conditions {
            evaluator: &evaluator,
            slots: core.env(),
        };
        let truth = conditions.truth(&core.condition(), MAX_DEPTH);
        match (truth, core.effect()) {
            (Ok(Truth::True), Effect::Permit) => found.permits.push(policy.id().clone()),
            (Ok(Truth::False), _) | (Ok(Truth::Unknown), Effect::Permit) => {}
            (Ok(Truth::True | Truth::Unknown), Effect::Forbid) => {
                found.forbids.push(policy.id().clone());
            }
            (Err(error), _) => {
                let id = core.id().clone();
                let error = CoreAuthorizationError::PolicyEvaluationError { id, error: *error };
                let error = AuthorizationError::PolicyEvaluationError(error.into());
                found.errors.push(error);
            }
        }
    }
    found
}

/// The truth of one condition without slots.
pub(super) fn truth(
    condition: &Expr,
    request: &Request,
    entities: &Entities,
) -> Result<Truth, Box<EvaluationError>> {
    let conditions = Conditions {
        evaluator: &evaluator(request, entities),
        slots: &SlotEnv::new(),
    };
    conditions.truth(condition, MAX_DEPTH)
}

fn evaluator<'e>(request: &Request, entities: &'e Entities) -> Evaluator<'e> {
    let extensions = Extensions::all_available();
    Evaluator::new(request.as_ref().clone(), entities.as_ref(), extensions)
}

/// Evaluates conditions of one policy.
struct Conditions<'a> {
    evaluator: &'a Evaluator<'a>,
    slots: &'a SlotEnv,
}

impl Conditions<'_> {
    fn truth(&self, condition: &Expr, depth: usize) -> Result<Truth, Box<EvaluationError>> {
        if !reads_address(condition) {
            return self.known(condition);
        }
        let Some(depth) = depth.checked_sub(1) else {
            return Ok(Truth::Unknown);
        };
        match condition.expr_kind() {
            ExprKind::And { left, right } => self.chain(left, right, Truth::False, depth),
            ExprKind::Or { left, right } => self.chain(left, right, Truth::True, depth),
            ExprKind::UnaryApp {
                op: UnaryOp::Not,
                arg,
            } => Ok(self.truth(arg, depth)?.negated()),
            ExprKind::If {
                test_expr,
                then_expr,
                else_expr,
            } => match self.truth(test_expr, depth)? {
                Truth::True => self.truth(then_expr, depth),
                Truth::False => self.truth(else_expr, depth),
                Truth::Unknown => {
                    let branches = [then_expr, else_expr].map(|it| self.truth(it, depth).ok());
                    Ok(match branches {
                        [Some(first), Some(second)] if first == second && is_total(test_expr) => {
                            first
                        }
                        _ => Truth::Unknown,
                    })
                }
            },
            // There is an address, known or not.
            ExprKind::HasAttr { expr, .. } if is_context(expr) => self.known(condition),
            _ => Ok(Truth::Unknown),
        }
    }

    /// `left && right` or `left || right`, which are `decisive` if one operand is: also the right one, if
    /// the left one, whose truth is unknown, surely does not fail. So the order of conditions does not
    /// matter.
    fn chain(
        &self,
        left: &Expr,
        right: &Expr,
        decisive: Truth,
        depth: usize,
    ) -> Result<Truth, Box<EvaluationError>> {
        match self.truth(left, depth)? {
            Truth::Unknown => Ok(match self.truth(right, depth) {
                Ok(truth) if truth == decisive && is_total(left) => decisive,
                // If it fails, it does so only at some addresses.
                Ok(_) | Err(_) => Truth::Unknown,
            }),
            known if known == decisive => Ok(decisive),
            _ => self.truth(right, depth),
        }
    }

    fn known(&self, condition: &Expr) -> Result<Truth, Box<EvaluationError>> {
        let value = self.evaluator.interpret(condition, self.slots)?;
        Ok(match value.value {
            ValueKind::Lit(Literal::Bool(true)) => Truth::True,
            ValueKind::Lit(Literal::Bool(false)) => Truth::False,
            // Validation refuses conditions of other types.
            _ => Truth::Unknown,
        })
    }
}

impl Truth {
    fn negated(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
        }
    }
}

fn is_context(expression: &Expr) -> bool {
    matches!(expression.expr_kind(), ExprKind::Var(Var::Context))
}

/// Whether an expression evaluates without an error, whatever the address is.
fn is_total(expression: &Expr) -> bool {
    // The operands are among the subexpressions.
    expression
        .subexpressions()
        .all(|part| match part.expr_kind() {
            ExprKind::Lit(_) | ExprKind::Var(_) | ExprKind::And { .. } | ExprKind::Or { .. } => {
                true
            }
            ExprKind::UnaryApp { op, .. } => *op == UnaryOp::Not,
            ExprKind::BinaryApp { op, .. } => *op == BinaryOp::Eq,
            // Validation made sure that what is read of the context without a question is there.
            ExprKind::HasAttr { expr, .. }
            | ExprKind::ExtHasAttr { expr, .. }
            | ExprKind::GetAttr { expr, .. } => is_context(expr),
            ExprKind::ExtensionFunctionApp { fn_name, .. } => {
                ADDRESS_FUNCTIONS.contains(&fn_name.to_string().as_str())
            }
            _ => false,
        })
}
