//! The check that a file is all there, before it comes into the store: see [`super::tiff`].

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt};

use super::bounded_calls::BoundedCalls;
use super::download;
use super::error::FilesError;
use super::source::{self, ImportSource};
use super::store::FileStore;
use super::tiff::{ReadSpan, StructureError, check_structure};
use crate::domain::dataset::StoredFile;

/// Reads spans of a file of the local file system.
struct SourceSpans<'a> {
    calls: &'a BoundedCalls,
    file: Arc<File>,
    path: &'a Path,
}

/// Reads spans of an object of the store.
struct ObjectSpans<'a> {
    calls: &'a BoundedCalls,
    store: Arc<dyn ObjectStore>,
    object: &'a ObjectPath,
    name: &'a str,
}

impl ReadSpan for SourceSpans<'_> {
    type Error = FilesError;

    async fn read(&mut self, span: Range<u64>) -> Result<Bytes, FilesError> {
        let file = Arc::clone(&self.file);
        let reading = move || {
            let mut bytes = vec![0; usize::try_from(span.end - span.start).unwrap_or_default()];
            file.read_exact_at(&mut bytes, span.start)?;
            Ok(bytes.into())
        };
        let read = self
            .calls
            .transfer_blocking("read a source", reading)
            .await?;
        read.map_err(|error| source::unreadable(self.path, error))
    }
}

impl ReadSpan for ObjectSpans<'_> {
    type Error = FilesError;

    async fn read(&mut self, span: Range<u64>) -> Result<Bytes, FilesError> {
        let (store, object) = (Arc::clone(&self.store), self.object.clone());
        let reading = async move { store.get_range(&object, span).await };
        let read = self.calls.transfer("read an upload", reading).await?;
        read.map_err(|error| download::unreadable(self.name.to_owned(), error.into()))
    }
}

impl FileStore {
    /// Checks that a local file could be imported: it is a regular file and a whole TIFF.
    pub async fn check_importable(&self, path: &Path) -> Result<(), FilesError> {
        let path = path.to_path_buf();
        let source = self
            .read_source(move || ImportSource::open(&path))
            .await??;
        self.check_source(&source).await.map(drop)
    }

    /// Checks that a source is a whole TIFF; returns its length in bytes.
    pub(super) async fn check_source(&self, source: &ImportSource) -> Result<u64, FilesError> {
        let size = source.size()?;
        let spans = SourceSpans {
            calls: &self.calls,
            file: source.file(),
            path: source.path(),
        };
        let checked = check_structure(spans, size).await;
        checked.map_err(|error| files_error(error, source.path()))?;
        Ok(size)
    }

    /// Checks that an upload, which is complete under its temporary name, is a whole TIFF.
    pub(super) async fn check_staged(
        &self,
        staged: &ObjectPath,
        file: &StoredFile,
    ) -> Result<(), FilesError> {
        let spans = ObjectSpans {
            calls: &self.calls,
            store: Arc::clone(&self.store),
            object: staged,
            name: &file.name,
        };
        let checked = check_structure(spans, file.size).await;
        checked.map_err(|error| files_error(error, Path::new(&file.name)))
    }
}

fn files_error(error: StructureError<FilesError>, path: &Path) -> FilesError {
    match error {
        StructureError::Unreadable(error) => error,
        StructureError::Defective(defect) => FilesError::TiffDefective {
            path: path.into(),
            defect,
        },
    }
}
