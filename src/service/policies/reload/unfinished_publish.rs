//! Publishes that were interrupted: ended before anybody reads the folder.

use crate::service::error::ServiceError;

use super::folder_files::FolderWriteError;
use super::policy_thread::run_on_policy_thread;
use super::reloader::PolicyReloader;

impl PolicyReloader {
    /// Ends a publish that was interrupted, or could not be taken back; an error if the folder may still have a part of it.
    pub(super) async fn settle_publish(
        &self,
    ) -> Result<Result<(), FolderWriteError>, ServiceError> {
        let Some(writer) = self.publish_target.folder_writer().cloned() else {
            return Ok(Ok(()));
        };
        let unfinished = run_on_policy_thread(move || writer.find_unfinished()).await?;
        let unfinished = match unfinished {
            Ok(Some(unfinished)) => unfinished,
            Ok(None) => return Ok(Ok(())),
            Err(error) => return Ok(Err(error)),
        };
        let is_on_record = unfinished.journal().is_on_record(&self.database).await?;
        let in_force = self.folder_in_force();
        let settle = move || unfinished.settle(is_on_record, Some(&in_force.fingerprint));
        run_on_policy_thread(settle).await
    }
}
