//! Errors of the file store, each with the name of its file.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::tiff::TiffDefect;
use crate::domain::remote_file::{RemoteFile, StoreName};

/// Why a file could not be stored or read.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// The folder of the file store cannot be made or opened.
    #[error("cannot use {} as the file store: {source}", folder.display())]
    FolderUnusable {
        /// The folder.
        folder: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// There is no file at the path to import from.
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
    /// The file to import is empty.
    #[error("{} is empty", path.display())]
    SourceEmpty {
        /// The path that was given.
        path: PathBuf,
    },
    /// The file is not a TIFF, or not all of one.
    #[error("{} {defect}", path.display())]
    TiffDefective {
        /// The path that was given, or the name of the upload.
        path: PathBuf,
        /// What is wrong with it.
        defect: TiffDefect,
    },
    /// The file to import exists but cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    SourceUnreadable {
        /// The path that was given.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The file to import was written to while it was being copied.
    #[error("{} changed while it was being imported", path.display())]
    SourceChanged {
        /// The path that was given.
        path: PathBuf,
    },
    /// There is no folder to import from, or the path leads out of it.
    #[error("{} is not a path in the import folder", path.display())]
    SourceOutsideFolder {
        /// The path that was given.
        path: PathBuf,
    },
    /// An upload ended early.
    #[error("the upload of {name} is incomplete: {source}")]
    UploadIncomplete {
        /// The name of the file.
        name: String,
        /// The error of the connection.
        source: io::Error,
    },
    /// The store could not write the file.
    #[error("cannot store {name}: {source}")]
    StoreFailed {
        /// The name of the file.
        name: String,
        /// The error of the store.
        source: io::Error,
    },
    /// The catalog names a file by a text that is not a SHA-256.
    #[error("the catalog names {name} by {sha256:?}, which is not a SHA-256")]
    InvalidDigest {
        /// The name of the file.
        name: String,
        /// The text in place of the digest, cut to a printable length.
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
    #[error("{name} (sha256 {sha256}) is damaged: its length in the store is not {size} bytes")]
    Damaged {
        /// The name of the file.
        name: String,
        /// The SHA-256 that names it in the store.
        sha256: String,
        /// The length in the catalog, in bytes.
        size: u64,
    },
    /// A requested span is not within the file.
    #[error("bytes {} to {} are not within {name}, which has {size}", span.start, span.end)]
    SpanOutOfRange {
        /// The name of the file.
        name: String,
        /// The requested span, in bytes.
        span: Range<u64>,
        /// The length of the file in bytes.
        size: u64,
    },
    /// The file store did not answer in time.
    #[error("the file store did not answer in time: {operation}")]
    Unresponsive {
        /// What was to be done.
        operation: &'static str,
    },
    /// The store has the file but cannot read it.
    #[error("cannot read {name} from the file store: {source}")]
    Unreadable {
        /// The name of the file.
        name: String,
        /// The error of the store.
        source: io::Error,
    },
    /// A store of the settings cannot be used.
    #[error("the store {store} of the settings cannot be used: {problem}")]
    RemoteStoreUnusable {
        /// The store.
        store: StoreName,
        /// What is wrong with it.
        problem: String,
    },
    /// A dataset names a store that the settings do not name.
    #[error("the settings name no store {store}")]
    RemoteStoreUnknown {
        /// The store.
        store: StoreName,
    },
    /// A file outside the file store is not there.
    #[error("there is no {file}")]
    RemoteMissing {
        /// Where it should be.
        file: RemoteFile,
    },
    /// A file outside the file store was replaced after it was located.
    #[error("{file} was replaced")]
    RemoteReplaced {
        /// Where it is.
        file: RemoteFile,
    },
    /// A file outside the file store is at an address that must not be connected to.
    #[error("{file} is refused: {problem}")]
    RemoteRefused {
        /// Where it is.
        file: RemoteFile,
        /// What is refused.
        problem: String,
    },
    /// A store or server outside does not give a file now.
    #[error("cannot read {file}: {problem}")]
    RemoteUnavailable {
        /// Where it is.
        file: RemoteFile,
        /// What happened.
        problem: String,
    },
}

impl From<FilesError> for io::Error {
    /// Wraps the error for bodies that stream, whose errors are those of input and output.
    fn from(error: FilesError) -> Self {
        Self::other(error)
    }
}

impl FilesError {
    /// The same error with another path of the source.
    pub(super) fn with_path(self, other: &Path) -> Self {
        let path = other.to_path_buf();
        match self {
            Self::SourceMissing { .. } => Self::SourceMissing { path },
            Self::SourceNotRegular { .. } => Self::SourceNotRegular { path },
            Self::SourceEmpty { .. } => Self::SourceEmpty { path },
            Self::TiffDefective { defect, .. } => Self::TiffDefective { path, defect },
            Self::SourceUnreadable { source, .. } => Self::SourceUnreadable { path, source },
            other => other,
        }
    }
}
