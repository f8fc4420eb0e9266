//! Diagnostics: what is wrong at a place of a source text.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{LabeledSpan, NamedSource};
use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::text_position::line_and_column_at;

/// An error or a warning about one place of a file, or about the whole file.
#[derive(Clone, Debug)]
pub struct SourceDiagnostic {
    message: String,
    help: Option<String>,
    labels: Vec<LabeledSpan>,
    source: NamedSource<Arc<str>>,
    is_warning: bool,
}

impl SourceDiagnostic {
    /// An error about a whole file.
    pub fn for_file(file: &str, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
            labels: Vec::new(),
            source: NamedSource::new(file, Arc::from("")),
            is_warning: false,
        }
    }

    /// An error about the bytes `span` of a file whose content is `text`.
    pub fn at_span(
        file: &str,
        text: &Arc<str>,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            labels: vec![LabeledSpan::new(None, span.start, span.len())],
            source: NamedSource::new(file, Arc::clone(text)),
            ..Self::for_file(file, message)
        }
    }

    /// An error of a library about a file whose content is `text`, with its help and its spans.
    pub fn from_miette(
        file: &str,
        text: &Arc<str>,
        error: &dyn miette::Diagnostic,
        message: impl Into<String>,
    ) -> Self {
        Self {
            help: error.help().map(|help| help.to_string()),
            labels: error.labels().map(Iterator::collect).unwrap_or_default(),
            source: NamedSource::new(file, Arc::clone(text)),
            ..Self::for_file(file, message)
        }
    }

    /// Replaces what is wrong.
    #[must_use]
    pub fn with_message(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// Adds how to fix it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Moves it to the bytes `span` of its file.
    #[must_use]
    pub fn with_span(mut self, span: &Range<usize>) -> Self {
        self.labels = vec![LabeledSpan::new(None, span.start, span.len())];
        self
    }

    /// Renames its file.
    #[must_use]
    pub fn with_file(mut self, file: &str) -> Self {
        self.source = NamedSource::new(file, Arc::clone(self.source.inner()));
        self
    }

    /// Makes it a warning.
    #[must_use]
    pub fn into_warning(mut self) -> Self {
        self.is_warning = true;
        self
    }

    /// The name of the file.
    pub fn file(&self) -> &str {
        self.source.name()
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// How to fix it.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// Whether it is a warning; otherwise it is an error.
    pub fn is_warning(&self) -> bool {
        self.is_warning
    }

    /// The pieces of the file that it is about; none if it is about the whole file.
    pub(super) fn labels(&self) -> &[LabeledSpan] {
        &self.labels
    }

    /// The file that it is about.
    pub(super) fn source(&self) -> &NamedSource<Arc<str>> {
        &self.source
    }

    /// The bytes of the file that it is about.
    pub fn span(&self) -> Option<Range<usize>> {
        let label = self.labels.first()?;
        Some(label.offset()..label.offset() + label.len())
    }

    /// The line and the column (in characters) where its span begins, both counted from 1.
    pub fn position(&self) -> Option<(usize, usize)> {
        line_and_column_at(self.source.inner(), self.span()?.start)
    }

    /// The line and the column (in characters) after its span, both counted from 1.
    pub fn end_position(&self) -> Option<(usize, usize)> {
        line_and_column_at(self.source.inner(), self.span()?.end)
    }

    /// File, position and message: equal for diagnostics that say the same.
    pub fn sort_key(&self) -> (String, usize, String) {
        let start = self.span().map_or(0, |span| span.start);
        (self.file().to_owned(), start, self.message.clone())
    }
}

/// Sorts diagnostics by file, position and message.
pub fn sorted(mut diagnostics: Vec<SourceDiagnostic>) -> Vec<SourceDiagnostic> {
    diagnostics.sort_by_cached_key(SourceDiagnostic::sort_key);
    diagnostics
}

impl fmt::Display for SourceDiagnostic {
    /// One line: `file:line:column: message (help)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.file())?;
        if let Some((line, column)) = self.position() {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message.replace('\n', " "))?;
        match &self.help {
            Some(help) => write!(f, " ({})", help.replace('\n', " ")),
            None => Ok(()),
        }
    }
}

impl Serialize for SourceDiagnostic {
    /// What is unknown, such as the position of a diagnostic about a whole file, is null.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let severity = if self.is_warning { "warning" } else { "error" };
        let position = self.position();
        let mut members = serializer.serialize_struct("SourceDiagnostic", 7)?;
        members.serialize_field("severity", severity)?;
        members.serialize_field("file", self.file())?;
        members.serialize_field("line", &position.map(|(line, _)| line))?;
        members.serialize_field("column", &position.map(|(_, column)| column))?;
        members.serialize_field("span", &self.span())?;
        members.serialize_field("message", &self.message)?;
        members.serialize_field("help", &self.help)?;
        members.end()
    }
}

impl std::error::Error for SourceDiagnostic {}
