//! Statements over several rows: fewer round trips, and a shorter transaction.

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
