//! Forged tokens without a defect are valid and have the documented format.

use super::*;

#[test]
fn the_wire_format_of_a_download_token_is_the_promised_one() {
    let fixture = fixture();
    let kid = fixture.key.kid();
    assert_eq!(
        fixture.json(0),
        format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"download+jwt"}}"#)
    );
    let DownloadClaims {
        dataset_id,
        id,
        subject,
        ..
    } = fixture.download.clone();
    let members = format!(
        r#"{{"iss":"https://gate.example","aud":"https://files.example","iat":{NOW},"exp":{},"jti":"{id}","typ":"download","scope":"dataset:{dataset_id}""#,
        NOW + 120
    );
    let sub = subject.unwrap();
    assert_eq!(fixture.json(1), format!(r#"{members},"sub":"{sub}"}}"#));
    let anonymous = DownloadClaims {
        subject: None,
        ..fixture.download.clone()
    };
    let token = anonymous.sign(&fixture.key).unwrap();
    assert_eq!(part_json(token.reveal(), 1), format!("{members}}}"));
    assert_eq!(
        DownloadClaims::verify(token.reveal(), &fixture.keys, &EXPECTED),
        Ok(anonymous)
    );
}

#[test]
fn the_wire_format_of_a_session_token_is_the_promised_one() {
    let fixture = fixture();
    let (kid, token) = (fixture.key.kid(), fixture.session_token());
    assert_eq!(
        part_json(&token, 0),
        format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"at+jwt"}}"#)
    );
    let SessionClaims {
        subject,
        id,
        session_id,
        ..
    } = &fixture.session;
    assert_eq!(
        part_json(&token, 1),
        format!(
            r#"{{"iss":"https://gate.example","aud":"https://files.example","sub":"{subject}","iat":{NOW},"exp":{},"jti":"{id}","sid":"{session_id}","typ":"session","amr":["pwd"]}}"#,
            NOW + 3600
        )
    );
    assert_eq!(
        SessionClaims::verify(&token, &fixture.keys, &EXPECTED),
        Ok(fixture.session)
    );
}

#[test]
fn a_forged_token_without_a_defect_is_accepted() {
    // Without this, every rejection below could be a mistake of the fixture.
    let fixture = fixture();
    for token in [
        fixture.forge(&fixture.json(0), &fixture.json(1)),
        fixture.with_header(|_| ()),
        fixture.with_payload(|_| ()),
    ] {
        assert_eq!(
            DownloadClaims::verify(&token, &fixture.keys, &EXPECTED).as_ref(),
            Ok(&fixture.download)
        );
    }
}

#[test]
fn a_token_outlives_the_publishing_of_another_key() {
    let fixture = fixture();
    let token = fixture.token();
    let newer = SigningKey::generate().unwrap();
    let both = [newer.public_key().clone(), fixture.key.public_key().clone()];
    let keys = KeySet::new(&both).unwrap();
    assert!(DownloadClaims::verify(&token, &keys, &EXPECTED).is_ok());
    let keys = KeySet::new(&both[..1]).unwrap();
    assert_eq!(
        DownloadClaims::verify(&token, &keys, &EXPECTED),
        Err(TokenError::UnknownKey)
    );
}
