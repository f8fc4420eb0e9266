//! A large change of the catalog by one process at a time: leased, staged, committed by one row, settled.
//!
//! Nothing that is staged counts before the commit, and everything after it, so that no reader sees half of a
//! change, although each transaction is small. Whoever finds a dead lease takes it over: what is not committed
//! is discarded, what is committed is settled.

use uuid::Uuid;

use super::admins::{SignInConditions, are_admins_gone, read_admins_to_keep};
use super::catalog::{CatalogChange, Directory, read_directory_within, write_change};
use super::catalog_changes::name_changed_datasets;
use super::catalog_lock::bump_version;
use super::database::{
    CALL_TIMEOUT, CATALOG_TIMEOUT, Database, Transaction, on_either, run, with_timeout,
};
use super::error::StorageError;
use super::rows::from_columns;
use super::statements::{execute, select};

/// The right to stage and commit, of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApplyLease(Uuid);

/// Whether a process applies a change now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApplyState {
    /// The holder.
    lease: Option<Uuid>,
    /// Grows for as long as the holder lives.
    beat: i64,
    is_committed: bool,
}

from_columns!(ApplyState {
    lease,
    beat,
    is_committed
});

impl ApplyState {
    /// Whether a process holds the lease.
    pub fn is_leased(&self) -> bool {
        self.lease.is_some()
    }

    /// Whether a committed change is still staged.
    pub fn is_committed(&self) -> bool {
        self.is_committed
    }
}

/// The result of committing a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// It is in force; the version of the catalog now.
    Committed(i64),
    /// Another process has taken the lease over.
    LeaseLost,
    /// It must be staged again.
    Outdated,
    /// No admin who can sign in would remain.
    NoAdminLeft,
}

/// What has to hold of the catalog that a change is committed to, in the same transaction.
pub struct CommitConditions<'a> {
    /// What it depends on whether an admin can sign in: one has to remain.
    pub sign_in: &'a SignInConditions,
    /// Whether the change may be made to a catalog with so many datasets; none if their number does not matter.
    pub allows_dataset_count: Option<&'a (dyn Fn(usize) -> bool + Sync)>,
}

impl<'a> CommitConditions<'a> {
    /// Any number of datasets.
    #[must_use]
    pub fn new(sign_in: &'a SignInConditions) -> Self {
        Self {
            sign_in,
            allows_dataset_count: None,
        }
    }
}

impl Database {
    /// Whether a process applies a change now.
    pub async fn apply_state(&self) -> Result<ApplyState, StorageError> {
        const SQL: &str = "SELECT lease, beat, is_committed FROM catalog_apply";
        let operation = "read the state of the catalog's apply";
        select!(self, operation, "catalog_apply", fetch_one(SQL)).await
    }

    /// Takes the lease, whoever holds it, if the state is still as it was `seen`.
    pub async fn lease_apply(&self, seen: ApplyState) -> Result<Option<ApplyLease>, StorageError> {
        const SQL: &str = "UPDATE catalog_apply SET lease = $1, beat = beat + 1 WHERE beat = $2";
        let lease = Uuid::new_v4();
        run(CALL_TIMEOUT, "begin to apply", "catalog_apply", async {
            let mut transaction = self.begin_writing().await?;
            let leased = execute!(&mut transaction, SQL, lease, seen.beat)?;
            transaction.commit().await?;
            Ok((leased > 0).then_some(ApplyLease(lease)))
        })
        .await
    }

    /// Shows that the holder lives; false if it holds the lease no more.
    pub async fn keep_apply_lease(&self, lease: ApplyLease) -> Result<bool, StorageError> {
        run(CALL_TIMEOUT, "keep applying", "catalog_apply", async {
            let mut transaction = self.begin_writing().await?;
            let is_held = beat(&mut transaction, lease).await?;
            transaction.commit().await?;
            Ok(is_held)
        })
        .await
    }

    /// Gives the lease back; nothing may be staged any more.
    pub async fn release_apply_lease(&self, lease: ApplyLease) -> Result<(), StorageError> {
        const SQL: &str = "UPDATE catalog_apply SET lease = NULL, beat = beat + 1
            WHERE lease = $1 AND NOT is_committed";
        run(CALL_TIMEOUT, "end applying", "catalog_apply", async {
            let mut transaction = self.begin_writing().await?;
            execute!(&mut transaction, SQL, lease.0)?;
            transaction.commit().await
        })
        .await
    }

