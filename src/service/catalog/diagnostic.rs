//! Problems of a catalog file: what is wrong, and where.
//!
//! All of a file's problems are told at once, each with its line. Passwords in the file are
//! blotted out before any line is shown. This module refuses to know what a catalog is.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource};

/// How many problems of one file are told; the rest are counted.
pub const MOST_PROBLEMS: usize = 50;

/// Something wrong at one place of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, in one sentence.
    pub message: String,
    /// Where, as bytes of the file.
    pub at: Range<usize>,
    /// What would put it right.
    pub help: Option<String>,
}

impl Problem {
    /// A problem without advice.
    pub fn new(at: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            at,
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
pub struct Problems {
    source: NamedSource<Arc<str>>,
    found: Vec<Problem>,
}

impl Problems {
    /// Collects the problems of the file `name`, whose text is `shown` with its secrets blotted out.
    pub fn new(name: &str, shown: Arc<str>, mut found: Vec<Problem>) -> Self {
        found.sort_by_key(|problem| problem.at.start);
        Self {
            source: NamedSource::new(name, shown),
            found,
        }
    }

    /// The problems, first line first.
    pub fn found(&self) -> &[Problem] {
        &self.found
    }

    /// The one-based line on which a problem begins.
    pub fn line_of(&self, problem: &Problem) -> usize {
        let before = self.source.inner().as_bytes().iter().take(problem.at.start);
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
        for problem in self.found.iter().take(MOST_PROBLEMS) {
            let shown = Shown {
                problem,
                source: &self.source,
            };
            // Writing to a String cannot fail; should it, the sentence alone has to do.
            if drawing.render_report(&mut drawn, &shown).is_err() {
                drawn.push_str(&problem.message);
            }
            drawn.push('\n');
        }
        let untold = self.found.len().saturating_sub(MOST_PROBLEMS);
        if untold > 0 {
            drawn.extend(["... and ", &untold.to_string(), " more\n"]);
        }
        drawn
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.found.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        write!(f, "{} has {count} {noun}", self.source.name())?;
        if let Some(first) = self.found.first() {
            write!(f, ", line {}: {}", self.line_of(first), first.message)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.found).finish()
    }
}

impl std::error::Error for Problems {}

/// One problem beside its source, as miette draws it.
#[derive(Debug)]
struct Shown<'a> {
    problem: &'a Problem,
    source: &'a NamedSource<Arc<str>>,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn help<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        let help = self.problem.help.as_ref()?;
        Some(Box::new(help))
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        Some(self.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let here = LabeledSpan::new_with_span(Some(String::from("here")), self.problem.at.clone());
        Some(Box::new(std::iter::once(here)))
    }
}

/// The closest of `known` to a misspelt `text`, as advice.
pub fn did_you_mean<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let closest = known
        .into_iter()
        .map(|word| (strsim::damerau_levenshtein(text, word), word))
        .min()?;
    let (distance, word) = closest;
    let is_near = distance <= 2 && distance < word.chars().count();
    is_near.then(|| format!("did you mean {word:?}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_offered_and_far_ones_are_not() {
        let known = ["public", "private"];
        assert_eq!(
            did_you_mean("pubic", known).unwrap(),
            r#"did you mean "public"?"#
        );
        assert_eq!(did_you_mean("secret", known), None);
    }

    #[test]
    fn problems_are_drawn_in_the_order_of_their_lines_with_advice() {
        let text: Arc<str> = "one\ntwo\nthree\n".into();
        let problems = Problems::new(
            "file.toml",
            text,
            vec![
                Problem::new(8..13, "last"),
                Problem::new(4..7, "first").with_help("do it so"),
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
    fn a_flood_of_problems_is_counted_not_told() {
        let flood = (0..MOST_PROBLEMS + 7).map(|_| Problem::new(0..1, "again"));
        let drawn = Problems::new("f", "x".into(), flood.collect()).render(false);
        assert_eq!(drawn.matches("again").count(), MOST_PROBLEMS);
        assert!(drawn.contains("and 7 more"));
    }
}
