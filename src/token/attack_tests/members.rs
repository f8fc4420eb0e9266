//! Members that are missing, twice, unknown, or of the wrong type or value.

use super::*;

#[test]
fn missing_members_are_rejected() {
    let fixture = fixture();
    for member in ["alg", "kid", "typ"] {
        assert_eq!(
            fixture.defect(&fixture.with_header(|header| remove(header, member))),
            (TokenPart::Header, Defect::MissingMember),
            "{member}"
        );
    }
    for member in ["iss", "aud", "iat", "exp", "jti", "typ", "scope"] {
        assert_eq!(
            fixture.defect(&fixture.with_payload(|payload| remove(payload, member))),
            (TokenPart::Payload, Defect::MissingMember),
            "{member}"
        );
    }
    let (header, payload) = (
        part_json(&fixture.session_token(), 0),
        part_json(&fixture.session_token(), 1),
    );
    for member in [
        "iss", "aud", "sub", "iat", "exp", "jti", "sid", "typ", "amr",
    ] {
        let token = fixture.forge(
            &header,
            &edit_json(&payload, |payload| remove(payload, member)),
        );
        assert_eq!(
            defect_in(SessionClaims::verify(&token, &fixture.keys, &EXPECTED).unwrap_err()),
            (TokenPart::Payload, Defect::MissingMember),
            "{member}"
        );
    }
}

#[test]
fn duplicate_members_are_rejected() {
    let fixture = fixture();
    for part in [0, 1] {
        let json = fixture.json(part);
        let members: Value = serde_json::from_str(&json).unwrap();
        for (member, value) in members.as_object().unwrap() {
            // The second one is written as it is, and with its first letter escaped.
            let escaped = format!("\\u{:04x}{}", member.as_bytes()[0], &member[1..]);
            for again in [member, &escaped] {
                let twice = format!("{},\"{again}\":{value}}}", json.trim_end_matches('}'));
                let (token, of) = if part == 0 {
                    (fixture.forge(&twice, &fixture.json(1)), TokenPart::Header)
                } else {
                    (fixture.forge(&fixture.json(0), &twice), TokenPart::Payload)
                };
                assert_eq!(
                    fixture.defect(&token),
                    (of, Defect::DuplicateMember),
                    "{again}"
                );
            }
        }
    }
}

#[test]
fn claims_beyond_the_promised_ones_are_refused() {
    let fixture = fixture();
    for claim in ["nbf", "roles", "name", "amr", "permissions"] {
        assert_eq!(
            fixture.defect(&fixture.with_payload(|payload| payload[claim] = json!(1))),
            (TokenPart::Payload, Defect::UnknownMember),
            "{claim}"
        );
    }
}

#[test]
fn members_of_the_wrong_type_are_refused() {
    let fixture = fixture();
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
            fixture.defect(&fixture.with_payload(|payload| payload[claim] = value)),
            (TokenPart::Payload, Defect::WrongType),
            "{claim}: {shown}"
        );
    }
    for (member, value) in [
        ("alg", json!(null)),
        ("kid", json!(1)),
        ("typ", json!(["download+jwt"])),
    ] {
        assert_eq!(
            fixture.defect(&fixture.with_header(|header| header[member] = value)),
            (TokenPart::Header, Defect::WrongType),
            "{member}"
        );
    }
}

#[test]
fn a_session_id_of_another_type_or_spelling_is_refused() {
    let fixture = fixture();
    let token = fixture.session_token();
    let (header, payload) = (part_json(&token, 0), part_json(&token, 1));
    let id = fixture.session.session_id.to_string();
    for (value, defect) in [
        (json!(7), Defect::WrongType),
        (json!(null), Defect::WrongType),
        (json!([id]), Defect::WrongType),
        (json!(""), Defect::WrongValue),
        (json!(format!("urn:uuid:{id}")), Defect::WrongValue),
        (json!(id.replace('-', "")), Defect::WrongValue),
    ] {
        let token = fixture.forge(
            &header,
            &edit_json(&payload, |payload| payload["sid"] = value.clone()),
        );
        let error = SessionClaims::verify(&token, &fixture.keys, &EXPECTED).unwrap_err();
        assert_eq!(defect_in(error), (TokenPart::Payload, defect), "{value}");
    }
}

#[test]
fn ids_in_any_but_the_canonical_spelling_are_refused() {
    let fixture = fixture();
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
                fixture.defect(&fixture.with_payload(|payload| payload[claim] = json!(value))),
                (TokenPart::Payload, Defect::WrongValue),
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
            fixture.defect(&fixture.with_payload(|payload| payload["scope"] = json!(scope))),
            (TokenPart::Payload, Defect::WrongValue),
            "{scope}"
        );
    }
}

#[test]
fn unknown_authentication_methods_are_rejected() {
    let fixture = fixture();
    let (header, payload) = (
        part_json(&fixture.session_token(), 0),
        part_json(&fixture.session_token(), 1),
    );
    for (amr, defect) in [
        (json!([]), Defect::WrongValue),
        (json!(["none"]), Defect::WrongValue),
        (json!(["pwd", "pwd"]), Defect::WrongValue),
        (json!("pwd"), Defect::WrongType),
        (json!([1]), Defect::WrongType),
    ] {
        let payload = edit_json(&payload, |payload| payload["amr"] = amr.clone());
        let token = fixture.forge(&header, &payload);
        let error = SessionClaims::verify(&token, &fixture.keys, &EXPECTED).unwrap_err();
        assert_eq!(defect_in(error), (TokenPart::Payload, defect), "{amr}");
    }
}
