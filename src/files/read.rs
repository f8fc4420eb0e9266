//! Reads spans of the files in the store.
//!
//! The store opens its files itself; of a local store they are kept open and read here, by position, because the
//! store's own reads open the file each time, on a thread for blocking work.

use std::ops::Range;
use std::sync::Arc;

use futures_util::stream::{self, StreamExt};
use object_store::{GetOptions, GetResult, GetResultPayload, ObjectStore};

use super::download::{self, ByteStream, LocalSpan};
use super::error::FilesError;
use super::open_file::OpenFile;
use super::open_files::is_out_of_descriptors;
use super::store::{FileStore, object_path};
use crate::domain::dataset::StoredFile;

impl FileStore {
    /// Streams a span (in bytes, end excluded) of a file; fails before the first byte where possible.
    ///
    /// A span of at most 256 KiB is read at once and is one chunk.
    pub async fn read(
        &self,
        file: &StoredFile,
        span: Range<u64>,
    ) -> Result<ByteStream, FilesError> {
        if span.start > span.end || span.end > file.size {
            return Err(FilesError::SpanOutOfRange {
                name: file.name.clone(),
                span,
                size: file.size,
            });
        }
        if let Some(open) = self.open_files.get(&file.sha256) {
            return self.read_open(open, file, span).await;
        }
        let object = object_path(file)?;
        if span.is_empty() {
            return Ok(stream::empty().boxed());
        }
        let opened = match self.open_span(file, span.clone()).await? {
            Ok(opened) if opened.meta.size == file.size && opened.range == span => opened,
            Ok(_) => return Err(download::damaged(file)),
            Err(error) => return Err(self.classify_read_error(file, error).await),
        };
        match opened.payload {
            GetResultPayload::File(open, _) => {
                let open = Arc::new(OpenFile::new(open, file.size, opened.meta.e_tag));
                self.open_files
                    .keep(&file.sha256, object, &open, &self.store, &self.calls);
                self.read_open(open, file, span).await
            }
            GetResultPayload::Stream(chunks) => {
                let length = span.end - span.start;
                Ok(download::stream_remote(chunks, file.clone(), length))
            }
        }
    }

    async fn read_open(
        &self,
        open: Arc<OpenFile>,
        file: &StoredFile,
        span: Range<u64>,
    ) -> Result<ByteStream, FilesError> {
        if open.size != file.size {
            return Err(download::damaged(file));
        }
        if let Some(chunk) = download::read_at_once(&open, &span, &self.buffers) {
            return Ok(stream::once(std::future::ready(Ok(chunk))).boxed());
        }
        let calls = self.calls.clone();
        let span = LocalSpan::new(open, file.clone(), span, self.buffers.clone(), calls);
        span.into_stream().await
    }

    /// Lets the store open a file for a span; closes those that are kept open if it could open no more.
    async fn open_span(
        &self,
        file: &StoredFile,
        span: Range<u64>,
    ) -> Result<object_store::Result<GetResult>, FilesError> {
        let object = object_path(file)?;
        let open = || {
            let options = GetOptions::new().with_range(Some(span.clone()));
            let (store, object) = (Arc::clone(&self.store), object.clone());
            self.calls
                .read(async move { store.get_opts(&object, options).await })
        };
        let opened = open().await?;
        if opened.as_ref().is_err_and(is_out_of_descriptors) {
            self.open_files.close_all();
            return open().await;
        }
        Ok(opened)
    }

    /// Distinguishes a missing or truncated file from a store that does not respond.
    async fn classify_read_error(
        &self,
        file: &StoredFile,
        error: object_store::Error,
    ) -> FilesError {
        self.forget(&file.sha256);
        if matches!(error, object_store::Error::NotFound { .. }) {
            // Without its folder the store is unavailable, not empty.
            if let Err(error) = self.check_folder_with(&self.calls).await {
                return error;
            }
            return FilesError::Missing {
                name: file.name.clone(),
                sha256: file.sha256.clone(),
            };
        }
        match self.stored_size(file).await {
            Ok(size) if size != Some(file.size) => download::damaged(file),
            _ => download::unreadable(file.name.clone(), error.into()),
        }
    }
}
