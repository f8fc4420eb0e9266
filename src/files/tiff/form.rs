//! The form of a TIFF: byte order and width of its numbers, as the header says.

/// The length of a `BigTIFF` header in bytes, which is the longer one.
pub(crate) const MAX_TIFF_HEADER_LENGTH: usize = 16;

/// Whether a file that begins with `start` can be a TIFF: TIFF 6.0 section 2 (8 bytes of header)
/// or `BigTIFF` (16 bytes of header), in either byte order.
pub(crate) fn is_tiff(start: &[u8]) -> bool {
    Form::parse(start).is_some()
}

/// Byte order and width of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    is_little_endian: bool,
    is_big_tiff: bool,
}

impl Form {
    /// Parses a header; returns where the first directory is, too.
    pub(super) fn parse(start: &[u8]) -> Option<(Self, u64)> {
        let is_little_endian = match start.get(..2)? {
            b"II" => true,
            b"MM" => false,
            _ => return None,
        };
        let form = |is_big_tiff| Self {
            is_little_endian,
            is_big_tiff,
        };
        let classic = form(false);
        match classic.number(start.get(2..4)?) {
            42 => Some((classic, classic.number(start.get(4..8)?))),
            // The length of an offset, and two bytes that are zero.
            43 if classic.number(start.get(4..6)?) == 8
                && classic.number(start.get(6..8)?) == 0 =>
            {
                let big = form(true);
                Some((big, big.number(start.get(8..16)?)))
            }
            _ => None,
        }
    }

    /// An unsigned number of at most eight bytes.
    pub(super) fn number(self, bytes: &[u8]) -> u64 {
        let add = |number: u64, byte: &u8| (number << 8) | u64::from(*byte);
        if self.is_little_endian {
            bytes.iter().rev().fold(0, add)
        } else {
            bytes.iter().fold(0, add)
        }
    }

    /// The length of the header in bytes.
    pub(super) fn header_length(self) -> u64 {
        if self.is_big_tiff { 16 } else { 8 }
    }

    /// The length of the number of entries of a directory, in bytes.
    pub(super) fn count_length(self) -> u64 {
        if self.is_big_tiff { 8 } else { 2 }
    }

    /// The length of an entry, in bytes.
    pub(super) fn entry_length(self) -> u64 {
        if self.is_big_tiff { 20 } else { 12 }
    }

    /// The length of an offset, and of the values that stand in an entry itself, in bytes.
    pub(super) fn offset_length(self) -> u64 {
        if self.is_big_tiff { 8 } else { 4 }
    }

    /// Parses an entry of a directory; `None` if it is too short.
    pub(super) fn entry(self, bytes: &[u8]) -> Option<Entry> {
        let (count, field) = if self.is_big_tiff {
            (bytes.get(4..12)?, bytes.get(12..20)?)
        } else {
            (bytes.get(4..8)?, bytes.get(8..12)?)
        };
        let count = self.number(count);
        let kind = self.number(bytes.get(2..4)?);
        let length = value_length(kind).map(|length| length.saturating_mul(count));
        Some(Entry {
            tag: self.number(bytes.get(..2)?),
            kind,
            count,
            length: length.unwrap_or_default(),
            inline: field.to_vec(),
            offset: self.number(field),
        })
    }
}

/// One entry of a directory: a tag and its values.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) tag: u64,
    kind: u64,
    /// How many values it has.
    pub(super) count: u64,
    /// The length of all values in bytes; 0 if their type is unknown, which readers skip.
    pub(super) length: u64,
    inline: Vec<u8>,
    offset: u64,
}

impl Entry {
    /// Where the values are, if they do not stand in the entry itself.
    pub(super) fn outside(&self) -> Option<u64> {
        let is_outside = self.length > self.inline.len() as u64;
        is_outside.then_some(self.offset)
    }

    /// The values that stand in the entry itself; empty if they stand elsewhere.
    pub(super) fn inline_values(&self) -> &[u8] {
        let length = usize::try_from(self.length).unwrap_or(usize::MAX);
        self.inline.get(..length).unwrap_or_default()
    }

    /// The length of one value if it is an unsigned number or an offset.
    pub(super) fn number_length(&self) -> Option<usize> {
        match self.kind {
            BYTE => Some(1),
            SHORT => Some(2),
            LONG | IFD => Some(4),
            LONG8 | IFD8 => Some(8),
            _ => None,
        }
    }

    /// The first value, if it stands in the entry and is an unsigned number.
    pub(super) fn first_number(&self, form: Form) -> Option<u64> {
        let value = self.inline_values().get(..self.number_length()?)?;
        Some(form.number(value))
    }
}

const BYTE: u64 = 1;
const SHORT: u64 = 3;
const LONG: u64 = 4;
const IFD: u64 = 13;
const LONG8: u64 = 16;
const IFD8: u64 = 18;

/// The length of one value of a type in bytes: TIFF 6.0 section 2, Technical Note 1 and `BigTIFF`.
fn value_length(kind: u64) -> Option<u64> {
    match kind {
        // BYTE, ASCII, SBYTE, UNDEFINED
        BYTE | 2 | 6 | 7 => Some(1),
        // SHORT, SSHORT
        SHORT | 8 => Some(2),
        // LONG, SLONG, FLOAT, IFD
        LONG | 9 | 11 | IFD => Some(4),
        // RATIONAL, SRATIONAL, DOUBLE, LONG8, SLONG8, IFD8
        5 | 10 | 12 | LONG8 | 17 | IFD8 => Some(8),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_byte_orders_of_tiff_and_big_tiff_are_known() {
        for start in [b"II*\0\x08\0\0\0", b"MM\0*\0\0\0\x08"] {
            assert!(is_tiff(start));
        }
        for start in [
            b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0",
            b"MM\0+\0\x08\0\0\0\0\0\0\0\0\0\x10",
        ] {
            assert!(is_tiff(start));
        }
    }

    #[test]
    fn other_or_truncated_headers_are_not_tiff() {
        let others: [&[u8]; 8] = [
            b"",
            b"II*\0",
            b"II\0*\0\0\0\x08",
            b"MM*\0\0\0\0\x08",
            b"\x89PNG\r\n\x1a\n",
            b"II+\0\x08\0\0\0",
            b"II+\0\x04\0\0\0\x10\0\0\0\0\0\0\0",
            b"II+\0\x08\0\x01\0\x10\0\0\0\0\0\0\0",
        ];
        for start in others {
            assert!(!is_tiff(start), "{start:?}");
        }
    }
}
