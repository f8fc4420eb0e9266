//! Files that come in as a stream, from somebody who may go away at any moment.
//!
//! A file is written under a name of its own in the folder `incoming`, hashed as it passes, and takes
//! the name of its content once all of it is there and durable. One that ends early is removed at once;
//! one that a crash left behind is removed when it has been silent for a day.

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
use super::{FileStore, object_path};
use crate::domain::dataset::StoredFile;

/// How many files are received at once, each with one piece in memory; further ones wait.
pub(super) const MAX_CONCURRENT_UPLOADS: usize = 8;
/// The folder of files that are not whole yet.
const INCOMING_FOLDER: &str = "incoming";
/// How long a file that is not whole may be silent; no upload takes as long.
const ABANDONED_UPLOAD_TTL: Duration = Duration::from_hours(24);

/// A file on its way in.
struct IncomingUpload {
    upload: Box<dyn MultipartUpload>,
    staged: ObjectPath,
    name: String,
    buffer: BytesMut,
    header: Vec<u8>,
    hasher: ContentHasher,
}

impl FileStore {
    /// Receives a TIFF and tells how it is stored now; `name` is what a download is to be called.
    ///
    /// What is no TIFF is refused at its first bytes. Unless this succeeds, nothing is kept.
    /// `now_seconds` is as for [`FileStore::import`].
    pub async fn upload(
        &self,
        name: &str,
        now_seconds: i64,
        bytes: &mut (impl Stream<Item = io::Result<Bytes>> + Unpin),
    ) -> Result<StoredFile, FilesError> {
        // The semaphore is never closed; a turn that is none would bound nothing.
        let _turn = self.upload_permits.acquire().await;
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
            // The first error is the one to tell; what cannot be cleared away now is swept later.
            incoming.upload.abort().await.ok();
            return Err(error);
        }
        // From here on it does not matter any more whether the sender is still there.
        let settled = tokio::spawn(incoming.finish(self.clone(), now_seconds));
        settled.await.unwrap_or_else(|lost| {
            Err(FilesError::StoreFailed {
                name: "a file".to_owned(),
                source: io::Error::other(lost),
            })
        })
    }

    /// Removes files that nobody sends any more.
    async fn delete_abandoned_uploads(&self) {
        let folder = self.folder.join(INCOMING_FOLDER);
        let swept = tokio::task::spawn_blocking(move || {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let silent = entry.metadata().and_then(|found| found.modified());
                let silent = silent.ok().and_then(|written| written.elapsed().ok());
                if silent.is_some_and(|silent| silent > ABANDONED_UPLOAD_TTL) {
                    // Another process may have been faster.
                    std::fs::remove_file(entry.path()).ok();
                }
            }
        });
        swept.await.ok();
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

    /// Writes what is waiting if it is at least so many bytes.
    async fn flush(&mut self, least: u64) -> Result<(), FilesError> {
        if self.buffer.is_empty() || (self.buffer.len() as u64) < least {
            return Ok(());
        }
        let piece = self.buffer.split().freeze();
        let written = self.upload.put_part(piece.into()).await;
        written.map_err(|error| not_stored(&self.name, error))
    }

    /// Makes the file durable and gives it the name of its content.
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
        let settled = match files.contains(&file).await {
            Ok(true) => files.store.delete(&self.staged).await,
            Ok(false) => files.store.rename(&self.staged, &object_path(&file)?).await,
            Err(error) => {
                files.store.delete(&self.staged).await.ok();
                return Err(error);
            }
        };
        settled.map_err(not_stored)?;
        Ok(file)
    }
}

fn not_stored(name: &str, error: object_store::Error) -> FilesError {
    FilesError::StoreFailed {
        name: name.to_owned(),
        source: error.into(),
    }
}
