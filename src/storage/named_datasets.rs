//! Datasets with the names of those they name, as they are administered.
//!
//! It refuses to know who may administer what.

use std::collections::BTreeMap;

use sqlx::types::Json;
use uuid::Uuid;

use super::database::{CALL_TIMEOUT, Database, on_either, run};
use super::datasets::DatasetRow;
use super::error::StorageError;
use crate::domain::dataset::{Dataset, RecordStatus, Visibility};
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::Username;
use crate::domain::text_enum::TextEnum;

/// A dataset, and what the users are called that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetWithNames {
    /// The dataset.
    pub dataset: Dataset,
    /// The owner's name.
    pub owner: Option<Username>,
    /// The users it is shared with, by name.
    pub reader_users: BTreeMap<Username, UserId>,
}

/// Which datasets are looked for; what is left out does not narrow.
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

#[derive(sqlx::FromRow)]
struct DatasetWithNamesRow {
    #[sqlx(flatten)]
    dataset: DatasetRow,
    owner_name: Option<String>,
    reader_names: Json<BTreeMap<Username, UserId>>,
}

impl DatasetWithNamesRow {
    fn into_dataset(self) -> Result<DatasetWithNames, StorageError> {
        let dataset = self.dataset.into_dataset()?;
        let owner = self
            .owner_name
            .map(Username::try_from)
            .transpose()
            .map_err(|error| StorageError::Corrupt {
                table: "users",
                what: format!("the owner of the dataset {}: {error}", dataset.id),
            })?;
        Ok(DatasetWithNames {
            dataset,
            owner,
            reader_users: self.reader_names.0,
        })
    }
}

impl Database {
    /// Finds a dataset by id with the names of those it names, in one round trip and as of one
    /// moment.
    pub async fn find_dataset_with_names(
        &self,
        id: DatasetId,
    ) -> Result<Option<DatasetWithNames>, StorageError> {
        const SQL: &str = "SELECT * FROM datasets_with_names WHERE id = $1";
        let row: Option<DatasetWithNamesRow> =
            run(CALL_TIMEOUT, "find a dataset", "datasets", async {
                on_either!(self.readers(), pool => {
                    sqlx::query_as(SQL).bind(id.0).fetch_optional(pool).await
                })
            })
            .await?;
        row.map(DatasetWithNamesRow::into_dataset).transpose()
    }

    /// Reads at most `limit` datasets that pass the filter and whose ids come after `after`, in the
    /// order of their ids.
    pub async fn list_datasets_with_names(
        &self,
        filter: &DatasetFilter,
        after: Option<DatasetId>,
        limit: u32,
    ) -> Result<Vec<DatasetWithNames>, StorageError> {
        const SQL: &str = "SELECT * FROM datasets_with_names
            WHERE id >= $1
                AND ($2 IS NULL OR visibility = $2)
                AND ($3 IS NULL OR record_status = $3)
                AND ($4 IS NULL OR owner = (SELECT id FROM users WHERE username = $4))
                AND ($5 IS NULL OR lower(title) LIKE lower($5) ESCAPE '!')
            ORDER BY id LIMIT $6";
        let from = match after {
            None => Some(0),
            Some(after) => after.0.as_u128().checked_add(1),
        };
        let Some(from) = from.map(Uuid::from_u128) else {
            return Ok(Vec::new());
        };
        let doing = "read a page of datasets";
        let rows: Vec<DatasetWithNamesRow> = run(CALL_TIMEOUT, doing, "datasets", async {
            on_either!(self.readers(), pool => {
                sqlx::query_as(SQL)
                    .bind(from)
                    .bind(filter.visibility.map(TextEnum::as_str))
                    .bind(filter.record_status.map(TextEnum::as_str))
                    .bind(filter.owner.as_ref().map(Username::as_str))
                    .bind(filter.title.as_deref().map(like_pattern))
                    .bind(i64::from(limit))
                    .fetch_all(pool)
                    .await
            })
        })
        .await?;
        rows.into_iter()
            .map(DatasetWithNamesRow::into_dataset)
            .collect()
    }

    /// Finds a user's id by its name, disabled users too.
    pub async fn find_user_id(&self, username: &Username) -> Result<Option<UserId>, StorageError> {
        const SQL: &str = "SELECT id FROM users WHERE username = $1";
        let id: Option<Uuid> = run(CALL_TIMEOUT, "find a user", "users", async {
            on_either!(self.readers(), pool => {
                sqlx::query_scalar(SQL).bind(username.as_str()).fetch_optional(pool).await
            })
        })
        .await?;
        Ok(id.map(UserId))
    }
}

/// The pattern of `LIKE` for texts with `part` in them; `!` takes the meaning from what follows it.
fn like_pattern(part: &str) -> String {
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
