//! The last check of the policy gate: whether the catalog fits the schema of an edit.

use crate::storage::{Database, StorageError};

use super::catalog_fit::CatalogFit;
use super::gate::CheckedFolder;
use super::rejection::RejectionReason;

/// Refuses a folder that passed the other checks if the catalog does not fit its schema.
///
/// What is in force was checked before: an edit that declares the same attributes needs no look at the catalog, but at
/// the start, when a backup of the catalog may have been restored. That refuses nothing, since the policies before
/// declare the same.
pub(super) async fn check_catalog(
    database: &Database,
    mut checked: CheckedFolder,
    is_start: bool,
) -> Result<CheckedFolder, StorageError> {
    let Ok(accepted) = &mut checked.result else {
        return Ok(checked);
    };
    let edited = &accepted.edited;
    if edited.is_unchanged() && (!is_start || edited.is_empty()) {
        return Ok(checked);
    }
    let fit = CatalogFit::scan(database, edited.clone()).await?;
    if fit.is_fit() || edited.is_unchanged() {
        accepted.notes = fit.misfits();
        accepted.notes.extend(fit.undeclared_lines());
    } else {
        checked.result = Err(RejectionReason::CatalogMisfit(Box::new(fit)));
    }
    Ok(checked)
}
