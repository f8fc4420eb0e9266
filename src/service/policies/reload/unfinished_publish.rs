//! Publishes that were interrupted: ended before anybody reads the folder.

use crate::domain::policy_revision::RevisionOrigin;
use crate::service::error::ServiceError;
use crate::storage::{Database, MAX_KEPT_REVISIONS, StorageError};

use super::folder_files::FolderWriteError;
use super::policy_thread::run_on_policy_thread;
use super::publish_journal::PublishJournal;
use super::reloader::PolicyReloader;

/// Whether what a journal is about came into force, and is on record.
pub(super) async fn is_on_record(
    database: &Database,
    journal: &PublishJournal,
) -> Result<bool, StorageError> {
    let limit = u32::try_from(MAX_KEPT_REVISIONS).unwrap_or(u32::MAX);
    let revisions = database.list_policy_revisions(None, limit).await?;
    Ok(revisions.iter().any(|revision| {
        revision.number > journal.history
            && revision.folder_revision == journal.to
            && revision.origin == RevisionOrigin::Publish
            && revision.user == Some(journal.user)
    }))
}

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
        let is_on_record = is_on_record(&self.database, unfinished.journal()).await?;
        let in_force = self.folder_in_force();
        let settle = move || unfinished.settle(is_on_record, Some(&in_force.fingerprint));
        run_on_policy_thread(settle).await
    }
}
