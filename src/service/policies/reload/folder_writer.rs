//! The writer of the policy folder: writes an edit of many files wholly or not at all, also if the process is killed.
//!
//! A journal in the data directory has everything that is to be written before the first file is. A start that finds
//! one finishes it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::id::UserId;
use crate::domain::text_file::skip_byte_order_mark;
use crate::policy::folder::PolicyFolder;

use super::folder_files::{FolderFiles, FolderWriteError};
use super::origin::EditOrigin;
use super::publish_journal::{JournalFile, JournalFilePath, PublishJournal, digest_of};

/// How long a start waits for another server that writes the same folder.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

/// Writes one policy folder.
#[derive(Clone, Debug)]
pub(super) struct FolderWriter {
    files: FolderFiles,
    journal: JournalFilePath,
}

/// An edit that is to be written.
pub(super) struct FolderRewrite<'a> {
    pub(super) user: UserId,
    pub(super) from: &'a PolicyFolder,
    pub(super) to: &'a PolicyFolder,
}

/// A folder that was written; the journal stays until it is known whether that is kept.
#[must_use]
pub(super) struct WrittenFolder {
    writer: FolderWriter,
    /// The files as they were, byte by byte.
    before: Vec<(String, Option<Vec<u8>>)>,
    _lock: File,
}

/// A publish that a crash interrupted, and that is finished now.
#[must_use]
pub(super) struct FinishedPublish {
    user: UserId,
    writer: FolderWriter,
    _lock: File,
}

impl FolderWriter {
    pub(super) fn new(folder: &Path, data_dir: &Path) -> Self {
        Self {
            files: FolderFiles {
                folder: folder.to_owned(),
            },
            journal: JournalFilePath::new(folder, data_dir),
        }
    }

    /// Writes an edit, if the folder is still as before it. Blocks.
    pub(super) fn write(
        &self,
        edit: &FolderRewrite<'_>,
    ) -> Result<WrittenFolder, FolderWriteError> {
        let lock = self.files.lock(Duration::ZERO)?;
        let now = PolicyFolder::load(&self.files.folder).map_err(|_| FolderWriteError::Changed)?;
        if now.fingerprint() != edit.from.fingerprint() {
            return Err(FolderWriteError::Changed);
        }
        let changes = changed_files(edit);
        let mut before = Vec::new();
        let mut journal = PublishJournal {
            user: edit.user,
            to: edit.to.fingerprint(),
            files: Vec::new(),
        };
        for (name, after) in changes {
            let bytes = self.files.read(&name)?;
            let after = after.map(|text| with_mark_of(bytes.as_deref(), &text));
            journal.files.push(JournalFile {
                before: bytes.as_deref().map(digest_of),
                name: name.clone(),
                after,
            });
            before.push((name, bytes));
        }
        self.journal
            .write(&journal)
            .map_err(|source| FolderWriteError::Journal { source })?;
        let written = WrittenFolder {
            writer: self.clone(),
            before,
            _lock: lock,
        };
        let all = journal.files.iter();
        let contents = all.map(|file| (&*file.name, file.after.as_deref().map(str::as_bytes)));
        if let Err(error) = self.files.put(&contents.collect::<Vec<_>>()) {
            written.take_back();
            return Err(error);
        }
        Ok(written)
    }

    /// Finishes what a crash interrupted; `None` if there is nothing. Blocks.
    pub(super) fn finish(&self) -> Result<Option<FinishedPublish>, FolderWriteError> {
        let is_there = || self.journal.exists();
        if !is_there() {
            return Ok(None);
        }
        let lock = match self.files.lock(LOCK_TIMEOUT) {
            Ok(lock) => lock,
            // It is alive, and finishes it itself.
            Err(FolderWriteError::Busy) => return Ok(None),
            Err(error) => return Err(error),
        };
        if !is_there() {
            return Ok(None);
        }
        let journal = self
            .journal
            .read()
            .map_err(|source| FolderWriteError::Journal { source })?;
        let mut contents = Vec::new();
        for file in &journal.files {
            let now = self.files.read(&file.name)?;
            let after = file.after.as_deref().map(str::as_bytes);
            if now.as_deref() == after {
                continue;
            }
            if now.as_deref().map(digest_of) == file.before {
                contents.push((&*file.name, after));
            } else {
                let file = &file.name;
                tracing::warn!(
                    file,
                    "a publish was interrupted, and this file was edited since: it stays as it is"
                );
            }
        }
        self.files
            .remove_staged(journal.files.iter().map(|file| &*file.name))?;
        self.files.put(&contents)?;
        tracing::warn!(
            folder_revision = journal.to,
            user = %journal.user,
            "a publish that was interrupted is finished"
        );
        Ok(Some(FinishedPublish {
            user: journal.user,
            writer: self.clone(),
            _lock: lock,
        }))
    }
}

impl WrittenFolder {
    /// The edit is in force and on record.
    pub(super) fn keep(self) {
        self.writer.journal.remove();
    }

    /// Puts everything back as it was.
    pub(super) fn take_back(self) {
        let before = self.before.iter();
        let before: Vec<_> = before
            .map(|(name, bytes)| (&**name, bytes.as_deref()))
            // What was never written need not be removed.
            .filter(|(name, bytes)| bytes.is_some() || self.writer.files.folder.join(name).exists())
            .collect();
        match self.writer.files.put(&before) {
            Ok(()) => self.writer.journal.remove(),
            Err(error) => {
                tracing::error!(%error, "a publish failed and could not be taken back: the next start finishes it");
            }
        }
    }
}

impl FinishedPublish {
    pub(super) fn origin(&self) -> EditOrigin {
        EditOrigin::Publish { user: self.user }
    }

    /// It is on record.
    pub(super) fn keep(self) {
        self.writer.journal.remove();
    }
}

/// The text of a file as it is written: one that began with a byte order mark keeps it.
fn with_mark_of(before: Option<&[u8]>, text: &Arc<str>) -> Arc<str> {
    let mark = before.filter(|bytes| skip_byte_order_mark(bytes).len() < bytes.len());
    mark.map_or(Arc::clone(text), |_| Arc::from(format!("\u{feff}{text}")))
}

/// The files that differ, with their texts afterwards.
fn changed_files(edit: &FolderRewrite<'_>) -> BTreeMap<String, Option<Arc<str>>> {
    let before: BTreeMap<&str, &Arc<str>> = edit.from.files().collect();
    let after: BTreeMap<&str, &Arc<str>> = edit.to.files().collect();
    let removed = before.keys().filter(|name| !after.contains_key(*name));
    let removed = removed.map(|name| ((*name).to_owned(), None));
    let changed = after
        .iter()
        .filter(|(name, text)| before.get(*name) != Some(text));
    let changed = changed.map(|(name, text)| ((*name).to_owned(), Some(Arc::clone(text))));
    removed.chain(changed).collect()
}

#[cfg(test)]
mod tests;
