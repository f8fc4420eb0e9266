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
        for wrong in [json!(null), json!(true), json!({}), json!([1]), json!(1.5)] {
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
    for wrong in [json!("x"), json!(null), json!(1.5)] {
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
    for (iat, exp) in [(NOW, NOW), (NOW + 10, NOW + 5), (i64::MAX, i64::MAX)] {
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

#[test]
fn a_token_that_is_bound_to_a_key_is_refused_as_a_bearer_token() {
    let token = EC.with_claims(|claims| claims["cnf"] = json!({"jkt": "x"}));
    assert_eq!(verify(&token), Err(TokenError::SenderConstrained));
}
