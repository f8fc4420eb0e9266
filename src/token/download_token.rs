//! Download tokens: one dataset, for at most two minutes.
//!
//! The claims are exactly `iss`, `aud`, `iat`, `exp`, `jti`, `typ`, `scope` and, for a user, `sub`.
//! Tokens travel in URLs, so they contain no personal data.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::decision::MAX_TOKEN_TTL;
use crate::domain::id::{DatasetId, RecordId, UserId};
use crate::domain::secret::Secret;

use super::canonical_uuid::CanonicalUuid;
use super::error::{Defect, TokenError, TokenPart};
use super::expected::{self, CommonClaims, ExpectedClaims};
use super::jws;
use super::key_set::KeySet;
use super::kind::TokenKind;
use super::signing_key::SigningKey;
use super::strict_json;

/// The prefix of the claim `scope`.
const SCOPE_PREFIX: &str = "dataset:";

/// The claims of a download token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownloadClaims {
    /// `iss`: who minted the token.
    pub issuer: String,
    /// `aud`: who is intended to verify it.
    pub audience: String,
    /// `sub`: the user it was minted for; absent for the anonymous principal.
    pub subject: Option<UserId>,
    /// `scope`: the dataset that the token is for.
    pub dataset_id: DatasetId,
    /// `jti`: the id of the mint's audit record.
    pub id: RecordId,
    /// `iat`: seconds since 1970 UTC.
    pub issued_at: i64,
    /// `exp`: the first second in which the token is expired, since 1970 UTC; at most
    /// [`MAX_TOKEN_TTL`] after `iat`.
    pub expires_at: i64,
}

/// What a download token grants: its claims without the parties, which are the same in every token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DownloadGrant {
    /// `sub`: the user it was minted for; absent for the anonymous principal.
    pub subject: Option<UserId>,
    /// `scope`: the dataset that the token is for.
    pub dataset_id: DatasetId,
    /// `jti`: the id of the mint's audit record.
    pub id: RecordId,
    /// `iat`: seconds since 1970 UTC.
    pub issued_at: i64,
    /// `exp`: the first second in which the token is expired, since 1970 UTC; at most
    /// [`MAX_TOKEN_TTL`] after `iat`.
    pub expires_at: i64,
}

/// The claims as serialised, in this order.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload<'a> {
    #[serde(borrow)]
    iss: Cow<'a, str>,
    #[serde(borrow)]
    aud: Cow<'a, str>,
    iat: i64,
    exp: i64,
    jti: CanonicalUuid,
    #[serde(borrow)]
    typ: Cow<'a, str>,
    #[serde(borrow)]
    scope: Cow<'a, str>,
    #[serde(
        default,
        deserialize_with = "strict_json::deserialize_present",
        skip_serializing_if = "Option::is_none"
    )]
    sub: Option<CanonicalUuid>,
}

impl DownloadGrant {
    /// Signs a download token of these parties, as [`DownloadClaims::sign`] does.
    ///
    /// # Errors
    ///
    /// Those of [`DownloadClaims::sign`].
    pub fn sign(
        &self,
        issuer: &str,
        audience: &str,
        key: &SigningKey,
    ) -> Result<Secret<String>, TokenError> {
        expected::check_lifetime(self.issued_at, self.expires_at, MAX_TOKEN_TTL.into())?;
        let mut id = Uuid::encode_buffer();
        let id = self.dataset_id.0.hyphenated().encode_lower(&mut id);
        let payload = Payload {
            iss: Cow::Borrowed(issuer),
            aud: Cow::Borrowed(audience),
            iat: self.issued_at,
            exp: self.expires_at,
            jti: CanonicalUuid(self.id.0),
            typ: Cow::Borrowed(TokenKind::Download.as_str()),
            scope: Cow::Owned([SCOPE_PREFIX, id].concat()),
            sub: self.subject.map(|user_id| CanonicalUuid(user_id.0)),
        };
        jws::sign(TokenKind::Download, &payload, key)
    }
}

impl DownloadClaims {
    /// Signs the claims as a download token.
    ///
    /// # Errors
    ///
    /// [`TokenError::WrongLifetime`] for a lifetime of less than a second or more than
    /// [`MAX_TOKEN_TTL`]; [`Defect::TooLong`] if issuer and audience make the token longer than
    /// [`super::MAX_TOKEN_LENGTH`]; [`TokenError::Sign`] if the cryptographic library fails.
    pub fn sign(&self, key: &SigningKey) -> Result<Secret<String>, TokenError> {
        self.grant().sign(&self.issuer, &self.audience, key)
    }

    /// What the token grants.
    #[must_use]
    pub fn grant(&self) -> DownloadGrant {
        DownloadGrant {
            subject: self.subject,
            dataset_id: self.dataset_id,
            id: self.id,
            issued_at: self.issued_at,
            expires_at: self.expires_at,
        }
    }

    /// Verifies a download token: its form, its kind, every claim, and then its signature.
    ///
    /// # Errors
    ///
    /// The first reason to reject it; cheap checks come before the signature.
    pub fn verify(
        token: &str,
        keys: &KeySet,
        expected: &ExpectedClaims<'_>,
    ) -> Result<Self, TokenError> {
        jws::verify(TokenKind::Download, token, keys, |json| {
            Self::check(json, |claims| {
                expected.validate(claims, MAX_TOKEN_TTL.into())
            })
        })
    }

    /// Reads the claims and validates those that both kinds of token have.
    pub(super) fn check(
        json: &[u8],
        validate: impl FnOnce(CommonClaims<'_>) -> Result<(), TokenError>,
    ) -> Result<Self, TokenError> {
        let payload: Payload<'_> = strict_json::parse_object(json, TokenPart::Payload)?;
        TokenKind::Download.check_claim(&payload.typ)?;
        let dataset_id = payload
            .scope
            .strip_prefix(SCOPE_PREFIX)
            .and_then(CanonicalUuid::parse)
            .ok_or(Defect::WrongValue.in_part(TokenPart::Payload))?;
        let common = CommonClaims {
            issuer: &payload.iss,
            audience: &payload.aud,
            issued_at: payload.iat,
            expires_at: payload.exp,
        };
        validate(common)?;
        Ok(Self {
            issuer: payload.iss.into_owned(),
            audience: payload.aud.into_owned(),
            subject: payload.sub.map(|user_id| UserId(user_id.0)),
            dataset_id: DatasetId(dataset_id.0),
            id: RecordId(payload.jti.0),
            issued_at: payload.iat,
            expires_at: payload.exp,
        })
    }
}
