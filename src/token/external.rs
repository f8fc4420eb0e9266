//! External tokens: access and ID tokens of external issuers, sent in the `Authorization` header.
//!
//! They are JWTs of many implementations (RFC 7519, RFC 9068, `OpenID` Connect Core section 2), so
//! unknown members are ignored; a member that chooses the key or the rules is rejected.
//! Verification has two steps, because the key set may have to be fetched in between:
//! [`ExternalToken::parse`] checks form and claims, [`ExternalToken::verify`] the signature. Claims
//! are returned only by the second.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::domain::issuer::Algorithm;

use super::error::{Defect, TokenError, TokenPart};
use super::external_keys::ExternalKeySet;
use super::jws;
use super::jws::EncodedParts;
use super::strict_json::{self, StrictObject};

/// Maximum length of an external token, in bytes; some contain hundreds of groups.
pub const MAX_EXTERNAL_TOKEN_LENGTH: usize = 16 * 1024;

/// How far the clock of an external issuer may differ from ours, in seconds: `exp` counts so much
/// later, `nbf` and `iat` so much earlier (RFC 7519 section 4.1.4).
pub const EXTERNAL_TOKEN_LEEWAY: i64 = 30;

/// Maximum length of `sub`, in bytes (`OpenID` Connect Core section 2 allows 255).
const MAX_SUBJECT_LENGTH: usize = 255;

/// Header members that choose the key or the rules (RFC 7515 section 4.1, RFC 7797, RFC 7516):
/// always rejected.
const FORBIDDEN_HEADERS: [&str; 9] = [
    "jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc", "cty",
];

/// The claims that an external token must have to be accepted.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedExternalClaims<'a> {
    /// The claim `iss`, compared byte for byte.
    pub issuer: &'a str,
    /// The audience that the claim `aud` must be or contain, compared byte for byte.
    pub audience: &'a str,
    /// The algorithms accepted from the issuer.
    pub algorithms: &'a [Algorithm],
    /// The time in seconds since 1970 UTC.
    pub now: i64,
}

/// The claims of a verified external token.
#[derive(Clone, Debug, PartialEq)]
pub struct ExternalClaims {
    /// `sub`: the subject, permanent and unique for its issuer.
    pub subject: String,
    /// `iat`: seconds since 1970 UTC.
    pub issued_at: i64,
    /// `exp`: the first second in which the token is expired, leeway aside, since 1970 UTC.
    pub expires_at: i64,
    /// All claims, including those above.
    pub members: Map<String, Value>,
}

/// An external token with valid form and claims, whose signature is not verified yet.
pub struct ExternalToken<'t> {
    signed: &'t str,
    signature: Vec<u8>,
    algorithm: Algorithm,
    kid: String,
    claims: ExternalClaims,
}

/// The issuer that a token claims, unverified: only good for choosing how to verify the token.
pub fn unverified_issuer(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct UnverifiedClaims {
        iss: String,
    }
    let parts = EncodedParts::split(token, MAX_EXTERNAL_TOKEN_LENGTH).ok()?;
    let payload = jws::decode(parts.payload, TokenPart::Payload).ok()?;
    serde_json::from_slice::<UnverifiedClaims>(&payload)
        .ok()
        .map(|claims| claims.iss)
}

impl<'t> ExternalToken<'t> {
    /// Parses a token and checks everything but its signature.
    ///
    /// # Errors
    ///
    /// The first reason to reject it.
    pub fn parse(
        token: &'t str,
        expected: &ExpectedExternalClaims<'_>,
    ) -> Result<Self, TokenError> {
        let parts = EncodedParts::split(token, MAX_EXTERNAL_TOKEN_LENGTH)?;
        let header = jws::decode(parts.header, TokenPart::Header)?;
        let header: StrictObject = strict_json::parse_object(&header, TokenPart::Header)?;
        let (algorithm, kid) = check_header(&header, expected.algorithms)?;
        let signature = jws::decode(parts.signature, TokenPart::Signature)?;
        let payload = jws::decode(parts.payload, TokenPart::Payload)?;
        let payload: StrictObject = strict_json::parse_object(&payload, TokenPart::Payload)?;
        Ok(Self {
            signed: parts.signed,
            signature,
            algorithm,
            kid,
            claims: check_claims(payload, expected)?,
        })
    }

