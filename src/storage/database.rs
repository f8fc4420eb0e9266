//! The database connections: open, migrate, and run one SQL text on SQLite or PostgreSQL.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection, PgConnection, Postgres, Sqlite};

use super::error::{StorageError, is_sqlite_busy};
use super::sqlite_file::SqliteFile;

/// How long a call waits for a connection, and SQLite for another writer.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long to wait before another attempt to open a SQLite file that another process is opening.
const OPEN_RETRY_INTERVAL: Duration = Duration::from_millis(10);
/// How long one ordinary call may take, waiting included.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long reading or writing the whole catalog may take.
pub(super) const CATALOG_TIMEOUT: Duration = Duration::from_mins(1);
/// How long a migration may take, waiting for another process's migration included.
const MIGRATION_TIMEOUT: Duration = Duration::from_mins(10);

static SQLITE_MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES_MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// The database; clones share its connections.
///
/// Every call is bounded: it waits at most 2 seconds for a connection and ends within 5 (the whole
/// catalog: 60; a migration: 600). A database that was away is used again as soon as it is back.
#[derive(Clone)]
pub enum Database {
    /// One file, for one machine.
    Sqlite(SqlitePools),
    /// A server that several replicas share.
    Postgres(PgPool),
}

/// The connections to one SQLite file: SQLite has one writer at a time, and readers beside it.
///
/// With the one writing connection, writers of this process queue here, fairly and without busy errors;
/// only other processes compete for the file lock.
#[derive(Clone)]
pub struct SqlitePools {
    writer: SqlitePool,
    readers: SqlitePool,
    file: SqliteFile,
}

/// A value of one database or of the other.
pub(super) enum Either<S, P> {
    Sqlite(S),
    Postgres(P),
}

pub(super) type Pool<'a> = Either<&'a SqlitePool, &'a PgPool>;
pub(super) type Transaction =
    Either<sqlx::Transaction<'static, Sqlite>, sqlx::Transaction<'static, Postgres>>;

/// Compiles one expression for both databases: `$connection` stands for a pool or a transaction.
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
    pub(super) async fn commit(self) -> Result<(), sqlx::Error> {
        on_either!(self, transaction => transaction.commit().await)
    }
}

impl Database {
    /// Opens `sqlite://PATH` (the file is created when there is none, readable by its owner alone)
    /// or `postgres://...` with at most so many `connections`; SQLite has one more, for writing.
    ///
    /// A relative path is relative to the working directory; `%` in a path begins a
    /// percent-encoded byte. SQLite files are opened with a write-ahead log, foreign keys and
    /// `synchronous = FULL`. Fails when the URL cannot be used or the database not be reached.
    pub async fn open(url: &str, connections: u32) -> Result<Self, StorageError> {
        if let Some(path) = url.strip_prefix("sqlite://") {
            open_sqlite(path, connections).await
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            open_postgres(url, connections).await
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
    pub(super) fn check_file(&self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(pools) => Ok(pools.file.check_unchanged()?),
            Self::Postgres(_) => Ok(()),
        }
    }

    /// Brings the tables up to date; does nothing when they are.
    ///
    /// Processes that start together wait for each other. A database that a newer program migrated
    /// is [`StorageError::NewerSchema`].
    pub async fn migrate(&self) -> Result<(), StorageError> {
        let operation = "migrate the database";
        with_timeout(MIGRATION_TIMEOUT, operation, async {
            match self {
                Self::Sqlite(pools) => migrate_sqlite(&pools.writer).await,
                Self::Postgres(pool) => migrate_postgres(pool).await,
            }
        })
        .await
    }

    /// Checks that the database can be written to now.
    pub async fn ping(&self) -> Result<(), StorageError> {
        run(CALL_TIMEOUT, "write to the database", "", async {
            self.begin_writing().await?.commit().await
        })
        .await
    }

    /// Closes every connection once its call is done; calls made later are
    /// [`StorageError::Unavailable`].
    pub async fn close(&self) {
        match self {
            Self::Sqlite(pools) => {
                pools.readers.close().await;
                pools.writer.close().await;
            }
            Self::Postgres(pool) => pool.close().await,
        }
    }

    /// Which database it is: `sqlite` or `postgres`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }

    /// The connections for one reading statement.
    pub(super) fn readers(&self) -> Pool<'_> {
        match self {
            Self::Sqlite(pools) => Either::Sqlite(&pools.readers),
            Self::Postgres(pool) => Either::Postgres(pool),
        }
    }

    /// The connections for one writing statement.
    pub(super) fn writer(&self) -> Pool<'_> {
        match self {
            Self::Sqlite(pools) => Either::Sqlite(&pools.writer),
            Self::Postgres(pool) => Either::Postgres(pool),
        }
    }

    /// Begins a transaction whose statements all see the same snapshot.
    pub(super) async fn begin_reading(&self) -> Result<Transaction, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(pools) => Either::Sqlite(pools.readers.begin().await?),
            Self::Postgres(pool) => Either::Postgres(
                pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                    .await?,
            ),
        })
    }

    /// Begins a transaction that writes.
    pub(super) async fn begin_writing(&self) -> Result<Transaction, sqlx::Error> {
        Ok(match self {
            // A transaction that first reads and then writes fails if another process wrote in between,
            // whatever the busy timeout: take the write lock first.
            Self::Sqlite(pools) => {
                self.check_file()?;
                Either::Sqlite(pools.writer.begin_with("BEGIN IMMEDIATE").await?)
            }
            Self::Postgres(pool) => Either::Postgres(pool.begin().await?),
        })
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Database").field(&self.kind()).finish()
    }
}

impl fmt::Debug for SqlitePools {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SqlitePools")
    }
}

