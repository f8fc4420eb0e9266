//! The target of publishing: whether drafts can be published, and to which folder.

use crate::config::{PolicyWrites, Settings};

use super::folder_writer::FolderWriter;

/// Whether drafts can be published, and where to.
pub(super) struct PublishTarget {
    is_allowed: bool,
    writer: Option<FolderWriter>,
}

impl PublishTarget {
    pub(super) fn from_settings(settings: &Settings) -> Self {
        let folder = settings.policy_dir.as_deref();
        Self {
            is_allowed: settings.policy_writes == PolicyWrites::Allow,
            writer: folder.map(|folder| FolderWriter::new(folder, &settings.data_dir)),
        }
    }

    /// The writer of the folder, whether drafts are published or not.
    pub(super) fn folder_writer(&self) -> Option<&FolderWriter> {
        self.writer.as_ref()
    }

    /// The writer of the folder, or why there is none.
    pub(super) fn writer(&self) -> Result<&FolderWriter, &'static str> {
        if !self.is_allowed {
            return Err("this server publishes no drafts: its setting policy_writes is not allow");
        }
        self.writer.as_ref().ok_or(
            "the policies are those inside the program: there is no policy folder to publish to",
        )
    }
}
