//! Diagnostics of a catalog file: what is wrong, and where.
//!
//! All diagnostics of a file are reported at once. The text that they are rendered with has its
//! passwords redacted.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::domain::diagnostic::{SourceDiagnostic, sorted};
use crate::domain::diagnostic_report::render_diagnostics;

/// An error at one place of a catalog file, before the file's text is redacted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CatalogDiagnostic {
    /// What is wrong, in one sentence.
    pub(super) message: String,
    /// Where, as bytes of the file.
    pub(super) span: Range<usize>,
    /// How to fix it.
    pub(super) help: Option<String>,
}

impl CatalogDiagnostic {
    /// An error at the bytes `span`.
    pub(super) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            span,
            help: None,
        }
    }

    /// Adds how to fix it.
    #[must_use]
    pub(super) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// All errors of one catalog file, in the order of its lines.
#[derive(Clone, Debug)]
pub struct CatalogDiagnostics {
    file: String,
    diagnostics: Vec<SourceDiagnostic>,
}

impl CatalogDiagnostics {
    /// Collects the errors of a file whose text with redacted passwords is `text`.
    pub(super) fn new(file: &str, text: &Arc<str>, diagnostics: Vec<CatalogDiagnostic>) -> Self {
        let diagnostics = diagnostics.into_iter().map(|diagnostic| {
            let CatalogDiagnostic {
                message,
                span,
                help,
            } = diagnostic;
            let located = SourceDiagnostic::at_span(file, text, span, message);
            help.into_iter().fold(located, SourceDiagnostic::with_help)
        });
        Self {
            file: file.to_owned(),
            diagnostics: sorted(diagnostics.collect()),
        }
    }

    /// The errors, in the order of their lines.
    #[cfg(test)]
    pub(super) fn diagnostics(&self) -> &[SourceDiagnostic] {
        &self.diagnostics
    }

    /// Renders every error with its lines for a terminal.
    pub fn render(&self, is_coloured: bool) -> String {
        render_diagnostics(&self.diagnostics, is_coloured)
    }
}

impl fmt::Display for CatalogDiagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.diagnostics.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        write!(f, "{} has {count} {noun}", self.file)?;
        if let Some(first) = self.diagnostics.first() {
            let line = first.position().map_or(1, |(line, _)| line);
            write!(f, ", line {line}: {}", first.message())?;
        }
        Ok(())
    }
}

impl std::error::Error for CatalogDiagnostics {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diagnostics_are_rendered_in_the_order_of_their_lines_with_help() {
        let text: Arc<str> = "one\ntwo\nthree\n".into();
        let diagnostics = CatalogDiagnostics::new(
            "file.toml",
            &text,
            vec![
                CatalogDiagnostic::new(8..13, "last"),
                CatalogDiagnostic::new(4..7, "first").with_help("do it so"),
            ],
        );
        let rendered = diagnostics.render(false);
        assert!(rendered.find("first").unwrap() < rendered.find("last").unwrap());
        assert!(rendered.contains("file.toml:2:1"), "{rendered}");
        assert!(rendered.contains("do it so"), "{rendered}");
        assert!(!rendered.contains('\u{1b}'), "{rendered}");
        assert!(diagnostics.render(true).contains('\u{1b}'));
        assert_eq!(
            diagnostics.to_string(),
            "file.toml has 2 problems, line 2: first"
        );
    }
}
