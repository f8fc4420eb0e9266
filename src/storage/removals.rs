//! Removal of users and roles that much refers to.
//!
//! A removed user or role is gone at once: its row is marked, and the views leave it out. What refers to it
//! (shares, memberships, sessions, refresh tokens) is deleted in small transactions, and the row last, so that
//! other writers never wait for long. A role's name is free again when its row is gone.

use uuid::Uuid;

use super::catalog_lock::lock_catalog;
use super::database::{CALL_TIMEOUT, Database, Transaction, on_either, run};
use super::error::StorageError;
use super::statements::{execute, select};
use crate::domain::id::UserId;
use crate::domain::name::RoleName;

/// How many rows one statement of the sweep deletes.
const SWEEP_BATCH_SIZE: i64 = 250;
/// How many batches follow a removal at once; the background task does the rest.
const MAX_BATCHES_AT_ONCE: u32 = 8;

impl Database {
    /// Deletes one batch of what refers to removed users and roles; returns whether there may be more.
    pub async fn sweep_removed(&self) -> Result<bool, StorageError> {
        const NEXT: &str = "SELECT (SELECT id FROM users WHERE is_removed LIMIT 1),
                (SELECT name FROM roles WHERE is_removed LIMIT 1)";
        let next: (Option<Uuid>, Option<String>) =
            select!(self, "find removed users", "users", fetch_one(NEXT)).await?;
        if next == (None, None) {
            return Ok(false);
        }
        run(CALL_TIMEOUT, "sweep removed users", "users", async {
            let mut transaction = self.begin_catalog_change().await?;
            lock_catalog(&mut transaction).await?;
            let mut is_progress = false;
            if let Some(id) = next.0 {
                sweep_user(&mut transaction, id).await?;
                is_progress = true;
            }
            if let Some(name) = next.1 {
                is_progress |= sweep_role(&mut transaction, &name).await?;
            }
            transaction.commit().await?;
            Ok(is_progress)
        })
        .await
    }

    /// Deletes some batches right after a removal: of most users and roles that is all there is.
    pub(super) async fn sweep_removed_briefly(&self) {
        for _ in 0..MAX_BATCHES_AT_ONCE {
            match self.sweep_removed().await {
                Ok(true) => {}
                // Nothing depends on it yet, and the background task tries again.
                Ok(false) | Err(_) => return,
            }
        }
    }
}

/// Removes a user: its credentials are invalid, and its name is free.
pub(super) async fn remove_user(
    transaction: &mut Transaction,
    id: UserId,
) -> Result<(), sqlx::Error> {
    // No user name has a colon.
    const MARK: &str =
        "UPDATE users SET is_removed = TRUE, username = $2, issuer = NULL, subject = NULL,
            is_disabled = TRUE, password_hash = NULL, is_from_operator = FALSE
        WHERE id = $1 AND NOT is_removed";
    const DELETE_ROLES: &str = "DELETE FROM user_roles WHERE user_id = $1";
    const DELETE_KEYS: &str = "DELETE FROM api_keys WHERE user_id = $1";
    execute!(transaction, MARK, id.0, format!("removed:{id}"))?;
    execute!(transaction, DELETE_ROLES, id.0)?;
    execute!(transaction, DELETE_KEYS, id.0).map(drop)
}

/// Removes a role with its memberships and shares.
pub(super) async fn remove_role(
    transaction: &mut Transaction,
    role: &RoleName,
) -> Result<(), sqlx::Error> {
    const MARK: &str = "UPDATE roles SET is_removed = TRUE WHERE name = $1";
    execute!(transaction, MARK, role.as_str()).map(drop)
}

/// Adds a role; one that exists stays as it is, and one that is still being removed is an error.
pub(super) async fn put_role(
    transaction: &mut Transaction,
    role: &RoleName,
) -> Result<(), sqlx::Error> {
    const PUT: &str = "INSERT INTO roles (name) VALUES ($1)
        ON CONFLICT (name) DO UPDATE SET name = excluded.name WHERE NOT roles.is_removed";
    match execute!(transaction, PUT, role.as_str())? {
        0 => Err(sqlx::Error::Protocol(format!(
            "an older role {role} is still being removed"
        ))),
        _ => Ok(()),
    }
}

async fn sweep_user(transaction: &mut Transaction, id: Uuid) -> Result<(), sqlx::Error> {
    const BATCHES: [&str; 4] = [
        "DELETE FROM refresh_tokens WHERE sha256 IN (SELECT sha256
            FROM sessions JOIN refresh_tokens ON refresh_tokens.session_id = sessions.id
            WHERE sessions.user_id = $1 LIMIT $2)",
        "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE user_id = $1
            AND NOT EXISTS (SELECT 1 FROM refresh_tokens WHERE session_id = sessions.id) LIMIT $2)",
        "DELETE FROM dataset_reader_users WHERE user_id = $1 AND dataset_id IN
            (SELECT dataset_id FROM dataset_reader_users WHERE user_id = $1 LIMIT $2)",
        "UPDATE datasets SET owner = NULL WHERE id IN
            (SELECT id FROM datasets WHERE owner = $1 LIMIT $2)",
    ];
    const DELETE: &str = "DELETE FROM users WHERE id = $1 AND is_removed";
    let mut rows = 0;
    for sql in BATCHES {
        rows += execute!(transaction, sql, id, SWEEP_BATCH_SIZE)?;
    }
    if rows == 0 {
        execute!(transaction, DELETE, id)?;
    }
    Ok(())
}

/// Returns whether anything was deleted: a committed change that is still staged may name the role.
async fn sweep_role(transaction: &mut Transaction, name: &str) -> Result<bool, sqlx::Error> {
    const BATCHES: [&str; 2] = [
        "DELETE FROM dataset_reader_roles WHERE role_name = $1 AND dataset_id IN
            (SELECT dataset_id FROM dataset_reader_roles WHERE role_name = $1 LIMIT $2)",
        "DELETE FROM user_roles WHERE role_name = $1 AND user_id IN
            (SELECT user_id FROM user_roles WHERE role_name = $1 LIMIT $2)",
    ];
    const DELETE: &str = "DELETE FROM roles WHERE name = $1 AND is_removed
        AND NOT (SELECT is_committed FROM catalog_apply)";
    let mut rows = 0;
    for sql in BATCHES {
        rows += execute!(transaction, sql, name, SWEEP_BATCH_SIZE)?;
    }
    if rows == 0 {
        rows = execute!(transaction, DELETE, name)?;
    }
    Ok(rows > 0)
}
