//! The catalog as a whole: reads, changes and its version.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::admins::{Admins, SignInConditions, read_admins_to_keep};
use super::audit::append;
use super::catalog_changes::name_changed_datasets;
use super::database::{
    CALL_TIMEOUT, CATALOG_TIMEOUT, Database, Transaction, on_either, run, with_timeout,
};
use super::datasets::put_dataset;
use super::error::StorageError;
use super::removals::{put_role, remove_role, remove_user};
use super::statements::execute;
use super::users::{BIND_SUBJECT, UserRecord, parse_role, put_users, read_users};
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
    /// Users that become the operator's own, whoever created them.
    pub users_adopted: Vec<UserId>,
    /// Whether the operator makes the change, with a catalog file or at the command line.
    pub is_by_operator: bool,
    /// Users to bind to a subject of their issuer, unless another subject is bound already.
    pub subjects_bound: Vec<(UserId, String)>,
    /// The audit records of the change.
    pub records: Vec<AuditRecord>,
}

impl CatalogChange {
    /// The datasets that the change may change, unless it changes others through roles and users.
    pub(super) fn changed_datasets(&self) -> Option<BTreeSet<DatasetId>> {
        // A new role may be one that a staged dataset names.
        let may_change_others = !self.roles_put.is_empty()
            || !self.roles_removed.is_empty()
            || !self.users_removed.is_empty();
        let put = self.datasets_put.iter().map(|dataset| dataset.id);
        let changed = put.chain(self.datasets_removed.iter().copied());
        (!may_change_others).then(|| changed.collect())
    }
}

/// All roles and users in one snapshot, and who made them.
#[derive(Clone, Debug, PartialEq)]
pub struct Directory {
    /// The number of changes of the catalog so far.
    pub version: i64,
    /// The roles, the built-in one among them.
    pub roles: BTreeSet<RoleName>,
    /// The users, by name.
    pub users: Vec<UserRecord>,
    /// The users that the operator made, and that nobody else has given another name or password since.
    pub operator_users: BTreeSet<UserId>,
    /// The admins of whom one has to remain; empty unless it was asked for them.
    pub admins: Admins,
}

/// How many datasets one page of the whole catalog has.
const CATALOG_PAGE_SIZE: u32 = 1000;

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

    /// Reads the whole catalog: roles and users in one snapshot, then the datasets a page at a time.
    ///
    /// A dataset that is changed meanwhile is read as it was or as it is: one snapshot of a large catalog
    /// would keep the write-ahead log from being truncated for as long as it is read.
    pub async fn read_catalog(&self) -> Result<Catalog, StorageError> {
        let directory = self.read_directory().await?;
        let mut datasets = Vec::new();
        loop {
            let after = datasets.last().map(|last: &Dataset| last.id);
            let page = self.list_datasets(after, CATALOG_PAGE_SIZE).await?;
            let is_last = page.len() < CATALOG_PAGE_SIZE as usize;
            datasets.extend(page);
            if is_last {
                break;
            }
        }
        Ok(Catalog {
            version: directory.version,
            roles: directory.roles,
            users: directory.users,
            datasets,
        })
    }

    /// Reads all roles and users in one snapshot.
    pub async fn read_directory(&self) -> Result<Directory, StorageError> {
        self.read_directory_if(None).await
    }

    /// Reads all roles and users in one snapshot, and the admins of whom one has to remain.
    pub async fn read_directory_with_admins(
        &self,
        conditions: &SignInConditions,
    ) -> Result<Directory, StorageError> {
        self.read_directory_if(Some(conditions)).await
    }

    async fn read_directory_if(
        &self,
        conditions: Option<&SignInConditions>,
    ) -> Result<Directory, StorageError> {
        let operation = "read the catalog";
        with_timeout(CATALOG_TIMEOUT, operation, async {
            let classify =
                |error: sqlx::Error| StorageError::classify(&error, operation, "catalog_version");
            let mut transaction = self.begin_reading().await.map_err(classify)?;
            let mut directory = read_directory_within(&mut transaction).await?;
            if let Some(conditions) = conditions {
                let admins = read_admins_to_keep(&mut transaction, conditions).await;
                directory.admins = admins.map_err(classify)?;
            }
            transaction.commit().await.map_err(classify)?;
            Ok(directory)
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
        let version = with_timeout(CATALOG_TIMEOUT, operation, async {
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
            if let Some(datasets) = change.changed_datasets() {
                let named = name_changed_datasets(&mut transaction, &datasets).await;
                named.map_err(classify)?;
            }
            transaction.commit().await.map_err(classify)?;
            Ok(version)
        })
        .await?;
        if !change.users_removed.is_empty() || !change.roles_removed.is_empty() {
            self.sweep_removed_briefly().await;
        }
        Ok(version)
    }
}

/// Reads all roles and users within a transaction.
pub(super) async fn read_directory_within(
    transaction: &mut Transaction,
) -> Result<Directory, StorageError> {
    const OPERATOR_USERS: &str = "SELECT id FROM users WHERE is_from_operator AND NOT is_removed";
    let operation = "read the catalog";
    let version = read_version(transaction)
        .await
        .map_err(|error| StorageError::classify(&error, operation, "catalog_version"))?;
    let operator_users: Vec<Uuid> = on_either!(&mut *transaction, connection => {
        sqlx::query_scalar(OPERATOR_USERS).fetch_all(&mut **connection).await
    })
    .map_err(|error| StorageError::classify(&error, operation, "users"))?;
    Ok(Directory {
        version,
        roles: read_roles(transaction).await?,
        users: read_users(transaction).await?,
        operator_users: operator_users.into_iter().map(UserId).collect(),
        admins: Admins::default(),
    })
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

async fn read_roles(transaction: &mut Transaction) -> Result<BTreeSet<RoleName>, StorageError> {
    const SQL: &str = "SELECT name FROM roles WHERE NOT is_removed";
    let names: Vec<String> = on_either!(transaction, connection => {
        sqlx::query_scalar(SQL).fetch_all(&mut **connection).await
    })
    .map_err(|error| StorageError::classify(&error, "read the catalog", "roles"))?;
    names.into_iter().map(parse_role).collect()
}

/// Writes a change within a transaction that has incremented the version.
pub(super) async fn write_change(
    transaction: &mut Transaction,
    change: &CatalogChange,
) -> Result<(), sqlx::Error> {
    const REMOVE_DATASET: &str = "DELETE FROM datasets WHERE id = $1";
    const ADOPT_USER: &str = "UPDATE users SET is_from_operator = TRUE WHERE id = $1";
    for id in &change.datasets_removed {
        execute!(transaction, REMOVE_DATASET, id.0)?;
    }
    for id in &change.users_removed {
        remove_user(transaction, *id).await?;
    }
    for role in &change.roles_removed {
        remove_role(transaction, role).await?;
    }
    for role in &change.roles_put {
        put_role(transaction, role).await?;
    }
    put_users(transaction, &change.users_put, change.is_by_operator).await?;
    for id in &change.users_adopted {
        execute!(transaction, ADOPT_USER, id.0)?;
    }
    for (id, subject) in &change.subjects_bound {
        execute!(transaction, BIND_SUBJECT, subject.as_str(), id.0)?;
    }
    for dataset in &change.datasets_put {
        put_dataset(transaction, dataset, change.is_by_operator).await?;
    }
    append(transaction, &change.records).await
}
