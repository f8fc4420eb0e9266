//! The image that a directory describes: how many blocks it must have, and where they are listed.

use super::DirectoryProblem;
use super::form::{Entry, Form};

const IMAGE_WIDTH: u64 = 256;
const IMAGE_LENGTH: u64 = 257;
const COMPRESSION: u64 = 259;
const STRIP_OFFSETS: u64 = 273;
const SAMPLES_PER_PIXEL: u64 = 277;
const ROWS_PER_STRIP: u64 = 278;
const STRIP_BYTE_COUNTS: u64 = 279;
const PLANAR_CONFIGURATION: u64 = 284;
const TILE_WIDTH: u64 = 322;
const TILE_LENGTH: u64 = 323;
const TILE_OFFSETS: u64 = 324;
const TILE_BYTE_COUNTS: u64 = 325;
const JPEG_INTERCHANGE_FORMAT: u64 = 513;
const JPEG_INTERCHANGE_FORMAT_LENGTH: u64 = 514;

/// `Compression` of an image that has none.
const UNCOMPRESSED: u64 = 1;
/// Each `Compression` whose data end in something that is not zero: LZW (a code), JPEG (a marker), Deflate under
/// both of its numbers (a checksum) and LZMA (a footer).
const END_MARKED: [u64; 5] = [5, 7, 8, 32_946, 34_925];
/// `PlanarConfiguration` of an image whose samples are in blocks of their own.
const PLANAR_SEPARATE: u64 = 2;

/// The entries of a directory that say where the image is.
#[derive(Default)]
pub(super) struct ImageEntries {
    width: Option<Entry>,
    length: Option<Entry>,
    compression: Option<Entry>,
    rows_per_strip: Option<Entry>,
    tile_width: Option<Entry>,
    tile_length: Option<Entry>,
    samples: Option<Entry>,
    planar: Option<Entry>,
    offsets: Option<Entry>,
    byte_counts: Option<Entry>,
    jpeg_offset: Option<Entry>,
    jpeg_length: Option<Entry>,
}

/// Where the blocks of an image are listed.
pub(super) struct Blocks {
    /// Where each begins.
    pub(super) offsets: Entry,
    /// How long each is.
    pub(super) byte_counts: Entry,
    /// Whether the blocks are compressed.
    pub(super) is_compressed: bool,
    /// Whether the compression ends each block in something that is not zero.
    pub(super) is_end_marked: bool,
}

impl ImageEntries {
    /// Keeps an entry that is about the image; of two with one tag the first counts, as in libtiff.
    ///
    /// Some writers list tiles under the tags of strips, which all readers accept.
    pub(super) fn keep(&mut self, entry: Entry) {
        let place = match entry.tag {
            IMAGE_WIDTH => &mut self.width,
            IMAGE_LENGTH => &mut self.length,
            COMPRESSION => &mut self.compression,
            ROWS_PER_STRIP => &mut self.rows_per_strip,
            TILE_WIDTH => &mut self.tile_width,
            TILE_LENGTH => &mut self.tile_length,
            SAMPLES_PER_PIXEL => &mut self.samples,
            PLANAR_CONFIGURATION => &mut self.planar,
            STRIP_OFFSETS | TILE_OFFSETS => &mut self.offsets,
            STRIP_BYTE_COUNTS | TILE_BYTE_COUNTS => &mut self.byte_counts,
            JPEG_INTERCHANGE_FORMAT => &mut self.jpeg_offset,
            JPEG_INTERCHANGE_FORMAT_LENGTH => &mut self.jpeg_length,
            _ => return,
        };
        place.get_or_insert(entry);
    }

    /// The JPEG stream of TIFF 6.0 section 22 (start, length in bytes), if the directory has one.
    pub(super) fn jpeg(&self, form: Form) -> Option<(u64, u64)> {
        let start = self.jpeg_offset.as_ref()?.first_number(form)?;
        let length = self.jpeg_length.as_ref();
        let length = length.and_then(|length| length.first_number(form));
        Some((start, length.unwrap_or_default()))
    }

    /// The lists of blocks, of which there are enough for the image. `None` if a JPEG stream is all there is.
    pub(super) fn blocks(self, form: Form) -> Result<Option<Blocks>, DirectoryProblem> {
        let is_tiled = self.tile_width.is_some() || self.tile_length.is_some();
        let (offsets_tag, counts_tag) = if is_tiled {
            ("TileOffsets", "TileByteCounts")
        } else {
            ("StripOffsets", "StripByteCounts")
        };
        if self.jpeg_offset.is_some() && self.offsets.is_none() {
            return Ok(None);
        }
        let compression = self.compression.as_ref();
        let compression = compression.and_then(|it| it.first_number(form));
        let expected = self.expected_blocks(form, is_tiled)?;
        let missing = |tag| DirectoryProblem::Missing { tag };
        let offsets = self.offsets.ok_or(missing(offsets_tag))?;
        let byte_counts = self.byte_counts.ok_or(missing(counts_tag))?;
        for (entry, tag) in [(&offsets, offsets_tag), (&byte_counts, counts_tag)] {
            if entry.number_length().is_none() {
                return Err(DirectoryProblem::Invalid { tag });
            }
        }
        let listed = offsets.count.min(byte_counts.count);
        if listed < expected || offsets.count != byte_counts.count {
            return Err(DirectoryProblem::TooFewBlocks {
                blocks: if is_tiled { "tiles" } else { "strips" },
                listed,
                expected: expected.max(offsets.count),
            });
        }
        Ok(Some(Blocks {
            offsets,
            byte_counts,
            is_compressed: compression.is_some_and(|it| it != UNCOMPRESSED),
            is_end_marked: compression.is_some_and(|it| END_MARKED.contains(&it)),
        }))
    }

    /// How many blocks an image of this size has, at least (TIFF 6.0 sections 3 and 15).
    fn expected_blocks(&self, form: Form, is_tiled: bool) -> Result<u64, DirectoryProblem> {
        let width = positive(self.width.as_ref(), "ImageWidth", form)?;
        let length = positive(self.length.as_ref(), "ImageLength", form)?;
        let planar = optional(self.planar.as_ref(), "PlanarConfiguration", 1, form)?;
        let planes = if planar == PLANAR_SEPARATE {
            optional(self.samples.as_ref(), "SamplesPerPixel", 1, form)?
        } else {
            1
        };
        let blocks = if is_tiled {
            let tile_width = positive(self.tile_width.as_ref(), "TileWidth", form)?;
            let tile_length = positive(self.tile_length.as_ref(), "TileLength", form)?;
            let across = width.div_ceil(tile_width);
            across.saturating_mul(length.div_ceil(tile_length))
        } else {
            let rows = optional(self.rows_per_strip.as_ref(), "RowsPerStrip", length, form)?;
            length.div_ceil(rows)
        };
        Ok(blocks.saturating_mul(planes))
    }
}

fn optional(
    entry: Option<&Entry>,
    tag: &'static str,
    default: u64,
    form: Form,
) -> Result<u64, DirectoryProblem> {
    entry.map_or(Ok(default), |entry| positive(Some(entry), tag, form))
}

fn positive(entry: Option<&Entry>, tag: &'static str, form: Form) -> Result<u64, DirectoryProblem> {
    let entry = entry.ok_or(DirectoryProblem::Missing { tag })?;
    let number = entry.first_number(form).filter(|number| *number > 0);
    number.ok_or(DirectoryProblem::Invalid { tag })
}
