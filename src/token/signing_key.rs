//! Signing keys: the private key that signs, and the public key that verifiers fetch.
//!
//! A key's id is its RFC 7638 thumbprint, so it follows from the key alone.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use josekit::jwk::alg::ec::{EcCurve, EcKeyPair};
use josekit::jwk::{Jwk, KeyPair as _};
use josekit::jws::alg::ecdsa::EcdsaJwsSigner;
use josekit::jws::{ES256, JwsSigner as _};
use josekit::{JoseError, Map, Value};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

use super::error::TokenError;
use super::kind::TokenKind;
use super::sealed::SealingKey;

/// A private ES256 key; clones share it.
#[derive(Clone)]
pub struct SigningKey(Arc<Inner>);

struct Inner {
    key_pair: EcKeyPair,
    signer: EcdsaJwsSigner,
    public_key: PublicKey,
    download_header: String,
    session_header: String,
}

/// The public key of a signing key, as in the key set: an RFC 7517 JWK.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PublicKey {
    kty: &'static str,
    crv: &'static str,
    x: String,
    y: String,
    kid: String,
    alg: &'static str,
    #[serde(rename = "use")]
    usage: &'static str,
}

impl SigningKey {
    /// Generates a random P-256 key.
    ///
    /// # Errors
    ///
    /// [`TokenError::KeyGeneration`] if the cryptographic library fails.
    pub fn generate() -> Result<Self, TokenError> {
        let failed = |error: JoseError| TokenError::KeyGeneration {
            reason: error.to_string(),
        };
        Self::from_key_pair(EcKeyPair::generate(EcCurve::P256).map_err(failed)?)
    }

    /// The key's id: its RFC 7638 thumbprint, 43 characters of base64url.
    pub fn kid(&self) -> &str {
        self.0.public_key.kid()
    }

    /// The public key.
    pub fn public_key(&self) -> &PublicKey {
        &self.0.public_key
    }

    /// Seals the private key as a compact JWE whose plain text is the private JWK
    /// (RFC 7518 section 6.2.2).
    ///
    /// # Errors
    ///
    /// [`TokenError::Seal`] if the cryptographic library fails.
    pub fn seal(&self, sealing_key: &SealingKey) -> Result<String, TokenError> {
        let mut jwk = ZeroizingJwk(self.0.key_pair.to_jwk_key_pair());
        jwk.0.set_key_id(self.kid());
        jwk.0.set_algorithm("ES256");
        jwk.0.set_key_use("sig");
        let mut plain = Zeroizing::new(Vec::with_capacity(512));
        serde_json::to_writer(&mut *plain, jwk.0.as_ref()).map_err(|_| TokenError::Seal {
            reason: String::from("the key could not be written as JSON"),
        })?;
        sealing_key.seal(&plain)
    }

    /// Unseals what [`SigningKey::seal`] sealed.
    ///
    /// The public key is computed from the private key, and must be the one in the JWK.
    ///
    /// # Errors
    ///
    /// [`TokenError::Unseal`] if the sealing key is another one or the text is damaged,
    /// [`TokenError::InvalidSigningKey`] if the text is not a complete key.
    pub fn unseal(sealed: &str, sealing_key: &SealingKey) -> Result<Self, TokenError> {
        let unusable = |reason| TokenError::InvalidSigningKey { reason };
        let plain = sealing_key.unseal(sealed)?;
        let jwk = Jwk::from_bytes(&*plain).map_err(|_| unusable("it is not a JWK"))?;
        let mut jwk = ZeroizingJwk(jwk);
        let claimed = public_members(&jwk.0);
        for coordinate in ["x", "y"] {
            jwk.0
                .set_parameter(coordinate, None)
                .map_err(|_| unusable("it is not a JWK"))?;
        }
        let key_pair =
            EcKeyPair::from_jwk(&jwk.0).map_err(|_| unusable("it is not a private EC key"))?;
        if key_pair.curve() != EcCurve::P256 {
            return Err(unusable("it is not on the curve P-256"));
        }
        let key = Self::from_key_pair(key_pair)?;
        let PublicKey { x, y, kid, .. } = key.public_key();
        if claimed != [Some(x.clone()), Some(y.clone()), Some(kid.clone())] {
            return Err(unusable("its public key or its id does not match"));
        }
        Ok(key)
    }

