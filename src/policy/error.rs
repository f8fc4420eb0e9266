//! Errors of loading a policy folder.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::Diagnostic;

use crate::domain::diagnostic::SourceDiagnostic;
use crate::domain::diagnostic_report::{diagnostic_lines, render_diagnostics};
use crate::domain::error_chain::error_chain;

/// Types that Cedar names by words that no policy has.
const INTERNAL_TYPES: [(&str, &str); 3] = [
    ("__cedar::internal::AnyEntity", "an entity"),
    ("__cedar::internal::Any", "anything"),
    ("__cedar::internal::OpenRecord{}", "a record"),
];

/// What stands for a folder without a name in messages.
pub(super) const WHOLE_FOLDER: &str = "the policy folder";

/// Why a policy folder is not a bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The folder or a file in it cannot be read.
    #[error("cannot read {path}: {source}", path = .path.display())]
    Unreadable {
        /// The folder or file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The folder was read and has problems.
    #[error("{}", problem_count(.problems))]
    Invalid {
        /// Every problem of every file, by file and line.
        problems: Vec<SourceDiagnostic>,
    },
}

fn problem_count(problems: &[SourceDiagnostic]) -> String {
    let first = problems.first().map(SourceDiagnostic::to_string);
    match (problems.len(), first) {
        (1, Some(first)) => format!("the policy folder has a problem: {first}"),
        (count, Some(first)) => {
            format!("the policy folder has {count} problems; the first: {first}")
        }
        (_, None) => "the policy folder has a problem".to_owned(),
    }
}

impl BundleError {
    /// A problem of the whole folder.
    #[must_use]
    pub fn of_folder(message: String) -> Self {
        Self::Invalid {
            problems: vec![SourceDiagnostic::for_file(WHOLE_FOLDER, message)],
        }
    }

    /// The problems; none if the folder could not be read.
    #[must_use]
    pub fn problems(&self) -> &[SourceDiagnostic] {
        match self {
            Self::Unreadable { .. } => &[],
            Self::Invalid { problems } => problems,
        }
    }

    /// The same problems, whose files are named with their folder.
    #[must_use]
    pub fn in_folder(self, folder: &Path) -> Self {
        match self {
            Self::Unreadable { .. } => self,
            Self::Invalid { problems } => {
                let in_folder = |problem: SourceDiagnostic| {
                    let path = match problem.file() {
                        WHOLE_FOLDER => folder.to_owned(),
                        name => folder.join(name),
                    };
                    problem.with_file(&path.display().to_string())
                };
                Self::Invalid {
                    problems: problems.into_iter().map(in_folder).collect(),
                }
            }
        }
    }

    /// The problems for a terminal, each with its piece of source.
    #[must_use]
    pub fn render(&self, is_coloured: bool) -> String {
        match self {
            Self::Unreadable { .. } => format!("{self}\n"),
            Self::Invalid { problems } => render_diagnostics(problems, is_coloured),
        }
    }

    /// The problems for a log, a line for each cause.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Unreadable { .. } => vec![self.to_string()],
            Self::Invalid { problems } => diagnostic_lines(problems),
        }
    }
}

/// A problem that Cedar reports about a file whose content is `text`: its message with every cause, its
/// help and its spans.
pub(super) fn from_cedar(file: &str, text: &Arc<str>, error: &dyn Diagnostic) -> SourceDiagnostic {
    let mut message = error_chain(error);
    for (internal, readable) in INTERNAL_TYPES {
        message = message.replace(internal, readable);
    }
    SourceDiagnostic::from_miette(file, text, error, message)
}
