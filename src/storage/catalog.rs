//! The catalog as a whole: reads, changes and its version.

use std::collections::BTreeSet;
use std::time::Duration;

use super::audit::append;
use super::database::{
    CALL_TIMEOUT, CATALOG_TIMEOUT, Database, Transaction, on_either, run, with_timeout,
};
use super::datasets::{put_dataset, read_datasets};
use super::error::StorageError;
use super::statements::execute;
use super::users::{BIND_SUBJECT, UserRecord, parse_role, put_user, read_users};
use crate::domain::audit::AuditRecord;
use crate::domain::dataset::Dataset;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::{ADMIN_ROLE, RoleName};

/// All roles, users and datasets in one snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct Catalog {
    /// The number of changes of the catalog so far.
    pub version: i64,
    /// The roles, the built-in one among them.
    pub roles: BTreeSet<RoleName>,
    /// The users, by name.
    pub users: Vec<UserRecord>,
    /// The datasets, by id.
    pub datasets: Vec<Dataset>,
}

/// A change of the catalog, applied whole or not at all.
///
/// Removals come first, so that the name of a removed user is free for another. What is put may refer to
/// roles and users that the same change puts. Two users cannot swap names in one change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CatalogChange {
    /// Roles to have; those that exist stay as they are.
    pub roles_put: Vec<RoleName>,
    /// Users to add, or to replace whole by their id.
    pub users_put: Vec<UserRecord>,
    /// Datasets to add, or to replace whole by their id.
    pub datasets_put: Vec<Dataset>,
    /// Roles to remove, with their memberships and shares; never the built-in one.
    pub roles_removed: Vec<RoleName>,
    /// Users to remove, with their memberships and shares; their datasets lose their owner.
    pub users_removed: Vec<UserId>,
    /// Datasets to remove.
    pub datasets_removed: Vec<DatasetId>,
    /// Users to bind to a subject of their issuer, unless another subject is bound already.
    pub subjects_bound: Vec<(UserId, String)>,
    /// The audit records of the change.
    pub records: Vec<AuditRecord>,
}

/// The versions that caches depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheVersions {
    /// The number of changes of the catalog so far.
    pub catalog: i64,
    /// The number of times that sessions have ended early so far.
    pub sessions: i64,
    /// Drawn with each change of the catalog and of the sessions: a failover that loses a change may give its
    /// number to another one.
    pub epochs: (i64, i64),
}

/// How long reading the versions may take: a database that takes longer is unavailable.
const FOLLOW_TIMEOUT: Duration = Duration::from_secs(2);

const READ_VERSION: &str = "SELECT version FROM catalog_version";

impl Database {
    /// Reads the version of the catalog: cheap, and the same version means the same catalog.
    pub async fn catalog_version(&self) -> Result<i64, StorageError> {
        let operation = "read the catalog version";
        run(CALL_TIMEOUT, operation, "catalog_version", async {
            self.check_file().await?;
            let mut reader = self.reader().await?;
            on_either!(&mut reader, connection => {
                sqlx::query_scalar(READ_VERSION).fetch_one(&mut **connection).await
            })
        })
        .await
    }

    /// Reads all versions that caches depend on, as cheaply as the catalog version alone.
    pub async fn versions(&self) -> Result<CacheVersions, StorageError> {
        const SQL: &str = "SELECT catalog_version.version, session_version.version,
                catalog_version.epoch, session_version.epoch
            FROM catalog_version CROSS JOIN session_version";
        let operation = "read the catalog version";
        let (catalog, sessions, catalog_epoch, session_epoch) =
            run(FOLLOW_TIMEOUT, operation, "catalog_version", async {
                let mut follower = self.follower().await?;
                on_either!(&mut follower, connection => {
                    sqlx::query_as(SQL).fetch_one(&mut **connection).await
                })
            })
            .await?;
        Ok(CacheVersions {
            catalog,
            sessions,
            epochs: (catalog_epoch, session_epoch),
        })
    }

    /// Reads the whole catalog in one snapshot.
    pub async fn read_catalog(&self) -> Result<Catalog, StorageError> {
        let operation = "read the catalog";
        with_timeout(CATALOG_TIMEOUT, operation, async {
            let classify =
                |error: sqlx::Error| StorageError::classify(&error, operation, "catalog_version");
            let mut transaction = self.begin_reading().await.map_err(classify)?;
            let version = read_version(&mut transaction).await.map_err(classify)?;
            let catalog = Catalog {
                version,
                roles: read_roles(&mut transaction).await?,
                users: read_users(&mut transaction).await?,
                datasets: read_datasets(&mut transaction).await?,
            };
            transaction.commit().await.map_err(classify)?;
            Ok(catalog)
        })
        .await
    }

