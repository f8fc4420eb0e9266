//! User names and role names, checked once where they enter.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest name, in bytes.
pub const MAX_NAME_LENGTH: usize = 64;

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
        "{text:?} is not a name: it may hold the letters a to z, digits and . _ - @ and must \
         begin with a letter or a digit"
    )]
    InvalidCharacter {
        /// What was given.
        text: String,
    },
}

fn check(text: &str) -> Result<(), NameError> {
    if text.is_empty() || text.len() > MAX_NAME_LENGTH {
        let text = text.chars().take(MAX_NAME_LENGTH).collect();
        return Err(NameError::InvalidLength { text });
    }
    let begins_well = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let goes_on_well = text.chars().all(|c| {
        c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-' | '@')
    });
    if begins_well && goes_on_well {
        Ok(())
    } else {
        Err(NameError::InvalidCharacter {
            text: text.to_owned(),
        })
    }
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
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                check(text).map(|()| Self(text.to_owned()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                check(&text).map(|()| Self(text))
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
    fn capitals_blanks_and_control_characters_are_rejected() {
        for text in ["", "Ada", "a b", "-a", "a\n", "é", &"a".repeat(65)] {
            assert!(text.parse::<RoleName>().is_err(), "{text:?}");
        }
    }
}
