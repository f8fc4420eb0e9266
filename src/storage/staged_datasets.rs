//! Datasets of a large change: staged, discarded or settled in small transactions.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use sqlx::types::Json;
use uuid::Uuid;

use super::catalog_apply::{ApplyLease, beat};
use super::catalog_lock::lock_catalog;
use super::database::{CALL_TIMEOUT, Database, Transaction, on_either, run};
use super::error::StorageError;
use super::file_columns::FileValues;
use super::rows::insert_rows;
use super::statements::execute;
use crate::domain::attributes::Attributes;
use crate::domain::dataset::{Dataset, RecordStatus, Visibility};
use crate::domain::id::DatasetId;
use crate::domain::principal::Tags;
use crate::domain::share_ends::ShareEnds;
use crate::domain::text_enum::TextEnum;

/// How many staged datasets are considered for one batch.
const MAX_SETTLED_DATASETS: i64 = 512;

static NO_TAGS: Tags = Tags::new();
static NO_ENDS: ShareEnds = ShareEnds {
    users: BTreeMap::new(),
    roles: BTreeMap::new(),
};
static NO_ATTRIBUTES: Attributes = Attributes::new();

/// What a dataset becomes.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "nearly all of them are datasets")]
pub enum StagedDataset {
    /// It is as given.
    Put(Dataset),
    /// It is removed.
    Removed(DatasetId),
}

impl StagedDataset {
    /// The dataset's id.
    #[must_use]
    pub fn id(&self) -> DatasetId {
        match self {
            Self::Put(dataset) => dataset.id,
            Self::Removed(id) => *id,
        }
    }
}

/// A row of `staged_datasets`, with the columns of its file, which can fail to convert.
struct StagedRow<'a> {
    id: DatasetId,
    dataset: Option<&'a Dataset>,
    file: FileValues<'a>,
}

