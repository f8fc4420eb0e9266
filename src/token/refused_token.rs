//! External tokens that are refused: the reason as an error, and for the log.

use crate::domain::token_refusal::{TokenCheck, TokenRefusal};

use super::error::TokenError;

/// An external token that is refused: the reason as an error, and for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedToken {
    /// The error.
    pub error: TokenError,
    /// The check that failed, with what the token has.
    pub refusal: TokenRefusal,
}

impl RefusedToken {
    pub(super) fn new(
        error: TokenError,
        check: TokenCheck,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) -> Self {
        let refusal = TokenRefusal::new(check, expected, got);
        Self { error, refusal }
    }

    /// A token whose form is not that of a JWT; the error's text is fixed.
    pub(super) fn malformed(error: TokenError) -> Self {
        let got = error.to_string();
        Self::new(error, TokenCheck::Form, "a JWT of three parts", got)
    }
}
