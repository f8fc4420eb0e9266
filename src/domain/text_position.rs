//! Positions in a text: byte offsets as lines and columns, both counted from 1.

/// The line of a byte offset; an offset past the end is on the last line.
#[must_use]
pub fn line_at(text: impl AsRef<[u8]>, offset: usize) -> usize {
    let before = text.as_ref().iter().take(offset);
    before.filter(|byte| **byte == b'\n').count() + 1
}

/// The line and the column, in characters, of a byte offset; `None` if it is not one between characters.
#[must_use]
pub fn line_and_column_at(text: &str, offset: usize) -> Option<(usize, usize)> {
    let before = text.get(..offset)?;
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let column = before.get(line_start..)?.chars().count() + 1;
    Some((line_at(before, offset), column))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_become_lines_and_columns() {
        let text = "a\nbü\nc";
        assert_eq!(line_at(text, 0), 1);
        assert_eq!(line_at(text, 2), 2);
        assert_eq!(line_at(text, 99), 3);
        assert_eq!(line_and_column_at(text, 5), Some((2, 3)));
        assert_eq!(line_and_column_at(text, 4), None);
    }
}
