//! Files that no dataset names any more: found by their age, set aside, and removed.
//!
//! The time of its last change says when a file was last stored, named or replaced, because each of these
//! sets it. One that is old enough is renamed into the folder `removed` before it is looked at for the last
//! time: a file that is stored again meanwhile gets its place back, or has a new file there. So it does not
//! matter who else stores the same content, or removes it, at the same time, nor whether this process is
//! killed in between: what is set aside is judged again by the next one.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use super::error::FilesError;
use super::store::{FileStore, digest_path};
use crate::domain::dataset::StoredFile;

/// The folder of files that may be removed.
const REMOVED_FOLDER: &str = "removed";
/// The folder of all files, by the first two letters of their digests.
const STORE_FOLDER: &str = "sha256";
/// How long what is no stored file may stay in the folder of files: parts of an import that was killed.
const FOREIGN_FILE_TTL: Duration = Duration::from_hours(24);

impl FileStore {
    /// Says at `now_seconds` that a file is used, or was used until now: it is not removed for a while.
    ///
    /// False if there is no such file.
    pub async fn mark_used(&self, file: &StoredFile, now_seconds: i64) -> Result<bool, FilesError> {
        let path = self.path_of(&file.sha256)?;
        let marking = self
            .calls
            .transfer_blocking("mark a file as used", move || {
                set_modified(&path, now_seconds)
            });
        match marking.await? {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(FilesError::StoreFailed {
                name: file.name.clone(),
                source,
            }),
        }
    }

    /// The names of the folders that files are in.
    pub async fn shards(&self) -> Result<Vec<String>, FilesError> {
        let folder = self.folder.join(STORE_FOLDER);
        self.list_folder(folder, |_| true).await
    }

    /// The digests of the files in one folder that were neither stored nor marked since `before_seconds`.
    pub async fn old_files(
        &self,
        shard: &str,
        before_seconds: i64,
    ) -> Result<Vec<String>, FilesError> {
        let folder = self.folder.join(STORE_FOLDER).join(shard);
        self.list_folder(folder, move |path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if digest_path(&name).is_none() {
                remove_old_part(path);
                return false;
            }
            modified(path).is_ok_and(|modified| modified < before_seconds)
        })
        .await
    }

    /// The digests of the files that are set aside.
    pub async fn files_set_aside(&self) -> Result<Vec<String>, FilesError> {
        let folder = self.folder.join(REMOVED_FOLDER);
        self.list_folder(folder, |_| true).await
    }

    /// Takes a file out of the store, until it is put back or removed.
    pub async fn set_aside(&self, sha256: &str) -> Result<(), FilesError> {
        let (from, to) = (self.path_of(sha256)?, self.aside_path(sha256));
        let changed = self.change("set a file aside", sha256, move || {
            to.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            std::fs::rename(from, to)
        });
        let changed = changed.await;
        // Not before: somebody could find it again.
        self.forget(sha256);
        changed
    }

    /// Removes a file that is set aside, or puts it back if it is used or was stored since
    /// `before_seconds`; returns whether it was removed.
    pub async fn settle(
        &self,
        sha256: &str,
        is_used: bool,
        before_seconds: i64,
    ) -> Result<bool, FilesError> {
        let (place, aside) = (self.path_of(sha256)?, self.aside_path(sha256));
        let (send, receive) = std::sync::mpsc::channel();
        self.change("remove a file", sha256, move || {
            let is_removed = !is_used && modified(&aside)? < before_seconds;
            if is_removed {
                std::fs::remove_file(aside)?;
            } else {
                // What has been stored there meanwhile has the same content.
                std::fs::rename(aside, place)?;
            }
            send.send(is_removed).ok();
            Ok(())
        })
        .await?;
        Ok(receive.try_recv().unwrap_or(false))
    }

    fn path_of(&self, sha256: &str) -> Result<PathBuf, FilesError> {
        let path = digest_path(sha256).ok_or_else(|| FilesError::InvalidDigest {
            name: "a file".to_owned(),
            sha256: sha256.chars().take(64).collect(),
        })?;
        Ok(self.folder.join(path))
    }

    fn aside_path(&self, sha256: &str) -> PathBuf {
        self.folder.join(REMOVED_FOLDER).join(sha256)
    }

    /// The names in a folder whose paths pass; none if there is no such folder.
    async fn list_folder(
        &self,
        folder: PathBuf,
        filter: impl Fn(&Path) -> bool + Send + 'static,
    ) -> Result<Vec<String>, FilesError> {
        let listing = self.calls.transfer_blocking("list files", move || {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            let passing = entries.filter(|entry| filter(&entry.path()));
            passing
                .filter_map(|entry| entry.file_name().into_string().ok())
                .collect()
        });
        listing.await
    }

    /// Changes the place of a file, which another process may have done already.
    async fn change(
        &self,
        operation: &'static str,
        sha256: &str,
        change: impl FnOnce() -> io::Result<()> + Send + 'static,
    ) -> Result<(), FilesError> {
        match self.calls.transfer_blocking(operation, change).await? {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FilesError::StoreFailed {
                name: sha256.to_owned(),
                source: error,
            }),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Sets when a file was changed last, in seconds since 1970.
pub(super) fn set_modified(path: &Path, seconds: i64) -> io::Result<()> {
    let since_1970 = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    let file = std::fs::File::options().append(true).open(path)?;
    file.set_modified(UNIX_EPOCH + since_1970)
}

fn modified(path: &Path) -> io::Result<i64> {
    let modified = std::fs::metadata(path)?.modified()?;
    let since_1970 = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX))
}

fn remove_old_part(path: &Path) {
    let written = std::fs::metadata(path).and_then(|found| found.modified());
    let silent = written.ok().and_then(|written| written.elapsed().ok());
    if silent.is_some_and(|silent| silent > FOREIGN_FILE_TTL) {
        // Another process may have removed it.
        std::fs::remove_file(path).ok();
    }
}
