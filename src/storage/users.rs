//! Users and their roles.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::types::Json;
use uuid::Uuid;

use super::database::{CALL_TIMEOUT, Database, Transaction, on_either, run};
use super::error::StorageError;
use super::rows::{from_columns, insert_rows};
use super::statements::{execute, select, select_value};
use crate::domain::attributes::Attributes;
use crate::domain::id::UserId;
use crate::domain::name::{RoleName, Username};
use crate::domain::principal::{Tags, User};
use crate::domain::secret::Secret;

/// Binds a subject of its issuer to a user.
pub(super) const BIND_SUBJECT: &str = "UPDATE users SET subject = $1
    WHERE id = $2 AND issuer IS NOT NULL AND subject IS NULL";

/// A user with its password hash.
#[derive(Clone, Debug, PartialEq)]
pub struct UserRecord {
    /// The user.
    pub user: User,
    /// The hash of the password, in PHC string format; none for users who have no password.
    pub password_hash: Option<Secret<String>>,
}

/// Which users to list; a field that is `None` does not filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// The one of this name.
    pub username: Option<Username>,
    /// The members of this role.
    pub role: Option<RoleName>,
}

impl UserFilter {
    fn matches(&self, user: &User) -> bool {
        let is_named = self.username.as_ref();
        let has_role = self.role.as_ref();
        is_named.is_none_or(|name| user.username == *name)
            && has_role.is_none_or(|role| user.roles.contains(role))
    }
}

struct UserRow {
    id: Uuid,
    username: String,
    issuer: Option<String>,
    claims: Json<Tags>,
    attributes: Json<Attributes>,
    display_name: Option<String>,
    is_disabled: bool,
    password_hash: Option<String>,
    roles: Json<BTreeSet<RoleName>>,
}

from_columns!(UserRow {
    id,
    username,
    issuer,
    claims,
    attributes,
    display_name,
    is_disabled,
    password_hash,
    roles,
});

impl UserRow {
    fn into_record(self) -> Result<UserRecord, StorageError> {
        let id = UserId(self.id);
        let username =
            Username::try_from(self.username).map_err(|error| StorageError::Corrupt {
                table: "users",
                detail: format!("user {id}: {error}"),
            })?;
        Ok(UserRecord {
            user: User {
                id,
                username,
                issuer: self.issuer,
                roles: self.roles.0,
                claims: self.claims.0,
                attributes: self.attributes.0,
                display_name: self.display_name,
                is_disabled: self.is_disabled,
            },
            password_hash: self.password_hash.map(Secret::new),
        })
    }
}

impl Database {
    /// Finds a user by id, disabled or not.
    pub async fn find_user(&self, id: UserId) -> Result<Option<User>, StorageError> {
        Ok(self.find_user_record(id).await?.map(|record| record.user))
    }

    /// Finds a user with its password hash by id, disabled or not.
    pub async fn find_user_record(&self, id: UserId) -> Result<Option<UserRecord>, StorageError> {
        const SQL: &str = "SELECT * FROM users_with_roles WHERE id = $1";
        let row: Option<UserRow> =
            select!(self, "find a user", "users", fetch_optional(SQL, id.0)).await?;
        row.map(UserRow::into_record).transpose()
    }

    /// Finds a user with its password hash by user name, disabled or not.
    pub async fn find_user_by_username(
        &self,
        username: &Username,
    ) -> Result<Option<UserRecord>, StorageError> {
        const SQL: &str = "SELECT * FROM users_with_roles WHERE username = $1";
        let row: Option<UserRow> = select!(
            self,
            "find a user",
            "users",
            fetch_optional(SQL, username.as_str())
        )
        .await?;
        row.map(UserRow::into_record).transpose()
    }

    /// Finds the id of a user by its name, disabled or not.
    pub async fn find_user_id(&self, username: &Username) -> Result<Option<UserId>, StorageError> {
        const SQL: &str = "SELECT id FROM users WHERE username = $1";
        let id: Option<Uuid> = select_value!(
            self,
            "find a user",
            "users",
            fetch_optional(SQL, username.as_str())
        )
        .await?;
        Ok(id.map(UserId))
    }

