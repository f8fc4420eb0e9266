//! The forge: makes the token of each case, for one issuer, audience and dataset.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::case::{ConformanceCase, DamagedPart, Verdict};
use super::damage::damaged;
use super::forged_keys::ForgedKeys;
use super::json_text::{TextChanges, Words, replaced};
use crate::domain::decision::MAX_TOKEN_TTL;
use crate::domain::id::{DatasetId, RecordId, UserId};
use crate::domain::secret::Secret;
use crate::token::error::TokenError;
use crate::token::key_set::KeySet;
use crate::token::signing_key::SigningKey;

/// How deep the deepest value is, and how long the longest text.
const DEPTH: usize = 2000;
const HUGE_LENGTH: usize = 20_000;

/// How often a token is signed until its signature has a letter in which the alphabets of base64 differ.
const MAX_SIGNATURES: usize = 100;

/// Who the tokens of a set are by and for.
#[derive(Clone, Debug)]
pub struct ForgedParties {
    /// `iss` of the good ones.
    pub issuer: String,
    /// `aud` of the good ones.
    pub audience: String,
    /// The dataset that the good ones open.
    pub dataset_id: DatasetId,
    /// `sub` of the good one of a user; none if there shall be none.
    pub user_id: Option<UserId>,
}

/// A token of the set.
#[derive(Clone, Debug)]
pub struct ConformanceToken {
    /// The id of the dataset that is asked for, as the verifier is given it.
    pub dataset_id: String,
    /// The token, or what is sent in place of one.
    pub token: Secret<String>,
    /// When the verdict stops being right, in seconds since 1970 UTC.
    pub holds_until: Option<i64>,
}

/// Makes the tokens of cases.
pub struct TokenForge {
    keys: ForgedKeys,
    parties: ForgedParties,
    other_dataset_id: DatasetId,
    nobody: UserId,
    is_throwaway: bool,
}

impl TokenForge {
    /// A forge with keys of its own, which nobody trusts yet.
    ///
    /// # Errors
    ///
    /// [`TokenError::KeyGeneration`] if the cryptographic library fails.
    pub fn with_throwaway_keys(parties: ForgedParties) -> Result<Self, TokenError> {
        let keys = ForgedKeys {
            published: SigningKey::generate()?,
            other: Some(SigningKey::generate()?),
            foreign: SigningKey::generate()?,
        };
        Ok(Self::new(keys, parties, true))
    }

    /// A forge with a key that verifiers trust. It makes no token that could be of use for longer than a download
    /// token, whatever a verifier overlooks.
    ///
    /// # Errors
    ///
    /// [`TokenError::KeyGeneration`] if the cryptographic library fails.
    pub fn with_trusted_key(key: SigningKey, parties: ForgedParties) -> Result<Self, TokenError> {
        let keys = ForgedKeys {
            published: key,
            other: None,
            foreign: SigningKey::generate()?,
        };
        Ok(Self::new(keys, parties, false))
    }

    fn new(keys: ForgedKeys, parties: ForgedParties, is_throwaway: bool) -> Self {
        Self {
            keys,
            parties,
            other_dataset_id: DatasetId::random(),
            nobody: UserId::random(),
            is_throwaway,
        }
    }

    /// The key set that the verifier must have.
    ///
    /// # Errors
    ///
    /// As [`KeySet::new`].
    pub fn key_set(&self) -> Result<KeySet, TokenError> {
        let keys = self.keys.other.iter().chain([&self.keys.published]);
        let keys: Vec<_> = keys.map(|key| key.public_key().clone()).collect();
        KeySet::new(&keys)
    }

