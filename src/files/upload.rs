//! Uploads: files that arrive as a stream, which may be aborted at any time.
//!
//! A file is written under a temporary name in the staging folder, hashed as it arrives, and renamed to
//! the digest of its content once it is complete, durable and checked: a stream that ended as it should may
//! still be a part of a file. One that ends early is removed at once; one
//! that a crash left behind at the next start.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use object_store::path::Path as ObjectPath;
use object_store::{MultipartUpload, ObjectStoreExt};
use uuid::Uuid;

use super::error::FilesError;
use super::file_name::download_name;
use super::source::{ContentDigest, ContentHasher, PIECE_SIZE};
use super::staging::{self, INCOMING_FOLDER};
use super::store::{FileStore, object_path};
use super::tiff::{MAX_TIFF_HEADER_LENGTH, TiffDefect, is_tiff};
use crate::domain::clock::Clock;
use crate::domain::dataset::StoredFile;

/// An upload in progress.
struct IncomingUpload {
    files: FileStore,
    upload: Box<dyn MultipartUpload>,
    staged: ObjectPath,
    name: String,
    buffer: BytesMut,
    header: Vec<u8>,
    hasher: ContentHasher,
}

impl FileStore {
    /// Stores an uploaded TIFF; `name` becomes the name of a download.
    ///
    /// What is not a TIFF is rejected at its first bytes, and what is not all of one once it has arrived.
    /// Unless this succeeds, nothing is kept.
    /// The time when it is complete is as for [`FileStore::import`].
    pub async fn upload(
        &self,
        name: &str,
        clock: &Clock,
        bytes: &mut (impl Stream<Item = io::Result<Bytes>> + Unpin),
    ) -> Result<StoredFile, FilesError> {
        let name = download_name(Path::new(name));
        let folder = self.staging_folder().await?;
        let staged = ObjectPath::from(format!("{INCOMING_FOLDER}/{folder}/{}", Uuid::new_v4()));
        let mut incoming = IncomingUpload {
            files: self.clone(),
            upload: self.begin_upload(&staged, &name).await?,
            staged,
            name,
            buffer: BytesMut::new(),
            header: Vec::with_capacity(MAX_TIFF_HEADER_LENGTH),
            hasher: ContentHasher::default(),
        };
        if let Err(error) = incoming.receive_all(bytes).await {
            // The first error is the one to report.
            self.abort_upload(incoming.upload).await;
            return Err(error);
        }
        // From here on the client may disconnect.
        let finished = tokio::spawn(incoming.finish(clock.unix_seconds()));
        finished.await.unwrap_or_else(|lost| {
            Err(FilesError::StoreFailed {
                name: "a file".to_owned(),
                source: io::Error::other(lost),
            })
        })
    }

    /// Begins to write a file, which appears under its name once it is complete.
    pub(super) async fn begin_upload(
        &self,
        path: &ObjectPath,
        name: &str,
    ) -> Result<Box<dyn MultipartUpload>, FilesError> {
        let (store, path) = (Arc::clone(&self.store), path.clone());
        let beginning = async move { store.put_multipart(&path).await };
        let begun = self.calls.transfer("begin a file", beginning).await?;
        begun.map_err(|error| not_stored(name, error))
    }

    /// Makes a file durable and visible.
    pub(super) async fn complete_upload(
        &self,
        mut upload: Box<dyn MultipartUpload>,
        name: &str,
    ) -> Result<(), FilesError> {
        let completing = async move { upload.complete().await };
        let completed = self.calls.transfer("complete a file", completing).await?;
        completed.map(drop).map_err(|error| not_stored(name, error))
    }

    /// Discards a complete upload that is not to be stored; what cannot be removed now is removed later.
    async fn discard_staged(&self, staged: ObjectPath) {
        let store = Arc::clone(&self.store);
        let deleting = async move { store.delete(&staged).await.ok() };
        self.calls.transfer("discard a file", deleting).await.ok();
    }

    /// Discards what was written; what cannot be removed now is removed later.
    pub(super) async fn abort_upload(&self, mut upload: Box<dyn MultipartUpload>) {
        let aborting = async move { upload.abort().await.ok() };
        self.calls.transfer("discard a file", aborting).await.ok();
    }
}

