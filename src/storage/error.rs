//! Errors of the database, by what a caller should do about them.

use std::borrow::Cow;

use sqlx::migrate::MigrateError;

/// Why a database operation failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// The database cannot be reached or cannot do it now; a later attempt may succeed.
    ///
    /// Among the causes: no connection within the time limit, a lock held too long, a full disk, a
    /// read-only database, a server that went away.
    #[error("the database is unavailable: cannot {operation}: {reason}")]
    Unavailable {
        /// The operation, as in "cannot ...".
        operation: Cow<'static, str>,
        /// The message of the database or the driver.
        reason: String,
    },
    /// The catalog has changed since the change was planned; nothing was written.
    #[error(
        "the catalog has changed: this change was made for version {expected}, \
         the catalog is at version {found}"
    )]
    Conflict {
        /// The version the change was made for.
        expected: i64,
        /// The version the catalog is at.
        found: i64,
    },
    /// What was to be written breaks a rule of the tables, such as a user name that is taken;
    /// nothing was written.
    #[error("the change violates a constraint of the database: cannot {operation}: {reason}")]
    Inconsistent {
        /// The operation.
        operation: Cow<'static, str>,
        /// Which rule it breaks.
        reason: String,
    },
    /// A stored row does not parse into its domain type.
    #[error("the table {table} holds a row that cannot be read: {detail}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// Which row and column, and what is wrong with it.
        detail: String,
    },
    /// The database was migrated by a newer program than this one.
    #[error(
        "the database is of a newer version: it has migration {found}, \
         this program knows migrations up to {known}"
    )]
    NewerSchema {
        /// The migration that this program does not know.
        found: i64,
        /// The newest migration that it knows.
        known: i64,
    },
    /// The tables could not be brought up to date.
    #[error("cannot migrate the database: {reason}")]
    Migrate {
        /// What went wrong.
        reason: String,
    },
    /// The database URL cannot be used. The URL itself is not shown: it may contain a password.
    #[error("the database URL cannot be used: {reason}")]
    Url {
        /// What is wrong with it.
        reason: String,
    },
    /// Anything else, such as tables that were never migrated.
    #[error("cannot {operation}: {reason}")]
    Failed {
        /// The operation.
        operation: Cow<'static, str>,
        /// The message of the database or the driver.
        reason: String,
    },
}

impl StorageError {
    /// Whether a later attempt may succeed.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// Classifies an error of sqlx; `table` is the one being read.
    pub(super) fn classify(
        error: &sqlx::Error,
        operation: impl Into<Cow<'static, str>>,
        table: &'static str,
    ) -> Self {
        use sqlx::Error as Said;
        let operation = operation.into();
        let reason = error.to_string();
        match error {
            Said::Database(said) => match classify_database_error(said.as_ref()) {
                ErrorClass::Unavailable => Self::Unavailable { operation, reason },
                ErrorClass::Inconsistent => Self::Inconsistent { operation, reason },
                ErrorClass::Corrupt => Self::Corrupt {
                    table,
                    detail: reason,
                },
                ErrorClass::Other => Self::Failed { operation, reason },
            },
            Said::Io(_)
            | Said::Tls(_)
            | Said::Protocol(_)
            | Said::PoolTimedOut
            | Said::PoolClosed
            | Said::WorkerCrashed
            | Said::BeginFailed => Self::Unavailable { operation, reason },
            Said::ColumnDecode { .. } | Said::Decode(_) => Self::Corrupt {
                table,
                detail: reason,
            },
            Said::Encode(_) => Self::Inconsistent { operation, reason },
            // The driver would show the character.
            Said::Configuration(said) if said.to_string().contains("saslprep") => Self::Failed {
                operation,
                reason: "the password has a character that no password of PostgreSQL can have (RFC 4013)"
                    .to_owned(),
            },
            _ => Self::Failed { operation, reason },
        }
    }

