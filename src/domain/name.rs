//! User names and role names, brought to their normal form and checked once where they enter.
//!
//! A name is compared in its normal form ([`normalize_name`]) wherever somebody enters it, so that `Mo`, `MO` and
//! `ＭＯ` name the user `mo`: a login, a catalog file, the command line, the administration, a filter. There are no
//! two users whose names differ in case or composition alone. Where others than people name a role or a user
//! (a policy, a token of an identity provider), only the normal form itself is that name
//! (`parse_canonical`): `Role::"Admin"` is another entity to Cedar, and a provider may have an account `Ada`
//! beside `ada`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::name_rules::{BrokenRule, check_characters, has_words_in_one_script, is_name_character};
use super::normal_form::normalize_name;

/// The longest name, in characters of its normal form.
pub const MAX_NAME_LENGTH: usize = 64;
/// The longest text that is brought to its normal form, in bytes: no name is longer in any form.
const MAX_TYPED_LENGTH: usize = 16 * MAX_NAME_LENGTH;

/// Why a text is not a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty or longer than [`MAX_NAME_LENGTH`].
    #[error("{text:?} is not a name: it must have 1 to {MAX_NAME_LENGTH} characters")]
    InvalidLength {
        /// What was given, cut to a printable length.
        text: String,
    },
    /// The text has a character that is not allowed.
    #[error(
        "{text:?} is not a name: it may hold letters, digits and . _ - @ and must begin with a letter \
         or a digit"
    )]
    InvalidCharacter {
        /// What was given.
        text: String,
    },
    /// A part of the text between `. _ - @` mixes scripts.
    #[error("{text:?} is not a name: letters of several scripts stand side by side in it")]
    MixedScripts {
        /// What was given.
        text: String,
    },
    /// The text does not read from right to left in one way only.
    #[error(
        "{text:?} is not a name: its letters from right to left and its other characters are in an \
         order that can be read in two ways (RFC 5893)"
    )]
    MixedDirections {
        /// What was given.
        text: String,
    },
}

/// Brings a text to its normal form, and checks that it is a name.
fn normalize(text: &str) -> Result<String, NameError> {
    let invalid_length = || {
        let text = text.chars().take(MAX_NAME_LENGTH).collect();
        NameError::InvalidLength { text }
    };
    if text.len() > MAX_TYPED_LENGTH {
        return Err(invalid_length());
    }
    let name = normalize_name(text);
    if name.is_empty() || name.chars().count() > MAX_NAME_LENGTH {
        return Err(invalid_length());
    }
    let text = || text.to_owned();
    match check_characters(&name) {
        Ok(()) => Ok(name),
        Err(BrokenRule::Character) => Err(NameError::InvalidCharacter { text: text() }),
        Err(BrokenRule::Scripts) => Err(NameError::MixedScripts { text: text() }),
        Err(BrokenRule::Direction) => Err(NameError::MixedDirections { text: text() }),
    }
}

/// Whether a name can have this character, at some place.
#[must_use]
pub fn may_be_in_names(c: char) -> bool {
    is_name_character(c)
}

/// Whether a word of a text mixes scripts as no name does, so that it can be taken for another: `аdmin` with a
/// Cyrillic letter. Words of several scripts beside each other, such as a Latin abbreviation in a Russian title,
/// are usual.
#[must_use]
pub fn mixes_scripts_in_a_word(text: &str) -> bool {
    !has_words_in_one_script(text)
}

macro_rules! name_types {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The name that a text is as it stands, if it is one in normal form.
            #[must_use]
            pub fn parse_canonical(text: &str) -> Option<Self> {
                let name = normalize(text).ok()?;
                (name == text).then_some(Self(name))
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                normalize(text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                normalize(&text).map(Self)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

name_types! {
    /// The name a user signs in with.
    Username;
    /// The name of a role; `admin` is built in.
    RoleName;
}

impl Username {
    /// Whether the name means something else where a principal is named: `anonymous`, or a UUID.
    ///
    /// No user is given such a name; one that has it keeps it.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.0 == "anonymous" || uuid::Uuid::try_parse(&self.0).is_ok()
    }
}

/// The built-in role whose members administer.
pub const ADMIN_ROLE: &str = "admin";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_names() {
        for text in [
            "ada",
            "admin",
            "hydrology",
            "ada.lovelace@example.org",
            "7-up_b",
        ] {
            assert_eq!(text.parse::<Username>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn anonymous_and_uuids_are_reserved() {
        for text in [
            "anonymous",
            "2489e9ad-2ee2-8e00-8ec9-32d5f69181c0",
            "2489e9ad2ee28e008ec932d5f69181c0",
            "00000000-0000-0000-0000-000000000000",
        ] {
            assert!(text.parse::<Username>().unwrap().is_reserved(), "{text}");
        }
        for text in ["ada", "anonymous1", "2489e9ad-2ee2-8e00-8ec9-32d5f69181c"] {
            assert!(!text.parse::<Username>().unwrap().is_reserved(), "{text}");
        }
    }

    #[test]
    fn a_name_is_found_in_any_case_width_and_composition() {
        for (typed, name) in [
            ("Ada", "ada"),
            ("ＡＤＡ", "ada"),
            ("Mu\u{308}ller", "müller"),
            ("ИВАН", "иван"),
        ] {
            assert_eq!(typed.parse::<Username>().unwrap().as_str(), name, "{typed}");
            assert_eq!(typed.parse::<RoleName>().unwrap().as_str(), name, "{typed}");
            assert_eq!(Username::parse_canonical(typed), None, "{typed}");
            assert!(Username::parse_canonical(name).is_some(), "{name}");
        }
        assert!("ANONYMOUS".parse::<Username>().unwrap().is_reserved());
    }

    #[test]
    fn blanks_control_characters_and_mixtures_are_rejected() {
        for text in [
            "",
            "a b",
            " a",
            "-a",
            "a\n",
            "a\u{200b}",
            "p\u{430}ypal",
            "1אב",
        ] {
            assert!(text.parse::<RoleName>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_name_has_at_most_64_characters_in_normal_form() {
        for longest in ["a".repeat(64), "山".repeat(64), "e\u{301}".repeat(64)] {
            assert!(longest.parse::<Username>().is_ok());
            let longer = format!("{longest}a");
            let error = longer.parse::<Username>().unwrap_err();
            assert!(matches!(error, NameError::InvalidLength { .. }), "{error}");
        }
        assert!("ﷺ".repeat(1000).parse::<Username>().is_err());
    }
}
