//! One version of a dataset's file, wherever it is: located, read, or handed out as a presigned URL.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ipnet::IpNet;
use url::Url;

use super::download::{self, ByteStream};
use super::error::FilesError;
use super::file_name::download_name;
use super::file_version::{FileVersion, VersionSource};
use super::presence::Recheck;
use super::remote::{RemoteFacts, RemoteFiles};
use super::store::FileStore;
use crate::domain::dataset::{DatasetFile, StoredFile};
use crate::domain::remote_file::{RemoteFile, StoreName};
use crate::domain::remote_store::RemoteStore;

fn version_of_remote(
    file: &RemoteFile,
    facts: Arc<RemoteFacts>,
    is_redirected: bool,
) -> Arc<FileVersion> {
    Arc::new(FileVersion {
        is_redirected,
        name: remote_name(file),
        size: facts.size,
        modified: facts.modified,
        etag: facts.entity_tag(),
        source: VersionSource::Remote(file.clone(), facts),
    })
}

/// The name a download of a file outside the file store is saved under.
#[must_use]
pub fn remote_name(file: &RemoteFile) -> String {
    download_name(Path::new(&file.last_part()))
}

impl FileStore {
    /// The same store, which also reads files of other stores, and at URLs: of the networks inside these alone.
    pub fn with_remote_files(
        self,
        stores: &[RemoteStore],
        networks: &[IpNet],
    ) -> Result<Self, FilesError> {
        let mut store = self;
        store.remote = RemoteFiles::new(stores, networks)?;
        Ok(store)
    }

    /// Checks that a file elsewhere is in a store of the settings, or at a URL that may be fetched as far as it
    /// says so itself. What the name of its host resolves to is checked whenever it is fetched.
    pub fn check_place(&self, file: &RemoteFile) -> Result<(), FilesError> {
        self.remote.check_place(file)
    }

    /// The file as it is now, or was seconds ago; none if it is not there.
    pub async fn locate(&self, file: &DatasetFile) -> Result<Option<Arc<FileVersion>>, FilesError> {
        match file {
            DatasetFile::Stored(file) => {
                // An open file is compared with its name more often than what is known of its presence.
                if let Some(version) = self.open_files.version(file) {
                    return Ok(Some(version));
                }
                let is_there = Box::pin(self.contains(file)).await?;
                Ok(is_there.then(|| FileVersion::of_stored(file)))
            }
            DatasetFile::Remote(file) => {
                let facts = Box::pin(self.remote.facts(file)).await?;
                let is_redirected = self.remote.is_redirected(file);
                Ok(facts.map(|facts| version_of_remote(file, facts, is_redirected)))
            }
        }
    }

    /// Whether there is a file, or was seconds ago.
    pub async fn has(&self, file: &DatasetFile) -> Result<bool, FilesError> {
        match file {
            DatasetFile::Stored(file) => self.contains(file).await,
            // Boxed, so that a mint, which asks this, has no room for what it seldom needs.
            DatasetFile::Remote(file) => Ok(Box::pin(self.remote.facts(file)).await?.is_some()),
        }
    }

    /// Whether a file is in the store with its catalogued length, or was found there seconds ago.
    pub async fn contains(&self, file: &StoredFile) -> Result<bool, FilesError> {
        if let Some(found) = self.presence.get(&file.sha256).await {
            if let Some(recheck) = self.presence.recheck(&found) {
                tokio::spawn(self.clone().look_again(file.clone(), recheck));
            }
            return Ok(found.size == file.size);
        }
        let looking = async {
            match self.stored_size(file).await {
                Ok(Some(size)) => Ok(size),
                Ok(None) => Err(None),
                Err(error) => Err(Some(error)),
            }
        };
        match Box::pin(self.presence.look(&file.sha256, looking)).await {
            Ok(size) => Ok(size == file.size),
            Err(missing) => match &*missing {
                None => Ok(false),
                Some(error) => {
                    let source = std::io::Error::other(error.to_string());
                    Err(download::unreadable(file.name.clone(), source))
                }
            },
        }
    }

    /// Looks for a file whose presence is known already.
    async fn look_again(self, file: StoredFile, recheck: Recheck) {
        // A store that does not answer is told of when what was found is too old.
        if let Ok(size) = self.stored_size(&file).await {
            self.presence.renew(&file.sha256, size).await;
        }
        drop(recheck);
    }

    /// The version that has replaced one whose read failed with [`FilesError::RemoteReplaced`].
    pub async fn locate_anew(
        &self,
        replaced: &FileVersion,
    ) -> Result<Option<Arc<FileVersion>>, FilesError> {
        match &replaced.source {
            VersionSource::Stored(_) => Ok(None),
            VersionSource::Remote(file, _) => self.locate(&DatasetFile::Remote(file.clone())).await,
        }
    }

    /// The bytes of a span (end excluded) of at most 256 KiB, if they can be had without waiting: the file is open, has
    /// not changed since, and the page cache has them. None says only that [`FileStore::read_version`] is to be asked.
    #[must_use]
    pub fn read_at_once(&self, version: &FileVersion, span: &Range<u64>) -> Option<Bytes> {
        let VersionSource::Stored(file) = &version.source else {
            return None;
        };
        if span.start > span.end || span.end > file.size {
            return None;
        }
        let open = self.open_files.get(&file.sha256)?;
        let is_whole = open.size == file.size;
        is_whole.then(|| download::read_at_once(&open, span, &self.buffers))?
    }

    /// Streams a span (in bytes, end excluded) of a version; fails before the first byte where possible.
    pub async fn read_version(
        &self,
        version: &FileVersion,
        span: Range<u64>,
    ) -> Result<ByteStream, FilesError> {
        match &version.source {
            VersionSource::Stored(file) => self.read(file, span).await,
            VersionSource::Remote(file, facts) => self.remote.read(file, facts, span).await,
        }
    }

    /// A URL at which whoever has it may GET the file for `lifetime`, in whole seconds; none for a file that is
    /// streamed.
    pub async fn presign(
        &self,
        version: &FileVersion,
        lifetime: Duration,
    ) -> Result<Option<Url>, FilesError> {
        match &version.source {
            VersionSource::Stored(_) => Ok(None),
            VersionSource::Remote(file, _) => self.remote.presign(file, lifetime).await,
        }
    }

    /// The stores whose last request failed; those that were not asked for a while are asked, for the next call.
    pub fn failing_stores(&self) -> Vec<StoreName> {
        self.remote.failing_stores()
    }
}
