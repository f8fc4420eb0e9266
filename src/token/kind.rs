//! The two kinds of token: download tokens and session tokens.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::error::TokenError;

/// The kind of a token; neither kind is ever accepted in place of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    Download,
    Session,
}

impl TokenKind {
    /// The header's `typ` (RFC 8725 section 3.11; `at+jwt` is of RFC 9068).
    pub(super) fn header_typ(self) -> &'static str {
        match self {
            Self::Download => "download+jwt",
            Self::Session => "at+jwt",
        }
    }

    /// The claim `typ`, and the name of this kind in messages.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::Session => "session",
        }
    }

    /// The header of every token of this kind that `kid` signs, in base64url.
    pub(super) fn encoded_header(self, kid: &str) -> String {
        let typ = self.header_typ();
        // A kid is base64url and a typ is fixed, so nothing needs escaping.
        URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"{typ}"}}"#))
    }

    /// Rejects a claim `typ` of another kind.
    pub(super) fn check_claim(self, typ: &str) -> Result<(), TokenError> {
        if typ == self.as_str() {
            Ok(())
        } else {
            Err(self.mismatch())
        }
    }

    pub(super) fn mismatch(self) -> TokenError {
        TokenError::WrongKind {
            expected: self.as_str(),
        }
    }
}
