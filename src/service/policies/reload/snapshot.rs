//! Snapshots of the policy folder: what it holds at one time, and whether an edit is still under way.

use std::path::Path;
use std::time::Duration;

use crate::policy::BundleError;
use crate::policy::folder::PolicyFolder;

/// The time between two reads of the folder, which must be equal.
const READ_INTERVAL: Duration = Duration::from_millis(100);
/// How often the folder is read again before it counts as still being modified.
const MAX_READS: usize = 20;

/// The folder, or why it cannot be read, with a fingerprint of either.
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

    /// Reads again until two reads in a row are equal; `None` if the folder is still being modified.
    /// Blocks.
    pub(super) fn until_stable(self, path: &Path) -> Option<Self> {
        let mut previous = self;
        for _ in 0..MAX_READS {
            std::thread::sleep(READ_INTERVAL);
            let current = Self::read(path);
            if current.fingerprint == previous.fingerprint {
                return Some(current);
            }
            previous = current;
        }
        None
    }
}
