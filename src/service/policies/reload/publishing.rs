//! Publishing: brings a draft into force through the policy gate, and writes it to the policy folder.
//!
//! The draft is judged before anything is written. Then the folder is written wholly or not at all (`folder_writer`), and
//! the draft is in force when [`PolicyReloader::publish`] returns. No reload runs from then on, so nobody takes a part of
//! it for an edit.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::id::UserId;
use crate::policy::folder::PolicyFolder;
use crate::service::error::ServiceError;
use crate::service::long_work::LongWork;

use super::draft_proofs::DraftProofs;
use super::folder_files::FolderWriteError;
use super::folder_in_force::FolderInForce;
use super::folder_writer::{FolderRewrite, FolderWriter, WrittenFolder};
use super::origin::{CameIntoForce, EditOrigin};
use super::policy_thread::run_on_policy_thread;
use super::rejection::RejectedBundle;
use super::reloader::{PolicyReloader, ReloadResult};
use super::snapshot::FolderSnapshot;

/// A draft that is to be published.
#[derive(Clone, Debug)]
pub struct PublishedDraft {
    /// All its files, by name.
    pub files: BTreeMap<String, Arc<str>>,
    /// The folder revision that has to be in force.
    pub replaces: String,
    /// Who publishes it.
    pub user: UserId,
}

/// Why a draft was not published. Nothing was changed, unless `Folder` says that something could not be taken back.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// This server publishes nothing.
    #[error("{0}")]
    Off(&'static str),
    /// Something else is in force than the draft was made from.
    #[error("another edit is in force since")]
    Outdated {
        /// The folder revision in force.
        folder_revision: String,
        /// When it came into force, and how.
        came: CameIntoForce,
    },
    /// The folder has an edit that is not in force.
    #[error(
        "the policy folder differs from what is in force: somebody is editing it, or an edit in it was refused; \
         nothing was overwritten"
    )]
    FolderDiffers,
    /// The folder cannot be written.
    #[error(transparent)]
    Folder(FolderWriteError),
    /// Nobody waits for it any more.
    #[error("it was given up before anything was written")]
    GivenUp,
    /// Something else failed.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

impl From<FolderWriteError> for PublishError {
    fn from(error: FolderWriteError) -> Self {
        match error {
            FolderWriteError::Changed => Self::FolderDiffers,
            FolderWriteError::Unwritable { .. }
            | FolderWriteError::Journal { .. }
            | FolderWriteError::Busy
            | FolderWriteError::NotTaken
            | FolderWriteError::NotTakenBack { .. } => Self::Folder(error),
        }
    }
}

impl PolicyReloader {
    /// How drafts are proved.
    #[must_use]
    pub fn draft_proofs(&self) -> &DraftProofs {
        &self.draft_proofs
    }

    /// Why this server publishes no drafts, whoever asks; `None` if it does.
    #[must_use]
    pub fn publish_refusal(&self) -> Option<String> {
        self.writer().err().map(|error| error.to_string())
    }

    fn writer(&self) -> Result<&FolderWriter, PublishError> {
        let writer = self.publish_target.writer();
        let writer = writer.map_err(PublishError::Off)?;
        if self.live.is_closed() {
            return Err(PublishError::Off("no policies are in force yet"));
        }
        Ok(writer)
    }

    /// Checks what can be told before the draft is judged: that this server publishes drafts, that the folder revision
    /// is in force, and that the folder has it.
    /// Blocks.
    pub fn check_publishable(&self, replaces: &str) -> Result<(), PublishError> {
        self.writer()?;
        let in_force = self.require_in_force(replaces)?;
        if self.source.read().fingerprint == in_force.fingerprint {
            Ok(())
        } else {
            Err(PublishError::FolderDiffers)
        }
    }

    fn require_in_force(&self, replaces: &str) -> Result<Arc<FolderInForce>, PublishError> {
        let state = self.state.lock();
        if state.in_force.fingerprint == replaces {
            return Ok(Arc::clone(&state.in_force));
        }
        Err(PublishError::Outdated {
            folder_revision: state.in_force.fingerprint.clone(),
            came: state.came,
        })
    }

    /// Judges a draft, writes it and puts it in force; or returns why it is refused. `confirm` runs when it is judged and
    /// before anything is written: whether it is still to be. Once writing has begun, it is not given up any more.
    pub async fn publish(
        &self,
        draft: PublishedDraft,
        confirm: impl Future<Output = Result<(), ServiceError>> + Send,
        work: &LongWork,
    ) -> Result<ReloadResult, PublishError> {
        let writer = self.writer()?.clone();
        let in_force = self.require_in_force(&draft.replaces)?;
        // Messages name its files as those of the folder.
        let folder = PolicyFolder::from_files(&in_force.folder.label(), draft.files);
        if folder.fingerprint() == in_force.fingerprint {
            return Ok(Ok(self.report(false)));
        }
        work.begin("judging the draft");
        let snapshot = FolderSnapshot {
            fingerprint: folder.fingerprint(),
            folder: Ok(folder.clone()),
        };
        // Reloads go on meanwhile: an edit of the folder does not wait for somebody's draft.
        let checked = self.check(snapshot, Some(work.clone())).await?;
        if work.cancellation().is_cancelled() {
            return Err(PublishError::GivenUp);
        }
        let is_settled = checked.is_settled();
        let accepted = match checked.result {
            Ok(accepted) => accepted,
            Err(reason) => {
                return Ok(Err(Arc::new(RejectedBundle {
                    revision: checked.revision,
                    folder_revision: checked.folder_revision,
                    unix_millis: self.clock.unix_millis(),
                    reason,
                })));
            }
        };
        work.begin("waiting for the policy gate");
        let exclusive = self.reloads.exclusive();
        let exclusive = work.cancellation().run_until_cancelled(exclusive).await;
        let _exclusive = exclusive.ok_or(PublishError::GivenUp)?;
        // What it was judged beside is still in force.
        let in_force = self.require_in_force(&draft.replaces)?;
        self.settle_publish().await??;
        let newest = self.database.list_policy_revisions(None, 1).await;
        let newest = newest.map_err(ServiceError::from)?;
        let history = newest.first().map_or(0, |newest| newest.number);
        confirm.await?;
        work.begin("writing the policy folder");
        let user = draft.user;
        let written = run_on_policy_thread(move || {
            writer.write(&FolderRewrite {
                user,
                history,
                from: &in_force.folder,
                to: &folder,
            })
        });
        let written = written.await??;
        let origin = EditOrigin::Publish { user };
        let activated = self.activate(accepted, is_settled, origin).await;
        let end = match activated {
            Ok(_) => WrittenFolder::keep,
            Err(_) => WrittenFolder::take_back,
        };
        if let Err(error) = run_on_policy_thread(move || end(written)).await? {
            // The journal stays, and leads nowhere if the draft is in force: the next reload ends it.
            tracing::error!(%error, "the journal of a publish could not be ended; trying again");
        }
        Ok(Ok(self.report(activated?)))
    }
}
