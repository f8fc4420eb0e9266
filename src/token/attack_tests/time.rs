//! Another issuer, another audience, another time.

use super::*;

#[test]
fn another_issuer_or_audience_is_refused() {
    let fixture = fixture();
    let session = part_json(&fixture.session_token(), 1);
    for (claim, value, error) in [
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
        let token = fixture.with_payload(|payload| payload[claim] = json!(value));
        assert_eq!(fixture.error(&token), error, "{value}");
        let payload = edit_json(&session, |payload| payload[claim] = json!(value));
        let token = fixture.forge(&part_json(&fixture.session_token(), 0), &payload);
        assert_eq!(
            SessionClaims::verify(&token, &fixture.keys, &EXPECTED),
            Err(error),
            "{value}"
        );
    }
}

#[test]
fn a_token_is_expired_from_the_second_of_its_exp_on() {
    let fixture = fixture();
    for (token, expires_at) in [
        (fixture.token(), fixture.download.expires_at),
        (fixture.session_token(), fixture.session.expires_at),
    ] {
        let outcome = |now| {
            let expected = ExpectedClaims { now, ..EXPECTED };
            DownloadClaims::verify(&token, &fixture.keys, &expected)
                .map(|_| ())
                .or_else(|error| match error {
                    TokenError::WrongKind { .. } => {
                        SessionClaims::verify(&token, &fixture.keys, &expected).map(|_| ())
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
    let fixture = fixture();
    let issued_at = NOW;
    for (now, is_accepted) in [(NOW - 60, true), (NOW - 61, false), (i64::MIN, false)] {
        let expected = ExpectedClaims { now, ..EXPECTED };
        let outcome = DownloadClaims::verify(&fixture.token(), &fixture.keys, &expected);
        if is_accepted {
            assert!(outcome.is_ok());
        } else {
            assert_eq!(outcome, Err(TokenError::NotYetValid { issued_at, now }));
        }
    }
}

#[test]
fn a_download_token_lives_120_seconds_at_most() {
    let fixture = fixture();
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
            ..fixture.download.clone()
        };
        assert_eq!(claims.sign(&fixture.key).is_ok(), is_fine, "{life}");
        let token = fixture.with_payload(|payload| payload["exp"] = json!(NOW + life));
        let outcome = DownloadClaims::verify(&token, &fixture.keys, &EXPECTED);
        if is_fine {
            assert_eq!(outcome, Ok(claims));
        } else {
            assert_eq!(outcome, Err(TokenError::WrongLifetime { seconds: life }));
        }
    }
}

#[test]
fn times_at_the_ends_of_the_integers_are_refused() {
    let fixture = fixture();
    for (issued_at, expires_at) in [
        (i64::MIN, i64::MAX),
        (i64::MAX, i64::MIN),
        (i64::MIN, i64::MIN + 1),
        (i64::MAX - 1, i64::MAX),
    ] {
        let token = fixture.with_payload(|payload| {
            payload["iat"] = json!(issued_at);
            payload["exp"] = json!(expires_at);
        });
        assert!(!matches!(
            fixture.error(&token),
            TokenError::BadSignature | TokenError::Malformed { .. }
        ));
    }
    let beyond = fixture
        .json(1)
        .replace(&(NOW + 120).to_string(), "18446744073709551616");
    let error = fixture.defect(&fixture.forge(&fixture.json(0), &beyond));
    assert_eq!(error, (TokenPart::Payload, Defect::WrongType));
}

#[test]
fn nobody_gets_a_session_without_signing_in() {
    let mut fixture = fixture();
    fixture.session.authentication = Authentication::None;
    let error = fixture.session.sign(&fixture.key).unwrap_err();
    assert_eq!(error, TokenError::Unauthenticated);
}
