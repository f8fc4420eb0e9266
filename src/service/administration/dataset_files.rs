//! The files of datasets: uploaded, imported and removed.
//!
//! A file is in the store, whole and durable, before a dataset names it. One that no dataset names any
//! more is removed after a while ([`mod@crate::service::unused_files`]): another dataset may name the same
//! content, a download may be in progress, and an older copy of the catalog may be restored.
//!
//! Uploads and imports take turns, of which one user and one network have only a part. They take theirs
//! once they are permitted.

use std::io;
use std::path::Path;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use parking_lot::Mutex;

use crate::domain::action::Action;
use crate::domain::dataset::{DatasetFile, StoredFile};
use crate::domain::id::DatasetId;
use crate::files::FilesError;
use crate::service::error::ServiceError;
use crate::service::fair_turns::Turn;
use crate::service::identity::request_context::RequestContext;
use crate::storage::DatasetWithNames;

use super::Administration;
use super::dataset_input::DatasetCandidate;
use super::operation::{AdminOperation, DatasetTarget, Precondition};

impl Administration {
    /// Stores a TIFF from a stream as the dataset's file.
    ///
    /// The policies decide before the first byte is read, and again once the file is stored. `name` is
    /// what a download is called; without one it stays as before, or is the dataset's id.
    pub async fn upload_file(
        &self,
        request: &RequestContext,
        id: DatasetId,
        name: Option<&str>,
        precondition: Precondition<'_, DatasetWithNames>,
        bytes: &mut (impl Stream<Item = io::Result<Bytes>> + Unpin),
    ) -> Result<DatasetWithNames, ServiceError> {
        self.audited(request, Action::Administer, async |operation| {
            self.require_disk_space()?;
            let before = self
                .load_matching(&operation, DatasetTarget::administered(id), precondition)
                .await?;
            check_not_elsewhere(&before)?;
            let current = before.dataset.file.as_ref().and_then(DatasetFile::stored);
            let current = current.map(|file| file.name.clone());
            let name = name.map(str::to_owned).or(current);
            let name = name.unwrap_or_else(|| id.to_string());
            let turn = self.take_upload_turn(&operation).await?;
            let mut bytes = bytes.map(|chunk| {
                let has_room = self.require_disk_space();
                has_room.map_err(|error| io::Error::new(io::ErrorKind::StorageFull, error))?;
                chunk
            });
            let stored = self.files.upload(&name, &self.clock, &mut bytes).await;
            let stored = stored.map_err(|error| file_error("file", error))?;
            drop(turn);
            self.set_file(&operation, id, precondition, Some(&stored))
                .await
        })
        .await
    }

    /// Copies a TIFF from the import folder as the dataset's file.
    pub async fn import_file(
        &self,
        request: &RequestContext,
        id: DatasetId,
        path: &Path,
        precondition: Precondition<'_, DatasetWithNames>,
    ) -> Result<DatasetWithNames, ServiceError> {
        self.audited(request, Action::Administer, async |operation| {
            self.require_disk_space()?;
            let before = self
                .load_matching(&operation, DatasetTarget::administered(id), precondition)
                .await?;
            check_not_elsewhere(&before)?;
            let turn = self.take_upload_turn(&operation).await?;
            let now = self.clock.unix_seconds();
            let stored = self.files.import_from_dir(path, now).await;
            let stored = stored.map_err(|error| file_error("path", error))?;
            drop(turn);
            self.set_file(&operation, id, precondition, Some(&stored))
                .await
        })
        .await
    }

    /// Removes the file from a dataset, if it has one.
    pub async fn remove_file(
        &self,
        request: &RequestContext,
        id: DatasetId,
        precondition: Precondition<'_, DatasetWithNames>,
    ) -> Result<DatasetWithNames, ServiceError> {
        self.audited(request, Action::Administer, async |operation| {
            self.set_file(&operation, id, precondition, None).await
        })
        .await
    }

