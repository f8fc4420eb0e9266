//! A source file for an import.
//!
//! It is opened once, so that the file that was checked is the one that is copied, even if its path is
//! replaced in between.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::error::FilesError;
use super::source_path::as_stored;
use super::tiff::{MAX_TIFF_HEADER_LENGTH, TiffDefect, is_tiff};

/// How much is read at once; S3 takes no smaller part than 5 MiB.
pub(super) const PIECE_SIZE: u64 = 8 * 1024 * 1024;

/// An open file to import.
#[derive(Debug)]
pub(super) struct ImportSource {
    path: PathBuf,
    file: Arc<File>,
}

/// The digest and the size of a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ContentDigest {
    /// The SHA-256 in lower-case hexadecimal.
    pub(super) sha256: String,
    /// The length in bytes.
    pub(super) size: u64,
}

/// Counts and hashes pieces as they pass.
#[derive(Default)]
pub(super) struct ContentHasher {
    hash: Sha256,
    size: u64,
}

impl ContentHasher {
    pub(super) fn update(&mut self, piece: &[u8]) {
        self.hash.update(piece);
        self.size += piece.len() as u64;
    }

    pub(super) fn finish(self) -> ContentDigest {
        ContentDigest {
            sha256: hex::encode(self.hash.finalize()),
            size: self.size,
        }
    }
}

impl ImportSource {
    /// Opens a regular file that starts with a TIFF header; its name may be stored in another normal form.
    pub(super) fn open(path: &Path) -> Result<Self, FilesError> {
        let stored = as_stored(path);
        Self::open_stored(&stored).map_err(|error| error.with_path(path))
    }

    fn open_stored(path: &Path) -> Result<Self, FilesError> {
        let io_error = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => FilesError::SourceMissing { path: path.into() },
            _ => unreadable(path, source),
        };
        // Checked before it is opened, because opening a pipe waits for its other end.
        if !std::fs::metadata(path).map_err(io_error)?.is_file() {
            return Err(FilesError::SourceNotRegular { path: path.into() });
        }
        let mut source = Self {
            path: path.into(),
            file: Arc::new(File::open(path).map_err(io_error)?),
        };
        source.check_header()?;
        Ok(source)
    }

    /// Opens a file by its path inside `folder`; neither `..` nor a link leads out of it.
    ///
    /// Errors name the path as given, so that they do not reveal where the folder is.
    pub(super) fn open_within(folder: &Path, path: &Path) -> Result<Self, FilesError> {
        let outside = || FilesError::SourceOutsideFolder { path: path.into() };
        let is_plain = |part: Component| matches!(part, Component::Normal(_));
        if path.as_os_str().is_empty() || !path.components().all(is_plain) {
            return Err(outside());
        }
        let stored = as_stored(&folder.join(path));
        let source = Self::open_stored(&stored).map_err(|error| error.with_path(path))?;
        // The opened file must be the one inside the folder once all links are followed: a link that is
        // changed meanwhile leads to another file, or out of the folder.
        let io_error = |error| unreadable(path, error);
        let inside = folder.canonicalize().map_err(io_error)?;
        let found = stored.canonicalize().map_err(io_error)?;
        let opened = source.file.metadata().map_err(io_error)?;
        let resolved = std::fs::symlink_metadata(&found).map_err(io_error)?;
        let is_same = (opened.dev(), opened.ino()) == (resolved.dev(), resolved.ino());
        if !found.starts_with(inside) || !is_same {
            return Err(outside());
        }
        Ok(Self {
            path: path.into(),
            ..source
        })
    }

    fn check_header(&mut self) -> Result<(), FilesError> {
        let mut start = Vec::with_capacity(MAX_TIFF_HEADER_LENGTH);
        let mut header = (&mut self.file).take(MAX_TIFF_HEADER_LENGTH as u64);
        let reading = header.read_to_end(&mut start);
        reading.map_err(|source| unreadable(&self.path, source))?;
        if start.is_empty() {
            return Err(FilesError::SourceEmpty {
                path: self.path.clone(),
            });
        }
        if !is_tiff(&start) {
            return Err(FilesError::TiffDefective {
                path: self.path.clone(),
                defect: TiffDefect::OtherHeader,
            });
        }
        self.rewind()
    }

    /// Goes back to the first byte.
    pub(super) fn rewind(&mut self) -> Result<(), FilesError> {
        let rewound = self.file.rewind();
        rewound.map_err(|source| unreadable(&self.path, source))
    }

    /// The next piece, empty at the end.
    pub(super) fn next_piece(&mut self) -> Result<Bytes, FilesError> {
        let mut piece = Vec::new();
        let reading = (&mut self.file).take(PIECE_SIZE).read_to_end(&mut piece);
        reading.map_err(|source| unreadable(&self.path, source))?;
        Ok(piece.into())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file, for reading at any place.
    pub(super) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// The length of the file now, in bytes.
    pub(super) fn size(&self) -> Result<u64, FilesError> {
        let metadata = self.file.metadata();
        let metadata = metadata.map_err(|source| unreadable(&self.path, source))?;
        Ok(metadata.len())
    }
}

pub(super) fn unreadable(path: &Path, source: io::Error) -> FilesError {
    FilesError::SourceUnreadable {
        path: path.into(),
        source,
    }
}