    /// Applies a change that was planned on the catalog at `expected_version`, in one transaction, and returns
    /// the new version.
    ///
    /// Fails with [`StorageError::Conflict`] if the catalog has changed since, and with
    /// [`StorageError::Inconsistent`] if the change refers to what does not exist or uses a name that is
    /// taken; either way nothing is written.
    pub async fn write_catalog(
        &self,
        change: &CatalogChange,
        expected_version: i64,
    ) -> Result<i64, StorageError> {
        let operation = "change the catalog";
        if change
            .roles_removed
            .iter()
            .any(|role| role.as_str() == ADMIN_ROLE)
        {
            return Err(StorageError::Inconsistent {
                operation: operation.into(),
                reason: format!("the role {ADMIN_ROLE} is built in and cannot be removed"),
            });
        }
        with_timeout(CATALOG_TIMEOUT, operation, async {
            let classify =
                |error: sqlx::Error| StorageError::classify(&error, operation, "catalog_version");
            let mut transaction = self.begin_catalog_change().await.map_err(classify)?;
            let Some(version) = advance_version(&mut transaction, expected_version)
                .await
                .map_err(classify)?
            else {
                let found = read_version(&mut transaction).await.map_err(classify)?;
                transaction.rollback().await.map_err(classify)?;
                return Err(StorageError::Conflict {
                    expected: expected_version,
                    found,
                });
            };
            write_change(&mut transaction, change)
                .await
                .map_err(classify)?;
            transaction.commit().await.map_err(classify)?;
            Ok(version)
        })
        .await
    }
}

async fn read_version(transaction: &mut Transaction) -> Result<i64, sqlx::Error> {
    on_either!(transaction, connection => {
        sqlx::query_scalar(READ_VERSION).fetch_one(&mut **connection).await
    })
}

/// Increments the version, which on PostgreSQL also makes other changes wait for the end of this one; `None`
/// if the version is not the expected one.
async fn advance_version(
    transaction: &mut Transaction,
    expected: i64,
) -> Result<Option<i64>, sqlx::Error> {
    const SQL: &str =
        "UPDATE catalog_version SET version = version + 1 WHERE version = $1 RETURNING version";
    on_either!(transaction, connection => {
        sqlx::query_scalar(SQL).bind(expected).fetch_optional(&mut **connection).await
    })
}

/// Increments the version, whatever it is: cached facts are out of date from now on, and on PostgreSQL other
/// changes wait for the end of this one.
pub(super) async fn bump_version(transaction: &mut Transaction) -> Result<(), sqlx::Error> {
    const SQL: &str = "UPDATE catalog_version SET version = version + 1";
    execute!(transaction, SQL).map(drop)
}

async fn read_roles(transaction: &mut Transaction) -> Result<BTreeSet<RoleName>, StorageError> {
    const SQL: &str = "SELECT name FROM roles";
    let names: Vec<String> = on_either!(transaction, connection => {
        sqlx::query_scalar(SQL).fetch_all(&mut **connection).await
    })
    .map_err(|error| StorageError::classify(&error, "read the catalog", "roles"))?;
    names.into_iter().map(parse_role).collect()
}

async fn write_change(
    transaction: &mut Transaction,
    change: &CatalogChange,
) -> Result<(), sqlx::Error> {
    const REMOVE_DATASET: &str = "DELETE FROM datasets WHERE id = $1";
    const REMOVE_USER: &str = "DELETE FROM users WHERE id = $1";
    const REMOVE_ROLE: &str = "DELETE FROM roles WHERE name = $1";
    const PUT_ROLE: &str = "INSERT INTO roles (name) VALUES ($1) ON CONFLICT DO NOTHING";
    for id in &change.datasets_removed {
        execute!(transaction, REMOVE_DATASET, id.0)?;
    }
    for id in &change.users_removed {
        execute!(transaction, REMOVE_USER, id.0)?;
    }
    for role in &change.roles_removed {
        execute!(transaction, REMOVE_ROLE, role.as_str())?;
    }
    for role in &change.roles_put {
        execute!(transaction, PUT_ROLE, role.as_str())?;
    }
    for record in &change.users_put {
        put_user(transaction, record).await?;
    }
    for (id, subject) in &change.subjects_bound {
        execute!(transaction, BIND_SUBJECT, subject.as_str(), id.0)?;
    }
    for dataset in &change.datasets_put {
        put_dataset(transaction, dataset).await?;
    }
    append(transaction, &change.records).await
}
