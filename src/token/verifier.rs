//! Verification of download tokens without a server: issuer, audience and key set in, claims or an error out.
//!
//! Nothing here does input or output, knows the time or needs a runtime. Fetching the key set is the caller's:
//! `docs/verifiers/verify.rs` is a whole program.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::domain::decision::MAX_TOKEN_TTL;
use crate::domain::id::DatasetId;

use super::download_token::DownloadClaims;
use super::error::TokenError;
use super::expected::{ExpectedClaims, Leeway};
use super::jws;
use super::key_set::KeySet;
use super::kind::TokenKind;

/// By how many seconds the clocks of issuer and verifier may differ, in either direction.
pub const DEFAULT_LEEWAY: u32 = 10;

/// Verifies the download tokens of one issuer, with the key set that [`KeySet::parse`] reads.
#[derive(Debug)]
pub struct DownloadVerifier {
    issuer: String,
    audience: String,
    leeway: i64,
    keys: KeySet,
}

impl DownloadVerifier {
    /// A verifier of the tokens of `issuer` for `audience`, with a leeway of [`DEFAULT_LEEWAY`].
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>, keys: KeySet) -> Self {
        Self {
            issuer: issuer.into(),
            audience: audience.into(),
            leeway: DEFAULT_LEEWAY.into(),
            keys,
        }
    }

    /// The same with another leeway, in seconds.
    #[must_use]
    pub fn with_leeway(self, seconds: u32) -> Self {
        Self {
            leeway: seconds.into(),
            ..self
        }
    }

    /// Verifies that a token opens this dataset now: its form, its kind, every claim, and then its signature.
    ///
    /// `dataset_id` is a UUID in any text form of RFC 9562; take it from what you are about to serve, never from
    /// the token.
    ///
    /// # Errors
    ///
    /// The first reason to refuse the token. After [`TokenError::UnknownKey`] a fresh key set may help, since
    /// everything but the signature was right; all others are final.
    pub fn verify(
        &self,
        token: &str,
        dataset_id: &str,
        now: SystemTime,
    ) -> Result<DownloadClaims, TokenError> {
        let asked: DatasetId = dataset_id.parse()?;
        let leeway = Leeway {
            issued_ahead: self.leeway,
            expired: self.leeway,
        };
        let expected = ExpectedClaims {
            issuer: &self.issuer,
            audience: &self.audience,
            now: unix_seconds(now),
        };
        jws::verify(TokenKind::Download, token, &self.keys, |json| {
            let claims = DownloadClaims::check(json, |common| {
                expected.validate_with(common, MAX_TOKEN_TTL.into(), leeway)
            })?;
            if claims.dataset_id == asked {
                Ok(claims)
            } else {
                Err(TokenError::WrongDataset)
            }
        })
    }
}

/// In whole seconds since 1970 UTC, rounded down.
fn unix_seconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |seconds| {
            seconds.saturating_neg().saturating_sub(1)
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::domain::id::RecordId;
    use crate::token::SigningKey;

    const NOW: i64 = 1_800_000_000;
    const DATASET_ID: &str = "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0";

    fn at(seconds: i64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(u64::try_from(NOW + seconds).unwrap())
    }

    fn token(key: &SigningKey) -> String {
        let claims = DownloadClaims {
            issuer: "https://gate.example".to_owned(),
            audience: "files".to_owned(),
            subject: None,
            dataset_id: DATASET_ID.parse().unwrap(),
            id: RecordId::generate_at(1_800_000_000_000),
            issued_at: NOW,
            expires_at: NOW + 120,
        };
        claims.sign(key).unwrap().reveal().clone()
    }

    fn verifier(key: &SigningKey) -> DownloadVerifier {
        let keys = KeySet::new(std::slice::from_ref(key.public_key())).unwrap();
        let keys = KeySet::parse(&keys.body()).unwrap();
        DownloadVerifier::new("https://gate.example", "files", keys)
    }

    #[test]
    fn a_token_is_accepted_within_its_life_and_the_leeway_on_both_sides() {
        let key = SigningKey::generate().unwrap();
        let (token, strict) = (token(&key), verifier(&key).with_leeway(0));
        let usual = verifier(&key);
        for (seconds, by_usual, by_strict) in [
            (-11, false, false),
            (-10, true, false),
            (0, true, true),
            (119, true, true),
            (120, true, false),
            (129, true, false),
            (130, false, false),
        ] {
            let is_accepted =
                |by: &DownloadVerifier| by.verify(&token, DATASET_ID, at(seconds)).is_ok();
            let found = (is_accepted(&usual), is_accepted(&strict));
            assert_eq!(found, (by_usual, by_strict), "{seconds}");
        }
        assert!(usual.verify(&token, DATASET_ID, UNIX_EPOCH).is_err());
    }

    #[test]
    fn a_dataset_id_is_taken_in_every_form_and_compared_whole() {
        let key = SigningKey::generate().unwrap();
        let verify = |id: &str| verifier(&key).verify(&token(&key), id, at(0));
        for id in [
            DATASET_ID.to_uppercase(),
            DATASET_ID.replace('-', ""),
            format!("urn:uuid:{DATASET_ID}"),
        ] {
            assert!(verify(&id).is_ok(), "{id}");
        }
        let other = Uuid::new_v4().to_string();
        assert_eq!(verify(&other), Err(TokenError::WrongDataset));
        for id in [
            "",
            "dem",
            &DATASET_ID[..35],
            "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0/x",
        ] {
            assert!(
                matches!(verify(id), Err(TokenError::NotADataset(_))),
                "{id}"
            );
        }
    }

    #[test]
    fn an_unknown_key_is_the_reason_only_if_all_else_is_right() {
        let [key, other] = [(); 2].map(|()| SigningKey::generate().unwrap());
        let (token, verifier) = (token(&key), verifier(&other));
        let verify = |id: &str, seconds| verifier.verify(&token, id, at(seconds)).unwrap_err();
        assert_eq!(verify(DATASET_ID, 0), TokenError::UnknownKey);
        let id = Uuid::new_v4().to_string();
        assert_eq!(verify(&id, 0), TokenError::WrongDataset);
        assert!(matches!(
            verify(DATASET_ID, 500),
            TokenError::Expired { .. }
        ));
    }
}