    /// The ids of the users with these names, disabled or not, in one statement.
    pub async fn find_user_ids(
        &self,
        names: &BTreeSet<&Username>,
    ) -> Result<BTreeMap<Username, UserId>, StorageError> {
        const SQLITE: &str = "SELECT username, id FROM users_with_roles
            WHERE username IN (SELECT value FROM json_each($1))";
        const POSTGRES: &str = "SELECT username, id FROM users_with_roles
            WHERE username IN (SELECT jsonb_array_elements_text($1))";
        if names.is_empty() {
            return Ok(BTreeMap::new());
        }
        let sql = match self {
            Self::Sqlite(_) => SQLITE,
            Self::Postgres(_) => POSTGRES,
        };
        let rows: Vec<(String, Uuid)> =
            select!(self, "find users", "users", fetch_all(sql, Json(names))).await?;
        let found = rows.into_iter().map(|(name, id)| {
            let name = Username::try_from(name).map_err(|error| StorageError::Corrupt {
                table: "users",
                detail: format!("user {id}: {error}"),
            })?;
            Ok((name, UserId(id)))
        });
        found.collect()
    }

    /// Lists at most `limit` users after `after`, ordered by id, disabled or not.
    pub async fn list_users(
        &self,
        after: Option<UserId>,
        limit: u32,
        filter: &UserFilter,
    ) -> Result<Vec<UserRecord>, StorageError> {
        const ALL: &str =
            "SELECT * FROM users_with_roles WHERE id > $1 AND $2 = '' ORDER BY id LIMIT $3";
        const NAMED: &str =
            "SELECT * FROM users_with_roles WHERE id > $1 AND username = $2 LIMIT $3";
        const MEMBERS: &str = "SELECT users_with_roles.* FROM user_roles
                JOIN users_with_roles ON users_with_roles.id = user_roles.user_id
            WHERE user_roles.user_id > $1 AND user_roles.role_name = $2
            ORDER BY user_roles.user_id LIMIT $3";
        let (sql, name) = match (&filter.username, &filter.role) {
            (Some(username), _) => (NAMED, username.as_str()),
            (None, Some(role)) => (MEMBERS, role.as_str()),
            (None, None) => (ALL, ""),
        };
        let after = after.map_or(Uuid::nil(), |id| id.0);
        let rows: Vec<UserRow> = select!(
            self,
            "list users",
            "users",
            fetch_all(sql, after, name, i64::from(limit))
        )
        .await?;
        let mut records = rows
            .into_iter()
            .map(UserRow::into_record)
            .collect::<Result<Vec<_>, _>>()?;
        records.retain(|record| filter.matches(&record.user));
        Ok(records)
    }

    /// Whether there is a role of this name.
    pub async fn has_role(&self, role: &RoleName) -> Result<bool, StorageError> {
        const SQL: &str = "SELECT name FROM roles WHERE name = $1 AND NOT is_removed";
        let found: Option<String> = select_value!(
            self,
            "find a role",
            "roles",
            fetch_optional(SQL, role.as_str())
        )
        .await?;
        Ok(found.is_some())
    }

    /// The first of these names that no role has, in one statement.
    pub async fn find_unknown_role(
        &self,
        names: &BTreeSet<&RoleName>,
    ) -> Result<Option<RoleName>, StorageError> {
        const SQLITE: &str = "SELECT value FROM json_each($1)
            WHERE value NOT IN (SELECT name FROM roles WHERE NOT is_removed) ORDER BY value LIMIT 1";
        const POSTGRES: &str = "SELECT value FROM jsonb_array_elements_text($1) AS value
            WHERE value NOT IN (SELECT name FROM roles WHERE NOT is_removed) ORDER BY value LIMIT 1";
        if names.is_empty() {
            return Ok(None);
        }
        let sql = match self {
            Self::Sqlite(_) => SQLITE,
            Self::Postgres(_) => POSTGRES,
        };
        let unknown: Option<String> = select_value!(
            self,
            "find roles",
            "roles",
            fetch_optional(sql, Json(names))
        )
        .await?;
        unknown.map(parse_role).transpose()
    }

