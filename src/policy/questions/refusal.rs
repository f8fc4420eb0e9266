//! Refusals: why a question is answered with `false` without asking the policies.

/// The status of what the caller said and the schema does not allow.
const UNPROCESSABLE: u16 = 422;
/// The longest text that a refusal quotes, in characters.
const MAX_QUOTED_LENGTH: usize = 64;

/// Why no policy was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuestionRefusal {
    /// The HTTP status of an evaluation error (Authorization API 1.0, section 7.1.2.1); `None` for a plain reason.
    pub status: Option<u16>,
    /// What is the matter.
    pub message: String,
}

impl QuestionRefusal {
    /// A plain reason.
    pub(super) fn reason(message: impl Into<String>) -> Self {
        Self {
            status: None,
            message: message.into(),
        }
    }

    /// An evaluation error of what the caller said.
    pub(super) fn error(message: impl Into<String>) -> Self {
        Self {
            status: Some(UNPROCESSABLE),
            message: message.into(),
        }
    }
}

/// A text of the caller in quotes, shortened.
pub(super) fn quoted(text: &str) -> String {
    let shown: String = text.chars().take(MAX_QUOTED_LENGTH).collect();
    let dots = if shown.len() < text.len() { "..." } else { "" };
    format!("{shown:?}{dots}")
}
