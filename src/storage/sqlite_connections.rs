//! Connections to one SQLite file: one writer, and readers beside it.
//!
//! Writers of this process queue for the one writing connection, fairly and without busy errors; only other
//! processes compete for the file lock. The audit writer does not queue with the others: at most one of them
//! is before it. While it has the connection, it may write with one of its own.

use std::io;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, RecycleError, RecycleResult};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection as _, SqliteConnection};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::append_history::AppendHistory;
use super::blocking_appender::BlockingAppender;
use super::call::{CALL_TIMEOUT, with_timeout};
use super::connection_pool::{
    ACQUIRE_TIMEOUT, ConnectionManager, ConnectionPool, Lease, Pooled, StatementDeadline,
};
use super::error::{StorageError, is_sqlite_busy};
use super::log_sync::LogSync;
use super::open_connections::OpenConnections;
use super::sqlite_file::SqliteFile;

/// How long to wait before another attempt to open a SQLite file that another process is opening.
const OPEN_RETRY_INTERVAL: Duration = Duration::from_millis(10);
/// How many instructions of SQLite's machine are run between two looks at the deadline: a fraction of a
/// millisecond.
const PROGRESS_INTERVAL: i32 = 4000;
/// How many pages of the log there may be before a writer itself moves them into the database and begins the log
/// anew. Until then [`Database::checkpoint`](super::Database::checkpoint) moves them beside the writers, so that
/// little is left for the one who waits.
const MAX_LOG_PAGES: u32 = 8000;
/// How many connections that were given up may hang, for example on a disk that does not answer, before no
/// more are opened.
const MAX_HANGING_CONNECTIONS: usize = 8;
/// How long closing waits for all others, and then for the writer.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The connections to one SQLite file, by their purpose.
#[derive(Clone)]
pub struct SqliteConnections {
    pub(super) reads: ConnectionPool<SqliteManager>,
    pub(super) reports: ConnectionPool<SqliteManager>,
    pub(super) writes: ConnectionPool<SqliteManager>,
    pub(super) audit: ConnectionPool<SqliteManager>,
    pub(super) follower: ConnectionPool<SqliteManager>,
    pub(super) appends: Arc<AppendHistory>,
    pub(super) health: ConnectionPool<SqliteManager>,
    pub(super) checkpoints: ConnectionPool<SqliteManager>,
    pub(super) file: SqliteFile,
    pub(super) log_sync: LogSync,
    pub(super) blocking_appender: Arc<BlockingAppender>,
    writer: SqliteManager,
}

impl SqliteConnections {
    /// Opens the file at the path of a `sqlite://` URL, and creates it if there is none.
    pub(super) async fn open(path: &str, connections: usize) -> Result<Self, StorageError> {
        let options = connect_options(path)?;
        let operation = format!("open {}", options.get_filename().display());
        let unavailable = |error: io::Error| StorageError::Unavailable {
            operation: operation.clone().into(),
            reason: error.to_string(),
        };
        let path = options.get_filename().to_owned();
        create_private_file(&path).map_err(unavailable)?;
        let file = SqliteFile::new(&path).map_err(unavailable)?;
        let (reads, reports) = ((connections / 2).max(1), (connections / 4).max(1));
        // With the writer, the follower, the health check, checkpoints and the blocking appender.
        let limit = reads + reports + 5 + MAX_HANGING_CONNECTIONS;
        let writer = SqliteManager {
            options: options
                .clone()
                .journal_mode(SqliteJournalMode::Wal)
                .pragma("wal_autocheckpoint", MAX_LOG_PAGES.to_string()),
            open: OpenConnections::default(),
            max_open: limit,
            opening: Arc::default(),
        };
        let reader = SqliteManager {
            options: options.read_only(true),
            ..writer.clone()
        };
        // What a statement changes is copied first, in case it fails, and a copy of more than 64 KiB goes to a temporary
        // file by default. Beside migrations, which use another connection, a statement changes some MiB at most.
        let small_writer = SqliteManager {
            options: writer.options.clone().pragma("temp_store", "MEMORY"),
            ..writer.clone()
        };
        let audit = ConnectionPool::new(small_writer, 1)?;
        let reads = ConnectionPool::new(reader.clone(), reads)?;
        // What is wrong is an error now, not at the first use.
        let classify = |error: sqlx::Error| StorageError::classify(&error, operation.clone(), "");
        with_timeout(CALL_TIMEOUT, operation.clone(), async {
            drop(audit.lend().await.map_err(classify)?);
            reads.lend().await.map(drop).map_err(classify)
        })
        .await?;
        Ok(Self {
            reads,
            reports: ConnectionPool::new(reader.clone(), reports)?,
            writes: audit.behind_others(),
            audit,
            follower: ConnectionPool::new(reader, 1)?,
            appends: Arc::new(AppendHistory::new()),
            health: ConnectionPool::new(writer.clone(), 1)?,
            checkpoints: ConnectionPool::new(writer.clone(), 1)?,
            log_sync: LogSync::new(&path, file.clone()),
            blocking_appender: Arc::new(BlockingAppender::new(
                path,
                file.clone(),
                MAX_LOG_PAGES,
                &writer.open,
            )),
            file,
            writer,
        })
    }

