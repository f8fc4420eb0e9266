//! Downloads: from a credential to a dataset's bytes.
//!
//! The current policies decide, not those of the mint: access that was revoked after minting is denied.
//! A token's expiry is checked when a request begins; a long read may outlive it. HTTP's conditions and
//! ranges are left to the caller, which selects the span once it knows the file.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use url::Url;

use crate::domain::audit::{AuditEvent, AuditOutcome, AuditRecord};
use crate::domain::clock::Clock;
use crate::domain::id::DatasetId;
use crate::files::{ByteStream, FileStore, FileVersion, FilesError};
use crate::service::access::{Access, ReadableFile, read_error};
use crate::service::audit_trail::AuditTrail;
use crate::service::error::ServiceError;
use crate::service::folded_records::{CountedRequest, FoldedCredential};
use crate::service::identity::authentication::Authenticator;
use crate::service::identity::request_context::RequestContext;
use crate::service::rate_limits::RateLimits;

use super::download_caller;

/// The longest life of a presigned URL, in seconds; with a download token it is what is left of the token.
const MAX_REDIRECT_LIFETIME: i64 = 60;
/// How often a URL is signed anew because a second passed meanwhile.
const MAX_SIGNATURES: usize = 3;

/// An opened download.
pub struct Download {
    /// The file.
    pub file: Arc<FileVersion>,
    /// What is sent of it.
    pub content: DownloadContent,
}

/// What is sent of a file.
pub enum DownloadContent {
    /// Nothing: no span was selected.
    Nothing,
    /// The bytes of the selected span.
    Bytes(ByteStream),
    /// The bytes of the selected span, all of them at once; whoever sends them counts them.
    Chunk(Bytes, CountedRequest),
    /// A presigned URL, at which its store has the file.
    Redirect(Url),
}

/// A file that the caller may have.
struct GrantedFile {
    file: Arc<FileVersion>,
    /// When the download token expires, in seconds since 1970 UTC; none for other credentials.
    expires_at: Option<i64>,
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
    /// Opens a dataset's file; `select_span` selects the span to read once the file is known, and again if the file
    /// was replaced meanwhile.
    ///
    /// The audit record is durable before the first byte is read. The spans of one credential that follow
    /// from the same network are decided each, and counted in that record.
    pub async fn open(
        &self,
        request: &RequestContext,
        dataset_id: DatasetId,
        mut select_span: impl FnMut(&FileVersion) -> Option<Range<u64>>,
    ) -> Result<Download, ServiceError> {
        // Before anything is done for it.
        self.rate_limits
            .count_network_download(request.address.for_limits())?;
        let mut record = request.open_record(AuditEvent::Download, &self.clock);
        record.dataset_id = Some(dataset_id);
        let mut credential = FoldedCredential::None;
        // Awaited where it is made: a future that has a name before is in this one twice, and this one is moved.
        let result = self
            .authorize(request, dataset_id, &mut record, &mut credential)
            .await;
        let further = match &result {
            Ok(_) => self.audit.count_further(credential, &record),
            Err(_) => None,
        };
        let (granted, counted) = match (result, further) {
            (Ok(granted), Some(counted)) => (granted, counted),
            // Boxed, as is what has to wait for the file: most spans need neither.
            (result, _) => Box::pin(self.close_first(request, credential, record, result)).await?,
        };
        let span = select_span(&granted.file);
        if let Some(span) = &span
            && let Some(bytes) = self.files.read_at_once(&granted.file, span)
        {
            return Ok(Download {
                file: granted.file,
                content: DownloadContent::Chunk(bytes, counted),
            });
        }
        Box::pin(self.read(dataset_id, granted, span, counted, select_span)).await
    }

    /// Closes the record of a request that is refused, or that is the first of those like it.
    async fn close_first(
        &self,
        request: &RequestContext,
        credential: FoldedCredential,
        record: AuditRecord,
        result: Result<GrantedFile, ServiceError>,
    ) -> Result<(GrantedFile, CountedRequest), ServiceError> {
        let admit_refusal = |record: &AuditRecord| {
            let limits = &self.rate_limits;
            limits.count_refusal(record.user_id, request.address.for_limits())
        };
        self.audit
            .close_folded_record(credential, record, result, admit_refusal)
            .await
    }

