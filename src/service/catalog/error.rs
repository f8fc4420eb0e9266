//! Why a catalog file was not applied.

use super::diagnostic::CatalogDiagnostics;
use super::removals::RemovalRefusal;
use crate::domain::name::Username;
use crate::files::FilesError;
use crate::service::identity::password::PasswordError;
use crate::storage::StorageError;

/// Why a catalog file was not applied; the catalog is as it was.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The file is invalid.
    #[error(transparent)]
    Invalid(#[from] CatalogDiagnostics),
    /// The file gives something to users that others created or changed.
    #[error("{0}")]
    NeedsAdoption(CatalogDiagnostics),
    /// The file would remove most of what there is, and no flag says that this is meant.
    #[error(transparent)]
    TooManyRemovals(#[from] RemovalRefusal),
    /// No admin who can sign in would remain.
    #[error("no enabled admin who can sign in would remain")]
    NoAdminLeft,
    /// A dataset's file could not be stored.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// A password could not be hashed or checked.
    #[error("the password of {username}: {source}")]
    Password {
        /// Whose password it is.
        username: Username,
        /// What went wrong.
        source: PasswordError,
    },
    /// The catalog could not be read or written.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Another process applies a catalog file and does not end.
    #[error("another catalog apply is running")]
    AnotherIsRunning,
    /// It was told to stop.
    #[error("interrupted")]
    Interrupted,
    /// Another process took this one for dead.
    #[error("another catalog apply took over: this one had shown no life for too long")]
    LeaseLost,
    /// Others changed what the file names at every attempt.
    #[error("too many concurrent changes to what the file names: try again")]
    TooManyConcurrentChanges,
}
