//! Files that are there whole or not at all, even after a crash.
//!
//! A file is written under a temporary name in the same folder, made durable (fsync) and renamed; then
//! the folder is made durable too. Several floors write files so, and floor-1 siblings never import each
//! other: that is why this is a module of floor 0, beside the pure `domain`.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::NamedTempFile;

/// Who may read and write a file that holds secrets: its owner.
pub const PRIVATE_MODE: u32 = 0o600;

/// Writes a file, in the place of one that is there.
///
/// `mode` is that of the new file, less the process's umask.
pub fn atomic_write(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    write_temporary(path, mode, bytes)?.persist(path)?;
    sync_folder(path)
}

/// Writes a file that is not there yet; fails with [`io::ErrorKind::AlreadyExists`] if it is.
pub fn atomic_create(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    write_temporary(path, mode, bytes)?.persist_noclobber(path)?;
    sync_folder(path)
}

/// Replaces the content of a file that is there; a link stays one, and the file keeps its permissions.
pub fn atomic_replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let path = path.canonicalize()?;
    let permissions = fs::metadata(&path)?.permissions();
    let written = write_temporary(&path, PRIVATE_MODE, bytes)?;
    written.as_file().set_permissions(permissions)?;
    written.persist(&path)?;
    sync_folder(&path)
}

/// Puts a durable file in the place of another one in the same folder.
pub fn atomic_rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    sync_folder(to)
}

fn write_temporary(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<NamedTempFile> {
    let mut written = tempfile::Builder::new()
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(folder_of(path))?;
    written.write_all(bytes)?;
    written.as_file().sync_all()?;
    Ok(written)
}

/// Makes the folder durable, unless it may be written but not opened.
fn sync_folder(path: &Path) -> io::Result<()> {
    match File::open(folder_of(path)) {
        Ok(folder) => folder.sync_all(),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(error),
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
