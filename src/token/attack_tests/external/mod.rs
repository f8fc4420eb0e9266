//! Attack tests of external tokens: each is valid except for one thing.

mod claims;
mod key_sets;

use std::sync::LazyLock;

use josekit::jwk::Jwk;
use josekit::jws::{
    ES256, ES384, ES512, EdDSA, HS256, JwsSigner, PS256, PS384, PS512, RS256, RS384, RS512,
};
use strum::VariantArray;

use super::*;
use crate::domain::issuer::Algorithm;
use crate::domain::issuer::ClaimPath;
use crate::domain::text_enum::TextEnum;
use crate::domain::token_refusal::TokenCheck;
use crate::token::external::{ExternalToken, unverified_issuer};
use crate::token::external_claims::{
    EXTERNAL_TOKEN_LEEWAY, ExpectedExternalClaims, ExternalClaims,
};
use crate::token::external_keys::ExternalKeySet;
use crate::token::refused_token::RefusedToken;

const ISSUER: &str = "https://id.example";
const AUDIENCE: &str = "https://gate.example";

/// A key of an issuer and its signer.
struct TestKey {
    kid: &'static str,
    algorithm: Algorithm,
    public: Value,
    signer: Box<dyn JwsSigner>,
}

fn test_key(kid: &'static str, algorithm: Algorithm) -> TestKey {
    macro_rules! made {
        ($algorithm:expr, $pair:expr) => {{
            let pair = $pair.unwrap();
            let signer = $algorithm
                .signer_from_jwk(&pair.to_jwk_private_key())
                .unwrap();
            (
                pair.to_jwk_public_key(),
                Box::new(signer) as Box<dyn JwsSigner>,
            )
        }};
    }
    let (jwk, signer): (Jwk, _) = match algorithm {
        Algorithm::Rs256 => made!(RS256, RS256.generate_key_pair(2048)),
        Algorithm::Rs384 => made!(RS384, RS384.generate_key_pair(2048)),
        Algorithm::Rs512 => made!(RS512, RS512.generate_key_pair(2048)),
        Algorithm::Ps256 => made!(PS256, PS256.generate_key_pair(2048)),
        Algorithm::Ps384 => made!(PS384, PS384.generate_key_pair(2048)),
        Algorithm::Ps512 => made!(PS512, PS512.generate_key_pair(2048)),
        Algorithm::Es256 => made!(ES256, ES256.generate_key_pair()),
        Algorithm::Es384 => made!(ES384, ES384.generate_key_pair()),
        Algorithm::Es512 => made!(ES512, ES512.generate_key_pair()),
        Algorithm::EdDsa => {
            made!(
                EdDSA,
                EdDSA.generate_key_pair(josekit::jwk::alg::ed::EdCurve::Ed25519)
            )
        }
    };
    let mut public = serde_json::to_value(&jwk).unwrap();
    public["kid"] = json!(kid);
    public["use"] = json!("sig");
    public.as_object_mut().unwrap().shift_remove("alg");
    public.as_object_mut().unwrap().shift_remove("key_ops");
    TestKey {
        kid,
        algorithm,
        public,
        signer,
    }
}

impl TestKey {
    fn sign(&self, header: &str, payload: &str) -> String {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let signed = format!("{}.{}", encode(header), encode(payload));
        let signature = self.signer.sign(signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn header(&self) -> Value {
        json!({"alg": self.algorithm.as_str(), "kid": self.kid, "typ": "at+jwt"})
    }

    fn token(&self) -> String {
        self.sign(&self.header().to_string(), &claims().to_string())
    }

    fn with_header(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut header = self.header();
        change(&mut header);
        self.sign(&header.to_string(), &claims().to_string())
    }

    fn with_claims(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = claims();
        change(&mut claims);
        self.sign(&self.header().to_string(), &claims.to_string())
    }
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "7f", "iat": NOW, "exp": NOW + 300,
        "client_id": "notebook", "realm_access": {"roles": ["hydrology"]},
    })
}

/// An RSA and a P-256 key, for the tests that are not about algorithms.
static RSA: LazyLock<TestKey> = LazyLock::new(|| test_key("rsa", Algorithm::Rs256));
static EC: LazyLock<TestKey> = LazyLock::new(|| test_key("ec", Algorithm::Es256));

fn key_set_json(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

/// What is expected of a token of these tests.
const EXPECTED_EXTERNAL: ExpectedExternalClaims<'static> = ExpectedExternalClaims {
    issuer: ISSUER,
    audience: AUDIENCE,
    audience_claim: None,
    algorithms: &[Algorithm::Rs256, Algorithm::Es256],
    now_millis: NOW * 1000,
};

fn verify_with(
    token: &str,
    key_set: &str,
    algorithms: &[Algorithm],
) -> Result<ExternalClaims, TokenError> {
    let expected = ExpectedExternalClaims {
        algorithms,
        ..EXPECTED_EXTERNAL
    };
    let keys = ExternalKeySet::parse(key_set.as_bytes(), algorithms)?;
    verify_as(token, &keys, &expected).map_err(|refused| refused.error)
}

