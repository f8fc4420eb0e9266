//! Hints for what Cedar's parser refuses: words and signs of other languages, and what is left out.
//!
//! What is offered has been tried: the file with it has no problem there.

use std::ops::Range;
use std::sync::Arc;

use cedar_policy::PolicySet;
use miette::Diagnostic;

use crate::domain::diagnostic::SourceDiagnostic;
use crate::policy::complexity;

use super::foreign::foreign_language;
use super::rewrite::Replacement;
use super::scope_syntax;
use super::source_scan::{bracketed, code_end, operand_end, operand_start, word_before};
use super::word_syntax;

/// The largest file whose problems get hints that are tried, in bytes: each try parses it.
const MAX_TRIED_SIZE: usize = 64 * 1024;
/// The most problems of one file that get them.
const MAX_TRIED_PROBLEMS: usize = 10;

/// Words of other languages for what Cedar writes with signs or small letters.
const OPERATORS: [(&str, &str); 13] = [
    ("and", "&&"),
    ("or", "||"),
    ("like", "like"),
    ("in", "in"),
    ("is", "is"),
    ("has", "has"),
    ("if", "if"),
    ("then", "then"),
    ("else", "else"),
    ("permit", "permit"),
    ("forbid", "forbid"),
    ("when", "when"),
    ("unless", "unless"),
];
/// Signs of other languages, each with its beginning as far as the parser took it.
const SIGNS: [(&str, &str, &str); 13] = [
    ("<", ">", "!="),
    ("==", "=", "=="),
    ("!=", "=", "!="),
    ("", ":=", "=="),
    ("=", ">", ">="),
    ("=", "<", "<="),
    ("", "=<", "<="),
    ("", "=>", ">="),
    ("", "&", "&&"),
    ("", "|", "||"),
    ("", "--", "//"),
    ("", "#", "//"),
    ("", ":", "::"),
];
/// Quotation marks of other languages and of text processors.
const QUOTES: [char; 10] = ['\'', '`', '“', '”', '„', '«', '»', '‘', '’', '″'];

/// Problems of parsing a file, with what to write instead if that is known.
pub(in crate::policy) fn with_hints(
    text: &Arc<str>,
    problems: Vec<SourceDiagnostic>,
) -> Vec<SourceDiagnostic> {
    if let Some(help) = foreign_language(text) {
        let first = problems.into_iter().next();
        let first = first.map(|problem| problem.with_help(help));
        return first.into_iter().collect();
    }
    let mut hinted = Vec::new();
    for (index, problem) in problems.into_iter().enumerate() {
        let may_try = index < MAX_TRIED_PROBLEMS && text.len() <= MAX_TRIED_SIZE;
        let (Some(span), true) = (problem.span(), may_try) else {
            hinted.push(problem);
            continue;
        };
        let mut tried = candidates(text, &span, problem.message()).into_iter();
        let found = tried.find_map(|edit| Some((remaining(text, &edit)?, edit)));
        match found {
            Some((is_valid, edit)) => {
                let help = match edit.text.as_str() {
                    "" => "leave it out".to_owned(),
                    text => format!("write `{text}`"),
                };
                let problem = problem.with_span(&edit.span).with_help(help);
                if is_valid {
                    // The other problems were consequences of this one.
                    return vec![problem];
                }
                hinted.push(problem);
            }
            None => hinted.push(match advice(text, &span, problem.message()) {
                Some(help) => problem.with_help(help),
                None => problem,
            }),
        }
    }
    hinted
}

/// Whether the file is valid with an edit; `None` if there is a problem at it.
fn remaining(text: &str, edit: &Replacement) -> Option<bool> {
    let mut edited = text.to_owned();
    edited.get(edit.span.clone())?;
    edited.replace_range(edit.span.clone(), &edit.text);
    let edited: Arc<str> = edited.into();
    if complexity::check("", &edited).is_some() {
        return None;
    }
    let Err(errors) = edited.parse::<PolicySet>() else {
        return Some(true);
    };
    let end = edit.span.start + edit.text.len();
    let starts = errors
        .iter()
        .flat_map(|error| error.labels().into_iter().flatten());
    let is_near = |label: miette::LabeledSpan| {
        let (from, to) = (label.offset(), label.offset() + label.len().max(1));
        from <= end && edit.span.start < to
    };
    (!starts.into_iter().any(is_near)).then_some(false)
}