    /// Signs bytes: `r` and `s`, 64 bytes together (RFC 7518 section 3.4).
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, TokenError> {
        self.0
            .signer
            .sign(message)
            .map_err(|error| TokenError::Sign {
                reason: error.to_string(),
            })
    }

    /// The header of every token of `kind` that this key signs, in base64url; computed once.
    pub(super) fn encoded_header(&self, kind: TokenKind) -> &str {
        match kind {
            TokenKind::Download => &self.0.download_header,
            TokenKind::Session => &self.0.session_header,
        }
    }

    fn from_key_pair(key_pair: EcKeyPair) -> Result<Self, TokenError> {
        let unusable = |reason| TokenError::InvalidSigningKey { reason };
        let der = Zeroizing::new(key_pair.to_der_private_key());
        let signer = ES256
            .signer_from_der(&*der)
            .map_err(|_| unusable("it cannot sign with ES256"))?;
        let jwk = key_pair.to_jwk_public_key();
        let [Some(x), Some(y), _] = public_members(&jwk) else {
            return Err(unusable("it has no public key"));
        };
        let public_key = PublicKey::from_coordinates(x, y);
        Ok(Self(Arc::new(Inner {
            download_header: TokenKind::Download.encoded_header(public_key.kid()),
            session_header: TokenKind::Session.encoded_header(public_key.kid()),
            key_pair,
            signer,
            public_key,
        })))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.kid()).finish()
    }
}

impl PublicKey {
    /// The key's id: its RFC 7638 thumbprint, 43 characters of base64url.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The coordinates `x` and `y`, each 32 bytes in base64url.
    pub(super) fn coordinates(&self) -> [&str; 2] {
        [&self.x, &self.y]
    }

    /// A published key with the id that its publisher gave it.
    pub(super) fn with_kid(x: String, y: String, kid: String) -> Self {
        Self {
            kid,
            ..Self::from_coordinates(x, y)
        }
    }

    /// The public key with these coordinates, each 32 bytes in base64url.
    pub(super) fn from_coordinates(x: String, y: String) -> Self {
        let kid = thumbprint(&x, &y);
        Self {
            kty: "EC",
            crv: "P-256",
            x,
            y,
            kid,
            alg: "ES256",
            usage: "sig",
        }
    }
}

/// The JWK thumbprint of a P-256 key: SHA-256 over its required members in the order of their
/// names, without white space (RFC 7638 sections 3.1 and 3.2).
fn thumbprint(x: &str, y: &str) -> String {
    let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    URL_SAFE_NO_PAD.encode(Sha256::digest(members))
}

/// The public members of a JWK: `x`, `y` and `kid`.
fn public_members(jwk: &Jwk) -> [Option<String>; 3] {
    ["x", "y", "kid"].map(|member| {
        jwk.parameter(member)
            .and_then(Value::as_str)
            .map(str::to_owned)
    })
}

/// A private JWK whose members are zeroized on drop, which the library does not do.
struct ZeroizingJwk(Jwk);

