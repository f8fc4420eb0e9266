//! Access: the one question that mint and download both ask.
//!
//! May this caller read this dataset, and if not, what may it be told? Because there is one place
//! that asks, a token that was minted opens, and a share that was withdrawn closes both doors.
//! This module refuses to know tokens and spans.

pub mod catalog_view;
pub mod decisions;

use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::audit::AuditRecord;
use crate::domain::caller::Caller;
use crate::domain::dataset::{Dataset, StoredFile};
use crate::domain::decision::Decision;
use crate::domain::id::DatasetId;
use crate::domain::resource::Resource;
use crate::files::FileStore;

use super::catalog_cache::CatalogCache;
use super::error::ServiceError;

use decisions::{Authorizer, Decisions};

/// What a caller who may read gets to read.
#[derive(Clone, Debug)]
pub struct ReadableDataset {
    /// The dataset.
    pub dataset: Arc<Dataset>,
    /// Its file.
    pub file: StoredFile,
    /// The decision that permitted it.
    pub decision: Decision,
}

/// Asks whether callers may read datasets.
pub struct Access {
    /// The users and datasets.
    pub catalog_cache: Arc<CatalogCache>,
    /// What the policies say.
    pub decisions: Arc<Decisions>,
    /// The files.
    pub files: FileStore,
}

impl Access {
    /// Decides whether `caller` may read the dataset, and writes into `record` what was decided.
    ///
    /// A caller who may not even discover the dataset is told that there is none.
    pub async fn authorize_read(
        &self,
        caller: &Caller,
        dataset_id: DatasetId,
        record: &mut AuditRecord,
    ) -> Result<ReadableDataset, ServiceError> {
        let asker = self.decisions.for_caller(caller.clone());
        asker.record_caller(record);
        record.dataset_id = Some(dataset_id);
        record.action = Some(Action::Read);
        let Some(dataset) = self.catalog_cache.dataset(dataset_id).await? else {
            record.reason = Some("there is no such dataset".to_owned());
            return Err(ServiceError::DatasetNotFound);
        };
        let resource = Resource::Dataset(Arc::clone(&dataset));
        let decision = asker.decide_and_record(Action::Read, &resource, record);
        if !decision.is_permitted {
            return Err(deny_read(&asker, &resource, record));
        }
        match dataset.file.clone() {
            Some(file) if self.files.contains(&file).await? => Ok(ReadableDataset {
                dataset,
                file,
                decision,
            }),
            Some(file) => {
                tracing::error!(%dataset_id, sha256 = file.sha256, "the file store lost a file");
                record.reason = Some("the file is missing from the file store".to_owned());
                Err(ServiceError::FileNotFound { dataset_id })
            }
            None => {
                record.reason = Some("the dataset has no file".to_owned());
                Err(ServiceError::FileNotFound { dataset_id })
            }
        }
    }
}

/// What a caller is told who may not read a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// To sign in.
    SignInRequired,
    /// That it may not read.
    Forbidden,
    /// That there is no such dataset.
    Hidden,
}

impl Denial {
    /// Who may discover the dataset is told that it is there.
    #[must_use]
    pub fn new(may_discover: bool, is_anonymous: bool) -> Self {
        match (may_discover, is_anonymous) {
            (true, true) => Self::SignInRequired,
            (true, false) => Self::Forbidden,
            (false, _) => Self::Hidden,
        }
    }
}

/// What a caller who may not read is told: policy decides that too, by `discover`.
fn deny_read(asker: &Authorizer, resource: &Resource, record: &mut AuditRecord) -> ServiceError {
    let discovery = asker.decide(Action::Discover, resource);
    record.errors.extend(discovery.errors);
    let is_anonymous = asker.caller.principal.is_anonymous();
    let (reason, denial) = match Denial::new(discovery.is_permitted, is_anonymous) {
        Denial::SignInRequired => (
            "the caller may discover the dataset and not read it; it did not sign in",
            ServiceError::CredentialMissing {
                detail: "this dataset is not for everyone: sign in and try again".to_owned(),
            },
        ),
        Denial::Forbidden => (
            "the caller may discover the dataset and not read it",
            ServiceError::ReadDenied,
        ),
        Denial::Hidden => (
            "the caller may not discover the dataset, and was told that there is none",
            ServiceError::DatasetNotFound,
        ),
    };
    record.reason.get_or_insert_with(|| reason.to_owned());
    denial
}