    /// The id of the key that the token names.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Verifies the signature and returns the claims.
    ///
    /// # Errors
    ///
    /// [`TokenError::UnknownKey`] if the key set has no such key for the token's algorithm,
    /// [`TokenError::BadSignature`] if the signature is not of that key.
    pub fn verify(&self, keys: &ExternalKeySet) -> Result<ExternalClaims, TokenError> {
        keys.verify(
            &self.kid,
            self.algorithm,
            self.signed.as_bytes(),
            &self.signature,
        )?;
        Ok(self.claims.clone())
    }
}

fn check_header(
    header: &StrictObject,
    accepted: &[Algorithm],
) -> Result<(Algorithm, String), TokenError> {
    let algorithm = header
        .required_str("alg", TokenPart::Header)?
        .parse()
        .ok()
        .filter(|algorithm| accepted.contains(algorithm))
        .ok_or(TokenError::AlgorithmNotAccepted)?;
    if FORBIDDEN_HEADERS
        .iter()
        .any(|name| header.0.contains_key(*name))
    {
        return Err(Defect::UnknownMember.in_part(TokenPart::Header));
    }
    // Other kinds of JWT, such as logout tokens or our own download tokens, have another `typ` (RFC
    // 8725 section 3.11). Media types are compared without regard to case, prefix or no prefix.
    if header.0.contains_key("typ") {
        let typ = header
            .required_str("typ", TokenPart::Header)?
            .to_ascii_lowercase();
        let typ = typ.strip_prefix("application/").unwrap_or(&typ);
        if !matches!(typ, "jwt" | "at+jwt") {
            return Err(TokenError::WrongKind { expected: "bearer" });
        }
    }
    let kid = header.required_str("kid", TokenPart::Header)?.to_owned();
    Ok((algorithm, kid))
}

fn check_claims(
    payload: StrictObject,
    expected: &ExpectedExternalClaims<'_>,
) -> Result<ExternalClaims, TokenError> {
    let missing = || Defect::MissingMember.in_part(TokenPart::Payload);
    if payload.required_str("iss", TokenPart::Payload)? != expected.issuer {
        return Err(TokenError::WrongIssuer);
    }
    check_audience(payload.0.get("aud"), expected.audience)?;
    let subject = payload.required_str("sub", TokenPart::Payload)?.to_owned();
    if subject.is_empty() || subject.len() > MAX_SUBJECT_LENGTH || subject.contains('\0') {
        return Err(Defect::WrongValue.in_part(TokenPart::Payload));
    }
    let issued_at = payload
        .optional_i64("iat", TokenPart::Payload)?
        .ok_or_else(missing)?;
    let expires_at = payload
        .optional_i64("exp", TokenPart::Payload)?
        .ok_or_else(missing)?;
    let not_before = payload.optional_i64("nbf", TokenPart::Payload)?;
    super::expected::check_lifetime(issued_at, expires_at, i64::MAX)?;
    let now = expected.now;
    let soon = now.saturating_add(EXTERNAL_TOKEN_LEEWAY);
    if issued_at > soon {
        return Err(TokenError::NotYetValid { issued_at, now });
    }
    if let Some(not_before) = not_before.filter(|not_before| *not_before > soon) {
        return Err(TokenError::NotBefore { not_before, now });
    }
    if expires_at.saturating_add(EXTERNAL_TOKEN_LEEWAY) <= now {
        return Err(TokenError::Expired { expires_at, now });
    }
    if payload.0.contains_key("cnf") {
        return Err(TokenError::SenderConstrained);
    }
    Ok(ExternalClaims {
        subject,
        issued_at,
        expires_at,
        members: payload.0,
    })
}

/// Checks `aud`, which is a string or a list of strings (RFC 7519 section 4.1.3).
fn check_audience(audience: Option<&Value>, expected: &str) -> Result<(), TokenError> {
    let wrong_type = || Defect::WrongType.in_part(TokenPart::Payload);
    let is_ours = match audience {
        None => return Err(Defect::MissingMember.in_part(TokenPart::Payload)),
        Some(Value::String(audience)) => audience == expected,
        Some(Value::Array(audiences)) => {
            let audiences: Option<Vec<&str>> = audiences.iter().map(Value::as_str).collect();
            audiences.ok_or_else(wrong_type)?.contains(&expected)
        }
        Some(_) => return Err(wrong_type()),
    };
    if is_ours {
        Ok(())
    } else {
        Err(TokenError::WrongAudience)
    }
}
