//! What can go wrong with tokens and keys.
//!
//! No message holds any part of a token or of a private key: every text here is fixed or comes
//! from the server's own settings. This module refuses to know HTTP statuses.

use std::fmt;

/// Why a token or a key was refused, or could not be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The token does not have the form that this server gives its tokens.
    #[error("the {part} {flaw}")]
    Malformed {
        /// Where the flaw is.
        part: TokenPart,
        /// What the flaw is.
        flaw: Defect,
    },
    /// The header names another algorithm than ES256 (RFC 8725 section 3.1).
    #[error("the token is not signed with ES256")]
    WrongAlgorithm,
    /// The header of an outside token names an algorithm that its issuer is not trusted with.
    #[error("the token is signed with an algorithm that is not accepted")]
    AlgorithmNotAccepted,
    /// An outside token is bound to a key that a bearer does not prove to hold (RFC 7800, RFC 9449).
    #[error("the token is bound to a key: a bearer token is needed")]
    SenderConstrained,
    /// The token says that it is not valid yet.
    #[error("the token is not valid before {not_before} and it is {now} (seconds since 1970 UTC)")]
    NotBefore {
        /// The claim `nbf`, seconds since 1970 UTC.
        not_before: i64,
        /// When it was checked, seconds since 1970 UTC.
        now: i64,
    },
    /// A key set of an outside issuer cannot be used.
    #[error("the key set cannot be used: {reason}")]
    InvalidKeySet {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The token is of another kind, a session token for a download token for instance
    /// (RFC 8725 section 3.11).
    #[error("the token is not a {expected} token")]
    WrongKind {
        /// The kind that was needed: `download` or `session`.
        expected: &'static str,
    },
    /// The header names a key that is not in the key set.
    #[error("the token names a signing key that is not published")]
    UnknownKey,
    /// The signature does not belong to the header, the payload and the key.
    #[error("the token's signature does not verify")]
    BadSignature,
    /// The token comes from another issuer.
    #[error("the token comes from another issuer")]
    WrongIssuer,
    /// The token is for another audience.
    #[error("the token is for another audience")]
    WrongAudience,
    /// The token's time is over.
    #[error("the token expired at {expires_at} and it is {now} (seconds since 1970 UTC)")]
    Expired {
        /// The claim `exp`, seconds since 1970 UTC.
        expires_at: i64,
        /// When it was checked, seconds since 1970 UTC.
        now: i64,
    },
    /// The token says that it was issued in the future.
    #[error("the token was issued at {issued_at} but it is {now} (seconds since 1970 UTC)")]
    NotYetValid {
        /// The claim `iat`, seconds since 1970 UTC.
        issued_at: i64,
        /// When it was checked, seconds since 1970 UTC.
        now: i64,
    },
    /// The token lives no time at all, or longer than its kind may.
    #[error("the token would live {seconds} s, which its kind of token may not")]
    WrongLifetime {
        /// `exp` minus `iat`, in seconds.
        seconds: i64,
    },
    /// A session token was asked for a caller that proved nothing.
    #[error("a session token needs a caller who signed in")]
    Unauthenticated,
    /// A token could not be signed.
    #[error("the token could not be signed: {reason}")]
    Sign {
        /// What the library says.
        reason: String,
    },
    /// A signing key could not be generated.
    #[error("a signing key could not be generated: {reason}")]
    KeyGeneration {
        /// What the library says.
        reason: String,
    },
    /// A key is not a P-256 key that is whole and fits its own id.
    #[error("the signing key is unusable: {reason}")]
    InvalidSigningKey {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The same key stands twice in one key set.
    #[error("the key {kid} is in the key set twice")]
    DuplicateKey {
        /// The key's id, which is public.
        kid: String,
    },
    /// A text is no sealing key.
    #[error("the sealing key must be 32 bytes in base64 or base64url: {reason}")]
    InvalidSealingKey {
        /// What is wrong with the text, without the text.
        reason: &'static str,
    },
    /// A signing key could not be sealed.
    #[error("the signing key could not be sealed: {reason}")]
    Seal {
        /// What the library says.
        reason: String,
    },
    /// A sealed signing key could not be opened.
    #[error("the sealed signing key could not be opened: {reason}")]
    Unseal {
        /// What is wrong.
        reason: &'static str,
    },
}

/// The part of a token that is flawed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenPart {
    /// The token as a whole.
    Token,
    /// The first part: the JOSE header.
    Header,
    /// The second part: the claims.
    Payload,
    /// The third part.
    Signature,
}

/// What is wrong with a part of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// It is longer than [`super::MAX_TOKEN_LENGTH`].
    TooLong,
    /// It has more or less than three parts.
    NotThreeParts,
    /// It is not base64url without padding, or not its one canonical spelling (RFC 7515 section 2).
    NotBase64url,
    /// It is not one JSON object.
    NotJsonObject,
    /// A member that must be there is missing.
    MissingMember,
    /// There is a member that this kind of token does not have: `crit` and `jwk` among them.
    UnknownMember,
    /// A member is there twice (RFC 7515 section 4, RFC 7519 section 4).
    DuplicateMember,
    /// A member has another JSON type than it must.
    WrongType,
    /// A member has the right type and a value that it cannot have.
    WrongValue,
    /// The signature is not 64 bytes, as a DER signature is not (RFC 7518 section 3.4).
    WrongSignatureLength,
    /// `r` or `s` of the signature is zero, or not below the order of the curve.
    SignatureOutOfRange,
}

impl fmt::Display for TokenPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token => "token",
            Self::Header => "token's header",
            Self::Payload => "token's payload",
            Self::Signature => "token's signature",
        })
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "is too long",
            Self::NotThreeParts => "does not have exactly three parts",
            Self::NotBase64url => "is not canonical base64url without padding",
            Self::NotJsonObject => "is not a JSON object",
            Self::MissingMember => "lacks a member",
            Self::UnknownMember => "has a member that it may not have",
            Self::DuplicateMember => "has a member twice",
            Self::WrongType => "has a member of the wrong type",
            Self::WrongValue => "has a member with an impossible value",
            Self::WrongSignatureLength => "is not 64 bytes",
            Self::SignatureOutOfRange => "is out of range",
        })
    }
}

impl Defect {
    /// Shorthand for the error that says where this flaw is.
    pub(super) fn in_part(self, part: TokenPart) -> TokenError {
        TokenError::Malformed { part, flaw: self }
    }
}