/// How the text at a problem was most likely meant, the most likely first.
fn candidates(text: &str, span: &Range<usize>, message: &str) -> Vec<Replacement> {
    let mut found = Vec::new();
    found.extend(scope_syntax::candidates(text, span, message));
    found.extend(word_syntax::no_value(text, span));
    found.extend(word_syntax::candidates(text, span, message));
    found.extend(semicolon(text, span, message));
    found.extend(condition_brackets(text, span));
    found.extend(negation(text, span));
    found.extend(quotes(text, span));
    found.extend(number(text, span));
    found.extend(list(text, span));
    found.extend(conditional(text, span));
    found.extend(between(text, span));
    found.extend(operator(text, span));
    found
}

fn replace(span: Range<usize>, text: impl Into<String>) -> Replacement {
    Replacement {
        span,
        text: text.into(),
    }
}

/// `AND`, `<>`, `===`, `&`.
fn operator(text: &str, span: &Range<usize>) -> Vec<Replacement> {
    let mut found = Vec::new();
    let rest = text.get(span.start..).unwrap_or_default();
    let before = text.get(..span.start).unwrap_or_default();
    let token = text.get(span.clone()).unwrap_or_default();
    let lower = token.to_ascii_lowercase();
    if let Some((_, written)) = OPERATORS
        .iter()
        .find(|(word, written)| *word == lower && *written != token)
    {
        found.push(replace(span.clone(), *written));
    }
    for (begun, sign, written) in SIGNS {
        if before.ends_with(begun) && rest.starts_with(sign) {
            found.push(replace(
                span.start - begun.len()..span.start + sign.len(),
                written,
            ));
        }
    }
    // Cedar's message about `=` is about the whole comparison.
    let is_single = |index: &usize| {
        let near = |at: Option<usize>| at.and_then(|at| token.as_bytes().get(at)).copied();
        let (left, right) = (near(index.checked_sub(1)), near(index.checked_add(1)));
        !matches!(left, Some(b'=' | b'!' | b'<' | b'>' | b':')) && right != Some(b'=')
    };
    let signs = token
        .match_indices('=')
        .map(|(index, _)| index)
        .filter(is_single);
    found.extend(signs.map(|index| {
        let at = span.start + index;
        replace(at..at + 1, "==")
    }));
    if rest.starts_with(',') {
        found.push(replace(span.start..span.start + 1, "&&"));
    }
    if rest.starts_with(';') {
        found.push(replace(span.start..span.start + 1, ""));
        found.push(replace(span.start..span.start + 1, "&&"));
    }
    found
}

/// A policy without its `;`, before the next one or at the end of the file.
fn semicolon(text: &str, span: &Range<usize>, message: &str) -> Vec<Replacement> {
    let token = text.get(span.clone()).unwrap_or_default();
    let (effect_start, word) = word_before(text, span.start);
    let next = match (token, word) {
        _ if message.contains("unexpected end of input") => text.len(),
        ("@" | "permit" | "forbid", _) => span.start,
        ("(", "permit" | "forbid") => effect_start,
        _ => return Vec::new(),
    };
    let end = code_end(text, next);
    let last = text
        .get(..end)
        .and_then(|code| code.char_indices().next_back());
    let Some((start, letter)) = last else {
        return Vec::new();
    };
    let missing = [";", " };", "};", ");", " });"];
    let candidates = missing
        .iter()
        .map(|missing| replace(start..end, format!("{letter}{missing}")));
    candidates.collect()
}

/// `when (...)`, and `when ...` without brackets.
fn condition_brackets(text: &str, span: &Range<usize>) -> Vec<Replacement> {
    let (_, word) = word_before(text, span.start);
    if !matches!(word, "when" | "unless") {
        return Vec::new();
    }
    let mut found = Vec::new();
    let rest = text.get(span.start..).unwrap_or_default();
    if rest.starts_with('(')
        && let Some(inside) = bracketed(text, span.start)
    {
        let condition = text
            .get(inside.start + 1..inside.end - 1)
            .unwrap_or_default();
        found.push(replace(inside, format!("{{ {} }}", condition.trim())));
    }
    if let Some(length) = rest.find(';') {
        let condition = rest.get(..length).unwrap_or_default();
        found.push(replace(
            span.start..span.start + length,
            format!("{{ {} }}", condition.trim()),
        ));
    }
    found
}

