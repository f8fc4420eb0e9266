//! The error type of the service layer.
//!
//! One enum for the whole floor, because every service fails for the same few reasons. It does not
//! know HTTP: `http/reply/problem.rs` is the one place that maps a variant to a status.

use std::time::Duration;

use crate::domain::action::Action;
use crate::domain::api_key::{ApiKeyError, MAX_KEYS_PER_USER};
use crate::domain::id::DatasetId;
use crate::files::FilesError;
use crate::storage::StorageError;
use crate::token::TokenError;

use super::identity::password::PasswordError;

type BoxedError = Box<dyn std::error::Error + Send + Sync>;

/// Why a service did not do what was requested.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The request has more than one credential, or one twice.
    #[error(
        "the request has more than one credential; send exactly one (a client may add one from .netrc or \
         from the URL)"
    )]
    MultipleCredentials,
    /// The credential is malformed, expired, revoked, unknown or of the wrong kind.
    #[error("{detail}")]
    CredentialRejected {
        /// What is wrong, for the caller; never in a way that helps guessing.
        detail: &'static str,
    },
    /// The download token is valid, but for another dataset.
    #[error("the download token is for another dataset")]
    TokenOfOtherDataset,
    /// The user name and the password do not match.
    #[error("the user name or the password is wrong")]
    LoginFailed,
    /// The caller is anonymous, and signing in could change the response.
    #[error("{detail}")]
    CredentialMissing {
        /// What to do, for the caller.
        detail: String,
    },
    /// A rate limit is exceeded.
    #[error("too many requests: try again in {retry_after_seconds} s")]
    LimitExceeded {
        /// When the next request is allowed, in whole seconds rounded up.
        retry_after_seconds: u64,
    },
    /// The dataset does not exist, or the caller may not know that it does.
    #[error("there is no dataset with this id")]
    DatasetNotFound,
    /// The caller may read the dataset, but it has no file.
    #[error("the dataset {dataset_id} has no file to download yet")]
    FileNotFound {
        /// The dataset without a file.
        dataset_id: DatasetId,
    },
    /// The caller may discover the dataset, but not read it.
    #[error("you may not read this dataset")]
    ReadDenied,
    /// A restricted API key was used to manage API keys.
    #[error(
        "a restricted API key cannot manage API keys: sign in, or use a key without restrictions"
    )]
    KeyScopeRestricted,
    /// A restricted API key was used to change its own user.
    #[error(
        "a restricted API key cannot change its own user, credentials, sessions or roles: sign in, or \
         use a key without restrictions"
    )]
    OwnUserProtected,
    /// The caller would gain an administrative action or a role that the policies do not give it.
    #[error("not permitted: with this, more could be done than the policies allow you to")]
    PrivilegeExceeded,
    /// Without this API key, no admin could sign in.
    #[error("this API key is how the last admin signs in: give an admin a password first")]
    LastAdminKey,
    /// The caller has no such API key; keys of other users look the same as unknown ones.
    #[error("you have no API key with this id")]
    ApiKeyNotFound,
    /// The user has the maximum number of API keys.
    #[error("limit of {MAX_KEYS_PER_USER} active API keys reached; revoke one first")]
    TooManyApiKeys,
    /// The requested API key is invalid.
    #[error(transparent)]
    ApiKeyInvalid(#[from] ApiKeyError),
    /// The policies deny the administrative action.
    #[error("not permitted: the policies do not allow you to {action} here")]
    AdministrationDenied {
        /// The denied action.
        action: Action,
    },
    /// Nothing of this kind has this id or name.
    #[error("there is no such {what}")]
    NotFound {
        /// What was looked for.
        what: &'static str,
    },
    /// The request conflicts with the current state.
    #[error("{detail}")]
    Conflict {
        /// The conflicting field.
        field: &'static str,
        /// Why, and what to do.
        detail: String,
    },
    /// A question of a service is malformed beyond what its form shows.
    #[error("{detail}")]
    QuestionInvalid {
        /// What is wrong with it.
        detail: &'static str,
    },
    /// A field has an invalid value.
    #[error("{field}: {detail}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// The bytes of a file ended early, were too many or took too long; none of them was stored.
    #[error("the upload is incomplete: {source}")]
    UploadIncomplete {
        /// The error of the connection.
        #[source]
        source: std::io::Error,
    },
    /// The resource is no longer in the version that the caller expects.
    #[error("it has changed since you read it: read it again and retry")]
    PreconditionFailed,
    /// What the caller expects names no version at all.
    #[error("{detail}")]
    PreconditionIncomparable {
        /// Why, and what to do about it.
        detail: &'static str,
    },
    /// An edit of the policies does not start from what is in force any more.
    #[error("{detail}")]
    EditOutdated {
        /// What is in force, since when and by whom, and what to do.
        detail: String,
    },
    /// The request does not say which version it expects.
    #[error("{detail}")]
    PreconditionMissing {
        /// What to send.
        detail: &'static str,
    },
    /// The client went away before its long work was done; nothing was changed.
    #[error("the client went away before the work was done")]
    GivenUp,
    /// A dependency is temporarily unavailable; nothing was changed.
    #[error("{what} is not available")]
    Unavailable {
        /// What is unavailable.
        what: &'static str,
        /// Why, for the log.
        #[source]
        source: BoxedError,
    },
    /// The audit log did not respond in time: nothing was given, and the request may be on record.
    #[error(
        "the audit log did not respond in time; nothing was given, but the request may be on record"
    )]
    RecordUncertain,
    /// There is little free disk space, which is kept for audit records.
    #[error("free disk space is low: nothing new is stored until there is more")]
    StorageLow,
    /// An internal error; nothing was changed.
    #[error("{what} failed")]
    Internal {
        /// What failed.
        what: &'static str,
        /// Why, for the log.
        #[source]
        source: BoxedError,
    },
}

impl ServiceError {
    /// A rate limit that allows the next request after `wait`.
    pub(super) fn limit_exceeded(wait: Duration) -> Self {
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        Self::LimitExceeded {
            retry_after_seconds: seconds.try_into().unwrap_or(u64::MAX),
        }
    }

    pub(crate) fn unavailable(what: &'static str, source: impl Into<BoxedError>) -> Self {
        let source = source.into();
        Self::Unavailable { what, source }
    }

    pub(crate) fn internal(what: &'static str, source: impl Into<BoxedError>) -> Self {
        let source = source.into();
        Self::Internal { what, source }
    }

    pub(crate) fn invalid(field: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self::Invalid { field, detail }
    }

    pub(crate) fn conflict(field: &'static str, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self::Conflict { field, detail }
    }
}

impl From<StorageError> for ServiceError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Unavailable { .. } => Self::unavailable("the database", error),
            _ => Self::internal("the database", error),
        }
    }
}

impl From<FilesError> for ServiceError {
    fn from(error: FilesError) -> Self {
        let what = match &error {
            FilesError::RemoteStoreUnknown { .. }
            | FilesError::RemoteMissing { .. }
            | FilesError::RemoteReplaced { .. }
            | FilesError::RemoteRefused { .. }
            | FilesError::RemoteUnavailable { .. } => "the store of the file",
            _ => "the file store",
        };
        Self::unavailable(what, error)
    }
}

impl From<PasswordError> for ServiceError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => Self::unavailable("signing in", error),
            _ => Self::internal("checking a password", error),
        }
    }
}

impl From<TokenError> for ServiceError {
    /// For signing and key handling; a token that fails verification is a rejected credential.
    fn from(error: TokenError) -> Self {
        Self::internal("signing", error)
    }
}
