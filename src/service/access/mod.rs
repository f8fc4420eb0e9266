//! Access: the one decision that mint and download share.
//!
//! May this caller read this dataset, and if not, what may the caller know? Because one place decides,
//! a minted token can be used, and access that is revoked ends for both.

pub mod catalog_view;
pub mod decisions;

use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::audit::AuditRecord;
use crate::domain::caller::Caller;
use crate::domain::dataset::{Dataset, DatasetFile};
use crate::domain::decision::Decision;
use crate::domain::id::DatasetId;
use crate::domain::resource::Resource;
use crate::files::{FileStore, FileVersion, FilesError};

use super::catalog_cache::CatalogCache;
use super::error::ServiceError;

use decisions::{Authorizer, Decisions};

/// The file of a dataset that the caller may read.
#[derive(Clone, Debug)]
pub struct ReadableFile {
    /// The file as it is now.
    pub file: Arc<FileVersion>,
    /// The decision that permitted it.
    pub decision: Decision,
}

/// Decides whether callers may read datasets.
pub struct Access {
    /// Finds users and datasets.
    pub catalog_cache: Arc<CatalogCache>,
    /// Asks the policies.
    pub decisions: Arc<Decisions>,
    /// The files.
    pub files: FileStore,
    /// Whether other servers have files of datasets, and ask about them.
    pub has_files_elsewhere: bool,
}

impl Access {
    /// Decides whether `caller` may read the file of the dataset, and writes the decision into `record`.
    pub async fn authorize_read(
        &self,
        caller: &Caller,
        dataset_id: DatasetId,
        record: &mut AuditRecord,
    ) -> Result<ReadableFile, ServiceError> {
        let authorizer = self.authorizer(caller)?;
        let (dataset, decision) = self.permit_read(&authorizer, dataset_id, record).await?;
        match self.existing_file(&dataset, record).await? {
            Some(file) => Ok(ReadableFile { file, decision }),
            None => Err(without_file(dataset_id, record)),
        }
    }

    /// The authorizer of `caller`, for one dataset or for several that are decided together.
    pub fn authorizer(&self, caller: &Caller) -> Result<Authorizer, ServiceError> {
        self.decisions.for_caller(caller.clone())
    }

    /// Decides as [`Access::authorize_read`] does, for a token: the file may lie with another server.
    pub async fn authorize_token(
        &self,
        authorizer: &Authorizer,
        dataset_id: DatasetId,
        record: &mut AuditRecord,
    ) -> Result<Decision, ServiceError> {
        let (dataset, decision) = self.permit_read(authorizer, dataset_id, record).await?;
        match &dataset.file {
            Some(file) if self.files.has(file).await? => Ok(decision),
            Some(file) => Err(missing_file(dataset_id, file, record)),
            None if self.has_files_elsewhere => Ok(decision),
            None => Err(without_file(dataset_id, record)),
        }
    }

    /// Decides whether the caller of `authorizer` may read the dataset, wherever its file is, and writes the decision
    /// into `record`.
    ///
    /// For a caller who may not even discover the dataset, it does not exist.
    pub async fn permit_read(
        &self,
        authorizer: &Authorizer,
        dataset_id: DatasetId,
        record: &mut AuditRecord,
    ) -> Result<(Arc<Dataset>, Decision), ServiceError> {
        record.set_caller(&authorizer.caller);
        record.dataset_id = Some(dataset_id);
        record.action = Some(Action::Read);
        let Some(dataset) = self.catalog_cache.dataset(dataset_id).await? else {
            record.reason = Some("the dataset does not exist".to_owned());
            return Err(ServiceError::DatasetNotFound);
        };
        let resource = Resource::Dataset(Arc::clone(&dataset));
        let decision = authorizer.decide_and_record(Action::Read, &resource, record);
        if !decision.is_permitted {
            return Err(deny_read(authorizer, &resource, record));
        }
        Ok((dataset, decision))
    }

    /// The dataset's file, if it has one.
    async fn existing_file(
        &self,
        dataset: &Dataset,
        record: &mut AuditRecord,
    ) -> Result<Option<Arc<FileVersion>>, ServiceError> {
        let Some(file) = &dataset.file else {
            return Ok(None);
        };
        match self.files.locate(file).await? {
            Some(located) => Ok(Some(located)),
            None => Err(missing_file(dataset.id, file, record)),
        }
    }
}

/// The error for a file that is not where the catalog has it.
fn missing_file(
    dataset_id: DatasetId,
    file: &DatasetFile,
    record: &mut AuditRecord,
) -> ServiceError {
    let reason = match file {
        DatasetFile::Stored(file) => {
            tracing::error!(%dataset_id, sha256 = file.sha256, "file missing from the file store");
            "the file is missing from the file store"
        }
        DatasetFile::Remote(file) => {
            tracing::error!(%dataset_id, %file, "file missing from its store");
            "the file is missing from its store"
        }
    };
    record.reason = Some(reason.to_owned());
    ServiceError::FileNotFound { dataset_id }
}

/// The error for a dataset that the caller may read, if there were a file.
fn without_file(dataset_id: DatasetId, record: &mut AuditRecord) -> ServiceError {
    record.reason = Some("the dataset has no file".to_owned());
    ServiceError::FileNotFound { dataset_id }
}

/// The error for a file that could not be read: one that was there seconds ago may be gone.
#[must_use]
pub fn read_error(dataset_id: DatasetId, error: FilesError) -> ServiceError {
    match error {
        FilesError::Missing { sha256, .. } => {
            tracing::error!(%dataset_id, sha256, "file missing from the file store");
            ServiceError::FileNotFound { dataset_id }
        }
        FilesError::RemoteMissing { file } => {
            tracing::error!(%dataset_id, %file, "file missing from its store");
            ServiceError::FileNotFound { dataset_id }
        }
        other => other.into(),
    }
}

/// How a read that is not permitted is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The caller must sign in first.
    SignInRequired,
    /// The caller may not read the dataset.
    Forbidden,
    /// The dataset does not exist for the caller.
    Hidden,
}

impl Denial {
    /// A caller who may discover the dataset may know that it exists.
    #[must_use]
    pub fn new(may_discover: bool, is_anonymous: bool) -> Self {
        match (may_discover, is_anonymous) {
            (true, true) => Self::SignInRequired,
            (true, false) => Self::Forbidden,
            (false, _) => Self::Hidden,
        }
    }
}

/// The error for a caller who may not read: the `discover` action decides what the caller may know.
fn deny_read(
    authorizer: &Authorizer,
    resource: &Resource,
    record: &mut AuditRecord,
) -> ServiceError {
    let discovery = authorizer.decide(Action::Discover, resource);
    record.errors.extend(discovery.errors);
    let is_anonymous = authorizer.caller.principal.is_anonymous();
    let (reason, error) = match Denial::new(discovery.is_permitted, is_anonymous) {
        Denial::SignInRequired => (
            "the caller may discover the dataset but not read it, and is not signed in",
            ServiceError::CredentialMissing {
                detail: "this dataset is not public: sign in and try again".to_owned(),
            },
        ),
        Denial::Forbidden => (
            "the caller may discover the dataset but not read it",
            ServiceError::ReadDenied,
        ),
        Denial::Hidden => (
            "the caller may not discover the dataset, and was answered that it does not exist",
            ServiceError::DatasetNotFound,
        ),
    };
    record.reason.get_or_insert_with(|| reason.to_owned());
    error
}
