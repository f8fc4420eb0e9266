//! Starting sessions, and the networks that users sign in from.

use std::net::IpAddr;

use super::audit::append;
use super::database::{CALL_TIMEOUT, Database, Transaction, on_either, run};
use super::error::StorageError;
use super::sessions::{BUMP_SESSION_VERSION, INSERT_TOKEN};
use super::statements::{execute, select_value};
use crate::domain::audit::AuditRecord;
use crate::domain::name::Username;
use crate::domain::secret::Secret;
use crate::domain::session::{RefreshTokenDigest, Session};

/// How many active sessions a user has at most; with one more, the oldest ends.
const MAX_SESSIONS_PER_USER: i64 = 1000;
/// How many networks of a user are remembered.
const MAX_LOGIN_NETWORKS: i64 = 16;
/// How long a network is remembered after the last login from it, in seconds.
const LOGIN_NETWORK_TTL: i64 = 90 * 24 * 3600;

/// A session to start.
#[derive(Clone, Copy, Debug)]
pub struct NewSession<'a> {
    /// The session.
    pub session: &'a Session,
    /// The hash that the user's password was checked against; none if the operator starts the session.
    pub password_hash: Option<&'a Secret<String>>,
    /// Its first refresh token.
    pub first: RefreshTokenDigest,
    /// The network that the user signs in from.
    pub network: Option<IpAddr>,
    /// The audit record.
    pub granted: &'a AuditRecord,
}

impl Database {
    /// Starts a session with its first refresh token together with its audit record, and remembers the
    /// network; `false`, without a record, if the password has changed or the user cannot sign in any more.
    ///
    /// Of more than [`MAX_SESSIONS_PER_USER`] active sessions the oldest end, and the record says so.
    pub async fn start_session(&self, new: &NewSession<'_>) -> Result<bool, StorageError> {
        // One statement checks the hash and takes the generation: if the hash is replaced at the same
        // time, the session is either rejected here or of a generation that has ended.
        const INSERT: &str =
            "INSERT INTO sessions (id, user_id, generation, started_at, expires_at)
            SELECT $1, id, session_generation, $2, $3 FROM users
            WHERE id = $4 AND (CAST($5 AS TEXT) IS NULL OR password_hash = $5)
                AND NOT is_disabled AND NOT is_removed";
        let session = new.session;
        run(CALL_TIMEOUT, "start a session", "sessions", async {
            let mut transaction = self.begin_writing().await?;
            let password_hash = new.password_hash.map(|hash| hash.reveal().as_str());
            let is_started = execute!(
                &mut transaction,
                INSERT,
                session.id.0,
                session.started_at,
                session.expires_at,
                session.user_id.0,
                password_hash
            )? == 1;
            if !is_started {
                transaction.rollback().await?;
                return Ok(false);
            }
            execute!(
                &mut transaction,
                INSERT_TOKEN,
                &new.first.0[..],
                session.id.0
            )?;
            if let Some(network) = new.network {
                add_login_network(&mut transaction, session, network).await?;
            }
            let mut granted = new.granted.clone();
            let ended = end_oldest(&mut transaction, session).await?;
            if ended > 0 {
                granted.reason = Some(format!(
                    "ended {ended} older sessions: a user has {MAX_SESSIONS_PER_USER} at most"
                ));
            }
            append(&mut transaction, std::slice::from_ref(&granted)).await?;
            transaction.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Whether a user of this name has signed in from a network lately, at `now` (seconds since 1970 UTC).
    pub async fn is_login_network(
        &self,
        username: &Username,
        network: IpAddr,
        now: i64,
    ) -> Result<bool, StorageError> {
        const SQL: &str = "SELECT last_login_at
            FROM login_networks JOIN users_with_roles ON users_with_roles.id = user_id
            WHERE username = $1 AND network = $2 AND last_login_at > $3";
        let since = now.saturating_sub(LOGIN_NETWORK_TTL);
        let found: Option<i64> = select_value!(
            self,
            "find a network",
            "login_networks",
            fetch_optional(SQL, username.as_str(), network.to_string(), since)
        )
        .await?;
        Ok(found.is_some())
    }
}

/// Remembers the network that a session starts from.
async fn add_login_network(
    transaction: &mut Transaction,
    session: &Session,
    network: IpAddr,
) -> Result<(), sqlx::Error> {
    const PUT: &str = "INSERT INTO login_networks (user_id, network, last_login_at)
        VALUES ($1, $2, $3)
        ON CONFLICT (user_id, network) DO UPDATE SET last_login_at = excluded.last_login_at";
    const PRUNE: &str = "DELETE FROM login_networks WHERE user_id = $1 AND network NOT IN
        (SELECT network FROM login_networks WHERE user_id = $1
            ORDER BY last_login_at DESC, network LIMIT $2)";
    let user_id = session.user_id.0;
    let network = network.to_string();
    execute!(transaction, PUT, user_id, network, session.started_at)?;
    execute!(transaction, PRUNE, user_id, MAX_LOGIN_NETWORKS).map(drop)
}

/// Ends the oldest active sessions of a user beyond the most that it may have, when `newest` starts.
async fn end_oldest(transaction: &mut Transaction, newest: &Session) -> Result<u64, sqlx::Error> {
    const END: &str = "UPDATE sessions SET ended_at = $1 WHERE id IN
        (SELECT id FROM sessions
            WHERE user_id = $2 AND ended_at IS NULL AND expires_at > $1 AND id <> $3
                AND generation = (SELECT session_generation FROM users WHERE id = $2)
            ORDER BY started_at DESC, id LIMIT 10 OFFSET $4)";
    let others = MAX_SESSIONS_PER_USER - 1;
    let ended = execute!(
        &mut *transaction,
        END,
        newest.started_at,
        newest.user_id.0,
        newest.id.0,
        others
    )?;
    if ended > 0 {
        execute!(transaction, BUMP_SESSION_VERSION)?;
    }
    Ok(ended)
}
