//! Problems of a policy folder: what is wrong, in which file, on which line, and what would help.
//!
//! This module refuses to know how problems are found; it carries them and shows them, to people
//! at a terminal and to logs.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, Severity,
    SourceCode,
};
use serde::ser::{Serialize, SerializeStruct, Serializer};

/// The widest line of a rendered report, in columns.
const REPORT_WIDTH: usize = 100;

/// The most problems that are rendered: a person reads no more, and each takes a walk through its file.
const MAX_RENDERED: usize = 100;

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

/// Renders problems for a person at a terminal, each with its piece of source; of very many the
/// first, and how many more there are.
#[must_use]
pub fn render_diagnostics(problems: &[BundleDiagnostic], is_coloured: bool) -> String {
    let theme = if is_coloured {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(REPORT_WIDTH)
        .with_links(false);
    let left_off = problems.len().saturating_sub(MAX_RENDERED);
    let rest = (left_off > 0).then(|| format!("and {left_off} more\n"));
    problems
        .iter()
        .take(MAX_RENDERED)
        .map(|problem| {
            let mut report = String::new();
            match handler.render_report(&mut report, &DiagnosticReport(problem)) {
                Ok(()) => report,
                // A span that does not fit its source still must not hide the message.
                Err(fmt::Error) => format!("{problem}\n"),
            }
        })
        .chain(rest)
        .collect()
}

/// One thing that is wrong, or worth a warning, in one file of a policy folder.
#[derive(Clone, Debug)]
pub struct BundleDiagnostic {
    message: String,
    help: Option<String>,
    labels: Vec<LabeledSpan>,
    source: NamedSource<Arc<str>>,
    is_warning: bool,
}

impl BundleDiagnostic {
    /// A problem of a whole file.
    pub(super) fn for_file(file: &str, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
            labels: Vec::new(),
            source: NamedSource::new(file, Arc::from("")),
            is_warning: false,
        }
    }

    /// A problem of the bytes `span` of a file whose content is `text`.
    pub(super) fn at_span(
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

    /// What Cedar says about a file whose content is `text`: its message with every cause, its
    /// help and its spans.
    pub(super) fn from_cedar(file: &str, text: &Arc<str>, said: &dyn Diagnostic) -> Self {
        Self {
            help: said.help().map(|help| help.to_string()),
            labels: said.labels().map(Iterator::collect).unwrap_or_default(),
            source: NamedSource::new(file, Arc::clone(text)),
            ..Self::for_file(file, message_with_causes(said))
        }
    }

    /// The same problem with advice.
    #[must_use]
    pub(super) fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same problem at the bytes `span` of its file.
    #[must_use]
    pub(super) fn with_span(mut self, span: &Range<usize>) -> Self {
        self.labels = vec![LabeledSpan::new(None, span.start, span.len())];
        self
    }

    /// The same problem as a warning, which does not refuse the bundle.
    #[must_use]
    pub(super) fn into_warning(mut self) -> Self {
        self.is_warning = true;
        self
    }

    /// Whether it is worth a look only, and does not refuse the bundle.
    #[must_use]
    pub fn is_warning(&self) -> bool {
        self.is_warning
    }

    /// The file, as the reader of the message would name it.
    #[must_use]
    pub fn file(&self) -> &str {
        self.source.name()
    }

    /// What is wrong.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What would help, such as Cedar's "did you mean".
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// The first byte offset and the length of what is wrong.
    #[must_use]
    pub fn span(&self) -> Option<Range<usize>> {
        let label = self.labels.first()?;
        Some(label.offset()..label.offset() + label.len())
    }

    /// The line and the column (in characters) where it is wrong, both counted from 1.
    #[must_use]
    pub fn position(&self) -> Option<(usize, usize)> {
        let before = self.source.inner().get(..self.span()?.start)?;
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.get(line_start..)?.chars().count() + 1;
        Some((line, column))
    }

    /// Where a reader meets it; what has the same order is the same problem.
    pub(super) fn sort_key(&self) -> (String, usize, String) {
        let start = self.span().map_or(0, |span| span.start);
        (self.file().to_owned(), start, self.message.clone())
    }
}

/// Puts problems in the order a reader meets them: by file, then by place; always the same.
pub(super) fn sorted(mut problems: Vec<BundleDiagnostic>) -> Vec<BundleDiagnostic> {
    problems.sort_by_cached_key(BundleDiagnostic::sort_key);
    problems
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

impl fmt::Display for BundleDiagnostic {
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

impl Serialize for BundleDiagnostic {
    /// For programs: what is not known, the place of a whole file for one, is null.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let severity = if self.is_warning { "warning" } else { "error" };
        let position = self.position();
        let mut members = serializer.serialize_struct("Problem", 7)?;
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

impl std::error::Error for BundleDiagnostic {}

/// A problem as miette shows it: the place is told by the piece of source, not by the message.
#[derive(Debug)]
struct DiagnosticReport<'a>(&'a BundleDiagnostic);

impl fmt::Display for DiagnosticReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.labels.is_empty() {
            write!(f, "{}: ", self.0.file())?;
        }
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for DiagnosticReport<'_> {}

impl Diagnostic for DiagnosticReport<'_> {
    fn severity(&self) -> Option<Severity> {
        Some(if self.0.is_warning {
            Severity::Warning
        } else {
            Severity::Error
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.0.help.as_ref()?;
        Some(Box::new(help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        (!self.0.labels.is_empty()).then_some(&self.0.source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.0.labels.iter().cloned()))
    }
}
