//! The names of users and datasets by id, and some of them, to say what a policy names and what it may have
//! meant.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::types::Json;
use uuid::Uuid;

use super::database::{CALL_TIMEOUT, Database, on_either, run};
use super::error::StorageError;
use super::statements::select;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::Username;

impl Database {
    /// The names of the users with these ids, disabled or not, in one statement.
    pub async fn find_usernames(
        &self,
        ids: &BTreeSet<UserId>,
    ) -> Result<BTreeMap<UserId, Username>, StorageError> {
        const SQLITE: &str = "SELECT id, username FROM users_with_roles
            WHERE id IN (SELECT unhex(value, '-') FROM json_each($1))";
        const POSTGRES: &str = "SELECT id, username FROM users_with_roles
            WHERE id IN (SELECT value::uuid FROM jsonb_array_elements_text($1) AS value)";
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let sql = self.either(SQLITE, POSTGRES);
        let rows: Vec<(Uuid, String)> =
            select!(self, "find users", "users", fetch_all(sql, Json(ids))).await?;
        rows.into_iter().map(parse_user).collect()
    }

    /// The titles of the datasets with these ids, in one statement.
    pub async fn find_titles(
        &self,
        ids: &BTreeSet<DatasetId>,
    ) -> Result<BTreeMap<DatasetId, String>, StorageError> {
        const SQLITE: &str = "SELECT id, title FROM datasets_with_readers
            WHERE id IN (SELECT unhex(value, '-') FROM json_each($1))";
        const POSTGRES: &str = "SELECT id, title FROM datasets_with_readers
            WHERE id IN (SELECT value::uuid FROM jsonb_array_elements_text($1) AS value)";
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let sql = self.either(SQLITE, POSTGRES);
        let rows: Vec<(Uuid, String)> =
            select!(self, "find datasets", "datasets", fetch_all(sql, Json(ids))).await?;
        Ok(rows
            .into_iter()
            .map(|(id, title)| (DatasetId(id), title))
            .collect())
    }

    /// The first users by name, at most `limit`, disabled or not.
    pub async fn list_usernames(
        &self,
        limit: u32,
    ) -> Result<Vec<(UserId, Username)>, StorageError> {
        const SQL: &str = "SELECT id, username FROM users_with_roles ORDER BY username LIMIT $1";
        let rows: Vec<(Uuid, String)> = select!(
            self,
            "list users",
            "users",
            fetch_all(SQL, i64::from(limit))
        )
        .await?;
        rows.into_iter().map(parse_user).collect()
    }

    /// The first datasets by id with their titles, at most `limit`.
    pub async fn list_titles(&self, limit: u32) -> Result<Vec<(DatasetId, String)>, StorageError> {
        const SQL: &str = "SELECT id, title FROM datasets_with_readers ORDER BY id LIMIT $1";
        let rows: Vec<(Uuid, String)> = select!(
            self,
            "list datasets",
            "datasets",
            fetch_all(SQL, i64::from(limit))
        )
        .await?;
        Ok(rows
            .into_iter()
            .map(|(id, title)| (DatasetId(id), title))
            .collect())
    }

    fn either(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self {
            Self::Sqlite(_) => sqlite,
            Self::Postgres(_) => postgres,
        }
    }
}

pub(super) fn parse_user((id, name): (Uuid, String)) -> Result<(UserId, Username), StorageError> {
    let name = Username::try_from(name).map_err(|error| StorageError::Corrupt {
        table: "users",
        detail: format!("user {id}: {error}"),
    })?;
    Ok((UserId(id), name))
}
