//! Staging folders: where uploads of one process are until they are complete.
//!
//! Each process has a folder of its own below `incoming`, with a file that it holds locked. A folder whose
//! lock nobody holds belongs to a process that has ended, and is removed: at the next start, and from then
//! on now and again. Several replicas may share the file store.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;
use uuid::Uuid;

/// The folder of incomplete uploads.
pub(super) const INCOMING_FOLDER: &str = "incoming";
/// The file that the owner of a staging folder holds locked.
const LOCK_FILE: &str = ".lock";
/// How long something without an owner may stay unchanged. A folder is made before it is locked, and where
/// locks do not work age alone counts; no upload takes as long.
const ABANDONED_TTL: Duration = Duration::from_hours(24);

/// The staging folder of this process, which is made for its first upload.
pub(super) type StagingFolder = Arc<OnceCell<LockedFolder>>;

/// A staging folder and its lock, which ends with the process.
#[derive(Debug)]
pub(super) struct LockedFolder {
    pub(super) name: String,
    _lock: File,
}

/// Makes and locks a staging folder.
pub(super) fn make(incoming: &Path) -> io::Result<LockedFolder> {
    let name = Uuid::new_v4().to_string();
    let folder = incoming.join(&name);
    std::fs::create_dir_all(&folder)?;
    let lock = File::create(folder.join(LOCK_FILE))?;
    // Where locks do not work, nobody else gets one either.
    lock.try_lock().ok();
    Ok(LockedFolder { name, _lock: lock })
}

/// Removes what is abandoned; another process may do the same, so errors mean nothing.
pub(super) fn remove_abandoned(incoming: &Path, own: Option<&str>) {
    for entry in std::fs::read_dir(incoming).into_iter().flatten().flatten() {
        let path = entry.path();
        if own.is_some_and(|own| entry.file_name() == own) {
            continue;
        }
        if !path.is_dir() {
            if is_old(&path) {
                std::fs::remove_file(&path).ok();
            }
        } else if is_abandoned(&path) {
            std::fs::remove_dir_all(&path).ok();
        }
    }
}

fn is_abandoned(folder: &Path) -> bool {
    match File::open(folder.join(LOCK_FILE)) {
        Ok(lock) => match lock.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(_)) => is_old(folder),
        },
        Err(_) => is_old(folder),
    }
}

/// Whether nothing was written to it for long.
fn is_old(path: &Path) -> bool {
    let written = std::fs::metadata(path).and_then(|found| found.modified());
    let silent = written.ok().and_then(|written| written.elapsed().ok());
    silent.is_some_and(|silent| silent > ABANDONED_TTL)
}
