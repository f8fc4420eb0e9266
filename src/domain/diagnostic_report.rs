//! Reports of diagnostics, for a terminal and for a log: one entry for each cause.
//!
//! One edit of a schema makes every case fail for the same reason, and a list of links may name two hundred
//! datasets that nobody has. So diagnostics whose messages differ only in what they name (the number of a case, what
//! is in quotes) are one entry: the first of them whole, the next with their places, and the number of the rest.
//! Nothing is lost for programs: the list itself stays complete.

use std::collections::HashMap;
use std::fmt::{self, Write as _};

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, Severity, SourceCode};
use textwrap::WordSplitter;

use super::diagnostic::SourceDiagnostic;

/// The width of a rendered diagnostic, in columns.
const RENDERED_WIDTH: usize = 100;
/// The most entries that are rendered: nobody reads more, and each costs a scan of its file.
const MAX_RENDERED: usize = 100;
/// The most diagnostics of one cause that are listed one by one.
const MAX_UNGROUPED: usize = 3;
/// The most further diagnostics of one cause whose places are told.
const MAX_PLACES: usize = 5;
/// The longest line of source that is shown, in bytes: miette cannot show columns beyond 65,535, and nobody reads them.
const MAX_LINE_LENGTH: usize = 2_000;
/// How much of a longer line is shown before and after the place, in characters.
const EXCERPT_LENGTH: usize = 40;

/// Diagnostics of one cause; at least one.
struct DiagnosticGroup<'a> {
    first: &'a SourceDiagnostic,
    others: Vec<&'a SourceDiagnostic>,
}

/// Renders diagnostics for a terminal, one entry for each cause with its piece of source; of very many the first
/// ones, and how many more there are.
pub fn render_diagnostics(diagnostics: &[SourceDiagnostic], is_coloured: bool) -> String {
    let theme = if is_coloured {
        GraphicalTheme::unicode()
    } else {
        GraphicalTheme::unicode_nocolor()
    };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(RENDERED_WIDTH)
        // An id that is broken at its hyphens cannot be copied.
        .with_break_words(false)
        .with_word_splitter(WordSplitter::NoHyphenation)
        .with_links(false);
    let groups = group(diagnostics);
    let mut rendered = String::new();
    for DiagnosticGroup { first, others } in groups.iter().take(MAX_RENDERED) {
        let mut report = String::new();
        match handler.render_report(&mut report, &MietteReport::new(first)) {
            Ok(()) => rendered.push_str(&report),
            // A span that does not fit its source must not hide the message.
            Err(fmt::Error) => rendered.extend([&first.to_string(), "\n"]),
        }
        if !others.is_empty() {
            rendered.extend(["  and ", &others.len().to_string(), " more like it:\n"]);
        }
        for line in other_lines(first, others) {
            rendered.extend(["    ", &line, "\n"]);
        }
    }
    let left_off = groups.iter().skip(MAX_RENDERED);
    let omitted: usize = left_off.map(|group| group.others.len() + 1).sum();
    if omitted > 0 {
        rendered.extend(["and ", &omitted.to_string(), " more\n"]);
    }
    if groups.len() < diagnostics.len() {
        let (all, kinds) = (diagnostics.len(), groups.len());
        let noun = if kinds == 1 { "kind" } else { "kinds" };
        writeln!(rendered, "{all} in all, of {kinds} {noun}").ok();
    }
    rendered
}

/// Diagnostics for a log, a line for each cause.
pub fn diagnostic_lines(diagnostics: &[SourceDiagnostic]) -> Vec<String> {
    let line = |DiagnosticGroup { first, others }: &DiagnosticGroup<'_>| {
        let line = first.to_string();
        if others.is_empty() {
            return line;
        }
        let places = others.iter().take(MAX_PLACES).map(|other| place(other));
        let mut places: Vec<String> = places.collect();
        if let Some(more @ 1..) = others.len().checked_sub(MAX_PLACES) {
            places.push(format!("and {more} more"));
        }
        let (count, places) = (others.len(), places.join(", "));
        format!("{line}; and {count} more like it: {places}")
    };
    group(diagnostics).iter().map(line).collect()
}

/// Groups diagnostics by their causes, in the order of the first of each; a few of one cause stay apart.
fn group(diagnostics: &[SourceDiagnostic]) -> Vec<DiagnosticGroup<'_>> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    let causes: Vec<String> = diagnostics.iter().map(cause).collect();
    for cause in &causes {
        *counts.entry(cause.clone()).or_default() += 1;
    }
    let mut groups: Vec<DiagnosticGroup<'_>> = Vec::new();
    let mut group_of_cause: HashMap<&str, usize> = HashMap::new();
    for (diagnostic, cause) in diagnostics.iter().zip(&causes) {
        let is_grouped = counts
            .get(cause)
            .is_some_and(|count| *count > MAX_UNGROUPED);
        let known = group_of_cause.get(cause.as_str()).filter(|_| is_grouped);
        if let Some(group) = known.and_then(|index| groups.get_mut(*index)) {
            group.others.push(diagnostic);
        } else {
            group_of_cause.insert(cause, groups.len());
            groups.push(DiagnosticGroup {
                first: diagnostic,
                others: Vec::new(),
            });
        }
    }
    groups
}

