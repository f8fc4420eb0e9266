//! The set through our own verifier, and what a key that is trusted never signs.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::*;
use crate::domain::id::{DatasetId, RecordId, UserId};
use crate::token::{DownloadVerifier, SigningKey, TokenError};

const NOW: i64 = 1_800_000_000;

fn parties() -> ForgedParties {
    ForgedParties {
        issuer: "https://gate.example".to_owned(),
        audience: "cedargate-downloads".to_owned(),
        dataset_id: "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0".parse().unwrap(),
        user_id: Some(UserId::random()),
    }
}

fn make(forge: &TokenForge, case: &ConformanceCase, now: i64) -> Option<ConformanceToken> {
    let id = RecordId::generate_at(1_800_000_000_000);
    forge.make(case, now, id).unwrap()
}

fn verifier(forge: &TokenForge) -> DownloadVerifier {
    let ForgedParties {
        issuer, audience, ..
    } = parties();
    DownloadVerifier::new(issuer, audience, forge.key_set().unwrap())
}

fn verdict(
    verifier: &DownloadVerifier,
    made: &ConformanceToken,
    now: i64,
) -> Result<(), TokenError> {
    let now = UNIX_EPOCH + Duration::from_secs(u64::try_from(now).unwrap());
    let found = verifier.verify(made.token.reveal(), &made.dataset_id, now);
    found.map(drop)
}

#[test]
fn our_verifier_comes_to_the_verdict_of_every_case() {
    let forge = TokenForge::with_throwaway_keys(parties()).unwrap();
    let (verifier, cases) = (verifier(&forge), ConformanceCases::load().unwrap().cases);
    let mut made = 0;
    for case in &cases {
        let Some(token) = make(&forge, case, NOW) else {
            continue;
        };
        made += 1;
        let found = verdict(&verifier, &token, NOW);
        let is_right = match case.expected() {
            Verdict::Accept => found.is_ok(),
            Verdict::Refuse => found.is_err(),
            Verdict::Either => true,
        };
        assert!(is_right, "{}: {found:?}", case.name);
    }
    // A payload has spare bits or not; all other cases can always be made.
    assert!(made >= 280 && made + 1 >= cases.len(), "{made}");
}

#[test]
fn a_verdict_holds_until_the_second_that_its_token_names() {
    let forge = TokenForge::with_throwaway_keys(parties()).unwrap();
    let verifier = verifier(&forge);
    let cases = ConformanceCases::load().unwrap().cases;
    let mut limited = 0;
    for case in &cases {
        let Some(made) = make(&forge, case, NOW) else {
            continue;
        };
        let last = made
            .holds_until
            .map_or(NOW + 1_000_000_000, |until| until - 1);
        let is_accepted = verdict(&verifier, &made, last).is_ok();
        match case.expected() {
            Verdict::Accept => assert!(is_accepted, "{}", case.name),
            Verdict::Refuse => assert!(!is_accepted, "{}", case.name),
            Verdict::Either => {}
        }
        limited += u32::from(made.holds_until.is_some());
    }
    assert!(limited >= 10, "{limited}");
}

/// Every number in a text, so that one in any form counts.
fn numbers(text: &str) -> impl Iterator<Item = u128> {
    text.split(|letter: char| !letter.is_ascii_digit())
        .filter(|digits| digits.len() >= 10)
        .map(|digits| digits.parse().unwrap_or(u128::MAX))
}

#[test]
fn a_trusted_key_signs_nothing_that_outlives_a_download_token() {
    let key = SigningKey::generate().unwrap();
    let forge = TokenForge::with_trusted_key(key, parties()).unwrap();
    let cases = ConformanceCases::load().unwrap().cases;
    let (mut signed, mut left_out) = (0, 0);
    for case in &cases {
        let Some(made) = make(&forge, case, NOW) else {
            left_out += 1;
            continue;
        };
        if !case.is_signed_with_published_key() {
            continue;
        }
        signed += 1;
        let parts = made.token.reveal().split('.');
        for part in parts.filter_map(|part| URL_SAFE_NO_PAD.decode(part).ok()) {
            let text = String::from_utf8_lossy(&part);
            let Ok(Value::Object(claims)) = serde_json::from_str(&text) else {
                continue;
            };
            if !claims.contains_key("iss") || claims.contains_key("alg") {
                continue;
            }
            // Ids have digits too, and are no times.
            let ids = ["jti", "scope", "sub", "sid"].map(|name| claims.get(name));
            let ids = ids.into_iter().flatten().filter_map(Value::as_str);
            let text = ids
                .filter(|id| !id.is_empty())
                .fold(text.into_owned(), |text, id| text.replace(id, ""));
            assert!(claims.contains_key("exp"), "{}: no exp", case.name);
            let last = u128::try_from(NOW + 200).unwrap();
            let is_iat = |number: &u128| case.name == "iat in milliseconds" && *number > last;
            for number in numbers(&text).filter(|number| !is_iat(number)) {
                assert!(number <= last, "{}: {number}", case.name);
            }
            let exp = &claims["exp"];
            assert!(
                exp.is_number() || exp.is_string() || exp.is_object(),
                "{}: {exp}",
                case.name
            );
        }
    }
    assert!(signed >= 100 && left_out >= 10, "{signed} {left_out}");
}

#[test]
fn a_session_token_of_the_set_names_nobody() {
    let parties = parties();
    let user_id = parties.user_id.unwrap().to_string();
    let forge = TokenForge::with_throwaway_keys(parties).unwrap();
    let cases = ConformanceCases::load().unwrap().cases;
    let case = cases.iter().find(|case| case.name == "a session token");
    let made = make(&forge, case.unwrap(), NOW).unwrap();
    let payload = made.token.reveal().split('.').nth(1).unwrap().to_owned();
    let payload = URL_SAFE_NO_PAD.decode(payload).unwrap();
    assert!(!String::from_utf8(payload).unwrap().contains(&user_id));
}

#[test]
fn no_user_means_no_token_of_a_user() {
    let nobody = ForgedParties {
        user_id: None,
        ..parties()
    };
    let forge = TokenForge::with_throwaway_keys(nobody).unwrap();
    let cases = ConformanceCases::load().unwrap().cases;
    let case = cases.iter().find(|case| case.name == "of a user");
    assert!(make(&forge, case.unwrap(), NOW).is_none());
}

#[test]
fn a_dataset_id_without_letters_has_no_token_in_upper_case() {
    let digits = ForgedParties {
        dataset_id: DatasetId(uuid::Uuid::nil()),
        ..parties()
    };
    let forge = TokenForge::with_throwaway_keys(digits).unwrap();
    let cases = ConformanceCases::load().unwrap().cases;
    let case = cases.iter().find(|case| case.name == "scope in upper case");
    assert!(make(&forge, case.unwrap(), NOW).is_none());
}

#[test]
fn every_case_has_a_name_of_its_own_and_a_kind_that_says_why() {
    let ConformanceCases { kinds, cases } = ConformanceCases::load().unwrap();
    let mut names: Vec<&str> = cases.iter().map(|case| case.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), cases.len());
    for case in &cases {
        assert!(!kinds[&case.kind].why.is_empty() && case.expect.is_some());
    }
    for kind in kinds.keys() {
        assert!(cases.iter().any(|case| case.kind == *kind), "{kind}");
    }
}