    /// Commits what is staged together with `change`, which was planned on the catalog at `planned_on`, in one
    /// transaction.
    ///
    /// If the catalog has changed since, `replan` makes the change of users and roles anew, from what is read
    /// within the transaction, so that others who change the catalog again and again do not keep it from being
    /// committed. If `replan` gives none, or the conditions on the datasets do not hold, nothing is written.
    pub async fn commit_apply(
        &self,
        lease: ApplyLease,
        planned_on: i64,
        change: &CatalogChange,
        conditions: &CommitConditions<'_>,
        replan: impl FnOnce(&Directory) -> Option<CatalogChange> + Send,
    ) -> Result<CommitOutcome, StorageError> {
        const COMMIT: &str = "UPDATE catalog_apply SET beat = beat + 1,
                is_committed = EXISTS (SELECT 1 FROM staged_datasets)
            WHERE lease = $1 AND NOT is_committed";
        let operation = "apply the change";
        with_timeout(CATALOG_TIMEOUT, operation, async {
            let classify =
                |error: sqlx::Error| StorageError::classify(&error, operation, "catalog_version");
            let mut transaction = self.begin_catalog_change().await.map_err(classify)?;
            bump_version(&mut transaction).await.map_err(classify)?;
            let admins = read_admins_to_keep(&mut transaction, conditions.sign_in).await;
            let admins = admins.map_err(classify)?;
            if execute!(&mut transaction, COMMIT, lease.0).map_err(classify)? == 0 {
                transaction.rollback().await.map_err(classify)?;
                return Ok(CommitOutcome::LeaseLost);
            }
            if let Some(is_allowed) = conditions.allows_dataset_count
                && !is_allowed(count_datasets(&mut transaction).await.map_err(classify)?)
            {
                transaction.rollback().await.map_err(classify)?;
                return Ok(CommitOutcome::Outdated);
            }
            let version = read_own_version(&mut transaction).await.map_err(classify)?;
            let replanned;
            let change = if version == planned_on + 1 {
                change
            } else {
                let mut directory = read_directory_within(&mut transaction).await?;
                directory.admins = admins.clone();
                match replan(&directory) {
                    None => {
                        transaction.rollback().await.map_err(classify)?;
                        return Ok(CommitOutcome::Outdated);
                    }
                    Some(change) => replanned = change,
                }
                &replanned
            };
            write_change(&mut transaction, change)
                .await
                .map_err(classify)?;
            let named = name_unless_staged(&mut transaction, change).await;
            named.map_err(classify)?;
            let are_gone = are_admins_gone(&mut transaction, &admins, conditions.sign_in).await;
            if are_gone.map_err(classify)? {
                transaction.rollback().await.map_err(classify)?;
                return Ok(CommitOutcome::NoAdminLeft);
            }
            transaction.commit().await.map_err(classify)?;
            Ok(CommitOutcome::Committed(version))
        })
        .await
    }
}

/// Shows within a transaction that the holder lives, and keeps others from taking over until its end; false if
/// it holds the lease no more.
pub(super) async fn beat(
    transaction: &mut Transaction,
    lease: ApplyLease,
) -> Result<bool, sqlx::Error> {
    const SQL: &str =
        "UPDATE catalog_apply SET beat = beat + 1 WHERE lease = $1 AND NOT is_committed";
    Ok(execute!(transaction, SQL, lease.0)? > 0)
}

/// Says which datasets a change may have changed, unless staged ones are committed with it.
async fn name_unless_staged(
    transaction: &mut Transaction,
    change: &CatalogChange,
) -> Result<(), sqlx::Error> {
    const SQL: &str = "SELECT is_committed FROM catalog_apply";
    let Some(datasets) = change.changed_datasets() else {
        return Ok(());
    };
    let is_staged: bool = on_either!(&mut *transaction, connection => {
        sqlx::query_scalar(SQL).fetch_one(&mut **connection).await?
    });
    if is_staged {
        return Ok(());
    }
    name_changed_datasets(transaction, &datasets).await
}

async fn read_own_version(transaction: &mut Transaction) -> Result<i64, sqlx::Error> {
    on_either!(transaction, connection => {
        sqlx::query_scalar("SELECT version FROM catalog_version").fetch_one(&mut **connection).await
    })
}

/// How many datasets there are, while none of those that are staged is committed.
async fn count_datasets(transaction: &mut Transaction) -> Result<usize, sqlx::Error> {
    const SQL: &str = "SELECT (SELECT count(*) FROM datasets)
        - (SELECT count(*) FROM datasets WHERE is_absent)";
    let count: i64 = on_either!(transaction, connection => {
        sqlx::query_scalar(SQL).fetch_one(&mut **connection).await?
    });
    Ok(usize::try_from(count).unwrap_or_default())
}