fn verify_as(
    token: &str,
    keys: &ExternalKeySet,
    expected: &ExpectedExternalClaims<'_>,
) -> Result<ExternalClaims, RefusedToken> {
    ExternalToken::parse(token, expected)?.verify(keys)
}

fn verify(token: &str) -> Result<ExternalClaims, TokenError> {
    let keys = key_set_json(&[RSA.public.clone(), EC.public.clone()]);
    verify_with(token, &keys, &[Algorithm::Rs256, Algorithm::Es256])
}

#[test]
fn every_algorithm_verifies_what_it_signed_and_nothing_else() {
    for algorithm in Algorithm::VARIANTS {
        let key = test_key("k", *algorithm);
        let keys = key_set_json(std::slice::from_ref(&key.public));
        let verified = verify_with(&key.token(), &keys, Algorithm::VARIANTS);
        assert_eq!(verified.unwrap().subject, "7f", "{algorithm}");
        let token = key.token();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        bytes[10] ^= 1;
        let flipped = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(&bytes));
        assert_eq!(
            verify_with(&flipped, &keys, Algorithm::VARIANTS),
            Err(TokenError::BadSignature),
            "{algorithm}"
        );
        for signature in [vec![], vec![0; bytes.len()], vec![0xff; 4000]] {
            let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
            verify_with(&token, &keys, Algorithm::VARIANTS).unwrap_err();
        }
        let others: Vec<_> = Algorithm::VARIANTS
            .iter()
            .copied()
            .filter(|a| a != algorithm)
            .collect();
        let all = key_set_json(&[key.public.clone(), RSA.public.clone(), EC.public.clone()]);
        assert_eq!(
            verify_with(&key.token(), &all, &others),
            Err(TokenError::AlgorithmNotAccepted)
        );
    }
}

#[test]
fn a_key_that_names_its_algorithm_serves_no_other() {
    let mut public = RSA.public.clone();
    public["alg"] = json!("RS256");
    let keys = key_set_json(&[public]);
    let algorithms = [Algorithm::Rs256, Algorithm::Ps256];
    verify_with(&RSA.token(), &keys, &algorithms).unwrap();
    let token = RSA.with_header(|header| header["alg"] = json!("PS256"));
    assert_eq!(
        verify_with(&token, &keys, &algorithms),
        Err(TokenError::UnknownKey)
    );
}

#[test]
fn unsigned_tokens_and_hmacs_with_the_public_key_are_refused() {
    for alg in ["none", "None", "NONE", "HS256", "HS512", "", "es256"] {
        for key in [&*RSA, &*EC] {
            let token = key.with_header(|header| header["alg"] = json!(alg));
            assert_eq!(
                verify(&token),
                Err(TokenError::AlgorithmNotAccepted),
                "{alg}"
            );
            let (signed, _) = token.rsplit_once('.').unwrap();
            assert_eq!(
                verify(&format!("{signed}.")),
                Err(TokenError::AlgorithmNotAccepted)
            );
        }
    }
    let keys = key_set_json(std::slice::from_ref(&RSA.public));
    for secret in [RSA.public.to_string(), keys] {
        for alg in ["HS256", "RS256"] {
            let token = RSA.with_header(|header| header["alg"] = json!(alg));
            let (signed, _) = token.rsplit_once('.').unwrap();
            let hmac = HS256.signer_from_bytes(&secret).unwrap();
            let mac = URL_SAFE_NO_PAD.encode(hmac.sign(signed.as_bytes()).unwrap());
            let error = verify(&format!("{signed}.{mac}")).unwrap_err();
            let expected = match alg {
                "HS256" => TokenError::AlgorithmNotAccepted,
                _ => TokenError::BadSignature,
            };
            assert_eq!(error, expected);
        }
    }
}

#[test]
fn headers_that_choose_the_key_or_the_rules_are_refused() {
    for (member, value) in [
        ("jwk", EC.public.clone()),
        ("jku", json!("https://evil.example/jwks.json")),
        ("x5u", json!("https://evil.example/cert.pem")),
        ("x5c", json!(["MIIB"])),
        ("crit", json!([])),
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
    ] {
        let token = EC.with_header(|header| header[member] = value);
        let error = verify(&token).unwrap_err();
        assert_eq!(
            defect_in(error),
            (TokenPart::Header, Defect::UnknownMember),
            "{member}"
        );
    }
    // A mere hint is ignored.
    verify(&EC.with_header(|header| header["x5t"] = json!("AAAA"))).unwrap();
}

