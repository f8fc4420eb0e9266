//! Deletes what is left of sessions that are long over, a little at a time.
//!
//! Nothing is deleted on the word of the clock alone: the sweep horizon follows the clock in small steps, so
//! that a clock that is wrong for hours makes nothing of value disappear.

use uuid::Uuid;

use super::database::{CALL_TIMEOUT, Database, on_either, run};
use super::error::StorageError;
use super::statements::{execute, execute_once, select_value};
use crate::domain::id::SessionId;

/// How long a session stays after it has expired, in seconds.
const EXPIRED_SESSION_TTL: i64 = 7 * 24 * 3600;
/// How long a session stays after it was ended, in seconds.
const ENDED_SESSION_TTL: i64 = 24 * 3600;

impl Database {
    /// Advances the sweep horizon by at most `step` seconds towards `now` (seconds since 1970 UTC); back at
    /// once, if the clock has gone back.
    pub async fn advance_sweep_horizon(&self, now: i64, step: i64) -> Result<(), StorageError> {
        const SQL: &str = "UPDATE sweep_horizon SET horizon =
            CASE WHEN horizon + $2 < $1 THEN horizon + $2 ELSE $1 END";
        execute_once!(
            self,
            "advance the sweep horizon",
            "sweep_horizon",
            SQL,
            now,
            step
        )
        .await
        .map(drop)
    }

    /// At most `limit` sessions that have long expired, or ended, at the sweep horizon.
    pub async fn find_dead_sessions(&self, limit: u32) -> Result<Vec<SessionId>, StorageError> {
        const EXPIRED: &str = "SELECT id FROM sessions
            WHERE expires_at <= (SELECT horizon FROM sweep_horizon) - $1
            ORDER BY expires_at, id LIMIT $2";
        const ENDED: &str = "SELECT id FROM sessions
            WHERE ended_at <= (SELECT horizon FROM sweep_horizon) - $1
            ORDER BY ended_at, id LIMIT $2";
        let mut found = Vec::new();
        for (sql, ttl) in [(EXPIRED, EXPIRED_SESSION_TTL), (ENDED, ENDED_SESSION_TTL)] {
            let ids: Vec<Uuid> = select_value!(
                self,
                "find dead sessions",
                "sessions",
                fetch_all(sql, ttl, i64::from(limit))
            )
            .await?;
            found.extend(ids.into_iter().map(SessionId));
        }
        found.truncate(limit as usize);
        Ok(found)
    }

    /// Deletes at most `limit` refresh tokens of a dead session and, when none are left, the session; returns
    /// whether it is gone.
    pub async fn delete_dead_session(
        &self,
        id: SessionId,
        limit: u32,
    ) -> Result<bool, StorageError> {
        const TOKENS: &str = "DELETE FROM refresh_tokens WHERE sha256 IN
            (SELECT sha256 FROM refresh_tokens WHERE session_id = $1 LIMIT $2)";
        const SESSION: &str = "DELETE FROM sessions WHERE id = $1";
        run(CALL_TIMEOUT, "delete a dead session", "sessions", async {
            let mut transaction = self.begin_writing().await?;
            let deleted = execute!(&mut transaction, TOKENS, id.0, i64::from(limit))?;
            let is_gone = deleted < u64::from(limit);
            if is_gone {
                execute!(&mut transaction, SESSION, id.0)?;
            }
            transaction.commit().await?;
            Ok(is_gone)
        })
        .await
    }

    /// The parameters of all password hashes in use, as PHC strings have them.
    pub async fn password_costs(&self) -> Result<Vec<String>, StorageError> {
        const SQL: &str = "SELECT cost FROM password_costs";
        select_value!(self, "read the costs of passwords", "users", fetch_all(SQL)).await
    }
}
