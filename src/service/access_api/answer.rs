//! Answers: what a service is told about its question.

use crate::domain::decision::{Decision, Revision};

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessAnswer {
    /// The decision.
    pub is_permitted: bool,
    /// Why no policy was asked, in words.
    pub reason: Option<String>,
    /// Why the question could not be evaluated (Authorization API 1.0, section 7.1.2.1).
    pub error: Option<EvaluationError>,
    /// What led to the decision, for callers who may view policies.
    pub admin: Option<AdminReason>,
    /// The reasons of the policies that may be told.
    pub told: Option<String>,
}

/// Why a question could not be evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvaluationError {
    /// An HTTP status.
    pub status: u16,
    /// What is the matter.
    pub message: String,
}

/// What led to a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminReason {
    /// The determining policies.
    pub policies: Vec<String>,
    /// The bundle that decided.
    pub revision: Revision,
    /// What went wrong in evaluating policies.
    pub errors: Vec<String>,
}

impl AccessAnswer {
    /// A deny because the question could not be evaluated.
    #[must_use]
    pub fn failed(status: u16, message: impl Into<String>) -> Self {
        Self {
            is_permitted: false,
            reason: None,
            error: Some(EvaluationError {
                status,
                message: message.into(),
            }),
            admin: None,
            told: None,
        }
    }

    /// A deny without asking a policy.
    #[must_use]
    pub(super) fn refused(reason: String) -> Self {
        Self {
            is_permitted: false,
            reason: Some(reason),
            error: None,
            admin: None,
            told: None,
        }
    }
}

impl AdminReason {
    pub(super) fn new(decision: &Decision) -> Self {
        Self {
            policies: decision.determining_policies.clone(),
            revision: decision.revision.clone(),
            errors: decision.errors.clone(),
        }
    }
}
