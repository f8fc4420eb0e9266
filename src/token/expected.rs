//! What a verifier expects of any token: issuer, audience and time.
//!
//! It refuses to know the claims that only one kind of token has.

use super::error::TokenError;

/// How far ahead a token's `iat` may be, in seconds: replicas whose clocks differ a little.
pub const MAX_CLOCK_SKEW: i64 = 60;

/// What a token must say to be accepted here and now.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedClaims<'a> {
    /// The claim `iss`, compared byte for byte (RFC 7519 section 4.1.1).
    pub issuer: &'a str,
    /// The claim `aud`, compared byte for byte (RFC 7519 section 4.1.3).
    pub audience: &'a str,
    /// The time in seconds since 1970 UTC.
    pub now: i64,
}

/// The claims that both kinds of token have, as they stand in one token.
#[derive(Clone, Copy, Debug)]
pub(super) struct CommonClaims<'a> {
    pub(super) issuer: &'a str,
    pub(super) audience: &'a str,
    pub(super) issued_at: i64,
    pub(super) expires_at: i64,
}

impl ExpectedClaims<'_> {
    /// Holds the claims that both kinds have against what is expected.
    ///
    /// `exp` is the first second in which the token is dead (RFC 7519 section 4.1.4); there is no
    /// leeway, because the clock that issued it is the clock that checks it.
    pub(super) fn validate(
        &self,
        claims: CommonClaims<'_>,
        longest_life: i64,
    ) -> Result<(), TokenError> {
        if claims.issuer != self.issuer {
            return Err(TokenError::WrongIssuer);
        }
        if claims.audience != self.audience {
            return Err(TokenError::WrongAudience);
        }
        check_lifetime(claims.issued_at, claims.expires_at, longest_life)?;
        if claims.issued_at > self.now.saturating_add(MAX_CLOCK_SKEW) {
            return Err(TokenError::NotYetValid {
                issued_at: claims.issued_at,
                now: self.now,
            });
        }
        if claims.expires_at <= self.now {
            return Err(TokenError::Expired {
                expires_at: claims.expires_at,
                now: self.now,
            });
        }
        Ok(())
    }
}

/// Refuses a life of less than a second or of more than `longest_life` seconds.
pub(super) fn check_lifetime(
    issued_at: i64,
    expires_at: i64,
    longest_life: i64,
) -> Result<(), TokenError> {
    let seconds = expires_at.saturating_sub(issued_at);
    if (1..=longest_life).contains(&seconds) {
        Ok(())
    } else {
        Err(TokenError::WrongLifetime { seconds })
    }
}
