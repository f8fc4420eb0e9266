//! Datasets with the names of their owners and readers, for administration.

use std::collections::BTreeMap;

use sqlx::types::Json;

use super::database::{CALL_TIMEOUT, Database, on_either, run};
use super::datasets::{DatasetRow, first_id_after};
use super::error::StorageError;
use super::rows::from_columns;
use super::statements::select;
use crate::domain::dataset::{Dataset, RecordStatus, Visibility};
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::Username;
use crate::domain::text_enum::TextEnum;

/// A dataset with the names of its owner and of its readers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetWithNames {
    /// The dataset.
    pub dataset: Dataset,
    /// The owner's name.
    pub owner: Option<Username>,
    /// The users it is shared with, by name.
    pub reader_users: BTreeMap<Username, UserId>,
}

/// Which datasets to list; a field that is `None` does not filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatasetFilter {
    /// Those of this visibility.
    pub visibility: Option<Visibility>,
    /// Those of this record status.
    pub record_status: Option<RecordStatus>,
    /// Those that this user owns.
    pub owner: Option<Username>,
    /// Those with this in their title, whatever the case of its letters `A` to `Z`.
    pub title: Option<String>,
}

struct DatasetWithNamesRow {
    dataset: DatasetRow,
    owner_name: Option<String>,
    reader_names: Json<BTreeMap<Username, UserId>>,
}

from_columns!(DatasetWithNamesRow { owner_name, reader_names, ..dataset: DatasetRow });

impl DatasetWithNamesRow {
    fn into_dataset(self) -> Result<DatasetWithNames, StorageError> {
        let dataset = self.dataset.into_dataset()?;
        let owner = self
            .owner_name
            .map(Username::try_from)
            .transpose()
            .map_err(|error| StorageError::Corrupt {
                table: "users",
                detail: format!("the owner of the dataset {}: {error}", dataset.id),
            })?;
        Ok(DatasetWithNames {
            dataset,
            owner,
            reader_users: self.reader_names.0,
        })
    }
}

impl Database {
    /// Finds a dataset by id with the names of its owner and readers, in one round trip and from one
    /// snapshot.
    pub async fn find_dataset_with_names(
        &self,
        id: DatasetId,
    ) -> Result<Option<DatasetWithNames>, StorageError> {
        const SQL: &str = "SELECT * FROM datasets_with_names
            JOIN dataset_details ON dataset_id = id WHERE id = $1";
        let row: Option<DatasetWithNamesRow> = select!(
            self,
            "find a dataset",
            "datasets",
            fetch_optional(SQL, id.0)
        )
        .await?;
        row.map(DatasetWithNamesRow::into_dataset).transpose()
    }

    /// Lists at most `limit` datasets that match the filter, after `after`, ordered by id.
    pub async fn list_datasets_with_names(
        &self,
        filter: &DatasetFilter,
        after: Option<DatasetId>,
        limit: u32,
    ) -> Result<Vec<DatasetWithNames>, StorageError> {
        const SQL: &str = "SELECT * FROM datasets_with_names
            JOIN dataset_details ON dataset_id = id
            WHERE id >= $1
                AND ($2 IS NULL OR visibility = $2)
                AND ($3 IS NULL OR record_status = $3)
                AND ($4 IS NULL OR owner = (SELECT id FROM users WHERE username = $4))
                AND ($5 IS NULL OR lower(title) LIKE lower($5) ESCAPE '!')
            ORDER BY id LIMIT $6";
        let Some(first) = first_id_after(after) else {
            return Ok(Vec::new());
        };
        let rows: Vec<DatasetWithNamesRow> = select!(
            self,
            "list datasets",
            "datasets",
            fetch_all(
                SQL,
                first,
                filter.visibility.map(TextEnum::as_str),
                filter.record_status.map(TextEnum::as_str),
                filter.owner.as_ref().map(Username::as_str),
                filter.title.as_deref().map(like_pattern),
                i64::from(limit)
            )
        )
        .await?;
        rows.into_iter()
            .map(DatasetWithNamesRow::into_dataset)
            .collect()
    }
}

/// The `LIKE` pattern for texts that contain `part`; `!` escapes the character that follows.
pub(super) fn like_pattern(part: &str) -> String {
    let mut pattern = String::from("%");
    for letter in part.chars() {
        if matches!(letter, '!' | '%' | '_') {
            pattern.push('!');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}