/// `not x`, `x not in y`, `x !in y`.
fn negation(text: &str, span: &Range<usize>) -> Vec<Replacement> {
    let mut found = Vec::new();
    let rest = text.get(span.start..).unwrap_or_default();
    let lower = rest
        .get(..rest.len().min(4))
        .unwrap_or_default()
        .to_ascii_lowercase();
    let infix = if lower.starts_with("not ") {
        Some(4)
    } else if rest.starts_with("!in ") {
        Some(1)
    } else if rest.starts_with("! in ") {
        Some(2)
    } else {
        None
    };
    if let Some(length) = infix {
        let (start, end) = (
            operand_start(text, span.start),
            operand_end(text, span.start + length),
        );
        let left = text.get(start..span.start).unwrap_or_default().trim();
        let right = text
            .get(span.start + length..end)
            .unwrap_or_default()
            .trim();
        if left.ends_with(" is") {
            let end = span.start + length + right.len();
            found.extend(word_syntax::no_value(text, &(span.start + length..end)));
        }
        if !left.is_empty() {
            found.push(replace(start..end, format!("!({left} {right})")));
        }
    }
    let (start, word) = word_before(text, span.start);
    if word.eq_ignore_ascii_case("not") {
        let end = operand_end(text, span.start);
        let operand = text.get(span.start..end).unwrap_or_default();
        found.push(replace(start..end, format!("!({operand})")));
    }
    found
}

/// `'x'`, and the quotation marks of text processors.
fn quotes(text: &str, span: &Range<usize>) -> Option<Replacement> {
    let rest = text.get(span.start..)?;
    let first = rest
        .chars()
        .next()
        .filter(|letter| QUOTES.contains(letter))?;
    let inside = rest.get(first.len_utf8()..)?;
    let end = inside.find(|letter: char| letter == '"' || QUOTES.contains(&letter))?;
    let last = inside.get(end..)?.chars().next()?;
    let value = inside.get(..end).filter(|value| !value.contains('\n'))?;
    let length = first.len_utf8() + end + last.len_utf8();
    Some(replace(
        span.start..span.start + length,
        format!("\"{value}\""),
    ))
}

/// `2.5`, which Cedar writes as a decimal.
fn number(text: &str, span: &Range<usize>) -> Option<Replacement> {
    let before = text.get(..span.start)?.strip_suffix('.')?;
    let whole = before.len()
        - before
            .trim_end_matches(|letter: char| letter.is_ascii_digit())
            .len();
    let digits = text.get(span.clone())?;
    let is_number =
        whole > 0 && !digits.is_empty() && digits.chars().all(|letter| letter.is_ascii_digit());
    let start = span.start - 1 - whole;
    let value = text.get(start..span.end)?;
    is_number.then(|| replace(start..span.end, format!("decimal(\"{value}\")")))
}

/// `in ("x", "y")`: a set has square brackets.
fn list(text: &str, span: &Range<usize>) -> Option<Replacement> {
    let rest = text.get(span.start..)?;
    let open = text
        .get(..span.start)?
        .rfind('(')
        .filter(|_| rest.starts_with(','))?;
    let inside = bracketed(text, open)?;
    let elements = text.get(inside.start + 1..inside.end - 1)?;
    Some(replace(inside, format!("[{elements}]")))
}

/// `x ? y : z`.
fn conditional(text: &str, span: &Range<usize>) -> Option<Replacement> {
    let rest = text.get(span.start..)?.strip_prefix('?')?;
    let start = operand_start(text, span.start);
    let condition = text.get(start..span.start)?.trim();
    let colon = rest.find(" : ").or_else(|| rest.find(':'))?;
    let yes = rest.get(..colon)?.trim();
    let no_start = span.start + 1 + colon + 1;
    let end = operand_end(text, no_start);
    let no = text.get(no_start..end)?.trim_start_matches(':').trim();
    Some(replace(
        start..end,
        format!("if {condition} then {yes} else {no}"),
    ))
}

/// `x between y and z`.
fn between(text: &str, span: &Range<usize>) -> Option<Replacement> {
    let token = text
        .get(span.clone())
        .filter(|token| token.eq_ignore_ascii_case("between"))?;
    let start = operand_start(text, span.start);
    let value = text.get(start..span.start)?.trim();
    let rest = text.get(span.end..)?;
    let middle = rest.to_ascii_lowercase().find(" and ")?;
    let low = rest.get(..middle)?.trim();
    let high_start = span.start + token.len() + middle + " and ".len();
    let end = operand_end(text, high_start);
    let high = text.get(high_start..end)?.trim();
    Some(replace(
        start..end,
        format!("{value} >= {low} && {value} <= {high}"),
    ))
}

/// What to do where no text can be offered.
fn advice(text: &str, span: &Range<usize>, message: &str) -> Option<String> {
    let rest = text.get(span.start..).unwrap_or_default();
    if rest.starts_with("/*") {
        return Some("a comment begins with // and ends with the line".to_owned());
    }
    if rest.starts_with('~') || rest.starts_with("=~") {
        return Some(
            "write `like \"x*\"`: `*` stands for any text, and there are no regular expressions"
                .to_owned(),
        );
    }
    scope_syntax::advice(text, span, message).or_else(|| word_syntax::advice(text, span, message))
}
