//! Sessions and the digests of their refresh tokens.
//!
//! Ending a session early also increments the version of the sessions, which caches depend on. A changed
//! password and a disabled user do so by a trigger.
//!
//! What starts, renews or ends a session appends its audit record in the same transaction: if the record
//! cannot be appended, the session stays as it was.

use uuid::Uuid;

use super::audit::append;
use super::database::{CALL_TIMEOUT, Database, Transaction, on_either, run};
use super::error::StorageError;
use super::rows::from_columns;
use super::statements::{execute, select};
use crate::domain::audit::AuditRecord;
use crate::domain::id::{SessionId, UserId};
use crate::domain::session::{RefreshTokenDigest, Session};

/// A refresh token that was issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshTokenInfo {
    /// Its session.
    pub session: Session,
    /// When it was first used, in seconds since 1970 UTC.
    pub spent_at: Option<i64>,
    /// Whether its session was ended or has expired.
    pub has_ended: bool,
}

/// A session that was ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedSession {
    /// The session.
    pub session: Session,
    /// Whether this call ended it.
    pub is_ended_by_this: bool,
}

/// A refresh token as it is stored, with its session.
pub(super) struct RefreshTokenRow {
    id: Uuid,
    user_id: Uuid,
    generation: i64,
    session_generation: i64,
    started_at: i64,
    expires_at: i64,
    ended_at: Option<i64>,
    pub(super) spent_at: Option<i64>,
}

from_columns!(RefreshTokenRow {
    id,
    user_id,
    generation,
    session_generation,
    started_at,
    expires_at,
    ended_at,
    spent_at,
});

impl RefreshTokenRow {
    pub(super) fn session(&self) -> Session {
        session_from_row((self.id, self.user_id, self.started_at, self.expires_at))
    }

    pub(super) fn has_ended(&self, now: i64) -> bool {
        self.ended_at.is_some()
            || self.expires_at <= now
            || self.generation != self.session_generation
    }
}

fn session_from_row((id, user_id, started_at, expires_at): (Uuid, Uuid, i64, i64)) -> Session {
    Session {
        id: SessionId(id),
        user_id: UserId(user_id),
        started_at,
        expires_at,
    }
}

pub(super) const BUMP_SESSION_VERSION: &str = "UPDATE session_version SET version = version + 1";
const FIND_TOKEN: &str = "SELECT sessions.id, user_id, generation, session_generation, started_at,
        expires_at, ended_at, spent_at
    FROM refresh_tokens
        JOIN sessions ON sessions.id = session_id
        JOIN users ON users.id = user_id
    WHERE sha256 = $1";
pub(super) const INSERT_TOKEN: &str =
    "INSERT INTO refresh_tokens (sha256, session_id) VALUES ($1, $2)";

impl Database {
    /// Finds a session that was not ended; the caller checks whether it has expired.
    pub async fn find_session(&self, id: SessionId) -> Result<Option<Session>, StorageError> {
        const SQL: &str = "SELECT sessions.id, user_id, started_at, expires_at
            FROM sessions JOIN users ON users.id = user_id AND session_generation = generation
            WHERE sessions.id = $1 AND ended_at IS NULL";
        let row: Option<(Uuid, Uuid, i64, i64)> = select!(
            self,
            "find a session",
            "sessions",
            fetch_optional(SQL, id.0)
        )
        .await?;
        Ok(row.map(session_from_row))
    }

    /// Finds a refresh token, spent or not, and its session at `now` (seconds since 1970 UTC).
    ///
    /// Callers check this before anything that writes: tokens that renew or end nothing must not hold up
    /// writers.
    pub async fn find_refresh_token(
        &self,
        presented: RefreshTokenDigest,
        now: i64,
    ) -> Result<Option<RefreshTokenInfo>, StorageError> {
        let operation = "find a refresh token";
        let row: Option<RefreshTokenRow> = select!(
            self,
            operation,
            "refresh_tokens",
            fetch_optional(FIND_TOKEN, &presented.0[..])
        )
        .await?;
        Ok(row.map(|row| RefreshTokenInfo {
            session: row.session(),
            spent_at: row.spent_at,
            has_ended: row.has_ended(now),
        }))
    }

