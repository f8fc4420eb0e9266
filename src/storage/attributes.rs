//! The attributes of all datasets or users, a page at a time.

use sqlx::types::Json;
use uuid::Uuid;

use super::database::{CALL_TIMEOUT, Database, on_either, run};
use super::error::StorageError;
use super::statements::select;
use crate::domain::attributes::{AttributeOwner, Attributes};

/// A dataset or a user, as far as its attributes go.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredAttributes {
    /// Its id.
    pub id: Uuid,
    /// Its attributes.
    pub attributes: Attributes,
}

impl Database {
    /// Lists at most `limit` datasets or users with ids from `first` on, in the order of their ids.
    pub async fn list_attributes(
        &self,
        owner: AttributeOwner,
        first: Uuid,
        limit: u32,
    ) -> Result<Vec<StoredAttributes>, StorageError> {
        const DATASETS: &str = "SELECT id, attributes FROM datasets_with_readers
            WHERE id >= $1 ORDER BY id LIMIT $2";
        const USERS: &str = "SELECT id, attributes FROM users
            WHERE id >= $1 AND NOT is_removed ORDER BY id LIMIT $2";
        let (sql, table) = match owner {
            AttributeOwner::Dataset => (DATASETS, "datasets"),
            AttributeOwner::User => (USERS, "users"),
        };
        let rows: Vec<(Uuid, Json<Attributes>)> = select!(
            self,
            "read attributes",
            table,
            fetch_all(sql, first, i64::from(limit))
        )
        .await?;
        let stored = rows.into_iter().map(|(id, attributes)| StoredAttributes {
            id,
            attributes: attributes.0,
        });
        Ok(stored.collect())
    }
}
