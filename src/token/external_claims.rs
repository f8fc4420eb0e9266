//! Validation of the claims of external tokens (RFC 7519 section 4.1): issuer, audience, subject and times.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::domain::issuer::{Algorithm, ClaimPath};
use crate::domain::token_refusal::{TokenCheck, name_type, quote_claim, quote_untrusted};

use super::error::{Defect, TokenError, TokenPart};
use super::numeric_date::NumericDate;
use super::refused_token::RefusedToken;
use super::strict_json::StrictObject;

/// How far the clock of an external issuer may differ from ours, in seconds: `exp` counts so much
/// later, `nbf` and `iat` so much earlier (RFC 7519 section 4.1.4).
pub const EXTERNAL_TOKEN_LEEWAY: i64 = 30;

/// Maximum length of `sub`, in bytes (`OpenID` Connect Core section 2 allows 255).
const MAX_SUBJECT_LENGTH: usize = 255;

/// The claims in which providers name the client of a token: RFC 9068 and Cognito, `OpenID` Connect and Keycloak,
/// Entra ID, Okta.
const CLIENT_CLAIMS: [&str; 4] = ["client_id", "azp", "appid", "cid"];

/// The claims that an external token must have to be accepted.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedExternalClaims<'a> {
    /// The claim `iss`, compared byte for byte.
    pub issuer: &'a str,
    /// The audience that the claim with the audience must be or contain, compared byte for byte.
    pub audience: &'a str,
    /// The claim with the audience, if it is not `aud`; then `aud` is not looked at.
    pub audience_claim: Option<&'a ClaimPath>,
    /// The algorithms accepted from the issuer.
    pub algorithms: &'a [Algorithm],
    /// The time in milliseconds since 1970 UTC.
    pub now_millis: i64,
}

/// The claims of a verified external token.
#[derive(Clone, Debug, PartialEq)]
pub struct ExternalClaims {
    /// `sub`: the subject, permanent and unique for its issuer.
    pub subject: String,
    /// `iat`.
    pub issued_at: NumericDate,
    /// `exp`: when the token expires, leeway aside.
    pub expires_at: NumericDate,
    /// All claims, including those above.
    pub members: Map<String, Value>,
}

impl ExternalClaims {
    /// Checks again, at a later time, that a token has been issued and has not expired.
    ///
    /// # Errors
    ///
    /// The first reason to reject it.
    pub fn check_times(
        issued_at: NumericDate,
        expires_at: NumericDate,
        now_millis: i64,
    ) -> Result<(), RefusedToken> {
        let times = Times {
            issued_at,
            expires_at,
            not_before: None,
        };
        times.check(now_millis)
    }
}

/// The times of a token.
struct Times {
    issued_at: NumericDate,
    expires_at: NumericDate,
    not_before: Option<NumericDate>,
}

/// Checks the claims of a token, the cheapest reason first.
pub(super) fn check_claims(
    payload: StrictObject,
    expected: &ExpectedExternalClaims<'_>,
) -> Result<ExternalClaims, RefusedToken> {
    check_issuer(&payload, expected.issuer)?;
    check_audience(&payload, expected)?;
    let subject = check_subject(&payload)?;
    let times = Times::read(&payload)?;
    times.check(expected.now_millis)?;
    if payload.0.contains_key("cnf") {
        let (error, got) = (TokenError::SenderConstrained, "a cnf");
        return Err(RefusedToken::new(
            error,
            TokenCheck::Cnf,
            "a bearer token",
            got,
        ));
    }
    Ok(ExternalClaims {
        subject,
        issued_at: times.issued_at,
        expires_at: times.expires_at,
        members: payload.0,
    })
}

/// The error for a claim that is missing or has another type than it must have.
fn missing_or_wrong_type(claim: Option<&Value>) -> TokenError {
    let defect = claim.map_or(Defect::MissingMember, |_| Defect::WrongType);
    defect.in_part(TokenPart::Payload)
}

fn check_issuer(payload: &StrictObject, expected: &str) -> Result<(), RefusedToken> {
    let claim = payload.0.get("iss");
    let error = match claim {
        Some(Value::String(issuer)) if issuer == expected => return Ok(()),
        Some(Value::String(_)) => TokenError::WrongIssuer,
        other => missing_or_wrong_type(other),
    };
    let got = quote_claim(claim);
    Err(RefusedToken::new(
        error,
        TokenCheck::Iss,
        quote_untrusted(expected),
        got,
    ))
}

/// Checks the audience, which is a string or a list of strings (RFC 7519 section 4.1.3). Where the operator
/// says that it stands in another claim, that claim decides alone: `aud` would be a way around it.
fn check_audience(
    payload: &StrictObject,
    expected: &ExpectedExternalClaims<'_>,
) -> Result<(), RefusedToken> {
    let claim = match expected.audience_claim {
        Some(path) => path.find_in(&payload.0),
        None => payload.0.get("aud"),
    };
    let error = match claim {
        Some(Value::String(audience)) if audience == expected.audience => return Ok(()),
        Some(Value::String(_)) => TokenError::WrongAudience,
        Some(Value::Array(audiences)) if audiences.iter().all(Value::is_string) => {
            if audiences
                .iter()
                .any(|one| one.as_str() == Some(expected.audience))
            {
                return Ok(());
            }
            TokenError::WrongAudience
        }
        other => missing_or_wrong_type(other),
    };
    let name = expected.audience_claim.map_or("aud", |path| path.as_str());
    let text = format!(
        "{name} is or contains {}",
        quote_untrusted(expected.audience)
    );
    let mut refused = RefusedToken::new(error, TokenCheck::Aud, text, quote_claim(claim));
    if expected.audience_claim.is_none() {
        refused.refusal = refused.refusal.with_hint(audience_hint(payload));
    }
    Err(refused)
}

