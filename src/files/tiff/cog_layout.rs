//! The layout that GDAL's COG driver writes: structural metadata after the header, and marks around each block.
//!
//! Source: "Header ghost area" and "Tile data leader and trailer" of GDAL's documentation of its COG driver.

use super::TiffDefect;
use super::form::Form;
use super::span_reader::{ReadSpan, SpanReader, StructureError};

/// How the structural metadata begin; their length follows, in six digits.
const PREFIX: &str = "GDAL_STRUCTURAL_METADATA_SIZE=";
/// The length of a mark in bytes.
const MARK_LENGTH: u64 = 4;
/// How much of the end of a block is looked at, in bytes.
const LAST_LENGTH: u64 = 16;

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

/// A block between its marks.
#[derive(Clone, Copy, Debug)]
pub(super) struct CogBlock {
    /// Where it begins, in bytes.
    pub(super) offset: u64,
    /// How long it is, in bytes.
    pub(super) length: u64,
    /// Whether it is compressed.
    pub(super) is_compressed: bool,
}

impl CogBlock {
    /// Checks that the block was written to its end: a program that makes room for a file before it writes it
    /// leaves zeros when it is interrupted.
    ///
    /// No compression ends in so many zeros; what is not compressed may. Marks that are merely wrong are no
    /// reason to refuse a file: readers do without them.
    pub(super) async fn check_marks<R: ReadSpan>(
        self,
        reader: &mut SpanReader<R>,
    ) -> Result<(), StructureError<R::Error>> {
        let Some(leader_at) = self.offset.checked_sub(MARK_LENGTH) else {
            return Ok(());
        };
        let end = self.offset.saturating_add(self.length);
        let leader = reader.read(leader_at, MARK_LENGTH).await?;
        let last_length = self.length.min(LAST_LENGTH);
        let last = reader.read(end.saturating_sub(last_length), last_length);
        let last = last.await?;
        let trailer = reader.read(end, MARK_LENGTH).await?;
        let is_zero = |mark: &[u8]| mark.iter().all(|byte| *byte == 0);
        let is_cut_off = is_zero(&leader)
            || last.iter().rev().take(trailer.len()).any(|byte| *byte != 0)
            || (self.is_compressed && is_zero(&last));
        if is_zero(&trailer) && is_cut_off {
            let offset = self.offset;
            return Err(TiffDefect::BlockNotWritten { offset }.into());
        }
        Ok(())
    }
}
