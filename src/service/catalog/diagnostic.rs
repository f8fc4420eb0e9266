//! Problems of a catalog file: what is wrong, and where.
//!
//! All of a file's problems are told at once, each with its line. Passwords in the file are
//! blotted out before any line is shown. This module refuses to know what a catalog is.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource};

/// How many problems of one file are told; the rest are counted.
pub const MAX_RENDERED_DIAGNOSTICS: usize = 50;

/// Something wrong at one place of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogDiagnostic {
    /// What is wrong, in one sentence.
    pub message: String,
    /// Where, as bytes of the file.
    pub span: Range<usize>,
    /// What would put it right.
    pub help: Option<String>,
}

impl CatalogDiagnostic {
    /// A problem without advice.
    pub fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            span,
            help: None,
        }
    }

    /// Adds advice.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// Everything that is wrong with one file, in the order of its lines.
#[derive(Clone)]
pub struct CatalogDiagnostics {
    source: NamedSource<Arc<str>>,
    diagnostics: Vec<CatalogDiagnostic>,
}

impl CatalogDiagnostics {
    /// Collects the problems of the file `name`, whose text is `shown` with its secrets blotted out.
    pub fn new(name: &str, shown: Arc<str>, mut diagnostics: Vec<CatalogDiagnostic>) -> Self {
        diagnostics.sort_by_key(|problem| problem.span.start);
        Self {
            source: NamedSource::new(name, shown),
            diagnostics,
        }
    }

    /// The problems, first line first.
    pub fn diagnostics(&self) -> &[CatalogDiagnostic] {
        &self.diagnostics
    }

    /// The one-based line on which a problem begins.
    pub fn line_of(&self, problem: &CatalogDiagnostic) -> usize {
        let before = self
            .source
            .inner()
            .as_bytes()
            .iter()
            .take(problem.span.start);
        1 + before.filter(|byte| **byte == b'\n').count()
    }

    /// Draws every problem with its lines for a terminal, in colour or plain.
    pub fn render(&self, is_coloured: bool) -> String {
        let theme = if is_coloured {
            GraphicalTheme::unicode()
        } else {
            GraphicalTheme::unicode_nocolor()
        };
        let drawing = GraphicalReportHandler::new_themed(theme).with_links(false);
        let mut drawn = String::new();
        for problem in self.diagnostics.iter().take(MAX_RENDERED_DIAGNOSTICS) {
            let shown = SourceDiagnostic {
                problem,
                source: &self.source,
            };
            // Writing to a String cannot fail; should it, the sentence alone has to do.
            if drawing.render_report(&mut drawn, &shown).is_err() {
                drawn.push_str(&problem.message);
            }
            drawn.push('\n');
        }
        let untold = self
            .diagnostics
            .len()
            .saturating_sub(MAX_RENDERED_DIAGNOSTICS);
        if untold > 0 {
            drawn.extend(["... and ", &untold.to_string(), " more\n"]);
        }
        drawn
    }
}

impl fmt::Display for CatalogDiagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.diagnostics.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        write!(f, "{} has {count} {noun}", self.source.name())?;
        if let Some(first) = self.diagnostics.first() {
            write!(f, ", line {}: {}", self.line_of(first), first.message)?;
        }
        Ok(())
    }
}

impl fmt::Debug for CatalogDiagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.diagnostics).finish()
    }
}

impl std::error::Error for CatalogDiagnostics {}

/// One problem beside its source, as miette draws it.
#[derive(Debug)]
struct SourceDiagnostic<'a> {
    problem: &'a CatalogDiagnostic,
    source: &'a NamedSource<Arc<str>>,
}

impl fmt::Display for SourceDiagnostic<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)
    }
}

impl std::error::Error for SourceDiagnostic<'_> {}

impl Diagnostic for SourceDiagnostic<'_> {
    fn help<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        let help = self.problem.help.as_ref()?;
        Some(Box::new(help))
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        Some(self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let here =
            LabeledSpan::new_with_span(Some(String::from("here")), self.problem.span.clone());
        Some(Box::new(std::iter::once(here)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diagnostics_are_rendered_in_the_order_of_their_lines_with_advice() {
        let text: Arc<str> = "one\ntwo\nthree\n".into();
        let problems = CatalogDiagnostics::new(
            "file.toml",
            text,
            vec![
                CatalogDiagnostic::new(8..13, "last"),
                CatalogDiagnostic::new(4..7, "first").with_help("do it so"),
            ],
        );
        let drawn = problems.render(false);
        assert!(drawn.find("first").unwrap() < drawn.find("last").unwrap());
        assert!(drawn.contains("file.toml:2:1"), "{drawn}");
        assert!(drawn.contains("do it so"), "{drawn}");
        assert!(!drawn.contains('\u{1b}'), "{drawn}");
        assert!(problems.render(true).contains('\u{1b}'));
        assert_eq!(
            problems.to_string(),
            "file.toml has 2 problems, line 2: first"
        );
    }

    #[test]
    fn a_flood_of_diagnostics_is_counted_not_listed() {
        let flood =
            (0..MAX_RENDERED_DIAGNOSTICS + 7).map(|_| CatalogDiagnostic::new(0..1, "again"));
        let drawn = CatalogDiagnostics::new("f", "x".into(), flood.collect()).render(false);
        assert_eq!(drawn.matches("again").count(), MAX_RENDERED_DIAGNOSTICS);
        assert!(drawn.contains("and 7 more"));
    }
}
