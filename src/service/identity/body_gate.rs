//! The body gate: the body of a request is read for authenticated callers only.
//!
//! An operation authenticates its caller itself, after its body was parsed. For those that need a
//! credential this comes first: nobody learns what is wrong with a body, or has one read, without
//! one; where anonymous callers may send one, nobody does with a credential that is not good. The few
//! large bodies are read in turns.

use std::sync::Arc;
use std::time::Duration;

use crate::domain::audit::AuditEvent;
use crate::domain::clock::Clock;
use crate::service::audit_trail::AuditTrail;
use crate::service::error::ServiceError;
use crate::service::fair_turns::{FairTurns, Turn, TurnLimits};
use crate::service::rate_limits::RateLimits;

use super::authentication::Authenticator;
use super::request_context::RequestContext;

/// How many large bodies are read and worked on at a time, and by whom.
const LARGE_BODIES: TurnLimits = TurnLimits {
    total: 8,
    per_user: 2,
    per_network: 4,
    wait: Duration::from_secs(10),
    what: "the server",
};

/// Authenticates callers before their bodies are read.
pub struct BodyGate {
    authenticator: Arc<Authenticator>,
    rate_limits: Arc<RateLimits>,
    audit: Arc<AuditTrail>,
    clock: Clock,
    large_bodies: FairTurns,
}

/// The permission to read a body; held until the operation is done.
pub struct BodyPermit {
    _turn: Option<Turn>,
}

impl BodyGate {
    /// A gate that nobody has passed yet.
    #[must_use]
    pub fn new(
        authenticator: Arc<Authenticator>,
        rate_limits: Arc<RateLimits>,
        audit: Arc<AuditTrail>,
        clock: Clock,
    ) -> Self {
        Self {
            authenticator,
            rate_limits,
            audit,
            clock,
            large_bodies: FairTurns::new(LARGE_BODIES),
        }
    }

    /// Admits an anonymous caller, or an authenticated one; who is refused is on record as the operation would have
    /// it.
    pub async fn admit_or_anonymous(
        &self,
        request: &RequestContext,
        event: AuditEvent,
    ) -> Result<(), ServiceError> {
        match self.authenticator.authenticate(request).await {
            Ok(_) => Ok(()),
            Err(error) => {
                let record = request.open_record(event, &self.clock);
                self.audit.close_record(record, Err(error)).await
            }
        }
    }

    /// Admits an authenticated caller; who is refused is on record as the operation would have it.
    pub async fn admit(
        &self,
        request: &RequestContext,
        event: AuditEvent,
        is_large: bool,
    ) -> Result<BodyPermit, ServiceError> {
        let admitted = self.try_admit(request, event, is_large).await;
        if admitted.is_ok() {
            return admitted;
        }
        let record = request.open_record(event, &self.clock);
        self.audit.close_record(record, admitted).await
    }

    async fn try_admit(
        &self,
        request: &RequestContext,
        event: AuditEvent,
        is_large: bool,
    ) -> Result<BodyPermit, ServiceError> {
        let caller = self.authenticator.authenticate(request).await?;
        if caller.principal.is_anonymous() {
            self.rate_limits.check_request(&caller)?;
            let detail = match event {
                AuditEvent::ApiKeyCreate => "API keys belong to a user: sign in and try again",
                AuditEvent::Evaluate | AuditEvent::Search => {
                    "asking for decisions requires signing in"
                }
                _ => "administration requires signing in",
            };
            return Err(ServiceError::CredentialMissing {
                detail: detail.to_owned(),
            });
        }
        let turn = if is_large {
            Some(self.large_bodies.take(Some(&caller)).await?)
        } else {
            None
        };
        Ok(BodyPermit { _turn: turn })
    }
}
