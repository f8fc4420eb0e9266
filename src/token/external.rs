//! Outside tokens: access and ID tokens of outside issuers, to be shown in the `Authorization` header.
//!
//! They are JWTs of many makers (RFC 7519, RFC 9068, `OpenID` Connect Core section 2), so members
//! that are not known are left alone; whatever chooses the key or the rules is refused. Verifying goes
//! in two steps, because the key set may have to be fetched in between: [`OutsideToken::read`] holds
//! form and claims against what is expected, [`OutsideToken::verify`] the signature. Claims leave
//! only after the second. This module refuses to know where keys come from and who the subject is here.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::domain::issuer::Algorithm;

use super::error::{Flaw, Part, TokenError};
use super::external_keys::OutsideKeys;
use super::jws;
use super::jws::Parts;
use super::strict_json::Members;

/// The longest token of an outside issuer that is looked at, in bytes: some carry hundreds of groups.
pub const LONGEST_OUTSIDE_TOKEN: usize = 16 * 1024;

/// How far the clock of an outside issuer may be from ours, in seconds: `exp` counts so much later,
/// `nbf` and `iat` so much earlier (RFC 7519 section 4.1.4).
pub const OUTSIDE_LEEWAY: i64 = 30;

/// The longest `sub`, in bytes (`OpenID` Connect Core section 2 allows 255).
const LONGEST_SUBJECT: usize = 255;

/// Ways to choose the key or the rules (RFC 7515 section 4.1, RFC 7797, RFC 7516): never followed.
const REFUSED_HEADERS: [&str; 9] = [
    "jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc", "cty",
];

/// What an outside token must say to be accepted here and now.
#[derive(Clone, Copy, Debug)]
pub struct OutsideExpected<'a> {
    /// The claim `iss`, compared byte for byte.
    pub issuer: &'a str,
    /// What the claim `aud` must be or hold, compared byte for byte.
    pub audience: &'a str,
    /// The algorithms that the issuer is trusted with.
    pub algorithms: &'a [Algorithm],
    /// The time in seconds since 1970 UTC.
    pub now: i64,
}

/// What a verified outside token says.
#[derive(Clone, Debug, PartialEq)]
pub struct OutsideClaims {
    /// `sub`: whom the issuer means, for good and among its own.
    pub subject: String,
    /// `iat`: seconds since 1970 UTC.
    pub issued_at: i64,
    /// `exp`: the first second in which the token is dead, leeway aside, since 1970 UTC.
    pub expires_at: i64,
    /// All claims, these among them.
    pub members: Map<String, Value>,
}

/// An outside token whose form and claims are as expected, and whose signature was not looked at.
pub struct OutsideToken<'t> {
    signed: &'t str,
    signature: Vec<u8>,
    algorithm: Algorithm,
    kid: String,
    claims: OutsideClaims,
}

/// The issuer that a token names, unverified: good for choosing how to verify it, and nothing else.
pub fn issuer_said(token: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Said {
        iss: String,
    }
    let parts = Parts::of(token, LONGEST_OUTSIDE_TOKEN).ok()?;
    let payload = jws::decode(parts.payload, Part::Payload).ok()?;
    serde_json::from_slice::<Said>(&payload)
        .ok()
        .map(|said| said.iss)
}

impl<'t> OutsideToken<'t> {
    /// Reads a token and holds everything but its signature against what is expected.
    ///
    /// # Errors
    ///
    /// The first reason that was found to refuse it.
    pub fn read(token: &'t str, expected: &OutsideExpected<'_>) -> Result<Self, TokenError> {
        let parts = Parts::of(token, LONGEST_OUTSIDE_TOKEN)?;
        let header = jws::decode(parts.header, Part::Header)?;
        let header: Members = jws::read_object(&header, Part::Header)?;
        let (algorithm, kid) = check_header(&header, expected.algorithms)?;
        let signature = jws::decode(parts.signature, Part::Signature)?;
        let payload = jws::decode(parts.payload, Part::Payload)?;
        let payload: Members = jws::read_object(&payload, Part::Payload)?;
        Ok(Self {
            signed: parts.signed,
            signature,
            algorithm,
            kid,
            claims: check_claims(payload, expected)?,
        })
    }

