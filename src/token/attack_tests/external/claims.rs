//! Claims that are missing, wrong, expired or not valid yet.

use super::*;

#[test]
fn claims_that_must_be_there_must_be_there_once_and_of_their_type() {
    for claim in ["iss", "aud", "sub", "iat", "exp"] {
        let missing = EC.with_claims(|claims| remove(claims, claim));
        let error = verify(&missing).unwrap_err();
        assert_eq!(
            defect_in(error),
            (TokenPart::Payload, Defect::MissingMember),
            "{claim}"
        );
        for wrong in [
            json!(null),
            json!(true),
            json!({}),
            json!([1]),
            json!(["7", 1]),
        ] {
            let token = EC.with_claims(|claims| claims[claim] = wrong.clone());
            let error = verify(&token).unwrap_err();
            assert_eq!(
                defect_in(error),
                (TokenPart::Payload, Defect::WrongType),
                "{claim}: {wrong}"
            );
        }
        let first = format!("{{\"{claim}\":{},", claims()[claim]);
        let again = claims().to_string().replacen('{', &first, 1);
        let token = EC.sign(&EC.header().to_string(), &again);
        let error = verify(&token).unwrap_err();
        assert_eq!(
            defect_in(error),
            (TokenPart::Payload, Defect::DuplicateMember),
            "{again}"
        );
    }
    let deep = claims()
        .to_string()
        .replace("{\"roles\":", "{\"roles\":[],\"roles\":");
    let token = EC.sign(&EC.header().to_string(), &deep);
    assert_eq!(
        defect_in(verify(&token).unwrap_err()),
        (TokenPart::Payload, Defect::DuplicateMember)
    );
    for header in ["alg", "kid", "typ"] {
        let twice = EC
            .header()
            .to_string()
            .replacen('{', &format!("{{\"{header}\":\"x\","), 1);
        let token = EC.sign(&twice, &claims().to_string());
        let error = verify(&token).unwrap_err();
        assert_eq!(
            defect_in(error),
            (TokenPart::Header, Defect::DuplicateMember),
            "{header}"
        );
    }
    for sub in [String::new(), "a".repeat(256), "a\0".to_owned()] {
        let error = verify(&EC.with_claims(|claims| claims["sub"] = json!(sub))).unwrap_err();
        assert_eq!(defect_in(error), (TokenPart::Payload, Defect::WrongValue));
    }
    for wrong in [json!("x"), json!(null), json!("1795647900")] {
        let error = verify(&EC.with_claims(|claims| claims["nbf"] = wrong)).unwrap_err();
        assert_eq!(defect_in(error), (TokenPart::Payload, Defect::WrongType));
    }
}

#[test]
fn another_issuer_and_another_audience_are_refused() {
    for issuer in [
        "https://id.example/",
        "https://ID.example",
        "",
        "https://evil.example",
    ] {
        let token = EC.with_claims(|claims| claims["iss"] = json!(issuer));
        assert_eq!(verify(&token), Err(TokenError::WrongIssuer), "{issuer}");
    }
    for audience in [
        json!(""),
        json!("https://gate.example/"),
        json!([]),
        json!(["a", "b"]),
    ] {
        let token = EC.with_claims(|claims| claims["aud"] = audience.clone());
        assert_eq!(verify(&token), Err(TokenError::WrongAudience), "{audience}");
    }
    verify(&EC.with_claims(|claims| claims["aud"] = json!(["other", AUDIENCE]))).unwrap();
}

#[test]
fn a_token_is_good_in_its_time_alone_with_a_little_leeway() {
    let at = |claim: &'static str, time: i64| {
        verify(&EC.with_claims(|claims| {
            claims["iat"] = json!(NOW - 1000);
            claims[claim] = json!(time);
        }))
    };
    at("exp", NOW - EXTERNAL_TOKEN_LEEWAY + 1).unwrap();
    let expires_at = NOW - EXTERNAL_TOKEN_LEEWAY;
    assert_eq!(
        at("exp", expires_at),
        Err(TokenError::Expired {
            expires_at,
            now: NOW
        })
    );
    at("nbf", NOW + EXTERNAL_TOKEN_LEEWAY).unwrap();
    let not_before = NOW + EXTERNAL_TOKEN_LEEWAY + 1;
    assert_eq!(
        at("nbf", not_before),
        Err(TokenError::NotBefore {
            not_before,
            now: NOW
        })
    );
    at("iat", NOW + EXTERNAL_TOKEN_LEEWAY).unwrap();
    let issued_at = NOW + EXTERNAL_TOKEN_LEEWAY + 1;
    assert_eq!(
        at("iat", issued_at),
        Err(TokenError::NotYetValid {
            issued_at,
            now: NOW
        })
    );
    for (iat, exp) in [(NOW, NOW), (NOW + 10, NOW + 5), (-5, -5)] {
        let token = EC.with_claims(|claims| {
            claims["iat"] = json!(iat);
            claims["exp"] = json!(exp);
        });
        let error = verify(&token).unwrap_err();
        assert!(
            matches!(error, TokenError::WrongLifetime { .. }),
            "{iat} {exp}"
        );
    }
}

