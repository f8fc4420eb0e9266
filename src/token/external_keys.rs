//! The key set of an external issuer, ready to verify with.
//!
//! Keys for other purposes are ignored, and a key serves only the algorithms that are accepted from
//! its issuer.

use std::fmt;

use josekit::jwk::Jwk;
use josekit::jws::{
    ES256, ES384, ES512, EdDSA, JwsVerifier, PS256, PS384, PS512, RS256, RS384, RS512,
};
use serde_json::{Map, Value};

use crate::domain::issuer::Algorithm;
use crate::domain::text_file::skip_byte_order_mark;

use super::error::{Defect, TokenError, TokenPart};
use super::jws;

/// Maximum number of keys in the key set of an external issuer.
pub const MAX_EXTERNAL_KEYS: usize = 64;

/// Maximum length of an RSA modulus in base64url: 8192 bits. Larger ones verify too slowly.
const MAX_MODULUS_LENGTH: usize = 1366;

/// The keys of an external issuer, each for one algorithm.
pub struct ExternalKeySet {
    usable_keys: usize,
    keys: Vec<ExternalKey>,
}

struct ExternalKey {
    /// Its id, which a provider with a single key need not give it (RFC 7517 section 4.5).
    kid: Option<String>,
    algorithm: Algorithm,
    verifier: Box<dyn JwsVerifier>,
}

impl ExternalKeySet {
    /// Parses a JWK Set (RFC 7517 section 5) for these algorithms.
    ///
    /// Ignores keys for encryption, symmetric keys, private keys (which are no secret any more), keys
    /// whose id is no text and keys of other types. A key that names an algorithm serves that one
    /// only.
    ///
    /// # Errors
    ///
    /// [`TokenError::InvalidKeySet`] if it is not a key set, has more than [`MAX_EXTERNAL_KEYS`]
    /// keys, or no usable key.
    pub fn parse(json: &[u8], algorithms: &[Algorithm]) -> Result<Self, TokenError> {
        let unusable = |reason| TokenError::InvalidKeySet { reason };
        let set: Value = serde_json::from_slice(skip_byte_order_mark(json))
            .map_err(|_| unusable("it is not JSON"))?;
        let Some(Value::Array(keys)) = set.get("keys") else {
            return Err(unusable("it has no list of keys"));
        };
        if keys.len() > MAX_EXTERNAL_KEYS {
            return Err(unusable("it has too many keys"));
        }
        let mut set = Self {
            usable_keys: 0,
            keys: Vec::new(),
        };
        for key in keys.iter().filter_map(Value::as_object) {
            set.add(key, algorithms);
        }
        if set.keys.is_empty() {
            return Err(unusable("it has no key for an accepted algorithm"));
        }
        Ok(set)
    }

    /// The number of its keys that can verify.
    pub fn usable_keys(&self) -> usize {
        self.usable_keys
    }

    /// Whether there is a key of this id.
    pub fn contains(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.kid.as_deref() == Some(kid))
    }

    /// The number of its keys for an algorithm.
    pub(super) fn count_for(&self, algorithm: Algorithm) -> usize {
        self.for_algorithm(algorithm).count()
    }

    fn for_algorithm(&self, algorithm: Algorithm) -> impl Iterator<Item = &ExternalKey> {
        self.keys
            .iter()
            .filter(move |key| key.algorithm == algorithm)
    }

    /// The key that a token means: the one of its id, or the only one for its algorithm if it names none
    /// (`OpenID` Connect Core section 10.1: with several keys, a token must name one).
    fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<&ExternalKey> {
        let mut keys = self.for_algorithm(algorithm);
        match kid {
            Some(kid) => keys.find(|key| key.kid.as_deref() == Some(kid)),
            None => keys.next().filter(|_| keys.next().is_none()),
        }
    }

    fn add(&mut self, key: &Map<String, Value>, algorithms: &[Algorithm]) {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        let kid = match key.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid),
            Some(_) => return,
        };
        let is_private = key.contains_key("d");
        let is_huge = text("n").is_some_and(|modulus| modulus.len() > MAX_MODULUS_LENGTH);
        let Some(jwk) = Jwk::from_map(key.clone()).ok() else {
            return;
        };
        if is_private || is_huge {
            return;
        }
        let before = self.keys.len();
        for algorithm in algorithms {
            if let Some(verifier) = verifier_for(&jwk, *algorithm) {
                self.keys.push(ExternalKey {
                    kid: kid.cloned(),
                    algorithm: *algorithm,
                    verifier,
                });
            }
        }
        self.usable_keys += usize::from(self.keys.len() > before);
    }

    /// Verifies a signature with the key that the token means, for this algorithm only.
    pub(super) fn verify(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), TokenError> {
        let key = self.find(kid, algorithm).ok_or(TokenError::UnknownKey)?;
        check_signature_form(algorithm, signature)?;
        key.verifier
            .verify(message, signature)
            .map_err(|_| TokenError::BadSignature)
    }
}

impl fmt::Debug for ExternalKeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kids = self.keys.iter().map(|key| (&key.kid, key.algorithm));
        f.write_str("ExternalKeySet")?;
        f.debug_list().entries(kids).finish()
    }
}

/// The verifier of a key for an algorithm, if the key can be used for it; josekit checks `use`,
/// `key_ops`, `alg`, the curve and that a modulus has at least 2048 bits.
fn verifier_for(jwk: &Jwk, algorithm: Algorithm) -> Option<Box<dyn JwsVerifier>> {
    macro_rules! verifier {
        ($algorithm:expr) => {
            Box::new($algorithm.verifier_from_jwk(jwk).ok()?)
        };
    }
    Some(match algorithm {
        Algorithm::Rs256 => verifier!(RS256),
        Algorithm::Rs384 => verifier!(RS384),
        Algorithm::Rs512 => verifier!(RS512),
        Algorithm::Ps256 => verifier!(PS256),
        Algorithm::Ps384 => verifier!(PS384),
        Algorithm::Ps512 => verifier!(PS512),
        Algorithm::Es256 => verifier!(ES256),
        Algorithm::Es384 => verifier!(ES384),
        Algorithm::Es512 => verifier!(ES512),
        Algorithm::EdDsa => verifier!(EdDSA),
    })
}

/// Rejects an ECDSA signature that is not `r` and `s` of the curve's length, neither of them zero
/// (RFC 7518 section 3.4), so that the library never sees one.
fn check_signature_form(algorithm: Algorithm, signature: &[u8]) -> Result<(), TokenError> {
    let length = match algorithm {
        Algorithm::Es256 => return jws::check_signature_form(signature),
        Algorithm::Es384 => 96,
        Algorithm::Es512 => 132,
        Algorithm::Rs256
        | Algorithm::Rs384
        | Algorithm::Rs512
        | Algorithm::Ps256
        | Algorithm::Ps384
        | Algorithm::Ps512
        | Algorithm::EdDsa => return Ok(()),
    };
    if signature.len() != length {
        return Err(Defect::WrongSignatureLength.in_part(TokenPart::Signature));
    }
    let (r, s) = signature.split_at(length / 2);
    if [r, s].iter().all(|half| half.iter().any(|byte| *byte != 0)) {
        Ok(())
    } else {
        Err(Defect::SignatureOutOfRange.in_part(TokenPart::Signature))
    }
}