    /// Classifies an error of the migrator; `known` is the newest migration of this program.
    pub(super) fn classify_migration(error: &MigrateError, known: i64) -> Self {
        match error {
            MigrateError::VersionMissing(found) if *found > known => Self::NewerSchema {
                found: *found,
                known,
            },
            MigrateError::Execute(said) | MigrateError::ExecuteMigration(said, _) => {
                match Self::classify(said, "migrate the database", "_sqlx_migrations") {
                    unavailable @ Self::Unavailable { .. } => unavailable,
                    _ => Self::Migrate {
                        reason: error.to_string(),
                    },
                }
            }
            _ => Self::Migrate {
                reason: error.to_string(),
            },
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum ErrorClass {
    Unavailable,
    Inconsistent,
    Corrupt,
    Other,
}

fn classify_database_error(said: &dyn sqlx::error::DatabaseError) -> ErrorClass {
    let code = said.code().unwrap_or_default();
    // A SQLSTATE has five characters, a SQLite result code is a number of at most four digits.
    if said
        .try_downcast_ref::<sqlx::sqlite::SqliteError>()
        .is_some()
    {
        classify_sqlite_code(code.parse().unwrap_or_default())
    } else {
        classify_sqlstate(&code)
    }
}

/// Whether another connection holds a lock that SQLite needs.
pub(super) fn is_sqlite_busy(error: &sqlx::Error) -> bool {
    let code = match error {
        sqlx::Error::Database(said) => said.code(),
        _ => None,
    };
    let primary_code = code
        .and_then(|code| code.parse::<i32>().ok())
        .map(|code| code & 0xff);
    primary_code.is_some_and(|code| matches!(code, 5 | 6))
}

/// Classifies a SQLite result code, whose low byte is the primary code (<https://sqlite.org/rescode.html>).
fn classify_sqlite_code(code: i32) -> ErrorClass {
    match code & 0xff {
        // PERM, ABORT, BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR; FULL, CANTOPEN, PROTOCOL; AUTH.
        3..=10 | 13..=15 | 23 => ErrorClass::Unavailable,
        // TOOBIG, CONSTRAINT, MISMATCH.
        18..=20 => ErrorClass::Inconsistent,
        // CORRUPT, NOTADB.
        11 | 26 => ErrorClass::Corrupt,
        _ => ErrorClass::Other,
    }
}

/// Classifies a SQLSTATE (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
fn classify_sqlstate(code: &str) -> ErrorClass {
    match code {
        // Read-only transaction, no privilege, lock not available, no such database.
        "25006" | "42501" | "55P03" | "3D000" => return ErrorClass::Unavailable,
        "XX001" | "XX002" => return ErrorClass::Corrupt,
        _ => {}
    }
    match code.get(..2) {
        // Connection, authorization, rollback (deadlock), resources, operator, system.
        Some("08" | "28" | "40" | "53" | "57" | "58") => ErrorClass::Unavailable,
        // Data that a column cannot hold, constraints.
        Some("22" | "23") => ErrorClass::Inconsistent,
        _ => ErrorClass::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transient_sqlite_errors_are_unavailable() {
        let busy_snapshot = 517;
        let disk_full = 13;
        let read_only_directory = 1544;
        let cannot_open = 14;
        for code in [busy_snapshot, disk_full, read_only_directory, cannot_open] {
            assert_eq!(
                classify_sqlite_code(code),
                ErrorClass::Unavailable,
                "{code}"
            );
        }
        let unique = 2067;
        assert_eq!(classify_sqlite_code(unique), ErrorClass::Inconsistent);
        assert_eq!(classify_sqlite_code(1), ErrorClass::Other);
    }

    #[test]
    fn transient_postgres_errors_are_unavailable() {
        for code in [
            "08006", "53100", "53300", "57P01", "57P03", "25006", "40P01",
        ] {
            assert_eq!(classify_sqlstate(code), ErrorClass::Unavailable, "{code}");
        }
        assert_eq!(classify_sqlstate("23505"), ErrorClass::Inconsistent);
        assert_eq!(classify_sqlstate("42P01"), ErrorClass::Other);
        assert_eq!(classify_sqlstate(""), ErrorClass::Other);
    }

    #[test]
    fn an_unknown_migration_above_the_newest_known_one_is_a_newer_database() {
        assert_eq!(
            StorageError::classify_migration(&MigrateError::VersionMissing(9), 1),
            StorageError::NewerSchema { found: 9, known: 1 }
        );
        assert!(matches!(
            StorageError::classify_migration(&MigrateError::VersionMissing(1), 2),
            StorageError::Migrate { .. }
        ));
    }
}
