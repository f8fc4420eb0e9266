//! The database: opens the connections, lends them by their purpose, and runs one SQL text on SQLite or
//! PostgreSQL.
//!
//! What the product needs to live has connections of its own (following changes, the audit writer, health), and
//! what may be slow has few: whatever waits or searches, a mint finds a connection.

use std::fmt;
use std::str::FromStr;

use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteConnectOptions;

use super::append_history::AppendHistory;
use super::call;
pub(super) use super::call::{CALL_TIMEOUT, CATALOG_TIMEOUT, FOLLOW_TIMEOUT, run, with_timeout};
use super::connection_pool::Lease;
use super::error::StorageError;
use super::postgres_connections::{PostgresConnections, PostgresManager};
use super::sqlite_connections::{SqliteConnections, SqliteManager};
use crate::domain::commit_watch::begin_commit;

/// The database; clones share its connections.
///
/// Every call that does not block its thread is bounded: it waits at most 2 seconds for a connection and ends within 5 (the whole
/// catalog: 60; a migration: 600), on the server too. A database that was away is used again as soon as it is
/// back.
#[derive(Clone)]
pub enum Database {
    /// One file, for one machine.
    Sqlite(SqliteConnections),
    /// A server that several replicas share.
    Postgres(PostgresConnections),
}

/// A value of one database or of the other.
pub(super) enum Either<S, P> {
    Sqlite(S),
    Postgres(P),
}

/// A connection, lent for the current call.
pub(super) type LentConnection = Either<Lease<SqliteManager>, Lease<PostgresManager>>;

/// A transaction. Unless it is committed or rolled back its connection is closed, so nothing of it stays.
pub(super) type Transaction = LentConnection;

/// Compiles one expression for both databases: `$connection` stands for a connection or a transaction.
macro_rules! on_either {
    ($either:expr, $connection:ident => $body:expr) => {
        match $either {
            $crate::storage::database::Either::Sqlite($connection) => $body,
            $crate::storage::database::Either::Postgres($connection) => $body,
        }
    };
}
pub(super) use on_either;

impl Transaction {
    async fn begin(mut self, sqlite: &'static str, postgres: &str) -> Result<Self, sqlx::Error> {
        match &mut self {
            Self::Sqlite(lease) => {
                lease.enter_transaction();
                sqlx::raw_sql(sqlite).execute(&mut **lease).await?;
            }
            Self::Postgres(lease) => {
                let mut sql = postgres.to_owned();
                let limit = call::deadline().saturating_duration_since(tokio::time::Instant::now());
                if limit > CALL_TIMEOUT {
                    // A statement of a longer call may take longer.
                    sql = format!("{sql}; SET LOCAL statement_timeout = {}", limit.as_millis());
                }
                lease.enter_transaction();
                sqlx::raw_sql(AssertSqlSafe(sql))
                    .execute(&mut **lease)
                    .await?;
            }
        }
        Ok(self)
    }

    /// To be called when nothing of a transaction, or of statements that commit by themselves, is left.
    pub(super) fn leave_transaction(&mut self) {
        on_either!(self, lease => lease.leave_transaction());
    }

    pub(super) async fn commit(self) -> Result<(), sqlx::Error> {
        let commit = begin_commit();
        let result = self.end("COMMIT").await;
        match &result {
            Ok(()) => commit.settle(true),
            // The database itself says that it did not commit. Otherwise nobody knows.
            Err(sqlx::Error::Database(_)) => commit.settle(false),
            Err(_) => drop(commit),
        }
        result
    }

    /// Rolls back, so that the connection may be used again: without it, it is closed.
    pub(super) async fn rollback(self) -> Result<(), sqlx::Error> {
        self.end("ROLLBACK").await
    }

    async fn end(mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        on_either!(&mut self, lease => {
            sqlx::raw_sql(sql).execute(&mut **lease).await?;
            lease.leave_transaction();
        });
        Ok(())
    }
}

impl Database {
    /// Opens `sqlite://PATH` (the file is created when there is none, readable by its owner alone)
    /// or `postgres://...`; `connections` are shared out to reads, writes and long reads, and a few more
    /// serve one purpose each.
    ///
    /// A relative path is relative to the working directory; `%` in a path begins a
    /// percent-encoded byte. SQLite files are opened with a write-ahead log and foreign keys, and what a call has
    /// written is on the disk when it returns. Fails when the URL cannot be used or the database not be reached.
    pub async fn open(url: &str, connections: u32) -> Result<Self, StorageError> {
        let connections = connections as usize;
        if let Some(path) = url.strip_prefix("sqlite://") {
            let opened = SqliteConnections::open(path, connections).await;
            opened.map(Self::Sqlite)
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let opened = PostgresConnections::open(url, connections).await;
            opened.map(Self::Postgres)
        } else {
            let reason = String::from("it must begin with sqlite:// or postgres://");
            Err(StorageError::Url { reason })
        }
    }

    /// Like [`Database::open`], but a missing SQLite file is an error and is not created.
    pub async fn open_existing(url: &str, connections: u32) -> Result<Self, StorageError> {
        if let Some(path) = url.strip_prefix("sqlite://")
            && let Ok(options) = SqliteConnectOptions::from_str(&format!("sqlite://{path}"))
            && let Err(error) = std::fs::metadata(options.get_filename())
        {
            return Err(StorageError::Unavailable {
                operation: format!("open {}", options.get_filename().display()).into(),
                reason: error.to_string(),
            });
        }
        Self::open(url, connections).await
    }

