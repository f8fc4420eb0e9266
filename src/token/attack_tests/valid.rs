//! What the forger makes is valid where it changes nothing, and in the promised format.

use super::*;

#[test]
fn the_wire_format_of_a_download_token_is_the_promised_one() {
    let bench = fixture();
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
    assert_eq!(part_json(token.reveal(), 1), format!("{members}}}"));
    assert_eq!(
        DownloadClaims::verify(token.reveal(), &bench.keys, &EXPECTED),
        Ok(anonymous)
    );
}

#[test]
fn the_wire_format_of_a_session_token_is_the_promised_one() {
    let bench = fixture();
    let (kid, token) = (bench.key.kid(), bench.session_token());
    assert_eq!(
        part_json(&token, 0),
        format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"at+jwt"}}"#)
    );
    let SessionClaims {
        subject,
        id,
        session_id,
        ..
    } = &bench.session;
    assert_eq!(
        part_json(&token, 1),
        format!(
            r#"{{"iss":"https://gate.example","aud":"https://files.example","sub":"{subject}","iat":{NOW},"exp":{},"jti":"{id}","sid":"{session_id}","typ":"session","amr":["pwd"]}}"#,
            NOW + 3600
        )
    );
    assert_eq!(
        SessionClaims::verify(&token, &bench.keys, &EXPECTED),
        Ok(bench.session)
    );
}

#[test]
fn a_forged_token_without_a_defect_is_accepted() {
    // Without this, every refusal below could be the forger's own mistake.
    let bench = fixture();
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
    let bench = fixture();
    let token = bench.token();
    let newer = SigningKey::generate().unwrap();
    let both = [newer.public_key().clone(), bench.key.public_key().clone()];
    let keys = KeySet::new(&both).unwrap();
    assert!(DownloadClaims::verify(&token, &keys, &EXPECTED).is_ok());
    let keys = KeySet::new(&both[..1]).unwrap();
    assert_eq!(
        DownloadClaims::verify(&token, &keys, &EXPECTED),
        Err(TokenError::UnknownKey)
    );
}