    /// Lists at most `limit` roles after `after`, ordered by name; on PostgreSQL in the order of the database's
    /// collation.
    pub async fn list_roles(
        &self,
        after: Option<&RoleName>,
        limit: u32,
    ) -> Result<Vec<RoleName>, StorageError> {
        const SQL: &str = "SELECT name FROM roles
            WHERE name > $1 AND NOT is_removed ORDER BY name LIMIT $2";
        let after = after.map_or("", RoleName::as_str);
        let names: Vec<String> = select_value!(
            self,
            "list roles",
            "roles",
            fetch_all(SQL, after, i64::from(limit))
        )
        .await?;
        names.into_iter().map(parse_role).collect()
    }
}

/// Parses the stored name of a role.
pub(super) fn parse_role(name: String) -> Result<RoleName, StorageError> {
    RoleName::try_from(name).map_err(|error| StorageError::Corrupt {
        table: "roles",
        detail: error.to_string(),
    })
}

/// Reads all users, by name.
pub(super) async fn read_users(
    transaction: &mut Transaction,
) -> Result<Vec<UserRecord>, StorageError> {
    const SQL: &str = "SELECT * FROM users_with_roles ORDER BY username";
    let rows: Vec<UserRow> = on_either!(transaction, connection => {
        sqlx::query_as(SQL).fetch_all(&mut **connection).await
    })
    .map_err(|error| StorageError::classify(&error, "read the catalog", "users"))?;
    rows.into_iter().map(UserRow::into_record).collect()
}

/// Adds or replaces users with their roles.
///
/// A user stays the operator's as long as nobody else gives it another name or password.
pub(super) async fn put_users(
    transaction: &mut Transaction,
    records: &[UserRecord],
    is_by_operator: bool,
) -> Result<(), sqlx::Error> {
    const PUT: &str = "INSERT INTO users
        (id, username, issuer, claims, attributes, is_disabled, password_hash, is_from_operator) ";
    const REPLACE: &str = " ON CONFLICT (id) DO UPDATE SET username = excluded.username,
            issuer = excluded.issuer, claims = excluded.claims,
            attributes = excluded.attributes, is_disabled = excluded.is_disabled,
            password_hash = excluded.password_hash,
            is_from_operator = (users.is_from_operator AND (excluded.is_from_operator
                OR (users.username = excluded.username
                    AND users.password_hash IS NOT DISTINCT FROM excluded.password_hash)))";
    const DELETE_ROLES: &str = "DELETE FROM user_roles WHERE user_id = $1";
    const INSERT_ROLES: &str = "INSERT INTO user_roles (user_id, role_name) ";
    insert_rows!(
        transaction,
        PUT,
        records,
        (values, record) => {
            let (user, hash) = (&record.user, record.password_hash.as_ref());
            values
                .push_bind(user.id.0)
                .push_bind(user.username.as_str())
                .push_bind(user.issuer.as_deref())
                .push_bind(Json(&user.claims))
                .push_bind(Json(&user.attributes))
                .push_bind(user.is_disabled)
                .push_bind(hash.map(|hash| hash.reveal().as_str()))
                .push_bind(is_by_operator);
        },
        REPLACE,
    );
    for record in records {
        execute!(transaction, DELETE_ROLES, record.user.id.0)?;
    }
    let members = records.iter().flat_map(|record| {
        let roles = record.user.roles.iter();
        roles.map(|role| (record.user.id, role))
    });
    let members: Vec<_> = members.collect();
    insert_rows!(
        transaction,
        INSERT_ROLES,
        members,
        (values, (id, role)) => {
            values.push_bind(id.0).push_bind(role.as_str());
        },
        "",
    );
    Ok(())
}
