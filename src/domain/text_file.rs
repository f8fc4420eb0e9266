//! Text files: decoding what people and programs save as text (UTF-8, with or without a byte order mark).
//!
//! Editors of some systems begin a file with U+FEFF, the byte order mark. It says nothing in UTF-8
//! (RFC 3629 section 6), so it is skipped where a file begins, in every text file that is read and on standard
//! input; anywhere else it is a character like others. Lines and columns are as an editor shows them, and byte
//! offsets count from the first byte after the mark. Lines may end in LF or CRLF; the text keeps them.

use super::text_position::line_at;

/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// The marks of other encodings; the longer ones first, because the shorter ones begin them.
const OTHER_MARKS: [(&[u8], &str); 4] = [
    (b"\xff\xfe\0\0", "UTF-32 (little-endian)"),
    (b"\0\0\xfe\xff", "UTF-32 (big-endian)"),
    (b"\xff\xfe", "UTF-16 (little-endian)"),
    (b"\xfe\xff", "UTF-16 (big-endian)"),
];

/// Why a file is no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextEncodingError {
    /// Its byte order mark is that of another encoding.
    #[error("the file is {encoding}, not UTF-8: save it as UTF-8")]
    OtherEncoding {
        /// The encoding.
        encoding: &'static str,
    },
    /// It is not UTF-8.
    #[error("the file is not UTF-8: line {line}, byte {byte}")]
    NotUtf8 {
        /// The line of the first byte that is not, counted from 1.
        line: usize,
        /// The offset of that byte in the file, counted from 0.
        byte: usize,
    },
}

/// The text of a file, without its byte order mark.
pub fn decode(content: Vec<u8>) -> Result<String, TextEncodingError> {
    let mut others = OTHER_MARKS.iter();
    if let Some((_, encoding)) = others.find(|(mark, _)| content.starts_with(mark)) {
        return Err(TextEncodingError::OtherEncoding { encoding });
    }
    let mut text = String::from_utf8(content).map_err(|error| {
        let byte = error.utf8_error().valid_up_to();
        let line = line_at(error.as_bytes(), byte);
        TextEncodingError::NotUtf8 { line, byte }
    })?;
    if has_byte_order_mark(text.as_bytes()) {
        text.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(text)
}

/// Whether a text begins with a byte order mark.
#[must_use]
pub fn has_byte_order_mark(content: &[u8]) -> bool {
    content.starts_with(BYTE_ORDER_MARK)
}

/// The bytes of a JSON text after its byte order mark, which a parser may ignore (RFC 8259 section 8.1).
#[must_use]
pub fn skip_byte_order_mark(content: &[u8]) -> &[u8] {
    content.strip_prefix(BYTE_ORDER_MARK).unwrap_or(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_byte_order_mark_at_the_start_is_skipped() {
        for (content, text) in [
            ("\u{feff}a\r\nb", "a\r\nb"),
            ("a\u{feff}b", "a\u{feff}b"),
            ("\u{feff}\u{feff}a", "\u{feff}a"),
            ("\u{feff}", ""),
            ("", ""),
        ] {
            assert_eq!(decode(content.into()).as_deref(), Ok(text));
            assert_eq!(skip_byte_order_mark(content.as_bytes()), text.as_bytes());
        }
    }

    #[test]
    fn another_encoding_is_named() {
        for (content, encoding) in [
            (&b"\xff\xfea\0"[..], "UTF-16 (little-endian)"),
            (b"\xfe\xff\0a", "UTF-16 (big-endian)"),
            (b"\xff\xfe\0\0a\0\0\0", "UTF-32 (little-endian)"),
            (b"\0\0\xfe\xff\0\0\0a", "UTF-32 (big-endian)"),
        ] {
            let error = decode(content.into()).unwrap_err();
            assert_eq!(error, TextEncodingError::OtherEncoding { encoding });
        }
        let error = decode(b"a\n\xff".into()).unwrap_err();
        assert_eq!(error.to_string(), "the file is not UTF-8: line 2, byte 2");
    }
}
