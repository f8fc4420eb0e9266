//! Properties of every token and of every text.

use super::*;

#[test]
fn no_message_holds_any_part_of_a_token() {
    let fixture = fixture();
    let marker = "MARKER7f3a";
    for token in [
        marker.to_owned(),
        fixture.with_header(|header| header["alg"] = json!(marker)),
        fixture.with_header(|header| header["kid"] = json!(marker)),
        fixture.with_header(|header| header["typ"] = json!(marker)),
        fixture.with_header(|header| header[marker] = json!(1)),
        fixture.with_payload(|payload| payload[marker] = json!(1)),
        fixture.with_payload(|payload| payload["iss"] = json!(marker)),
        fixture.with_payload(|payload| payload["aud"] = json!(marker)),
        fixture.with_payload(|payload| payload["exp"] = json!(marker)),
        fixture.with_payload(|payload| payload["jti"] = json!(marker)),
        fixture.with_payload(|payload| payload["scope"] = json!(marker)),
    ] {
        let error = fixture.error(&token);
        assert!(!format!("{error} {error:?}").contains(marker), "{error}");
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

fn expected_by(claims: &DownloadClaims) -> ExpectedClaims<'_> {
    ExpectedClaims {
        issuer: &claims.issuer,
        audience: &claims.audience,
        now: claims.expires_at - 1,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_signed_verifies_as_the_same_claims(claims in claims()) {
        let fixture = fixture();
        let token = claims.sign(&fixture.key).unwrap();
        let verified = DownloadClaims::verify(token.reveal(), &fixture.keys, &expected_by(&claims));
        prop_assert_eq!(verified, Ok(claims));
    }

    #[test]
    fn a_session_that_is_signed_verifies_as_the_same_claims(claims in claims(), life in 1_i64..1_000_000) {
        let fixture = fixture();
        let expected = ExpectedClaims { now: claims.issued_at, ..expected_by(&claims) };
        let session = SessionClaims {
            issuer: claims.issuer.clone(),
            audience: claims.audience.clone(),
            subject: UserId(claims.dataset_id.0),
            id: claims.id,
            session_id: SessionId(claims.dataset_id.0),
            issued_at: claims.issued_at,
            expires_at: claims.issued_at + life,
            authentication: Authentication::Password,
        };
        let token = session.sign(&fixture.key).unwrap();
        let verified = SessionClaims::verify(token.reveal(), &fixture.keys, &expected);
        prop_assert_eq!(verified, Ok(session));
    }

    #[test]
    fn one_flipped_bit_is_refused_in_any_token(claims in claims(), at in any::<prop::sample::Index>()) {
        let fixture = fixture();
        let token = claims.sign(&fixture.key).unwrap();
        let mut bytes = token.reveal().clone().into_bytes();
        let at = at.index(bytes.len() * 8);
        bytes[at / 8] ^= 1 << (at % 8);
        if let Ok(flipped) = String::from_utf8(bytes) {
            prop_assert!(DownloadClaims::verify(&flipped, &fixture.keys, &expected_by(&claims)).is_err());
        }
    }

    #[test]
    fn any_text_is_refused_without_a_panic(text in "\\PC*", parts in "[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{86}") {
        let fixture = fixture();
        prop_assert!(DownloadClaims::verify(&text, &fixture.keys, &EXPECTED).is_err());
        prop_assert!(DownloadClaims::verify(&parts, &fixture.keys, &EXPECTED).is_err());
        prop_assert!(SessionClaims::verify(&parts, &fixture.keys, &EXPECTED).is_err());
    }
}
