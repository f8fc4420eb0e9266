//! The writer of the policy folder: writes an edit of many files wholly or not at all, also if the process is killed.
//!
//! A journal in the data directory has what was there before the first file is written. What is not on record in the end
//! is taken back: at once, by the next reload, or by the next start.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::id::UserId;
use crate::domain::text_file::{has_byte_order_mark, skip_byte_order_mark};
use crate::policy::folder::PolicyFolder;

use super::folder_files::{FileContent, FolderFiles, FolderWriteError};
use super::publish_journal::{JournalFile, JournalFilePath, PublishJournal};

/// How long a reload waits for another server that writes the same folder.
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
    /// The number of the newest revision in the history; 0 if there is none.
    pub(super) history: i64,
    pub(super) from: &'a PolicyFolder,
    pub(super) to: &'a PolicyFolder,
}

/// A folder that was written; the journal stays until it is known whether that is kept.
#[must_use]
pub(super) struct WrittenFolder(OpenJournal);

/// A publish that was neither kept nor taken back when its process ended, or could not be.
#[must_use]
pub(super) struct UnfinishedPublish(OpenJournal);

/// A journal, while no other server writes the folder.
struct OpenJournal {
    journal: PublishJournal,
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
        if !self.has(edit.from) {
            return Err(FolderWriteError::Changed);
        }
        let journal = PublishJournal {
            user: edit.user,
            history: edit.history,
            from: edit.from.fingerprint(),
            to: edit.to.fingerprint(),
            files: self.read_before(edit)?,
        };
        self.journal.write(&journal).map_err(journal_error)?;
        let open = OpenJournal {
            journal,
            writer: self.clone(),
            _lock: lock,
        };
        match open.put() {
            Ok(()) if self.has(edit.to) => Ok(WrittenFolder(open)),
            Ok(()) => Err(open.give_up(FolderWriteError::NotTaken)),
            Err(error) => Err(open.give_up(error)),
        }
    }

    fn has(&self, folder: &PolicyFolder) -> bool {
        PolicyFolder::load(&self.files.folder)
            .is_ok_and(|now| now.fingerprint() == folder.fingerprint())
    }

    /// The files that an edit changes, as they are; an error if they are not as it has them.
    fn read_before(&self, edit: &FolderRewrite<'_>) -> Result<Vec<JournalFile>, FolderWriteError> {
        let from: BTreeMap<&str, &Arc<str>> = edit.from.files().collect();
        let to: BTreeMap<&str, &Arc<str>> = edit.to.files().collect();
        let names = from
            .keys()
            .chain(to.keys().filter(|name| !from.contains_key(*name)));
        let mut files = Vec::new();
        for name in names.filter(|name| from.get(*name) != to.get(*name)) {
            let before = self.files.read(name)?;
            let text = before.as_deref().map(skip_byte_order_mark);
            if text != as_bytes(from.get(name).copied()) {
                return Err(FolderWriteError::Changed);
            }
            let before = before.map(String::from_utf8).transpose();
            let before = before.map_err(|_| FolderWriteError::Changed)?;
            let before: Option<Arc<str>> = before.map(Arc::from);
            let after = to
                .get(name)
                .map(|text| with_mark_of(before.as_deref(), text));
            files.push(JournalFile {
                name: (*name).to_owned(),
                link: match after {
                    Some(_) => None,
                    None => self.files.read_link(name),
                },
                before,
                after,
            });
        }
        Ok(files)
    }

    /// A publish that is neither kept nor taken back; `None` if there is none. Waits for another server that writes the
    /// folder. Blocks.
    pub(super) fn find_unfinished(&self) -> Result<Option<UnfinishedPublish>, FolderWriteError> {
        if !self.journal.exists().map_err(journal_error)? {
            return Ok(None);
        }
        let lock = self.files.lock(LOCK_TIMEOUT)?;
        if !self.journal.exists().map_err(journal_error)? {
            return Ok(None);
        }
        Ok(Some(UnfinishedPublish(OpenJournal {
            journal: self.journal.read().map_err(journal_error)?,
            writer: self.clone(),
            _lock: lock,
        })))
    }
}

