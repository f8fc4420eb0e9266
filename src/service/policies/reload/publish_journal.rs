//! The journal of a publish: what it writes to the policy folder and what was there, in the data directory before the
//! first file is written, until the edit is in force and on record.
//!
//! It only ever leads back: a publish that is not on record did not take place, whatever is found of it in the folder.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::atomic_file::{PRIVATE_MODE, atomic_write};
use crate::domain::id::UserId;
use crate::domain::policy_revision::RevisionOrigin;
use crate::storage::{Database, MAX_KEPT_REVISIONS, StorageError};

/// The largest journal, in bytes: two policy folders of the largest size, escaped as JSON.
const MAX_JOURNAL_SIZE: u64 = 256 * 1024 * 1024;
/// How many characters of the digest of the folder's path are in the name of its journal.
const NAME_LENGTH: usize = 16;

/// A publish as far as it has to be known to take it back.
#[derive(Serialize, Deserialize)]
pub(super) struct PublishJournal {
    pub(super) user: UserId,
    /// The number of the newest revision in the history when it was written; 0 if there was none.
    pub(super) history: i64,
    /// The folder revision that was in force.
    pub(super) from: String,
    /// The folder revision that is published.
    pub(super) to: String,
    pub(super) files: Vec<JournalFile>,
}

/// A file that changes.
#[derive(Serialize, Deserialize)]
pub(super) struct JournalFile {
    pub(super) name: String,
    /// What it was, with its byte order mark; none if there was no such file.
    pub(super) before: Option<Arc<str>>,
    /// Where it led if it was a link and is removed.
    pub(super) link: Option<PathBuf>,
    /// What it becomes; none if it is removed.
    pub(super) after: Option<Arc<str>>,
}

impl PublishJournal {
    /// Whether what it is about came into force, and is on record.
    pub(super) async fn is_on_record(&self, database: &Database) -> Result<bool, StorageError> {
        let limit = u32::try_from(MAX_KEPT_REVISIONS).unwrap_or(u32::MAX);
        let revisions = database.list_policy_revisions(None, limit).await?;
        Ok(revisions.iter().any(|revision| {
            revision.number > self.history
                && revision.folder_revision == self.to
                && revision.origin == RevisionOrigin::Publish
                && revision.user == Some(self.user)
        }))
    }
}

/// Where the journal of a policy folder is.
#[derive(Clone, Debug)]
pub(super) struct JournalFilePath(PathBuf);

impl JournalFilePath {
    pub(super) fn new(folder: &Path, data_dir: &Path) -> Self {
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let digest = hex::encode(Sha256::digest(folder.as_os_str().as_encoded_bytes()));
        let short: String = digest.chars().take(NAME_LENGTH).collect();
        Self(data_dir.join(format!("publish-{short}.json")))
    }

    /// Whether a publish is under way, or was interrupted.
    pub(super) fn exists(&self) -> io::Result<bool> {
        match fs::metadata(&self.0) {
            Ok(metadata) => Ok(metadata.len() > 0),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(super) fn write(&self, journal: &PublishJournal) -> io::Result<()> {
        let text = serde_json::to_vec(journal)?;
        if text.len() as u64 > MAX_JOURNAL_SIZE {
            return Err(ErrorKind::FileTooLarge.into());
        }
        atomic_write(&self.0, PRIVATE_MODE, &text)
    }

    pub(super) fn read(&self) -> io::Result<PublishJournal> {
        let mut text = Vec::new();
        let mut file = File::open(&self.0)?.take(MAX_JOURNAL_SIZE);
        file.read_to_end(&mut text)?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// The publish is over, and no crash brings its journal back. Where the data directory lets no file be removed, the
    /// journal is emptied, which means the same.
    pub(super) fn remove(&self) -> io::Result<()> {
        match fs::remove_file(&self.0) {
            Ok(()) => {
                let folder = self.0.parent().unwrap_or(Path::new("."));
                File::open(folder)?.sync_all()
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => {
                let emptied = File::options().write(true).truncate(true).open(&self.0);
                emptied.and_then(|file| file.sync_all()).map_err(|_| error)
            }
        }
    }
}
