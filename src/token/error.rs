//! Errors of tokens and keys.
//!
//! No message contains any part of a token or of a private key: every text here is fixed or comes
//! from the server's own settings.

use std::fmt;

use crate::domain::id::DatasetIdError;

/// Why a token or a key was rejected or could not be created.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The token does not have the form that this server gives its tokens.
    #[error("the {part} {defect}")]
    Malformed {
        /// The part with the defect.
        part: TokenPart,
        /// The defect.
        defect: Defect,
    },
    /// The header names an algorithm other than ES256 (RFC 8725 section 3.1).
    #[error("the token is not signed with ES256")]
    WrongAlgorithm,
    /// The header of an external token names an algorithm that is not accepted from its issuer.
    #[error("the token is signed with an algorithm that is not accepted")]
    AlgorithmNotAccepted,
    /// An external token is bound to a key, so that bearing it is not enough (RFC 7800, RFC 9449).
    #[error("the token is bound to a key, but a bearer token is required")]
    SenderConstrained,
    /// The token is not valid yet.
    #[error("the token is not valid before {not_before} and it is {now} (seconds since 1970 UTC)")]
    NotBefore {
        /// The claim `nbf`, seconds since 1970 UTC.
        not_before: i64,
        /// When the token was checked, seconds since 1970 UTC.
        now: i64,
    },
    /// The key set of an external issuer cannot be used.
    #[error("the key set cannot be used: {reason}")]
    InvalidKeySet {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The token is of another kind, such as a session token in place of a download token (RFC 8725
    /// section 3.11).
    #[error("the token is not a {expected} token")]
    WrongKind {
        /// The expected kind: `download`, `session` or `bearer`.
        expected: &'static str,
    },
    /// The header names a key that is not in the key set.
    #[error("the token names an unknown signing key")]
    UnknownKey,
    /// The signature does not match the header, the payload and the key.
    #[error("the token's signature does not verify")]
    BadSignature,
    /// The token comes from another issuer.
    #[error("the token comes from another issuer")]
    WrongIssuer,
    /// The token is for another audience.
    #[error("the token is for another audience")]
    WrongAudience,
    /// The token is for another dataset.
    #[error("the token is for another dataset")]
    WrongDataset,
    /// The id of the dataset that is asked for is no UUID.
    #[error(transparent)]
    NotADataset(#[from] DatasetIdError),
    /// The token has expired.
    #[error("the token expired at {expires_at} and it is {now} (seconds since 1970 UTC)")]
    Expired {
        /// The claim `exp`, seconds since 1970 UTC.
        expires_at: i64,
        /// When the token was checked, seconds since 1970 UTC.
        now: i64,
    },
    /// The token's `iat` is in the future.
    #[error("the token was issued at {issued_at} but it is {now} (seconds since 1970 UTC)")]
    NotYetValid {
        /// The claim `iat`, seconds since 1970 UTC.
        issued_at: i64,
        /// When the token was checked, seconds since 1970 UTC.
        now: i64,
    },
    /// The token's lifetime is not positive, or longer than its kind allows.
    #[error("the token has a lifetime of {seconds} s, which its kind does not allow")]
    WrongLifetime {
        /// `exp` minus `iat`, in seconds.
        seconds: i64,
    },
    /// A session token was requested for a caller that did not authenticate.
    #[error("a session token needs an authenticated caller")]
    Unauthenticated,
    /// A token could not be signed.
    #[error("the token could not be signed: {reason}")]
    Sign {
        /// The message of the library.
        reason: String,
    },
    /// A signing key could not be generated.
    #[error("a signing key could not be generated: {reason}")]
    KeyGeneration {
        /// The message of the library.
        reason: String,
    },
    /// A signing key is not a complete P-256 key that matches its id.
    #[error("the signing key is unusable: {reason}")]
    InvalidSigningKey {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A key is in a key set twice.
    #[error("the key {kid} is in the key set twice")]
    DuplicateKey {
        /// The id of the key; not secret.
        kid: String,
    },
    /// A text is not a sealing key.
    #[error("the sealing key must be 32 bytes in base64 or base64url: {reason}")]
    InvalidSealingKey {
        /// What is wrong with the text, without quoting it.
        reason: &'static str,
    },
    /// A signing key could not be sealed.
    #[error("the signing key could not be sealed: {reason}")]
    Seal {
        /// The message of the library.
        reason: String,
    },
    /// A sealed signing key could not be unsealed.
    #[error("the sealed signing key could not be unsealed: {reason}")]
    Unseal {
        /// What is wrong.
        reason: &'static str,
    },
}

/// The part of a token that has a defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenPart {
    /// The token as a whole.
    Token,
    /// The first part: the JOSE header.
    Header,
    /// The second part: the claims.
    Payload,
    /// The third part: the signature.
    Signature,
}

/// What is wrong with a part of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// It is longer than its maximum length.
    TooLong,
    /// It has more or less than three parts.
    NotThreeParts,
    /// It is not canonical base64url without padding (RFC 7515 section 2).
    NotBase64url,
    /// It is not a JSON object.
    NotJsonObject,
    /// A required member is missing.
    MissingMember,
    /// It has a member that this kind of token may not have, such as `crit` or `jwk`.
    UnknownMember,
    /// A member is there twice (RFC 7515 section 4, RFC 7519 section 4).
    DuplicateMember,
    /// A number is out of range.
    NumberOutOfRange,
    /// A member has the wrong JSON type.
    WrongType,
    /// A member has the right type and an invalid value.
    WrongValue,
    /// The signature does not have the length of `r` and `s`, for example because it is DER (RFC
    /// 7518 section 3.4).
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
            Self::UnknownMember => "has an unknown or forbidden member",
            Self::DuplicateMember => "has a member twice",
            Self::NumberOutOfRange => "has a number that is out of range",
            Self::WrongType => "has a member of the wrong type",
            Self::WrongValue => "has a member with an invalid value",
            Self::WrongSignatureLength => "is not 64 bytes",
            Self::SignatureOutOfRange => "is out of range",
        })
    }
}

impl Defect {
    /// The error for this defect in `part`.
    pub(super) fn in_part(self, part: TokenPart) -> TokenError {
        TokenError::Malformed { part, defect: self }
    }
}