    /// Fails if the path of a SQLite database does not name the opened file any more.
    pub(super) async fn check_file(&self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(connections) => Ok(connections.file.check_unchanged().await?),
            Self::Postgres(_) => Ok(()),
        }
    }

    /// Closes the connections, those in use once their calls are done, within a bound; calls made later are
    /// [`StorageError::Unavailable`].
    pub async fn close(&self) {
        match self {
            Self::Sqlite(connections) => connections.close().await,
            Self::Postgres(connections) => connections.close(),
        }
    }

    /// Which database it is: `sqlite` or `postgres`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }

    /// A connection for short reading statements.
    pub(super) async fn reader(&self) -> Result<LentConnection, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(connections) => Either::Sqlite(connections.reads.lend().await?),
            Self::Postgres(connections) => Either::Postgres(connections.reads.lend().await?),
        })
    }

    /// A connection for what may read much: searches and exports. There are few, so that they leave the
    /// others to requests.
    pub(super) async fn report_reader(&self) -> Result<LentConnection, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(connections) => Either::Sqlite(connections.reports.lend().await?),
            Self::Postgres(connections) => Either::Postgres(connections.reports.lend().await?),
        })
    }

    /// The connection that follows the versions of the catalog.
    pub(super) async fn follower(&self) -> Result<LentConnection, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(connections) => Either::Sqlite(connections.follower.lend().await?),
            Self::Postgres(connections) => Either::Postgres(connections.follower.lend().await?),
        })
    }

    /// A connection for one writing statement.
    pub(super) async fn writer(&self) -> Result<LentConnection, sqlx::Error> {
        match self {
            Self::Sqlite(connections) => {
                let mut lease = connections.writes.lend().await?;
                connections.set_synced_apart(&mut lease, false).await?;
                Ok(Either::Sqlite(lease))
            }
            Self::Postgres(connections) => Ok(Either::Postgres(connections.writes.lend().await?)),
        }
    }

    /// Begins a transaction whose statements all see the same snapshot.
    pub(super) async fn begin_reading(&self) -> Result<Transaction, sqlx::Error> {
        let reader = self.report_reader().await?;
        let postgres = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        reader.begin("BEGIN", postgres).await
    }

    /// Begins a transaction that writes.
    pub(super) async fn begin_writing(&self) -> Result<Transaction, sqlx::Error> {
        self.begin_write(self.writer().await?).await
    }

    /// Begins a transaction that changes the catalog: all of them lock its version, so they queue here and
    /// leave the other writing connections alone.
    pub(super) async fn begin_catalog_change(&self) -> Result<Transaction, sqlx::Error> {
        let connection = match self {
            Self::Sqlite(connections) => Either::Sqlite(connections.writes.lend().await?),
            Self::Postgres(connections) => {
                Either::Postgres(connections.catalog_changes.lend().await?)
            }
        };
        self.begin_write(connection).await
    }

    /// A connection of the audit writer, which does not queue with the others. It is for single statements, each
    /// of which commits by itself; what they wrote is durable after [`Database::make_appended_durable`].
    pub(super) async fn appender(&self) -> Result<LentConnection, sqlx::Error> {
        let mut connection = match self {
            Self::Sqlite(connections) => {
                let mut lease = connections.audit.lend().await?;
                connections.set_synced_apart(&mut lease, true).await?;
                Either::Sqlite(lease)
            }
            Self::Postgres(connections) => Either::Postgres(connections.audit.lend().await?),
        };
        // A statement that fails may leave anything behind: then the connection is closed.
        on_either!(&mut connection, lease => lease.enter_transaction());
        Ok(connection)
    }

    /// Whether a connection of the audit writer broke, so that the same may succeed on a new one.
    pub(super) fn is_appender_broken(&self, error: &sqlx::Error) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres(connections) => connections.audit.manager().note_broken(error),
        }
    }

    /// Gives a connection of the audit writer back, and returns when what it wrote is durable.
    pub(super) async fn make_appended_durable(
        &self,
        mut appender: LentConnection,
    ) -> Result<(), sqlx::Error> {
        appender.leave_transaction();
        drop(appender);
        match self {
            Self::Sqlite(connections) => Ok(connections.log_sync.sync().await?),
            Self::Postgres(_) => Ok(()),
        }
    }

    /// Begins the transaction of a health check.
    pub(super) async fn begin_health_check(&self) -> Result<Transaction, sqlx::Error> {
        let connection = match self {
            Self::Sqlite(connections) => Either::Sqlite(connections.health.lend().await?),
            Self::Postgres(connections) => Either::Postgres(connections.health.lend().await?),
        };
        self.begin_write(connection).await
    }

    /// What became of the audit records that were appended last.
    pub(super) fn append_history(&self) -> &AppendHistory {
        match self {
            Self::Sqlite(connections) => &connections.appends,
            Self::Postgres(connections) => &connections.appends,
        }
    }

    async fn begin_write(
        &self,
        mut connection: LentConnection,
    ) -> Result<Transaction, sqlx::Error> {
        self.check_file().await?;
        if let (Self::Sqlite(connections), Either::Sqlite(lease)) = (self, &mut connection) {
            connections.set_synced_apart(lease, false).await?;
        }
        // A transaction of SQLite that first reads and then writes fails if another process wrote in between,
        // whatever the busy timeout: take the write lock first.
        connection.begin("BEGIN IMMEDIATE", "BEGIN").await
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Database").field(&self.kind()).finish()
    }
}
