//! What a refresh token does: it renews its session, or ends it.
//!
//! A refresh token is used once and replaced by the next (rotation). Whoever uses it again within the grace of
//! its first use ([`crate::domain::session::RefreshGrace`]) is an honest client that races with itself, or a thief who has won nothing
//! by it: it gets a sibling, a fresh token of the same family. Any later use means that the token has leaked, so
//! the whole session ends with all siblings (RFC 9700 section 4.14.2); a spent sibling is treated alike. A
//! logout with any token of the family ends all of it. A change of a session and its audit record are one
//! transaction, and the record's reason begins with what it was: *rotation*, *sibling* or *reuse*. After a
//! session has ended no use of its tokens is called a reuse: whoever watches for stolen tokens would take each
//! tab that did not hear of a logout for a thief.

use std::time::Duration;

use crate::domain::audit::{AuditEvent, AuditRecord};
use crate::domain::secret::Secret;
use crate::domain::session::{RefreshToken, RefreshTokenDigest};
use crate::service::audit_trail::AuditTrail;
use crate::service::error::ServiceError;
use crate::storage::{RefreshTokenInfo, Renewal, RenewalOutcome, RenewalRecords};

use super::admission::Admission;
use super::request_context::RequestContext;
use super::sessions::{SessionTokens, Sessions, granted_record};

const INVALID: &str = "the refresh token is not valid, or its session has ended: sign in again";
const REUSED: &str =
    "reuse: the refresh token had been used before, so its session has ended: sign in again";
const ROTATED: &str = "rotation: the first use of the refresh token";
const SIBLING: &str =
    "sibling: the refresh token had been used before, within the grace, and gave one more";

/// What the use of a refresh token came to; either is on record.
enum Refreshed {
    Renewed(SessionTokens),
    /// The token had been used before, and its session has ended now.
    Ended,
}

impl Sessions {
    /// Issues the next tokens of a session for its refresh token. What changes the session is recorded
    /// together with the change, any other failure before the response.
    pub async fn refresh(
        &self,
        request: &RequestContext,
        refresh_token: &Secret<String>,
    ) -> Result<SessionTokens, ServiceError> {
        let mut record = request.open_record(AuditEvent::Refresh, &self.clock);
        let mut admission = self.authenticator.admission(request);
        let refreshed = self
            .try_refresh(refresh_token, &mut admission, &mut record)
            .await;
        match refreshed {
            Ok(Refreshed::Renewed(tokens)) => {
                AuditTrail::count_outcome(record.event, record.outcome);
                admission.settle(Ok(tokens))
            }
            Ok(Refreshed::Ended) => {
                AuditTrail::count_outcome(record.event, record.outcome);
                // The session has ended, whatever the limit says.
                let _ = admission.fail();
                Err(ServiceError::CredentialRejected { detail: REUSED })
            }
            Err(error) => {
                let result = admission.settle(Err(error));
                self.audit.close_record(record, result).await
            }
        }
    }

    async fn try_refresh(
        &self,
        refresh_token: &Secret<String>,
        admission: &mut Admission<'_>,
        record: &mut AuditRecord,
    ) -> Result<Refreshed, ServiceError> {
        let rejected = |detail| Err(ServiceError::CredentialRejected { detail });
        let now = self.clock.unix_seconds();
        let found = self.find_refresh_token(refresh_token, now, admission);
        let Some((digest, token)) = found.await? else {
            return rejected(INVALID);
        };
        let user_id = token.session.user_id;
        record.user_id = Some(user_id);
        // Nothing is written for a session that has ended.
        let is_spent = token.spent_at.is_some();
        if token.has_ended || (!is_spent && !token.session.is_valid_at(now)) {
            return rejected(INVALID);
        }
        let next = RefreshToken::random();
        let mut tokens = None;
        let grace = self.refresh_grace;
        if token
            .spent_at
            .is_none_or(|spent_at| grace.covers(spent_at, now))
        {
            // Before it is spent, so that it still works after the wait, or if signing fails.
            self.rate_limits.count_user(user_id)?;
            tokens = Some(self.issue_tokens(&token.session, &next, record.id, now)?);
        }
        let granted = granted_record(record, user_id);
        let with_reason = |record: &AuditRecord, reason: &str| AuditRecord {
            reason: Some(reason.to_owned()),
            ..record.clone()
        };
        let [rotated, sibling] = [ROTATED, SIBLING].map(|reason| with_reason(&granted, reason));
        let reused = with_reason(record, REUSED);
        let outcome = self
            .database
            .renew_session(&Renewal {
                presented: digest,
                next: next.digest(),
                now,
                grace,
                records: RenewalRecords {
                    rotated: &rotated,
                    sibling: &sibling,
                    reused: &reused,
                },
            })
            .await?;
        let known = self.known_credentials();
        match (outcome, tokens) {
            (RenewalOutcome::Rotated(_), Some(tokens)) => {
                *record = rotated;
                known.set_refresh_token_spent(digest);
                known.add_refresh_token(next.digest());
                Ok(Refreshed::Renewed(tokens))
            }
            (RenewalOutcome::Sibling(session), Some(tokens)) => {
                tracing::debug!(session_id = %session.id, "refresh token used again within the grace");
                *record = sibling;
                known.set_refresh_token_spent(digest);
                known.add_refresh_token(next.digest());
                Ok(Refreshed::Renewed(tokens))
            }
            // The client has newer tokens by now. No wait would help: a later use ends the session.
            (RenewalOutcome::TooManySiblings(_), _) => {
                Err(ServiceError::limit_exceeded(Duration::from_secs(1)))
            }
            (outcome, _) => self.reject_renewal(outcome, &digest, reused, record).await,
        }
    }

