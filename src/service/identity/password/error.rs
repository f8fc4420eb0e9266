//! Why a password was not hashed or verified.

/// The minimum length of a new password, in characters of its normal form.
pub const MIN_PASSWORD_LENGTH: usize = 8;

/// The maximum length of a password, in bytes of its normal form.
pub const MAX_PASSWORD_LENGTH: usize = 1024;

/// The maximum length of a password as it is typed, in bytes: decomposed it may be three times as long
/// (UAX #15 section 12), and so may its spaces.
pub const MAX_TYPED_PASSWORD_LENGTH: usize = 3 * MAX_PASSWORD_LENGTH;

/// Why a password was not hashed or verified.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// A new password is shorter than [`MIN_PASSWORD_LENGTH`].
    #[error("a password must have at least {MIN_PASSWORD_LENGTH} characters")]
    TooShort,
    /// A new password is longer than [`MAX_PASSWORD_LENGTH`].
    #[error("a password must have at most {MAX_PASSWORD_LENGTH} bytes")]
    TooLong,
    /// A hash that cannot be verified at a bounded cost.
    #[error("not a usable password hash: {reason}")]
    UnusableHash {
        /// What is wrong with it, without the hash.
        reason: String,
    },
    /// Too many checks are waiting already.
    #[error("too many passwords are waiting to be checked")]
    Busy,
    /// The hash function or its thread failed.
    #[error("the password hash function failed: {reason}")]
    Failed {
        /// The error of the library.
        reason: String,
    },
}

impl PasswordError {
    #[allow(
        clippy::needless_pass_by_value,
        reason = "used as a function of map_err"
    )]
    pub(super) fn failed(error: impl std::fmt::Display) -> Self {
        Self::Failed {
            reason: error.to_string(),
        }
    }
}