/// Runs statements within a timeout and classifies their error; `table` is the one being read.
pub(super) async fn run<T>(
    timeout: Duration,
    operation: &'static str,
    table: &'static str,
    statements: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StorageError> {
    with_timeout(timeout, operation, async {
        statements
            .await
            .map_err(|error| StorageError::classify(&error, operation, table))
    })
    .await
}

/// Ends a call at its timeout: an unresponsive server would hold it for as long as TCP retries.
pub(super) async fn with_timeout<T>(
    timeout: Duration,
    operation: impl Into<Cow<'static, str>>,
    call: impl Future<Output = Result<T, StorageError>>,
) -> Result<T, StorageError> {
    tokio::time::timeout(timeout, call)
        .await
        .unwrap_or_else(|_| {
            Err(StorageError::Unavailable {
                operation: operation.into(),
                reason: format!("no answer within {} seconds", timeout.as_secs()),
            })
        })
}

async fn open_sqlite(path: &str, connections: u32) -> Result<Database, StorageError> {
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
        .map_err(|error| invalid_url(&error.to_string()))?
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(ACQUIRE_TIMEOUT);
    let operation = format!("open {}", options.get_filename().display());
    create_private_file(options.get_filename()).map_err(|error| StorageError::Unavailable {
        operation: operation.clone().into(),
        reason: error.to_string(),
    })?;

    // A connection to a file does not break as one to a server does: no test before use.
    let pool = || {
        SqlitePoolOptions::new()
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
    };
    let classify = |error: sqlx::Error| StorageError::classify(&error, operation.clone(), "");
    let writing = options.clone().journal_mode(SqliteJournalMode::Wal);
    let writer = connect_when_unlocked(pool().max_connections(1), writing)
        .await
        .map_err(classify)?;
    let reading = options.clone().read_only(true);
    let readers = connect_when_unlocked(pool().max_connections(connections), reading)
        .await
        .map_err(classify)?;
    let file =
        SqliteFile::new(options.get_filename()).map_err(|error| StorageError::Unavailable {
            operation: operation.clone().into(),
            reason: error.to_string(),
        })?;
    Ok(Database::Sqlite(SqlitePools {
        writer,
        readers,
        file,
    }))
}

/// Connects as soon as no other process is opening the file.
///
/// Two processes that switch one file to the write-ahead log at the same time would wait for each other, so
/// SQLite refuses one of them at once, whatever the busy timeout.
async fn connect_when_unlocked(
    pool: SqlitePoolOptions,
    options: SqliteConnectOptions,
) -> Result<SqlitePool, sqlx::Error> {
    let deadline = tokio::time::Instant::now() + ACQUIRE_TIMEOUT;
    loop {
        match pool.clone().connect_with(options.clone()).await {
            Err(error) if is_sqlite_busy(&error) && tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(OPEN_RETRY_INTERVAL).await;
            }
            result => return result,
        }
    }
}

/// Creates an empty file if there is none, readable by its owner only: it will hold password hashes and
/// sealed keys, and SQLite gives its log the same mode.
fn create_private_file(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

async fn open_postgres(url: &str, connections: u32) -> Result<Database, StorageError> {
    let options = PgConnectOptions::from_str(url).map_err(|_| StorageError::Url {
        reason: String::from(
            "expected postgres://USER:PASSWORD@HOST:PORT/DATABASE, with special characters of the \
             password percent-encoded",
        ),
    })?;
    let options = options.application_name("cedargate");
    let operation = format!(
        "connect to PostgreSQL at {}:{}, database {}",
        options.get_host(),
        options.get_port(),
        options.get_database().unwrap_or(options.get_username()),
    );

    // The pool would retry until its timeout and then not report the cause: connect once directly.
    with_timeout(ACQUIRE_TIMEOUT, operation.clone(), async {
        let classify = |error: sqlx::Error| StorageError::classify(&error, operation.clone(), "");
        let connection = PgConnection::connect_with(&options)
            .await
            .map_err(classify)?;
        connection.close().await.map_err(classify)
    })
    .await?;

    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(|connection, _| Box::pin(ensure_durable_commits(connection)))
        .connect_lazy_with(options);
    Ok(Database::Postgres(pool))
}

/// Sets `synchronous_commit` to `on` if the server's default is `off`: no token may leave before its audit
/// record is durable. Stricter values stay.
async fn ensure_durable_commits(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    const SQL: &str = "SELECT set_config('synchronous_commit', 'on', false)
        WHERE current_setting('synchronous_commit') = 'off'";
    sqlx::query(SQL).execute(connection).await.map(drop)
}

fn newest_migration(migrations: &Migrator) -> i64 {
    migrations
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or_default()
}

async fn migrate_sqlite(writer: &SqlitePool) -> Result<(), StorageError> {
    let classify = |error: sqlx::Error| StorageError::classify(&error, "migrate the database", "");
    // sqlx does not lock SQLite for a migration: one immediate transaction around all of it does.
    let mut transaction = writer
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(classify)?;
    SQLITE_MIGRATIONS
        .run_direct(None, &mut *transaction, false)
        .await
        .map_err(|error| {
            StorageError::classify_migration(&error, newest_migration(&SQLITE_MIGRATIONS))
        })?;
    transaction.commit().await.map_err(classify)
}

async fn migrate_postgres(pool: &PgPool) -> Result<(), StorageError> {
    let classify = |error: sqlx::Error| StorageError::classify(&error, "migrate the database", "");
    let mut connection = pool.acquire().await.map_err(classify)?;
    // A migration that fails keeps its advisory lock until its connection ends.
    connection.close_on_drop();
    POSTGRES_MIGRATIONS
        .run_direct(None, &mut *connection, false)
        .await
        .map_err(|error| {
            StorageError::classify_migration(&error, newest_migration(&POSTGRES_MIGRATIONS))
        })
}
