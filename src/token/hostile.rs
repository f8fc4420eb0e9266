//! Hostile tokens: each is a valid token but for one thing, and signed with the right key, so
//! that it is refused for that thing alone.

use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use josekit::jws::{HS256, JwsSigner as _};
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::domain::caller::Authentication;
use crate::domain::decision::LONGEST_TOKEN_LIFE;
use crate::domain::id::{DatasetId, RecordId, UserId};

const NOW: i64 = 1_800_000_000;
const EXPECTED: Expected<'static> = Expected {
    issuer: "https://gate.example",
    audience: "https://files.example",
    now: NOW,
};

/// A key, the key set it is published in with another one, and valid claims of both kinds.
struct Bench {
    key: SigningKey,
    keys: KeySet,
    download: DownloadClaims,
    session: SessionClaims,
}

fn bench() -> Bench {
    let key = SigningKey::generate().unwrap();
    let other = SigningKey::generate().unwrap();
    let keys = KeySet::publish(&[other.public_key().clone(), key.public_key().clone()]).unwrap();
    let subject = UserId::random();
    let download = DownloadClaims {
        issuer: EXPECTED.issuer.to_owned(),
        audience: EXPECTED.audience.to_owned(),
        subject: Some(subject),
        dataset_id: DatasetId(Uuid::new_v4()),
        id: RecordId::at(1_800_000_000_000),
        issued_at: NOW,
        expires_at: NOW + 120,
    };
    let session = SessionClaims {
        issuer: download.issuer.clone(),
        audience: download.audience.clone(),
        subject,
        id: download.id,
        issued_at: NOW,
        expires_at: NOW + 3600,
        authentication: Authentication::Password,
    };
    Bench {
        key,
        keys,
        download,
        session,
    }
}

impl Bench {
    fn token(&self) -> String {
        self.download.sign(&self.key).unwrap().reveal().clone()
    }

    fn session_token(&self) -> String {
        self.session.sign(&self.key).unwrap().reveal().clone()
    }

    /// The JSON text of a part of the valid download token.
    fn json(&self, part: usize) -> String {
        json_of(&self.token(), part)
    }

    /// A token of these texts with a right signature.
    fn forge(&self, header: &str, payload: &str) -> String {
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        self.sign(&format!("{}.{}", encode(header), encode(payload)))
    }

