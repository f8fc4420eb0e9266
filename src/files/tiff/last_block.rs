//! The last block of a file: whether it was written to its end.
//!
//! A program that makes room for a file before it writes it (`fallocate`, parallel downloads) leaves zeros at the
//! end when it is interrupted, and the file is as long as it should be. Where something that is not zero must end
//! the last block, that can be told. Of what is not compressed, and of other compressions, it cannot.

use bytes::Bytes;

use super::TiffDefect;
use super::cog_layout::MARK_LENGTH;
use super::span_reader::{ReadSpan, SpanReader, StructureError};

/// How much of the end of a block is looked at, in bytes.
const LAST_LENGTH: u64 = 16;

/// The block of a file that ends last.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastBlock {
    /// Where it begins, in bytes.
    pub(super) offset: u64,
    /// How long it is, in bytes.
    pub(super) length: u64,
    /// Whether it is compressed.
    pub(super) is_compressed: bool,
    /// Whether its compression ends it in something that is not zero.
    pub(super) is_end_marked: bool,
}

impl LastBlock {
    /// Checks a block between the marks of GDAL's COG driver.
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
        let last = self.last(reader).await?;
        let trailer = reader.read(end, MARK_LENGTH).await?;
        let is_cut_off = is_zero(&leader)
            || last.iter().rev().take(trailer.len()).any(|byte| *byte != 0)
            || (self.is_compressed && is_zero(&last));
        if is_zero(&trailer) && is_cut_off {
            return Err(self.not_written());
        }
        Ok(())
    }

    /// Checks a block without marks whose compression ends it in something that is not zero.
    pub(super) async fn check_end<R: ReadSpan>(
        self,
        reader: &mut SpanReader<R>,
    ) -> Result<(), StructureError<R::Error>> {
        let last = self.last(reader).await?;
        if is_zero(&last) {
            return Err(self.not_written());
        }
        Ok(())
    }

    async fn last<R: ReadSpan>(
        self,
        reader: &mut SpanReader<R>,
    ) -> Result<Bytes, StructureError<R::Error>> {
        let length = self.length.min(LAST_LENGTH);
        let end = self.offset.saturating_add(self.length);
        reader.read(end.saturating_sub(length), length).await
    }

    fn not_written<E>(self) -> StructureError<E> {
        let offset = self.offset;
        TiffDefect::BlockNotWritten { offset }.into()
    }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}
