//! External tokens: access and ID tokens of external issuers, sent in the `Authorization` header.
//!
//! They are JWTs of many implementations (RFC 7519, RFC 9068, `OpenID` Connect Core section 2), so
//! unknown members are ignored; a member that chooses the key or the rules is rejected.
//! Verification has two steps, because the key set may have to be fetched in between:
//! [`ExternalToken::parse`] checks form and claims, [`ExternalToken::verify`] the signature. Claims
//! are returned only by the second. An error says which check failed, for the log: what it quotes of a
//! token may be anybody's text, since most checks come before the signature's.

use serde::Deserialize;
use serde_json::Value;

use crate::domain::issuer::Algorithm;
use crate::domain::text_enum::TextEnum;
use crate::domain::token_refusal::{
    TokenCheck, TokenRefusal, name_type, quote_claim, quote_untrusted,
};

use super::error::{Defect, TokenError, TokenPart};
use super::external_claims::{ExpectedExternalClaims, ExternalClaims, check_claims};
use super::external_keys::ExternalKeySet;
use super::jws;
use super::jws::EncodedParts;
use super::refused_token::RefusedToken;
use super::strict_json::{self, StrictObject};

/// Maximum length of an external token, in bytes; some contain hundreds of groups.
pub const MAX_EXTERNAL_TOKEN_LENGTH: usize = 16 * 1024;

/// Header members that choose the key or the rules (RFC 7515 section 4.1, RFC 7797, RFC 7516):
/// always rejected.
const FORBIDDEN_HEADERS: [&str; 9] = [
    "jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc", "cty",
];

/// An external token with valid form and claims, whose signature is not verified yet.
pub struct ExternalToken<'t> {
    signed: &'t str,
    signature: Vec<u8>,
    algorithm: Algorithm,
    kid: Option<String>,
    claims: ExternalClaims,
}

/// The issuer that a token claims, unverified: only good for choosing how to verify the token.
///
/// # Errors
///
/// What is wrong with a token that claims none.
pub fn unverified_issuer(token: &str) -> Result<String, TokenRefusal> {
    #[derive(Deserialize)]
    struct UnverifiedClaims {
        #[serde(default)]
        iss: Option<Value>,
    }
    let malformed = |error| RefusedToken::malformed(error).refusal;
    let parts = EncodedParts::split(token, MAX_EXTERNAL_TOKEN_LENGTH).map_err(|error| {
        match token.split('.').count() {
            // Both are never accepted, and providers send them to clients that do not ask for another one.
            1 => malformed(error).with_hint(
                "an opaque token: let the client ask its provider for a token for this server's \
                 audience, which is a JWT",
            ),
            5 => malformed(error).with_hint(
                "an encrypted token (JWE): let the provider sign tokens for this server, and not encrypt them",
            ),
            _ => malformed(error),
        }
    })?;
    let payload = jws::decode(parts.payload, TokenPart::Payload).map_err(malformed)?;
    let claims = serde_json::from_slice::<UnverifiedClaims>(&payload)
        .map_err(|_| malformed(Defect::NotJsonObject.in_part(TokenPart::Payload)))?;
    match claims.iss {
        Some(Value::String(issuer)) => Ok(issuer),
        other => {
            let got = quote_claim(other.as_ref());
            Err(TokenRefusal::new(TokenCheck::Iss, "a string", got))
        }
    }
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
    ) -> Result<Self, RefusedToken> {
        let parts = EncodedParts::split(token, MAX_EXTERNAL_TOKEN_LENGTH)
            .map_err(RefusedToken::malformed)?;
        let decode = |text, part| jws::decode(text, part).map_err(RefusedToken::malformed);
        let header = decode(parts.header, TokenPart::Header)?;
        let header: StrictObject = strict_json::parse_object(&header, TokenPart::Header)
            .map_err(RefusedToken::malformed)?;
        let (algorithm, kid) = check_header(&header, expected.algorithms)?;
        let signature = decode(parts.signature, TokenPart::Signature)?;
        let payload = decode(parts.payload, TokenPart::Payload)?;
        // Blanks around the object are JSON (RFC 8259 section 2); scripts that sign tokens leave them.
        let payload = payload.trim_ascii_start();
        let payload: StrictObject = strict_json::parse_object(payload, TokenPart::Payload)
            .map_err(RefusedToken::malformed)?;
        Ok(Self {
            signed: parts.signed,
            signature,
            algorithm,
            kid,
            claims: check_claims(payload, expected)?,
        })
    }

    /// The id of the key that the token names, if it names one.
    pub fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    /// Verifies the signature and returns the claims.
    ///
    /// # Errors
    ///
    /// [`TokenError::UnknownKey`] if the key set has no such key for the token's algorithm,
    /// [`TokenError::BadSignature`] if the signature is not of that key.
    pub fn verify(&self, keys: &ExternalKeySet) -> Result<ExternalClaims, RefusedToken> {
        let (kid, signed) = (self.kid(), self.signed.as_bytes());
        keys.verify(kid, self.algorithm, signed, &self.signature)
            .map_err(|error| self.refused_by(keys, error))?;
        Ok(self.claims.clone())
    }

    /// Whether other keys of its issuer could make a refused signature valid: those of a rotation that is not
    /// known here yet.
    pub fn may_have_a_new_key(&self, error: &TokenError) -> bool {
        match error {
            TokenError::UnknownKey => true,
            // Without a key id, a new key is not told from a forged signature.
            TokenError::BadSignature => self.kid.is_none(),
            _ => false,
        }
    }

    fn refused_by(&self, keys: &ExternalKeySet, error: TokenError) -> RefusedToken {
        let algorithm = self.algorithm.as_str();
        let got = match self.kid() {
            Some(kid) => format!("kid {}", quote_untrusted(kid)),
            None => "no kid".to_owned(),
        };
        if error == TokenError::UnknownKey {
            let expected = if self.kid.is_some() {
                format!("the id of a key for {algorithm} in the key set")
            } else {
                let count = keys.count_for(self.algorithm);
                format!("a kid, because the key set has {count} keys for {algorithm} and not one")
            };
            return RefusedToken::new(error, TokenCheck::Kid, expected, got);
        }
        let expected = format!("a signature of that key with {algorithm}");
        RefusedToken::new(error, TokenCheck::Signature, expected, got)
    }
}

