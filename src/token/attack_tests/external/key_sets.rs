//! Attack tests of the key sets of issuers: keys for other purposes, and malformed sets.

use super::*;

#[test]
fn keys_for_other_purposes_are_ignored() {
    let key = |change: &dyn Fn(&mut Value)| {
        let mut public = EC.public.clone();
        change(&mut public);
        public
    };
    for unusable in [
        key(&|key| key["use"] = json!("enc")),
        key(&|key| key["key_ops"] = json!(["sign"])),
        key(&|key| key["alg"] = json!("ES384")),
        key(&|key| key["crv"] = json!("P-384")),
        key(&|key| key["d"] = json!("AAAA")),
        key(&|key| key["x"] = json!("AAAA")),
        key(&|key| key["kid"] = json!(7)),
        json!({"kty": "oct", "kid": "ec", "k": "AAAA", "alg": "HS256"}),
        json!({"kty": "RSA", "kid": "ec", "n": "AQAB", "e": "AQAB"}),
        json!({"kty": "RSA", "kid": "ec", "n": "A".repeat(1400), "e": "AQAB"}),
        json!({"kty": "unheard of", "kid": "ec"}),
        json!({}),
        json!(7),
    ] {
        let algorithms = [Algorithm::Rs256, Algorithm::Es256];
        let keys = key_set_json(&[unusable.clone(), RSA.public.clone()]);
        let read = ExternalKeySet::parse(keys.as_bytes(), &algorithms).unwrap();
        assert_eq!(read.usable_keys(), 1, "{unusable}");
        assert_eq!(
            verify_with(&EC.token(), &keys, &algorithms),
            Err(TokenError::UnknownKey),
            "{unusable}"
        );
        assert!(ExternalKeySet::parse(key_set_json(&[unusable]).as_bytes(), &algorithms).is_err());
    }
}

#[test]
fn malformed_key_sets_are_rejected() {
    let many = key_set_json(&vec![EC.public.clone(); 65]);
    for text in [
        "",
        "[]",
        "{}",
        r#"{"keys": {}}"#,
        r#"{"keys": []}"#,
        many.as_str(),
    ] {
        let error = ExternalKeySet::parse(text.as_bytes(), Algorithm::VARIANTS).unwrap_err();
        assert!(
            matches!(error, TokenError::InvalidKeySet { .. }),
            "{text:.40}"
        );
    }
}
