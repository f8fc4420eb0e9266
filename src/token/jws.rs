//! Tokens as text: the JWS compact serialisation (RFC 7515 section 3.1), signed and verified.
//!
//! Here is what both kinds of token share. It refuses to know the claims: they are bytes that a
//! kind writes, and bytes that it checks before any signature is looked at.

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use super::error::{Defect, TokenError, TokenPart};
use super::key_set::KeySet;
use super::signing_key::SigningKey;
use crate::domain::secret::Secret;

/// The longest token that is signed or looked at, in bytes.
pub const MAX_TOKEN_LENGTH: usize = 4096;

/// The length of an ES256 signature: `r` and `s`, 32 bytes each (RFC 7518 section 3.4).
pub(super) const SIGNATURE_LENGTH: usize = 64;

/// The length of a signature in base64url, with the dot before it.
const SIGNATURE_TEXT_LENGTH: usize = 1 + SIGNATURE_LENGTH.div_ceil(3) * 4 - 2;

/// Room for the claims of an ordinary token, so that writing them does not grow the buffer.
const CLAIMS_CAPACITY: usize = 512;

/// The order of P-256, big-endian (FIPS 186-5, SP 800-186 section 3.2.1.3).
const P256_ORDER: [u8; 32] = [
    0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF,
    0xBC, 0xE6, 0xFA, 0xAD, 0xA7, 0x17, 0x9E, 0x84, 0xF3, 0xB9, 0xCA, 0xC2, 0xFC, 0x63, 0x25, 0x51,
];

/// The two kinds of token; neither is ever accepted for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenKind {
    Download,
    Session,
}

impl TokenKind {
    /// The header's `typ` (RFC 8725 section 3.11; `at+jwt` is of RFC 9068).
    fn header_typ(self) -> &'static str {
        match self {
            Self::Download => "download+jwt",
            Self::Session => "at+jwt",
        }
    }

    /// The claim `typ`, and the word for this kind in messages.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::Session => "session",
        }
    }

    /// The header of every token of this kind that `kid` signs, in base64url.
    pub(super) fn encoded_header(self, kid: &str) -> String {
        let typ = self.header_typ();
        // A kid is base64url and a typ is fixed, so that nothing here wants escaping.
        URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"{typ}"}}"#))
    }

    /// Refuses a claim `typ` that is not of this kind.
    pub(super) fn check_claim(self, typ: &str) -> Result<(), TokenError> {
        if typ == self.as_str() {
            Ok(())
        } else {
            Err(self.mismatch())
        }
    }

    fn mismatch(self) -> TokenError {
        TokenError::WrongKind {
            expected: self.as_str(),
        }
    }
}

/// The header: exactly these members. Whatever else RFC 7515 section 4.1 knows (`jwk`, `jku`,
/// `x5c`, `x5u`, `crit` ...) is a way to choose the key or the rules, and is refused.
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

/// Verifies a token of `kind`; `check` reads the payload's bytes and holds them against what is
/// expected.
///
/// The claims leave this function only after the signature has verified. `check` runs before it,
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
    let key = keys.key(&header.kid).ok_or(TokenError::UnknownKey)?;
    let signature = decode(signature, TokenPart::Signature)?;
    check_signature_form(&signature)?;
    let claims = check(&decode(payload, TokenPart::Payload)?)?;
    key.verify(signed.as_bytes(), &signature)?;
    Ok(claims)
}

/// The parts of a token, still encoded.
pub(super) struct EncodedParts<'t> {
    /// What the signature is over: header and payload with the dot between them.
    pub(super) signed: &'t str,
    pub(super) header: &'t str,
    pub(super) payload: &'t str,
    pub(super) signature: &'t str,
}

impl<'t> EncodedParts<'t> {
    /// Splits a token of at most `longest` bytes at its two dots.
    pub(super) fn split(token: &'t str, longest: usize) -> Result<Self, TokenError> {
        if token.len() > longest {
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

/// Decodes base64url; each value has one spelling only (RFC 4648 section 3.5).
pub(super) fn decode(text: &str, part: TokenPart) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| Defect::NotBase64url.in_part(part))
}

/// Refuses what is not `r` and `s`, both from 1 to the order less 1 (FIPS 186-5 section 6.4.2).
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

/// Reads one JSON object with exactly the members of `T`.
pub(super) fn parse_object<'a, T: Deserialize<'a>>(
    json: &'a [u8],
    part: TokenPart,
) -> Result<T, TokenError> {
    // serde would also read a struct from an array of its members.
    if json.first() != Some(&b'{') {
        return Err(Defect::NotJsonObject.in_part(part));
    }
    serde_json::from_slice(json).map_err(|error| defect_from_error(&error).in_part(part))
}

/// Says which flaw made serde refuse; the refusal does not depend on it, and serde's own words
/// stay here, because they quote the token.
fn defect_from_error(error: &serde_json::Error) -> Defect {
    let words = error.to_string();
    [
        ("unknown field", Defect::UnknownMember),
        ("duplicate field", Defect::DuplicateMember),
        ("missing field", Defect::MissingMember),
        ("invalid type", Defect::WrongType),
        ("invalid value", Defect::WrongValue),
    ]
    .into_iter()
    .find(|(beginning, _)| words.starts_with(beginning))
    .map_or(Defect::NotJsonObject, |(_, flaw)| flaw)
}

/// Reads a member that may be left out but, where it stands, is not `null`.
pub(super) fn deserialize_present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// A UUID in its canonical text form, lower case and hyphenated (RFC 9562 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CanonicalUuid(pub(super) Uuid);

impl CanonicalUuid {
    /// Reads the canonical form and no other, so that equal ids are equal bytes.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let uuid = Uuid::try_parse(text).ok()?;
        let mut buffer = Uuid::encode_buffer();
        (uuid.hyphenated().encode_lower(&mut buffer) == text).then_some(Self(uuid))
    }
}

impl Serialize for CanonicalUuid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut buffer = Uuid::encode_buffer();
        serializer.serialize_str(self.0.hyphenated().encode_lower(&mut buffer))
    }
}

impl<'de> Deserialize<'de> for CanonicalUuid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = CanonicalUuid;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a canonical UUID")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<CanonicalUuid, E> {
                CanonicalUuid::parse(text)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Text)
    }
}
