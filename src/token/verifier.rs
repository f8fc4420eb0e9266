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

/// Verifies the download tokens of one issuer.
///
/// ```
/// use std::time::SystemTime;
///
/// use cedargate::token::{DownloadVerifier, KeySet, TokenError};
///
/// # fn main() -> Result<(), TokenError> {
/// // What <issuer>/.well-known/jwks.json answers.
/// let published = br#"{"keys":[{"kty":"EC","crv":"P-256","alg":"ES256","use":"sig","kid":"k1",
///     "x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
///     "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
/// let verifier = DownloadVerifier::new(
///     "https://gate.example",
///     "cedargate-downloads",
///     KeySet::parse(published)?,
/// );
/// let dataset_id = "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0";
/// let refused = verifier.verify("no token", dataset_id, SystemTime::now());
/// assert!(matches!(refused, Err(TokenError::Malformed { .. })));
/// # Ok(())
/// # }
/// ```
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
