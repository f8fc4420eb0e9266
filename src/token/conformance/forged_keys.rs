//! The keys of a conformance set, and what an attacker may take for one.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::case::CaseKey;
use crate::token::error::TokenError;
use crate::token::signing_key::{PublicKey, SigningKey};

/// What precedes the uncompressed point in the DER of a P-256 public key (RFC 5480 section 2).
const PUBLIC_KEY_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A,
    0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The length of a line in a PEM file (RFC 7468 section 2).
const PEM_LINE_LENGTH: usize = 64;

/// The keys of a conformance set.
pub(super) struct ForgedKeys {
    /// The published key.
    pub(super) published: SigningKey,
    /// Another published key; none beside a gate, which has one key that signs.
    pub(super) other: Option<SigningKey>,
    /// A key that is not published.
    pub(super) foreign: SigningKey,
}

impl ForgedKeys {
    /// The key whose id a token of this kind has.
    pub(super) fn named_by(&self, key: CaseKey) -> Option<&SigningKey> {
        match key {
            CaseKey::Other => self.other.as_ref(),
            CaseKey::Foreign => Some(&self.foreign),
            _ => Some(&self.published),
        }
    }

    /// The signature over `signed`.
    pub(super) fn sign(&self, key: CaseKey, signed: &[u8]) -> Result<Vec<u8>, TokenError> {
        if key == CaseKey::None {
            return Ok(Vec::new());
        }
        if let Some(secret) = secret_of(key, self.published.public_key()) {
            return hmac(&secret, signed);
        }
        self.named_by(key).unwrap_or(&self.published).sign(signed)
    }
}

fn hmac(secret: &[u8], signed: &[u8]) -> Result<Vec<u8>, TokenError> {
    let mut hmac = Hmac::<Sha256>::new_from_slice(secret).map_err(|error| TokenError::Sign {
        reason: error.to_string(),
    })?;
    hmac.update(signed);
    Ok(hmac.finalize().into_bytes().to_vec())
}

/// The public key as a secret, as it is used by whoever takes the algorithm from the token.
fn secret_of(key: CaseKey, public_key: &PublicKey) -> Option<Vec<u8>> {
    Some(match key {
        CaseKey::HmacPem => pem(public_key).into_bytes(),
        CaseKey::HmacPemTrimmed => pem(public_key).trim_end().as_bytes().to_vec(),
        CaseKey::HmacDer => der(public_key),
        CaseKey::HmacPoint => point(public_key),
        CaseKey::HmacJwk => serde_json::to_vec(public_key).unwrap_or_default(),
        CaseKey::HmacX => public_key.coordinates()[0].as_bytes().to_vec(),
        CaseKey::HmacKid => public_key.kid().as_bytes().to_vec(),
        CaseKey::HmacEmpty => Vec::new(),
        CaseKey::Published | CaseKey::Other | CaseKey::Foreign | CaseKey::None => return None,
    })
}

/// The uncompressed point (SEC 1 section 2.3.3).
fn point(public_key: &PublicKey) -> Vec<u8> {
    let [x, y] = public_key
        .coordinates()
        .map(|coordinate| URL_SAFE_NO_PAD.decode(coordinate).unwrap_or_default());
    [vec![4], x, y].concat()
}

fn der(public_key: &PublicKey) -> Vec<u8> {
    [PUBLIC_KEY_PREFIX.to_vec(), point(public_key)].concat()
}

fn pem(public_key: &PublicKey) -> String {
    let mut text = STANDARD.encode(der(public_key));
    let mut lines = vec!["-----BEGIN PUBLIC KEY-----".to_owned()];
    while text.len() > PEM_LINE_LENGTH {
        let rest = text.split_off(PEM_LINE_LENGTH);
        lines.push(std::mem::replace(&mut text, rest));
    }
    lines.push(text);
    lines.push("-----END PUBLIC KEY-----\n".to_owned());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_key_is_written_as_openssl_writes_it() {
        // The key of RFC 7515 appendix A.3, as `openssl pkey -pubout` prints it.
        let key = PublicKey::from_coordinates(
            String::from("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"),
            String::from("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"),
        );
        let expected = "-----BEGIN PUBLIC KEY-----\n\
            MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEf83OJ3D2xF1Bg8vub9tLe1gHMzV7\n\
            6e8Tus9uPHvRVEXH8UTNG72bfocs3+257rn0s2ldbqkLJK2KRiMohYjlrQ==\n\
            -----END PUBLIC KEY-----\n";
        assert_eq!(pem(&key), expected);
    }

    #[test]
    fn the_hmac_is_that_of_rfc_4231() {
        let found = hmac(b"Jefe", b"what do ya want for nothing?").unwrap();
        let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(hex::encode(found), expected);
    }
}
