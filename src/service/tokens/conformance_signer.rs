//! The gate's own signing key for a conformance check, and the records of what it signs.

use crate::domain::audit::{AuditEvent, AuditOutcome, AuditRecord};
use crate::domain::clock::Clock;
use crate::domain::id::{DatasetId, RecordId, UserId};
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;
use crate::storage::{Database, KeyState};
use crate::token::{SealingKey, SigningKey};

/// The key that signs now, sealed with one of these sealing keys; none if no server has made one yet.
pub async fn current_signing_key(
    database: &Database,
    sealing_keys: &[SealingKey],
) -> Result<Option<SigningKey>, ServiceError> {
    let stored = database.list_signing_keys().await?;
    let Some(current) = stored.iter().find(|key| key.state == KeyState::Current) else {
        return Ok(None);
    };
    let mut refusal = None;
    for sealing_key in sealing_keys {
        match SigningKey::unseal(&current.sealed, sealing_key) {
            Ok(key) => return Ok(Some(key)),
            Err(error) => refusal = Some(error),
        }
    }
    refusal.map_or(Ok(None), |error| Err(error.into()))
}

/// A token of a conformance check that is about to be signed.
#[derive(Clone, Copy, Debug)]
pub struct ConformanceMint<'a> {
    /// The name of its case.
    pub name: &'a str,
    /// Its `sub`, if that is a user of the gate.
    pub user_id: Option<UserId>,
}

/// Records that each token of a conformance check is about to be signed, and returns their ids in the same
/// order. When it returns, the records are durable: whatever such a token opens, its `jti` is on record.
///
/// `by` says who does it.
pub async fn record_conformance_tokens(
    database: &Database,
    clock: &Clock,
    dataset_id: DatasetId,
    mints: &[ConformanceMint<'_>],
    by: &str,
) -> Result<Vec<RecordId>, ServiceError> {
    let records: Vec<AuditRecord> = mints
        .iter()
        .map(|mint| conformance_record(clock, dataset_id, *mint, by))
        .collect();
    database.append_audit_records(&records).await?;
    Ok(records.iter().map(|record| record.id).collect())
}

/// The record of a mint that no policy decided. The caller counts as not authenticated, so that a download with
/// the token is decided like one of the anonymous caller.
fn conformance_record(
    clock: &Clock,
    dataset_id: DatasetId,
    mint: ConformanceMint<'_>,
    by: &str,
) -> AuditRecord {
    let record = RequestContext::local().open_record(AuditEvent::Mint, clock);
    AuditRecord {
        outcome: AuditOutcome::Granted,
        user_id: mint.user_id,
        dataset_id: Some(dataset_id),
        jti: Some(record.id),
        request_id: None,
        reason: Some(format!(
            "signed for a conformance check by {by}: {}",
            mint.name
        )),
        ..record
    }
}