impl FileStore {
    /// The name of this process's staging folder, below [`INCOMING_FOLDER`].
    pub(super) async fn staging_folder(&self) -> Result<&str, FilesError> {
        let made = self.staging.get_or_try_init(|| async {
            let incoming = self.folder.join(INCOMING_FOLDER);
            let made = self
                .calls
                .transfer_blocking("make a folder for uploads", move || {
                    staging::make(&incoming)
                })
                .await?;
            made.map_err(|source| FilesError::FolderUnusable {
                folder: self.folder.join(INCOMING_FOLDER),
                source,
            })
        });
        Ok(&made.await?.name)
    }

    /// Removes what processes that have ended left of their uploads.
    pub async fn remove_abandoned_uploads(&self) -> Result<(), FilesError> {
        let incoming = self.folder.join(INCOMING_FOLDER);
        let own = self.staging.get().map(|folder| folder.name.clone());
        self.calls
            .transfer_blocking("remove abandoned uploads", move || {
                staging::remove_abandoned(&incoming, own.as_deref());
            })
            .await
    }
}

impl IncomingUpload {
    async fn receive_all(
        &mut self,
        bytes: &mut (impl Stream<Item = io::Result<Bytes>> + Unpin),
    ) -> Result<(), FilesError> {
        while let Some(chunk) = bytes.next().await {
            let chunk = chunk.map_err(|source| FilesError::UploadIncomplete {
                name: self.name.clone(),
                source,
            })?;
            self.receive_chunk(&chunk).await?;
        }
        if self.header.is_empty() {
            let path = self.name.clone().into();
            return Err(FilesError::SourceEmpty { path });
        }
        if !is_tiff(&self.header) {
            return Err(self.other_header());
        }
        self.flush(0).await
    }

    async fn receive_chunk(&mut self, chunk: &[u8]) -> Result<(), FilesError> {
        if self.header.len() < MAX_TIFF_HEADER_LENGTH {
            let missing = MAX_TIFF_HEADER_LENGTH - self.header.len();
            self.header.extend(chunk.iter().take(missing));
            if self.header.len() == MAX_TIFF_HEADER_LENGTH && !is_tiff(&self.header) {
                return Err(self.other_header());
            }
        }
        self.hasher.update(chunk);
        self.buffer.extend_from_slice(chunk);
        self.flush(PIECE_SIZE).await
    }

    fn other_header(&self) -> FilesError {
        FilesError::TiffDefective {
            path: self.name.clone().into(),
            defect: TiffDefect::OtherHeader,
        }
    }

    /// Writes the buffer if it has at least so many bytes.
    async fn flush(&mut self, least: u64) -> Result<(), FilesError> {
        if self.buffer.is_empty() || (self.buffer.len() as u64) < least {
            return Ok(());
        }
        let piece = self.buffer.split().freeze();
        let writing = self.upload.put_part(piece.into());
        let written = self.files.calls.transfer("write", writing).await?;
        written.map_err(|error| not_stored(&self.name, error))
    }

    /// Makes the file durable, checks that it is all there, and renames it to the digest of its content.
    ///
    /// It replaces one with the same content: that one may be about to be removed.
    async fn finish(self, now_seconds: i64) -> Result<StoredFile, FilesError> {
        let (files, staged) = (self.files, self.staged);
        let ContentDigest { sha256, size } = self.hasher.finish();
        let file = StoredFile {
            sha256,
            name: self.name,
            size,
            modified: now_seconds,
        };
        files.complete_upload(self.upload, &file.name).await?;
        if let Err(error) = files.check_staged(&staged, &file).await {
            files.discard_staged(staged).await;
            return Err(error);
        }
        let (store, target) = (Arc::clone(&files.store), object_path(&file)?);
        let renaming = async move { store.rename(&staged, &target).await };
        let renamed = files.calls.transfer("rename a file", renaming).await?;
        renamed.map_err(|error| not_stored(&file.name, error))?;
        files.mark_used(&file, now_seconds).await?;
        Ok(file)
    }
}

fn not_stored(name: &str, error: object_store::Error) -> FilesError {
    FilesError::StoreFailed {
        name: name.to_owned(),
        source: error.into(),
    }
}
