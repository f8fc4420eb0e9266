//! Operands in a text that is no valid policy: where they begin and end, as far as brackets and strings tell.

use std::ops::Range;

/// What ends an operand of a boolean operator.
const BOUNDARIES: [&str; 8] = ["&&", "||", ";", ",", "{", "}", " and ", " or "];

/// The index where the operand that is before `at` begins.
pub(super) fn operand_start(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or_default();
    let mut depth = 0_usize;
    let mut start = at;
    for (index, letter) in before.char_indices().rev() {
        match letter {
            ')' | ']' => depth += 1,
            '(' | '[' if depth == 0 => break,
            '(' | '[' => depth -= 1,
            _ => {}
        }
        if depth == 0 && is_boundary(before, index) {
            break;
        }
        start = index;
    }
    // A boundary of several characters was only left with its last one.
    let inside = before.get(start..).unwrap_or_default();
    let trimmed = inside
        .trim_start_matches(['&', '|', ' ', '\n', '\t', '\r'])
        .trim_start_matches("and ")
        .trim_start_matches("or ");
    at - trimmed.len()
}

/// Whether an operand ends before this index.
fn is_boundary(text: &str, at: usize) -> bool {
    let rest = text.get(at..).unwrap_or_default();
    let begin = rest.get(..rest.len().min(5)).unwrap_or(rest);
    let lower = begin.to_ascii_lowercase();
    BOUNDARIES
        .iter()
        .any(|boundary| lower.starts_with(boundary))
}

/// The index where the operand that begins at `at` ends, without blanks after it.
pub(super) fn operand_end(text: &str, at: usize) -> usize {
    let after = text.get(at..).unwrap_or_default();
    let mut depth = 0_usize;
    let mut is_string = false;
    let mut is_escaped = false;
    let mut end = after.len();
    for (index, letter) in after.char_indices() {
        if is_string {
            is_string = is_escaped || letter != '"';
            is_escaped = letter == '\\' && !is_escaped;
            continue;
        }
        match letter {
            '"' => is_string = true,
            '(' | '[' => depth += 1,
            ')' | ']' if depth == 0 => {
                end = index;
                break;
            }
            ')' | ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 && is_boundary(after, index) {
            end = index;
            break;
        }
    }
    at + after.get(..end).unwrap_or_default().trim_end().len()
}

/// The bytes between a bracket at `at` and the one that closes it, both included.
pub(super) fn bracketed(text: &str, at: usize) -> Option<Range<usize>> {
    let mut depth = 0_usize;
    let mut is_string = false;
    for (index, letter) in text.get(at..)?.char_indices() {
        match letter {
            '"' => is_string = !is_string,
            _ if is_string => {}
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at..at + index + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// The word that ends at `at`, blanks before `at` skipped, and where it begins.
pub(super) fn word_before(text: &str, at: usize) -> (usize, &str) {
    let before = text.get(..at).unwrap_or_default().trim_end();
    let word = before
        .rfind(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .map_or(before, |index| {
            let length = before
                .get(index..)
                .and_then(|rest| rest.chars().next())
                .map_or(1, char::len_utf8);
            before.get(index + length..).unwrap_or_default()
        });
    (before.len() - word.len(), word)
}

/// The end of the last text before `at` that is no blank and no comment.
pub(super) fn code_end(text: &str, at: usize) -> usize {
    let mut end = 0;
    let mut start = 0;
    for line in text.get(..at).unwrap_or_default().split_inclusive('\n') {
        let code = match line.find("//") {
            // A quote before may be one of a text with slashes in it.
            Some(comment) if !line.get(..comment).unwrap_or_default().contains('"') => {
                line.get(..comment).unwrap_or_default()
            }
            _ => line,
        };
        if !code.trim().is_empty() {
            end = start + code.trim_end().len();
        }
        start += line.len();
    }
    end
}
