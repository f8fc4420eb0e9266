//! API keys: credentials for scripts, optionally restricted to actions and datasets.
//!
//! A key's text is `cg_`, a public prefix of ten characters, `_`, and a secret of 256 random bits in
//! base64url. Only the SHA-256 of the whole text is stored: a slow hash such as Argon2 makes guessing
//! costly where people choose the secret, and 256 random bits cannot be guessed at any speed.

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rand::distr::{Alphanumeric, SampleString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::action::Action;
use super::id::{ApiKeyId, DatasetId, UserId};
use super::secret::Secret;

/// How every key begins, so that people and secret scanners recognize one.
pub const KEY_MARKER: &str = "cg_";
/// The length of the public prefix: base62, about 60 bits.
const PREFIX_LENGTH: usize = 10;
/// The bytes of the secret.
const SECRET_LENGTH: usize = 32;

/// The longest name of a key, in characters.
pub const MAX_KEY_NAME_LENGTH: usize = 100;
/// The most active keys of one user.
pub const MAX_KEYS_PER_USER: u32 = 100;
/// The most datasets that a key can be restricted to.
pub const MAX_KEY_DATASETS: usize = 1000;

/// One API key, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// The key's id, under which it is listed, audited and revoked.
    pub id: ApiKeyId,
    /// Whose key it is.
    pub user_id: UserId,
    /// What its owner calls it.
    pub name: KeyName,
    /// The public part of its text, by which it is looked up.
    pub prefix: KeyPrefix,
    /// What it is restricted to; it never changes.
    pub scope: KeyScope,
    /// When it was created, in seconds since 1970 UTC.
    pub created_at: i64,
    /// When it expires, in seconds since 1970 UTC; a key without an expiry is valid until revoked.
    pub expires_at: Option<i64>,
    /// When it was last used, in seconds since 1970 UTC, rounded to the hour.
    pub last_used: Option<i64>,
}

impl ApiKey {
    /// Whether it has expired at `now` (seconds since 1970 UTC).
    #[must_use]
    pub fn is_expired(&self, now: i64) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= now)
    }
}

/// Why an API key cannot be created.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    /// The name is empty or too long.
    #[error("the name of an API key must have 1 to {MAX_KEY_NAME_LENGTH} characters")]
    NameLength,
    /// The name has a control character.
    #[error("the name of an API key must not contain control characters")]
    NameCharacter,
    /// A restriction names nothing.
    #[error("{what} must name at least one, or be omitted for a key without that restriction")]
    EmptyScope {
        /// The restriction.
        what: &'static str,
    },
    /// The key would be restricted to more datasets than allowed.
    #[error("an API key can be restricted to at most {MAX_KEY_DATASETS} datasets")]
    TooManyDatasets,
    /// The expiry has passed already.
    #[error("the expiry of an API key must be in the future")]
    Expired,
    /// The key would expire after the one that creates it.
    #[error("an API key created with another one must not expire after it")]
    ExpiresAfterCreator,
}

/// The name of a key: 1 to [`MAX_KEY_NAME_LENGTH`] characters, none of them a control character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyName(String);

