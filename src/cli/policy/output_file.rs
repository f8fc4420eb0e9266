//! Output files of commands, written atomically.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use crate::atomic_file::{atomic_create, atomic_replace, atomic_write};

/// Who may read and write a new file, before the process's umask takes from it.
const FILE_MODE: u32 = 0o666;

/// Writes a file that is not there yet.
pub(super) fn write_new(path: &Path, text: &str) -> io::Result<()> {
    atomic_create(path, FILE_MODE, text.as_bytes())
}

/// Writes a file in the place of the one that is there, if there is one; a link stays one.
///
/// What is there and is no file, such as a pipe, is written into: nothing can take its place.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    match fs::metadata(path) {
        Err(_) => atomic_write(path, FILE_MODE, text.as_bytes()),
        Ok(found) if found.is_file() => atomic_replace(path, text.as_bytes()),
        Ok(_) => OpenOptions::new()
            .write(true)
            .open(path)?
            .write_all(text.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_file_takes_the_place_of_another_through_a_link_and_with_its_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a.xml"), folder.path().join("link.xml"));
        write(&file, "one").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&file) & 0o600, 0o600);
        fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
        symlink(&file, &link).unwrap();
        write(&link, "two").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "two");
        assert_eq!(mode(&file), 0o640);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(
            fs::read_dir(&folder).unwrap().count(),
            2,
            "nothing is left over"
        );
    }

    #[test]
    fn a_new_file_takes_nobodys_place_and_a_device_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.json");
        write_new(&file, "one").unwrap();
        assert!(write_new(&file, "two").is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), "one");
        write(Path::new("/dev/null"), "gone").unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
        assert!(write(folder.path(), "a folder").is_err());
    }
}
