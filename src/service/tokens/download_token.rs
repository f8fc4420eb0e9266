//! Download tokens: the mint.
//!
//! [`DownloadTokens::issue`] is the whole product in order: authenticate, check the rate limit,
//! authorize, sign, record, reply. [`mod@super::download_token_batch`] takes the same steps for several datasets.

use std::sync::Arc;

use crate::domain::audit::{AuditEvent, AuditOutcome, AuditRecord, MintContext};
use crate::domain::caller::Caller;
use crate::domain::clock::Clock;
use crate::domain::decision::Decision;
use crate::domain::id::DatasetId;
use crate::domain::secret::Secret;
use crate::service::access::Access;
use crate::service::audit_trail::AuditTrail;
use crate::service::error::ServiceError;
use crate::service::identity::authentication::Authenticator;
use crate::service::identity::request_context::RequestContext;
use crate::service::rate_limits::RateLimits;
use crate::token::DownloadGrant;

use super::key_ring::KeyRing;
use super::mint_contexts::MintContexts;

/// An issued download token.
#[derive(Debug)]
pub struct DownloadToken {
    /// The signed token.
    pub token: Secret<String>,
    /// Its lifetime, in seconds.
    pub expires_in: u32,
}

/// Issues download tokens.
pub struct DownloadTokens {
    /// Authenticates the caller.
    pub authenticator: Arc<Authenticator>,
    /// Limits how often a caller may mint.
    pub rate_limits: Arc<RateLimits>,
    /// Decides whether the caller may read the dataset.
    pub access: Arc<Access>,
    /// Signs the token.
    pub key_ring: Arc<KeyRing>,
    /// Records the mint.
    pub audit: Arc<AuditTrail>,
    /// Keeps how the caller authenticated, for the download.
    pub mint_contexts: Arc<MintContexts>,
    /// The clock.
    pub clock: Clock,
    /// The maximum lifetime of a token, in seconds; policies may shorten it.
    pub max_ttl: u32,
}

impl DownloadTokens {
    /// Issues a token for one dataset; a token leaves only after its audit record is durable, and so
    /// does a denial.
    pub async fn issue(
        &self,
        request: &RequestContext,
        dataset_id: DatasetId,
    ) -> Result<DownloadToken, ServiceError> {
        let mut record = request.open_record(AuditEvent::Mint, &self.clock);
        record.dataset_id = Some(dataset_id);
        let result = self.admit_and_mint(request, dataset_id, &mut record).await;
        self.audit.close_record(record, result).await
    }

    async fn admit_and_mint(
        &self,
        request: &RequestContext,
        dataset_id: DatasetId,
        record: &mut AuditRecord,
    ) -> Result<DownloadToken, ServiceError> {
        let caller = self.authenticator.authenticate(request).await?;
        self.rate_limits.check_mint(&caller)?;
        let authorizer = self.access.authorizer(&caller)?;
        let decision = self
            .access
            .authorize_token(&authorizer, dataset_id, record)
            .await?;
        self.sign(&caller, dataset_id, &decision, record)
    }

    /// Signs for a caller who may read the dataset; the token may leave once `record` is durable.
    pub(super) fn sign(
        &self,
        caller: &Caller,
        dataset_id: DatasetId,
        decision: &Decision,
        record: &mut AuditRecord,
    ) -> Result<DownloadToken, ServiceError> {
        let expires_in = self.max_ttl.min(decision.max_ttl);
        let issued_at = self.clock.unix_seconds();
        let token = self.key_ring.sign_download(DownloadGrant {
            subject: caller.principal.user_id(),
            dataset_id,
            id: record.id,
            issued_at,
            expires_at: issued_at.saturating_add(i64::from(expires_in)),
        })?;

        record.jti = Some(record.id);
        record.outcome = AuditOutcome::Granted;
        let context = MintContext {
            authentication: caller.authentication,
            key_id: record.key_id,
        };
        self.mint_contexts.insert(record.id, context);
        Ok(DownloadToken { token, expires_in })
    }
}
