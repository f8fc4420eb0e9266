//! Errors of identity providers: a token that is not accepted, a key set that is not fetched.

use std::time::Duration;

use crate::domain::token_refusal::TokenRefusal;
use crate::service::error::ServiceError;
use crate::token::TokenError;

/// How long fetching a key set may take, discovery included.
pub(super) const FETCH_TIMEOUT: Duration = Duration::from_secs(8);
/// The maximum size of a discovery document and of a key set, in bytes.
pub(super) const MAX_DOCUMENT_SIZE: usize = 256 * 1024;

/// Why a token of an identity provider is not accepted.
#[derive(Debug)]
pub enum ExternalTokenError {
    /// The token is not valid, or has a claim that cannot be mapped.
    Refused(TokenRefusal),
    /// Currently there are no keys to verify with; the reason is for the log.
    KeysUnavailable(String),
    /// The token was not verified: its address has no attempts left.
    NotAdmitted(ServiceError),
}

/// Why a key set was not fetched. The messages are for operators: logs, health and the admin API.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// The file cannot be read.
    #[error("the key set file {path} cannot be read: {source}")]
    File {
        /// The file.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// There was no response.
    #[error("{url} cannot be fetched: {reason}")]
    Unreachable {
        /// The URL.
        url: String,
        /// Why not.
        reason: String,
    },
    /// The fetch took too long.
    #[error("{url} was not fetched within {} seconds", FETCH_TIMEOUT.as_secs())]
    TooSlow {
        /// The URL.
        url: String,
    },
    /// The status is not 200.
    #[error("{url} answers {status}")]
    Status {
        /// The URL.
        url: String,
        /// The status.
        status: u16,
    },
    /// The response is too large.
    #[error("the response of {url} is larger than {MAX_DOCUMENT_SIZE} bytes")]
    TooLarge {
        /// The URL.
        url: String,
    },
    /// The discovery document is not usable.
    #[error("the discovery document {url} cannot be used: {reason}")]
    Discovery {
        /// The URL.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The key set is not usable.
    #[error(transparent)]
    KeySet(#[from] TokenError),
}
