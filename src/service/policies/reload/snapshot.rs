//! The policy folder as one look finds it, half an edit told from a whole one.
//!
//! This module refuses to know whether what it finds is any good.

use std::path::Path;
use std::time::Duration;

use crate::domain::decision::Revision;
use crate::policy::BundleError;
use crate::policy::folder::PolicyFolder;

/// How long apart two readings of the folder are, which must be alike.
const BETWEEN_READINGS: Duration = Duration::from_millis(100);
/// How often it is read before it counts as being edited still.
const MOST_READINGS: usize = 20;

/// A folder, or why it cannot be read, and what tells it from others.
pub(super) struct Seen {
    pub(super) folder: Result<PolicyFolder, BundleError>,
    pub(super) fingerprint: String,
}

impl Seen {
    pub(super) fn now(path: &Path) -> Self {
        let folder = PolicyFolder::read(path);
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
    pub(super) fn settled(path: &Path) -> Option<Self> {
        let mut before = Self::now(path);
        for _ in 0..MOST_READINGS {
            std::thread::sleep(BETWEEN_READINGS);
            let now = Self::now(path);
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