    /// The token of a case, made at `now` (seconds since 1970 UTC) with `id` as its `jti`; none if there is no such
    /// token with these keys, parties and dataset.
    ///
    /// # Errors
    ///
    /// [`TokenError::Sign`] if the cryptographic library fails.
    pub fn make(
        &self,
        case: &ConformanceCase,
        now: i64,
        id: RecordId,
    ) -> Result<Option<ConformanceToken>, TokenError> {
        if !self.is_throwaway && case.needs_throwaway_key
            || case.is_of_user() && self.parties.user_id.is_none()
        {
            return Ok(None);
        }
        let Some(signing_key) = self.keys.named_by(case.key) else {
            return Ok(None);
        };
        let words = self.words(now);
        let header = header_of(signing_key.kid());
        let claims = self.claims(now, id);
        let Some((header, claims)) = changed_members(case, header, claims, now, &words) else {
            return Ok(None);
        };
        let Some(parts) = self.parts(case, &header, &claims, &words)? else {
            return Ok(None);
        };
        let expires_at = claims.get("exp").and_then(Value::as_i64);
        let holds_until = match case.expected() {
            Verdict::Accept => expires_at,
            Verdict::Refuse => case.until.map(|seconds| now.saturating_add(seconds)),
            Verdict::Either => None,
        };
        let asked = case.dataset.as_deref().unwrap_or("{dataset}");
        Ok(Some(ConformanceToken {
            dataset_id: words.fill(asked),
            token: Secret::new(joined(case, &parts, &words)),
            holds_until,
        }))
    }

    fn claims(&self, now: i64, id: RecordId) -> Map<String, Value> {
        let parties = &self.parties;
        let claims = [
            ("iss", parties.issuer.as_str().into()),
            ("aud", parties.audience.as_str().into()),
            ("iat", now.into()),
            ("exp", now.saturating_add(MAX_TOKEN_TTL.into()).into()),
            ("jti", id.to_string().into()),
            ("typ", "download".into()),
            ("scope", format!("dataset:{}", parties.dataset_id).into()),
        ];
        claims
            .map(|(name, value)| (name.to_owned(), value))
            .into_iter()
            .collect()
    }

    /// Encoded header, payload and signature.
    fn parts(
        &self,
        case: &ConformanceCase,
        header: &Map<String, Value>,
        claims: &Map<String, Value>,
        words: &Words,
    ) -> Result<Option<[String; 3]>, TokenError> {
        let header = TextChanges {
            texts: &case.header_text,
            first: case.header_first.as_deref(),
            last: case.header_last.as_deref(),
            wrap: case.header_wrap.as_ref(),
        }
        .apply(header, words);
        let claims = TextChanges {
            texts: &case.claims_text,
            first: case.claims_first.as_deref(),
            last: case.claims_last.as_deref(),
            wrap: case.claims_wrap.as_ref(),
        }
        .apply(claims, words);
        let [mut header, mut payload] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
        let Some(damage) = &case.damage else {
            let signature = self.sign(case, &header, &payload)?;
            return Ok(Some([header, payload, signature]));
        };
        if damage.is_signed {
            let part = match damage.part {
                DamagedPart::Header => &mut header,
                DamagedPart::Payload | DamagedPart::Signature => &mut payload,
            };
            let Some(other) = damaged(part, &damage.how) else {
                return Ok(None);
            };
            *part = other;
            let signature = self.sign(case, &header, &payload)?;
            return Ok(Some([header, payload, signature]));
        }
        // A signature is different each time, and not each one has the letters that a damage is about.
        for _ in 0..MAX_SIGNATURES {
            let mut signature = self.sign(case, &header, &payload)?;
            if damage.how == "of another token" {
                signature = self.sign(case, &header, "another")?;
                return Ok(Some([header, payload, signature]));
            }
            let part = match damage.part {
                DamagedPart::Header => &mut header,
                DamagedPart::Payload => &mut payload,
                DamagedPart::Signature => &mut signature,
            };
            if let Some(other) = damaged(part, &damage.how) {
                *part = other;
                return Ok(Some([header, payload, signature]));
            }
        }
        Ok(None)
    }

    fn sign(
        &self,
        case: &ConformanceCase,
        header: &str,
        payload: &str,
    ) -> Result<String, TokenError> {
        let signed = format!("{header}.{payload}");
        let signature = self.keys.sign(case.key, signed.as_bytes())?;
        Ok(URL_SAFE_NO_PAD.encode(signature))
    }