impl KeyName {
    /// Checks a name.
    pub fn new(text: &str) -> Result<Self, ApiKeyError> {
        let length = text.chars().count();
        if !(1..=MAX_KEY_NAME_LENGTH).contains(&length) {
            Err(ApiKeyError::NameLength)
        } else if text.chars().any(char::is_control) {
            Err(ApiKeyError::NameCharacter)
        } else {
            Ok(Self(text.to_owned()))
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a key is restricted to, within what its owner may do: `context.key` in policies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyScope {
    actions: Option<BTreeSet<Action>>,
    datasets: Option<BTreeSet<DatasetId>>,
}

impl KeyScope {
    /// Restricts to these actions and to these datasets; `None` does not restrict.
    pub fn new(
        actions: Option<BTreeSet<Action>>,
        datasets: Option<BTreeSet<DatasetId>>,
    ) -> Result<Self, ApiKeyError> {
        let nothing = |what| Err(ApiKeyError::EmptyScope { what });
        if actions.as_ref().is_some_and(BTreeSet::is_empty) {
            return nothing("actions");
        }
        match datasets.as_ref().map(BTreeSet::len) {
            Some(0) => nothing("datasets"),
            Some(count) if count > MAX_KEY_DATASETS => Err(ApiKeyError::TooManyDatasets),
            Some(_) | None => Ok(Self { actions, datasets }),
        }
    }

    /// The actions it is restricted to, if it is.
    #[must_use]
    pub fn actions(&self) -> Option<&BTreeSet<Action>> {
        self.actions.as_ref()
    }

    /// The datasets it is restricted to, if it is.
    #[must_use]
    pub fn datasets(&self) -> Option<&BTreeSet<DatasetId>> {
        self.datasets.as_ref()
    }

    /// Whether it restricts nothing; only an unrestricted key manages API keys.
    #[must_use]
    pub fn is_unrestricted(&self) -> bool {
        self.actions.is_none() && self.datasets.is_none()
    }

    /// Why an action on a dataset, or on another resource, is outside the scope, for auditors; `None` if it is not.
    #[must_use]
    pub fn violation(&self, action: Action, dataset_id: Option<DatasetId>) -> Option<&'static str> {
        // Who may read a dataset may also discover it.
        let is_within = |all: &BTreeSet<Action>| {
            all.contains(&action) || (action == Action::Discover && all.contains(&Action::Read))
        };
        if self.actions.as_ref().is_some_and(|all| !is_within(all)) {
            return Some("the action is beyond the limit of the API key");
        }
        if self
            .datasets
            .as_ref()
            .is_some_and(|all| !dataset_id.is_some_and(|id| all.contains(&id)))
        {
            return Some("the resource is beyond the limit of the API key");
        }
        None
    }
}

/// The public part of a key's text: ten characters of base62.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyPrefix([u8; PREFIX_LENGTH]);

impl KeyPrefix {
    /// Parses a prefix.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; PREFIX_LENGTH] = text.as_bytes().try_into().ok()?;
        bytes
            .iter()
            .all(u8::is_ascii_alphanumeric)
            .then_some(Self(bytes))
    }

    /// The prefix as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Alphanumeric ASCII is always UTF-8.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for KeyPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The SHA-256 of a key's whole text; two are compared in constant time.
#[derive(Clone)]
pub struct KeyDigest(pub [u8; 32]);

impl PartialEq for KeyDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for KeyDigest {}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// A key's whole text: the secret itself.
#[derive(Clone, Debug)]
pub struct KeyText {
    text: Secret<String>,
    prefix: KeyPrefix,
}

impl KeyText {
    /// Generates a new key from the operating system's randomness.
    #[must_use]
    pub fn random() -> Self {
        let mut prefix = [0; PREFIX_LENGTH];
        let letters = Alphanumeric.sample_string(&mut rand::rng(), PREFIX_LENGTH);
        prefix.copy_from_slice(letters.as_bytes());
        let secret = Secret::new(rand::random::<[u8; SECRET_LENGTH]>());
        let secret = Secret::new(BASE64_URL_SAFE_NO_PAD.encode(secret.reveal()));
        Self {
            text: Secret::new(format!("{KEY_MARKER}{letters}_{}", secret.reveal())),
            prefix: KeyPrefix(prefix),
        }
    }

    /// Parses a key's text.
    #[must_use]
    pub fn parse(text: &Secret<String>) -> Option<Self> {
        let rest = text.reveal().strip_prefix(KEY_MARKER)?;
        let (prefix, rest) = rest.split_at_checked(PREFIX_LENGTH)?;
        let prefix = KeyPrefix::parse(prefix)?;
        let secret = BASE64_URL_SAFE_NO_PAD.decode(rest.strip_prefix('_')?);
        let secret = Secret::new(secret.ok()?);
        (secret.reveal().len() == SECRET_LENGTH).then(|| Self {
            text: text.clone(),
            prefix,
        })
    }

    /// The whole text, which is the secret.
    #[must_use]
    pub fn text(&self) -> &Secret<String> {
        &self.text
    }

    /// The part by which the key is looked up.
    #[must_use]
    pub fn prefix(&self) -> KeyPrefix {
        self.prefix
    }

    /// What is stored of the text.
    #[must_use]
    pub fn digest(&self) -> KeyDigest {
        KeyDigest(Sha256::digest(self.text.reveal()).into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use strum::VariantArray;

    use super::*;

    fn parse(text: &str) -> Option<KeyText> {
        KeyText::parse(&Secret::new(text.to_owned()))
    }

    #[test]
    fn a_key_has_256_random_bits_and_round_trips() {
        let made = KeyText::random();
        let text = made.text().reveal();
        assert_eq!(text.len(), 3 + 10 + 1 + 43);
        let again = parse(text).unwrap();
        assert_eq!(again.prefix(), made.prefix());
        assert_eq!(again.digest(), made.digest());
        let other = KeyText::random();
        assert_ne!(other.prefix(), made.prefix());
        assert_ne!(other.digest(), made.digest());
    }

    #[test]
    fn malformed_keys_are_rejected() {
        let good = KeyText::random();
        let good = good.text().reveal();
        for text in [
            "",
            "cg_",
            "cg_unknown",
            &good[1..],
            &good[..good.len() - 1],
            &format!("{good}A"),
            &good.replacen("cg_", "CG_", 1),
            &format!("cg_0123-56789_{}", "A".repeat(43)),
            &format!("cg_0123456789-{}", "A".repeat(43)),
            &format!("cg_0123456789_{}=", "A".repeat(42)),
            // The last character carries two bits that must be zero.
            &format!("cg_0123456789_{}B", "A".repeat(42)),
            &format!("cg_é12345678_{}", "A".repeat(43)),
        ] {
            assert!(parse(text).is_none(), "{text}");
        }
        assert!(parse(&format!("cg_0123456789_{}", "A".repeat(43))).is_some());
    }

    #[test]
    fn neither_text_nor_digest_is_printed() {
        let key = KeyText::random();
        let secret = &key.text().reveal()[14..];
        let printed = format!("{key:?} {:?}", key.digest());
        assert!(!printed.contains(secret), "{printed}");
    }

    #[test]
    fn a_name_has_one_to_a_hundred_printing_characters() {
        for text in ["a", "CI: nightly mosaic", &"é".repeat(100)] {
            assert_eq!(KeyName::new(text).unwrap().as_str(), text);
        }
        assert_eq!(KeyName::new(""), Err(ApiKeyError::NameLength));
        let too_long = KeyName::new(&"a".repeat(101));
        assert_eq!(too_long, Err(ApiKeyError::NameLength));
        assert_eq!(KeyName::new("a\0"), Err(ApiKeyError::NameCharacter));
    }

    #[test]
    fn an_empty_or_too_large_scope_is_rejected() {
        assert!(KeyScope::new(Some(BTreeSet::new()), None).is_err());
        assert!(KeyScope::new(None, Some(BTreeSet::new())).is_err());
        let many = |count: usize| {
            let ids = (0..count).map(|id| DatasetId(uuid::Uuid::from_u128(id as u128)));
            KeyScope::new(None, Some(ids.collect()))
        };
        assert!(many(MAX_KEY_DATASETS).is_ok());
        assert_eq!(
            many(MAX_KEY_DATASETS + 1),
            Err(ApiKeyError::TooManyDatasets)
        );
    }

    fn any_actions() -> impl Strategy<Value = Option<BTreeSet<Action>>> {
        let actions =
            proptest::sample::subsequence(Action::VARIANTS.to_vec(), 1..=Action::VARIANTS.len());
        proptest::option::of(actions.prop_map(|actions| actions.into_iter().collect()))
    }

    fn any_datasets() -> impl Strategy<Value = Option<BTreeSet<DatasetId>>> {
        let ids = proptest::collection::btree_set(0_u128..5, 1..4);
        proptest::option::of(ids.prop_map(|ids| {
            let ids = ids.into_iter();
            ids.map(|id| DatasetId(uuid::Uuid::from_u128(id))).collect()
        }))
    }

    proptest! {
        #[test]
        fn a_scope_covers_what_it_names_and_nothing_else(
            actions in any_actions(),
            datasets in any_datasets(),
            action in proptest::sample::select(Action::VARIANTS),
            dataset in 0_u128..5,
        ) {
            let dataset = DatasetId(uuid::Uuid::from_u128(dataset));
            // `read` includes `discover`.
            let asked = |all: &BTreeSet<Action>| {
                all.contains(&action)
                    || (action == Action::Discover && all.contains(&Action::Read))
            };
            let is_within = actions.as_ref().is_none_or(asked)
                && datasets.as_ref().is_none_or(|all| all.contains(&dataset));
            let limit = KeyScope::new(actions, datasets).unwrap();
            prop_assert_eq!(limit.violation(action, Some(dataset)).is_none(), is_within);
            if limit.is_unrestricted() {
                prop_assert!(is_within);
            }
        }
    }
}
