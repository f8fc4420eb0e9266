//! A second look: whether the policy folder has changed since it was checked, or something outside of it, so that a refused
//! edit may pass.

use crate::service::error::ServiceError;
use crate::storage::Database;

use super::rejection::{RejectedBundle, RejectionReason};
use super::snapshot::{FolderSnapshot, PolicySource};
use super::state::KnownFolders;

/// What a reload finds in the folder.
pub(super) enum FolderChange {
    /// What was checked last.
    None,
    /// What is in force, and was proved.
    Restored,
    /// Something to check.
    Edited(Box<FolderSnapshot>),
}

impl KnownFolders {
    fn is_checked(&self, snapshot: &FolderSnapshot) -> bool {
        self.checked.as_ref() == Some(&snapshot.fingerprint)
    }

    /// What a snapshot is beside what is known.
    pub(super) fn change_to(&self, snapshot: FolderSnapshot) -> FolderChange {
        if self.is_checked(&snapshot) {
            FolderChange::None
        } else if self.proved.as_ref() == Some(&snapshot.fingerprint) {
            FolderChange::Restored
        } else {
            FolderChange::Edited(Box::new(snapshot))
        }
    }
}

/// Takes a snapshot of the folder, unless its check would have the result that is known. Blocks.
pub(super) fn find_folder_change(
    source: &PolicySource,
    folders: &KnownFolders,
) -> Result<FolderChange, ServiceError> {
    let first = source.read();
    if folders.is_checked(&first) {
        return Ok(FolderChange::None);
    }
    let stable = source.read_until_stable(first).ok_or_else(|| {
        let source = "the folder is still being modified";
        ServiceError::unavailable("the policy folder", source)
    })?;
    Ok(folders.change_to(stable))
}

/// Whether an operator has accepted the edit that was refused for want of that, or the catalog has changed so that it
/// fits the edit that was refused because of it.
pub(super) async fn may_pass_now(
    database: &Database,
    rejected: Option<&RejectedBundle>,
    is_forced: bool,
) -> Result<bool, ServiceError> {
    let may_pass = match rejected.map(|rejected| &rejected.reason) {
        Some(RejectionReason::NotAccepted { edit, .. }) => {
            let accepted = database.list_accepted_policy_edits().await;
            accepted.map(|accepted| accepted.contains(edit))
        }
        Some(RejectionReason::CatalogMisfit(fit)) => fit.is_fit_now(database).await,
        Some(_) | None => return Ok(false),
    };
    match may_pass {
        Ok(may_pass) => Ok(may_pass),
        // The watcher asks again soon.
        Err(_) if !is_forced => Ok(false),
        Err(error) => Err(error.into()),
    }
}
