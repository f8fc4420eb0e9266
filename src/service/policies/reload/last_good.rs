//! The last good policies: kept in the data directory for a start that finds a broken folder.
//!
//! One file, written whole or not at all, with the checksum of what it holds. This module refuses to
//! know when it is needed.

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
/// The largest file that is read: three folders of the largest size, escaped.
const MAX_FILE_SIZE: u64 = 128 * 1024 * 1024;

/// Why the last good policies cannot be kept or used.
#[derive(Debug, thiserror::Error)]
pub enum LastGoodError {
    /// There are none, or they cannot be read or written.
    #[error("{path}: {source}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The file is not what was written.
    #[error("{path} is damaged: {reason}", path = .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How that shows.
        reason: String,
    },
    /// The policies in it are not valid any more.
    #[error("the last good policies are not valid any more: {0}")]
    Invalid(#[source] BundleError),
}

impl LastGoodError {
    /// Whether nothing was ever kept.
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
}

/// Where the last good policies are kept.
#[derive(Clone, Debug)]
pub struct LastGoodFile {
    path: PathBuf,
}

impl LastGoodFile {
    /// In this data directory.
    #[must_use]
    pub fn in_data_dir(data_dir: &Path) -> Self {
        Self {
            path: data_dir.join(FILE_NAME),
        }
    }

    /// Keeps a folder that passed, in place of the one before.
    pub fn save(&self, folder: &PolicyFolder) -> Result<(), LastGoodError> {
        let kept = SavedPolicies {
            revision: folder.revision(),
            fingerprint: folder.fingerprint(),
            files: folder
                .files()
                .map(|(name, text)| (name.to_owned(), Arc::clone(text)))
                .collect(),
        };
        let written = serde_json::to_vec(&kept)
            .map_err(io::Error::from)
            .and_then(|bytes| atomic_write(&self.path, PRIVATE_MODE, &bytes));
        written.map_err(|source| self.file_error(source))
    }

    /// The last good bundle, valid and unchanged since it was kept.
    pub fn load(&self) -> Result<Bundle, LastGoodError> {
        let text = self.read_text().map_err(|source| self.file_error(source))?;
        let kept: SavedPolicies =
            serde_json::from_str(&text).map_err(|error| self.damaged_error(&error.to_string()))?;
        let folder = PolicyFolder::from_files("last good policies", kept.files);
        if folder.fingerprint() != kept.fingerprint {
            return Err(self.damaged_error("its files are not those that were kept"));
        }
        let bundle = folder.bundle().map_err(LastGoodError::Invalid)?;
        if *bundle.revision() != kept.revision {
            return Err(self.damaged_error("its revision is not the one that was kept"));
        }
        Ok(bundle)
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
