//! The folder in force: a policy folder with what an edit of it is compared with.

use crate::domain::decision::Revision;
use crate::policy::folder::PolicyFolder;
use crate::policy::safeguards::{SafeguardChanges, Safeguards};
use crate::storage::PolicyEdit;

/// A policy folder with what an edit of it is compared with.
pub struct FolderInForce {
    /// Its files.
    pub folder: PolicyFolder,
    /// The revision of its bundle.
    pub revision: Revision,
    /// Its folder revision.
    pub fingerprint: String,
    pub(super) safeguards: Safeguards,
}

impl FolderInForce {
    pub(super) fn new(folder: PolicyFolder) -> Self {
        Self {
            revision: folder.revision(),
            fingerprint: folder.fingerprint(),
            safeguards: folder.safeguards(),
            folder,
        }
    }

    /// What an edit changes about its invariants and cases.
    pub(super) fn changes_to(&self, edit: &Self) -> SafeguardChanges {
        self.safeguards.changes_to(&edit.safeguards)
    }

    /// The edit from this folder to another one.
    pub(super) fn edit_to(&self, edit: &Self) -> PolicyEdit {
        PolicyEdit {
            from: self.fingerprint.clone(),
            to: edit.fingerprint.clone(),
        }
    }
}
