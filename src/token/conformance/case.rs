//! The cases: how each token of the set differs from a good one, as `cases.json` has it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::token::error::TokenError;

const CASES: &str = include_str!("cases.json");

/// What a verifier must say to a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The token opens the dataset.
    Accept,
    /// It does not.
    Refuse,
    /// Both are right.
    Either,
}

impl Verdict {
    /// The word for it in the set.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Refuse => "refuse",
            Self::Either => "either",
        }
    }
}

/// All cases, and what the cases of one kind have in common.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConformanceCases {
    /// The kinds by their names.
    pub kinds: BTreeMap<String, CaseKind>,
    /// The cases, those of one kind together.
    pub cases: Vec<ConformanceCase>,
}

/// What the cases of one kind have in common.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseKind {
    /// Why the verdict is right.
    pub why: String,
    /// Where the rule comes from.
    pub reference: Option<String>,
}

/// One case. Members of header and claims are replaced, or removed by null; `iat` and `exp` count from now;
/// texts are put in as they are, with words such as `{issuer}` filled in.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConformanceCase {
    /// The name, unique in the set.
    pub name: String,
    /// The kind.
    pub kind: String,
    /// The verdict that is right.
    pub expect: Option<Verdict>,
    /// Why, if not for the reason of its kind.
    pub why: Option<String>,
    /// The token would open something for longer than a download token does if a verifier accepted it, so that
    /// it is never signed with a key that anybody trusts.
    pub needs_throwaway_key: bool,
    /// In how many seconds the verdict stops being right.
    pub until: Option<i64>,
    /// The id that is asked for, if not that of the set.
    pub dataset: Option<String>,
    pub(super) key: CaseKey,
    pub(super) header: Map<String, Value>,
    pub(super) claims: Map<String, Value>,
    pub(super) header_text: BTreeMap<String, String>,
    pub(super) claims_text: BTreeMap<String, String>,
    pub(super) header_first: Option<String>,
    pub(super) header_last: Option<String>,
    pub(super) claims_first: Option<String>,
    pub(super) claims_last: Option<String>,
    pub(super) header_wrap: Option<[String; 2]>,
    pub(super) claims_wrap: Option<[String; 2]>,
    pub(super) damage: Option<Damage>,
    pub(super) text: Option<String>,
}

/// What signs the token of a case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum CaseKey {
    /// The published key.
    #[default]
    Published,
    /// Another published key.
    Other,
    /// A key that is not published.
    Foreign,
    /// Nothing: the signature is empty.
    None,
    /// An HMAC with the public key as a PEM file.
    HmacPem,
    /// The same without the line end at its end.
    HmacPemTrimmed,
    /// With the public key in DER.
    HmacDer,
    /// With the public key as a JWK.
    HmacJwk,
    /// With the uncompressed point.
    HmacPoint,
    /// With the coordinate `x` as the key set has it.
    HmacX,
    /// With the key id.
    HmacKid,
    /// With no bytes.
    HmacEmpty,
}

/// A damage to one part of a token.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Damage {
    /// The part.
    pub(super) part: DamagedPart,
    /// What is done to it.
    pub(super) how: String,
    /// Whether the damaged part is what is signed, so that the signature is right.
    #[serde(default)]
    pub(super) is_signed: bool,
}

/// The part of a token that is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum DamagedPart {
    Header,
    Payload,
    Signature,
}

impl ConformanceCases {
    /// Reads the cases.
    ///
    /// # Errors
    ///
    /// [`TokenError::Sign`] if the file that is built into the program is damaged.
    pub fn load() -> Result<Self, TokenError> {
        serde_json::from_str(CASES).map_err(|error| TokenError::Sign {
            reason: format!("the conformance cases cannot be read: {error}"),
        })
    }
}

impl ConformanceCase {
    /// Whether the signature is made with the published key.
    #[must_use]
    pub fn is_signed_with_published_key(&self) -> bool {
        self.key == CaseKey::Published
    }

    /// Whether the token is of a user of the gate.
    #[must_use]
    pub fn is_of_user(&self) -> bool {
        self.claims.get("sub").is_some_and(|user| user == "{user}")
    }

    /// The verdict that is right.
    #[must_use]
    pub fn expected(&self) -> Verdict {
        self.expect.unwrap_or(Verdict::Refuse)
    }
}
