//! Admins who can sign in: without one of them, nobody administers anything over HTTP.

use std::collections::BTreeSet;

use sqlx::types::Uuid;

use super::database::{CALL_TIMEOUT, Database, Transaction, on_either, run};
use super::error::StorageError;
use crate::domain::id::UserId;
use crate::domain::name::ADMIN_ROLE;

/// The most admins that are read; with more, those with the lowest ids.
const MAX_ADMINS: i64 = 1_000;

/// What it depends on whether an admin can sign in, besides its record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignInConditions {
    /// The current time, in seconds since 1970 UTC: an expired API key is no way to sign in.
    pub now: i64,
    /// The configured identity providers whose tokens can make somebody an admin.
    pub admin_issuers: Vec<String>,
}

/// The admins whom no change may leave the catalog without.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admins {
    /// Those who can sign in; if there are none, all enabled members of the role admin, because one command
    /// gives them a password.
    pub ids: BTreeSet<UserId>,
    /// Whether these can sign in.
    pub can_sign_in: bool,
}

impl Database {
    /// The members of the role admin who are enabled and can sign in: with a password, with an unrestricted
    /// API key that has not expired, or with an identity provider that has named them admin.
    pub async fn admins_who_can_sign_in(
        &self,
        conditions: &SignInConditions,
    ) -> Result<Vec<UserId>, StorageError> {
        run(CALL_TIMEOUT, "find the admins", "users", async {
            let mut transaction = self.begin_reading().await?;
            let admins = read_admins(&mut transaction, conditions).await?;
            transaction.commit().await?;
            Ok(admins)
        })
        .await
    }
}

/// Reads the admins who can sign in.
pub(super) async fn read_admins(
    transaction: &mut Transaction,
    conditions: &SignInConditions,
) -> Result<Vec<UserId>, sqlx::Error> {
    const WITH_CREDENTIAL_HERE: &str = "SELECT users.id FROM user_roles
            JOIN users ON users.id = user_roles.user_id
        WHERE role_name = $1 AND NOT is_disabled AND NOT is_removed
            AND ((issuer IS NULL AND password_hash IS NOT NULL) OR EXISTS (
                SELECT 1 FROM api_keys WHERE api_keys.user_id = users.id
                    AND actions IS NULL AND datasets IS NULL
                    AND (expires_at IS NULL OR expires_at > $2)))
        ORDER BY users.id LIMIT $3";
    const WITH_PROVIDER: &str = "SELECT users.id FROM user_roles
            JOIN users ON users.id = user_roles.user_id
        WHERE role_name = $1 AND NOT is_disabled AND NOT is_removed AND issuer = $2
            AND subject IS NOT NULL AND claims_issued_at IS NOT NULL
        ORDER BY users.id LIMIT $3";
    let mut admins: Vec<Uuid> = on_either!(&mut *transaction, connection => {
        let query = sqlx::query_scalar(WITH_CREDENTIAL_HERE);
        let query = query.bind(ADMIN_ROLE).bind(conditions.now).bind(MAX_ADMINS);
        query.fetch_all(&mut **connection).await?
    });
    for issuer in &conditions.admin_issuers {
        let more: Vec<Uuid> = on_either!(&mut *transaction, connection => {
            let query = sqlx::query_scalar(WITH_PROVIDER);
            let query = query.bind(ADMIN_ROLE).bind(issuer.as_str()).bind(MAX_ADMINS);
            query.fetch_all(&mut **connection).await?
        });
        admins.extend(more);
    }
    Ok(admins.into_iter().map(UserId).collect())
}

/// Reads the admins of whom one has to remain.
pub(super) async fn read_admins_to_keep(
    transaction: &mut Transaction,
    conditions: &SignInConditions,
) -> Result<Admins, sqlx::Error> {
    let admins = read_admins(transaction, conditions).await?;
    let can_sign_in = !admins.is_empty();
    let ids = if can_sign_in {
        admins
    } else {
        read_enabled_members(transaction).await?
    };
    Ok(Admins {
        ids: ids.into_iter().collect(),
        can_sign_in,
    })
}

/// Whether none of the kind of admins that there were `before` remains.
pub(super) async fn are_admins_gone(
    transaction: &mut Transaction,
    before: &Admins,
    conditions: &SignInConditions,
) -> Result<bool, sqlx::Error> {
    if before.ids.is_empty() {
        return Ok(false);
    }
    let after = read_admins_to_keep(transaction, conditions).await?;
    Ok(after.ids.is_empty() || (before.can_sign_in && !after.can_sign_in))
}

async fn read_enabled_members(transaction: &mut Transaction) -> Result<Vec<UserId>, sqlx::Error> {
    const SQL: &str = "SELECT users.id FROM user_roles JOIN users ON users.id = user_roles.user_id
        WHERE role_name = $1 AND NOT is_disabled AND NOT is_removed
        ORDER BY users.id LIMIT $2";
    let members: Vec<Uuid> = on_either!(transaction, connection => {
        let query = sqlx::query_scalar(SQL).bind(ADMIN_ROLE).bind(MAX_ADMINS);
        query.fetch_all(&mut **connection).await?
    });
    Ok(members.into_iter().map(UserId).collect())
}
