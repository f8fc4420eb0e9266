//! Why a store or a server did not give a file.

/// Why a store or a server did not give a file.
#[derive(Debug, thiserror::Error)]
pub(super) enum RemoteError {
    /// There is no such file.
    #[error("there is no such file")]
    Missing,
    /// The file is no longer the version that was asked for.
    #[error("the file was replaced")]
    Replaced,
    /// The address must not be connected to.
    #[error("refused: {0}")]
    Refused(String),
    /// The store is not available, or does not give the file.
    #[error("{0}")]
    Failed(String),
}