/// So many seconds as a number with a fraction.
fn seconds(whole: i64) -> f64 {
    f64::from(i32::try_from(whole).unwrap())
}

/// Verifies an ordinary token with these times; a time is JSON text, or nothing.
fn verify_times(iat: &str, nbf: Option<&str>, exp: &str) -> Result<ExternalClaims, TokenError> {
    let mut payload = claims();
    for name in ["iat", "exp"] {
        remove(&mut payload, name);
    }
    let nbf = nbf.map_or(String::new(), |nbf| format!("\"nbf\":{nbf},"));
    let times = format!("{{\"iat\":{iat},{nbf}\"exp\":{exp},");
    let payload = payload.to_string().replacen('{', &times, 1);
    verify(&EC.sign(&EC.header().to_string(), &payload))
}

#[test]
fn times_may_have_fractions_and_exponents_and_count_to_the_millisecond() {
    let at = |offset: f64| format!("{:.3}", seconds(NOW) + offset);
    let verified = verify_times(&at(-0.25), Some(&at(-0.5)), &at(299.75)).unwrap();
    assert_eq!(verified.issued_at.unix_millis(), NOW * 1000 - 250);
    assert_eq!(verified.issued_at.unix_seconds(), NOW - 1);
    assert_eq!(verified.expires_at.unix_millis(), NOW * 1000 + 299_750);
    verify_times(
        &format!("{:e}", seconds(NOW)),
        None,
        &format!("{}E+1", (NOW + 300) / 10),
    )
    .unwrap();
    let leeway = seconds(EXTERNAL_TOKEN_LEEWAY);
    for (iat, nbf, exp, is_valid) in [
        (-100.0, None, -leeway + 0.001, true),
        (-100.0, None, -leeway, false),
        (-100.0, None, -leeway - 0.001, false),
        (leeway, None, 300.0, true),
        (leeway + 0.001, None, 300.0, false),
        (0.0, Some(leeway), 300.0, true),
        (0.0, Some(leeway + 0.001), 300.0, false),
        (0.25, None, 0.251, true),
        (0.25, None, 0.25, false),
    ] {
        let nbf = nbf.map(at);
        let result = verify_times(&at(iat), nbf.as_deref(), &at(exp));
        assert_eq!(result.is_ok(), is_valid, "{iat} {nbf:?} {exp}: {result:?}");
    }
    // Before 1970, and no limit at all, as some providers write it.
    verify_times("-1.5", Some("0"), &at(300.0)).unwrap();
    verify_times("0", Some("-1"), "253402300799").unwrap();
}

#[test]
fn times_that_are_no_numbers_of_seconds_are_refused_by_their_claim() {
    for wrong in [
        format!("\"{NOW}\""),
        "\"2027-01-01T00:00:00Z\"".to_owned(),
        "\"\"".to_owned(),
        "null".to_owned(),
        "false".to_owned(),
        format!("[{NOW}]"),
        format!("{NOW}000"),
        "1e15".to_owned(),
        "-1e15".to_owned(),
        i64::MAX.to_string(),
        u64::MAX.to_string(),
        "18446744073709551616".to_owned(),
        "1.7e308".to_owned(),
    ] {
        let (iat, exp) = (NOW.to_string(), (NOW + 300).to_string());
        for error in [
            verify_times(&wrong, None, &exp),
            verify_times(&iat, Some(&wrong), &exp),
            verify_times(&iat, None, &wrong),
        ] {
            let (part, defect) = defect_in(error.unwrap_err());
            assert_eq!(part, TokenPart::Payload);
            assert!(
                matches!(defect, Defect::WrongType | Defect::WrongValue),
                "{wrong}"
            );
        }
        let overflow = verify_times(&iat, None, "1e400").unwrap_err();
        assert_eq!(
            defect_in(overflow),
            (TokenPart::Payload, Defect::NumberOutOfRange)
        );
    }
}

