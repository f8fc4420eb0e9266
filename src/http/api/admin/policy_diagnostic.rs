//! Diagnostics about policy files, as responses tell them.

use poem_openapi::Object;

use crate::domain::diagnostic::SourceDiagnostic;

/// A diagnostic about a policy file.
#[derive(Object)]
pub struct PolicyDiagnostic {
    /// The file.
    pub file: String,
    /// The line, counted from 1.
    #[oai(skip_serializing_if_is_none)]
    pub line: Option<u64>,
    /// The column in characters, counted from 1.
    #[oai(skip_serializing_if_is_none)]
    pub column: Option<u64>,
    /// The message.
    pub message: String,
    /// A suggestion how to fix it.
    #[oai(skip_serializing_if_is_none)]
    pub help: Option<String>,
}

impl From<&SourceDiagnostic> for PolicyDiagnostic {
    fn from(problem: &SourceDiagnostic) -> Self {
        let (line, column) = problem.position().unzip();
        Self {
            file: problem.file().to_owned(),
            line: line.map(|line| line as u64),
            column: column.map(|column| column as u64),
            message: problem.message().to_owned(),
            help: problem.help().map(str::to_owned),
        }
    }
}
