//! The owner of a value (the principal, the resource or neither), and whose values are visible.
//!
//! The owner is derived from the expression that reads the value. Where that is not certain, the value
//! may be of either.

use cedar_policy_core::ast::{Expr, ExprKind, Var};

/// Whose values an explanation shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueVisibility {
    /// Whether those of the principal are shown: attributes, tags, roles and authentication.
    pub shows_principal: bool,
    /// Whether those of the resource are shown.
    pub shows_resource: bool,
}

impl ValueVisibility {
    /// All values.
    pub const ALL: Self = Self {
        shows_principal: true,
        shows_resource: true,
    };

    /// Whether no value is withheld.
    #[must_use]
    pub fn is_unrestricted(self) -> bool {
        self == Self::ALL
    }

    pub(super) fn includes(self, owner: DataOwner) -> bool {
        (self.shows_principal || !owner.is_of_principal)
            && (self.shows_resource || !owner.is_of_resource)
    }
}

/// Whose values an expression may reveal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DataOwner {
    pub(super) is_of_principal: bool,
    pub(super) is_of_resource: bool,
}

impl DataOwner {
    /// Neither: the caller supplied the value.
    const NONE: Self = Self {
        is_of_principal: false,
        is_of_resource: false,
    };
    /// Either, or not known.
    pub(super) const ANY: Self = Self {
        is_of_principal: true,
        is_of_resource: true,
    };

    /// The owner of a value that is read from `base`.
    ///
    /// Only a value that is read directly from a variable has a certain owner. `resource.owner` may be
    /// the principal, so a value read from it, or from an entity that a policy names, may be of either.
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
        let is_context = matches!(base.expr_kind(), ExprKind::Var(Var::Context));
        match name {
            // The caller supplies address and time; the rest of the context comes from the principal.
            _ if !is_context => Self::from_base(base),
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
