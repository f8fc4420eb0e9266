//! What a capability answers when it does not do what was asked.
//!
//! One enum for the whole floor, because every capability refuses for the same few reasons. It
//! refuses to know HTTP: `http/problem.rs` is the one place that gives a variant its status.

use crate::domain::action::Action;
use crate::domain::api_key::{ApiKeyError, MAX_KEYS_PER_USER};
use crate::domain::id::DatasetId;
use crate::files::FilesError;
use crate::storage::StorageError;
use crate::token::TokenError;

use super::identity::password::PasswordError;

/// Why a capability did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The request's credentials cannot be read, or there is more than one.
    #[error("{detail}")]
    CredentialMalformed {
        /// What is wrong, for the caller.
        detail: &'static str,
    },
    /// A credential that does not resolve: expired, revoked, unknown or of another kind.
    #[error("{detail}")]
    CredentialRejected {
        /// What is wrong, for the caller; never why in a way that helps guessing.
        detail: &'static str,
    },
    /// A user name and a password that do not belong together.
    #[error("the user name or the password is wrong")]
    LoginFailed,
    /// The caller is anonymous, and signing in could change the answer.
    #[error("{detail}")]
    CredentialMissing {
        /// What to do, for the caller.
        detail: String,
    },
    /// The caller's bucket is empty.
    #[error("too many requests: try again in {retry_after_seconds} s")]
    LimitExceeded {
        /// When the bucket holds the next request, in whole seconds rounded up.
        retry_after_seconds: u64,
    },
    /// There is no such dataset, or the caller may not know that there is.
    #[error("there is no dataset with this id")]
    DatasetNotFound,
    /// The caller may read the dataset, but there is nothing to read.
    #[error("the dataset {dataset_id} has no file to download yet")]
    FileNotFound {
        /// The dataset without a file.
        dataset_id: DatasetId,
    },
    /// The caller may know of the dataset, but not read it.
    #[error("you may not read this dataset")]
    ReadDenied,
    /// An API key with a limit was shown where keys are managed.
    #[error("an API key with a limit manages nothing: sign in, or use one without limits")]
    KeyScopeRestricted,
    /// The caller has no such API key; those of others are not told from unknown ones.
    #[error("you have no API key with this id")]
    ApiKeyNotFound,
    /// The user has as many API keys as a user can have.
    #[error("you have {MAX_KEYS_PER_USER} living API keys, which is the most: revoke one first")]
    TooManyApiKeys,
    /// The API key cannot be made so.
    #[error(transparent)]
    ApiKeyInvalid(#[from] ApiKeyError),
    /// The policies do not let the caller administer so.
    #[error("you may not do this: the policies do not permit you to {action} here")]
    AdministrationDenied {
        /// What was denied.
        action: Action,
    },
    /// There is nothing of this kind with this id or name.
    #[error("there is no such {what}")]
    NotFound {
        /// What was looked for.
        what: &'static str,
    },
    /// What is to be is at odds with what there is.
    #[error("{detail}")]
    Conflict {
        /// The field that is at odds.
        field: &'static str,
        /// Why, and what to do.
        detail: String,
    },
    /// A field has a value that cannot be.
    #[error("{field}: {detail}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The bytes of a file ended early, were too many or took too long; none of them was kept.
    #[error("the file did not arrive whole: {source}")]
    UploadIncomplete {
        /// What the connection said.
        #[source]
        source: std::io::Error,
    },
    /// What is to be changed is not any more what the caller saw.
    #[error("it has changed since you read it: read it again and decide anew")]
    PreconditionFailed,
    /// Something that is needed is away for now; nothing was done.
    #[error("{what} is not available")]
    Unavailable {
        /// What is away.
        what: &'static str,
        /// Why, for the log.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Something that must not happen happened; nothing was done.
    #[error("{what} failed")]
    Internal {
        /// What failed.
        what: &'static str,
        /// Why, for the log.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl From<StorageError> for ServiceError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Unavailable { .. } => Self::Unavailable {
                what: "the database",
                source: error.into(),
            },
            _ => Self::Internal {
                what: "the database",
                source: error.into(),
            },
        }
    }
}

impl From<FilesError> for ServiceError {
    fn from(error: FilesError) -> Self {
        Self::Unavailable {
            what: "the file store",
            source: error.into(),
        }
    }
}

impl From<PasswordError> for ServiceError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => Self::Unavailable {
                what: "signing in",
                source: error.into(),
            },
            _ => Self::Internal {
                what: "checking a password",
                source: error.into(),
            },
        }
    }
}

impl From<TokenError> for ServiceError {
    /// For signing and key handling; a token that does not verify is a refused credential.
    fn from(error: TokenError) -> Self {
        Self::Internal {
            what: "signing",
            source: error.into(),
        }
    }
}
