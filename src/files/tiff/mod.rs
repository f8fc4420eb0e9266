//! TIFF structure: checks that a file is as long as its own directories say.
//!
//! Four bytes tell that a file begins as a TIFF; only its directories tell that it is all there. So whatever
//! comes into the store is walked first: every image file directory (IFD) of the chain, the `SubIFDs` and the
//! Exif directories; the values of every entry; and every tile, strip and JPEG stream that a directory refers
//! to. All of them must lie within the file. Nothing is decoded, so a compression that nobody here knows is as
//! good as any other, and a TIFF need not be cloud optimized.
//!
//! - TIFF 6.0 section 2 (header, directories, values), sections 3 to 8 (strips), 15 (tiles) and 22 (JPEG);
//! - Adobe TIFF Technical Note 1 (`SubIFDs`), and the `BigTIFF` design of libtiff (64-bit counts and offsets);
//! - GDAL's COG driver: an absent (sparse) block has offset 0 and length 0; the last four bytes of a block are
//!   repeated after it if the structural metadata after the header says so.
//!
//! A file is read in small spans and never kept. What one file may cost is bounded: see [`MAX_DIRECTORIES`],
//! [`MAX_ENTRIES`] and [`MAX_READ`].

mod check;
mod cog_layout;
mod directory;
mod form;
mod image;
mod last_block;
mod span_reader;
#[cfg(test)]
pub(crate) mod test_file;
#[cfg(test)]
mod tests;

pub(super) use check::check_structure;
pub(super) use form::{MAX_TIFF_HEADER_LENGTH, is_tiff};
pub(super) use span_reader::{ReadSpan, StructureError};

/// The most directories of one file, which is also what libtiff read for long.
const MAX_DIRECTORIES: usize = 65_535;
/// The most entries of one directory, in `BigTIFF` too, as in libtiff.
const MAX_ENTRIES: u64 = 65_535;
/// The most bytes that are read of one file, for about 16 million tiles.
const MAX_READ: u64 = 256 * 1024 * 1024;

/// What is wrong with a TIFF, as the end of a sentence that begins with its name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TiffDefect {
    /// It begins with another header.
    #[error("is not a TIFF: it does not start with a TIFF or BigTIFF header")]
    OtherHeader,
    /// It is shorter than its directories say.
    #[error(
        "is an incomplete TIFF: it has {size} bytes but refers to bytes up to {promised}, so at least {} are missing",
        promised.saturating_sub(*size)
    )]
    Truncated {
        /// The length of the file in bytes.
        size: u64,
        /// The end of what it refers to and what could be read of it, in bytes.
        promised: u64,
    },
    /// The header refers to no directory: that is what a writer leaves that did not finish.
    #[error(
        "is an incomplete TIFF: it has no image directory, as when whatever wrote it did not finish"
    )]
    NoDirectory,
    /// A directory is not as the format says.
    #[error("is not a valid TIFF: its directory at byte {directory} {problem}")]
    Directory {
        /// Where the directory is, in bytes.
        directory: u64,
        /// What is wrong with it.
        problem: DirectoryProblem,
    },
    /// The end of the file was not written.
    #[error("is an incomplete TIFF: its block at byte {offset} was not written to the end")]
    BlockNotWritten {
        /// Where the block is, in bytes.
        offset: u64,
    },
    /// Checking it would cost too much.
    #[error("is a TIFF with more or larger directories than this server checks")]
    TooLarge,
}

/// What is wrong with a directory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryProblem {
    /// It lies within the header.
    #[error("lies within the header")]
    InHeader,
    /// It has no entry.
    #[error("is empty")]
    Empty,
    /// It was there before.
    #[error("is referred to twice, as in a loop")]
    Repeated,
    /// It has an absurd number of entries.
    #[error("has {entries} entries, which no TIFF has")]
    TooManyEntries {
        /// The number of entries.
        entries: u64,
    },
    /// A required entry is missing.
    #[error("has no {tag}")]
    Missing {
        /// The name of the entry.
        tag: &'static str,
    },
    /// An entry has a type or a value that cannot be.
    #[error("has a {tag} that is not valid")]
    Invalid {
        /// The name of the entry.
        tag: &'static str,
    },
    /// It lists fewer blocks than the image has.
    #[error("lists {listed} {blocks}, but its image has {expected}")]
    TooFewBlocks {
        /// `tiles` or `strips`.
        blocks: &'static str,
        /// How many it lists.
        listed: u64,
        /// How many there must be.
        expected: u64,
    },
    /// A block lies within the header.
    #[error("refers to data at byte {offset}, within the header")]
    BlockInHeader {
        /// Where it would be, in bytes.
        offset: u64,
    },
}
