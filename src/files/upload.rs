//! Uploads: files that arrive as a stream, which may be aborted at any time.
//!
//! A file is written under a temporary name in the folder `incoming`, hashed as it arrives, and renamed to
//! the digest of its content once it is complete and durable. One that ends early is removed at once; one
//! that a crash left behind is removed a day after it was last written.

use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use object_store::path::Path as ObjectPath;
use object_store::{MultipartUpload, ObjectStoreExt};
use uuid::Uuid;

use super::error::FilesError;
use super::source::{
    ContentDigest, ContentHasher, MAX_TIFF_HEADER_LENGTH, PIECE_SIZE, download_name, is_tiff,
};
use super::store::{FileStore, object_path};
use crate::domain::dataset::StoredFile;

/// The folder of incomplete uploads.
const INCOMING_FOLDER: &str = "incoming";
/// How long an incomplete upload may stay unchanged; no upload takes as long.
const ABANDONED_UPLOAD_TTL: Duration = Duration::from_hours(24);

/// An upload in progress.
struct IncomingUpload {
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
    /// What is not a TIFF is rejected at its first bytes. Unless this succeeds, nothing is kept.
    /// `now_seconds` is as for [`FileStore::import`].
    pub async fn upload(
        &self,
        name: &str,
        now_seconds: i64,
        bytes: &mut (impl Stream<Item = io::Result<Bytes>> + Unpin),
    ) -> Result<StoredFile, FilesError> {
        // The semaphore is never closed.
        let _permit = self.upload_permits.acquire().await;
        self.delete_abandoned_uploads().await;
        let name = download_name(Path::new(name));
        let staged = ObjectPath::from(format!("{INCOMING_FOLDER}/{}", Uuid::new_v4()));
        let upload = self.store.put_multipart(&staged).await;
        let mut incoming = IncomingUpload {
            upload: upload.map_err(|error| not_stored(&name, error))?,
            staged,
            name,
            buffer: BytesMut::new(),
            header: Vec::with_capacity(MAX_TIFF_HEADER_LENGTH),
            hasher: ContentHasher::default(),
        };
        if let Err(error) = incoming.receive_all(bytes).await {
            // The first error is the one to report; what cannot be removed now is removed later.
            incoming.upload.abort().await.ok();
            return Err(error);
        }
        // From here on the client may disconnect.
        let finished = tokio::spawn(incoming.finish(self.clone(), now_seconds));
        finished.await.unwrap_or_else(|lost| {
            Err(FilesError::StoreFailed {
                name: "a file".to_owned(),
                source: io::Error::other(lost),
            })
        })
    }

    /// Removes abandoned uploads.
    async fn delete_abandoned_uploads(&self) {
        let folder = self.folder.join(INCOMING_FOLDER);
        let removed = tokio::task::spawn_blocking(move || {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let silent = entry.metadata().and_then(|found| found.modified());
                let silent = silent.ok().and_then(|written| written.elapsed().ok());
                if silent.is_some_and(|silent| silent > ABANDONED_UPLOAD_TTL) {
                    // Another process may have removed it.
                    std::fs::remove_file(entry.path()).ok();
                }
            }
        });
        removed.await.ok();
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
        let path = || self.name.clone().into();
        if self.header.is_empty() {
            return Err(FilesError::SourceEmpty { path: path() });
        }
        if !is_tiff(&self.header) {
            return Err(FilesError::NotATiff { path: path() });
        }
        self.flush(0).await
    }

    async fn receive_chunk(&mut self, chunk: &[u8]) -> Result<(), FilesError> {
        if self.header.len() < MAX_TIFF_HEADER_LENGTH {
            let missing = MAX_TIFF_HEADER_LENGTH - self.header.len();
            self.header.extend(chunk.iter().take(missing));
            if self.header.len() == MAX_TIFF_HEADER_LENGTH && !is_tiff(&self.header) {
                let path = self.name.clone().into();
                return Err(FilesError::NotATiff { path });
            }
        }
        self.hasher.update(chunk);
        self.buffer.extend_from_slice(chunk);
        self.flush(PIECE_SIZE).await
    }

    /// Writes the buffer if it has at least so many bytes.
    async fn flush(&mut self, least: u64) -> Result<(), FilesError> {
        if self.buffer.is_empty() || (self.buffer.len() as u64) < least {
            return Ok(());
        }
        let piece = self.buffer.split().freeze();
        let written = self.upload.put_part(piece.into()).await;
        written.map_err(|error| not_stored(&self.name, error))
    }

    /// Makes the file durable and renames it to the digest of its content.
    async fn finish(
        mut self,
        files: FileStore,
        now_seconds: i64,
    ) -> Result<StoredFile, FilesError> {
        let ContentDigest { sha256, size } = self.hasher.finish();
        let file = StoredFile {
            sha256,
            name: self.name,
            size,
            modified: now_seconds,
        };
        let not_stored = |error| not_stored(&file.name, error);
        self.upload.complete().await.map_err(not_stored)?;
        let finished = match files.contains(&file).await {
            Ok(true) => files.store.delete(&self.staged).await,
            Ok(false) => files.store.rename(&self.staged, &object_path(&file)?).await,
            Err(error) => {
                files.store.delete(&self.staged).await.ok();
                return Err(error);
            }
        };
        finished.map_err(not_stored)?;
        Ok(file)
    }
}

fn not_stored(name: &str, error: object_store::Error) -> FilesError {
    FilesError::StoreFailed {
        name: name.to_owned(),
        source: error.into(),
    }
}
