//! Users of external issuers: found by the issuer's own id for them, added and updated.
//!
//! An issuer and a subject always are the same user; the user name only has to be free when the user is
//! added. Such users have no password.

use sqlx::types::Json;
use uuid::Uuid;

use super::catalog_changes::name_no_changed_dataset;
use super::catalog_lock::bump_version;
use super::database::{CALL_TIMEOUT, Database, Transaction, on_either, run};
use super::error::StorageError;
use super::statements::{execute, select, select_value};
use super::users::BIND_SUBJECT;
use crate::domain::id::UserId;
use crate::domain::name::{RoleName, Username};
use crate::domain::principal::User;

/// A user of an external issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExternalUser {
    /// The user.
    pub id: UserId,
    /// When the token was issued that its roles and claims were last taken from, in seconds since
    /// 1970 UTC; nothing if they never were.
    pub claims_issued_at: Option<i64>,
}

/// The result of adding a user of an external issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddUserOutcome {
    /// The user was added.
    Added,
    /// The issuer and the subject, or the user name, are taken already; nothing was written.
    AlreadyExists,
}

impl Database {
    /// Finds the user of an issuer and a subject, disabled or not.
    pub async fn find_external_user(
        &self,
        issuer: &str,
        subject: &str,
    ) -> Result<Option<ExternalUser>, StorageError> {
        const SQL: &str =
            "SELECT id, claims_issued_at FROM users WHERE issuer = $1 AND subject = $2";
        let row: Option<(Uuid, Option<i64>)> = select!(
            self,
            "find a user",
            "users",
            fetch_optional(SQL, issuer, subject)
        )
        .await?;
        Ok(row.map(|(id, claims_issued_at)| ExternalUser {
            id: UserId(id),
            claims_issued_at,
        }))
    }

    /// Finds a user of an issuer by its name, if no subject is bound to it yet.
    pub async fn find_unbound_user(
        &self,
        issuer: &str,
        username: &Username,
    ) -> Result<Option<UserId>, StorageError> {
        const SQL: &str =
            "SELECT id FROM users WHERE issuer = $1 AND username = $2 AND subject IS NULL";
        let id: Option<Uuid> = select_value!(
            self,
            "find a user",
            "users",
            fetch_optional(SQL, issuer, username.as_str())
        )
        .await?;
        Ok(id.map(UserId))
    }

    /// Binds a subject of its issuer to a user; `false` if another is bound already.
    pub async fn bind_subject(&self, id: UserId, subject: &str) -> Result<bool, StorageError> {
        run(CALL_TIMEOUT, "bind a user", "users", async {
            let mut transaction = self.begin_catalog_change().await?;
            bump_version(&mut transaction).await?;
            name_no_changed_dataset(&mut transaction).await?;
            let bound = execute!(&mut transaction, BIND_SUBJECT, subject, id.0)?;
            if bound == 0 {
                transaction.rollback().await?;
                return Ok(false);
            }
            transaction.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Adds a user of an external issuer whose roles and claims come from a token that was issued at
    /// `claims_issued_at` (seconds since 1970 UTC); unknown roles are ignored.
    pub async fn add_external_user(
        &self,
        user: &User,
        subject: &str,
        claims_issued_at: i64,
    ) -> Result<AddUserOutcome, StorageError> {
        const SQL: &str = "INSERT INTO users
            (id, username, issuer, subject, claims, claims_issued_at, is_disabled, display_name, password_hash)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, NULL) ON CONFLICT DO NOTHING";
        run(CALL_TIMEOUT, "add a user", "users", async {
            let mut transaction = self.begin_catalog_change().await?;
            bump_version(&mut transaction).await?;
            name_no_changed_dataset(&mut transaction).await?;
            let added = execute!(
                &mut transaction,
                SQL,
                user.id.0,
                user.username.as_str(),
                user.issuer.as_deref(),
                subject,
                Json(&user.claims),
                claims_issued_at,
                user.is_disabled,
                user.display_name.as_deref()
            )?;
            if added == 0 {
                // And the version with it: nothing changed.
                transaction.rollback().await?;
                return Ok(AddUserOutcome::AlreadyExists);
            }
            insert_known_roles(&mut transaction, user).await?;
            transaction.commit().await?;
            Ok(AddUserOutcome::Added)
        })
        .await
    }

    /// Replaces the roles, claims and display name of a user of an external issuer by those of a token that was issued at
    /// `claims_issued_at`; `false` if they are of as new a token already.
    pub async fn update_external_user(
        &self,
        user: &User,
        claims_issued_at: i64,
    ) -> Result<bool, StorageError> {
        const SQL: &str = "UPDATE users SET claims = $1, claims_issued_at = $2, display_name = $4
            WHERE id = $3 AND issuer IS NOT NULL
                AND (claims_issued_at IS NULL OR claims_issued_at < $2)";
        const DELETE_ROLES: &str = "DELETE FROM user_roles WHERE user_id = $1";
        run(CALL_TIMEOUT, "update a user", "users", async {
            let mut transaction = self.begin_catalog_change().await?;
            bump_version(&mut transaction).await?;
            name_no_changed_dataset(&mut transaction).await?;
            let refreshed = execute!(
                &mut transaction,
                SQL,
                Json(&user.claims),
                claims_issued_at,
                user.id.0,
                user.display_name.as_deref()
            )?;
            if refreshed == 0 {
                transaction.rollback().await?;
                return Ok(false);
            }
            execute!(&mut transaction, DELETE_ROLES, user.id.0)?;
            insert_known_roles(&mut transaction, user).await?;
            transaction.commit().await?;
            Ok(true)
        })
        .await
    }

    /// Reads the names of all roles.
    pub async fn role_names(&self) -> Result<Vec<RoleName>, StorageError> {
        const SQL: &str = "SELECT name FROM roles WHERE NOT is_removed";
        let names: Vec<String> =
            select_value!(self, "read the roles", "roles", fetch_all(SQL)).await?;
        names
            .into_iter()
            .map(RoleName::try_from)
            .collect::<Result<_, _>>()
            .map_err(|error| StorageError::Corrupt {
                table: "roles",
                detail: error.to_string(),
            })
    }
}

/// Adds the user to its roles, as far as the catalog has them now.
async fn insert_known_roles(transaction: &mut Transaction, user: &User) -> Result<(), sqlx::Error> {
    const SQL: &str = "INSERT INTO user_roles (user_id, role_name)
        SELECT $1, name FROM roles WHERE name = $2 AND NOT is_removed";
    for role in &user.roles {
        execute!(transaction, SQL, user.id.0, role.as_str())?;
    }
    Ok(())
}
