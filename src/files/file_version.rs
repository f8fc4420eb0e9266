//! The version of a dataset's file: what identifies its content, and where it is read.

use std::sync::Arc;

use super::remote::RemoteFacts;
use crate::domain::dataset::StoredFile;
use crate::domain::remote_file::RemoteFile;

/// A file as it is now; a read of it fails once it is replaced, and never mixes two versions.
#[derive(Clone, Debug)]
pub struct FileVersion {
    /// The name a download is saved under.
    pub name: String,
    /// The length in bytes.
    pub size: u64,
    /// When the content was stored, in seconds since 1970 UTC.
    pub modified: i64,
    /// The entity tag as in the `ETag` header: strong, unless its server gives none.
    pub etag: String,
    /// Whether whoever downloads it is sent to its store.
    pub is_redirected: bool,
    pub(super) source: VersionSource,
}

#[derive(Clone, Debug)]
pub(super) enum VersionSource {
    Stored(StoredFile),
    Remote(RemoteFile, Arc<RemoteFacts>),
}

impl StoredFile {
    /// The entity tag as in the `ETag` header: the SHA-256 of the content.
    #[must_use]
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.sha256)
    }
}

impl FileVersion {
    pub(super) fn of_stored(file: &StoredFile) -> Arc<Self> {
        Arc::new(Self {
            name: file.name.clone(),
            size: file.size,
            modified: file.modified,
            etag: file.etag(),
            is_redirected: false,
            source: VersionSource::Stored(file.clone()),
        })
    }

    /// Whether it is what [`FileVersion::of_stored`] says of `file`.
    pub(super) fn is_of(&self, file: &StoredFile) -> bool {
        matches!(&self.source, VersionSource::Stored(stored) if stored == file)
    }
}
