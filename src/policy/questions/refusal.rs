//! Refusals: why a question is answered with `false` without asking the policies.

use crate::policy::attributes::{AttributeError, AttributeErrors};

/// The status of what the caller said and the schema does not allow.
const UNPROCESSABLE: u16 = 422;
/// The longest text that a refusal quotes, in characters.
const MAX_QUOTED_LENGTH: usize = 64;

/// Why no policy was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuestionRefusal {
    /// The HTTP status of an evaluation error (Authorization API 1.0, section 7.1.2.1); `None` for a plain reason.
    pub status: Option<u16>,
    /// What is the matter, for whoever asks.
    pub message: String,
    /// The same for records and logs: without what the caller said in properties and context, which may be personal.
    pub recorded: String,
}

impl QuestionRefusal {
    /// A plain reason.
    pub(super) fn reason(message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            status: None,
            recorded: message.clone(),
            message,
        }
    }

    /// An evaluation error of what the caller said.
    pub(super) fn error(message: impl Into<String>) -> Self {
        Self {
            status: Some(UNPROCESSABLE),
            ..Self::reason(message)
        }
    }

    /// The error of values that do not fit the schema, which `place` has.
    pub(super) fn misfits(place: &str, errors: Vec<AttributeError>) -> Self {
        let stored = errors.iter().cloned().map(AttributeError::of_stored);
        let stored = AttributeErrors(stored.collect());
        let errors = AttributeErrors(errors);
        Self::error(format!("{place}: {errors}")).recorded_as(format!("{place}: {stored}"))
    }

    /// The same with another text for records.
    pub(super) fn recorded_as(self, recorded: impl Into<String>) -> Self {
        Self {
            recorded: recorded.into(),
            ..self
        }
    }
}

/// A text of the caller in quotes, shortened.
pub(super) fn quoted(text: &str) -> String {
    let shown: String = text.chars().take(MAX_QUOTED_LENGTH).collect();
    let dots = if shown.len() < text.len() { "..." } else { "" };
    format!("{shown:?}{dots}")
}