    /// Makes a writing connection ready: its commits are synced, or whoever commits waits for
    /// [`LogSync::sync`]. After a sync that failed, everything in the log is moved into the database first.
    pub(super) async fn set_synced_apart(
        &self,
        lease: &mut Lease<SqliteManager>,
        is_synced_apart: bool,
    ) -> Result<(), sqlx::Error> {
        const REPAIR: &str = "PRAGMA wal_checkpoint(TRUNCATE)";
        if self.log_sync.is_broken() {
            let (is_busy, _, _): (bool, i64, i64) =
                sqlx::query_as(REPAIR).fetch_one(&mut **lease).await?;
            if is_busy {
                let reason = "a sync of the write-ahead log failed, and readers keep it in use";
                return Err(io::Error::other(reason).into());
            }
            self.log_sync.mark_whole();
        }
        if lease.is_synced_apart() != is_synced_apart {
            let sql = if is_synced_apart {
                "PRAGMA synchronous = NORMAL"
            } else {
                "PRAGMA synchronous = FULL"
            };
            sqlx::raw_sql(sql).execute(&mut **lease).await?;
            lease.set_synced_apart(is_synced_apart);
        }
        Ok(())
    }

    /// Opens a connection that belongs to no pool.
    pub(super) async fn connect(&self) -> Result<SqliteConnection, sqlx::Error> {
        let pooled = tokio::time::timeout(ACQUIRE_TIMEOUT, self.writer.create()).await;
        Ok(pooled.map_err(|_| sqlx::Error::PoolTimedOut)??.connection)
    }

    /// Closes every connection and waits until none is open, within a bound: the last one to close tidies the
    /// log up, and only those that write can.
    pub(super) async fn close(&self) {
        let pools = [
            &self.reads,
            &self.reports,
            &self.follower,
            &self.health,
            &self.checkpoints,
        ];
        let idle = pools.map(ConnectionPool::close);
        let open = &self.writer.open;
        let until = Instant::now() + CLOSE_TIMEOUT;
        let readers_closed = async {
            close_all(idle.into_iter().flatten()).await;
            open.wait_for_at_most(2).await;
        };
        let _ = tokio::time::timeout_at(until, readers_closed).await;
        // What appends may be the only one that has used the log to write: if one that reads were closed after it, the
        // log would stay. It waits for whoever appends, on a disk that may not answer.
        let appender = Arc::clone(&self.blocking_appender);
        let appender_closed = tokio::task::spawn_blocking(move || appender.close());
        let others_closed = async {
            let _ = appender_closed.await;
            open.wait_for_at_most(1).await;
        };
        let _ = tokio::time::timeout_at(until, others_closed).await;
        let writer_closed = async {
            close_all(self.audit.close()).await;
            open.wait_for_at_most(0).await;
        };
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, writer_closed).await;
    }
}

/// Closes connections and returns when they are closed: one that is dropped is closed a moment later.
async fn close_all(connections: impl IntoIterator<Item = Pooled<SqliteConnection>>) {
    for pooled in connections {
        let _ = pooled.connection.close().await;
    }
}

