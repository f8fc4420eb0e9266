//! The policy folder as one look finds it, half an edit told from a whole one.
//!
//! This module refuses to know whether what it finds is any good.

use std::path::Path;
use std::time::Duration;

use crate::domain::decision::Revision;
use crate::policy::BundleError;
use crate::policy::folder::PolicyFolder;

/// How long apart two readings of the folder are, which must be alike.
const READ_INTERVAL: Duration = Duration::from_millis(100);
/// How often it is read before it counts as being edited still.
const MAX_READS: usize = 20;

/// A folder, or why it cannot be read, and what tells it from others.
pub(super) struct FolderSnapshot {
    pub(super) folder: Result<PolicyFolder, BundleError>,
    pub(super) fingerprint: String,
}

impl FolderSnapshot {
    pub(super) fn read(path: &Path) -> Self {
        let folder = PolicyFolder::load(path);
        let fingerprint = match &folder {
            Ok(folder) => folder.fingerprint(),
            Err(error) => error.lines().join("\n"),
        };
        Self {
            folder,
            fingerprint,
        }
    }

    /// The folder once two readings are alike.
    pub(super) fn read_stable(path: &Path) -> Option<Self> {
        let mut before = Self::read(path);
        for _ in 0..MAX_READS {
            std::thread::sleep(READ_INTERVAL);
            let now = Self::read(path);
            if now.fingerprint == before.fingerprint {
                return Some(now);
            }
            before = now;
        }
        None
    }

    pub(super) fn revision(&self) -> Option<Revision> {
        self.folder.as_ref().ok().map(PolicyFolder::revision)
    }
}