impl Database {
    /// Stages datasets in one transaction; false if the lease is lost.
    pub async fn stage_datasets(
        &self,
        lease: ApplyLease,
        datasets: &[StagedDataset],
    ) -> Result<bool, StorageError> {
        let operation = "stage datasets";
        run(CALL_TIMEOUT, operation, "staged_datasets", async {
            let rows = datasets
                .iter()
                .map(StagedRow::new)
                .collect::<Result<Vec<_>, _>>()?;
            let mut transaction = self.begin_writing().await?;
            if !beat(&mut transaction, lease).await? {
                transaction.rollback().await?;
                return Ok(false);
            }
            insert_absent(&mut transaction, &rows).await?;
            insert_staged(&mut transaction, &rows).await?;
            transaction.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Discards at most `limit` datasets that are staged and not committed; returns how many, or nothing if the
    /// lease is lost.
    pub async fn discard_staged_datasets(
        &self,
        lease: ApplyLease,
        limit: u32,
    ) -> Result<Option<u64>, StorageError> {
        const DELETE_ABSENT: &str = "DELETE FROM datasets WHERE is_absent AND id IN
            (SELECT id FROM datasets WHERE is_absent LIMIT $1)";
        const DELETE_STAGED: &str = "DELETE FROM staged_datasets WHERE id IN
            (SELECT id FROM staged_datasets LIMIT $1)";
        let operation = "discard staged datasets";
        run(CALL_TIMEOUT, operation, "staged_datasets", async {
            let mut transaction = self.begin_writing().await?;
            if !beat(&mut transaction, lease).await? {
                transaction.rollback().await?;
                return Ok(None);
            }
            let limit = i64::from(limit);
            let discarded = execute!(&mut transaction, DELETE_ABSENT, limit)?
                + execute!(&mut transaction, DELETE_STAGED, limit)?;
            transaction.commit().await?;
            Ok(Some(discarded))
        })
        .await
    }

    /// Moves committed datasets that are staged to where they belong, about `max_rows` rows in one transaction,
    /// and ends the apply after the last; returns how many were moved, or nothing if there was nothing to do.
    ///
    /// Any process may do it, and several at once: what the catalog says stays the same.
    pub async fn settle_staged_datasets(
        &self,
        max_rows: usize,
    ) -> Result<Option<usize>, StorageError> {
        const END: &str =
            "UPDATE catalog_apply SET lease = NULL, beat = beat + 1, is_committed = FALSE";
        const BEAT: &str = "UPDATE catalog_apply SET beat = beat + 1";
        if !self.apply_state().await?.is_committed() {
            return Ok(None);
        }
        let operation = "settle staged datasets";
        run(CALL_TIMEOUT, operation, "staged_datasets", async {
            let mut transaction = self.begin_catalog_change().await?;
            lock_catalog(&mut transaction).await?;
            if !is_committed(&mut transaction).await? {
                transaction.rollback().await?;
                return Ok(None);
            }
            let (count, range) = next_batch(&mut transaction, max_rows).await?;
            if let Some(range) = range {
                settle_range(&mut transaction, range).await?;
                execute!(&mut transaction, BEAT)?;
            } else {
                execute!(&mut transaction, END)?;
            }
            transaction.commit().await?;
            Ok(Some(count))
        })
        .await
    }
}

impl<'a> StagedRow<'a> {
    fn new(staged: &'a StagedDataset) -> Result<Self, sqlx::Error> {
        Ok(match staged {
            StagedDataset::Put(dataset) => Self {
                id: dataset.id,
                dataset: Some(dataset),
                file: FileValues::new(dataset.file.as_ref())?,
            },
            StagedDataset::Removed(id) => Self {
                id: *id,
                dataset: None,
                file: FileValues::default(),
            },
        })
    }
}

/// The columns that [`push_content`] has values for.
macro_rules! content_columns {
    () => {
        "title, visibility, record_status, tags, attributes, share_ends, file_sha256, file_name, file_size,
            file_modified, file_store, file_key, file_url"
    };
}

/// Pushes what a dataset has beside its owner and readers.
macro_rules! push_content {
    ($values:ident, $row:ident) => {{
        let (dataset, file) = ($row.dataset, $row.file);
        let visibility = dataset.map_or(Visibility::Private, |dataset| dataset.visibility);
        let status = dataset.map_or(RecordStatus::Draft, |dataset| dataset.record_status);
        $values
            .push_bind(dataset.map_or("", |dataset| dataset.title.as_str()))
            .push_bind(visibility.as_str())
            .push_bind(status.as_str())
            .push_bind(Json(dataset.map_or(&NO_TAGS, |dataset| &dataset.tags)))
            .push_bind(Json(
                dataset.map_or(&NO_ATTRIBUTES, |dataset| &dataset.attributes),
            ))
            .push_bind(Json(
                dataset.map_or(&NO_ENDS, |dataset| &dataset.share_ends),
            ))
            .push_bind(file.sha256)
            .push_bind(file.name)
            .push_bind(file.size)
            .push_bind(file.modified)
            .push_bind(file.store)
            .push_bind(file.key)
            .push_bind(file.url);
    }};
}

/// Adds a row that does not count for each dataset that has none: with all but the owner and the readers, who may be new
/// themselves, so that little is left to settle. `is_from_operator` says that it has all that: one that an older version
/// has staged, or that is removed, has not.
async fn insert_absent(
    transaction: &mut Transaction,
    rows: &[StagedRow<'_>],
) -> Result<(), sqlx::Error> {
    const INSERT: &str = concat!(
        "INSERT INTO datasets (id, is_absent, is_from_operator, ",
        content_columns!(),
        ") "
    );
    insert_rows!(
        transaction,
        INSERT,
        rows,
        (values, row) => {
            values
                .push_bind(row.id.0)
                .push_bind(true)
                .push_bind(row.dataset.is_some());
            push_content!(values, row);
        },
        " ON CONFLICT (id) DO NOTHING",
    );
    Ok(())
}

async fn insert_staged(
    transaction: &mut Transaction,
    rows: &[StagedRow<'_>],
) -> Result<(), sqlx::Error> {
    const INSERT: &str = concat!(
        "INSERT INTO staged_datasets (id, is_removed, owner, reader_users, reader_roles, ",
        content_columns!(),
        ") "
    );
    insert_rows!(
        transaction,
        INSERT,
        rows,
        (values, row) => {
            let dataset = row.dataset;
            values
                .push_bind(row.id.0)
                .push_bind(dataset.is_none())
                .push_bind(dataset.and_then(|dataset| dataset.owner).map(|owner| owner.0))
                .push_bind(Json(dataset.map_or_else(Vec::new, |d| d.reader_users.iter().collect())))
                .push_bind(Json(dataset.map_or_else(Vec::new, |d| d.reader_roles.iter().collect())));
            push_content!(values, row);
        },
        "",
    );
    Ok(())
}

async fn is_committed(transaction: &mut Transaction) -> Result<bool, sqlx::Error> {
    on_either!(transaction, connection => {
        sqlx::query_scalar("SELECT is_committed FROM catalog_apply")
            .fetch_one(&mut **connection)
            .await
    })
}

/// The datasets with the lowest ids that have about `max_rows` rows: how many, and the ids of the first and the last.
async fn next_batch(
    transaction: &mut Transaction,
    max_rows: usize,
) -> Result<(usize, Option<RangeInclusive<Uuid>>), sqlx::Error> {
    const SQL: &str =
        "SELECT id, CAST(length(CAST(reader_users AS TEXT)) + length(CAST(reader_roles AS TEXT)) AS BIGINT)
        FROM staged_datasets ORDER BY id LIMIT $1";
    /// About how long a reader is in the text.
    const READER_LENGTH: usize = 38;
    let found: Vec<(Uuid, i64)> = on_either!(transaction, connection => {
        sqlx::query_as(SQL).bind(MAX_SETTLED_DATASETS).fetch_all(&mut **connection).await?
    });
    let first = found.first().map(|(id, _)| *id);
    let (mut rows, mut count, mut last) = (0, 0, None);
    for (id, length) in found {
        if count > 0 && rows >= max_rows {
            break;
        }
        rows += 1 + usize::try_from(length).unwrap_or_default() / READER_LENGTH;
        count += 1;
        last = Some(id);
    }
    Ok((count, first.zip(last).map(|(first, last)| first..=last)))
}

/// Settles the datasets with these ids. What the staged text names and what was removed since is left out.
///
/// A row that does not count yet, and has what is staged already, gets its owner and counts. The first id is in each
/// statement because PostgreSQL takes settled rows for staged ones until it has counted them again.
async fn settle_range(
    transaction: &mut Transaction,
    range: RangeInclusive<Uuid>,
) -> Result<(), sqlx::Error> {
    const STATEMENTS: [&str; 8] = [
        concat!(
            "UPDATE datasets SET is_from_operator = TRUE, is_absent = FALSE,
            owner = (SELECT users.id FROM staged_datasets AS staged
                JOIN users ON users.id = staged.owner AND NOT users.is_removed
                WHERE staged.id = datasets.id),
            (",
            content_columns!(),
            ") = (SELECT ",
            content_columns!(),
            " FROM staged_datasets AS staged WHERE staged.id = datasets.id)
        WHERE NOT (is_absent AND is_from_operator)
            AND id IN (SELECT id FROM staged_datasets WHERE id BETWEEN $1 AND $2 AND NOT is_removed)"
        ),
        "UPDATE datasets SET is_absent = FALSE,
            owner = (SELECT users.id FROM staged_datasets AS staged
                JOIN users ON users.id = staged.owner AND NOT users.is_removed
                WHERE staged.id = datasets.id)
        WHERE is_absent AND is_from_operator
            AND id IN (SELECT id FROM staged_datasets WHERE id BETWEEN $1 AND $2 AND NOT is_removed)",
        "DELETE FROM dataset_reader_users
        WHERE dataset_id IN (SELECT id FROM staged_datasets WHERE id BETWEEN $1 AND $2)
            AND (dataset_id, user_id) NOT IN
                (SELECT dataset_id, user_id FROM staged_reader_users WHERE dataset_id BETWEEN $1 AND $2)",
        "INSERT INTO dataset_reader_users (dataset_id, user_id)
        SELECT dataset_id, user_id FROM staged_reader_users WHERE dataset_id BETWEEN $1 AND $2
        ON CONFLICT DO NOTHING",
        "DELETE FROM dataset_reader_roles
        WHERE dataset_id IN (SELECT id FROM staged_datasets WHERE id BETWEEN $1 AND $2)
            AND (dataset_id, role_name) NOT IN
                (SELECT dataset_id, role_name FROM staged_reader_roles WHERE dataset_id BETWEEN $1 AND $2)",
        "INSERT INTO dataset_reader_roles (dataset_id, role_name)
        SELECT dataset_id, role_name FROM staged_reader_roles WHERE dataset_id BETWEEN $1 AND $2
        ON CONFLICT DO NOTHING",
        "DELETE FROM datasets WHERE id IN
            (SELECT id FROM staged_datasets WHERE id BETWEEN $1 AND $2 AND is_removed)",
        "DELETE FROM staged_datasets WHERE id BETWEEN $1 AND $2",
    ];
    for sql in STATEMENTS {
        execute!(transaction, sql, *range.start(), *range.end())?;
    }
    Ok(())
}
