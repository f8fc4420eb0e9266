//! The sealing key file: the key that seals the signing keys in the database.
//!
//! It is stored apart from the database, so that a copy of the database alone cannot sign. A file
//! that the operator configured must exist; the default one is created at the first start, readable
//! only by its owner.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::atomic_file::{PRIVATE_MODE, atomic_create, atomic_rename};
use crate::domain::secret::Secret;
use crate::domain::text_file;
use crate::token::{SealingKey, TokenError};

/// Why the sealing key cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum SealingKeyFileError {
    /// The file cannot be read or created.
    #[error("the sealing key file {} cannot be {operation}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What failed: `read`, `created` or `replaced`.
        operation: &'static str,
        /// Why.
        source: io::Error,
    },
    /// Others can read the file.
    #[error("the sealing key file {} can be read by others (mode {mode:03o})", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file does not contain a sealing key.
    #[error("the sealing key file {} does not contain a sealing key: {source}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with its content.
        source: TokenError,
    },
}

/// Reads the sealing key; creates the file first if it is missing and `create_if_missing`.
///
/// Do not create it for a database that has keys already: those need the file that sealed them.
pub fn open_sealing_key(
    path: &Path,
    create_if_missing: bool,
) -> Result<SealingKey, SealingKeyFileError> {
    let failed = |operation| {
        move |source| SealingKeyFileError::File {
            path: path.to_owned(),
            operation,
            source,
        }
    };
    if create_if_missing && !path.exists() {
        create_sealing_key(path).map_err(failed("created"))?;
    }
    let mode = fs::metadata(path)
        .map_err(failed("read"))?
        .permissions()
        .mode()
        & 0o777;
    if mode & 0o077 != 0 {
        return Err(SealingKeyFileError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    let content = fs::read(path).map_err(failed("read"))?;
    let text = text_file::decode(content).map_err(|error| failed("read")(io::Error::other(error)));
    let text = Secret::new(text?);
    SealingKey::parse(text.reveal().trim()).map_err(|source| SealingKeyFileError::Content {
        path: path.to_owned(),
        source,
    })
}

/// The sealing keys that the signing keys in the database may be sealed with: that of the file, and, while
/// they are resealed, that of the file beside it whose name ends with `.next`.
pub fn candidate_sealing_keys(path: &Path) -> Result<Vec<SealingKey>, SealingKeyFileError> {
    // The successor first: it may take the place of the other one at any moment.
    let next = match open_sealing_key(&next_sealing_key_file(path), false) {
        Ok(key) => Some(key),
        Err(SealingKeyFileError::File { source, .. }) if source.kind() == ErrorKind::NotFound => {
            None
        }
        // While the keys can be opened with the other one, what stands there does not matter.
        Err(error) => {
            tracing::warn!(%error, "the successor of the sealing key cannot be used");
            None
        }
    };
    let key = open_sealing_key(path, false)?;
    Ok([Some(key), next].into_iter().flatten().collect())
}

/// The file beside the sealing key file in which its successor stands until it takes its place.
#[must_use]
pub fn next_sealing_key_file(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".next");
    PathBuf::from(name)
}

/// Puts the successor in the place of the sealing key file, durably.
pub fn replace_sealing_key_file(path: &Path) -> Result<(), SealingKeyFileError> {
    let failed = |source| SealingKeyFileError::File {
        path: path.to_owned(),
        operation: "replaced",
        source,
    };
    atomic_rename(&next_sealing_key_file(path), path).map_err(failed)
}

fn create_sealing_key(path: &Path) -> io::Result<()> {
    let text = SealingKey::generate().to_text();
    let line = Secret::new(format!("{}\n", text.reveal()));
    match atomic_create(path, PRIVATE_MODE, line.reveal().as_bytes()) {
        // Another process that started at the same time created the key: use that one.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        created => created,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_file_is_created_once_and_only_its_owner_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealing.key");
        open_sealing_key(&path, true).unwrap();
        let first = fs::read(&path).unwrap();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        open_sealing_key(&path, true).unwrap();
        assert_eq!(fs::read(&path).unwrap(), first);
    }

    #[test]
    fn a_configured_file_that_is_missing_is_not_created() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealing.key");
        assert!(matches!(
            open_sealing_key(&path, false),
            Err(SealingKeyFileError::File { .. })
        ));
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_others_can_read_is_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sealing.key");
        open_sealing_key(&path, true).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            open_sealing_key(&path, true),
            Err(SealingKeyFileError::Exposed { .. })
        ));
    }
}