    fn words(&self, now: i64) -> Words {
        let ForgedParties {
            issuer,
            audience,
            dataset_id,
            user_id,
        } = &self.parties;
        let dataset = dataset_id.to_string();
        let kid = self.keys.published.kid();
        let foreign = serde_json::to_string(self.keys.foreign.public_key()).unwrap_or_default();
        Words::new(vec![
            ("{dataset:upper}", dataset.to_uppercase()),
            ("{dataset:simple}", dataset.replace('-', "")),
            ("{dataset:short}", without_last(&dataset)),
            ("{dataset}", dataset),
            ("{other dataset}", self.other_dataset_id.to_string()),
            ("{issuer:upper}", issuer.to_uppercase()),
            ("{issuer:short}", without_last(issuer)),
            ("{issuer}", issuer.clone()),
            ("{audience:upper}", audience.to_uppercase()),
            ("{audience:short}", without_last(audience)),
            ("{audience}", audience.clone()),
            ("{user}", user_id.unwrap_or(self.nobody).to_string()),
            ("{nobody}", self.nobody.to_string()),
            ("{kid:swapped}", with_case_swapped(kid)),
            ("{kid}", kid.to_owned()),
            ("{foreign jwk}", foreign),
            ("{iat}", now.to_string()),
            ("{iat+70}", now.saturating_add(70).to_string()),
            (
                "{exp}",
                now.saturating_add(MAX_TOKEN_TTL.into()).to_string(),
            ),
            ("{deep}", ["[", "]"].map(|end| end.repeat(DEPTH)).concat()),
            ("{huge}", "A".repeat(HUGE_LENGTH)),
        ])
    }
}

fn header_of(kid: &str) -> Map<String, Value> {
    let header = [("alg", "ES256"), ("kid", kid), ("typ", "download+jwt")];
    header
        .map(|(name, value)| (name.to_owned(), value.into()))
        .into_iter()
        .collect()
}

/// The members of a case; none if a text is by chance what it must differ from.
fn changed_members(
    case: &ConformanceCase,
    header: Map<String, Value>,
    claims: Map<String, Value>,
    now: i64,
    words: &Words,
) -> Option<(Map<String, Value>, Map<String, Value>)> {
    let mut changes = filled(&case.claims, words);
    for name in ["iat", "exp"] {
        if let Some(seconds) = changes.get(name).and_then(Value::as_i64) {
            changes.insert(name.to_owned(), now.saturating_add(seconds).into());
        }
    }
    let is_different = |members: &Map<String, Value>, changes: &Map<String, Value>| {
        let mut pairs = changes.iter();
        pairs.all(|(name, value)| name == "iat" || members.get(name) != Some(value))
    };
    let header_changes = filled(&case.header, words);
    let is_changed = is_different(&claims, &changes) && is_different(&header, &header_changes);
    is_changed.then(|| {
        (
            replaced(header, &header_changes),
            replaced(claims, &changes),
        )
    })
}

fn filled(members: &Map<String, Value>, words: &Words) -> Map<String, Value> {
    let pairs = members.iter();
    pairs
        .map(|(name, value)| (name.clone(), words.fill_value(value)))
        .collect()
}

/// The parts as one text.
fn joined(case: &ConformanceCase, parts: &[String; 3], words: &Words) -> String {
    let token = parts.join(".");
    let Some(text) = &case.text else { return token };
    let [header, payload, signature] = parts;
    let text = text.replace("{token}", &token);
    let text = text.replace("{header}", header);
    let text = text.replace("{payload}", payload);
    words.fill(&text.replace("{signature}", signature))
}

fn without_last(text: &str) -> String {
    let mut letters = text.chars();
    letters.next_back();
    letters.collect()
}

fn with_case_swapped(text: &str) -> String {
    let swap = |letter: char| {
        if letter.is_ascii_lowercase() {
            letter.to_ascii_uppercase()
        } else {
            letter.to_ascii_lowercase()
        }
    };
    text.chars().map(swap).collect()
}