/// What an operator can do about tokens without a usable `aud`.
fn audience_hint(payload: &StrictObject) -> String {
    let mut hint =
        "let the provider put the audience into aud (Keycloak: an audience mapper)".to_owned();
    let client = CLIENT_CLAIMS.iter().find_map(|name| {
        let value = payload.0.get(*name).filter(|value| value.is_string())?;
        Some((name, value))
    });
    if let Some((name, value)) = client {
        let value = quote_claim(Some(value));
        // Writing to a String never fails.
        let _ = write!(
            hint,
            ", or set audience_claim = \"{name}\" and audience to the client whose tokens count (of this \
             token: {value})"
        );
    }
    hint
}

/// Checks `sub`: any text of the issuer's, exactly as it is; NUL is in no database.
fn check_subject(payload: &StrictObject) -> Result<String, RefusedToken> {
    let expected = format!("a string of 1 to {MAX_SUBJECT_LENGTH} bytes without NUL");
    let refused = |error, got: String| RefusedToken::new(error, TokenCheck::Sub, expected, got);
    match payload.0.get("sub") {
        Some(Value::String(subject)) => {
            if subject.is_empty() || subject.len() > MAX_SUBJECT_LENGTH || subject.contains('\0') {
                let error = Defect::WrongValue.in_part(TokenPart::Payload);
                // Only its length: it names a person.
                let nul = if subject.contains('\0') {
                    " with NUL"
                } else {
                    ""
                };
                return Err(refused(error, format!("{} bytes{nul}", subject.len())));
            }
            Ok(subject.clone())
        }
        other => {
            let got = name_type(other).to_owned();
            Err(refused(missing_or_wrong_type(other), got))
        }
    }
}

impl Times {
    /// Reads the times; `iat` and `exp` must be there (RFC 9068 section 2.2, `OpenID` Connect Core section 2).
    fn read(payload: &StrictObject) -> Result<Self, RefusedToken> {
        let read = |name: &str, check| {
            let claim = payload.0.get(name);
            claim.and_then(NumericDate::parse).ok_or_else(|| {
                let error = match claim {
                    Some(Value::Number(_)) => Defect::WrongValue.in_part(TokenPart::Payload),
                    other => missing_or_wrong_type(other),
                };
                let expected = "a number of seconds since 1970, at most of the year 9999";
                RefusedToken::new(error, check, expected, quote_claim(claim))
            })
        };
        Ok(Self {
            issued_at: read("iat", TokenCheck::Iat)?,
            expires_at: read("exp", TokenCheck::Exp)?,
            not_before: match payload.0.get("nbf") {
                Some(_) => Some(read("nbf", TokenCheck::Nbf)?),
                None => None,
            },
        })
    }

    /// Checks the times, all to the millisecond: a fraction is neither rounded up nor down.
    fn check(&self, now_millis: i64) -> Result<(), RefusedToken> {
        let Self {
            issued_at,
            expires_at,
            not_before,
        } = self;
        let now = now_millis.div_euclid(1000);
        let shown = |date: &NumericDate| format_seconds(date.unix_millis());
        let soon = now_millis.saturating_add(EXTERNAL_TOKEN_LEEWAY * 1000);
        let by = format!("at most {} (now and the leeway)", format_seconds(soon));
        if expires_at <= issued_at {
            let seconds = expires_at
                .unix_seconds()
                .saturating_sub(issued_at.unix_seconds());
            let error = TokenError::WrongLifetime { seconds };
            let expected = format!("later than iat, {}", shown(issued_at));
            return Err(RefusedToken::new(
                error,
                TokenCheck::Exp,
                expected,
                shown(expires_at),
            ));
        }
        if issued_at.unix_millis() > soon {
            let issued_at_seconds = issued_at.unix_seconds();
            let error = TokenError::NotYetValid {
                issued_at: issued_at_seconds,
                now,
            };
            return Err(RefusedToken::new(
                error,
                TokenCheck::Iat,
                by,
                shown(issued_at),
            ));
        }
        if let Some(date) = not_before.filter(|date| date.unix_millis() > soon) {
            let error = TokenError::NotBefore {
                not_before: date.unix_seconds(),
                now,
            };
            return Err(RefusedToken::new(error, TokenCheck::Nbf, by, shown(&date)));
        }
        if is_expired(*expires_at, now_millis) {
            return Err(expired(*expires_at, now_millis));
        }
        Ok(())
    }
}

/// Whether a token has expired, leeway included.
fn is_expired(expires_at: NumericDate, now_millis: i64) -> bool {
    now_millis
        >= expires_at
            .unix_millis()
            .saturating_add(EXTERNAL_TOKEN_LEEWAY * 1000)
}

/// The refusal of a token that has expired.
fn expired(expires_at: NumericDate, now_millis: i64) -> RefusedToken {
    let earliest = now_millis.saturating_sub(EXTERNAL_TOKEN_LEEWAY * 1000);
    let expected = format!(
        "later than {} (now less the leeway)",
        format_seconds(earliest)
    );
    let error = TokenError::Expired {
        expires_at: expires_at.unix_seconds(),
        now: now_millis.div_euclid(1000),
    };
    let got = format_seconds(expires_at.unix_millis());
    RefusedToken::new(error, TokenCheck::Exp, expected, got)
}

/// Milliseconds as seconds, with a fraction if there is one.
fn format_seconds(unix_millis: i64) -> String {
    let (seconds, millis) = (unix_millis.div_euclid(1000), unix_millis.rem_euclid(1000));
    if millis == 0 {
        seconds.to_string()
    } else {
        format!("{seconds}.{millis:03}")
    }
}