#[test]
fn the_key_is_the_one_that_the_header_names_among_the_issuers_own() {
    for kid in ["", "other", "EC", "../../etc/passwd"] {
        let token = EC.with_header(|header| header["kid"] = json!(kid));
        assert_eq!(verify(&token), Err(TokenError::UnknownKey), "{kid}");
    }
    let token = EC.with_header(|header| header["kid"] = json!("rsa"));
    assert_eq!(verify(&token), Err(TokenError::UnknownKey));
    let other = test_key("ec", Algorithm::Es256);
    assert_eq!(verify(&other.token()), Err(TokenError::BadSignature));
    for kid in [json!(null), json!(7), json!(["ec"])] {
        let token = EC.with_header(|header| header["kid"] = kid.clone());
        let error = verify(&token).unwrap_err();
        assert_eq!(
            defect_in(error),
            (TokenPart::Header, Defect::WrongType),
            "{kid}"
        );
    }
}

#[test]
fn a_token_without_a_kid_means_the_only_key_for_its_algorithm() {
    let anonymous = |key: &TestKey| {
        let mut public = key.public.clone();
        remove(&mut public, "kid");
        public
    };
    let algorithms = [Algorithm::Rs256, Algorithm::Es256];
    let token = EC.with_header(|header| remove(header, "kid"));
    let other = test_key("other", Algorithm::Es256);
    for (keys, expected) in [
        (vec![EC.public.clone()], Ok(())),
        (vec![RSA.public.clone(), EC.public.clone()], Ok(())),
        (vec![anonymous(&EC)], Ok(())),
        (vec![anonymous(&EC), json!({"kty": "unheard of"})], Ok(())),
        (
            vec![EC.public.clone(), other.public.clone()],
            Err(TokenError::UnknownKey),
        ),
        (
            vec![anonymous(&EC), anonymous(&other)],
            Err(TokenError::UnknownKey),
        ),
        (vec![RSA.public.clone()], Err(TokenError::UnknownKey)),
        (vec![other.public.clone()], Err(TokenError::BadSignature)),
    ] {
        let result = verify_with(&token, &key_set_json(&keys), &algorithms).map(drop);
        assert_eq!(result, expected, "{keys:?}");
    }
    // A token that names a key does not mean one without a name.
    let keys = key_set_json(&[anonymous(&EC)]);
    assert_eq!(
        verify_with(&EC.token(), &keys, &algorithms),
        Err(TokenError::UnknownKey)
    );
}

#[test]
fn other_kinds_of_token_are_refused() {
    for typ in ["JWT", "jwt", "at+jwt", "application/at+jwt"] {
        verify(&EC.with_header(|header| header["typ"] = json!(typ))).unwrap();
    }
    verify(&EC.with_header(|header| remove(header, "typ"))).unwrap();
    for typ in [
        "download+jwt",
        "logout+jwt",
        "secevent+jwt",
        "dpop+jwt",
        "JWE",
        "",
    ] {
        let token = EC.with_header(|header| header["typ"] = json!(typ));
        assert_eq!(
            verify(&token),
            Err(TokenError::WrongKind { expected: "bearer" }),
            "{typ}"
        );
    }
}

#[test]
fn our_own_tokens_are_not_accepted_as_external_tokens() {
    let fixture = fixture();
    for token in [fixture.token(), fixture.session_token()] {
        verify(&token).unwrap_err();
        assert_eq!(unverified_issuer(&token).as_deref(), Ok(EXPECTED.issuer));
        assert!(DownloadClaims::verify(&EC.token(), &fixture.keys, &EXPECTED).is_err());
        assert!(SessionClaims::verify(&EC.token(), &fixture.keys, &EXPECTED).is_err());
    }
}

#[test]
fn malformed_external_tokens_are_rejected() {
    let token = EC.token();
    let long = EC.with_claims(|claims| claims["x"] = json!("a".repeat(MAX_EXTERNAL_TOKEN_LENGTH)));
    for (text, defect) in [
        (long, (TokenPart::Token, Defect::TooLong)),
        (
            format!("{token}.x"),
            (TokenPart::Token, Defect::NotThreeParts),
        ),
        (
            format!("{token}="),
            (TokenPart::Signature, Defect::NotBase64url),
        ),
        ("a".to_owned(), (TokenPart::Token, Defect::NotThreeParts)),
        (String::new(), (TokenPart::Token, Defect::NotThreeParts)),
        (
            EC.sign("[]", "{}"),
            (TokenPart::Header, Defect::NotJsonObject),
        ),
        (
            EC.sign(&EC.header().to_string(), "7"),
            (TokenPart::Payload, Defect::NotJsonObject),
        ),
    ] {
        let error = verify(&text).unwrap_err();
        assert_eq!(defect_in(error), defect, "{text:.40}");
    }
    for text in ["", "a.b", "a.b.c", "..", "a.e30.c"] {
        let refusal = unverified_issuer(text).unwrap_err();
        assert!(
            matches!(refusal.check, TokenCheck::Form | TokenCheck::Iss),
            "{text}"
        );
    }
}
