//! A directory: its entries, and which of them refer to other directories.

use bytes::Bytes;

use super::form::{Entry, Form};
use super::{DirectoryProblem, MAX_ENTRIES};

/// `SubIFDs` of Technical Note 1: images, each perhaps with more that follow it.
const SUB_IFDS: u64 = 330;
/// Directories of other things than images: Exif, GPS and interoperability.
const METADATA_IFDS: [u64; 3] = [34_665, 34_853, 40_965];

/// What a directory describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DirectoryKind {
    /// An image; another one may follow it.
    Image,
    /// Something else, such as how a photograph was taken. What seems to follow it does not count.
    Metadata,
}

/// Checks the number of entries of a directory; returns the length of all of it in bytes.
pub(super) fn directory_length(form: Form, entries: u64) -> Result<u64, DirectoryProblem> {
    match entries {
        0 => Err(DirectoryProblem::Empty),
        1..=MAX_ENTRIES => {
            Ok(form.count_length() + entries * form.entry_length() + form.offset_length())
        }
        _ => Err(DirectoryProblem::TooManyEntries { entries }),
    }
}

/// The entries of a directory, and where the next one is (0 if there is none).
pub(super) fn parse_directory(form: Form, directory: &Bytes) -> (Vec<Entry>, u64) {
    let length = |length: u64| usize::try_from(length).unwrap_or(usize::MAX);
    let entries = directory
        .get(length(form.count_length())..)
        .unwrap_or_default();
    let end = entries.len().saturating_sub(length(form.offset_length()));
    let (entries, next) = entries.split_at_checked(end).unwrap_or_default();
    let entries = entries.chunks_exact(length(form.entry_length()));
    let entries = entries.filter_map(|entry| form.entry(entry)).collect();
    (entries, form.number(next))
}

/// What the directories are that an entry refers to, if it refers to any.
pub(super) fn referred_kind(entry: &Entry) -> Option<DirectoryKind> {
    match entry.tag {
        SUB_IFDS => Some(DirectoryKind::Image),
        tag if METADATA_IFDS.contains(&tag) => Some(DirectoryKind::Metadata),
        _ => None,
    }
}
