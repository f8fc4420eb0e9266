//! Changes of a server's SQLite file that the product itself never makes.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use uuid::Uuid;

async fn connect(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new()
        .filename(path)
        .connect()
        .await
        .unwrap()
}

/// Prevents all other writes.
pub(crate) struct ExclusiveLock(SqliteConnection);

impl ExclusiveLock {
    pub(crate) async fn acquire(path: &Path) -> Self {
        let mut connection = connect(path).await;
        sqlx::query("BEGIN EXCLUSIVE")
            .execute(&mut connection)
            .await
            .unwrap();
        Self(connection)
    }

    pub(crate) async fn release(mut self) {
        sqlx::query("ROLLBACK").execute(&mut self.0).await.unwrap();
        self.0.close().await.unwrap();
    }
}

/// Runs SQL in a server's database.
pub(crate) async fn execute(path: &Path, sql: &'static str) {
    let mut connection = connect(path).await;
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

pub(crate) async fn delete_record(path: &Path, id: Uuid) {
    let mut connection = connect(path).await;
    let deleted = sqlx::query("DELETE FROM audit_records WHERE id = $1")
        .bind(id)
        .execute(&mut connection)
        .await
        .unwrap();
    assert_eq!(deleted.rows_affected(), 1);
    connection.close().await.unwrap();
}
