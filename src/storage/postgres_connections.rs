//! Connections to a PostgreSQL server.
//!
//! The server ends what this process would not wait for: statements, waits for locks and transactions of a
//! process that stopped have limits there too. Nothing here waits for a server without a limit, so a
//! connection whose other end went silent is replaced without TCP noticing.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{Connection, PgConnection};
use url::Url;

use super::append_history::AppendHistory;
use super::call::{CALL_TIMEOUT, with_timeout};
use super::connection_pool::{
    ACQUIRE_TIMEOUT, ConnectionManager, ConnectionPool, Pooled, StatementDeadline,
};
use super::error::StorageError;
use crate::domain::database_url::{KNOWN_PARAMETERS, remove_unknown_parameters};

/// How long a statement may take on the server: it ends before its call is given up.
const STATEMENT_TIMEOUT: Duration = CALL_TIMEOUT.saturating_sub(Duration::from_millis(500));
/// How many groups of audit records may be in flight.
pub(super) const MAX_AUDIT_CONNECTIONS: usize = 3;
/// How long after its last use a connection of the audit writer is lent without a question whether it is alive:
/// the question costs as much as the group, and a group whose connection breaks is appended again.
const AUDIT_PING_AFTER: Duration = Duration::from_secs(1);
/// How long a connection may take to answer before it is lent again.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// The connections to a PostgreSQL server, by their purpose.
#[derive(Clone)]
pub struct PostgresConnections {
    pub(super) reads: ConnectionPool<PostgresManager>,
    pub(super) reports: ConnectionPool<PostgresManager>,
    pub(super) writes: ConnectionPool<PostgresManager>,
    pub(super) catalog_changes: ConnectionPool<PostgresManager>,
    pub(super) audit: ConnectionPool<PostgresManager>,
    pub(super) follower: ConnectionPool<PostgresManager>,
    pub(super) appends: Arc<AppendHistory>,
    pub(super) health: ConnectionPool<PostgresManager>,
    options: PgConnectOptions,
}

impl PostgresConnections {
    /// Connects once, so that a wrong URL is an error now.
    pub(super) async fn open(url: &str, connections: usize) -> Result<Self, StorageError> {
        let (options, is_default_tls) = connect_options(url)?;
        let operation = format!(
            "connect to PostgreSQL at {}:{}, database {}",
            options.get_host(),
            options.get_port(),
            options.get_database().unwrap_or(options.get_username()),
        );
        let classify = |error: sqlx::Error| {
            let mut classified = StorageError::classify(&error, operation.clone(), "");
            if let (true, sqlx::Error::Tls(_), StorageError::Unavailable { reason, .. }) =
                (is_default_tls, &error, &mut classified)
            {
                reason.push_str(
                    ": the certificate of the server is verified; name its CA with \
                     sslrootcert=FILE in the database URL, or ask for less with sslmode",
                );
            }
            classified
        };
        let manager = |ping_after| PostgresManager::new(options.clone(), ping_after);
        let pool = |size: usize| ConnectionPool::new(manager(Duration::ZERO), size);
        let opened = Self {
            reads: pool((connections / 2).max(1))?,
            reports: pool((connections / 4).max(1))?,
            writes: pool((connections / 4).max(1))?,
            // Each of them locks the one row of the version, so more could only wait.
            catalog_changes: pool(1)?,
            audit: ConnectionPool::new(manager(AUDIT_PING_AFTER), MAX_AUDIT_CONNECTIONS)?,
            follower: pool(1)?,
            appends: Arc::new(AppendHistory::new()),
            health: pool(1)?,
            options: options.clone(),
        };
        with_timeout(ACQUIRE_TIMEOUT, operation.clone(), async {
            opened.reads.lend().await.map(drop).map_err(classify)
        })
        .await?;
        Ok(opened)
    }

    /// Opens a connection that belongs to no pool, whose statements may take so long.
    pub(super) async fn connect(&self, limit: Duration) -> Result<PgConnection, sqlx::Error> {
        let mut connection = PgConnection::connect_with(&self.options).await?;
        configure(&mut connection, limit, limit).await?;
        Ok(connection)
    }

    /// Closes every connection; those in use when their calls end.
    pub(super) fn close(&self) {
        for pool in [
            &self.reads,
            &self.reports,
            &self.writes,
            &self.catalog_changes,
            &self.audit,
            &self.follower,
            &self.health,
        ] {
            pool.close();
        }
    }
}

/// The options of a URL, and whether TLS is as this program wants it.
fn connect_options(url: &str) -> Result<(PgConnectOptions, bool), StorageError> {
    let invalid_url = || StorageError::Url {
        reason: String::from(
            "expected postgres://USER:PASSWORD@HOST:PORT/DATABASE, with special characters of the \
             password percent-encoded",
        ),
    };
    let mut url = Url::parse(url).map_err(|_| invalid_url())?;
    let unknown = remove_unknown_parameters(&mut url);
    if unknown > 0 {
        tracing::warn!(
            unknown,
            known = KNOWN_PARAMETERS.join(" "),
            "the database URL has parameters that are not known; they are ignored, and not shown because \
             they may hold a secret"
        );
    }
    let options = PgConnectOptions::from_str(url.as_str()).map_err(|_| invalid_url())?;
    let options = options.application_name("cedargate");
    let names_mode = url
        .query_pairs()
        .any(|(name, _)| matches!(&*name, "sslmode" | "ssl-mode"))
        || std::env::var_os("PGSSLMODE").is_some();
    if names_mode || is_local(&options) {
        return Ok((options, false));
    }
    Ok((options.ssl_mode(PgSslMode::VerifyFull), true))
}

