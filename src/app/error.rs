//! The errors of the start.

use crate::domain::error_chain::error_chain;
use crate::files::FilesError;
use crate::policy::BundleError;
use crate::service::error::ServiceError;
use crate::service::identity::password::PasswordError;
use crate::service::policies::reload::PolicyStartError;
use crate::service::tokens::sealing_key_file::SealingKeyFileError;
use crate::service::tokens::signing_keys::SigningKeysError;
use crate::storage::StorageError;

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The data directory cannot be created.
    #[error("cannot create the data directory {path}: {source}")]
    DataDir {
        /// The directory.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The policies are invalid.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The policies do not pass the policy gate.
    #[error("{0}")]
    Policies(PolicyStartError),
    /// The policies cannot be loaded, or their rejection cannot be recorded.
    #[error("cannot load the policies: {}", error_chain(.0))]
    Reload(ServiceError),
    /// The tables are of an older program, whose servers may be running.
    #[error(
        "the database is of an older version: it has migration {found}, this program needs {known}"
    )]
    OlderSchema {
        /// The newest migration of the database.
        found: i64,
        /// The newest migration of this program.
        known: i64,
    },
    /// The database cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The file store cannot be used.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// The sealing key cannot be used.
    #[error(transparent)]
    Sealing(#[from] SealingKeyFileError),
    /// The signing keys cannot be used.
    #[error("cannot use the signing keys: {}", error_chain(.0))]
    Keys(SigningKeysError),
    /// Passwords cannot be checked.
    #[error(transparent)]
    Passwords(#[from] PasswordError),
    /// The keys of an identity provider cannot be used.
    #[error("cannot use the keys of an identity provider: {reason}")]
    IdentityProviders {
        /// The cause.
        reason: String,
    },
    /// Metrics cannot be recorded.
    #[error("cannot record metrics: {reason}")]
    Metrics {
        /// The cause.
        reason: String,
    },
}

impl From<PolicyStartError> for AppError {
    fn from(error: PolicyStartError) -> Self {
        match error {
            PolicyStartError::Invalid(error) => Self::Bundle(error),
            PolicyStartError::Storage(error) => Self::Storage(error),
            error @ PolicyStartError::Rejected { .. } => Self::Policies(error),
        }
    }
}