    /// Ends the session of a refresh token, spent or not, at `now`, together with its audit record; `None`
    /// if there is no such token. If the session had ended before, no record is written.
    pub async fn end_session(
        &self,
        presented: RefreshTokenDigest,
        now: i64,
        granted: &AuditRecord,
    ) -> Result<Option<EndedSession>, StorageError> {
        run(CALL_TIMEOUT, "end a session", "sessions", async {
            let mut transaction = self.begin_writing().await?;
            let Some(row) = find_refresh_token_row(&mut transaction, presented).await? else {
                transaction.rollback().await?;
                return Ok(None);
            };
            let is_ended_by_this =
                !row.has_ended(now) && end_by_id(&mut transaction, row.session().id, now).await?;
            if is_ended_by_this {
                append(&mut transaction, std::slice::from_ref(granted)).await?;
                transaction.commit().await?;
            } else {
                transaction.rollback().await?;
            }
            Ok(Some(EndedSession {
                session: row.session(),
                is_ended_by_this,
            }))
        })
        .await
    }

    /// Lists at most `limit` sessions of a user that are active at `now` (seconds since 1970 UTC), after
    /// `after`, ordered by id.
    pub async fn list_sessions(
        &self,
        user_id: UserId,
        now: i64,
        after: Option<SessionId>,
        limit: u32,
    ) -> Result<Vec<Session>, StorageError> {
        const SQL: &str = "SELECT sessions.id, user_id, started_at, expires_at
            FROM sessions JOIN users ON users.id = user_id AND session_generation = generation
            WHERE user_id = $1 AND ended_at IS NULL AND expires_at > $2 AND sessions.id > $3
            ORDER BY sessions.id LIMIT $4";
        let after = after.map_or(Uuid::nil(), |id| id.0);
        let rows: Vec<(Uuid, Uuid, i64, i64)> = select!(
            self,
            "list sessions",
            "sessions",
            fetch_all(SQL, user_id.0, now, after, i64::from(limit))
        )
        .await?;
        Ok(rows.into_iter().map(session_from_row).collect())
    }

    /// Ends one active session of a user at `now`, or all of them, together with the audit record, and returns
    /// how many; without any, no record is written.
    pub async fn end_user_sessions(
        &self,
        user_id: UserId,
        only: Option<SessionId>,
        now: i64,
        granted: &AuditRecord,
    ) -> Result<u64, StorageError> {
        const END_ALL: &str = "UPDATE sessions SET ended_at = $1
            WHERE user_id = $2 AND ended_at IS NULL AND expires_at > $1 AND generation =
                (SELECT session_generation FROM users WHERE id = $2)";
        const END_ONE: &str = "UPDATE sessions SET ended_at = $1
            WHERE user_id = $2 AND ended_at IS NULL AND expires_at > $1 AND generation =
                (SELECT session_generation FROM users WHERE id = $2) AND id = $3";
        run(CALL_TIMEOUT, "end sessions", "sessions", async {
            let mut transaction = self.begin_writing().await?;
            let ended = match only {
                None => execute!(&mut transaction, END_ALL, now, user_id.0)?,
                Some(id) => execute!(&mut transaction, END_ONE, now, user_id.0, id.0)?,
            };
            if ended > 0 {
                execute!(&mut transaction, BUMP_SESSION_VERSION)?;
                append(&mut transaction, std::slice::from_ref(granted)).await?;
                transaction.commit().await?;
            } else {
                transaction.rollback().await?;
            }
            Ok(ended)
        })
        .await
    }
}

pub(super) async fn find_refresh_token_row(
    transaction: &mut Transaction,
    presented: RefreshTokenDigest,
) -> Result<Option<RefreshTokenRow>, sqlx::Error> {
    on_either!(transaction, connection => {
        sqlx::query_as(FIND_TOKEN).bind(&presented.0[..]).fetch_optional(&mut **connection).await
    })
}

/// Ends a session; `false` if it had ended before.
pub(super) async fn end_by_id(
    transaction: &mut Transaction,
    id: SessionId,
    now: i64,
) -> Result<bool, sqlx::Error> {
    const END: &str = "UPDATE sessions SET ended_at = $1 WHERE id = $2 AND ended_at IS NULL";
    let is_ended_by_this = execute!(transaction, END, now, id.0)? == 1;
    if is_ended_by_this {
        execute!(transaction, BUMP_SESSION_VERSION)?;
    }
    Ok(is_ended_by_this)
}