    /// Reads a file that has to be waited for.
    async fn read(
        &self,
        dataset_id: DatasetId,
        granted: GrantedFile,
        span: Option<Range<u64>>,
        counted: CountedRequest,
        mut select_span: impl FnMut(&FileVersion) -> Option<Range<u64>>,
    ) -> Result<Download, ServiceError> {
        let GrantedFile {
            mut file,
            expires_at,
        } = granted;
        let mut content = self.content(expires_at, &file, span).await;
        if let Err(FilesError::RemoteReplaced { .. }) = content {
            let located = self.files.locate_anew(&file).await;
            let located = located.map_err(|error| read_error(dataset_id, error))?;
            file = located.ok_or(ServiceError::FileNotFound { dataset_id })?;
            content = self.content(expires_at, &file, select_span(&file)).await;
        }
        let content = match content.map_err(|error| read_error(dataset_id, error))? {
            DownloadContent::Bytes(bytes) => DownloadContent::Bytes(count_bytes(bytes, counted)),
            other => other,
        };
        Ok(Download { file, content })
    }

    async fn content(
        &self,
        expires_at: Option<i64>,
        file: &FileVersion,
        span: Option<Range<u64>>,
    ) -> Result<DownloadContent, FilesError> {
        let Some(span) = span else {
            return Ok(DownloadContent::Nothing);
        };
        if file.is_redirected
            && let Some(url) = self.presign(expires_at, file).await?
        {
            return Ok(DownloadContent::Redirect(url));
        }
        let bytes = self.files.read_version(file, span).await?;
        Ok(DownloadContent::Bytes(bytes))
    }

    /// A presigned URL that dies with the download token, or before; none if the file has to be streamed.
    async fn presign(
        &self,
        expires_at: Option<i64>,
        file: &FileVersion,
    ) -> Result<Option<Url>, FilesError> {
        for _ in 0..MAX_SIGNATURES {
            let Some(lifetime) = self.redirect_lifetime(expires_at) else {
                return Ok(None);
            };
            let url = self.files.presign(file, lifetime).await?;
            // Its life begins when it is signed, which may have had to wait for credentials.
            if self.redirect_lifetime(expires_at) == Some(lifetime) {
                return Ok(url);
            }
        }
        Ok(None)
    }

    /// How long a presigned URL may live: no longer than the download token that it stands for. None if there is
    /// nothing left of the token.
    fn redirect_lifetime(&self, expires_at: Option<i64>) -> Option<Duration> {
        let seconds = expires_at.map_or(MAX_REDIRECT_LIFETIME, |at| {
            at.saturating_sub(self.clock.unix_seconds())
        });
        let seconds = u64::try_from(seconds).ok().filter(|seconds| *seconds > 0)?;
        Some(Duration::from_secs(seconds))
    }

    /// Authenticates and decides.
    async fn authorize(
        &self,
        request: &RequestContext,
        dataset_id: DatasetId,
        record: &mut AuditRecord,
        credential: &mut FoldedCredential,
    ) -> Result<GrantedFile, ServiceError> {
        let found = download_caller::authenticate(
            &self.authenticator,
            &self.rate_limits,
            request,
            dataset_id,
            record,
        )
        .await?;
        *credential = found.credential;
        self.rate_limits.check_download(&found.caller)?;
        let ReadableFile { file, .. } = self
            .access
            .authorize_read(&found.caller, dataset_id, record)
            .await?;
        record.outcome = AuditOutcome::Granted;
        Ok(GrantedFile {
            file,
            expires_at: found.expires_at,
        })
    }
}

/// Counts the bytes as they are sent.
fn count_bytes(bytes: ByteStream, counted: CountedRequest) -> ByteStream {
    bytes
        .inspect_ok(move |chunk| counted.add_bytes(chunk.len() as u64))
        .boxed()
}
