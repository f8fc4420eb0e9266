//! Datasets with their readers and files.

use std::collections::BTreeSet;
use std::fmt;

use sqlx::types::Json;
use uuid::Uuid;

use super::database::{CALL_TIMEOUT, Database, Either, Transaction, on_either, run};
use super::error::StorageError;
use super::statements::{execute, select};
use crate::domain::dataset::{Dataset, StoredFile};
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::RoleName;
use crate::domain::principal::Tags;
use crate::domain::text_enum::TextEnum;

#[derive(sqlx::FromRow)]
pub(super) struct DatasetRow {
    id: Uuid,
    title: String,
    visibility: String,
    record_status: String,
    owner: Option<Uuid>,
    tags: Json<Tags>,
    file_sha256: Option<String>,
    file_name: Option<String>,
    file_size: Option<i64>,
    file_modified: Option<i64>,
    reader_users: Json<BTreeSet<UserId>>,
    reader_roles: Json<BTreeSet<RoleName>>,
}

impl DatasetRow {
    pub(super) fn into_dataset(self) -> Result<Dataset, StorageError> {
        let id = DatasetId(self.id);
        let corrupt = |what: &dyn fmt::Display| StorageError::Corrupt {
            table: "datasets",
            detail: format!("dataset {id}: {what}"),
        };
        let file = match (
            self.file_sha256,
            self.file_name,
            self.file_size,
            self.file_modified,
        ) {
            (None, None, None, None) => None,
            (Some(sha256), Some(name), Some(size), Some(modified)) => Some(StoredFile {
                sha256,
                name,
                size: u64::try_from(size).map_err(|error| corrupt(&error))?,
                modified,
            }),
            _ => return Err(corrupt(&"its file columns are incomplete")),
        };
        Ok(Dataset {
            id,
            title: self.title,
            visibility: self.visibility.parse().map_err(|error| corrupt(&error))?,
            record_status: self
                .record_status
                .parse()
                .map_err(|error| corrupt(&error))?,
            owner: self.owner.map(UserId),
            reader_users: self.reader_users.0,
            reader_roles: self.reader_roles.0,
            tags: self.tags.0,
            file,
        })
    }
}

impl Database {
    /// Finds a dataset by id with everything that a decision may depend on, in one round trip and
    /// from one snapshot.
    pub async fn find_dataset(&self, id: DatasetId) -> Result<Option<Dataset>, StorageError> {
        const SQL: &str = "SELECT * FROM datasets_with_readers WHERE id = $1";
        let row: Option<DatasetRow> = select!(
            self,
            "find a dataset",
            "datasets",
            fetch_optional(SQL, id.0)
        )
        .await?;
        row.map(DatasetRow::into_dataset).transpose()
    }

    /// Lists at most `limit` datasets after `after`, ordered by id.
    pub async fn list_datasets(
        &self,
        after: Option<DatasetId>,
        limit: u32,
    ) -> Result<Vec<Dataset>, StorageError> {
        const SQL: &str = "SELECT * FROM datasets_with_readers WHERE id >= $1 ORDER BY id LIMIT $2";
        let Some(first) = first_id_after(after) else {
            return Ok(Vec::new());
        };
        let rows: Vec<DatasetRow> = select!(
            self,
            "list datasets",
            "datasets",
            fetch_all(SQL, first, i64::from(limit))
        )
        .await?;
        rows.into_iter().map(DatasetRow::into_dataset).collect()
    }
}

impl Database {
    /// Which of these files, named by their SHA-256, a dataset names.
    pub async fn find_used_files(
        &self,
        sha256s: &BTreeSet<&str>,
    ) -> Result<BTreeSet<String>, StorageError> {
        // The table and not the view: a dataset counts before it is visible.
        const SQLITE: &str = "SELECT file_sha256 FROM datasets
            WHERE file_sha256 IN (SELECT value FROM json_each($1))";
        const POSTGRES: &str = "SELECT file_sha256 FROM datasets
            WHERE file_sha256 IN (SELECT jsonb_array_elements_text($1))";
        let sql = match self {
            Self::Sqlite(_) => SQLITE,
            Self::Postgres(_) => POSTGRES,
        };
        let used: Vec<(String,)> = select!(
            self,
            "find used files",
            "datasets",
            fetch_all(sql, Json(sha256s))
        )
        .await?;
        Ok(used.into_iter().map(|(sha256,)| sha256).collect())
    }
}