/// What is wrong, without what it is wrong of.
fn cause(diagnostic: &SourceDiagnostic) -> String {
    let help = diagnostic.help().unwrap_or_default();
    let severity = diagnostic.is_warning();
    let (message, help) = (
        without_names(without_case(diagnostic.message())),
        without_names(help),
    );
    format!("{severity}\n{message}\n{help}")
}

/// A message without the number of its case.
fn without_case(message: &str) -> &str {
    let after_word = message.strip_prefix("case ");
    let numbered = after_word.and_then(|rest| rest.split_once(": "));
    match numbered {
        Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => message,
    }
}

/// A text with what is in quotes left out; a quote that is not closed is a character like others.
fn without_names(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['"', '`']) {
        let (before, quoted) = rest.split_at(at);
        kept.push_str(before);
        let mut inside = quoted.chars();
        let quote = inside.next();
        let inside = inside.as_str();
        // Texts with quotes in them are in backticks: `User::"ada"`.
        if let Some((_, after)) = quote.and_then(|quote| inside.split_once(quote)) {
            kept.push('…');
            rest = after;
        } else {
            kept.push_str(quoted);
            rest = "";
        }
    }
    kept.push_str(rest);
    kept
}

/// A line for each of the other diagnostics, as far as they are listed: places alone if the messages say the same.
fn other_lines(first: &SourceDiagnostic, others: &[&SourceDiagnostic]) -> Vec<String> {
    let message = |diagnostic: &SourceDiagnostic| {
        without_case(diagnostic.message())
            .split("::\"")
            .map(|part| {
                part.split_once('"')
                    .map_or(part, |(_, after)| after)
                    .to_owned()
            })
            .collect::<Vec<_>>()
    };
    let of_first = message(first);
    let are_same = others.iter().all(|other| message(other) == of_first);
    let shown = others.iter().take(MAX_PLACES);
    let mut lines: Vec<String> = if are_same {
        let places: Vec<String> = shown.map(|other| place(other)).collect();
        vec![places.join(", ")]
    } else {
        let line = |other: &&SourceDiagnostic| {
            format!("{}: {}", place(other), other.message().replace('\n', " "))
        };
        shown.map(line).collect()
    };
    if let Some(more @ 1..) = others.len().checked_sub(MAX_PLACES) {
        lines.push(format!("and {more} more"));
    }
    if others.is_empty() {
        lines.clear();
    }
    lines
}

/// `file:line:column`, as far as it is known.
fn place(diagnostic: &SourceDiagnostic) -> String {
    let file = diagnostic.file();
    match diagnostic.position() {
        Some((line, column)) => format!("{file}:{line}:{column}"),
        None => file.to_owned(),
    }
}

/// A diagnostic as miette renders it: the piece of source shows the position, so the message does not.
#[derive(Debug)]
struct MietteReport<'a> {
    diagnostic: &'a SourceDiagnostic,
    /// What is around the place, if its lines are too long to be shown.
    excerpt: Option<String>,
}

impl<'a> MietteReport<'a> {
    fn new(diagnostic: &'a SourceDiagnostic) -> Self {
        Self {
            diagnostic,
            excerpt: excerpt(diagnostic),
        }
    }
}

/// What is around the place of a diagnostic in a file with very long lines there; `None` if the lines can be shown.
fn excerpt(diagnostic: &SourceDiagnostic) -> Option<String> {
    let text = diagnostic.source().inner();
    let has_long_line = |label: &LabeledSpan| {
        let end = (label.offset() + label.len()).min(text.len());
        let (before, rest) = (text.get(..label.offset())?, text.get(end..)?);
        // miette shows the line before and the line after, too.
        let start = before.rmatch_indices('\n').nth(1).map_or(0, |(at, _)| at);
        let second = rest.match_indices('\n').nth(1);
        let end = second.map_or(text.len(), |(at, _)| end + at);
        let mut lines = text.get(start..end)?.split('\n');
        lines.any(|line| line.len() > MAX_LINE_LENGTH).then_some(())
    };
    diagnostic.labels().iter().find_map(has_long_line)?;
    let at = diagnostic.span()?.start;
    let (before, after) = (text.get(..at)?, text.get(at..)?);
    let line_before = before.rsplit('\n').next().unwrap_or_default();
    let line_after = after.split('\n').next().unwrap_or_default();
    let kept = line_before.char_indices().rev().take(EXCERPT_LENGTH).last();
    let kept = line_before.get(kept.map_or(line_before.len(), |(at, _)| at)..)?;
    let next: String = line_after.chars().take(EXCERPT_LENGTH).collect();
    Some(format!("{kept}{next}"))
}

