//! Macros that run one SQL statement on SQLite or PostgreSQL.
//!
//! They expand to `run`, `on_either!` and `CALL_TIMEOUT` of `database.rs`, which their users import.

/// Runs one reading statement within `CALL_TIMEOUT` and gives its rows:
/// `select!(database, "operation", "table", fetch_optional(SQL, parameter, ...))`.
macro_rules! select {
    ($database:expr, $operation:expr, $table:expr, $fetch:ident($sql:expr $(, $parameter:expr)* $(,)?)) => {
        run(CALL_TIMEOUT, $operation, $table, async {
            let mut reader = $database.reader().await?;
            on_either!(&mut reader, connection => {
                sqlx::query_as($sql)$(.bind($parameter))*.$fetch(&mut **connection).await
            })
        })
    };
}
pub(super) use select;

/// Like [`select!`], for the first column alone.
macro_rules! select_value {
    ($database:expr, $operation:expr, $table:expr, $fetch:ident($sql:expr $(, $parameter:expr)* $(,)?)) => {
        run(CALL_TIMEOUT, $operation, $table, async {
            let mut reader = $database.reader().await?;
            on_either!(&mut reader, connection => {
                sqlx::query_scalar($sql)$(.bind($parameter))*.$fetch(&mut **connection).await
            })
        })
    };
}
pub(super) use select_value;

/// Runs one writing statement in a transaction and gives how many rows it affected.
macro_rules! execute {
    ($transaction:expr, $sql:expr $(, $parameter:expr)* $(,)?) => {
        on_either!(&mut *$transaction, connection => {
            let query = sqlx::query($sql)$(.bind($parameter))*;
            query.execute(&mut **connection).await.map(|done| done.rows_affected())
        })
    };
}
pub(super) use execute;

/// Runs one writing statement by itself within `CALL_TIMEOUT` and gives how many rows it affected.
macro_rules! execute_once {
    ($database:expr, $operation:expr, $table:expr, $sql:expr $(, $parameter:expr)* $(,)?) => {
        run(CALL_TIMEOUT, $operation, $table, async {
            let mut writer = $database.writer().await?;
            on_either!(&mut writer, connection => {
                let query = sqlx::query($sql)$(.bind($parameter))*;
                query.execute(&mut **connection).await.map(|done| done.rows_affected())
            })
        })
    };
}
pub(super) use execute_once;
