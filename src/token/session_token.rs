//! Session tokens: issued by a login and each refresh, sent in the `Authorization` header.
//!
//! The claims are exactly `iss`, `aud`, `sub`, `iat`, `exp`, `jti`, `sid`, `typ` and `amr`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use strum::VariantArray;

use crate::domain::caller::Authentication;
use crate::domain::id::{RecordId, SessionId, UserId};
use crate::domain::secret::Secret;

use super::canonical_uuid::CanonicalUuid;
use super::error::{Defect, TokenError, TokenPart};
use super::expected::{self, CommonClaims, ExpectedClaims};
use super::jws;
use super::key_set::KeySet;
use super::kind::TokenKind;
use super::signing_key::SigningKey;
use super::strict_json;

/// The claims of a session token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionClaims {
    /// `iss`: who issued the token.
    pub issuer: String,
    /// `aud`: who is intended to verify it; differs from the audience of download tokens.
    pub audience: String,
    /// `sub`: the user who signed in.
    pub subject: UserId,
    /// `jti`: the token's id, a `UUIDv7`; also the id of the audit record of its login or refresh.
    pub id: RecordId,
    /// `sid`: the session that the token belongs to (`OpenID` Connect Front-Channel Logout, section 3).
    pub session_id: SessionId,
    /// `iat`: seconds since 1970 UTC.
    pub issued_at: i64,
    /// `exp`: the first second in which the token is expired, since 1970 UTC.
    pub expires_at: i64,
    /// `amr`: how the user signed in (RFC 8176).
    pub authentication: Authentication,
}

/// The claims as serialised, in this order.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload<'a> {
    #[serde(borrow)]
    iss: Cow<'a, str>,
    #[serde(borrow)]
    aud: Cow<'a, str>,
    sub: CanonicalUuid,
    iat: i64,
    exp: i64,
    jti: CanonicalUuid,
    sid: CanonicalUuid,
    #[serde(borrow)]
    typ: Cow<'a, str>,
    amr: Vec<Cow<'a, str>>,
}

impl SessionClaims {
    /// Signs the claims as a session token.
    ///
    /// # Errors
    ///
    /// [`TokenError::Unauthenticated`] for a caller that did not authenticate;
    /// [`TokenError::WrongLifetime`] for a lifetime of less than a second; [`Defect::TooLong`] if
    /// issuer and audience make the token longer than [`super::MAX_TOKEN_LENGTH`];
    /// [`TokenError::Sign`] if the cryptographic library fails.
    pub fn sign(&self, key: &SigningKey) -> Result<Secret<String>, TokenError> {
        expected::check_lifetime(self.issued_at, self.expires_at, i64::MAX)?;
        let method = amr_method(self.authentication).ok_or(TokenError::Unauthenticated)?;
        let payload = Payload {
            iss: Cow::Borrowed(&self.issuer),
            aud: Cow::Borrowed(&self.audience),
            sub: CanonicalUuid(self.subject.0),
            iat: self.issued_at,
            exp: self.expires_at,
            jti: CanonicalUuid(self.id.0),
            sid: CanonicalUuid(self.session_id.0),
            typ: Cow::Borrowed(TokenKind::Session.as_str()),
            amr: vec![Cow::Borrowed(method)],
        };
        jws::sign(TokenKind::Session, &payload, key)
    }

    /// Verifies a session token: its form, its kind, every claim, and then its signature.
    ///
    /// # Errors
    ///
    /// The first reason to reject it; cheap checks come before the signature.
    pub fn verify(
        token: &str,
        keys: &KeySet,
        expected: &ExpectedClaims<'_>,
    ) -> Result<Self, TokenError> {
        jws::verify(TokenKind::Session, token, keys, |json| {
            Self::check(json, expected)
        })
    }

    fn check(json: &[u8], expected: &ExpectedClaims<'_>) -> Result<Self, TokenError> {
        let payload: Payload<'_> = strict_json::parse_object(json, TokenPart::Payload)?;
        TokenKind::Session.check_claim(&payload.typ)?;
        let authentication = match payload.amr.as_slice() {
            [method] => authentication_for(method),
            _ => None,
        }
        .ok_or(Defect::WrongValue.in_part(TokenPart::Payload))?;
        let common = CommonClaims {
            issuer: &payload.iss,
            audience: &payload.aud,
            issued_at: payload.iat,
            expires_at: payload.exp,
        };
        expected.validate(common, i64::MAX)?;
        Ok(Self {
            issuer: payload.iss.into_owned(),
            audience: payload.aud.into_owned(),
            subject: UserId(payload.sub.0),
            id: RecordId(payload.jti.0),
            session_id: SessionId(payload.sid.0),
            issued_at: payload.iat,
            expires_at: payload.exp,
            authentication,
        })
    }
}

/// The authentication method of RFC 8176 section 2, if a session can result from it.
fn amr_method(authentication: Authentication) -> Option<&'static str> {
    match authentication {
        Authentication::None
        | Authentication::ApiKey
        | Authentication::Issuer
        | Authentication::CommandLine => None,
        Authentication::Password => Some("pwd"),
    }
}

fn authentication_for(method: &str) -> Option<Authentication> {
    Authentication::VARIANTS
        .iter()
        .copied()
        .find(|authentication| amr_method(*authentication) == Some(method))
}
