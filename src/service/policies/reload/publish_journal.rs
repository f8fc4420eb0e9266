//! The journal of a publish: everything that is to be written to the policy folder, in the data directory before the
//! first file is written, until the edit is in force and on record.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::atomic_file::{PRIVATE_MODE, atomic_write};
use crate::domain::id::UserId;

/// The most bytes that are read: a policy folder of the largest size, escaped as JSON.
const MAX_JOURNAL_SIZE: u64 = 128 * 1024 * 1024;
/// How many characters of the digest of the folder's path are in the name of its journal.
const NAME_LENGTH: usize = 16;

/// A publish as far as it has to be known to finish it.
#[derive(Serialize, Deserialize)]
pub(super) struct PublishJournal {
    pub(super) user: UserId,
    /// The folder revision that is published.
    pub(super) to: String,
    pub(super) files: Vec<JournalFile>,
}

/// A file that changes.
#[derive(Serialize, Deserialize)]
pub(super) struct JournalFile {
    pub(super) name: String,
    /// The SHA-256 of the file before; none if there was none.
    pub(super) before: Option<String>,
    /// Its text afterwards; none if it is removed.
    pub(super) after: Option<Arc<str>>,
}

/// Where the journal of a policy folder is.
#[derive(Clone, Debug)]
pub(super) struct JournalFilePath(PathBuf);

impl JournalFilePath {
    pub(super) fn new(folder: &Path, data_dir: &Path) -> Self {
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let digest = digest_of(folder.as_os_str().as_encoded_bytes());
        let short: String = digest.chars().take(NAME_LENGTH).collect();
        Self(data_dir.join(format!("publish-{short}.json")))
    }

    /// Whether a publish is under way, or was interrupted.
    pub(super) fn exists(&self) -> bool {
        self.0.exists()
    }

    pub(super) fn write(&self, journal: &PublishJournal) -> io::Result<()> {
        let text = serde_json::to_vec(journal)?;
        atomic_write(&self.0, PRIVATE_MODE, &text)
    }

    pub(super) fn read(&self) -> io::Result<PublishJournal> {
        let mut text = Vec::new();
        let mut file = File::open(&self.0)?.take(MAX_JOURNAL_SIZE);
        file.read_to_end(&mut text)?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// The publish is over.
    pub(super) fn remove(&self) {
        let removed = fs::remove_file(&self.0).and_then(|()| {
            let folder = self.0.parent().unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()
        });
        if let Err(error) = removed {
            tracing::error!(%error, "the journal of a published draft could not be removed");
        }
    }
}

/// The SHA-256 of bytes, in hexadecimal.
pub(super) fn digest_of(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
