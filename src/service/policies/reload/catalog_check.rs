//! The last check of the policy gate: whether the catalog fits the schema of an edit.

use crate::storage::{Database, StorageError};

use super::catalog_fit::CatalogFit;
use super::gate::{CheckedFolder, FolderInForce};
use super::rejection::RejectionReason;

/// Refuses a folder that passed the other checks if the catalog does not fit its schema.
///
/// What is in force was checked before: an edit that declares the same attributes needs no look at the catalog.
pub(super) async fn check_catalog(
    database: &Database,
    in_force: Option<&FolderInForce>,
    mut checked: CheckedFolder,
) -> Result<CheckedFolder, StorageError> {
    let Ok(accepted) = &mut checked.result else {
        return Ok(checked);
    };
    let declared = accepted.bundle.declared_attributes();
    if in_force.is_some_and(|before| before.declared.as_ref() == Some(declared)) {
        return Ok(checked);
    }
    let fit = CatalogFit::scan(database, declared).await?;
    if fit.is_fit() {
        accepted.notes = fit.undeclared_lines();
    } else {
        checked.result = Err(RejectionReason::CatalogMisfit(Box::new(fit)));
    }
    Ok(checked)
}