/// The first id of a page; a dataset may have any id, the lowest one too. None if `after` is the last one.
pub(super) fn first_id_after(after: Option<DatasetId>) -> Option<Uuid> {
    let first = after.map_or(Some(0), |after| after.0.as_u128().checked_add(1));
    first.map(Uuid::from_u128)
}

/// Reads all datasets, by id.
pub(super) async fn read_datasets(
    transaction: &mut Transaction,
) -> Result<Vec<Dataset>, StorageError> {
    const SQL: &str = "SELECT * FROM datasets_with_readers ORDER BY id";
    let rows: Vec<DatasetRow> = on_either!(transaction, connection => {
        sqlx::query_as(SQL).fetch_all(&mut **connection).await
    })
    .map_err(|error| StorageError::classify(&error, "read the catalog", "datasets"))?;
    rows.into_iter().map(DatasetRow::into_dataset).collect()
}

/// Adds or replaces one dataset with its readers.
pub(super) async fn put_dataset(
    transaction: &mut Transaction,
    dataset: &Dataset,
) -> Result<(), sqlx::Error> {
    const PUT: &str = "INSERT INTO datasets (id, title, visibility, record_status, owner, tags,
            file_sha256, file_name, file_size, file_modified)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        ON CONFLICT (id) DO UPDATE SET title = excluded.title, visibility = excluded.visibility,
            record_status = excluded.record_status, owner = excluded.owner, tags = excluded.tags,
            file_sha256 = excluded.file_sha256, file_name = excluded.file_name,
            file_size = excluded.file_size, file_modified = excluded.file_modified";
    let file = dataset.file.as_ref();
    let file_size = file
        .map(|file| i64::try_from(file.size))
        .transpose()
        .map_err(|error| sqlx::Error::Encode(error.into()))?;
    execute!(
        transaction,
        PUT,
        dataset.id.0,
        dataset.title.as_str(),
        dataset.visibility.as_str(),
        dataset.record_status.as_str(),
        dataset.owner.map(|owner| owner.0),
        Json(&dataset.tags),
        file.map(|file| file.sha256.as_str()),
        file.map(|file| file.name.as_str()),
        file_size,
        file.map(|file| file.modified)
    )?;
    put_readers(transaction, dataset).await
}

async fn put_readers(transaction: &mut Transaction, dataset: &Dataset) -> Result<(), sqlx::Error> {
    const UNSHARE_USERS: &str = "DELETE FROM dataset_reader_users WHERE dataset_id = $1";
    const UNSHARE_ROLES: &str = "DELETE FROM dataset_reader_roles WHERE dataset_id = $1";
    const SQLITE_SHARE_USERS: &str = "INSERT INTO dataset_reader_users (dataset_id, user_id)
        SELECT $1, unhex(value, '-') FROM json_each($2)";
    const SQLITE_SHARE_ROLES: &str = "INSERT INTO dataset_reader_roles (dataset_id, role_name)
        SELECT $1, value FROM json_each($2)";
    const POSTGRES_SHARE_USERS: &str = "INSERT INTO dataset_reader_users (dataset_id, user_id)
        SELECT $1, value::uuid FROM jsonb_array_elements_text($2) AS value";
    const POSTGRES_SHARE_ROLES: &str = "INSERT INTO dataset_reader_roles (dataset_id, role_name)
        SELECT $1, value FROM jsonb_array_elements_text($2) AS value";
    let id = dataset.id.0;
    execute!(transaction, UNSHARE_USERS, id)?;
    execute!(transaction, UNSHARE_ROLES, id)?;
    let (share_users, share_roles) = match transaction {
        Either::Sqlite(_) => (SQLITE_SHARE_USERS, SQLITE_SHARE_ROLES),
        Either::Postgres(_) => (POSTGRES_SHARE_USERS, POSTGRES_SHARE_ROLES),
    };
    // One statement however many readers there are: meanwhile nobody else writes.
    execute!(transaction, share_users, id, Json(&dataset.reader_users))?;
    execute!(transaction, share_roles, id, Json(&dataset.reader_roles))?;
    Ok(())
}
