//! Forward-auth: whether a file server may answer a request for a dataset's file that lies with it.
//!
//! The server asks with every request of its clients, each span of a file one. It is decided, limited and put on
//! record as a download is; only the bytes are the file server's.

use std::sync::Arc;

use crate::config::ForwardAuthCheck;
use crate::domain::action::Action;
use crate::domain::audit::{AuditEvent, AuditOutcome, AuditRecord};
use crate::domain::clock::Clock;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::secret::Secret;
use crate::service::access::Access;
use crate::service::audit_trail::AuditTrail;
use crate::service::error::ServiceError;
use crate::service::folded_records::FoldedCredential;
use crate::service::identity::authentication::Authenticator;
use crate::service::identity::request_context::{Credential, RequestContext};
use crate::service::rate_limits::RateLimits;

use super::download_caller;

/// How long what the policies permit may be remembered, in seconds: a change of them, too, is in force everywhere
/// within one second.
const MAX_DECISION_AGE: u32 = 1;

/// What the record of a check says that asked no policies.
const SIGNATURE_ONLY: &str =
    "the download token is valid for the dataset; the policies were not asked (forward_auth_check)";

/// A request that the file server may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PermittedRequest {
    /// Who asks; none is an anonymous caller.
    pub user_id: Option<UserId>,
    /// For how many seconds the same question has the same answer.
    pub max_age: u32,
}

/// Decides for file servers.
pub struct ForwardAuth {
    /// Authenticates the caller.
    pub authenticator: Arc<Authenticator>,
    /// Limits requests as downloads.
    pub rate_limits: Arc<RateLimits>,
    /// Decides whether the caller may read the dataset.
    pub access: Arc<Access>,
    /// Records what was permitted and what was not.
    pub audit: Arc<AuditTrail>,
    /// The clock.
    pub clock: Clock,
    /// What is checked of a download token.
    pub check: ForwardAuthCheck,
}

impl ForwardAuth {
    /// Decides whether the file of `dataset_id` may be sent to the client whose request this is.
    ///
    /// The first request of a credential is on record before the answer; those like it are counted there.
    pub async fn verify(
        &self,
        request: &RequestContext,
        dataset_id: DatasetId,
    ) -> Result<PermittedRequest, ServiceError> {
        let address = request.address.for_limits();
        self.rate_limits.count_network_download(address)?;
        let mut record = request.open_record(AuditEvent::Verify, &self.clock);
        record.dataset_id = Some(dataset_id);
        let mut credential = FoldedCredential::None;
        let result = self
            .decide(request, dataset_id, &mut record, &mut credential)
            .await;
        if let Ok(permitted) = result
            && self.audit.count_further(credential, &record).is_some()
        {
            return Ok(permitted);
        }
        let admit_refusal =
            |record: &AuditRecord| self.rate_limits.count_refusal(record.user_id, address);
        let closing = self
            .audit
            .close_folded_record(credential, record, result, admit_refusal);
        let (permitted, _) = Box::pin(closing).await?;
        Ok(permitted)
    }

    async fn decide(
        &self,
        request: &RequestContext,
        dataset_id: DatasetId,
        record: &mut AuditRecord,
        credential: &mut FoldedCredential,
    ) -> Result<PermittedRequest, ServiceError> {
        if let (ForwardAuthCheck::Signature, Credential::DownloadToken(token)) =
            (self.check, &request.credential)
        {
            return self.check_signature(request, token, dataset_id, record, credential);
        }
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
        let authorizer = self.access.authorizer(&found.caller)?;
        self.access
            .permit_read(&authorizer, dataset_id, record)
            .await?;
        record.outcome = AuditOutcome::Granted;
        let left = found.expires_at.map_or(MAX_DECISION_AGE, |expires_at| {
            self.seconds_until(expires_at)
        });
        Ok(PermittedRequest {
            user_id: found.caller.principal.user_id(),
            max_age: left.min(MAX_DECISION_AGE),
        })
    }

    /// What every verifier that has nothing but the key set checks.
    fn check_signature(
        &self,
        request: &RequestContext,
        token: &Secret<String>,
        dataset_id: DatasetId,
        record: &mut AuditRecord,
        credential: &mut FoldedCredential,
    ) -> Result<PermittedRequest, ServiceError> {
        let claims = self
            .authenticator
            .verify_download_signature(request, token, dataset_id, record)?;
        *credential = FoldedCredential::DownloadToken(claims.id);
        record.user_id = claims.subject;
        record.action = Some(Action::Read);
        let address = request.address.for_limits();
        self.rate_limits
            .count_download_of(claims.subject, address)?;
        record.outcome = AuditOutcome::Granted;
        record.reason = Some(SIGNATURE_ONLY.to_owned());
        Ok(PermittedRequest {
            user_id: claims.subject,
            max_age: self.seconds_until(claims.expires_at),
        })
    }

    fn seconds_until(&self, expires_at: i64) -> u32 {
        let left = expires_at.saturating_sub(self.clock.unix_seconds());
        u32::try_from(left).unwrap_or_default()
    }
}
