//! The layout that GDAL's COG driver writes: structural metadata after the header, and marks around each block.
//!
//! Source: "Header ghost area" and "Tile data leader and trailer" of GDAL's documentation of its COG driver.

use super::form::Form;

/// How the structural metadata begin; their length follows, in six digits.
const PREFIX: &str = "GDAL_STRUCTURAL_METADATA_SIZE=";
/// The length of a mark in bytes.
pub(super) const MARK_LENGTH: u64 = 4;

/// What the structural metadata say about blocks; the default is that of files without them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CogLayout {
    has_leader: bool,
    has_trailer: bool,
}

impl CogLayout {
    /// Reads the structural metadata, if the file begins with any that still hold.
    pub(super) fn parse(start: &[u8], form: Form) -> Self {
        let header = usize::try_from(form.header_length()).unwrap_or(usize::MAX);
        let after = start.get(header..).unwrap_or_default();
        Self::parse_metadata(after).unwrap_or_default()
    }

    fn parse_metadata(after: &[u8]) -> Option<Self> {
        let after = after.strip_prefix(PREFIX.as_bytes())?;
        let size: usize = str::from_utf8(after.get(..6)?).ok()?.parse().ok()?;
        let line_end = after.iter().position(|byte| *byte == b'\n')? + 1;
        let metadata = after.get(line_end..)?;
        let metadata = metadata.get(..size).unwrap_or(metadata);
        let says = |line: &[u8]| metadata.split(|byte| *byte == b'\n').any(|it| it == line);
        // A program that changed the file without keeping the layout says so.
        says(b"KNOWN_INCOMPATIBLE_EDITION=NO").then(|| Self {
            has_leader: says(b"BLOCK_LEADER=SIZE_AS_UINT4"),
            has_trailer: says(b"BLOCK_TRAILER=LAST_4_BYTES_REPEATED"),
        })
    }

    /// How many bytes follow each block.
    pub(super) fn trailer_length(self) -> u64 {
        if self.has_trailer { MARK_LENGTH } else { 0 }
    }

    /// Whether blocks have marks before and after them.
    pub(super) fn has_block_marks(self) -> bool {
        self.has_leader && self.has_trailer
    }
}
