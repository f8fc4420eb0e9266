//! Texts that are not three parts of canonical base64url with a JSON object each.

use super::*;

#[test]
fn parts_that_are_not_json_objects_are_rejected() {
    let fixture = fixture();
    let (header, payload) = (fixture.json(0), fixture.json(1));
    let array_of = |json: &str| {
        let members: Value = serde_json::from_str(json).unwrap();
        let values: Value = members.as_object().unwrap().values().cloned().collect();
        values.to_string()
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
        let defect = fixture.defect(&fixture.forge(&other, &payload));
        assert_eq!(
            defect,
            (TokenPart::Header, Defect::NotJsonObject),
            "{other}"
        );
    }
    for other in ways(&payload) {
        let defect = fixture.defect(&fixture.forge(&header, &other));
        assert_eq!(
            defect,
            (TokenPart::Payload, Defect::NotJsonObject),
            "{other}"
        );
    }
}

#[test]
fn base64url_that_is_padded_or_not_canonical_is_refused() {
    let fixture = fixture();
    let token = fixture.token();
    let [header, payload, signature]: [&str; 3] =
        token.split('.').collect::<Vec<_>>().try_into().unwrap();
    // White space is added until the payload's last character has unused bits.
    let longer = (0..3)
        .map(|blanks| format!("{}{}", fixture.json(1), " ".repeat(blanks)))
        .find(|json| json.len() % 3 == 1)
        .unwrap();
    let payload_with_room = URL_SAFE_NO_PAD.encode(&longer);
    assert!(
        DownloadClaims::verify(
            &fixture.forge(&fixture.json(0), &longer),
            &fixture.keys,
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
        (
            TokenPart::Header,
            fixture.sign(&format!("{header}=.{payload}")),
        ),
        (
            TokenPart::Header,
            fixture.sign(&format!("{header}\n.{payload}")),
        ),
        (
            TokenPart::Header,
            fixture.sign(&format!("+{header}.{payload}")),
        ),
        (
            TokenPart::Payload,
            fixture.sign(&format!("{header}.{}", URL_SAFE.encode(&longer))),
        ),
        (
            TokenPart::Payload,
            fixture.sign(&format!("{header}.{}", spelt_otherwise(&payload_with_room))),
        ),
        (
            TokenPart::Payload,
            fixture.sign(&format!("{header}.{payload}%")),
        ),
        (TokenPart::Signature, format!("{token}==")),
        (TokenPart::Signature, format!("{token} ")),
        (
            TokenPart::Signature,
            format!("{header}.{payload}.{}", spelt_otherwise(signature)),
        ),
    ];
    for (part, token) in cases {
        assert_eq!(
            fixture.defect(&token),
            (part, Defect::NotBase64url),
            "{token}"
        );
    }
}

#[test]
fn more_or_less_than_three_parts_are_refused() {
    let fixture = fixture();
    let token = fixture.token();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    for other in [
        String::new(),
        String::from("."),
        signed.to_owned(),
        signature.to_owned(),
        format!("{token}."),
        format!(".{token}"),
        fixture.sign(&format!("{signed}.{signature}")),
    ] {
        assert_eq!(
            fixture.defect(&other),
            (TokenPart::Token, Defect::NotThreeParts),
            "{other}"
        );
    }
}

#[test]
fn a_token_over_4_kib_is_refused_and_never_signed() {
    let mut fixture = fixture();
    fixture.download.issuer = "i".repeat(4000);
    assert_eq!(
        defect_in(fixture.download.sign(&fixture.key).unwrap_err()),
        (TokenPart::Token, Defect::TooLong)
    );
    fixture.download.issuer = EXPECTED.issuer.to_owned();
    let padded = |blanks: usize| {
        fixture.forge(
            &fixture.json(0),
            &format!("{}{}", fixture.json(1), " ".repeat(blanks)),
        )
    };
    let fits = (0..4096)
        .map(padded)
        .take_while(|token| token.len() <= MAX_TOKEN_LENGTH)
        .last()
        .unwrap();
    assert!(DownloadClaims::verify(&fits, &fixture.keys, &EXPECTED).is_ok());
    let blanks = part_json(&fits, 1).len() - fixture.json(1).len();
    assert_eq!(
        fixture.defect(&padded(blanks + 1)),
        (TokenPart::Token, Defect::TooLong)
    );
}

#[test]
fn the_longest_token_that_is_signed_verifies() {
    let mut fixture = fixture();
    let signed = (2000..4096).rev().find_map(|length| {
        fixture.download.issuer = "i".repeat(length);
        fixture.download.sign(&fixture.key).ok()
    });
    let signed = signed.unwrap();
    assert!(signed.reveal().len() > MAX_TOKEN_LENGTH - 4);
    let expected = ExpectedClaims {
        issuer: &fixture.download.issuer,
        ..EXPECTED
    };
    assert!(DownloadClaims::verify(signed.reveal(), &fixture.keys, &expected).is_ok());
}
