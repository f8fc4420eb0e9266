//! Renewing a session with a refresh token: rotation, siblings within the grace, and reuse that ends the session.
//!
//! All refresh tokens of one session are one family. The first use of a token spends it, for good; each use
//! within the grace adds a sibling of its successor, up to a bound; any later use ends the session. A change and
//! its audit record are one transaction.

use super::audit::append;
use super::database::{CALL_TIMEOUT, Database, Transaction, on_either, run};
use super::error::StorageError;
use super::sessions::{INSERT_TOKEN, RefreshTokenRow, end_by_id, find_refresh_token_row};
use super::statements::execute;
use crate::domain::audit::AuditRecord;
use crate::domain::id::SessionId;
use crate::domain::session::{RefreshGrace, RefreshTokenDigest, Session};

/// How often a session is renewed at most, siblings included: after that it is over, because each renewal
/// leaves a refresh token behind. At one renewal a minute it is reached after a month.
const MAX_RENEWALS: i64 = 50_000;
/// How many siblings one token gives within the grace: more than a browser has tabs, and too few to fill a table.
const MAX_SIBLINGS: i64 = 100;

/// A renewal to try.
#[derive(Clone, Copy, Debug)]
pub struct Renewal<'a> {
    /// The refresh token that was presented.
    pub presented: RefreshTokenDigest,
    /// The refresh token that the client gets if the session is renewed.
    pub next: RefreshTokenDigest,
    /// The time, in seconds since 1970 UTC.
    pub now: i64,
    /// How long a spent token gives siblings.
    pub grace: RefreshGrace,
    /// The audit records; the one that comes true is appended.
    pub records: RenewalRecords<'a>,
}

/// The audit records of a renewal.
#[derive(Clone, Copy, Debug)]
pub struct RenewalRecords<'a> {
    /// The token is used for the first time.
    pub rotated: &'a AuditRecord,
    /// The token was used before, within the grace.
    pub sibling: &'a AuditRecord,
    /// The token was used before, which ends the session.
    pub reused: &'a AuditRecord,
}

/// The result of renewing a session with a refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RenewalOutcome {
    /// The token is spent, and the next one replaces it.
    Rotated(Session),
    /// The token had been spent before, within the grace; the next one stands beside the others.
    Sibling(Session),
    /// The token has given all siblings that it may; nothing has changed.
    TooManySiblings(Session),
    /// The token had been spent before, so its session has ended.
    Reused {
        /// The session.
        session: Session,
        /// Whether this call ended it.
        is_ended_by_this: bool,
    },
    /// The session has ended.
    SessionEnded(Session),
    /// There is no such token.
    Unknown,
}

impl Database {
    /// Renews a session, or ends it if the token was spent longer ago than the grace.
    ///
    /// Of several callers with the same token at the same time, one rotates it and the others are as late as
    /// they are: siblings within the grace.
    pub async fn renew_session(
        &self,
        renewal: &Renewal<'_>,
    ) -> Result<RenewalOutcome, StorageError> {
        run(CALL_TIMEOUT, "renew a session", "sessions", async {
            let mut transaction = self.begin_writing().await?;
            let outcome = renew(&mut transaction, renewal).await?;
            let record = match &outcome {
                RenewalOutcome::Rotated(_) => Some(renewal.records.rotated),
                RenewalOutcome::Sibling(_) => Some(renewal.records.sibling),
                RenewalOutcome::Reused {
                    is_ended_by_this, ..
                } => is_ended_by_this.then_some(renewal.records.reused),
                RenewalOutcome::TooManySiblings(_)
                | RenewalOutcome::SessionEnded(_)
                | RenewalOutcome::Unknown => None,
            };
            if let Some(record) = record {
                append(&mut transaction, std::slice::from_ref(record)).await?;
                transaction.commit().await?;
            } else {
                transaction.rollback().await?;
            }
            Ok(outcome)
        })
        .await
    }
}

async fn renew(
    transaction: &mut Transaction,
    renewal: &Renewal<'_>,
) -> Result<RenewalOutcome, sqlx::Error> {
    const SPEND: &str =
        "UPDATE refresh_tokens SET spent_at = $1 WHERE sha256 = $2 AND spent_at IS NULL";
    let (presented, now) = (renewal.presented, renewal.now);
    let Some(row) = find_refresh_token_row(transaction, presented).await? else {
        return Ok(RenewalOutcome::Unknown);
    };
    if row.spent_at.is_some() {
        return use_again(transaction, renewal, &row).await;
    }
    let session = row.session();
    if row.has_ended(now) || !session.is_valid_at(now) {
        return Ok(RenewalOutcome::SessionEnded(session));
    }
    if execute!(transaction, SPEND, now, &presented.0[..])? == 1 {
        let is_added = add_token(transaction, session.id, renewal.next).await?;
        return Ok(if is_added {
            RenewalOutcome::Rotated(session)
        } else {
            RenewalOutcome::SessionEnded(session)
        });
    }
    // On PostgreSQL another caller may spend it after the query above; the statement waited for that caller
    // and found nothing to spend. Now its first use can be seen.
    match find_refresh_token_row(transaction, presented).await? {
        Some(row) => use_again(transaction, renewal, &row).await,
        None => Ok(RenewalOutcome::Unknown),
    }
}

/// Uses a token that was spent before.
async fn use_again(
    transaction: &mut Transaction,
    renewal: &Renewal<'_>,
    row: &RefreshTokenRow,
) -> Result<RenewalOutcome, sqlx::Error> {
    const ADD_SIBLING: &str =
        "UPDATE refresh_tokens SET siblings = siblings + 1 WHERE sha256 = $1 AND siblings < $2";
    let (presented, now) = (renewal.presented, renewal.now);
    let session = row.session();
    if row.has_ended(now) {
        return Ok(RenewalOutcome::Reused {
            session,
            is_ended_by_this: false,
        });
    }
    let is_within_grace = row
        .spent_at
        .is_some_and(|spent_at| renewal.grace.covers(spent_at, now));
    if !is_within_grace {
        let is_ended_by_this = end_by_id(transaction, session.id, now).await?;
        return Ok(RenewalOutcome::Reused {
            session,
            is_ended_by_this,
        });
    }
    if !session.is_valid_at(now) {
        return Ok(RenewalOutcome::SessionEnded(session));
    }
    if execute!(transaction, ADD_SIBLING, &presented.0[..], MAX_SIBLINGS)? == 0 {
        return Ok(RenewalOutcome::TooManySiblings(session));
    }
    let is_added = add_token(transaction, session.id, renewal.next).await?;
    Ok(if is_added {
        RenewalOutcome::Sibling(session)
    } else {
        RenewalOutcome::SessionEnded(session)
    })
}

/// Adds a refresh token to a session; `false` if it has just ended, or was renewed too often.
async fn add_token(
    transaction: &mut Transaction,
    id: SessionId,
    next: RefreshTokenDigest,
) -> Result<bool, sqlx::Error> {
    const COUNT: &str = "UPDATE sessions SET renewals = renewals + 1
        WHERE id = $1 AND renewals < $2 AND ended_at IS NULL";
    if execute!(transaction, COUNT, id.0, MAX_RENEWALS)? == 0 {
        return Ok(false);
    }
    execute!(transaction, INSERT_TOKEN, &next.0[..], id.0)?;
    Ok(true)
}