    /// The id of the key that it says to be signed with.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Verifies the signature and gives the claims away.
    ///
    /// # Errors
    ///
    /// [`TokenError::UnknownKey`] if the key set has no such key for the token's algorithm,
    /// [`TokenError::BadSignature`] if the signature is not of that key.
    pub fn verify(&self, keys: &OutsideKeys) -> Result<OutsideClaims, TokenError> {
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
    header: &Members,
    accepted: &[Algorithm],
) -> Result<(Algorithm, String), TokenError> {
    let algorithm = header
        .text("alg", Part::Header)?
        .parse()
        .ok()
        .filter(|algorithm| accepted.contains(algorithm))
        .ok_or(TokenError::AlgorithmNotAccepted)?;
    if REFUSED_HEADERS
        .iter()
        .any(|name| header.0.contains_key(*name))
    {
        return Err(Flaw::UnknownMember.of(Part::Header));
    }
    // Other kinds of JWT, a logout token or our own download token for instance, say so (RFC 8725
    // section 3.11); media types are compared in any case, with and without their prefix.
    if header.0.contains_key("typ") {
        let typ = header.text("typ", Part::Header)?.to_ascii_lowercase();
        let typ = typ.strip_prefix("application/").unwrap_or(&typ);
        if !matches!(typ, "jwt" | "at+jwt") {
            return Err(TokenError::WrongKind { expected: "bearer" });
        }
    }
    let kid = header.text("kid", Part::Header)?.to_owned();
    Ok((algorithm, kid))
}

fn check_claims(
    payload: Members,
    expected: &OutsideExpected<'_>,
) -> Result<OutsideClaims, TokenError> {
    let missing = || Flaw::MissingMember.of(Part::Payload);
    if payload.text("iss", Part::Payload)? != expected.issuer {
        return Err(TokenError::WrongIssuer);
    }
    check_audience(payload.0.get("aud"), expected.audience)?;
    let subject = payload.text("sub", Part::Payload)?.to_owned();
    if subject.is_empty() || subject.len() > LONGEST_SUBJECT || subject.contains('\0') {
        return Err(Flaw::WrongValue.of(Part::Payload));
    }
    let issued_at = payload.whole("iat", Part::Payload)?.ok_or_else(missing)?;
    let expires_at = payload.whole("exp", Part::Payload)?.ok_or_else(missing)?;
    let not_before = payload.whole("nbf", Part::Payload)?;
    super::expected::check_lifetime(issued_at, expires_at, i64::MAX)?;
    let now = expected.now;
    let soon = now.saturating_add(OUTSIDE_LEEWAY);
    if issued_at > soon {
        return Err(TokenError::NotYetValid { issued_at, now });
    }
    if let Some(not_before) = not_before.filter(|not_before| *not_before > soon) {
        return Err(TokenError::NotBefore { not_before, now });
    }
    if expires_at.saturating_add(OUTSIDE_LEEWAY) <= now {
        return Err(TokenError::Expired { expires_at, now });
    }
    if payload.0.contains_key("cnf") {
        return Err(TokenError::BoundToKey);
    }
    Ok(OutsideClaims {
        subject,
        issued_at,
        expires_at,
        members: payload.0,
    })
}

/// `aud` is one text or a list of them (RFC 7519 section 4.1.3).
fn check_audience(audience: Option<&Value>, expected: &str) -> Result<(), TokenError> {
    let wrong_type = || Flaw::WrongType.of(Part::Payload);
    let is_ours = match audience {
        None => return Err(Flaw::MissingMember.of(Part::Payload)),
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
