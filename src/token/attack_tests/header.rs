//! Headers that name another algorithm, kind, key or rule.

use super::*;

#[test]
fn neither_kind_is_accepted_for_the_other() {
    let fixture = fixture();
    assert_eq!(
        fixture.error(&fixture.session_token()),
        TokenError::WrongKind {
            expected: "download"
        }
    );
    assert_eq!(
        SessionClaims::verify(&fixture.token(), &fixture.keys, &EXPECTED),
        Err(TokenError::WrongKind {
            expected: "session"
        })
    );
}

#[test]
fn the_kind_is_checked_in_the_claims_and_in_the_header() {
    let fixture = fixture();
    for typ in ["session", "Download", ""] {
        assert_eq!(
            fixture.error(&fixture.with_payload(|payload| payload["typ"] = json!(typ))),
            TokenError::WrongKind {
                expected: "download"
            }
        );
    }
    for typ in ["JWT", "at+jwt", "application/download+jwt", ""] {
        assert_eq!(
            fixture.error(&fixture.with_header(|header| header["typ"] = json!(typ))),
            TokenError::WrongKind {
                expected: "download"
            }
        );
    }
}

#[test]
fn every_algorithm_but_es256_is_refused() {
    let fixture = fixture();
    for alg in ["none", "None", "HS256", "RS256", "ES384", "es256", ""] {
        assert_eq!(
            fixture.error(&fixture.with_header(|header| header["alg"] = json!(alg))),
            TokenError::WrongAlgorithm,
            "{alg}"
        );
    }
}

#[test]
fn an_unsigned_token_is_refused() {
    let fixture = fixture();
    let header = edit_json(&fixture.json(0), |header| header["alg"] = json!("none"));
    let forged = fixture.forge(&header, &fixture.json(1));
    let (signed, _) = forged.rsplit_once('.').unwrap();
    assert_eq!(
        fixture.error(&format!("{signed}.")),
        TokenError::WrongAlgorithm
    );
    // The same with the header unchanged.
    let token = fixture.token();
    let (signed, _) = token.rsplit_once('.').unwrap();
    assert_eq!(
        fixture.defect(&format!("{signed}.")),
        (TokenPart::Signature, Defect::WrongSignatureLength)
    );
}

#[test]
fn an_hmac_with_the_public_key_is_refused() {
    let fixture = fixture();
    let public_key = serde_json::to_value(fixture.key.public_key()).unwrap();
    let coordinate = |name: &str| {
        let text = public_key[name].as_str().unwrap();
        URL_SAFE_NO_PAD.decode(text).unwrap()
    };
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    for secret in [
        point,
        public_key.to_string().into_bytes(),
        fixture.keys.body().to_vec(),
    ] {
        for alg in ["HS256", "ES256"] {
            let header = edit_json(&fixture.json(0), |header| header["alg"] = json!(alg));
            let forged = fixture.forge(&header, &fixture.json(1));
            let (signed, _) = forged.rsplit_once('.').unwrap();
            let hmac = HS256.signer_from_bytes(&secret).unwrap();
            let mac = URL_SAFE_NO_PAD.encode(hmac.sign(signed.as_bytes()).unwrap());
            let error = fixture.error(&format!("{signed}.{mac}"));
            let is_for_the_reason = match alg {
                "HS256" => error == TokenError::WrongAlgorithm,
                _ => error == Defect::WrongSignatureLength.in_part(TokenPart::Signature),
            };
            assert!(is_for_the_reason, "{alg}: {error}");
        }
    }
}

#[test]
fn headers_that_choose_the_key_or_the_rules_are_refused() {
    let fixture = fixture();
    for (member, value) in [
        (
            "jwk",
            serde_json::to_value(fixture.key.public_key()).unwrap(),
        ),
        ("jku", json!("https://evil.example/jwks.json")),
        ("x5u", json!("https://evil.example/cert.pem")),
        ("x5c", json!(["MIIB"])),
        ("x5t", json!("AAAA")),
        ("crit", json!([])),
        ("crit", json!(["exp"])),
        ("crit", json!(["b64"])),
        ("b64", json!(false)),
        ("cty", json!("JWT")),
        ("zip", json!("DEF")),
        ("", json!(null)),
    ] {
        assert_eq!(
            fixture.defect(&fixture.with_header(|header| header[member] = value)),
            (TokenPart::Header, Defect::UnknownMember),
            "{member}"
        );
    }
}

#[test]
fn a_key_that_is_not_published_is_refused() {
    let fixture = fixture();
    let kid = fixture.key.kid().to_owned();
    let unpublished = SigningKey::generate().unwrap();
    for kid in [
        unpublished.kid(),
        "",
        "../../etc/passwd",
        &kid.to_lowercase(),
        &kid[..42],
    ] {
        assert_eq!(
            fixture.error(&fixture.with_header(|header| header["kid"] = json!(kid))),
            TokenError::UnknownKey,
            "{kid}"
        );
    }
    let token = fixture.download.sign(&unpublished).unwrap();
    assert_eq!(fixture.error(token.reveal()), TokenError::UnknownKey);
}

#[test]
fn a_signature_of_another_published_key_is_refused() {
    let fixture = fixture();
    let other = SigningKey::generate().unwrap();
    let keys = [other.public_key().clone(), fixture.key.public_key().clone()];
    let keys = KeySet::new(&keys).unwrap();
    let token = fixture.with_header(|header| header["kid"] = json!(other.kid()));
    assert_eq!(
        DownloadClaims::verify(&token, &keys, &EXPECTED),
        Err(TokenError::BadSignature)
    );
}
