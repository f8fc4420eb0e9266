//! Whose a value is, the principal's, the resource's, or what whoever asks said itself; and whose may
//! be seen.
//!
//! Told from what an expression reads, and where that is not plain, it is anybody's. This module
//! refuses to know who asks.

use cedar_policy_core::ast::{Expr, ExprKind, Var};

/// Whose values whoever asks may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueVisibility {
    /// Whether it may see the principal's: its attributes, tags and roles, and how it authenticates.
    pub shows_principal: bool,
    /// Whether it may see the resource's.
    pub shows_resource: bool,
}

impl ValueVisibility {
    /// Of all there is.
    pub const ALL: Self = Self {
        shows_principal: true,
        shows_resource: true,
    };

    /// Whether nothing is out of sight.
    #[must_use]
    pub fn is_unrestricted(self) -> bool {
        self == Self::ALL
    }

    pub(super) fn includes(self, whose: DataOwner) -> bool {
        (self.shows_principal || !whose.is_of_principal)
            && (self.shows_resource || !whose.is_of_resource)
    }
}

/// Whose values something may tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DataOwner {
    pub(super) is_of_principal: bool,
    pub(super) is_of_resource: bool,
}

impl DataOwner {
    /// Nobody's: what whoever asks said itself.
    const NONE: Self = Self {
        is_of_principal: false,
        is_of_resource: false,
    };
    /// Anybody's, or it is not known whose.
    pub(super) const ANY: Self = Self {
        is_of_principal: true,
        is_of_resource: true,
    };

    /// Whose value is read from `base`.
    ///
    /// Only what is read straight from a variable is known to be of one of the two. `resource.owner`
    /// may be the principal, so what is read from it, or from an entity that a policy names, may be
    /// of either.
    pub(super) fn from_base(base: &Expr) -> Self {
        match base.expr_kind() {
            ExprKind::Var(variable) => Self::from_variable(*variable),
            _ => Self::ANY,
        }
    }

    pub(super) fn from_variable(variable: Var) -> Self {
        match variable {
            Var::Principal => Self {
                is_of_principal: true,
                ..Self::NONE
            },
            Var::Resource => Self {
                is_of_resource: true,
                ..Self::NONE
            },
            Var::Action | Var::Context => Self::NONE,
        }
    }

    pub(super) fn from_attribute(base: &Expr, name: &str) -> Self {
        let is_circumstance = matches!(base.expr_kind(), ExprKind::Var(Var::Context));
        match name {
            // Whoever asks says from where and when; the rest of the circumstances come from the user.
            _ if !is_circumstance => Self::from_base(base),
            "address" | "time" => Self::NONE,
            _ => Self::from_variable(Var::Principal),
        }
    }

    pub(super) fn from_tag(base: &Expr, key: &Expr) -> Self {
        match key.expr_kind() {
            ExprKind::Lit(_) => Self::from_base(base),
            _ => Self::ANY,
        }
    }
}
