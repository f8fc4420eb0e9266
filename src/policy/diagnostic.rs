//! Why a policy folder is not a bundle: errors by file and line.

use std::path::PathBuf;
use std::sync::Arc;

pub use crate::domain::diagnostic::{SourceDiagnostic as BundleDiagnostic, render_diagnostics};

pub(super) use crate::domain::diagnostic::sorted;

/// Why a policy folder is not a bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The folder or a file in it cannot be read.
    #[error("cannot read {path}: {source}", path = .path.display())]
    Unreadable {
        /// What was to be read.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The folder was read and something in it is wrong; every problem of every file is told.
    #[error("{}", problem_count(.problems))]
    Invalid {
        /// What is wrong, by file and line.
        problems: Vec<BundleDiagnostic>,
    },
}

fn problem_count(problems: &[BundleDiagnostic]) -> String {
    let first = problems.first().map(BundleDiagnostic::to_string);
    match (problems.len(), first) {
        (1, Some(first)) => format!("the policy folder has a problem: {first}"),
        (count, Some(first)) => format!("the policy folder has {count} problems, first {first}"),
        (_, None) => "the policy folder has a problem".to_owned(),
    }
}

impl BundleError {
    /// The problems, none when the folder could not even be read.
    #[must_use]
    pub fn problems(&self) -> &[BundleDiagnostic] {
        match self {
            Self::Unreadable { .. } => &[],
            Self::Invalid { problems } => problems,
        }
    }

    /// The problems for a person at a terminal, each with its piece of source.
    #[must_use]
    pub fn render(&self, is_coloured: bool) -> String {
        match self {
            Self::Unreadable { .. } => format!("{self}\n"),
            Self::Invalid { problems } => render_diagnostics(problems, is_coloured),
        }
    }

    /// The problems for a log, one line each.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Unreadable { .. } => vec![self.to_string()],
            Self::Invalid { problems } => {
                problems.iter().map(BundleDiagnostic::to_string).collect()
            }
        }
    }
}

impl BundleDiagnostic {
    /// An error of Cedar about a file whose content is `text`: its message with every cause, its help
    /// and its spans.
    pub(super) fn from_cedar(file: &str, text: &Arc<str>, error: &dyn miette::Diagnostic) -> Self {
        Self::from_miette(file, text, error, message_with_causes(error))
    }
}

/// An error's message with the messages of all its causes; a cause that says the same is left out.
pub(super) fn message_with_causes(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !message.contains(&said) {
            message.push_str(": ");
            message.push_str(&said);
        }
        cause = error.source();
    }
    message
}
