//! Sessions and their refresh tokens.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::clock::MAX_CLOCK_SKEW;
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

impl Session {
    /// Whether the session has started and not expired at `now`, in seconds since 1970 UTC.
    ///
    /// One that started later than now would last longer than sessions do: the clock has been set back.
    #[must_use]
    pub fn is_valid_at(&self, now: i64) -> bool {
        self.started_at <= now.saturating_add(MAX_CLOCK_SKEW) && now < self.expires_at
    }
}

/// How long after its first use a refresh token still gives a sibling of its successor, in seconds; 0 is strict.
///
/// Honest clients use a token twice: two tabs at the same moment, or one that repeats a refresh whose response
/// was lost. RFC 9700 section 4.14.2 ends the session on any reuse, because the server cannot tell who is
/// legitimate. Within the grace it need not: a thief who uses the token then has won the same race without it,
/// and reuse later still ends the session for both. The grace counts from the first use alone, so that no use
/// prolongs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshGrace(pub u32);

impl RefreshGrace {
    /// Whether a token that was first used at `spent_at` gives a sibling at `now`, in seconds since 1970 UTC.
    ///
    /// Both are whole seconds, so the last one counts in full. A first use in the future is one on a replica
    /// whose clock is ahead, as far as clocks may differ; beyond that the clock was set, and nothing is granted.
    #[must_use]
    pub fn covers(self, spent_at: i64, now: i64) -> bool {
        let elapsed = now.saturating_sub(spent_at);
        self.0 > 0 && (-MAX_CLOCK_SKEW..=i64::from(self.0)).contains(&elapsed)
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
    fn the_grace_counts_from_the_first_use_and_zero_is_strict() {
        let grace = RefreshGrace(10);
        for (now, is_covered) in [
            (939, false),
            (940, true),
            (1000, true),
            (1010, true),
            (1011, false),
            (i64::MAX, false),
            (i64::MIN, false),
        ] {
            assert_eq!(grace.covers(1000, now), is_covered, "{now}");
            assert!(!RefreshGrace(0).covers(1000, now), "{now}");
        }
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