impl WrittenFolder {
    /// The edit is in force and on record.
    pub(super) fn keep(self) -> Result<(), FolderWriteError> {
        self.0.end()
    }

    /// Puts everything back as it was.
    pub(super) fn take_back(self) -> Result<(), FolderWriteError> {
        self.0.take_back()
    }
}

impl UnfinishedPublish {
    pub(super) fn journal(&self) -> &PublishJournal {
        &self.0.journal
    }

    /// Takes it back, unless it is on record or something else is in force than what it began from: then it is over, and
    /// the folder stays as it is.
    pub(super) fn settle(
        self,
        is_on_record: bool,
        in_force: Option<&str>,
    ) -> Result<(), FolderWriteError> {
        let PublishJournal { user, from, to, .. } = &self.0.journal;
        if is_on_record || in_force.is_some_and(|in_force| in_force != from) {
            // It changes nothing any more; each reload tries again to remove it.
            if let Err(error) = self.0.end() {
                tracing::error!(%error, "a publish is over and its journal cannot be removed");
            }
            return Ok(());
        }
        let (user, folder_revision) = (*user, to.clone());
        self.0.take_back()?;
        tracing::warn!(
            folder_revision,
            %user,
            "a publish that was interrupted is taken back: it was never in force"
        );
        Ok(())
    }
}

impl OpenJournal {
    /// Puts the edit in its place.
    fn put(&self) -> Result<(), FolderWriteError> {
        let files = self.journal.files.iter();
        let contents: Vec<_> = files
            .map(|file| (&*file.name, FileContent::of(file.after.as_deref())))
            .collect();
        self.writer.files.put(&contents)
    }

    /// The error of a publish that failed, which is taken back.
    fn give_up(self, error: FolderWriteError) -> FolderWriteError {
        match self.take_back() {
            Ok(()) => error,
            Err(source) => {
                tracing::error!(%error, %source, "a publish failed, and cannot be taken back");
                FolderWriteError::NotTakenBack {
                    failure: Box::new(error),
                    source: Box::new(source),
                }
            }
        }
    }

    /// Puts what it has written back as it was. The journal stays if that fails.
    fn take_back(&self) -> Result<(), FolderWriteError> {
        let files = &self.writer.files;
        let mut contents = Vec::new();
        for file in &self.journal.files {
            let (before, after) = (
                as_bytes(file.before.as_ref()),
                as_bytes(file.after.as_ref()),
            );
            let now = files.read(&file.name)?;
            if now.as_deref() == before {
                continue;
            }
            if now.as_deref() == after {
                let before = match &file.link {
                    Some(target) => FileContent::Link(target),
                    None => FileContent::of(file.before.as_deref()),
                };
                contents.push((&*file.name, before));
                continue;
            }
            let file = &file.name;
            tracing::warn!(
                file,
                "a publish is taken back, and this file was edited since: it stays as it is"
            );
        }
        files.remove_staged(self.journal.files.iter().map(|file| &*file.name));
        files.put(&contents)?;
        self.end()
    }

    fn end(&self) -> Result<(), FolderWriteError> {
        self.writer.journal.remove().map_err(journal_error)
    }
}

fn journal_error(source: std::io::Error) -> FolderWriteError {
    FolderWriteError::Journal { source }
}

fn as_bytes(text: Option<&Arc<str>>) -> Option<&[u8]> {
    text.map(|text| text.as_bytes())
}

/// The text of a file as it is written: one that began with a byte order mark keeps it.
fn with_mark_of(before: Option<&str>, text: &Arc<str>) -> Arc<str> {
    let is_marked = before.is_some_and(|before| has_byte_order_mark(before.as_bytes()));
    if is_marked {
        Arc::from(format!("\u{feff}{text}"))
    } else {
        Arc::clone(text)
    }
}

#[cfg(test)]
mod tests;
