//! The files of datasets: uploaded, taken from the import folder, and taken away.
//!
//! A file is in the store, whole and durable, before a dataset names it. One that no dataset names any
//! more stays in the store: another dataset may name the same content, a download may be going on, and
//! an older copy of the catalog may be put back. This module refuses to know how files are kept.

use std::io;
use std::path::Path;

use bytes::Bytes;
use futures_util::Stream;

use crate::domain::action::Action;
use crate::domain::dataset::StoredFile;
use crate::domain::id::DatasetId;
use crate::files::FilesError;
use crate::service::identity::request_context::RequestContext;
use crate::storage::DatasetWithNames;

use super::super::error::ServiceError;
use super::dataset_input::{DatasetCandidate, invalid};
use super::datasets::{DatasetChange, DatasetPrecondition};
use super::{AdminOperation, Administration};

impl Administration {
    /// Makes a TIFF that comes in as a stream the dataset's file.
    ///
    /// Nobody's bytes are taken before the policies permitted it. `name` is what a download is to be
    /// called; left out, it is called as before, or by the dataset's id.
    pub async fn upload_file(
        &self,
        visitor: &RequestContext,
        id: DatasetId,
        name: Option<&str>,
        is_wanted: DatasetPrecondition<'_>,
        bytes: &mut (impl Stream<Item = io::Result<Bytes>> + Unpin),
    ) -> Result<DatasetWithNames, ServiceError> {
        let mut errand = self.begin(visitor, Action::Administer).await?;
        let answer = async {
            let before = self
                .check_before_transfer(&mut errand, id, is_wanted)
                .await?;
            let known = before.dataset.file.map(|file| file.name);
            let name = name.map(str::to_owned).or(known);
            let name = name.unwrap_or_else(|| id.to_string());
            let now = self.clock.unix_seconds();
            let stored = self.files.upload(&name, now, bytes).await;
            let stored = stored.map_err(|error| file_error("file", error))?;
            self.set_file(&mut errand, id, is_wanted, Some(stored))
                .await
        };
        let answer = answer.await;
        self.end(errand, answer).await
    }

    /// Makes a copy of a TIFF in the import folder the dataset's file.
    pub async fn import_file(
        &self,
        visitor: &RequestContext,
        id: DatasetId,
        path: &Path,
        is_wanted: DatasetPrecondition<'_>,
    ) -> Result<DatasetWithNames, ServiceError> {
        let mut errand = self.begin(visitor, Action::Administer).await?;
        let answer = async {
            self.check_before_transfer(&mut errand, id, is_wanted)
                .await?;
            let now = self.clock.unix_seconds();
            let stored = self.files.import_from_dir(path, now).await;
            let stored = stored.map_err(|error| file_error("path", error))?;
            self.set_file(&mut errand, id, is_wanted, Some(stored))
                .await
        };
        let answer = answer.await;
        self.end(errand, answer).await
    }

    /// Takes the file away from a dataset; there need not be one.
    pub async fn remove_file(
        &self,
        visitor: &RequestContext,
        id: DatasetId,
        is_wanted: DatasetPrecondition<'_>,
    ) -> Result<DatasetWithNames, ServiceError> {
        let mut errand = self.begin(visitor, Action::Administer).await?;
        let answer = self.set_file(&mut errand, id, is_wanted, None).await;
        self.end(errand, answer).await
    }

    /// The dataset as it is, if one may administer it and still wants to.
    async fn check_before_transfer(
        &self,
        errand: &mut AdminOperation,
        id: DatasetId,
        is_wanted: DatasetPrecondition<'_>,
    ) -> Result<DatasetWithNames, ServiceError> {
        let before = self.load_for_admin(errand, id).await?;
        if is_wanted(&before) {
            Ok(before)
        } else {
            Err(ServiceError::PreconditionFailed)
        }
    }

    async fn set_file(
        &self,
        errand: &mut AdminOperation,
        id: DatasetId,
        is_wanted: DatasetPrecondition<'_>,
        file: Option<StoredFile>,
    ) -> Result<DatasetWithNames, ServiceError> {
        let change = DatasetChange::File(file);
        self.apply_change(errand, id, is_wanted, &change).await
    }
}

pub(super) fn with_file(before: &DatasetWithNames, file: Option<StoredFile>) -> DatasetCandidate {
    let mut named = before.clone();
    named.dataset.file = file.map(|file| keep_modified_time(file, before));
    DatasetCandidate { named, error: None }
}

/// The same bytes keep the time they were first stored: their Last-Modified must not move.
fn keep_modified_time(file: StoredFile, before: &DatasetWithNames) -> StoredFile {
    match &before.dataset.file {
        Some(old) if old.sha256 == file.sha256 => StoredFile {
            modified: old.modified,
            ..file
        },
        Some(_) | None => file,
    }
}

/// What is the sender's mistake, told apart from what is wrong with the store.
fn file_error(field: &'static str, error: FilesError) -> ServiceError {
    match error {
        FilesError::UploadIncomplete { source, .. } => ServiceError::UploadIncomplete { source },
        FilesError::SourceMissing { .. }
        | FilesError::SourceNotRegular { .. }
        | FilesError::SourceEmpty { .. }
        | FilesError::SourceOutsideFolder { .. }
        | FilesError::SourceChanged { .. }
        | FilesError::SourceUnreadable { .. }
        | FilesError::NotATiff { .. } => invalid(field, error.to_string()),
        FilesError::FolderUnusable { .. }
        | FilesError::StoreFailed { .. }
        | FilesError::InvalidDigest { .. }
        | FilesError::Missing { .. }
        | FilesError::Damaged { .. }
        | FilesError::SpanOutOfRange { .. }
        | FilesError::Unreadable { .. } => error.into(),
    }
}
