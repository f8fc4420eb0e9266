//! The identity of the opened SQLite file, to detect that it was removed or replaced.
//!
//! What is written into a file that was removed or replaced is lost, so every transaction that writes checks
//! first, and the audit writer once its records are in the log.
//!
//! Nothing else in the process may open the file and close it again: that would drop the locks that SQLite has on it
//! (POSIX advisory locks belong to the process and the file), and another program that closes its last connection would
//! then remove the write-ahead log of a running server (<https://www.sqlite.org/howtocorrupt.html>, section 2.2).

use std::fs::{File, Metadata};
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Mutex;

use crate::memory_file::is_in_memory;

/// The identity of a file when it was opened.
#[derive(Clone, Debug)]
pub(super) struct SqliteFile {
    path: Arc<PathBuf>,
    /// Open for as long as the connections are.
    file: Arc<File>,
    device_and_inode: (u64, u64),
    /// Held while the file system is asked: if it does not answer, one thread hangs, not many.
    turn: Arc<Mutex<()>>,
    /// Likewise, while the file is synced.
    sync_turn: Arc<Mutex<()>>,
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl SqliteFile {
    /// Takes the identity of the file that a path names now.
    pub(super) fn new(path: &Path) -> Result<Self> {
        let file = File::open(path)?;
        Ok(Self {
            path: Arc::new(path.to_owned()),
            device_and_inode: identity(&file.metadata()?),
            file: Arc::new(file),
            turn: Arc::default(),
            sync_turn: Arc::default(),
        })
    }

    /// Whether the file is on a file system without a disk.
    pub(super) fn is_in_memory(&self) -> bool {
        is_in_memory(&self.file)
    }

    /// Fails if the path names another file now, or none.
    pub(super) async fn check_unchanged(&self) -> Result<()> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let file = self.clone();
        let check = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            file.check_unchanged_now()
        });
        check.await.map_err(Error::other)?
    }

    /// Writes the pages of the file that are not on the disk yet.
    pub(super) async fn sync(&self) -> Result<()> {
        let turn = Arc::clone(&self.sync_turn).lock_owned().await;
        let file = Arc::clone(&self.file);
        let sync = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            file.sync_data()
        });
        sync.await.map_err(Error::other)?
    }

    /// Like [`SqliteFile::check_unchanged`], on this thread, which hangs if the file system does not answer.
    pub(super) fn check_unchanged_now(&self) -> Result<()> {
        if identity(&std::fs::metadata(&*self.path)?) == self.device_and_inode {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::NotFound,
            "the database file was replaced while in use: restart to use the new one",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_that_was_removed_or_replaced_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        std::fs::write(&path, "one").unwrap();
        let file = SqliteFile::new(&path).unwrap();
        file.check_unchanged().await.unwrap();
        let aside = folder.path().join("b.db");
        std::fs::rename(&path, &aside).unwrap();
        assert!(file.check_unchanged().await.is_err());
        std::fs::write(&path, "two").unwrap();
        assert!(file.check_unchanged().await.is_err());
        std::fs::rename(&aside, &path).unwrap();
        file.check_unchanged().await.unwrap();
    }
}
