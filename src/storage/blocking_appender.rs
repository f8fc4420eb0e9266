//! The blocking appender: inserts audit records into SQLite on the thread of its caller.
//!
//! sqlx runs each statement on a thread of the connection, and to change threads costs a mint that is alone more than its
//! record. This one waits for nobody: where another writer has the file, or where anything fails, it says so, and its
//! caller appends as others do, who wait, are told errors and open connections anew. A record may be appended twice
//! without harm, so that nothing has to be known about an attempt that failed.

use std::path::PathBuf;
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode, OpenFlags, Statement, Transaction, TransactionBehavior};

use super::audit_columns::{
    MAX_SQLITE_ROWS, address_text, each_value, list_text, saturate, sqlite_text, without_nul,
};
use super::open_connections::{OpenConnection, OpenConnections};
use super::sqlite_file::SqliteFile;
use crate::domain::audit::AuditRecord;
use crate::domain::text_enum::TextEnum;

/// Appends audit records with a connection of its own, which is opened when it is needed.
pub(super) struct BlockingAppender {
    path: PathBuf,
    file: SqliteFile,
    max_log_pages: u32,
    open: OpenConnections,
    state: Mutex<State>,
}

enum State {
    Unopened,
    Opened {
        connection: Connection,
        _counted: OpenConnection,
    },
    Closed,
}

impl BlockingAppender {
    /// Appends to `file` at `path`, which has a write-ahead log already; with so many pages in the log, it begins
    /// it anew. The connection is one of the `open` ones.
    pub(super) fn new(
        path: PathBuf,
        file: SqliteFile,
        max_log_pages: u32,
        open: &OpenConnections,
    ) -> Self {
        Self {
            path,
            file,
            max_log_pages,
            open: open.clone(),
            state: Mutex::new(State::Unopened),
        }
    }

    /// Inserts records, without a sync; whether all are stored for certain. If not, some may be.
    pub(super) fn insert(&self, records: &[AuditRecord]) -> bool {
        let Some(mut state) = self.state.try_lock() else {
            return false;
        };
        match self.try_to_insert(&mut state, records) {
            // Where fewer are inserted, some were stored before or something in the database left them out.
            Ok(inserted) => inserted == records.len(),
            Err(error) => {
                let is_usable = matches!(
                    error.sqlite_error_code(),
                    Some(ErrorCode::DatabaseBusy | ErrorCode::ConstraintViolation)
                );
                if !is_usable {
                    tracing::debug!(%error, "audit records not inserted by the blocking appender");
                    *state = State::Unopened;
                }
                false
            }
        }
    }

    fn try_to_insert(&self, state: &mut State, records: &[AuditRecord]) -> rusqlite::Result<usize> {
        if let State::Unopened = state {
            let counted = self.open.add();
            *state = State::Opened {
                connection: self.connect()?,
                _counted: counted,
            };
        }
        match state {
            State::Opened { connection, .. } => insert(connection, records),
            State::Unopened | State::Closed => Ok(0),
        }
    }

    fn connect(&self) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        // The path may name another file by now.
        self.file.check_unchanged_now().map_err(|error| {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR);
            rusqlite::Error::SqliteFailure(code, Some(error.to_string()))
        })?;
        connection.busy_timeout(Duration::ZERO)?;
        connection.set_prepared_statement_cache_capacity(MAX_SQLITE_ROWS);
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "wal_autocheckpoint", self.max_log_pages)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        Ok(connection)
    }

    /// Closes the connection once nobody uses it, and opens none any more.
    pub(super) fn close(&self) {
        *self.state.lock() = State::Closed;
    }
}

/// Inserts records in one transaction; how many were not stored before.
fn insert(connection: &Connection, records: &[AuditRecord]) -> rusqlite::Result<usize> {
    let mut inserted = 0;
    // One statement is a transaction by itself.
    let transaction = if records.len() > MAX_SQLITE_ROWS {
        let behavior = TransactionBehavior::Immediate;
        Some(Transaction::new_unchecked(connection, behavior)?)
    } else {
        None
    };
    for group in records.chunks(MAX_SQLITE_ROWS) {
        let Some(text) = sqlite_text(group.len()) else {
            return Err(rusqlite::Error::InvalidQuery);
        };
        let mut statement = connection.prepare_cached(&text)?;
        bind_rows(&mut statement, group)?;
        inserted += statement.raw_execute()?;
    }
    if let Some(transaction) = transaction {
        transaction.commit()?;
    }
    Ok(inserted)
}

fn bind_rows(statement: &mut Statement<'_>, records: &[AuditRecord]) -> rusqlite::Result<()> {
    let mut number = 0;
    for each in records {
        macro_rules! bind {
            (|$record:ident| $value:expr) => {
                let $record = each;
                number += 1;
                statement.raw_bind_parameter(number, $value)?;
            };
        }
        macro_rules! bind_list {
            (|$record:ident| $texts:expr) => {
                let $record = each;
                number += 1;
                let text = list_text($texts)
                    .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
                statement.raw_bind_parameter(number, text)?;
            };
        }
        each_value!(bind, bind_list);
    }
    Ok(())
}
