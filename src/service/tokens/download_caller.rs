//! The caller of a download, by whichever credential it has.
//!
//! Downloads and forward-auth share it, so that the same credentials open a file wherever it lies.

use crate::domain::audit::AuditRecord;
use crate::domain::caller::Caller;
use crate::domain::id::DatasetId;
use crate::service::error::ServiceError;
use crate::service::folded_records::FoldedCredential;
use crate::service::identity::authentication::Authenticator;
use crate::service::identity::folded_credential::folded_credential;
use crate::service::identity::request_context::{Credential, RequestContext};
use crate::service::rate_limits::RateLimits;

/// The caller of a download.
pub(super) struct DownloadCaller {
    /// The caller.
    pub caller: Caller,
    /// Its credential, as records tell them apart.
    pub credential: FoldedCredential,
    /// When its download token expires, in seconds since 1970 UTC; none for other credentials.
    pub expires_at: Option<i64>,
}

/// Authenticates the caller of a download of `dataset_id`; the `jti` and the key of its token are written into
/// `record`.
pub(super) async fn authenticate(
    authenticator: &Authenticator,
    rate_limits: &RateLimits,
    request: &RequestContext,
    dataset_id: DatasetId,
    record: &mut AuditRecord,
) -> Result<DownloadCaller, ServiceError> {
    match &request.credential {
        Credential::None => Err(missing_credential(rate_limits, request, dataset_id)),
        Credential::DownloadToken(token) => {
            let (caller, expires_at) = authenticator
                .authenticate_download_token(request, token, dataset_id, record)
                .await?;
            let credential = record
                .jti
                .map_or(FoldedCredential::None, FoldedCredential::DownloadToken);
            Ok(DownloadCaller {
                caller,
                credential,
                expires_at: Some(expires_at),
            })
        }
        Credential::Bearer(_)
        | Credential::ApiKey(_)
        | Credential::Unsupported
        | Credential::Multiple
        | Credential::Malformed { .. } => {
            let (caller, source) = authenticator.authenticate_with_source(request).await?;
            Ok(DownloadCaller {
                credential: folded_credential(&caller, source.as_ref()),
                caller,
                expires_at: None,
            })
        }
    }
}

/// Every denial is recorded, so this counts like a failed authentication.
fn missing_credential(
    rate_limits: &RateLimits,
    request: &RequestContext,
    dataset_id: DatasetId,
) -> ServiceError {
    let counted = rate_limits.count_address(request.address.for_limits());
    counted.err().unwrap_or_else(|| ServiceError::CredentialMissing {
        detail: format!(
            "a download needs a credential, on public data too: mint a download token with POST \
             /auth/download-token/{dataset_id} and put it on ?token="
        ),
    })
}