/// Whether the server is reached by a socket or the loopback interface: nobody is in between.
fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host().trim_matches(['[', ']']);
    options.get_socket().is_some()
        || host.starts_with('/')
        || host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Sets the limits of a connection on the server, and `synchronous_commit` to `on` if the server's default is
/// `off`: no token may leave before its audit record is durable. Stricter values stay.
async fn configure(
    connection: &mut PgConnection,
    statement_limit: Duration,
    lock_limit: Duration,
) -> Result<(), sqlx::Error> {
    // A server that does not know a setting skips it. The last four let the server notice that this process
    // or its machine is gone, and end the transaction it left.
    const SETTINGS: &str = "SELECT set_config(wanted.name, wanted.value, false)
        FROM (VALUES ('statement_timeout', $1), ('lock_timeout', $2),
                ('idle_in_transaction_session_timeout', '5000'),
                ('tcp_keepalives_idle', '10'), ('tcp_keepalives_interval', '5'),
                ('tcp_keepalives_count', '3'), ('tcp_user_timeout', '20000')) AS wanted (name, value)
            JOIN pg_settings ON pg_settings.name = wanted.name
        UNION ALL
        SELECT set_config('synchronous_commit', 'on', false)
        WHERE current_setting('synchronous_commit') = 'off'";
    // Not every platform has it: a server elsewhere refuses it.
    const CHECK_CLIENT: &str =
        "SELECT set_config('client_connection_check_interval', '1000', false)
        FROM pg_settings WHERE name = 'client_connection_check_interval'";
    sqlx::query(SETTINGS)
        .persistent(false)
        .bind(statement_limit.as_millis().to_string())
        .bind(lock_limit.as_millis().to_string())
        .execute(&mut *connection)
        .await?;
    match sqlx::raw_sql(CHECK_CLIENT).execute(connection).await {
        Ok(_) | Err(sqlx::Error::Database(_)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Opens connections to one PostgreSQL server.
pub(super) struct PostgresManager {
    options: PgConnectOptions,
    /// How often a connection did not answer: those opened before are not tried any more.
    generation: AtomicU64,
    /// How long after its last use a connection is lent without a question whether it is alive.
    ping_after: Duration,
}

impl PostgresManager {
    fn new(options: PgConnectOptions, ping_after: Duration) -> Self {
        Self {
            options,
            generation: AtomicU64::new(0),
            ping_after,
        }
    }

    /// Whether a connection broke; then those opened before are not lent any more.
    pub(super) fn note_broken(&self, error: &sqlx::Error) -> bool {
        let is_broken = match error {
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) => true,
            // The server says that it ends the connection.
            sqlx::Error::Database(said) => said.code().is_some_and(|code| code.starts_with("57P")),
            _ => false,
        };
        if is_broken {
            self.generation.fetch_add(1, Ordering::Relaxed);
        }
        is_broken
    }
}

impl ConnectionManager for PostgresManager {
    type Connection = PgConnection;
}

impl Manager for PostgresManager {
    type Type = Pooled<PgConnection>;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<Self::Type, sqlx::Error> {
        let generation = self.generation.load(Ordering::Relaxed);
        let mut connection = PgConnection::connect_with(&self.options).await?;
        configure(&mut connection, STATEMENT_TIMEOUT, ACQUIRE_TIMEOUT).await?;
        let deadline = Arc::new(StatementDeadline::never());
        Ok(Pooled::new(connection, deadline, generation))
    }

    async fn recycle(
        &self,
        pooled: &mut Self::Type,
        metrics: &Metrics,
    ) -> RecycleResult<sqlx::Error> {
        let generation = self.generation.load(Ordering::Relaxed);
        if pooled.is_spoiled() || pooled.generation != generation {
            return Err(RecycleError::message("spoiled"));
        }
        if metrics.last_used() < self.ping_after {
            return Ok(());
        }
        match tokio::time::timeout(PING_TIMEOUT, pooled.connection.ping()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(RecycleError::Backend(error)),
            Err(_) => {
                // The others lead to the same silence: one wait is enough.
                let next = generation.wrapping_add(1);
                let _ = self.generation.compare_exchange(
                    generation,
                    next,
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                );
                Err(RecycleError::message("no answer"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> PgSslMode {
        connect_options(url).unwrap().0.get_ssl_mode()
    }

    #[test]
    fn tls_is_verified_unless_the_url_or_the_place_of_the_server_says_less() {
        for url in [
            "postgres://a:b@db.example/x",
            "postgres://a:b@10.0.0.7/x",
            "postgresql://a:b@localhost.example/x?application_name=sslmode",
            "postgres://a:b@[2001:db8::1]/x",
        ] {
            assert!(matches!(mode(url), PgSslMode::VerifyFull), "{url}");
        }
        for url in [
            "postgres://a:b@db.example/x?sslmode=prefer",
            "postgres://a:b@localhost/x",
            "postgres://a:b@127.0.0.1/x",
            "postgres://a:b@[::1]:5433/x",
            "postgres://a:b@%2Fvar%2Frun%2Fpostgresql/x",
            "postgres:///x?host=/var/run/postgresql",
        ] {
            assert!(matches!(mode(url), PgSslMode::Prefer), "{url}");
        }
        let disabled = mode("postgres://a:b@db.example/x?sslmode=disable");
        assert!(matches!(disabled, PgSslMode::Disable));
    }
}
