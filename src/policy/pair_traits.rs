//! The traits of a pair: what policies may look at without telling the pairs of one decision class apart.
//!
//! The list is short on purpose: an expression that is not on it, of whatever kind, tells them apart.

use cedar_policy::{Policy, PolicySet, Schema};
use cedar_policy_core::ast::{BinaryOp, Expr, ExprKind, Literal, UnaryOp, Var};
use cedar_policy_core::validator::{ValidatorEntityTypeKind, ValidatorSchema};

/// The types of the entities that the catalog names freely.
const CATALOG_TYPES: [&str; 3] = ["User", "Role", "Dataset"];

/// Whether the schema takes every user, role and dataset: a type that lists its members refuses all others.
pub(super) fn lists_no_members(schema: &Schema) -> bool {
    let schema: &ValidatorSchema = schema.as_ref();
    let mut listing = schema
        .entity_types()
        .filter(|kind| matches!(kind.kind, ValidatorEntityTypeKind::Enum(_)));
    !listing.any(|kind| CATALOG_TYPES.contains(&kind.name().to_string().as_str()))
}

/// Whether the policies of a set look at nothing but the traits of a class.
pub(super) fn depends_on_traits(set: &PolicySet) -> bool {
    set.policies().all(|policy: &Policy| {
        // The scopes match, or else the index would not have found the set.
        let condition = policy.as_ref().non_scope_constraints();
        condition.is_none_or(is_of_traits)
    })
}

/// Whether an expression has the same value, or the same error, for all pairs of a class. What is not listed here is
/// taken to tell them apart.
fn is_of_traits(expression: &Expr) -> bool {
    match expression.expr_kind() {
        ExprKind::Lit(Literal::Bool(_)) => true,
        ExprKind::And { left, right } | ExprKind::Or { left, right } => {
            is_of_traits(left) && is_of_traits(right)
        }
        ExprKind::UnaryApp {
            op: UnaryOp::Not,
            arg,
        } => is_of_traits(arg),
        ExprKind::If {
            test_expr,
            then_expr,
            else_expr,
        } => [test_expr, then_expr, else_expr]
            .into_iter()
            .all(|part| is_of_traits(part)),
        ExprKind::Is { expr, .. } => {
            is_variable(expr, Var::Principal) || is_variable(expr, Var::Resource)
        }
        ExprKind::HasAttr { expr, attr } => is_variable(expr, Var::Resource) && attr == "owner",
        ExprKind::BinaryApp { op, arg1, arg2 } => match op {
            BinaryOp::Eq => is_equality_of_traits(arg1, arg2) || is_equality_of_traits(arg2, arg1),
            BinaryOp::In => is_variable(arg1, Var::Principal) && is_attribute(arg2, "reader_roles"),
            BinaryOp::Contains => {
                is_attribute(arg1, "reader_users") && is_variable(arg2, Var::Principal)
            }
            _ => false,
        },
        _ => false,
    }
}

fn is_equality_of_traits(left: &Expr, right: &Expr) -> bool {
    let is_word = matches!(right.expr_kind(), ExprKind::Lit(Literal::EntityUID(_)));
    let is_of_words = is_attribute(left, "visibility") || is_attribute(left, "record_status");
    (is_of_words && is_word) || (is_attribute(left, "owner") && is_variable(right, Var::Principal))
}

fn is_variable(expression: &Expr, variable: Var) -> bool {
    matches!(expression.expr_kind(), ExprKind::Var(found) if *found == variable)
}

/// Whether this is an attribute of the resource.
fn is_attribute(expression: &Expr, name: &str) -> bool {
    matches!(expression.expr_kind(), ExprKind::GetAttr { expr, attr }
        if attr == name && is_variable(expr, Var::Resource))
}
