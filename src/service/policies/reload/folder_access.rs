//! The folder in force and the one on disk, for those who compare edits with them.

use std::sync::Arc;

use crate::policy::BundleError;
use crate::policy::folder::PolicyFolder;
use crate::service::error::ServiceError;

use super::gate::FolderInForce;
use super::policy_thread::run_on_policy_thread;
use super::reloader::PolicyReloader;

impl PolicyReloader {
    /// The folder in force.
    #[must_use]
    pub fn folder_in_force(&self) -> Arc<FolderInForce> {
        Arc::clone(&self.state.lock().in_force)
    }

    /// Reads the policy folder as it is now, which may be in the middle of an edit.
    pub async fn read_folder(&self) -> Result<Result<PolicyFolder, BundleError>, ServiceError> {
        let source = self.source.clone();
        run_on_policy_thread(move || source.load()).await
    }
}
