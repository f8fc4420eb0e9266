//! Rows: statements over several of them, and structs that are read from one.

/// How many rows one statement carries; with the columns of the widest table this stays far below the limit of
/// 32,766 parameters.
pub(super) const MAX_ROWS_PER_STATEMENT: usize = 64;

/// Runs `$before`, a row of parameters for each of `$rows`, and `$after` as one statement for every
/// [`MAX_ROWS_PER_STATEMENT`] rows: `insert_rows!(transaction, "INSERT ... ", rows, (values, row) => ..., "")`.
macro_rules! insert_rows {
    ($transaction:expr, $before:expr, $rows:expr, ($values:ident, $row:pat_param) => $bind:expr, $after:expr $(,)?) => {{
        for rows in $rows.chunks($crate::storage::rows::MAX_ROWS_PER_STATEMENT) {
            on_either!(&mut *$transaction, connection => {
                let mut query = sqlx::QueryBuilder::new($before);
                query.push_values(rows, |mut $values, $row| $bind);
                query.push($after);
                query.build().execute(&mut **connection).await?;
            });
        }
    }};
}
pub(super) use insert_rows;

/// Reads a struct from a row of either database, each field from the column of its name:
/// `from_columns!(Point { x, y })`. A field after `..` is a struct of the same row: `Place { name, ..point: Point }`.
///
/// sqlx derives this as well, but its derive macros are built with both database drivers, which doubles OpenSSL
/// and SQLite in each build from nothing, and the OpenSSL among them is the system's.
macro_rules! from_columns {
    ($name:ident { $($column:ident),* $(, ..$inner:ident: $inner_type:ty)? $(,)? }) => {
        $crate::storage::rows::from_columns!(
            sqlx::sqlite::SqliteRow, $name { $($column),* $(, ..$inner: $inner_type)? }
        );
        $crate::storage::rows::from_columns!(
            sqlx::postgres::PgRow, $name { $($column),* $(, ..$inner: $inner_type)? }
        );
    };
    ($row:ty, $name:ident { $($column:ident),* $(, ..$inner:ident: $inner_type:ty)? }) => {
        impl<'r> sqlx::FromRow<'r, $row> for $name {
            fn from_row(row: &'r $row) -> sqlx::Result<Self> {
                Ok(Self {
                    $($column: sqlx::Row::try_get(row, stringify!($column))?,)*
                    $($inner: <$inner_type as sqlx::FromRow<'r, $row>>::from_row(row)?,)?
                })
            }
        }
    };
}
pub(super) use from_columns;
