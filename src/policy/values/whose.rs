//! Whose a value is: the principal's, the resource's, or what whoever asks said itself.
//!
//! Told from what an expression reads, and where that is not plain, it is anybody's. This module
//! refuses to know who may see what.

use cedar_policy_core::ast::{Expr, ExprKind, Var};

/// Whose values something may tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whose {
    /// The principal's: its attributes, tags and roles, and how it authenticates.
    pub is_of_principal: bool,
    /// The resource's.
    pub is_of_resource: bool,
}

impl Whose {
    /// Nobody's: what whoever asks said itself.
    const NOBODYS: Self = Self {
        is_of_principal: false,
        is_of_resource: false,
    };
    /// Anybody's, or it is not known whose.
    pub(super) const ANYBODYS: Self = Self {
        is_of_principal: true,
        is_of_resource: true,
    };

    /// Whose value is read from `base`.
    ///
    /// Only what is read straight from a variable is known to be of one of the two. `resource.owner`
    /// may be the principal, so what is read from it, or from an entity that a policy names, may be
    /// of either.
    pub(super) fn of_base(base: &Expr) -> Self {
        match base.expr_kind() {
            ExprKind::Var(variable) => Self::of_variable(*variable),
            _ => Self::ANYBODYS,
        }
    }

    pub(super) fn of_variable(variable: Var) -> Self {
        match variable {
            Var::Principal => Self {
                is_of_principal: true,
                ..Self::NOBODYS
            },
            Var::Resource => Self {
                is_of_resource: true,
                ..Self::NOBODYS
            },
            Var::Action | Var::Context => Self::NOBODYS,
        }
    }

    pub(super) fn of_attribute(base: &Expr, name: &str) -> Self {
        let is_circumstance = matches!(base.expr_kind(), ExprKind::Var(Var::Context));
        match name {
            // Whoever asks says from where and when; the rest of the circumstances come from the user.
            _ if !is_circumstance => Self::of_base(base),
            "address" | "time" => Self::NOBODYS,
            _ => Self::of_variable(Var::Principal),
        }
    }

    pub(super) fn of_tag(base: &Expr, key: &Expr) -> Self {
        match key.expr_kind() {
            ExprKind::Lit(_) => Self::of_base(base),
            _ => Self::ANYBODYS,
        }
    }
}
