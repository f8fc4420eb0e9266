//! Byte spans of JSON values and of JSON errors in the text they were parsed from.

use std::ops::Range;

use serde_json::value::RawValue;

/// The bytes of a value that borrows from `text`.
pub(super) fn value_span(value: &RawValue, text: &str) -> Range<usize> {
    // The distance of the addresses is the offset.
    let start = (value.get().as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    start..start + value.get().len()
}

/// The first byte of a value that borrows from `text`.
pub(super) fn value_start(value: &RawValue, text: &str) -> Range<usize> {
    let start = value_span(value, text).start;
    start..start + 1
}

/// The byte at which parsing of `text` stopped.
pub(super) fn error_span(error: &serde_json::Error, text: &str) -> Range<usize> {
    let line_start: usize = text
        .split_inclusive('\n')
        .take(error.line().saturating_sub(1))
        .map(str::len)
        .sum();
    let at = (line_start + error.column().saturating_sub(1)).min(text.len());
    // A span must not split a character.
    let start = text.floor_char_boundary(at);
    let end = text.ceil_char_boundary((start + 1).min(text.len()));
    start..end
}

/// The message of an error without "at line 3 column 5", which a diagnostic has of its own.
pub(super) fn message_without_position(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    message
        .strip_suffix(&position)
        .unwrap_or(&message)
        .to_owned()
}