    async fn set_file(
        &self,
        operation: &AdminOperation,
        id: DatasetId,
        precondition: Precondition<'_, DatasetWithNames>,
        file: Option<&StoredFile>,
    ) -> Result<DatasetWithNames, ServiceError> {
        let target = DatasetTarget::administered(id);
        let replaced = Mutex::new(None);
        let remember = &replaced;
        let changed = self
            .apply_change(operation, target, precondition, |before| async move {
                let mut dataset = (*before).clone();
                if file.is_some() {
                    check_not_elsewhere(&before)?;
                }
                let stored = file.map(|file| keep_modified_time(file, &before));
                dataset.dataset.file = stored.map(DatasetFile::Stored);
                remember.lock().clone_from(&before.dataset.file);
                Ok(DatasetCandidate::valid(dataset))
            })
            .await?;
        if let Some(replaced) = replaced.into_inner() {
            self.mark_unused_from_now(&replaced).await;
        }
        Ok(changed)
    }

    /// Lets the time begin after which a file is removed that no dataset names any more.
    pub(super) async fn mark_unused_from_now(&self, file: &DatasetFile) {
        let DatasetFile::Stored(file) = file else {
            return;
        };
        let now = self.clock.unix_seconds();
        if let Err(error) = self.files.mark_used(file, now).await {
            // It may be removed earlier, if nobody else names it.
            tracing::warn!(%error, sha256 = file.sha256, "replaced file not marked");
        }
    }

    async fn take_upload_turn(&self, operation: &AdminOperation) -> Result<Turn, ServiceError> {
        let authorizer = operation.authorizer();
        let caller = authorizer.as_ref().map(|authorizer| &authorizer.caller);
        self.upload_turns.take(caller).await
    }
}

/// A file elsewhere is the operator's: what is uploaded must not take its place unasked.
fn check_not_elsewhere(before: &DatasetWithNames) -> Result<(), ServiceError> {
    match before.dataset.file.as_ref().and_then(DatasetFile::remote) {
        None => Ok(()),
        Some(_) => Err(ServiceError::conflict(
            "file",
            "the file of this dataset is outside the file store, where nothing is uploaded: delete it from the \
             dataset first, or change it in the catalog file",
        )),
    }
}

/// The same content keeps the time it was first stored: its Last-Modified must not change.
fn keep_modified_time(file: &StoredFile, before: &DatasetWithNames) -> StoredFile {
    let unchanged = before.dataset.file.as_ref().and_then(DatasetFile::stored);
    let unchanged = unchanged.filter(|old| old.sha256 == file.sha256);
    StoredFile {
        modified: unchanged.map_or(file.modified, |old| old.modified),
        ..file.clone()
    }
}

/// Distinguishes the sender's mistakes from failures of the store.
fn file_error(field: &'static str, error: FilesError) -> ServiceError {
    match error {
        FilesError::UploadIncomplete { source, .. } => ServiceError::UploadIncomplete { source },
        FilesError::SourceMissing { .. }
        | FilesError::SourceNotRegular { .. }
        | FilesError::SourceEmpty { .. }
        | FilesError::SourceOutsideFolder { .. }
        | FilesError::SourceChanged { .. }
        | FilesError::SourceUnreadable { .. }
        | FilesError::TiffDefective { .. } => ServiceError::invalid(field, error.to_string()),
        FilesError::FolderUnusable { .. }
        | FilesError::StoreFailed { .. }
        | FilesError::InvalidDigest { .. }
        | FilesError::Missing { .. }
        | FilesError::Damaged { .. }
        | FilesError::SpanOutOfRange { .. }
        | FilesError::Unresponsive { .. }
        | FilesError::Unreadable { .. }
        | FilesError::RemoteStoreUnusable { .. }
        | FilesError::RemoteStoreUnknown { .. }
        | FilesError::RemoteMissing { .. }
        | FilesError::RemoteReplaced { .. }
        | FilesError::RemoteRefused { .. }
        | FilesError::RemoteUnavailable { .. } => error.into(),
    }
}
