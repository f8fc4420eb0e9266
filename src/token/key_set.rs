//! The key set: what verifiers fetch, and what this server verifies with.
//!
//! A key set never changes; a rotation creates a new one and swaps it in.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use josekit::jwk::Jwk;
use josekit::jws::alg::ecdsa::EcdsaJwsVerifier;
use josekit::jws::{ES256, JwsVerifier as _};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::error::TokenError;
use super::signing_key::PublicKey;

/// A JWK Set (RFC 7517 section 5) of public keys, and a verifier for each of them.
pub struct KeySet {
    body: Bytes,
    etag: String,
    keys: Vec<VerifyingKey>,
}

/// A key of the set, ready to verify.
pub(super) struct VerifyingKey {
    kid: String,
    verifier: EcdsaJwsVerifier,
}

#[derive(Serialize)]
struct KeySetBody<'a> {
    keys: &'a [PublicKey],
}

impl KeySet {
    /// Creates a key set with these keys in this order. It may be empty, and then verifies nothing.
    ///
    /// # Errors
    ///
    /// [`TokenError::DuplicateKey`] if a key is there twice, [`TokenError::InvalidSigningKey`] if a
    /// key is not a point of P-256.
    pub fn new(public_keys: &[PublicKey]) -> Result<Self, TokenError> {
        let unusable = |reason| TokenError::InvalidSigningKey { reason };
        let body = serde_json::to_vec(&KeySetBody { keys: public_keys })
            .map_err(|_| unusable("it cannot be written as JSON"))?;
        let mut keys: Vec<VerifyingKey> = Vec::with_capacity(public_keys.len());
        for public_key in public_keys {
            let kid = public_key.kid().to_owned();
            if keys.iter().any(|key| key.kid == kid) {
                return Err(TokenError::DuplicateKey { kid });
            }
            let verifier = verifier_for(public_key)?;
            keys.push(VerifyingKey { kid, verifier });
        }
        let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(Sha256::digest(&body)));
        Ok(Self {
            body: Bytes::from(body),
            etag,
            keys,
        })
    }

    /// The serialised JWK set (RFC 7517 section 5).
    pub fn body(&self) -> Bytes {
        self.body.clone()
    }

    /// The strong entity tag of the body, including its quotes (RFC 9110 section 8.8.3).
    pub fn etag(&self) -> &str {
        &self.etag
    }

    /// The key with this id.
    pub(super) fn key(&self, kid: &str) -> Option<&VerifyingKey> {
        self.keys.iter().find(|key| key.kid == kid)
    }
}

impl VerifyingKey {
    /// Verifies an ES256 signature over `message`.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), TokenError> {
        self.verifier
            .verify(message, signature)
            .map_err(|_| TokenError::BadSignature)
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kids = self.keys.iter().map(|key| &key.kid);
        f.write_str("KeySet")?;
        f.debug_list().entries(kids).finish()
    }
}

fn verifier_for(public_key: &PublicKey) -> Result<EcdsaJwsVerifier, TokenError> {
    let unusable = |_| TokenError::InvalidSigningKey {
        reason: "it is not a point of P-256",
    };
    let json = serde_json::to_vec(public_key).map_err(|_| TokenError::InvalidSigningKey {
        reason: "it cannot be written as JSON",
    })?;
    let jwk = Jwk::from_bytes(json).map_err(unusable)?;
    ES256.verifier_from_jwk(&jwk).map_err(unusable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::SigningKey;

    fn three_keys() -> Vec<PublicKey> {
        (0..3)
            .map(|_| SigningKey::generate().unwrap().public_key().clone())
            .collect()
    }

    #[test]
    fn the_key_set_has_public_members_only() {
        let public_keys = three_keys();
        let set = KeySet::new(&public_keys).unwrap();
        let body: serde_json::Value = serde_json::from_slice(&set.body()).unwrap();
        assert_eq!(body.as_object().unwrap().len(), 1);
        let published = body["keys"].as_array().unwrap();
        assert_eq!(published.len(), 3);
        for (member, public_key) in published.iter().zip(&public_keys) {
            let names: Vec<&String> = member.as_object().unwrap().keys().collect();
            assert_eq!(names, ["kty", "crv", "x", "y", "kid", "alg", "use"]);
            assert_eq!(member["kid"], public_key.kid());
            assert_eq!(
                [
                    &member["kty"],
                    &member["crv"],
                    &member["alg"],
                    &member["use"]
                ],
                ["EC", "P-256", "ES256", "sig"]
            );
            for coordinate in ["x", "y"] {
                let bytes = URL_SAFE_NO_PAD.decode(member[coordinate].as_str().unwrap());
                assert_eq!(bytes.unwrap().len(), 32);
            }
        }
        assert!(!String::from_utf8_lossy(&set.body()).contains("\"d\""));
    }

    #[test]
    fn the_entity_tag_is_strong_and_follows_the_body() {
        let public_keys = three_keys();
        let tag_of = |keys: &[PublicKey]| KeySet::new(keys).unwrap().etag().to_owned();
        let tag = tag_of(&public_keys);
        assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() == 45);
        assert_eq!(tag, tag_of(&public_keys));
        assert_ne!(tag, tag_of(&public_keys[..2]));
    }

    #[test]
    fn a_key_twice_is_refused() {
        let key = SigningKey::generate().unwrap().public_key().clone();
        let kid = key.kid().to_owned();
        let refusal = KeySet::new(&[key.clone(), key]).unwrap_err();
        assert_eq!(refusal, TokenError::DuplicateKey { kid });
    }

    #[test]
    fn a_point_off_the_curve_is_refused() {
        let coordinate = || URL_SAFE_NO_PAD.encode([1; 32]);
        let refusal =
            KeySet::new(&[PublicKey::from_coordinates(coordinate(), coordinate())]).unwrap_err();
        assert!(matches!(refusal, TokenError::InvalidSigningKey { .. }));
    }

    #[test]
    fn the_signature_of_rfc_7515_verifies_and_its_neighbour_does_not() {
        // RFC 7515 appendix A.3.
        let key = PublicKey::from_coordinates(
            String::from("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"),
            String::from("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"),
        );
        let message = "eyJhbGciOiJFUzI1NiJ9.\
                       eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt\
                       cGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = URL_SAFE_NO_PAD
            .decode(
                "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSA\
                 pmWQxfKTUJqPP3-Kg6NU1Q",
            )
            .unwrap();
        let set = KeySet::new(std::slice::from_ref(&key)).unwrap();
        let verifying = set.key(key.kid()).unwrap();
        assert_eq!(verifying.verify(message.as_bytes(), &signature), Ok(()));
        let other = message.replace("NiJ9", "NiJ8");
        assert_eq!(
            verifying.verify(other.as_bytes(), &signature),
            Err(TokenError::BadSignature)
        );
    }

    #[test]
    fn an_empty_key_set_is_published_and_knows_no_key() {
        let set = KeySet::new(&[]).unwrap();
        assert_eq!(set.body(), Bytes::from_static(b"{\"keys\":[]}"));
        assert!(set.key("").is_none());
    }
}