impl fmt::Display for MietteReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.diagnostic.message();
        match &self.excerpt {
            Some(excerpt) => {
                let place = place(self.diagnostic);
                write!(f, "{place}: {message}, at the middle of `{excerpt}`")
            }
            None if self.diagnostic.labels().is_empty() => {
                write!(f, "{}: {message}", self.diagnostic.file())
            }
            None => f.write_str(message),
        }
    }
}

impl std::error::Error for MietteReport<'_> {}

impl miette::Diagnostic for MietteReport<'_> {
    fn severity(&self) -> Option<Severity> {
        Some(if self.diagnostic.is_warning() {
            Severity::Warning
        } else {
            Severity::Error
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.diagnostic.help()?;
        Some(Box::new(help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        (!self.diagnostic.labels().is_empty() && self.excerpt.is_none())
            .then(|| self.diagnostic.source() as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let shown = self
            .diagnostic
            .labels()
            .iter()
            .filter(|_| self.excerpt.is_none());
        Some(Box::new(shown.cloned()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_flood_of_diagnostics_is_counted_not_listed() {
        let flood: Vec<_> = (0..MAX_RENDERED + 7)
            .map(|number| SourceDiagnostic::for_file("f", format!("again {number}")))
            .collect();
        let rendered = render_diagnostics(&flood, false);
        assert_eq!(rendered.matches("again").count(), MAX_RENDERED);
        assert!(rendered.contains("and 7 more"));
    }

    #[test]
    fn a_place_in_a_very_long_line_is_told_with_what_is_around_it() {
        let part = "{\"uid\": \"ä\"}, ";
        for (before, after) in [(0, 9_000), (9_000, 0), (9_000, 9_000), (5, 5)] {
            let text = format!(
                "one\n{}here{}\ntwo\n",
                part.repeat(before),
                part.repeat(after)
            );
            let at = text.find("here").unwrap();
            let text: Arc<str> = text.into();
            let told = SourceDiagnostic::at_span("a.json", &text, at..at + 4, "it is wrong");
            let rendered = render_diagnostics(&[told.with_help("mend it")], false);
            assert!(
                rendered.contains("it is wrong") && rendered.contains("here"),
                "{rendered}"
            );
            assert!(
                rendered.contains("mend it") && rendered.contains("a.json:2:"),
                "{rendered}"
            );
            assert!(rendered.len() < 4_000, "{rendered}");
        }
        // So is one in the line before or after.
        let text: Arc<str> = format!("{}\nhere\n", part.repeat(9_000)).into();
        let at = text.find("here").unwrap();
        let told = SourceDiagnostic::at_span("a.json", &text, at..at + 4, "it is wrong");
        assert!(render_diagnostics(&[told], false).len() < 4_000);
    }

    #[test]
    fn diagnostics_of_one_cause_are_one_entry() {
        let text: Arc<str> = "one\ntwo\n".repeat(40).into();
        let at = |line: usize, message: String| {
            SourceDiagnostic::at_span("a.json", &text, line * 4..line * 4 + 3, message)
        };
        let of_cases = (0..62).map(|case| {
            let uid = format!("Dataset::\"{case}\"");
            at(
                case,
                format!("case {case}: `{uid}` lacks `licence`, and {uid} should not"),
            )
        });
        let of_links = (0..9).map(|id| at(id, format!("the catalog has no dataset \"{id}\"")));
        let apart = [
            "\"a\" is odd",
            "\"b\" is odd",
            "an open \" quote",
            "an open \" end",
        ];
        let apart = apart.map(|message| at(70, message.to_owned()));
        let all: Vec<_> = of_cases.chain(of_links).chain(apart).collect();
        let rendered = render_diagnostics(&all, false);
        let lines = diagnostic_lines(&all).join("\n");
        insta::assert_snapshot!([rendered, lines].join("=====\n"));
    }

    #[test]
    fn what_is_named_does_not_make_a_cause() {
        for (text, kept) in [
            ("a", "a"),
            ("in `a`, no \"b\" and `c`", "in …, no … and …"),
            ("`User::\"ada\"` has \"", "… has \""),
            ("\"\"``", "……"),
            ("ä `ö", "ä `ö"),
        ] {
            assert_eq!(without_names(text), kept);
        }
        assert_eq!(without_case("case 12: x: y"), "x: y");
        assert_eq!(without_case("case of: x"), "case of: x");
    }
}
