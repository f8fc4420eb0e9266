//! The JWS compact serialisation (RFC 7515 section 3.1): signing and verifying, for both kinds of
//! token.
//!
//! Claims are opaque here: bytes that each kind writes, and bytes that it validates before the
//! signature is verified.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::error::{Defect, TokenError, TokenPart};
use super::key_set::KeySet;
use super::kind::TokenKind;
use super::signing_key::SigningKey;
use super::strict_json::parse_object;
use crate::domain::secret::Secret;

/// Maximum length in bytes of a token that is signed or verified.
pub const MAX_TOKEN_LENGTH: usize = 4096;

/// The length of an ES256 signature: `r` and `s`, 32 bytes each (RFC 7518 section 3.4).
pub(super) const SIGNATURE_LENGTH: usize = 64;

/// The length of a signature in base64url, including the dot before it.
const SIGNATURE_TEXT_LENGTH: usize = 1 + SIGNATURE_LENGTH.div_ceil(3) * 4 - 2;

/// Initial capacity for claims, so that writing those of an ordinary token does not grow the
/// buffer.
const CLAIMS_CAPACITY: usize = 512;

/// The order of P-256, big-endian (FIPS 186-5, SP 800-186 section 3.2.1.3).
pub(super) const P256_ORDER: [u8; 32] = [
    0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
    0xBC, 0xE6, 0xFA, 0xAD, 0xA7, 0x17, 0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63, 0x25, 0x51,
];

/// The header, with exactly these members. The other ones of RFC 7515 section 4.1 (`jwk`, `jku`,
/// `x5c`, `x5u`, `crit` ...) choose the key or the rules, and are rejected.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<'a> {
    #[serde(borrow)]
    alg: Cow<'a, str>,
    #[serde(borrow)]
    kid: Cow<'a, str>,
    #[serde(borrow)]
    typ: Cow<'a, str>,
}

/// Signs `claims` as a token of `kind`.
pub(super) fn sign(
    kind: TokenKind,
    claims: &impl Serialize,
    key: &SigningKey,
) -> Result<Secret<String>, TokenError> {
    let mut payload = Vec::with_capacity(CLAIMS_CAPACITY);
    serde_json::to_writer(&mut payload, claims).map_err(|error| TokenError::Sign {
        reason: error.to_string(),
    })?;
    let header = key.encoded_header(kind);
    let length = header.len() + 1 + (payload.len() * 4).div_ceil(3) + SIGNATURE_TEXT_LENGTH;
    if length > MAX_TOKEN_LENGTH {
        return Err(Defect::TooLong.in_part(TokenPart::Token));
    }
    let mut token = String::with_capacity(length);
    token.push_str(header);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(&payload, &mut token);
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(Secret::new(token))
}

/// Verifies a token of `kind`; `check` parses the payload and validates its claims.
///
/// The claims are returned only after the signature has been verified. `check` runs before that,
/// because it is cheap and the signature is not.
pub(super) fn verify<C>(
    kind: TokenKind,
    token: &str,
    keys: &KeySet,
    check: impl FnOnce(&[u8]) -> Result<C, TokenError>,
) -> Result<C, TokenError> {
    let EncodedParts {
        signed,
        header,
        payload,
        signature,
    } = EncodedParts::split(token, MAX_TOKEN_LENGTH)?;
    let header = decode(header, TokenPart::Header)?;
    let header: Header<'_> = parse_object(&header, TokenPart::Header)?;
    if header.alg != "ES256" {
        return Err(TokenError::WrongAlgorithm);
    }
    if header.typ != kind.header_typ() {
        return Err(kind.mismatch());
    }
    let signature = decode(signature, TokenPart::Signature)?;
    check_signature_form(&signature)?;
    let claims = check(&decode(payload, TokenPart::Payload)?)?;
    // Last but one: whoever fetches the key set for an unknown key does so only for a token that may be good.
    let key = keys.key(&header.kid).ok_or(TokenError::UnknownKey)?;
    key.verify(signed.as_bytes(), &signature)?;
    Ok(claims)
}

/// The parts of a token, still encoded.
pub(super) struct EncodedParts<'t> {
    /// What is signed: header and payload with the dot between them.
    pub(super) signed: &'t str,
    pub(super) header: &'t str,
    pub(super) payload: &'t str,
    pub(super) signature: &'t str,
}

impl<'t> EncodedParts<'t> {
    /// Splits a token of at most `max_length` bytes at its two dots.
    pub(super) fn split(token: &'t str, max_length: usize) -> Result<Self, TokenError> {
        if token.len() > max_length {
            return Err(Defect::TooLong.in_part(TokenPart::Token));
        }
        let not_three = || Defect::NotThreeParts.in_part(TokenPart::Token);
        let (signed, signature) = token.rsplit_once('.').ok_or_else(not_three)?;
        let (header, payload) = signed.split_once('.').ok_or_else(not_three)?;
        if payload.contains('.') {
            return Err(not_three());
        }
        Ok(Self {
            signed,
            header,
            payload,
            signature,
        })
    }
}

/// Decodes base64url; only the canonical encoding is accepted (RFC 4648 section 3.5).
pub(super) fn decode(text: &str, part: TokenPart) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| Defect::NotBase64url.in_part(part))
}

/// Rejects a signature whose `r` or `s` is not between 1 and the order less 1 (FIPS 186-5 section
/// 6.4.2).
pub(super) fn check_signature_form(signature: &[u8]) -> Result<(), TokenError> {
    let (r, s) = match signature.split_at_checked(SIGNATURE_LENGTH / 2) {
        Some((r, s)) if s.len() == r.len() => (r, s),
        _ => return Err(Defect::WrongSignatureLength.in_part(TokenPart::Signature)),
    };
    let is_in_range =
        |number: &[u8]| number.iter().any(|byte| *byte != 0) && *number < P256_ORDER[..];
    if is_in_range(r) && is_in_range(s) {
        Ok(())
    } else {
        Err(Defect::SignatureOutOfRange.in_part(TokenPart::Signature))
    }
}