    /// These two parts with a right signature.
    fn sign(&self, signed: &str) -> String {
        let signature = self.key.signature_of(signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The valid download token with another signature.
    fn with_signature(&self, signature: impl AsRef<[u8]>) -> String {
        let token = self.token();
        let (signed, _) = token.rsplit_once('.').unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// The valid download token with its header changed.
    fn with_header(&self, change: impl FnOnce(&mut Value)) -> String {
        self.forge(&changed(&self.json(0), change), &self.json(1))
    }

    /// The valid download token with its payload changed.
    fn with_payload(&self, change: impl FnOnce(&mut Value)) -> String {
        self.forge(&self.json(0), &changed(&self.json(1), change))
    }

    fn refusal(&self, token: &str) -> TokenError {
        DownloadClaims::verify(token, &self.keys, &EXPECTED).unwrap_err()
    }

    fn flaw(&self, token: &str) -> (Part, Flaw) {
        flaw_in(self.refusal(token))
    }
}

fn json_of(token: &str, part: usize) -> String {
    let part = token.split('.').nth(part).unwrap();
    String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn changed(json: &str, change: impl FnOnce(&mut Value)) -> String {
    let mut value = serde_json::from_str(json).unwrap();
    change(&mut value);
    value.to_string()
}

fn flaw_in(error: TokenError) -> (Part, Flaw) {
    match error {
        TokenError::Malformed { part, flaw } => (part, flaw),
        other => panic!("{other}"),
    }
}

fn remove(value: &mut Value, member: &str) {
    value.as_object_mut().unwrap().shift_remove(member).unwrap();
}

// What is valid

#[test]
fn the_wire_format_of_a_download_token_is_the_promised_one() {
    let bench = bench();
    let kid = bench.key.kid();
    assert_eq!(
        bench.json(0),
        format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"download+jwt"}}"#)
    );
    let DownloadClaims {
        dataset_id,
        id,
        subject,
        ..
    } = bench.download.clone();
    let members = format!(
        r#"{{"iss":"https://gate.example","aud":"https://files.example","iat":{NOW},"exp":{},"jti":"{id}","typ":"download","scope":"dataset:{dataset_id}""#,
        NOW + 120
    );
    let sub = subject.unwrap();
    assert_eq!(bench.json(1), format!(r#"{members},"sub":"{sub}"}}"#));
    let anonymous = DownloadClaims {
        subject: None,
        ..bench.download.clone()
    };
    let token = anonymous.sign(&bench.key).unwrap();
    assert_eq!(json_of(token.reveal(), 1), format!("{members}}}"));
    assert_eq!(
        DownloadClaims::verify(token.reveal(), &bench.keys, &EXPECTED),
        Ok(anonymous)
    );
}

#[test]
fn the_wire_format_of_a_session_token_is_the_promised_one() {
    let bench = bench();
    let (kid, token) = (bench.key.kid(), bench.session_token());
    assert_eq!(
        json_of(&token, 0),
        format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"at+jwt"}}"#)
    );
    let SessionClaims { subject, id, .. } = &bench.session;
    assert_eq!(
        json_of(&token, 1),
        format!(
            r#"{{"iss":"https://gate.example","aud":"https://files.example","sub":"{subject}","iat":{NOW},"exp":{},"jti":"{id}","typ":"session","amr":["pwd"]}}"#,
            NOW + 3600
        )
    );
    assert_eq!(
        SessionClaims::verify(&token, &bench.keys, &EXPECTED),
        Ok(bench.session)
    );
}

#[test]
fn a_forged_token_without_a_flaw_is_accepted() {
    // Without this, every refusal below could be the forger's own mistake.
    let bench = bench();
    for token in [
        bench.forge(&bench.json(0), &bench.json(1)),
        bench.with_header(|_| ()),
        bench.with_payload(|_| ()),
    ] {
        assert_eq!(
            DownloadClaims::verify(&token, &bench.keys, &EXPECTED).as_ref(),
            Ok(&bench.download)
        );
    }
}

#[test]
fn a_token_outlives_the_publishing_of_another_key() {
    let bench = bench();
    let token = bench.token();
    let newer = SigningKey::generate().unwrap();
    let both = [newer.public_key().clone(), bench.key.public_key().clone()];
    let keys = KeySet::publish(&both).unwrap();
    assert!(DownloadClaims::verify(&token, &keys, &EXPECTED).is_ok());
    let keys = KeySet::publish(&both[..1]).unwrap();
    assert_eq!(
        DownloadClaims::verify(&token, &keys, &EXPECTED),
        Err(TokenError::UnknownKey)
    );
}

// Kinds

#[test]
fn neither_kind_is_accepted_for_the_other() {
    let bench = bench();
    assert_eq!(
        bench.refusal(&bench.session_token()),
        TokenError::WrongKind {
            expected: "download"
        }
    );
    assert_eq!(
        SessionClaims::verify(&bench.token(), &bench.keys, &EXPECTED),
        Err(TokenError::WrongKind {
            expected: "session"
        })
    );
}

#[test]
fn the_kind_in_the_claims_is_held_as_well_as_that_in_the_header() {
    let bench = bench();
    for typ in ["session", "Download", ""] {
        assert_eq!(
            bench.refusal(&bench.with_payload(|payload| payload["typ"] = json!(typ))),
            TokenError::WrongKind {
                expected: "download"
            }
        );
    }
    for typ in ["JWT", "at+jwt", "application/download+jwt", ""] {
        assert_eq!(
            bench.refusal(&bench.with_header(|header| header["typ"] = json!(typ))),
            TokenError::WrongKind {
                expected: "download"
            }
        );
    }
}

// The header

#[test]
fn every_algorithm_but_es256_is_refused() {
    let bench = bench();
    for alg in ["none", "None", "HS256", "RS256", "ES384", "es256", ""] {
        assert_eq!(
            bench.refusal(&bench.with_header(|header| header["alg"] = json!(alg))),
            TokenError::WrongAlgorithm,
            "{alg}"
        );
    }
}

#[test]
fn an_unsigned_token_is_refused() {
    let bench = bench();
    let header = changed(&bench.json(0), |header| header["alg"] = json!("none"));
    let forged = bench.forge(&header, &bench.json(1));
    let (signed, _) = forged.rsplit_once('.').unwrap();
    assert_eq!(
        bench.refusal(&format!("{signed}.")),
        TokenError::WrongAlgorithm
    );
    // The same without a word about it.
    let token = bench.token();
    let (signed, _) = token.rsplit_once('.').unwrap();
    assert_eq!(
        bench.flaw(&format!("{signed}.")),
        (Part::Signature, Flaw::WrongSignatureLength)
    );
}

#[test]
fn an_hmac_with_the_public_key_is_refused() {
    let bench = bench();
    let public_key = serde_json::to_value(bench.key.public_key()).unwrap();
    let coordinate = |name: &str| {
        let text = public_key[name].as_str().unwrap();
        URL_SAFE_NO_PAD.decode(text).unwrap()
    };
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    for secret in [
        point,
        public_key.to_string().into_bytes(),
        bench.keys.body().to_vec(),
    ] {
        for alg in ["HS256", "ES256"] {
            let header = changed(&bench.json(0), |header| header["alg"] = json!(alg));
            let forged = bench.forge(&header, &bench.json(1));
            let (signed, _) = forged.rsplit_once('.').unwrap();
            let signer = HS256.signer_from_bytes(&secret).unwrap();
            let mac = URL_SAFE_NO_PAD.encode(signer.sign(signed.as_bytes()).unwrap());
            let refusal = bench.refusal(&format!("{signed}.{mac}"));
            let is_for_the_reason = match alg {
                "HS256" => refusal == TokenError::WrongAlgorithm,
                _ => refusal == Flaw::WrongSignatureLength.of(Part::Signature),
            };
            assert!(is_for_the_reason, "{alg}: {refusal}");
        }
    }
}

#[test]
fn headers_that_choose_the_key_or_the_rules_are_refused() {
    let bench = bench();
    for (member, value) in [
        ("jwk", serde_json::to_value(bench.key.public_key()).unwrap()),
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
            bench.flaw(&bench.with_header(|header| header[member] = value)),
            (Part::Header, Flaw::UnknownMember),
            "{member}"
        );
    }
}

#[test]
fn a_key_that_is_not_published_is_refused() {
    let bench = bench();
    let kid = bench.key.kid().to_owned();
    let stranger = SigningKey::generate().unwrap();
    for kid in [
        stranger.kid(),
        "",
        "../../etc/passwd",
        &kid.to_lowercase(),
        &kid[..42],
    ] {
        assert_eq!(
            bench.refusal(&bench.with_header(|header| header["kid"] = json!(kid))),
            TokenError::UnknownKey,
            "{kid}"
        );
    }
    let token = bench.download.sign(&stranger).unwrap();
    assert_eq!(bench.refusal(token.reveal()), TokenError::UnknownKey);
}

#[test]
fn a_signature_of_another_published_key_is_refused() {
    let bench = bench();
    let other = SigningKey::generate().unwrap();
    let keys = [other.public_key().clone(), bench.key.public_key().clone()];
    let keys = KeySet::publish(&keys).unwrap();
    let token = bench.with_header(|header| header["kid"] = json!(other.kid()));
    assert_eq!(
        DownloadClaims::verify(&token, &keys, &EXPECTED),
        Err(TokenError::BadSignature)
    );
}

// Members

#[test]
fn no_member_may_be_missing() {
    let bench = bench();
    for member in ["alg", "kid", "typ"] {
        assert_eq!(
            bench.flaw(&bench.with_header(|header| remove(header, member))),
            (Part::Header, Flaw::MissingMember),
            "{member}"
        );
    }
    for member in ["iss", "aud", "iat", "exp", "jti", "typ", "scope"] {
        assert_eq!(
            bench.flaw(&bench.with_payload(|payload| remove(payload, member))),
            (Part::Payload, Flaw::MissingMember),
            "{member}"
        );
    }
    let (header, payload) = (
        json_of(&bench.session_token(), 0),
        json_of(&bench.session_token(), 1),
    );
    for member in ["iss", "aud", "sub", "iat", "exp", "jti", "typ", "amr"] {
        let token = bench.forge(
            &header,
            &changed(&payload, |payload| remove(payload, member)),
        );
        assert_eq!(
            flaw_in(SessionClaims::verify(&token, &bench.keys, &EXPECTED).unwrap_err()),
            (Part::Payload, Flaw::MissingMember),
            "{member}"
        );
    }
}

#[test]
fn no_member_may_stand_twice() {
    let bench = bench();
    for part in [0, 1] {
        let json = bench.json(part);
        let members: Value = serde_json::from_str(&json).unwrap();
        for (member, value) in members.as_object().unwrap() {
            // The second time as itself, and with its first letter escaped.
            let escaped = format!("\\u{:04x}{}", member.as_bytes()[0], &member[1..]);
            for again in [member, &escaped] {
                let twice = format!("{},\"{again}\":{value}}}", json.trim_end_matches('}'));
                let (token, of) = if part == 0 {
                    (bench.forge(&twice, &bench.json(1)), Part::Header)
                } else {
                    (bench.forge(&bench.json(0), &twice), Part::Payload)
                };
                assert_eq!(bench.flaw(&token), (of, Flaw::DuplicateMember), "{again}");
            }
        }
    }
}

#[test]
fn claims_beyond_the_promised_ones_are_refused() {
    let bench = bench();
    for claim in ["nbf", "roles", "name", "amr", "permissions"] {
        assert_eq!(
            bench.flaw(&bench.with_payload(|payload| payload[claim] = json!(1))),
            (Part::Payload, Flaw::UnknownMember),
            "{claim}"
        );
    }
}

#[test]
fn members_of_the_wrong_type_are_refused() {
    let bench = bench();
    for (claim, value) in [
        ("exp", json!(1_800_000_120.0)),
        ("exp", json!("1800000120")),
        ("exp", json!(null)),
        ("exp", json!(true)),
        ("iat", json!(1.8e9)),
        ("iat", json!(["1800000000"])),
        ("aud", json!([EXPECTED.audience])),
        ("aud", json!(null)),
        ("iss", json!({})),
        ("iss", json!(1)),
        ("sub", json!(7)),
        ("sub", json!(null)),
        ("jti", json!(7)),
        ("typ", json!(["download"])),
        ("scope", json!(["dataset:"])),
    ] {
        let shown = value.to_string();
        assert_eq!(
            bench.flaw(&bench.with_payload(|payload| payload[claim] = value)),
            (Part::Payload, Flaw::WrongType),
            "{claim}: {shown}"
        );
    }
    for (member, value) in [
        ("alg", json!(null)),
        ("kid", json!(1)),
        ("typ", json!(["download+jwt"])),
    ] {
        assert_eq!(
            bench.flaw(&bench.with_header(|header| header[member] = value)),
            (Part::Header, Flaw::WrongType),
            "{member}"
        );
    }
}

#[test]
fn ids_in_any_but_the_canonical_spelling_are_refused() {
    let bench = bench();
    let id = "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0";
    for spelling in [
        id.to_uppercase(),
        id.replace('-', ""),
        format!("urn:uuid:{id}"),
        format!("{{{id}}}"),
        format!("{id} "),
        id[..35].to_owned(),
        String::new(),
    ] {
        for (claim, value) in [
            ("sub", spelling.clone()),
            ("jti", spelling.clone()),
            ("scope", format!("dataset:{spelling}")),
        ] {
            assert_eq!(
                bench.flaw(&bench.with_payload(|payload| payload[claim] = json!(value))),
                (Part::Payload, Flaw::WrongValue),
                "{claim}: {value}"
            );
        }
    }
    for scope in [
        id.to_owned(),
        format!("Dataset:{id}"),
        format!("dataset:{id} dataset:{id}"),
        format!(" dataset:{id}"),
    ] {
        assert_eq!(
            bench.flaw(&bench.with_payload(|payload| payload["scope"] = json!(scope))),
            (Part::Payload, Flaw::WrongValue),
            "{scope}"
        );
    }
}

#[test]
fn ways_to_sign_in_that_are_not_known_are_refused() {
    let bench = bench();
    let (header, payload) = (
        json_of(&bench.session_token(), 0),
        json_of(&bench.session_token(), 1),
    );
    for (amr, flaw) in [
        (json!([]), Flaw::WrongValue),
        (json!(["none"]), Flaw::WrongValue),
        (json!(["pwd", "pwd"]), Flaw::WrongValue),
        (json!("pwd"), Flaw::WrongType),
        (json!([1]), Flaw::WrongType),
    ] {
        let payload = changed(&payload, |payload| payload["amr"] = amr.clone());
        let token = bench.forge(&header, &payload);
        let refusal = SessionClaims::verify(&token, &bench.keys, &EXPECTED).unwrap_err();
        assert_eq!(flaw_in(refusal), (Part::Payload, flaw), "{amr}");
    }
}

// The form

#[test]
fn parts_that_are_no_json_objects_are_refused() {
    let bench = bench();
    let (header, payload) = (bench.json(0), bench.json(1));
    let array_of = |json: &str| {
        let members: Value = serde_json::from_str(json).unwrap();
        Value::from_iter(members.as_object().unwrap().values().cloned()).to_string()
    };
    let ways = |json: &str| {
        [
            array_of(json),
            String::new(),
            String::from("null"),
            format!(" {json}"),
            format!("{json}{json}"),
            format!("\u{feff}{json}"),
            json[..json.len() - 1].to_owned(),
        ]
    };
    for other in ways(&header) {
        let flaw = bench.flaw(&bench.forge(&other, &payload));
        assert_eq!(flaw, (Part::Header, Flaw::NotJsonObject), "{other}");
    }
    for other in ways(&payload) {
        let flaw = bench.flaw(&bench.forge(&header, &other));
        assert_eq!(flaw, (Part::Payload, Flaw::NotJsonObject), "{other}");
    }
}

#[test]
fn base64url_that_is_padded_or_not_canonical_is_refused() {
    let bench = bench();
    let token = bench.token();
    let [header, payload, signature]: [&str; 3] =
        token.split('.').collect::<Vec<_>>().try_into().unwrap();
    // A claim grows until the payload's last character has bits to spare.
    let longer = (0..3)
        .map(|blanks| format!("{}{}", bench.json(1), " ".repeat(blanks)))
        .find(|json| json.len() % 3 == 1)
        .unwrap();
    let payload_with_room = URL_SAFE_NO_PAD.encode(&longer);
    assert!(
        DownloadClaims::verify(
            &bench.forge(&bench.json(0), &longer),
            &bench.keys,
            &EXPECTED
        )
        .is_ok()
    );
    let spelt_otherwise = |text: &str| {
        let (rest, last) = text.split_at(text.len() - 1);
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let at = alphabet.find(last).unwrap();
        format!("{rest}{}", &alphabet[at + 1..at + 2])
    };
    let cases = [
        (Part::Header, bench.sign(&format!("{header}=.{payload}"))),
        (Part::Header, bench.sign(&format!("{header}\n.{payload}"))),
        (Part::Header, bench.sign(&format!("+{header}.{payload}"))),
        (
            Part::Payload,
            bench.sign(&format!("{header}.{}", URL_SAFE.encode(&longer))),
        ),
        (
            Part::Payload,
            bench.sign(&format!("{header}.{}", spelt_otherwise(&payload_with_room))),
        ),
        (Part::Payload, bench.sign(&format!("{header}.{payload}%"))),
        (Part::Signature, format!("{token}==")),
        (Part::Signature, format!("{token} ")),
        (
            Part::Signature,
            format!("{header}.{payload}.{}", spelt_otherwise(signature)),
        ),
    ];
    for (part, token) in cases {
        assert_eq!(bench.flaw(&token), (part, Flaw::NotBase64url), "{token}");
    }
}

#[test]
fn more_or_less_than_three_parts_are_refused() {
    let bench = bench();
    let token = bench.token();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    for other in [
        String::new(),
        String::from("."),
        signed.to_owned(),
        signature.to_owned(),
        format!("{token}."),
        format!(".{token}"),
        bench.sign(&format!("{signed}.{signature}")),
    ] {
        assert_eq!(
            bench.flaw(&other),
            (Part::Token, Flaw::NotThreeParts),
            "{other}"
        );
    }
}

#[test]
fn a_token_over_4_kib_is_refused_and_never_signed() {
    let mut bench = bench();
    bench.download.issuer = "i".repeat(4000);
    assert_eq!(
        flaw_in(bench.download.sign(&bench.key).unwrap_err()),
        (Part::Token, Flaw::TooLong)
    );
    bench.download.issuer = EXPECTED.issuer.to_owned();
    let padded = |blanks: usize| {
        bench.forge(
            &bench.json(0),
            &format!("{}{}", bench.json(1), " ".repeat(blanks)),
        )
    };
    let fits = (0..4096)
        .map(padded)
        .take_while(|token| token.len() <= LONGEST_TOKEN)
        .last()
        .unwrap();
    assert!(DownloadClaims::verify(&fits, &bench.keys, &EXPECTED).is_ok());
    let blanks = json_of(&fits, 1).len() - bench.json(1).len();
    assert_eq!(
        bench.flaw(&padded(blanks + 1)),
        (Part::Token, Flaw::TooLong)
    );
}

#[test]
fn the_longest_token_that_is_signed_verifies() {
    let mut bench = bench();
    let signed = (2000..4096).rev().find_map(|length| {
        bench.download.issuer = "i".repeat(length);
        bench.download.sign(&bench.key).ok()
    });
    let signed = signed.unwrap();
    assert!(signed.reveal().len() > LONGEST_TOKEN - 4);
    let expected = Expected {
        issuer: &bench.download.issuer,
        ..EXPECTED
    };
    assert!(DownloadClaims::verify(signed.reveal(), &bench.keys, &expected).is_ok());
}

// The signature

#[test]
fn a_der_signature_is_refused() {
    let bench = bench();
    let token = bench.token();
    let (_, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let integer = |bytes: &[u8]| {
        let start = bytes.iter().position(|byte| *byte != 0).unwrap();
        let mut number = bytes[start..].to_vec();
        if number[0] >= 0x80 {
            number.insert(0, 0);
        }
        [vec![2, u8::try_from(number.len()).unwrap()], number].concat()
    };
    let numbers = [integer(&signature[..32]), integer(&signature[32..])].concat();
    let der = [vec![0x30, u8::try_from(numbers.len()).unwrap()], numbers].concat();
    for other in [&der[..], &signature[..63], &[&signature[..], &[0]].concat()] {
        assert_eq!(
            bench.flaw(&bench.with_signature(other)),
            (Part::Signature, Flaw::WrongSignatureLength)
        );
    }
}

#[test]
fn r_and_s_must_be_in_range() {
    let bench = bench();
    let order =
        hex::decode("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551").unwrap();
    let mut order_less_1 = order.clone();
    order_less_1[31] -= 1;
    let mut order_plus_1 = order.clone();
    order_plus_1[31] += 1;
    let (zero, one, most) = (vec![0; 32], [vec![0; 31], vec![1]].concat(), vec![0xFF; 32]);
    let pair = |numbers: [&Vec<u8>; 2]| numbers.map(Vec::as_slice).concat();
    for out in [&zero, &order, &order_plus_1, &most] {
        for signature in [[out, &one], [&one, out], [out, out]] {
            assert_eq!(
                bench.flaw(&bench.with_signature(pair(signature))),
                (Part::Signature, Flaw::SignatureOutOfRange)
            );
        }
    }
    for within in [[&one, &one], [&order_less_1, &order_less_1]] {
        assert_eq!(
            bench.refusal(&bench.with_signature(pair(within))),
            TokenError::BadSignature
        );
    }
}

#[test]
fn a_claim_changed_after_signing_is_refused() {
    let bench = bench();
    let token = bench.token();
    let parts: Vec<&str> = token.split('.').collect();
    for (claim, value) in [
        ("scope", json!(format!("dataset:{}", Uuid::new_v4()))),
        ("sub", json!(Uuid::new_v4())),
        ("exp", json!(NOW + 119)),
    ] {
        let payload = changed(&bench.json(1), |payload| payload[claim] = value);
        let payload = URL_SAFE_NO_PAD.encode(payload);
        assert_eq!(
            bench.refusal(&format!("{}.{payload}.{}", parts[0], parts[2])),
            TokenError::BadSignature,
            "{claim}"
        );
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    let bench = bench();
    let token = bench.token();
    for at in 0..token.len() * 8 {
        assert!(is_refused_with_bit_flipped(&bench, &token, at), "bit {at}");
    }
}

/// Whether the token is refused; what is no UTF-8 does not even become a `str`.
fn is_refused_with_bit_flipped(bench: &Bench, token: &str, at: usize) -> bool {
    let mut bytes = token.to_owned().into_bytes();
    bytes[at / 8] ^= 1 << (at % 8);
    match String::from_utf8(bytes) {
        Ok(flipped) => DownloadClaims::verify(&flipped, &bench.keys, &EXPECTED).is_err(),
        Err(_) => true,
    }
}

// Issuer, audience, time

#[test]
fn another_issuer_or_audience_is_refused() {
    let bench = bench();
    let session = json_of(&bench.session_token(), 1);
    for (claim, value, refusal) in [
        ("iss", "https://gate.example/", TokenError::WrongIssuer),
        ("iss", "HTTPS://gate.example", TokenError::WrongIssuer),
        ("iss", "", TokenError::WrongIssuer),
        (
            "aud",
            "https://files.example.evil.example",
            TokenError::WrongAudience,
        ),
        ("aud", "https://files.exampl", TokenError::WrongAudience),
        ("aud", "", TokenError::WrongAudience),
    ] {
        let token = bench.with_payload(|payload| payload[claim] = json!(value));
        assert_eq!(bench.refusal(&token), refusal, "{value}");
        let payload = changed(&session, |payload| payload[claim] = json!(value));
        let token = bench.forge(&json_of(&bench.session_token(), 0), &payload);
        assert_eq!(
            SessionClaims::verify(&token, &bench.keys, &EXPECTED),
            Err(refusal),
            "{value}"
        );
    }
}

#[test]
fn a_token_is_dead_from_the_second_of_its_expiry_on() {
    let bench = bench();
    for (token, expires_at) in [
        (bench.token(), bench.download.expires_at),
        (bench.session_token(), bench.session.expires_at),
    ] {
        let outcome = |now| {
            let expected = Expected { now, ..EXPECTED };
            DownloadClaims::verify(&token, &bench.keys, &expected)
                .map(|_| ())
                .or_else(|refusal| match refusal {
                    TokenError::WrongKind { .. } => {
                        SessionClaims::verify(&token, &bench.keys, &expected).map(|_| ())
                    }
                    other => Err(other),
                })
        };
        assert_eq!(outcome(expires_at - 1), Ok(()));
        for now in [expires_at, expires_at + 1, i64::MAX] {
            assert_eq!(outcome(now), Err(TokenError::Expired { expires_at, now }));
        }
    }
}

#[test]
fn a_token_from_more_than_a_minute_ahead_is_refused() {
    let bench = bench();
    let issued_at = NOW;
    for (now, is_accepted) in [(NOW - 60, true), (NOW - 61, false), (i64::MIN, false)] {
        let expected = Expected { now, ..EXPECTED };
        let outcome = DownloadClaims::verify(&bench.token(), &bench.keys, &expected);
        if is_accepted {
            assert!(outcome.is_ok());
        } else {
            assert_eq!(outcome, Err(TokenError::NotYetValid { issued_at, now }));
        }
    }
}

#[test]
fn a_download_token_lives_120_seconds_at_most() {
    let bench = bench();
    let longest = i64::from(LONGEST_TOKEN_LIFE);
    for (life, is_fine) in [
        (1, true),
        (longest, true),
        (longest + 1, false),
        (0, false),
        (-1, false),
    ] {
        let claims = DownloadClaims {
            issued_at: NOW,
            expires_at: NOW + life,
            ..bench.download.clone()
        };
        assert_eq!(claims.sign(&bench.key).is_ok(), is_fine, "{life}");
        let token = bench.with_payload(|payload| payload["exp"] = json!(NOW + life));
        let outcome = DownloadClaims::verify(&token, &bench.keys, &EXPECTED);
        if is_fine {
            assert_eq!(outcome, Ok(claims));
        } else {
            assert_eq!(outcome, Err(TokenError::WrongLifetime { seconds: life }));
        }
    }
}

#[test]
fn times_at_the_ends_of_the_integers_are_refused() {
    let bench = bench();
    for (issued_at, expires_at) in [
        (i64::MIN, i64::MAX),
        (i64::MAX, i64::MIN),
        (i64::MIN, i64::MIN + 1),
        (i64::MAX - 1, i64::MAX),
    ] {
        let token = bench.with_payload(|payload| {
            payload["iat"] = json!(issued_at);
            payload["exp"] = json!(expires_at);
        });
        assert!(!matches!(
            bench.refusal(&token),
            TokenError::BadSignature | TokenError::Malformed { .. }
        ));
    }
    let beyond = bench
        .json(1)
        .replace(&(NOW + 120).to_string(), "18446744073709551616");
    let refusal = bench.flaw(&bench.forge(&bench.json(0), &beyond));
    assert_eq!(refusal, (Part::Payload, Flaw::WrongType));
}

#[test]
fn nobody_gets_a_session_without_signing_in() {
    let mut bench = bench();
    bench.session.authentication = Authentication::None;
    let refusal = bench.session.sign(&bench.key).unwrap_err();
    assert_eq!(refusal, TokenError::NotSignedIn);
}

#[test]
fn no_message_holds_any_part_of_a_token() {
    let bench = bench();
    let marker = "MARKER7f3a";
    for token in [
        marker.to_owned(),
        bench.with_header(|header| header["alg"] = json!(marker)),
        bench.with_header(|header| header["kid"] = json!(marker)),
        bench.with_header(|header| header["typ"] = json!(marker)),
        bench.with_header(|header| header[marker] = json!(1)),
        bench.with_payload(|payload| payload[marker] = json!(1)),
        bench.with_payload(|payload| payload["iss"] = json!(marker)),
        bench.with_payload(|payload| payload["aud"] = json!(marker)),
        bench.with_payload(|payload| payload["exp"] = json!(marker)),
        bench.with_payload(|payload| payload["jti"] = json!(marker)),
        bench.with_payload(|payload| payload["scope"] = json!(marker)),
    ] {
        let refusal = bench.refusal(&token);
        assert!(
            !format!("{refusal} {refusal:?}").contains(marker),
            "{refusal}"
        );
    }
}

fn claims() -> impl Strategy<Value = DownloadClaims> {
    let text = "\\PC{0,80}";
    let ids = (any::<Option<u128>>(), any::<u128>(), any::<u128>());
    (text, text, ids, -NOW..NOW * 2, 1_i64..=120).prop_map(
        |(issuer, audience, (user, dataset, record), issued_at, life)| DownloadClaims {
            issuer,
            audience,
            subject: user.map(|user| UserId(Uuid::from_u128(user))),
            dataset_id: DatasetId(Uuid::from_u128(dataset)),
            id: RecordId(Uuid::from_u128(record)),
            issued_at,
            expires_at: issued_at + life,
        },
    )
}

fn expected_by(claims: &DownloadClaims) -> Expected<'_> {
    Expected {
        issuer: &claims.issuer,
        audience: &claims.audience,
        now: claims.expires_at - 1,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_signed_verifies_as_the_same_claims(claims in claims()) {
        let bench = bench();
        let token = claims.sign(&bench.key).unwrap();
        let verified = DownloadClaims::verify(token.reveal(), &bench.keys, &expected_by(&claims));
        prop_assert_eq!(verified, Ok(claims));
    }

    #[test]
    fn a_session_that_is_signed_verifies_as_the_same_claims(claims in claims(), life in 1_i64..1_000_000) {
        let bench = bench();
        let expected = Expected { now: claims.issued_at, ..expected_by(&claims) };
        let session = SessionClaims {
            issuer: claims.issuer.clone(),
            audience: claims.audience.clone(),
            subject: UserId(claims.dataset_id.0),
            id: claims.id,
            issued_at: claims.issued_at,
            expires_at: claims.issued_at + life,
            authentication: Authentication::Password,
        };
        let token = session.sign(&bench.key).unwrap();
        let verified = SessionClaims::verify(token.reveal(), &bench.keys, &expected);
        prop_assert_eq!(verified, Ok(session));
    }

    #[test]
    fn one_flipped_bit_is_refused_in_any_token(claims in claims(), at in any::<prop::sample::Index>()) {
        let bench = bench();
        let token = claims.sign(&bench.key).unwrap();
        let mut bytes = token.reveal().clone().into_bytes();
        let at = at.index(bytes.len() * 8);
        bytes[at / 8] ^= 1 << (at % 8);
        if let Ok(flipped) = String::from_utf8(bytes) {
            prop_assert!(DownloadClaims::verify(&flipped, &bench.keys, &expected_by(&claims)).is_err());
        }
    }

    #[test]
    fn any_text_is_refused_without_a_panic(text in "\\PC*", parts in "[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{86}") {
        let bench = bench();
        prop_assert!(DownloadClaims::verify(&text, &bench.keys, &EXPECTED).is_err());
        prop_assert!(DownloadClaims::verify(&parts, &bench.keys, &EXPECTED).is_err());
        prop_assert!(SessionClaims::verify(&parts, &bench.keys, &EXPECTED).is_err());
    }
}
