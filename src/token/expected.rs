//! Validation of the claims that both kinds of token have: issuer, audience and time.

use super::error::TokenError;
use crate::domain::clock::MAX_CLOCK_SKEW;

/// The claims that a token must have to be accepted.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedClaims<'a> {
    /// The claim `iss`, compared byte for byte (RFC 7519 section 4.1.1).
    pub issuer: &'a str,
    /// The claim `aud`, compared byte for byte (RFC 7519 section 4.1.3).
    pub audience: &'a str,
    /// The time in seconds since 1970 UTC.
    pub now: i64,
}

/// The claims that both kinds of token have.
#[derive(Clone, Copy, Debug)]
pub(super) struct CommonClaims<'a> {
    pub(super) issuer: &'a str,
    pub(super) audience: &'a str,
    pub(super) issued_at: i64,
    pub(super) expires_at: i64,
}

/// By how much clocks may differ, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leeway {
    /// How far in the future `iat` may be.
    pub(super) issued_ahead: i64,
    /// How long ago `exp` may be.
    pub(super) expired: i64,
}

impl ExpectedClaims<'_> {
    /// Validates the claims that both kinds have.
    ///
    /// `exp` is the first second in which the token is expired (RFC 7519 section 4.1.4). There is
    /// no leeway: no token is accepted here for longer than it says. `iat` may be a little in the
    /// future, because another replica may have issued it.
    pub(super) fn validate(
        &self,
        claims: CommonClaims<'_>,
        max_lifetime: i64,
    ) -> Result<(), TokenError> {
        let leeway = Leeway {
            issued_ahead: MAX_CLOCK_SKEW,
            expired: 0,
        };
        self.validate_with(claims, max_lifetime, leeway)
    }

    /// Validates the claims that both kinds have, with this leeway.
    pub(super) fn validate_with(
        &self,
        claims: CommonClaims<'_>,
        max_lifetime: i64,
        leeway: Leeway,
    ) -> Result<(), TokenError> {
        if claims.issuer != self.issuer {
            return Err(TokenError::WrongIssuer);
        }
        if claims.audience != self.audience {
            return Err(TokenError::WrongAudience);
        }
        check_lifetime(claims.issued_at, claims.expires_at, max_lifetime)?;
        if claims.issued_at > self.now.saturating_add(leeway.issued_ahead) {
            return Err(TokenError::NotYetValid {
                issued_at: claims.issued_at,
                now: self.now,
            });
        }
        if claims.expires_at.saturating_add(leeway.expired) <= self.now {
            return Err(TokenError::Expired {
                expires_at: claims.expires_at,
                now: self.now,
            });
        }
        Ok(())
    }
}

/// Rejects a lifetime of less than a second or of more than `max_lifetime` seconds.
pub(super) fn check_lifetime(
    issued_at: i64,
    expires_at: i64,
    max_lifetime: i64,
) -> Result<(), TokenError> {
    let seconds = expires_at.saturating_sub(issued_at);
    if (1..=max_lifetime).contains(&seconds) {
        Ok(())
    } else {
        Err(TokenError::WrongLifetime { seconds })
    }
}
