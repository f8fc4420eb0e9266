//! Sessions and their refresh tokens.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::id::{SessionId, UserId};
use super::secret::Secret;

/// One session, which starts with a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id, which session tokens carry as `sid`.
    pub id: SessionId,
    /// Who signed in.
    pub user_id: UserId,
    /// When the login was, in seconds since 1970 UTC.
    pub started_at: i64,
    /// The first second in which the session is over, since 1970 UTC; refreshing does not move it.
    pub expires_at: i64,
}

/// How far in the future a session may have started, in seconds, because the clocks of replicas differ.
const MAX_CLOCK_SKEW: i64 = 60;

impl Session {
    /// Whether the session has started and not expired at `now`, in seconds since 1970 UTC.
    ///
    /// One that started later than now would last longer than sessions do: the clock has been set back.
    #[must_use]
    pub fn is_valid_at(&self, now: i64) -> bool {
        self.started_at <= now.saturating_add(MAX_CLOCK_SKEW) && now < self.expires_at
    }
}

/// A refresh token: 256 random bits, written in base64url.
#[derive(Debug)]
pub struct RefreshToken(Secret<[u8; 32]>);

/// The SHA-256 of a refresh token, which is all that is stored of it.
///
/// A plain hash is enough: 256 random bits cannot be guessed, so salt and work would add nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RefreshTokenDigest(pub [u8; 32]);

impl fmt::Debug for RefreshTokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint")
    }
}

impl RefreshToken {
    /// Generates a new one.
    #[must_use]
    pub fn random() -> Self {
        Self(Secret::new(rand::random()))
    }

    /// Parses the text form.
    #[must_use]
    pub fn parse(text: &Secret<String>) -> Option<Self> {
        let mut bytes = [0; 32];
        // One byte more than the 43 characters need would not fit, and fails.
        let length = URL_SAFE_NO_PAD
            .decode_slice(text.reveal(), &mut bytes)
            .ok()?;
        (length == bytes.len()).then(|| Self(Secret::new(bytes)))
    }

    /// The text form: 43 characters of base64url without padding (RFC 4648 section 5).
    #[must_use]
    pub fn to_text(&self) -> Secret<String> {
        Secret::new(URL_SAFE_NO_PAD.encode(self.0.reveal()))
    }

    /// The digest to store.
    #[must_use]
    pub fn digest(&self) -> RefreshTokenDigest {
        RefreshTokenDigest(Sha256::digest(self.0.reveal()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refresh_token_is_read_back_from_its_own_text() {
        let token = RefreshToken::random();
        let text = token.to_text();
        assert_eq!(text.reveal().len(), 43);
        let read = RefreshToken::parse(&text).unwrap();
        assert_eq!(read.digest(), token.digest());
        assert_ne!(
            RefreshToken::random().digest(),
            RefreshToken::random().digest()
        );
    }

    #[test]
    fn malformed_refresh_tokens_are_rejected() {
        let text = RefreshToken::random().to_text();
        let text = text.reveal();
        for other in [
            String::new(),
            text[1..].to_owned(),
            format!("{text}A"),
            format!("{text}="),
            format!(" {text}"),
            "A".repeat(100_000),
            "é".repeat(21),
            "+/".repeat(21) + "A",
        ] {
            assert!(RefreshToken::parse(&Secret::new(other)).is_none());
        }
    }
}
