//! The identity of the opened SQLite file, to detect that it was removed or replaced.
//!
//! What is written into a file that was removed or replaced is lost, so every transaction that writes
//! checks first.

use std::fs::Metadata;
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The identity of a file when it was opened.
#[derive(Clone, Debug)]
pub(super) struct SqliteFile {
    path: Arc<PathBuf>,
    device_and_inode: (u64, u64),
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl SqliteFile {
    /// Takes the identity of the file that a path names now.
    pub(super) fn new(path: &Path) -> Result<Self> {
        let device_and_inode = identity(&std::fs::metadata(path)?);
        Ok(Self {
            path: Arc::new(path.to_owned()),
            device_and_inode,
        })
    }

    /// Fails if the path names another file now, or none.
    pub(super) fn check_unchanged(&self) -> Result<()> {
        match std::fs::metadata(&*self.path) {
            Ok(metadata) if identity(&metadata) == self.device_and_inode => Ok(()),
            Ok(_) => Err(Error::new(
                ErrorKind::NotFound,
                "the database file was replaced while in use: restart to use the new one",
            )),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_removed_or_replaced_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        std::fs::write(&path, "one").unwrap();
        let file = SqliteFile::new(&path).unwrap();
        file.check_unchanged().unwrap();
        let aside = folder.path().join("b.db");
        std::fs::rename(&path, &aside).unwrap();
        assert!(file.check_unchanged().is_err());
        std::fs::write(&path, "two").unwrap();
        assert!(file.check_unchanged().is_err());
        std::fs::rename(&aside, &path).unwrap();
        file.check_unchanged().unwrap();
    }
}
