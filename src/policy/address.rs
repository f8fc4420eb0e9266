//! Policies that read the client's address: whether what a bundle permits may depend on it.

use cedar_policy::{Policy, PrincipalConstraint};
use cedar_policy_core::ast::{Expr, ExprKind, Var};

/// The attribute of the context.
pub(super) const ADDRESS: &str = "address";
/// The attribute with the named networks that the address is in: reading it is reading the address.
pub(super) const NETWORKS: &str = "networks";

const ANONYMOUS: &str = "Anonymous";

/// Whether the scope of a policy admits anonymous callers.
pub(super) fn may_be_anonymous(policy: &Policy) -> bool {
    match policy.principal_constraint() {
        PrincipalConstraint::Any => true,
        PrincipalConstraint::In(entity) | PrincipalConstraint::Eq(entity) => {
            entity.type_name().to_string() == ANONYMOUS
        }
        PrincipalConstraint::Is(kind) | PrincipalConstraint::IsIn(kind, _) => {
            kind.to_string() == ANONYMOUS
        }
    }
}

/// The attribute of the context that an expression itself reads or asks for, the first one of several.
pub(super) fn context_attribute(expression: &Expr) -> Option<&str> {
    let (of, name) = match expression.expr_kind() {
        ExprKind::GetAttr { expr, attr } | ExprKind::HasAttr { expr, attr } => (expr, attr),
        ExprKind::ExtHasAttr { expr, attrs } => (expr, attrs.first()),
        _ => return None,
    };
    let is_context = matches!(of.expr_kind(), ExprKind::Var(Var::Context));
    is_context.then_some(name.as_str())
}

/// Whether an expression reads the address, or the context as a whole.
pub(super) fn reads_address(condition: &Expr) -> bool {
    let (mut all, mut others) = (0, 0);
    for part in condition.subexpressions() {
        if matches!(part.expr_kind(), ExprKind::Var(Var::Context)) {
            all += 1;
        }
        if context_attribute(part).is_some_and(|name| name != ADDRESS && name != NETWORKS) {
            others += 1;
        }
    }
    all > others
}

#[cfg(test)]
mod tests {
    use crate::policy::tests::fixtures::bundle;

    fn reads_address(policy: &str) -> bool {
        let text = format!("@id(\"a\") @reason(\"x\") {policy};");
        bundle(&text).unwrap().reads_address()
    }

    #[test]
    fn a_policy_reads_the_address_in_whatever_direction() {
        for condition in [
            "when { context.address.isInRange(ip(\"192.0.2.0/24\")) }",
            "unless { context.address.isLoopback() }",
            "when { context.authentication == Authentication::\"none\" && !context.address.isIpv6() }",
            "when { context == context }",
        ] {
            for effect in ["permit", "forbid"] {
                let policy = format!(
                    "{effect} (principal, action == Action::\"read\", resource) {condition}"
                );
                assert!(reads_address(&policy), "{policy}");
            }
        }
        for condition in [
            "",
            "when { context.authentication == Authentication::\"none\" && context has key }",
            "when { context has key.actions && context.key.actions.isEmpty() }",
        ] {
            let policy =
                format!("permit (principal, action == Action::\"read\", resource) {condition}");
            assert!(!reads_address(&policy), "{policy}");
        }
    }
}