impl Drop for ZeroizingJwk {
    fn drop(&mut self) {
        let mut members: Map<String, Value> = std::mem::replace(&mut self.0, Jwk::new("EC")).into();
        for member in members.values_mut() {
            if let Value::String(text) = member {
                text.zeroize();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seal_jwk(jwk: &str, sealing_key: &SealingKey) -> String {
        sealing_key.seal(jwk.as_bytes()).unwrap()
    }

    fn private_jwk(key: &SigningKey) -> Map<String, Value> {
        let sealing_key = SealingKey::generate();
        let sealed = key.seal(&sealing_key).unwrap();
        serde_json::from_slice(&sealing_key.unseal(&sealed).unwrap()).unwrap()
    }

    #[test]
    fn the_thumbprint_is_that_of_rfc_9449() {
        // The key of RFC 9449 section 4.1 and the `jkt` that section 6.1 gives for it.
        let key = PublicKey::from_coordinates(
            String::from("l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs"),
            String::from("9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"),
        );
        assert_eq!(key.kid(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    }

    #[test]
    fn a_sealed_key_opens_as_the_same_key() {
        let sealing_key = SealingKey::generate();
        let key = SigningKey::generate().unwrap();
        let opened = SigningKey::unseal(&key.seal(&sealing_key).unwrap(), &sealing_key).unwrap();
        assert_eq!(opened.public_key(), key.public_key());
        assert_eq!(opened.kid(), key.kid());
        let kinds = [TokenKind::Download, TokenKind::Session];
        assert!(
            kinds.map(|kind| opened.encoded_header(kind) == key.encoded_header(kind)) == [true; 2]
        );
        assert_eq!(private_jwk(&opened), private_jwk(&key));
    }

    #[test]
    fn the_wrong_sealing_key_is_refused() {
        let sealed = SigningKey::generate()
            .unwrap()
            .seal(&SealingKey::generate())
            .unwrap();
        let refusal = SigningKey::unseal(&sealed, &SealingKey::generate()).unwrap_err();
        assert!(matches!(refusal, TokenError::Unseal { .. }), "{refusal}");
    }

    #[test]
    fn a_sealed_key_reveals_nothing_of_the_key() {
        let sealing_key = SealingKey::generate();
        let key = SigningKey::generate().unwrap();
        let sealed = key.seal(&sealing_key).unwrap();
        let jwk = private_jwk(&key);
        assert_eq!(
            jwk.keys()
                .map(String::as_str)
                .collect::<std::collections::BTreeSet<_>>(),
            ["alg", "crv", "d", "kid", "kty", "use", "x", "y"].into()
        );
        let texts: Vec<Vec<u8>> = sealed
            .split('.')
            .map(|part| URL_SAFE_NO_PAD.decode(part).unwrap())
            .chain([sealed.clone().into_bytes()])
            .collect();
        for member in ["d", "x", "y", "kid"] {
            let text = jwk[member].as_str().unwrap();
            let bytes = URL_SAFE_NO_PAD.decode(text).unwrap();
            for shown in &texts {
                let shows = |secret: &[u8]| shown.windows(secret.len()).any(|part| part == secret);
                assert!(!shows(text.as_bytes()) && !shows(&bytes), "{member}");
            }
        }
    }

    #[test]
    fn a_key_with_another_keys_public_half_or_id_is_refused() {
        let sealing_key = SealingKey::generate();
        let (key, other) = (
            private_jwk(&SigningKey::generate().unwrap()),
            private_jwk(&SigningKey::generate().unwrap()),
        );
        for member in ["d", "x", "y", "kid"] {
            let mut mixed = key.clone();
            mixed.insert(String::from(member), other[member].clone());
            let sealed = seal_jwk(&serde_json::to_string(&mixed).unwrap(), &sealing_key);
            assert_eq!(
                SigningKey::unseal(&sealed, &sealing_key).unwrap_err(),
                TokenError::InvalidSigningKey {
                    reason: "its public key or its id does not match"
                },
                "{member}"
            );
        }
    }

    #[test]
    fn keys_other_than_private_p256_keys_are_rejected() {
        let sealing_key = SealingKey::generate();
        let p384 = EcKeyPair::generate(EcCurve::P384).unwrap();
        let symmetric = String::from(r#"{"kty":"oct","k":"AAAA"}"#);
        let public_only =
            serde_json::to_string(SigningKey::generate().unwrap().public_key()).unwrap();
        for (text, reason) in [
            (
                p384.to_jwk_key_pair().to_string(),
                "it is not on the curve P-256",
            ),
            (symmetric, "it is not a private EC key"),
            (public_only, "it is not a private EC key"),
            (String::from("[]"), "it is not a JWK"),
        ] {
            let sealed = seal_jwk(&text, &sealing_key);
            let refusal = SigningKey::unseal(&sealed, &sealing_key).unwrap_err();
            assert_eq!(refusal, TokenError::InvalidSigningKey { reason });
        }
    }

    #[test]
    fn coordinates_keep_their_leading_zeros() {
        // One key in 128 has a coordinate that begins with a zero byte: about 16 are seen here.
        for _ in 0..2048 {
            let PublicKey { x, y, .. } = SigningKey::generate().unwrap().0.public_key.clone();
            assert_eq!((x.len(), y.len()), (43, 43));
        }
    }

    #[test]
    fn a_signing_key_prints_its_id_alone_and_goes_to_other_threads() {
        fn is_shared_by_threads<T: Send + Sync>(_: &T) {}
        let key = SigningKey::generate().unwrap();
        is_shared_by_threads(&key);
        assert_eq!(format!("{key:?}"), format!("SigningKey({:?})", key.kid()));
    }
}
