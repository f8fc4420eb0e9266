//! The tables and their version: migrations, on connections of their own.

use std::sync::LazyLock;
use std::time::Duration;

use include_dir::{Dir, include_dir};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Connection, PgConnection, SqlStr, SqliteConnection};

use super::call::{CALL_TIMEOUT, run, with_timeout};
use super::database::{Database, on_either};
use super::error::StorageError;

/// How long a migration may take, waiting for another process's migration included.
const MIGRATION_TIMEOUT: Duration = Duration::from_mins(10);
const OPERATION: &str = "migrate the database";

static SQLITE_FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/migrations/sqlite");
static POSTGRES_FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/migrations/postgres");
static SQLITE_MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| migrations(&SQLITE_FILES));
static POSTGRES_MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| migrations(&POSTGRES_FILES));

/// The version of the tables, compared with this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaVersion {
    /// There are no tables yet.
    Empty,
    /// An older program made the tables, and may be using them.
    Older {
        /// The newest migration that the database has.
        found: i64,
        /// The newest migration that this program knows.
        known: i64,
    },
    /// The tables are those of this program.
    Current,
}

impl Database {
    /// Brings the tables up to date; does nothing when they are.
    ///
    /// Processes that start together wait for each other. A database that a newer program migrated
    /// is [`StorageError::NewerSchema`].
    pub async fn migrate(&self) -> Result<(), StorageError> {
        let classify = |error: sqlx::Error| StorageError::classify(&error, OPERATION, "");
        with_timeout(MIGRATION_TIMEOUT, OPERATION, async {
            match self {
                Self::Sqlite(connections) => {
                    let connection = connections.connect().await.map_err(classify)?;
                    migrate_sqlite(connection).await
                }
                Self::Postgres(connections) => {
                    let connection = connections.connect(MIGRATION_TIMEOUT).await;
                    migrate_postgres(connection.map_err(classify)?).await
                }
            }
        })
        .await
    }

    /// The version of the tables; that of a newer program is [`StorageError::NewerSchema`].
    pub async fn schema_version(&self) -> Result<SchemaVersion, StorageError> {
        const SQL: &str = "SELECT version FROM _sqlx_migrations ORDER BY version";
        const SQLITE_EXISTS: &str =
            "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = '_sqlx_migrations')";
        const POSTGRES_EXISTS: &str = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL";
        let (exists, migrations) = match self {
            Self::Sqlite(_) => (SQLITE_EXISTS, &*SQLITE_MIGRATIONS),
            Self::Postgres(_) => (POSTGRES_EXISTS, &*POSTGRES_MIGRATIONS),
        };
        let operation = "read the version of the tables";
        let found: Vec<i64> = run(CALL_TIMEOUT, operation, "_sqlx_migrations", async {
            let mut reader = self.reader().await?;
            on_either!(&mut reader, connection => {
                if sqlx::query_scalar(exists).fetch_one(&mut **connection).await? {
                    sqlx::query_scalar(SQL).fetch_all(&mut **connection).await
                } else {
                    Ok(Vec::new())
                }
            })
        })
        .await?;
        let known = newest_migration(migrations);
        let Some(&newest) = found.last() else {
            return Ok(SchemaVersion::Empty);
        };
        if newest > known {
            let found = newest;
            return Err(StorageError::NewerSchema { found, known });
        }
        let is_current = migrations.iter().all(|one| found.contains(&one.version));
        Ok(if is_current {
            SchemaVersion::Current
        } else {
            SchemaVersion::Older {
                found: newest,
                known,
            }
        })
    }
}

/// The migrations of a folder, whose files are named `VERSION_DESCRIPTION.sql`, as `sqlx::migrate!` reads them: databases
/// keep version and checksum of each.
fn migrations(files: &Dir<'static>) -> Migrator {
    let migrations = files.files().filter_map(|file| {
        let name = file.path().file_name()?.to_str()?;
        let (version, description) = name.strip_suffix(".sql")?.split_once('_')?;
        Some(Migration::new(
            version.parse().ok()?,
            description.replace('_', " ").into(),
            MigrationType::Simple,
            SqlStr::from_static(file.contents_utf8()?),
            false,
        ))
    });
    Migrator::with_migrations(migrations.collect())
}

fn newest_migration(migrations: &Migrator) -> i64 {
    migrations
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or_default()
}

async fn migrate_sqlite(mut connection: SqliteConnection) -> Result<(), StorageError> {
    let classify = |error: sqlx::Error| StorageError::classify(&error, OPERATION, "");
    // sqlx does not lock SQLite for a migration: one immediate transaction around all of it does.
    let mut transaction = connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(classify)?;
    SQLITE_MIGRATIONS
        .run_direct(None, &mut *transaction, false)
        .await
        .map_err(|error| {
            StorageError::classify_migration(&error, newest_migration(&SQLITE_MIGRATIONS))
        })?;
    transaction.commit().await.map_err(classify)?;
    connection.close().await.map_err(classify)
}

async fn migrate_postgres(mut connection: PgConnection) -> Result<(), StorageError> {
    // A migration that fails keeps its advisory lock until its connection ends, which it does here.
    POSTGRES_MIGRATIONS
        .run_direct(None, &mut connection, false)
        .await
        .map_err(|error| {
            StorageError::classify_migration(&error, newest_migration(&POSTGRES_MIGRATIONS))
        })?;
    let closed = connection.close().await;
    closed.map_err(|error| StorageError::classify(&error, OPERATION, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_is_a_migration_of_both_databases() {
        for (files, migrations) in [
            (&SQLITE_FILES, &SQLITE_MIGRATIONS),
            (&POSTGRES_FILES, &POSTGRES_MIGRATIONS),
        ] {
            assert_eq!(migrations.iter().count(), files.entries().len());
        }
        let versions = |migrations: &Migrator| -> Vec<i64> {
            migrations.iter().map(|one| one.version).collect()
        };
        assert_eq!(versions(&SQLITE_MIGRATIONS), versions(&POSTGRES_MIGRATIONS));
    }
}
