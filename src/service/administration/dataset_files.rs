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
use crate::service::identity::request_context::Visitor;
use crate::storage::NamedDataset;

use super::super::error::ServiceError;
use super::dataset_input::{Planned, invalid};
use super::datasets::{Change, IsWanted};
use super::{Administration, Errand};

impl Administration {
    /// Makes a TIFF that comes in as a stream the dataset's file.
    ///
    /// Nobody's bytes are taken before the policies permitted it. `name` is what a download is to be
    /// called; left out, it is called as before, or by the dataset's id.
    pub async fn upload_file(
        &self,
        visitor: &Visitor,
        id: DatasetId,
        name: Option<&str>,
        is_wanted: IsWanted<'_>,
        bytes: &mut (impl Stream<Item = io::Result<Bytes>> + Unpin),
    ) -> Result<NamedDataset, ServiceError> {
        let mut errand = self.begin(visitor, Action::Administer).await?;
        let answer = async {
            let before = self.wanted(&mut errand, id, is_wanted).await?;
            let known = before.dataset.file.map(|file| file.name);
            let name = name.map(str::to_owned).or(known);
            let name = name.unwrap_or_else(|| id.to_string());
            let now = self.clock.unix_seconds();
            let stored = self.files.receive(&name, now, bytes).await;
            let stored = stored.map_err(|error| refusal("file", error))?;
            self.give(&mut errand, id, is_wanted, Some(stored)).await
        };
        let answer = answer.await;
        self.end(errand, answer).await
    }

    /// Makes a copy of a TIFF in the import folder the dataset's file.
    pub async fn import_file(
        &self,
        visitor: &Visitor,
        id: DatasetId,
        path: &Path,
        is_wanted: IsWanted<'_>,
    ) -> Result<NamedDataset, ServiceError> {
        let mut errand = self.begin(visitor, Action::Administer).await?;
        let answer = async {
            self.wanted(&mut errand, id, is_wanted).await?;
            let now = self.clock.unix_seconds();
            let stored = self.files.import_beneath(path, now).await;
            let stored = stored.map_err(|error| refusal("path", error))?;
            self.give(&mut errand, id, is_wanted, Some(stored)).await
        };
        let answer = answer.await;
        self.end(errand, answer).await
    }

    /// Takes the file away from a dataset; there need not be one.
    pub async fn remove_file(
        &self,
        visitor: &Visitor,
        id: DatasetId,
        is_wanted: IsWanted<'_>,
    ) -> Result<NamedDataset, ServiceError> {
        let mut errand = self.begin(visitor, Action::Administer).await?;
        let answer = self.give(&mut errand, id, is_wanted, None).await;
        self.end(errand, answer).await
    }

    /// The dataset as it is, if one may administer it and still wants to.
    async fn wanted(
        &self,
        errand: &mut Errand,
        id: DatasetId,
        is_wanted: IsWanted<'_>,
    ) -> Result<NamedDataset, ServiceError> {
        let before = self.administered(errand, id).await?;
        if is_wanted(&before) {
            Ok(before)
        } else {
            Err(ServiceError::Overtaken)
        }
    }

    async fn give(
        &self,
        errand: &mut Errand,
        id: DatasetId,
        is_wanted: IsWanted<'_>,
        file: Option<StoredFile>,
    ) -> Result<NamedDataset, ServiceError> {
        let change = Change::File(file);
        self.make_it(errand, id, is_wanted, &change).await
    }
}

pub(super) fn with_file(before: &NamedDataset, file: Option<StoredFile>) -> Planned {
    let mut named = before.clone();
    named.dataset.file = file.map(|file| kept(file, before));
    Planned {
        named,
        complaint: None,
    }
}

/// The same bytes keep the time they were first stored: their Last-Modified must not move.
fn kept(file: StoredFile, before: &NamedDataset) -> StoredFile {
    match &before.dataset.file {
        Some(old) if old.sha256 == file.sha256 => StoredFile {
            modified: old.modified,
            ..file
        },
        Some(_) | None => file,
    }
}

/// What is the sender's mistake, told apart from what is wrong with the store.
fn refusal(field: &'static str, error: FilesError) -> ServiceError {
    match error {
        FilesError::NotArrived { source, .. } => ServiceError::NotArrived { source },
        FilesError::SourceMissing { .. }
        | FilesError::SourceNotRegular { .. }
        | FilesError::SourceEmpty { .. }
        | FilesError::SourceOutside { .. }
        | FilesError::SourceChanged { .. }
        | FilesError::SourceUnreadable { .. }
        | FilesError::NotATiff { .. } => invalid(field, error.to_string()),
        FilesError::FolderUnusable { .. }
        | FilesError::NotStored { .. }
        | FilesError::NotADigest { .. }
        | FilesError::Missing { .. }
        | FilesError::Damaged { .. }
        | FilesError::SpanOutside { .. }
        | FilesError::Unreadable { .. } => error.into(),
    }
}
