//! How large the catalog is, without reading it.

use super::database::{CATALOG_TIMEOUT, Database, on_either, run};
use super::error::StorageError;

/// About how large the catalog is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CatalogSize {
    /// How many users there are.
    pub users: i64,
    /// How many datasets there are.
    pub datasets: i64,
    /// How many shares there are, with users and with roles.
    pub shares: i64,
    /// How many characters the tags, the attributes and the claims have together.
    pub texts: i64,
}

/// What is staged counts too: it is about to be the catalog.
const READ_SIZE: &str = "SELECT
    (SELECT count(*) FROM users),
    (SELECT count(*) FROM datasets),
    (SELECT count(*) FROM dataset_reader_users) + (SELECT count(*) FROM dataset_reader_roles)
        + (SELECT count(*) FROM staged_reader_users) + (SELECT count(*) FROM staged_reader_roles),
    (SELECT CAST(coalesce(sum(length(CAST(tags AS TEXT)) + length(CAST(attributes AS TEXT))), 0) AS BIGINT)
            FROM datasets WHERE NOT is_absent)
        + (SELECT CAST(coalesce(sum(length(CAST(tags AS TEXT)) + length(CAST(attributes AS TEXT))), 0) AS BIGINT)
            FROM staged_datasets)
        + (SELECT CAST(coalesce(sum(length(CAST(claims AS TEXT)) + length(CAST(attributes AS TEXT))), 0) AS BIGINT)
            FROM users)";

impl Database {
    /// Reads how large the catalog is.
    pub async fn catalog_size(&self) -> Result<CatalogSize, StorageError> {
        let operation = "measure the catalog";
        run(CATALOG_TIMEOUT, operation, "datasets", async {
            let mut reader = self.reader().await?;
            on_either!(&mut reader, connection => {
                let row: (i64, i64, i64, i64) =
                    sqlx::query_as(READ_SIZE).fetch_one(&mut **connection).await?;
                let (users, datasets, shares, texts) = row;
                Ok(CatalogSize { users, datasets, shares, texts })
            })
        })
        .await
    }
}
