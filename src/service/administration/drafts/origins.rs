//! What a new draft starts from.

use std::str::FromStr;
use std::sync::Arc;

use crate::service::administration::Administration;
use crate::service::error::ServiceError;
use crate::service::fair_turns::Turn;
use crate::service::policies::drafts::{Draft, DraftBase};
use crate::service::policies::patch::FileTexts;

use super::opening::run_during;

/// The name of the folder in force.
pub const IN_FORCE: &str = "in_force";
/// The name of the policy folder on disk.
pub const ON_DISK: &str = "folder";

/// The folder whose files a new draft has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DraftOrigin {
    /// The folder in force.
    InForce,
    /// The policy folder as it is on disk.
    OnDisk,
    /// The folder with a folder revision, which was in force at some time.
    Revision(String),
}

impl FromStr for DraftOrigin {
    type Err = ServiceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        match text {
            IN_FORCE => Ok(Self::InForce),
            ON_DISK => Ok(Self::OnDisk),
            _ if text.len() == 64 && text.bytes().all(is_hex) => {
                Ok(Self::Revision(text.to_owned()))
            }
            _ => Err(ServiceError::invalid(
                "from",
                format!("it is neither `{IN_FORCE}`, `{ON_DISK}` nor a folder revision"),
            )),
        }
    }
}

impl Administration {
    /// The folder in force, as the base of drafts.
    pub(super) fn draft_base(&self) -> Result<Arc<DraftBase>, ServiceError> {
        let in_force = self.reloader()?.folder_in_force();
        let revision = &in_force.fingerprint;
        let build = || DraftBase::new(revision.clone(), &in_force.folder);
        Ok(self.drafts.shared_base(revision, build))
    }

    /// Whether a draft has started from what is in force.
    pub(super) fn is_current(&self, draft: &Draft) -> Result<bool, ServiceError> {
        let in_force = self.reloader()?.folder_in_force();
        Ok(in_force.fingerprint == draft.base().folder_revision())
    }

    /// The files that a new draft upon `base` starts with, read in a turn, which goes on.
    pub(super) async fn original_files(
        &self,
        base: &DraftBase,
        origin: &DraftOrigin,
        turn: Turn,
    ) -> Result<(FileTexts, Turn), ServiceError> {
        match origin {
            DraftOrigin::InForce => Ok((base.files().clone(), turn)),
            DraftOrigin::OnDisk => self.files_on_disk(turn).await,
            DraftOrigin::Revision(revision) if revision == base.folder_revision() => {
                Ok((base.files().clone(), turn))
            }
            DraftOrigin::Revision(revision) => Ok((self.files_of_revision(revision).await?, turn)),
        }
    }

    /// The files of the policy folder; an error if one of them is no text.
    async fn files_on_disk(&self, turn: Turn) -> Result<(FileTexts, Turn), ServiceError> {
        let reloader = Arc::clone(self.reloader()?);
        let (read, turn) = run_during(turn, move || reloader.read_folder()).await?;
        let folder = read.map_err(|error| {
            tracing::warn!(%error, "the policy folder cannot be read for a draft");
            // Where it is on the server is nobody's business.
            let detail = "the policy folder cannot be read; the server's log has the details";
            ServiceError::invalid("from", detail)
        })?;
        if let Some(problem) = folder.unusable_files().next() {
            return Err(ServiceError::invalid("from", problem.to_string()));
        }
        Ok((folder.texts(), turn))
    }

    /// The files of a folder that was in force, as far as they are kept.
    async fn files_of_revision(&self, revision: &str) -> Result<FileTexts, ServiceError> {
        let files = self.reloader()?.read_revision(revision).await?;
        files.ok_or(ServiceError::NotFound {
            what: "policy revision",
        })
    }
}
