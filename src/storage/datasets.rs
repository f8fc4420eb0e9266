//! Datasets with their readers and files.

use std::collections::BTreeSet;
use std::fmt;

use sqlx::types::Json;
use uuid::Uuid;

use super::database::{CALL_TIMEOUT, Database, Transaction, on_either, run};
use super::error::StorageError;
use super::file_columns::{FileColumns, FileValues};
use super::rows::{from_columns, insert_rows};
use super::statements::{execute, select};
use crate::domain::attributes::Attributes;
use crate::domain::dataset::Dataset;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::RoleName;
use crate::domain::principal::Tags;
use crate::domain::share_ends::ShareEnds;
use crate::domain::text_enum::{TextEnum, UnknownVariant};

pub(super) struct DatasetRow {
    id: Uuid,
    title: String,
    visibility: String,
    record_status: String,
    owner: Option<Uuid>,
    tags: Json<Tags>,
    attributes: Json<Attributes>,
    file_sha256: Option<String>,
    file_name: Option<String>,
    file_size: Option<i64>,
    file_modified: Option<i64>,
    file_store: Option<String>,
    file_key: Option<String>,
    file_url: Option<String>,
    reader_users: Json<BTreeSet<UserId>>,
    reader_roles: Json<BTreeSet<RoleName>>,
    share_ends: Json<ShareEnds>,
}

from_columns!(DatasetRow {
    id,
    title,
    visibility,
    record_status,
    owner,
    tags,
    attributes,
    file_sha256,
    file_name,
    file_size,
    file_modified,
    file_store,
    file_key,
    file_url,
    reader_users,
    reader_roles,
    share_ends,
});

impl DatasetRow {
    pub(super) fn into_dataset(self) -> Result<Dataset, StorageError> {
        let id = DatasetId(self.id);
        let corrupt = |what: &dyn fmt::Display| StorageError::Corrupt {
            table: "datasets",
            detail: format!("dataset {id}: {what}"),
        };
        let file = FileColumns {
            sha256: self.file_sha256,
            name: self.file_name,
            size: self.file_size,
            modified: self.file_modified,
            store: self.file_store,
            key: self.file_key,
            url: self.file_url,
        };
        let file = file.into_file().map_err(|detail| corrupt(&detail))?;
        let mut share_ends = self.share_ends.0;
        share_ends.retain_readers(&self.reader_users.0, &self.reader_roles.0);
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
            share_ends,
            tags: self.tags.0,
            attributes: self.attributes.0,
            file,
        })
    }
}

/// A dataset, and whether the operator made it.
#[derive(Clone, Debug, PartialEq)]
pub struct CatalogDataset {
    /// The dataset.
    pub dataset: Dataset,
    /// Whether a catalog file or the command line made it.
    pub is_from_operator: bool,
}

struct CatalogDatasetRow {
    dataset: DatasetRow,
    is_from_operator: bool,
}

from_columns!(CatalogDatasetRow { is_from_operator, ..dataset: DatasetRow });

impl Database {
    /// Finds a dataset by id with everything that a decision may depend on, in one round trip and
    /// from one snapshot.
    pub async fn find_dataset(&self, id: DatasetId) -> Result<Option<Dataset>, StorageError> {
        const SQL: &str = "SELECT * FROM datasets_with_readers
            JOIN dataset_details ON dataset_id = id WHERE id = $1";
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
        const SQL: &str = "SELECT * FROM datasets_with_readers
            JOIN dataset_details ON dataset_id = id WHERE id >= $1 ORDER BY id LIMIT $2";
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

    /// Lists at most `limit` datasets after `after`, ordered by id, with who made them.
    pub async fn list_catalog_datasets(
        &self,
        after: Option<DatasetId>,
        limit: u32,
    ) -> Result<Vec<CatalogDataset>, StorageError> {
        const SQL: &str = "SELECT * FROM datasets_with_readers
            JOIN dataset_details ON dataset_id = id WHERE id >= $1 ORDER BY id LIMIT $2";
        let Some(first) = first_id_after(after) else {
            return Ok(Vec::new());
        };
        let rows: Vec<CatalogDatasetRow> = select!(
            self,
            "list datasets",
            "datasets",
            fetch_all(SQL, first, i64::from(limit))
        )
        .await?;
        let datasets = rows.into_iter().map(|row| {
            Ok(CatalogDataset {
                dataset: row.dataset.into_dataset()?,
                is_from_operator: row.is_from_operator,
            })
        });
        datasets.collect()
    }
}

impl Database {
    /// The visibilities, statuses, tags and attributes that datasets have together, at most `limit`, each as a
    /// dataset without anything else.
    pub async fn describe_datasets(&self, limit: u32) -> Result<Vec<Dataset>, StorageError> {
        const SQL: &str = "SELECT DISTINCT visibility, record_status, tags, attributes
            FROM datasets_with_readers LIMIT $1";
        type Row = (String, String, Json<Tags>, Json<Attributes>);
        let operation = "describe datasets";
        let rows: Vec<Row> = select!(
            self,
            operation,
            "datasets",
            fetch_all(SQL, i64::from(limit))
        )
        .await?;
        let corrupt = |detail: UnknownVariant| StorageError::Corrupt {
            table: "datasets",
            detail: detail.to_string(),
        };
        let described = rows
            .into_iter()
            .map(|(visibility, record_status, tags, attributes)| {
                Ok(Dataset {
                    id: DatasetId(Uuid::nil()),
                    title: String::new(),
                    visibility: visibility.parse().map_err(corrupt)?,
                    record_status: record_status.parse().map_err(corrupt)?,
                    owner: None,
                    reader_users: BTreeSet::new(),
                    reader_roles: BTreeSet::new(),
                    share_ends: ShareEnds::default(),
                    tags: tags.0,
                    attributes: attributes.0,
                    file: None,
                })
            });
        described.collect()
    }

