//! The last good policies: saved in the data directory for a start that finds a broken folder.
//!
//! One file, written atomically, with the fingerprint of what it holds.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::atomic_file::{PRIVATE_MODE, atomic_write};
use crate::domain::decision::Revision;
use crate::policy::folder::PolicyFolder;
use crate::policy::{Bundle, BundleError};

const FILE_NAME: &str = "last-good-policies.json";
/// The most bytes that are read: three folders of the largest size, escaped as JSON.
const MAX_FILE_SIZE: u64 = 128 * 1024 * 1024;

/// Why the last good policies cannot be saved or loaded.
#[derive(Debug, thiserror::Error)]
pub enum LastGoodError {
    /// There are none, or they cannot be read or written.
    #[error("{path}: {source}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The file is not what was saved.
    #[error("{path} is damaged: {reason}", path = .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The policies in it are no longer valid.
    #[error("the last good policies are no longer valid: {0}")]
    Invalid(#[source] BundleError),
}

impl LastGoodError {
    /// Whether nothing was ever saved.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        match self {
            Self::File { source, .. } => source.kind() == ErrorKind::NotFound,
            Self::Damaged { .. } | Self::Invalid(_) => false,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct SavedPolicies {
    revision: Revision,
    fingerprint: String,
    files: BTreeMap<String, Arc<str>>,
    /// Why its invariants were not proved, if they should have been.
    #[serde(default)]
    unproved: Option<String>,
}

/// The last good policies, unchanged since they were saved.
pub(super) struct LastGoodPolicies {
    pub(super) folder: PolicyFolder,
    /// Why their invariants were not proved, if they should have been.
    pub(super) unproved: Option<String>,
}

impl LastGoodPolicies {
    /// The same policies, whose files messages name within their folder.
    pub(super) fn without_origin(self) -> Self {
        Self {
            folder: self.folder.without_origin(),
            ..self
        }
    }

    /// The bundle, if this program still accepts it.
    pub(super) fn bundle(&self) -> Result<Bundle, LastGoodError> {
        self.folder.bundle().map_err(LastGoodError::Invalid)
    }
}

/// The file that the last good policies are saved in.
#[derive(Clone, Debug)]
pub(super) struct LastGoodFile {
    path: PathBuf,
}

impl LastGoodFile {
    pub(super) fn in_data_dir(data_dir: &Path) -> Self {
        Self {
            path: data_dir.join(FILE_NAME),
        }
    }

    /// Saves a folder that passed the gate, or logs why it cannot; whether it is saved. Blocks.
    pub(super) fn save(&self, folder: &PolicyFolder, unproved: Option<String>) -> bool {
        let saved = self.try_save(folder, unproved);
        if let Err(error) = &saved {
            tracing::error!(%error, "the policies in force could not be saved for a restart");
        }
        saved.is_ok()
    }

    fn try_save(
        &self,
        folder: &PolicyFolder,
        unproved: Option<String>,
    ) -> Result<(), LastGoodError> {
        let policies = SavedPolicies {
            revision: folder.revision(),
            fingerprint: folder.fingerprint(),
            files: folder.texts(),
            unproved,
        };
        let written = serde_json::to_vec(&policies)
            .map_err(io::Error::from)
            .and_then(|bytes| atomic_write(&self.path, PRIVATE_MODE, &bytes));
        written.map_err(|source| self.file_error(source))
    }

    /// The last good policies; none if nothing was ever saved.
    pub(super) fn load_if_saved(&self) -> Result<Option<LastGoodPolicies>, LastGoodError> {
        match self.load() {
            Err(error) if error.is_not_found() => Ok(None),
            loaded => loaded.map(Some),
        }
    }

    /// The last good policies.
    pub(super) fn load(&self) -> Result<LastGoodPolicies, LastGoodError> {
        let text = self.read_text().map_err(|source| self.file_error(source))?;
        let saved: SavedPolicies =
            serde_json::from_str(&text).map_err(|error| self.damaged_error(&error.to_string()))?;
        let folder = PolicyFolder::from_files("last good policies", saved.files);
        if folder.fingerprint() != saved.fingerprint {
            return Err(self.damaged_error("its files are not those that were saved"));
        }
        if folder.revision() != saved.revision {
            return Err(self.damaged_error("its revision is not the one that was saved"));
        }
        Ok(LastGoodPolicies {
            folder,
            unproved: saved.unproved,
        })
    }

    fn read_text(&self) -> std::io::Result<String> {
        let mut text = String::new();
        fs::File::open(&self.path)?
            .take(MAX_FILE_SIZE)
            .read_to_string(&mut text)?;
        Ok(text)
    }

    fn file_error(&self, source: std::io::Error) -> LastGoodError {
        LastGoodError::File {
            path: self.path.clone(),
            source,
        }
    }

    fn damaged_error(&self, reason: &str) -> LastGoodError {
        LastGoodError::Damaged {
            path: self.path.clone(),
            reason: reason.to_owned(),
        }
    }
}
