//! Users and their roles.

use std::collections::BTreeSet;

use sqlx::types::Json;
use uuid::Uuid;

use super::catalog::UserRecord;
use super::database::{CALL_DEADLINE, Database, Transaction, attempt, on_either};
use super::error::StorageError;
use crate::domain::id::UserId;
use crate::domain::name::{RoleName, Username};
use crate::domain::principal::{Tags, User};
use crate::domain::secret::Secret;

/// What a login is checked against: a user and its password hash.
pub type Login = UserRecord;

#[derive(sqlx::FromRow)]
struct UserRow {
    id: Uuid,
    username: String,
    issuer: Option<String>,
    claims: Json<Tags>,
    is_disabled: bool,
    password_hash: Option<String>,
    roles: Json<BTreeSet<RoleName>>,
}

impl UserRow {
    fn into_record(self) -> Result<UserRecord, StorageError> {
        let id = UserId(self.id);
        let username =
            Username::try_from(self.username).map_err(|error| StorageError::Corrupt {
                table: "users",
                what: format!("user {id}: {error}"),
            })?;
        Ok(UserRecord {
            user: User {
                id,
                username,
                issuer: self.issuer,
                roles: self.roles.0,
                claims: self.claims.0,
                is_disabled: self.is_disabled,
            },
            password_hash: self.password_hash.map(Secret::new),
        })
    }
}

impl Database {
    /// Finds a user by id, disabled ones too.
    pub async fn find_user(&self, id: UserId) -> Result<Option<User>, StorageError> {
        const SQL: &str = "SELECT * FROM users_with_roles WHERE id = $1";
        let row: Option<UserRow> = attempt(CALL_DEADLINE, "find a user", "users", async {
            on_either!(self.readers(), pool => {
                sqlx::query_as(SQL).bind(id.0).fetch_optional(pool).await
            })
        })
        .await?;
        Ok(row
            .map(UserRow::into_record)
            .transpose()?
            .map(|record| record.user))
    }

    /// Finds what a login is checked against by user name, disabled users too.
    pub async fn find_login(&self, username: &Username) -> Result<Option<Login>, StorageError> {
        const SQL: &str = "SELECT * FROM users_with_roles WHERE username = $1";
        let row: Option<UserRow> = attempt(CALL_DEADLINE, "find a login", "users", async {
            on_either!(self.readers(), pool => {
                sqlx::query_as(SQL).bind(username.as_str()).fetch_optional(pool).await
            })
        })
        .await?;
        row.map(UserRow::into_record).transpose()
    }
}

/// Reads all users, by name.
pub(super) async fn read_users(
    transaction: &mut Transaction,
) -> Result<Vec<UserRecord>, StorageError> {
    const SQL: &str = "SELECT * FROM users_with_roles ORDER BY username";
    let rows: Vec<UserRow> = on_either!(transaction, connection => {
        sqlx::query_as(SQL).fetch_all(&mut **connection).await
    })
    .map_err(|error| StorageError::sort(&error, "read the catalog", "users"))?;
    rows.into_iter().map(UserRow::into_record).collect()
}

/// Adds or replaces one user with its roles.
pub(super) async fn put_user(
    transaction: &mut Transaction,
    record: &UserRecord,
) -> Result<(), sqlx::Error> {
    const PUT: &str = "INSERT INTO users (id, username, issuer, claims, is_disabled, password_hash)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (id) DO UPDATE SET username = excluded.username, issuer = excluded.issuer,
            claims = excluded.claims, is_disabled = excluded.is_disabled,
            password_hash = excluded.password_hash";
    const LEAVE_ROLES: &str = "DELETE FROM user_roles WHERE user_id = $1";
    const JOIN_ROLE: &str = "INSERT INTO user_roles (user_id, role_name) VALUES ($1, $2)";
    let user = &record.user;
    let password_hash = record
        .password_hash
        .as_ref()
        .map(|hash| hash.reveal().as_str());
    on_either!(transaction, connection => {
        sqlx::query(PUT)
            .bind(user.id.0)
            .bind(user.username.as_str())
            .bind(user.issuer.as_deref())
            .bind(Json(&user.claims))
            .bind(user.is_disabled)
            .bind(password_hash)
            .execute(&mut **connection)
            .await?;
        sqlx::query(LEAVE_ROLES).bind(user.id.0).execute(&mut **connection).await?;
        for role in &user.roles {
            sqlx::query(JOIN_ROLE)
                .bind(user.id.0)
                .bind(role.as_str())
                .execute(&mut **connection)
                .await?;
        }
    });
    Ok(())
}
