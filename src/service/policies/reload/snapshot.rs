//! Snapshots of the policy folder: what it holds at one time, and whether an edit is still under way.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::Settings;
use crate::policy::BundleError;
use crate::policy::folder::PolicyFolder;

use super::folder_files::FolderWriteError;

/// The time between two reads of the folder, which must be equal.
const READ_INTERVAL: Duration = Duration::from_millis(100);
/// How often the folder is read again before it counts as still being modified.
const MAX_READS: usize = 20;

/// Where the policies come from.
#[derive(Clone, Debug)]
pub(super) enum PolicySource {
    /// The program.
    Embedded,
    /// A folder, which may be edited at any time.
    Folder(PathBuf),
}

impl PolicySource {
    pub(super) fn from_settings(settings: &Settings) -> Self {
        let folder = settings.policy_dir.clone();
        folder.map_or(Self::Embedded, Self::Folder)
    }

    /// The folder, unless it is inside the program.
    pub(super) fn folder(&self) -> Option<&Path> {
        match self {
            Self::Embedded => None,
            Self::Folder(folder) => Some(folder),
        }
    }

    pub(super) fn load(&self) -> Result<PolicyFolder, BundleError> {
        match self {
            Self::Embedded => PolicyFolder::embedded(),
            Self::Folder(folder) => PolicyFolder::load(folder),
        }
    }

    /// Reads it for the gate, whose messages name files within the folder: callers read them, who cannot know where
    /// it is.
    pub(super) fn read(&self) -> FolderSnapshot {
        FolderSnapshot::new(self.load().map(PolicyFolder::without_origin))
    }

    /// Reads again until two reads in a row are equal; `None` if the folder is still being modified.
    /// Blocks.
    pub(super) fn read_until_stable(&self, first: FolderSnapshot) -> Option<FolderSnapshot> {
        if matches!(self, Self::Embedded) {
            return Some(first);
        }
        let mut previous = first;
        for _ in 0..MAX_READS {
            std::thread::sleep(READ_INTERVAL);
            let current = self.read();
            if current.fingerprint == previous.fingerprint {
                return Some(current);
            }
            previous = current;
        }
        None
    }
}

/// The folder, or why it cannot be read, with a fingerprint of either.
pub(super) struct FolderSnapshot {
    pub(super) folder: Result<PolicyFolder, BundleError>,
    pub(super) fingerprint: String,
}

impl FolderSnapshot {
    fn new(folder: Result<PolicyFolder, BundleError>) -> Self {
        let fingerprint = match &folder {
            Ok(folder) => folder.fingerprint(),
            Err(error) => error.lines().join("\n"),
        };
        Self {
            folder,
            fingerprint,
        }
    }

    /// A folder that nobody may read, because it may have a part of a publish that is neither kept nor taken back.
    pub(super) fn unsettled(error: &FolderWriteError) -> Self {
        Self::new(Err(BundleError::of_folder(format!(
            "a publish was interrupted and cannot be taken back: {error}"
        ))))
    }
}