    /// Which of these files, named by their SHA-256, a dataset names.
    pub async fn find_used_files(
        &self,
        sha256s: &BTreeSet<&str>,
    ) -> Result<BTreeSet<String>, StorageError> {
        // The tables and not the view: a dataset counts before it is visible, and while it is staged.
        const SQLITE: &str = "SELECT file_sha256 FROM datasets
            WHERE file_sha256 IN (SELECT value FROM json_each($1))
            UNION SELECT file_sha256 FROM staged_datasets
            WHERE file_sha256 IN (SELECT value FROM json_each($1))";
        const POSTGRES: &str = "SELECT file_sha256 FROM datasets
            WHERE file_sha256 IN (SELECT jsonb_array_elements_text($1))
            UNION SELECT file_sha256 FROM staged_datasets
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

/// Adds or replaces one dataset with its readers, whatever an apply has staged and committed for it.
pub(super) async fn put_dataset(
    transaction: &mut Transaction,
    dataset: &Dataset,
    is_by_operator: bool,
) -> Result<(), sqlx::Error> {
    const PUT: &str = "INSERT INTO datasets (id, title, visibility, record_status, owner, tags,
            attributes, file_sha256, file_name, file_size, file_modified, share_ends, is_from_operator,
            file_store, file_key, file_url)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
        ON CONFLICT (id) DO UPDATE SET title = excluded.title, visibility = excluded.visibility,
            record_status = excluded.record_status, owner = excluded.owner, tags = excluded.tags,
            attributes = excluded.attributes, file_sha256 = excluded.file_sha256,
            file_name = excluded.file_name, file_size = excluded.file_size, file_modified = excluded.file_modified,
            file_store = excluded.file_store, file_key = excluded.file_key, file_url = excluded.file_url,
            share_ends = excluded.share_ends,
            is_from_operator = ((datasets.is_from_operator AND NOT datasets.is_absent)
                OR excluded.is_from_operator),
            is_absent = FALSE";
    const UNSTAGE: &str = "DELETE FROM staged_datasets
        WHERE id = $1 AND (SELECT is_committed FROM catalog_apply)";
    let file = FileValues::new(dataset.file.as_ref())?;
    execute!(
        transaction,
        PUT,
        dataset.id.0,
        dataset.title.as_str(),
        dataset.visibility.as_str(),
        dataset.record_status.as_str(),
        dataset.owner.map(|owner| owner.0),
        Json(&dataset.tags),
        Json(&dataset.attributes),
        file.sha256,
        file.name,
        file.size,
        file.modified,
        Json(&dataset.share_ends),
        is_by_operator,
        file.store,
        file.key,
        file.url
    )?;
    execute!(transaction, UNSTAGE, dataset.id.0)?;
    put_readers(transaction, dataset).await
}

/// Writes only the readers that differ: a dataset may have very many.
async fn put_readers(transaction: &mut Transaction, dataset: &Dataset) -> Result<(), sqlx::Error> {
    const USERS: &str = "SELECT user_id FROM dataset_reader_users WHERE dataset_id = $1";
    const ROLES: &str = "SELECT role_name FROM dataset_reader_roles WHERE dataset_id = $1";
    const UNSHARE_USERS: &str = "DELETE FROM dataset_reader_users WHERE (dataset_id, user_id) IN (";
    const UNSHARE_ROLES: &str =
        "DELETE FROM dataset_reader_roles WHERE (dataset_id, role_name) IN (";
    const SHARE_USERS: &str = "INSERT INTO dataset_reader_users (dataset_id, user_id) ";
    const SHARE_ROLES: &str = "INSERT INTO dataset_reader_roles (dataset_id, role_name) ";
    let id = dataset.id.0;
    let (users, roles): (Vec<Uuid>, Vec<String>) = on_either!(&mut *transaction, connection => (
        sqlx::query_scalar(USERS).bind(id).fetch_all(&mut **connection).await?,
        sqlx::query_scalar(ROLES).bind(id).fetch_all(&mut **connection).await?,
    ));
    let wanted = dataset.reader_users.iter().map(|user| user.0).collect();
    let (removed, added) = difference(users, wanted);
    insert_rows!(transaction, UNSHARE_USERS, removed, (values, user) => {
        values.push_bind(id).push_bind(*user);
    }, ")");
    insert_rows!(transaction, SHARE_USERS, added, (values, user) => {
        values.push_bind(id).push_bind(*user);
    }, "");
    let wanted = dataset.reader_roles.iter();
    let (removed, added) = difference(roles, wanted.map(ToString::to_string).collect());
    insert_rows!(transaction, UNSHARE_ROLES, removed, (values, role) => {
        values.push_bind(id).push_bind(role.as_str());
    }, ")");
    insert_rows!(transaction, SHARE_ROLES, added, (values, role) => {
        values.push_bind(id).push_bind(role.as_str());
    }, "");
    Ok(())
}

/// What to remove and what to add, so that `stored` becomes `wanted`.
fn difference<T: Ord>(stored: Vec<T>, mut wanted: BTreeSet<T>) -> (Vec<T>, Vec<T>) {
    let removed = stored.into_iter().filter(|item| !wanted.remove(item));
    (removed.collect(), wanted.into_iter().collect())
}
