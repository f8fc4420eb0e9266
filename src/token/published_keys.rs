//! A published key set as somebody else reads it: an RFC 7517 JWK Set, from its JSON to keys that verify.
//!
//! Keys of other types and for other uses are ignored (RFC 7517 section 5).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

use super::error::TokenError;
use super::key_set::KeySet;
use super::signing_key::PublicKey;

/// Maximum length in bytes of a key set that is parsed.
pub const MAX_KEY_SET_LENGTH: usize = 64 * 1024;

/// Maximum number of keys in a key set that is parsed.
pub const MAX_PUBLISHED_KEYS: usize = 100;

/// The length of a coordinate: 32 bytes in base64url.
const COORDINATE_LENGTH: usize = 43;

#[derive(Deserialize)]
struct PublishedSet {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct PublishedKey {
    kty: String,
    crv: String,
    x: String,
    y: String,
    kid: String,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default, rename = "use")]
    usage: Option<String>,
}

impl KeySet {
    /// Parses a published key set. A verifier fetches it from `<issuer>/.well-known/jwks.json`.
    ///
    /// # Errors
    ///
    /// [`TokenError::InvalidKeySet`] for what is no key set, is longer than [`MAX_KEY_SET_LENGTH`], has more than
    /// [`MAX_PUBLISHED_KEYS`] keys, or none for ES256; [`TokenError::DuplicateKey`] if an id is there twice;
    /// [`TokenError::InvalidSigningKey`] if a key is not a point of P-256. Keep the keys that you have then.
    pub fn parse(json: &[u8]) -> Result<Self, TokenError> {
        let invalid = |reason| TokenError::InvalidKeySet { reason };
        if json.len() > MAX_KEY_SET_LENGTH {
            return Err(invalid("it is too long"));
        }
        let set: PublishedSet =
            serde_json::from_slice(json).map_err(|_| invalid("it is not a JWK Set"))?;
        if set.keys.len() > MAX_PUBLISHED_KEYS {
            return Err(invalid("it has too many keys"));
        }
        let keys = set.keys.into_iter().filter_map(public_key);
        let keys: Vec<PublicKey> = keys.collect();
        if keys.is_empty() {
            return Err(invalid("it has no key for ES256"));
        }
        Self::new(&keys)
    }
}

/// The key, if it is one that download tokens may be signed with.
fn public_key(jwk: Value) -> Option<PublicKey> {
    let key: PublishedKey = serde_json::from_value(jwk).ok()?;
    let is_for_es256 = key.kty == "EC"
        && key.crv == "P-256"
        && key.alg.is_none_or(|alg| alg == "ES256")
        && key.usage.is_none_or(|usage| usage == "sig");
    let is_coordinate =
        |text: &str| text.len() == COORDINATE_LENGTH && URL_SAFE_NO_PAD.decode(text).is_ok();
    let is_usable =
        is_for_es256 && is_coordinate(&key.x) && is_coordinate(&key.y) && !key.kid.is_empty();
    is_usable.then(|| PublicKey::with_kid(key.x, key.y, key.kid))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::token::SigningKey;

    fn published() -> Value {
        serde_json::to_value(SigningKey::generate().unwrap().public_key()).unwrap()
    }

    fn parse(keys: &Value) -> Result<KeySet, TokenError> {
        KeySet::parse(json!({ "keys": keys }).to_string().as_bytes())
    }

    fn reason(set: Result<KeySet, TokenError>) -> &'static str {
        match set.unwrap_err() {
            TokenError::InvalidKeySet { reason } => reason,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn the_key_set_that_is_published_is_read_back() {
        let keys = [(); 3].map(|()| SigningKey::generate().unwrap().public_key().clone());
        let set = KeySet::new(&keys).unwrap();
        let parsed = KeySet::parse(&set.body()).unwrap();
        assert_eq!(parsed.body(), set.body());
        assert!(keys.iter().all(|key| parsed.key(key.kid()).is_some()));
    }

    #[test]
    fn keys_of_other_types_and_uses_are_ignored() {
        let good = published();
        let kid = good["kid"].as_str().unwrap().to_owned();
        let changed = |member: &str, value: Value| {
            let mut key = published();
            key[member] = value;
            key
        };
        let ignored = [
            json!({"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "rsa"}),
            json!({"kty": "oct", "k": "c2VjcmV0", "kid": "oct"}),
            json!({"kty": "OKP", "crv": "Ed25519", "x": "AA", "kid": "okp"}),
            changed("crv", json!("P-384")),
            changed("alg", json!("ES384")),
            changed("use", json!("enc")),
            changed("kid", json!("")),
            changed("kid", json!(7)),
            changed("x", json!("AA")),
            json!("text"),
            json!(null),
        ];
        for other in ignored {
            let set = parse(&json!([other, good])).unwrap();
            assert!(set.key(&kid).is_some(), "{other}");
            assert_eq!(
                reason(parse(&json!([other]))),
                "it has no key for ES256",
                "{other}"
            );
        }
    }

    #[test]
    fn a_key_may_have_any_id_and_leave_out_what_is_optional() {
        let mut key = published();
        key["kid"] = json!("summer");
        let members = key.as_object_mut().unwrap();
        members.remove("alg");
        members.remove("use");
        members.insert("x5t".to_owned(), json!("ignored"));
        assert!(parse(&json!([key])).unwrap().key("summer").is_some());
    }

    #[test]
    fn what_is_no_key_set_is_an_error() {
        for text in ["", "[]", "{}", "{\"keys\":{}}", "<html>", "{\"keys\":[]"] {
            let set = KeySet::parse(text.as_bytes());
            assert_eq!(reason(set), "it is not a JWK Set", "{text}");
        }
        assert_eq!(
            reason(KeySet::parse(&vec![b' '; MAX_KEY_SET_LENGTH + 1])),
            "it is too long"
        );
        let many = vec![published(); MAX_PUBLISHED_KEYS + 1];
        assert_eq!(reason(parse(&json!(many))), "it has too many keys");
        let twice = published();
        assert!(matches!(
            parse(&json!([twice, twice])).unwrap_err(),
            TokenError::DuplicateKey { .. }
        ));
    }
}
