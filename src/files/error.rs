//! What can go wrong with files, each case with the name of the file it is about.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Why a file could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The folder of the file store cannot be made or opened.
    #[error("cannot use {} as the file store: {source}", folder.display())]
    FolderUnusable {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is nothing at the path to import from.
    #[error("there is no file {}", path.display())]
    SourceMissing {
        /// The path that was given.
        path: PathBuf,
    },
    /// The path to import from is a folder, a pipe or a device.
    #[error("{} is not a regular file", path.display())]
    SourceNotRegular {
        /// The path that was given.
        path: PathBuf,
    },
    /// The file to import has no bytes.
    #[error("{} is empty", path.display())]
    SourceEmpty {
        /// The path that was given.
        path: PathBuf,
    },
    /// The file to import does not begin like a TIFF.
    #[error("{} is not a TIFF: it does not begin with II*, MM* or the BigTIFF mark", path.display())]
    NotATiff {
        /// The path that was given.
        path: PathBuf,
    },
    /// The file to import exists but cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    SourceUnreadable {
        /// The path that was given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file to import was written to while it was being copied.
    #[error("{} changed while it was being imported", path.display())]
    SourceChanged {
        /// The path that was given.
        path: PathBuf,
    },
    /// There is no folder to import from, or the path leads out of it.
    #[error("{} is no path into the import folder", path.display())]
    SourceOutsideFolder {
        /// The path that was given.
        path: PathBuf,
    },
    /// The bytes of a file that was being received ended early.
    #[error("{name} did not arrive whole: {source}")]
    UploadIncomplete {
        /// The name of the file.
        name: String,
        /// What the connection said.
        source: io::Error,
    },
    /// The store did not take the file.
    #[error("cannot store {name}: {source}")]
    StoreFailed {
        /// The name of the file.
        name: String,
        /// What the store said.
        source: io::Error,
    },
    /// The catalog names a file by something that is no SHA-256.
    #[error("the catalog names {name} by {sha256:?}, which is no SHA-256")]
    InvalidDigest {
        /// The name of the file.
        name: String,
        /// What stands in the place of the digest, cut to a printable length.
        sha256: String,
    },
    /// The file is catalogued but not in the store.
    #[error("{name} (sha256 {sha256}) is not in the file store")]
    Missing {
        /// The name of the file.
        name: String,
        /// The SHA-256 that names it in the store.
        sha256: String,
    },
    /// The file in the store is not as long as the catalog says.
    #[error(
        "{name} (sha256 {sha256}) is damaged: the catalog says {size} bytes, the store differs"
    )]
    Damaged {
        /// The name of the file.
        name: String,
        /// The SHA-256 that names it in the store.
        sha256: String,
        /// The length in the catalog, in bytes.
        size: u64,
    },
    /// A span was asked for that does not lie inside the file.
    #[error("bytes {} to {} do not lie inside {name}, which has {size}", span.start, span.end)]
    SpanOutOfRange {
        /// The name of the file.
        name: String,
        /// The span that was asked for, in bytes.
        span: Range<u64>,
        /// The length of the file in bytes.
        size: u64,
    },
    /// The store holds the file but does not give it.
    #[error("cannot read {name} from the file store: {source}")]
    Unreadable {
        /// The name of the file.
        name: String,
        /// What the store said.
        source: io::Error,
    },
}

impl From<FilesError> for io::Error {
    /// Wraps the error for bodies that stream, whose errors are those of input and output.
    fn from(error: FilesError) -> Self {
        Self::other(error)
    }
}

impl FilesError {
    /// The same about the source by another path.
    pub(super) fn with_path(self, other: &Path) -> Self {
        let path = other.to_path_buf();
        match self {
            Self::SourceMissing { .. } => Self::SourceMissing { path },
            Self::SourceNotRegular { .. } => Self::SourceNotRegular { path },
            Self::SourceEmpty { .. } => Self::SourceEmpty { path },
            Self::NotATiff { .. } => Self::NotATiff { path },
            Self::SourceUnreadable { source, .. } => Self::SourceUnreadable { path, source },
            other => other,
        }
    }
}
