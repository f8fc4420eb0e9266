//! Applying a catalog file: the catalog becomes what the file says, or nothing changes.
//!
//! In order: read the file, check everything, store the files of datasets and hash passwords, take the lease,
//! plan the change, refuse it if it removes too much ([`mod@removals`]), stage it, commit it with its audit
//! record, settle what was staged. Applying a file twice changes nothing the second time.
//!
//! Files are stored before the transaction. If that fails, they stay in the file store under their
//! digest, where no dataset names them, and another attempt finds them there. A large change of datasets is
//! staged in small transactions and committed by one row, so that a server goes on writing meanwhile. Changes
//! that others make to datasets before the commit are overwritten, and those after it stay, as if they had been
//! made before and after; users and roles are planned again on what they are at the commit.

mod adoption;
mod attribute_checks;
mod check;
mod current;
mod dataset_fields;
mod dataset_plan;
pub mod demo;
mod diagnostic;
mod error;
mod file;
mod given_attributes;
mod named_share_ends;
mod on_existing;
mod options;
mod plan;
mod prepared;
mod redact;
mod removals;
mod report;
pub mod stac;
mod staging;
mod summary;
pub mod sweeper;
mod table_reader;
mod update;
mod user_plan;

pub use diagnostic::CatalogDiagnostics;
pub use error::ApplyError;
pub use file::{CatalogFile, CatalogFileError};
pub use options::{ApplyOptions, ApplyProgress, ApplyStep};
pub use removals::{RemovalCount, RemovalKind, RemovalLimits, RemovalRefusal};
pub use report::{ApplyReport, ItemKind, ItemOutcome, ItemReport};

use self::check::{check_files, check_new_names, check_references};
use self::current::CurrentUsers;
use self::plan::ApplyPlan;
use self::prepared::PreparedValues;
use self::update::updates_datasets;
use super::identity::password::Passwords;
use crate::files::FileStore;
use crate::storage::{ApplyLease, CommitConditions, CommitOutcome, Database};

/// How often a plan is attempted while others keep changing what the file names.
const MAX_ATTEMPTS: usize = 5;

/// Makes the catalog what `file` says, and reports what changed.
///
/// If the future is dropped before the change is committed, nothing has changed, and what is staged is
/// discarded by the next run.
pub async fn apply(
    database: &Database,
    store: &FileStore,
    passwords: &Passwords,
    file: &CatalogFile,
    options: &ApplyOptions<'_>,
) -> Result<ApplyReport, ApplyError> {
    let directory = database.read_directory().await?;
    let current = CurrentUsers::new(&directory);
    let mut prepared = PreparedValues::default();
    let mut diagnostics = references(file, &current, options, &mut prepared);
    diagnostics.extend(check_files(store, file).await);
    if let Some(invalid) = file.diagnostics_with(diagnostics) {
        return Err(invalid.into());
    }
    prepared.store_files(store, file, options).await?;
    prepared
        .prepare_users(passwords, file, &current, options)
        .await?;
    if options.is_dry_run {
        return preview(database, passwords, file, options, prepared).await;
    }
    let lease = staging::acquire(database, options).await?;
    let applied = apply_with(database, passwords, file, options, lease, prepared).await;
    if applied.is_err() {
        staging::abandon(database, lease, options).await;
    }
    applied
}

/// Plans the change and writes nothing: what others change meanwhile may change the plan.
async fn preview(
    database: &Database,
    passwords: &Passwords,
    file: &CatalogFile,
    options: &ApplyOptions<'_>,
    mut prepared: PreparedValues,
) -> Result<ApplyReport, ApplyError> {
    let datasets = staging::read_datasets(database, None, options).await?;
    let conditions = options.sign_in_conditions();
    let directory = database.read_directory_with_admins(&conditions).await?;
    let current = CurrentUsers::new(&directory);
    if let Some(invalid) = file.located(references(file, &current, options, &mut prepared)) {
        return Err(invalid.into());
    }
    prepared
        .prepare_users(passwords, file, &current, options)
        .await?;
    let plan = ApplyPlan::new(file, &directory, &datasets, &prepared, options)?;
    Ok(ApplyReport {
        refused: plan.refusal(None),
        ..plan.report(None, directory.version)
    })
}

async fn apply_with(
    database: &Database,
    passwords: &Passwords,
    file: &CatalogFile,
    options: &ApplyOptions<'_>,
    lease: ApplyLease,
    mut prepared: PreparedValues,
) -> Result<ApplyReport, ApplyError> {
    let conditions = options.sign_in_conditions();
    for _ in 0..MAX_ATTEMPTS {
        // What is kept of a dataset must be what it is at the commit: no change since may be lost.
        let kept_version = if updates_datasets(file) {
            Some(database.read_directory().await?.version)
        } else {
            None
        };
        let datasets = staging::read_datasets(database, Some(lease), options).await?;
        let directory = database.read_directory_with_admins(&conditions).await?;
        let current = CurrentUsers::new(&directory);
        if let Some(invalid) = file.located(references(file, &current, options, &mut prepared)) {
            return Err(invalid.into());
        }
        prepared
            .prepare_users(passwords, file, &current, options)
            .await?;
        let plan = ApplyPlan::new(file, &directory, &datasets, &prepared, options)?;
        if let Some(refusal) = plan.refusal(None) {
            return Err(refusal.into());
        }
        if plan.is_empty() {
            database.release_apply_lease(lease).await?;
            return Ok(plan.report(None, directory.version));
        }
        staging::stage(database, lease, plan.staged(), options).await?;
        if !plan.staged().is_empty() {
            // Without it settling is only slower.
            database.analyze_staged_datasets().await.ok();
        }
        let mut newer = None;
        let replan = |directory: &_| {
            if kept_version.is_some() {
                return None;
            }
            newer = plan.for_newer(directory, &prepared);
            newer.as_ref().map(|newer| plan.change(Some(newer)))
        };
        let change = plan.change(None);
        // Decided once more on the very catalog that is changed.
        let allows_dataset_count = |count| plan.refusal(Some(count)).is_none();
        let commit_conditions = CommitConditions {
            sign_in: &conditions,
            allows_dataset_count: plan.removes_datasets().then_some(&allows_dataset_count),
        };
        match database
            .commit_apply(
                lease,
                kept_version.unwrap_or(directory.version),
                &change,
                &commit_conditions,
                replan,
            )
            .await?
        {
            CommitOutcome::Committed(version) => {
                // It is in force: what cannot be settled now, a server or the next apply settles.
                if staging::settle(database, options, plan.staged().len())
                    .await
                    .is_ok()
                {
                    database.release_apply_lease(lease).await.ok();
                }
                return Ok(plan.report(newer.as_ref(), version));
            }
            CommitOutcome::Outdated => staging::discard(database, lease, options, None).await?,
            CommitOutcome::LeaseLost => return Err(ApplyError::LeaseLost),
            CommitOutcome::NoAdminLeft => return Err(ApplyError::NoAdminLeft),
        }
    }
    Err(ApplyError::TooManyConcurrentChanges)
}

fn references(
    file: &CatalogFile,
    current: &CurrentUsers<'_>,
    options: &ApplyOptions<'_>,
    prepared: &mut PreparedValues,
) -> Vec<diagnostic::CatalogDiagnostic> {
    let mut diagnostics = check_references(file, &current.names_known_to(file, options.is_pruning));
    diagnostics.extend(check_new_names(file, |name| current.own.contains_key(name)));
    let attributes = prepared.check_attributes(file, current, options);
    diagnostics.extend(attributes.err().into_iter().flatten());
    diagnostics
}

#[cfg(test)]
mod tests;
