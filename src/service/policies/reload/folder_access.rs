//! The folder in force and the one on disk, for those who compare edits with them.

use std::sync::Arc;

use crate::domain::diagnostic::SourceDiagnostic;
use crate::policy::BundleError;
use crate::policy::folder::PolicyFolder;

use super::acceptance::EditReview;
use super::folder_in_force::FolderInForce;
use super::origin::CameIntoForce;
use super::reloader::PolicyReloader;

impl PolicyReloader {
    /// What can never match in the policies in force, and what they name that the catalog does not have; of the
    /// catalog it tells no more.
    pub async fn warnings(&self) -> Vec<SourceDiagnostic> {
        let warnings = Arc::clone(&self.state.lock().warnings);
        warnings.list(&self.database, false).await
    }

    /// The folder in force.
    #[must_use]
    pub fn folder_in_force(&self) -> Arc<FolderInForce> {
        Arc::clone(&self.state.lock().in_force)
    }

    /// When the folder in force came into force, and how, as far as this process knows.
    #[must_use]
    pub fn came_into_force(&self) -> CameIntoForce {
        self.state.lock().came
    }

    /// What an edit changes about the invariants and cases in force, as the policy gate sees it. Blocks.
    #[must_use]
    pub fn review_edit(&self, edit: PolicyFolder) -> EditReview {
        EditReview::by_gate(self.gate, &self.folder_in_force(), edit)
    }

    /// Reads the policy folder as it is now, which may be in the middle of an edit. Blocks.
    pub fn read_folder(&self) -> Result<PolicyFolder, BundleError> {
        self.source.read().folder
    }
}
