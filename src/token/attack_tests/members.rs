//! Members that are missing, twice, unknown, or of the wrong type or value.

use super::*;

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
    for member in [
        "iss", "aud", "sub", "iat", "exp", "jti", "sid", "typ", "amr",
    ] {
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
fn a_session_id_of_another_type_or_spelling_is_refused() {
    let bench = bench();
    let token = bench.session_token();
    let (header, payload) = (json_of(&token, 0), json_of(&token, 1));
    let id = bench.session.session_id.to_string();
    for (value, flaw) in [
        (json!(7), Flaw::WrongType),
        (json!(null), Flaw::WrongType),
        (json!([id]), Flaw::WrongType),
        (json!(""), Flaw::WrongValue),
        (json!(format!("urn:uuid:{id}")), Flaw::WrongValue),
        (json!(id.replace('-', "")), Flaw::WrongValue),
    ] {
        let token = bench.forge(
            &header,
            &changed(&payload, |payload| payload["sid"] = value.clone()),
        );
        let refusal = SessionClaims::verify(&token, &bench.keys, &EXPECTED).unwrap_err();
        assert_eq!(flaw_in(refusal), (Part::Payload, flaw), "{value}");
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