#[test]
fn the_audience_stands_where_the_operator_says_and_nowhere_else() {
    let keys = key_set_json(std::slice::from_ref(&EC.public));
    let keys = ExternalKeySet::parse(keys.as_bytes(), &[Algorithm::Es256]).unwrap();
    let verify = |claim: &str, members: Value| {
        let path: ClaimPath = claim.parse().unwrap();
        let token = EC.with_claims(|claims| {
            remove(claims, "aud");
            claims
                .as_object_mut()
                .unwrap()
                .extend(members.as_object().unwrap().clone());
        });
        let expected = ExpectedExternalClaims {
            audience_claim: Some(&path),
            ..EXPECTED_EXTERNAL
        };
        verify_as(&token, &keys, &expected)
            .map(drop)
            .map_err(|refused| refused.refusal.check)
    };
    for (claim, members) in [
        ("client_id", json!({"client_id": AUDIENCE})),
        ("azp", json!({"azp": AUDIENCE, "aud": "account"})),
        (
            "azp",
            json!({"azp": [AUDIENCE, "other", AUDIENCE], "aud": 7}),
        ),
        (
            "https://id.example/target",
            json!({"https://id.example/target": AUDIENCE}),
        ),
        ("ext.target", json!({"ext": {"target": [AUDIENCE]}})),
        ("aud", json!({"aud": [AUDIENCE]})),
    ] {
        assert_eq!(verify(claim, members.clone()), Ok(()), "{claim} {members}");
    }
    for (claim, members) in [
        ("client_id", json!({"client_id": "other", "aud": AUDIENCE})),
        ("azp", json!({"aud": AUDIENCE})),
        ("azp", json!({"aud": [AUDIENCE], "client_id": AUDIENCE})),
        ("azp", json!({"azp": null, "aud": AUDIENCE})),
        ("azp", json!({"azp": [AUDIENCE, 7], "aud": AUDIENCE})),
        ("azp", json!({"azp": {"x": AUDIENCE}, "aud": AUDIENCE})),
        (
            "azp",
            json!({"azp": format!("{AUDIENCE}/"), "aud": AUDIENCE}),
        ),
        ("aud", json!({"azp": AUDIENCE})),
    ] {
        assert_eq!(
            verify(claim, members.clone()),
            Err(TokenCheck::Aud),
            "{claim} {members}"
        );
    }
}

#[test]
fn a_refusal_names_the_check_and_what_the_token_has_but_no_person() {
    let keys = key_set_json(std::slice::from_ref(&EC.public));
    let keys = ExternalKeySet::parse(keys.as_bytes(), &[Algorithm::Es256]).unwrap();
    let refusal = |token: &str| {
        verify_as(token, &keys, &EXPECTED_EXTERNAL)
            .unwrap_err()
            .refusal
    };
    let of = |name: &str, value: Value| refusal(&EC.with_claims(|claims| claims[name] = value));
    let without = |name: &str| refusal(&EC.with_claims(|claims| remove(claims, name)));
    let header = |name: &str, value: Value| refusal(&EC.with_header(|header| header[name] = value));
    let found = [
        of("aud", json!(["account", "b\n"])),
        of("aud", json!([])),
        of("aud", json!(7)),
        without("aud"),
        of("iss", json!(format!("{ISSUER}/"))),
        of("sub", json!("ada@example.org".repeat(20))),
        of("sub", json!(7)),
        of("sub", json!("")),
        without("iat"),
        without("exp"),
        of("exp", json!("tomorrow\u{202e}")),
        of("exp", json!(NOW - 1000)),
        of("exp", json!(1e15)),
        of("nbf", json!(seconds(NOW) + 90.5)),
        of("iat", json!(NOW + 31)),
        of("cnf", json!({"jkt": "x"})),
        header("alg", json!("HS256")),
        header("x5c", json!(["MIIB"])),
        header("typ", json!("logout+jwt")),
        header("kid", json!("other")),
        header("kid", json!({})),
        refusal("a.b"),
        refusal(&test_key("ec", Algorithm::Es256).token()),
    ];
    let lines = found.iter().map(|refusal| {
        let hint = refusal
            .hint
            .as_ref()
            .map_or(String::new(), |hint| format!("; {hint}"));
        format!(
            "{}: expected {}, got {}{hint}",
            refusal.check, refusal.expected, refusal.got
        )
    });
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_token_that_is_bound_to_a_key_is_refused_as_a_bearer_token() {
    let token = EC.with_claims(|claims| claims["cnf"] = json!({"jkt": "x"}));
    assert_eq!(verify(&token), Err(TokenError::SenderConstrained));
}
