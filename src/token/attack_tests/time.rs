//! Another issuer, another audience, another time.

use super::*;

#[test]
fn another_issuer_or_audience_is_refused() {
    let bench = fixture();
    let session = part_json(&bench.session_token(), 1);
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
        assert_eq!(bench.error(&token), refusal, "{value}");
        let payload = edit_json(&session, |payload| payload[claim] = json!(value));
        let token = bench.forge(&part_json(&bench.session_token(), 0), &payload);
        assert_eq!(
            SessionClaims::verify(&token, &bench.keys, &EXPECTED),
            Err(refusal),
            "{value}"
        );
    }
}

#[test]
fn a_token_is_dead_from_the_second_of_its_expiry_on() {
    let bench = fixture();
    for (token, expires_at) in [
        (bench.token(), bench.download.expires_at),
        (bench.session_token(), bench.session.expires_at),
    ] {
        let outcome = |now| {
            let expected = ExpectedClaims { now, ..EXPECTED };
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
    let bench = fixture();
    let issued_at = NOW;
    for (now, is_accepted) in [(NOW - 60, true), (NOW - 61, false), (i64::MIN, false)] {
        let expected = ExpectedClaims { now, ..EXPECTED };
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
    let bench = fixture();
    let longest = i64::from(MAX_TOKEN_TTL);
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
    let bench = fixture();
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
            bench.error(&token),
            TokenError::BadSignature | TokenError::Malformed { .. }
        ));
    }
    let beyond = bench
        .json(1)
        .replace(&(NOW + 120).to_string(), "18446744073709551616");
    let refusal = bench.defect(&bench.forge(&bench.json(0), &beyond));
    assert_eq!(refusal, (TokenPart::Payload, Defect::WrongType));
}

#[test]
fn nobody_gets_a_session_without_signing_in() {
    let mut bench = fixture();
    bench.session.authentication = Authentication::None;
    let refusal = bench.session.sign(&bench.key).unwrap_err();
    assert_eq!(refusal, TokenError::Unauthenticated);
}