    /// The answer to a refresh token that renews nothing.
    async fn reject_renewal(
        &self,
        outcome: RenewalOutcome,
        digest: &RefreshTokenDigest,
        reused: AuditRecord,
        record: &mut AuditRecord,
    ) -> Result<Refreshed, ServiceError> {
        let rejected = |detail| Err(ServiceError::CredentialRejected { detail });
        self.known_credentials().remove_refresh_token(digest);
        match outcome {
            RenewalOutcome::Reused {
                session,
                is_ended_by_this: true,
            } => {
                tracing::warn!(session_id = %session.id, "refresh token reused; session ended");
                *record = reused;
                self.catalog_cache.refresh_after_write().await;
                Ok(Refreshed::Ended)
            }
            // Another use, a logout or something else has ended it: this one has not, and does not say so.
            // There are tokens for each renewal: what the grace covers here it covers in the database.
            RenewalOutcome::Reused { .. }
            | RenewalOutcome::Rotated(_)
            | RenewalOutcome::Sibling(_)
            | RenewalOutcome::TooManySiblings(_)
            | RenewalOutcome::SessionEnded(_)
            | RenewalOutcome::Unknown => rejected(INVALID),
        }
    }

    /// Ends the session of a refresh token immediately, together with the record of it.
    ///
    /// An unknown token is no error, because the goal is reached: no session continues with it
    /// (RFC 7009 section 2.2). Such tokens count for their address like other failures.
    pub async fn logout(
        &self,
        request: &RequestContext,
        refresh_token: &Secret<String>,
    ) -> Result<(), ServiceError> {
        let mut record = request.open_record(AuditEvent::Logout, &self.clock);
        let mut admission = self.authenticator.admission(request);
        let ended = self
            .try_logout(refresh_token, &mut admission, &mut record)
            .await;
        let result = match ended {
            Ok(true) => {
                AuditTrail::count_outcome(record.event, record.outcome);
                return admission.settle(Ok(()));
            }
            Ok(false) => admission.fail(),
            Err(error) => admission.settle(Err(error)),
        };
        self.audit.close_record(record, result).await
    }

    /// Whether this call ended a session; then it is on record.
    async fn try_logout(
        &self,
        refresh_token: &Secret<String>,
        admission: &mut Admission<'_>,
        record: &mut AuditRecord,
    ) -> Result<bool, ServiceError> {
        let now = self.clock.unix_seconds();
        let found = self.find_refresh_token(refresh_token, now, admission);
        let Some((digest, token)) = found.await? else {
            record.reason = Some("the refresh token is unknown; there is no session to end".into());
            return Ok(false);
        };
        let granted = granted_record(record, token.session.user_id);
        let mut is_ended_by_this = false;
        if !token.has_ended {
            let ended = self.database.end_session(digest, now, &granted).await?;
            is_ended_by_this = ended.is_some_and(|ended| ended.is_ended_by_this);
        }
        *record = granted;
        if is_ended_by_this {
            self.known_credentials().remove_refresh_token(&digest);
            self.catalog_cache.refresh_after_write().await;
        } else {
            record.reason = Some("the session had already ended".into());
        }
        Ok(is_ended_by_this)
    }

    /// Finds a refresh token. One that this process did not issue is charged to its address first.
    async fn find_refresh_token(
        &self,
        text: &Secret<String>,
        now: i64,
        admission: &mut Admission<'_>,
    ) -> Result<Option<(RefreshTokenDigest, RefreshTokenInfo)>, ServiceError> {
        let Some(digest) = RefreshToken::parse(text).map(|token| token.digest()) else {
            return Ok(None);
        };
        let known = self.known_credentials();
        if !known.is_issued_refresh_token(&digest) {
            admission.charge()?;
        }
        let found = self.database.find_refresh_token(digest, now).await?;
        if found.as_ref().is_none_or(|token| token.has_ended) {
            known.remove_refresh_token(&digest);
        }
        Ok(found.map(|token| (digest, token)))
    }
}
