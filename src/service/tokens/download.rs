//! Downloads: from a credential to a dataset's bytes.
//!
//! The current policies decide, not those of the mint: access that was revoked after minting is denied.
//! A token's expiry is checked when a request begins; a long read may outlive it. HTTP's conditions and
//! ranges are left to the caller, which selects the span once it knows the file.

use std::ops::Range;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt};

use crate::domain::audit::{AuditEvent, AuditOutcome, AuditRecord};
use crate::domain::clock::Clock;
use crate::domain::dataset::StoredFile;
use crate::domain::id::DatasetId;
use crate::files::{ByteStream, FileStore};
use crate::service::access::{Access, ReadableFile, read_error};
use crate::service::audit_trail::AuditTrail;
use crate::service::error::ServiceError;
use crate::service::folded_records::{CountedRequest, FoldedCredential};
use crate::service::identity::authentication::Authenticator;
use crate::service::identity::request_context::RequestContext;
use crate::service::rate_limits::RateLimits;

use super::download_caller;

/// An opened download.
pub struct Download {
    /// The file.
    pub file: StoredFile,
    /// The bytes of the selected span; none if no span was selected.
    pub bytes: Option<ByteStream>,
}

/// Opens downloads.
pub struct Downloads {
    /// Authenticates the caller.
    pub authenticator: Arc<Authenticator>,
    /// Counts requests without a credential.
    pub rate_limits: Arc<RateLimits>,
    /// Decides whether the caller may read the dataset.
    pub access: Arc<Access>,
    /// The files.
    pub files: FileStore,
    /// Records the download.
    pub audit: Arc<AuditTrail>,
    /// The clock.
    pub clock: Clock,
}

impl Downloads {
    /// Opens a dataset's file; `select_span` selects the span to read once the file is known.
    ///
    /// The audit record is durable before the first byte is read. The spans of one credential that follow
    /// from the same network are decided each, and counted in that record.
    pub async fn open(
        &self,
        request: &RequestContext,
        dataset_id: DatasetId,
        select_span: impl FnOnce(&StoredFile) -> Option<Range<u64>>,
    ) -> Result<Download, ServiceError> {
        // Before anything is done for it.
        self.rate_limits
            .count_network_download(request.address.for_limits())?;
        let mut record = request.open_record(AuditEvent::Download, &self.clock);
        record.dataset_id = Some(dataset_id);
        let mut credential = FoldedCredential::None;
        let authorizing = self.authorize(request, dataset_id, &mut record, &mut credential);
        let result = authorizing.await;
        let admit_refusal = |record: &AuditRecord| {
            let limits = &self.rate_limits;
            limits.count_refusal(record.user_id, request.address.for_limits())
        };
        let closing = self
            .audit
            .close_folded_record(credential, record, result, admit_refusal);
        let (ReadableFile { file, .. }, counted) = closing.await?;
        let bytes = match select_span(&file) {
            Some(span) => {
                let reading = self.files.read(&file, span).await;
                let bytes = reading.map_err(|error| read_error(dataset_id, error))?;
                Some(count_bytes(bytes, counted))
            }
            None => None,
        };
        Ok(Download { file, bytes })
    }

    async fn authorize(
        &self,
        request: &RequestContext,
        dataset_id: DatasetId,
        record: &mut AuditRecord,
        credential: &mut FoldedCredential,
    ) -> Result<ReadableFile, ServiceError> {
        let authenticating = download_caller::authenticate(
            &self.authenticator,
            &self.rate_limits,
            request,
            dataset_id,
            record,
        );
        let found = authenticating.await?;
        *credential = found.credential;
        self.rate_limits.check_download(&found.caller)?;
        let readable = self
            .access
            .authorize_read(&found.caller, dataset_id, record)
            .await?;
        record.outcome = AuditOutcome::Granted;
        Ok(readable)
    }
}

/// Counts the bytes as they are sent.
fn count_bytes(bytes: ByteStream, counted: CountedRequest) -> ByteStream {
    bytes
        .inspect_ok(move |chunk| counted.add_bytes(chunk.len() as u64))
        .boxed()
}