fn connect_options(path: &str) -> Result<SqliteConnectOptions, StorageError> {
    let invalid_url = |reason: &str| StorageError::Url {
        reason: reason.to_owned(),
    };
    if path.is_empty() || path.contains(":memory:") {
        return Err(invalid_url(
            "sqlite:// must be followed by the path of a file",
        ));
    }
    if path.contains('?') {
        return Err(invalid_url(
            "sqlite:// takes no parameters (a ? in a path is written %3F)",
        ));
    }
    let options = SqliteConnectOptions::from_str(&format!("sqlite://{path}"))
        .map_err(|error| invalid_url(&error.to_string()))?;
    Ok(options
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(ACQUIRE_TIMEOUT))
}

/// Creates an empty file if there is none, readable by its owner only: it will hold password hashes and
/// sealed keys, and SQLite gives its log the same mode.
fn create_private_file(path: &Path) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Opens connections to one SQLite file; all of its pools share the counts.
#[derive(Clone)]
pub(super) struct SqliteManager {
    options: SqliteConnectOptions,
    open: OpenConnections,
    max_open: usize,
    /// Held while a connection is being opened: on a disk that does not answer, one thread hangs, not many.
    opening: Arc<Mutex<()>>,
}

impl ConnectionManager for SqliteManager {
    type Connection = SqliteConnection;
}

impl Manager for SqliteManager {
    type Type = Pooled<SqliteConnection>;
    type Error = sqlx::Error;

    async fn create(&self) -> Result<Self::Type, sqlx::Error> {
        let opening = Arc::clone(&self.opening).lock_owned().await;
        let open = self.open.count();
        if open >= self.max_open {
            let reason = format!("{open} connections are open, and some of them hang");
            return Err(io::Error::other(reason).into());
        }
        let manager = self.clone();
        // In a task of its own: it holds the lock for as long as the opening takes, whoever waits for it.
        let task = tokio::spawn(async move {
            let connection = manager.connect_when_unlocked().await;
            drop(opening);
            connection
        });
        task.await.map_err(|_| sqlx::Error::WorkerCrashed)?
    }

    async fn recycle(&self, pooled: &mut Self::Type, _: &Metrics) -> RecycleResult<sqlx::Error> {
        // A connection to a file does not break as one to a server does: no test before use.
        if pooled.is_spoiled() {
            return Err(RecycleError::message("spoiled"));
        }
        Ok(())
    }
}

impl SqliteManager {
    /// Connects as soon as no other process is opening the file.
    ///
    /// Two processes that switch one file to the write-ahead log at the same time would wait for each other, so
    /// SQLite refuses one of them at once, whatever the busy timeout.
    async fn connect_when_unlocked(&self) -> Result<Pooled<SqliteConnection>, sqlx::Error> {
        let retry_until = Instant::now() + ACQUIRE_TIMEOUT;
        let mut connection = loop {
            match self.options.connect().await {
                Err(error) if is_sqlite_busy(&error) && Instant::now() < retry_until => {
                    tokio::time::sleep(OPEN_RETRY_INTERVAL).await;
                }
                result => break result?,
            }
        };
        let deadline = Arc::new(StatementDeadline::never());
        let (asked, counted) = (Arc::clone(&deadline), self.open.add());
        connection
            .lock_handle()
            .await?
            .set_progress_handler(PROGRESS_INTERVAL, move || {
                // SQLite drops this function, and the count with it, when the connection has ended.
                let _counted = &counted;
                !asked.is_over()
            });
        Ok(Pooled::new(connection, deadline, 0))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::*;

    #[tokio::test]
    async fn the_writing_connection_is_reserved_only_if_nobody_has_or_awaits_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let opened = SqliteConnections::open(path.to_str().unwrap(), 4).await;
        let connections = opened.unwrap();
        let call = async {
            let lease = connections.writes.lend().await.unwrap();
            assert!(connections.audit.try_reserve().is_none());
            drop(lease);
            let reserved = connections.audit.try_reserve().unwrap();
            let mut waiting = Box::pin(connections.writes.lend());
            assert!(poll!(&mut waiting).is_pending());
            drop(reserved);
            assert!(connections.audit.try_reserve().is_none());
            drop(waiting.await.unwrap());
            assert!(connections.audit.try_reserve().is_some());
            Ok(())
        };
        with_timeout(CALL_TIMEOUT, "reserve", call).await.unwrap();
    }
}