fn check_header(
    header: &StrictObject,
    accepted: &[Algorithm],
) -> Result<(Algorithm, Option<String>), RefusedToken> {
    let accepted_names = || {
        let names: Vec<&str> = accepted
            .iter()
            .map(|algorithm| algorithm.as_str())
            .collect();
        format!("one of {}", names.join(", "))
    };
    let member = |name: &str| header.0.get(name);
    let algorithm = header
        .required_str("alg", TokenPart::Header)
        .and_then(|name| {
            let algorithm = name.parse().ok();
            algorithm
                .filter(|algorithm| accepted.contains(algorithm))
                .ok_or(TokenError::AlgorithmNotAccepted)
        })
        .map_err(|error| {
            let got = quote_claim(member("alg"));
            RefusedToken::new(error, TokenCheck::Alg, accepted_names(), got)
        })?;
    if let Some(name) = FORBIDDEN_HEADERS.iter().find(|name| member(name).is_some()) {
        let error = Defect::UnknownMember.in_part(TokenPart::Header);
        let expected = format!("none of {}", FORBIDDEN_HEADERS.join(", "));
        return Err(RefusedToken::new(
            error,
            TokenCheck::Header,
            expected,
            *name,
        ));
    }
    check_type(header)?;
    let kid = match member("kid") {
        None => None,
        Some(Value::String(kid)) => Some(kid.clone()),
        Some(other) => {
            let error = Defect::WrongType.in_part(TokenPart::Header);
            let got = name_type(Some(other));
            return Err(RefusedToken::new(error, TokenCheck::Kid, "a string", got));
        }
    };
    Ok((algorithm, kid))
}

/// Checks `typ`. Other kinds of JWT, such as logout tokens or our own download tokens, have another one (RFC
/// 8725 section 3.11). Media types are compared without regard to case, prefix or no prefix.
fn check_type(header: &StrictObject) -> Result<(), RefusedToken> {
    let error = match header.0.get("typ") {
        None => return Ok(()),
        Some(Value::String(typ)) => {
            let typ = typ.to_ascii_lowercase();
            let typ = typ.strip_prefix("application/").unwrap_or(&typ);
            if matches!(typ, "jwt" | "at+jwt") {
                return Ok(());
            }
            TokenError::WrongKind { expected: "bearer" }
        }
        Some(_) => Defect::WrongType.in_part(TokenPart::Header),
    };
    let got = quote_claim(header.0.get("typ"));
    Err(RefusedToken::new(
        error,
        TokenCheck::Typ,
        "JWT, at+jwt or no typ",
        got,
    ))
}
