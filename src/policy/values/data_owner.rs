//! Whose a value is, the principal's, the resource's, or what whoever asks said itself; and whose may
//! be seen.
//!
//! Told from what an expression reads, and where that is not plain, it is anybody's. This module
//! refuses to know who asks.

use cedar_policy_core::ast::{Expr, ExprKind, Var};

/// Whose values whoever asks may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sight {
    /// Whether it may see the principal's: its attributes, tags and roles, and how it authenticates.
    pub sees_principal: bool,
    /// Whether it may see the resource's.
    pub sees_resource: bool,
}

impl Sight {
    /// Of all there is.
    pub const WHOLE: Self = Self {
        sees_principal: true,
        sees_resource: true,
    };

    /// Whether nothing is out of sight.
    #[must_use]
    pub fn is_whole(self) -> bool {
        self == Self::WHOLE
    }

    pub(super) fn takes_in(self, whose: Whose) -> bool {
        (self.sees_principal || !whose.is_of_principal)
            && (self.sees_resource || !whose.is_of_resource)
    }
}

/// Whose values something may tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whose {
    pub(super) is_of_principal: bool,
    pub(super) is_of_resource: bool,
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
