//! Policies and invariants without effect.

use serde::Serialize;

use crate::domain::diagnostic::SourceDiagnostic;
use crate::policy::bundle::Bundle;

/// A policy or an invariant that has no effect, most likely by mistake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Ineffective {
    /// A policy matches no possible request.
    NeverApplies {
        /// The policy.
        policy: String,
        /// Which of its parts contradict each other, if that was found in time.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// What was probably meant.
        #[serde(skip_serializing_if = "Option::is_none")]
        help: Option<String>,
    },
    /// A policy is redundant: another one of the same effect matches whenever it does.
    Redundant {
        /// The redundant policy.
        policy: String,
        /// The other policy.
        beside: String,
        /// Whether the other one is just as redundant.
        is_mutual: bool,
    },
    /// A permit matches only where a forbid does.
    Overruled {
        /// The permit.
        policy: String,
        /// The forbid.
        by: String,
    },
    /// An invariant holds for any policies.
    SaysNothing {
        /// The invariant.
        invariant: String,
    },
}

impl Ineffective {
    /// What it says, without of which policy: equal for those that are alike.
    pub(super) fn kind(&self) -> (u8, &str) {
        match self {
            Self::NeverApplies { .. } => (0, ""),
            Self::Redundant { beside, .. } => (1, beside),
            Self::Overruled { by, .. } => (2, by),
            Self::SaysNothing { .. } => (3, ""),
        }
    }

    /// Whether it is about the same policy as another one, and both never apply.
    pub(super) fn is_never_applying(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::NeverApplies { policy, .. }, Self::NeverApplies { policy: other, .. }) => {
                policy == other
            }
            _ => false,
        }
    }

    /// The warning about a policy that never applies, unless its bundle has one.
    pub(super) fn warning(&self, bundle: &Bundle) -> Option<SourceDiagnostic> {
        let Self::NeverApplies { policy, help, .. } = self else {
            return None;
        };
        let known = format!("`{policy}` never applies");
        let mut warnings = bundle.warnings().iter();
        if warnings.any(|warning| warning.message().contains(&known)) {
            return None;
        }
        let warning = bundle.warning_at_policy(policy, self.message());
        Some(match help {
            Some(help) => warning.with_help(help),
            None => warning,
        })
    }

    /// What is wrong, and what was probably meant.
    pub(super) fn line(&self) -> String {
        let message = self.message();
        match self {
            Self::NeverApplies {
                help: Some(help), ..
            } => format!("{message}; {help}"),
            Self::NeverApplies { .. }
            | Self::Redundant { .. }
            | Self::Overruled { .. }
            | Self::SaysNothing { .. } => message,
        }
    }

    /// What is wrong, in a sentence.
    fn message(&self) -> String {
        match self {
            Self::NeverApplies { policy, reason, .. } => match reason {
                Some(reason) => format!("policy `{policy}` never applies: {reason}"),
                None => format!("policy `{policy}` never applies: no possible request matches it"),
            },
            Self::Redundant {
                policy,
                beside,
                is_mutual: true,
            } => format!("policies `{policy}` and `{beside}` match the same requests: remove one"),
            Self::Redundant { policy, beside, .. } => {
                format!("policy `{policy}` is redundant: `{beside}` always applies when it does")
            }
            Self::Overruled { policy, by } => {
                format!(
                    "policy `{policy}` permits nothing: `{by}` forbids everything that it matches"
                )
            }
            Self::SaysNothing { invariant } => {
                format!("invariant `{invariant}` has no effect: it holds for any policies")
            }
        }
    }
}
