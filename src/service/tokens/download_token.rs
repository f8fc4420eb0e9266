//! The product: a download token for one dataset.
//!
//! [`DownloadTokens::issue`] is the whole story in order: who asks, within limits, may it read,
//! mint, record, reply. This module refuses to know HTTP.

use std::sync::Arc;

use crate::domain::audit::{AuditEvent, AuditOutcome, AuditRecord, MintContext};
use crate::domain::clock::Clock;
use crate::domain::id::DatasetId;
use crate::domain::secret::Secret;
use crate::service::access::Access;
use crate::service::audit_trail::AuditTrail;
use crate::service::error::ServiceError;
use crate::service::identity::authentication::Authenticator;
use crate::service::identity::request_context::RequestContext;
use crate::service::rate_limits::RateLimits;
use crate::token::DownloadClaims;

use super::key_ring::KeyRing;
use super::mint_contexts::MintContexts;

/// A download token, as it is handed out.
#[derive(Debug)]
pub struct DownloadToken {
    /// The signed form.
    pub token: Secret<String>,
    /// How long it lives, in seconds.
    pub expires_in: u32,
}

/// Issues download tokens.
pub struct DownloadTokens {
    /// Who asks.
    pub authenticator: Arc<Authenticator>,
    /// How often it may.
    pub rate_limits: Arc<RateLimits>,
    /// Whether it may read.
    pub access: Arc<Access>,
    /// What signs.
    pub key_ring: Arc<KeyRing>,
    /// What remembers.
    pub audit: Arc<AuditTrail>,
    /// What the redeeming side wants to know about a mint.
    pub mint_contexts: Arc<MintContexts>,
    /// The time.
    pub clock: Clock,
    /// The longest life of a token, in seconds; policies may shorten it.
    pub max_ttl: u32,
}

impl DownloadTokens {
    /// Issues a token that opens one dataset, or says why not; either is on record first.
    pub async fn issue(
        &self,
        visitor: &RequestContext,
        dataset_id: DatasetId,
    ) -> Result<DownloadToken, ServiceError> {
        let mut record = visitor.open_record(AuditEvent::Mint, &self.clock);
        record.dataset_id = Some(dataset_id);
        let answer = self.mint(visitor, dataset_id, &mut record).await;
        self.audit.close_record(record, answer).await
    }

    async fn mint(
        &self,
        visitor: &RequestContext,
        dataset_id: DatasetId,
        record: &mut AuditRecord,
    ) -> Result<DownloadToken, ServiceError> {
        let caller = self.authenticator.authenticate(visitor).await?;
        self.rate_limits.count_mint(&caller)?;
        let readable = self
            .access
            .authorize_read(&caller, dataset_id, record)
            .await?;
        let lifetime = self.max_ttl.min(readable.decision.max_ttl);
        let issued_at = self.clock.unix_seconds();
        let parties = self.key_ring.parties();
        let token = self.key_ring.sign_download(&DownloadClaims {
            issuer: parties.issuer.clone(),
            audience: parties.audience.clone(),
            subject: caller.principal.user_id(),
            dataset_id,
            id: record.id,
            issued_at,
            expires_at: issued_at + i64::from(lifetime),
        })?;
        record.jti = Some(record.id);
        record.outcome = AuditOutcome::Granted;
        let mint = MintContext {
            authentication: caller.authentication,
            key_id: record.key_id,
        };
        self.mint_contexts.insert(record.id, mint).await;
        Ok(DownloadToken {
            token,
            expires_in: lifetime,
        })
    }
}
