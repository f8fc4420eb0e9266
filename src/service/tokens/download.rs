//! Downloads: from a credential to a dataset's bytes.
//!
//! The policies of now decide, not those of the mint: a share that was withdrawn closes the door.
//! A token's expiry counts when a request begins; a long read may outlive it. This module refuses
//! to know HTTP's conditions and ranges: the caller chooses the span once it knows the file.

use std::ops::Range;
use std::sync::Arc;

use crate::domain::audit::{AuditEvent, AuditOutcome, AuditRecord};
use crate::domain::caller::Caller;
use crate::domain::clock::Clock;
use crate::domain::dataset::StoredFile;
use crate::domain::id::DatasetId;
use crate::files::{ByteStream, FileStore};
use crate::service::access::{Access, ReadableDataset};
use crate::service::audit_trail::AuditTrail;
use crate::service::error::ServiceError;
use crate::service::identity::authentication::Authenticator;
use crate::service::identity::request_context::{Credential, RequestContext};
use crate::service::rate_limits::RateLimits;

/// What a download gives.
pub struct Download {
    /// The file.
    pub file: StoredFile,
    /// The bytes of the span that was asked for; none when no bytes were.
    pub bytes: Option<ByteStream>,
}

/// Opens datasets for those who may read them.
pub struct Downloads {
    /// Who asks.
    pub authenticator: Arc<Authenticator>,
    /// Where requests without a credential count.
    pub rate_limits: Arc<RateLimits>,
    /// Whether it may read.
    pub access: Arc<Access>,
    /// The files.
    pub files: FileStore,
    /// What remembers.
    pub audit: Arc<AuditTrail>,
    /// The time.
    pub clock: Clock,
}

impl Downloads {
    /// Opens a dataset's file; `choose` names the span to read once the file is known.
    ///
    /// The record is durable before the first byte is given away.
    pub async fn open(
        &self,
        visitor: &RequestContext,
        dataset_id: DatasetId,
        choose: impl FnOnce(&StoredFile) -> Option<Range<u64>>,
    ) -> Result<Download, ServiceError> {
        let mut record = visitor.open_record(AuditEvent::Download, &self.clock);
        record.dataset_id = Some(dataset_id);
        let answer = self.authorize(visitor, dataset_id, &mut record).await;
        let ReadableDataset { file, .. } = self.audit.close_record(record, answer).await?;
        let bytes = match choose(&file) {
            Some(span) => Some(self.files.read(&file, span).await?),
            None => None,
        };
        Ok(Download { file, bytes })
    }

    async fn authorize(
        &self,
        visitor: &RequestContext,
        dataset_id: DatasetId,
        record: &mut AuditRecord,
    ) -> Result<ReadableDataset, ServiceError> {
        let caller = self.authenticate(visitor, dataset_id, record).await?;
        let readable = self
            .access
            .authorize_read(&caller, dataset_id, record)
            .await?;
        record.outcome = AuditOutcome::Granted;
        Ok(readable)
    }

    async fn authenticate(
        &self,
        visitor: &RequestContext,
        dataset_id: DatasetId,
        record: &mut AuditRecord,
    ) -> Result<Caller, ServiceError> {
        match &visitor.credential {
            Credential::None => {
                // It asks for a record of every refusal, so it counts like a failed authentication.
                self.rate_limits.count_address(visitor.address)?;
                Err(ServiceError::CredentialMissing {
                    detail: format!(
                        "a download needs a credential, on public data too: mint a download token \
                         with POST /auth/download-token/{dataset_id} and put it on ?token="
                    ),
                })
            }
            Credential::DownloadToken(token) => {
                self.authenticator
                    .authenticate_download_token(visitor, token, dataset_id, record)
                    .await
            }
            Credential::Bearer(_)
            | Credential::ApiKey(_)
            | Credential::Unsupported
            | Credential::Malformed { .. } => self.authenticator.authenticate(visitor).await,
        }
    }
}
