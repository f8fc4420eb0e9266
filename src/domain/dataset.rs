//! Datasets: what is asked for.
//!
//! This module refuses to know policies: visibility and record status are facts, and what they
//! give to whom is written in `.cedar` files.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::id::{DatasetId, UserId};
use super::name::RoleName;
use super::principal::Tags;

/// One dataset with everything that a decision may look at, and its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// The id that requests and tokens name.
    pub id: DatasetId,
    /// A title for people.
    pub title: String,
    /// For whom the dataset is meant.
    pub visibility: Visibility,
    /// Whether the dataset is out or still being worked on.
    pub record_status: RecordStatus,
    /// The user who answers for the dataset.
    pub owner: Option<UserId>,
    /// Users the dataset is shared with.
    pub reader_users: BTreeSet<UserId>,
    /// Roles the dataset is shared with.
    pub reader_roles: BTreeSet<RoleName>,
    /// Attributes of the deployment's own, Cedar entity tags.
    pub tags: Tags,
    /// The file that a download token opens; a dataset may be catalogued before it has one.
    pub file: Option<StoredFile>,
}

/// One immutable file in the file store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredFile {
    /// The SHA-256 of the content in lower-case hexadecimal; it also names the object in the store.
    pub sha256: String,
    /// The name a download is saved under.
    pub name: String,
    /// The length in bytes.
    pub size: u64,
    /// When the content was stored, in seconds since 1970 UTC.
    pub modified: i64,
}

/// A text that names no member of a closed set of words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} {text:?}: expected one of {expected}")]
pub struct UnknownWord {
    /// What kind of word was expected.
    pub what: &'static str,
    /// What was given.
    pub text: String,
    /// The words that exist.
    pub expected: String,
}

/// Declares an enum whose members are written as lower-case words everywhere (Cedar, SQL, TOML, JSON).
macro_rules! closed_words {
    ($(#[$doc:meta])* $name:ident, $what:literal, { $($(#[$member_doc:meta])* $member:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub enum $name { $($(#[$member_doc])* $member,)* }

        impl $name {
            /// Every member, in order.
            pub const ALL: &'static [Self] = &[$(Self::$member,)*];

            /// The word as it is written in policies, files and tables.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$member => $word,)* }
            }
        }

        impl FromStr for $name {
            type Err = $crate::domain::dataset::UnknownWord;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$member),)*
                    _ => Err($crate::domain::dataset::UnknownWord {
                        what: $what,
                        text: text.chars().take(80).collect(),
                        expected: [$($word,)*].join(", "),
                    }),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::domain::dataset::UnknownWord;
            fn try_from(text: String) -> Result<Self, Self::Error> { text.parse() }
        }

        impl From<$name> for String {
            fn from(word: $name) -> Self { word.as_str().to_owned() }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.as_str()) }
        }
    };
}
pub(crate) use closed_words;

closed_words! {
    /// For whom a dataset is meant: Cedar's `Visibility::"<word>"`.
    Visibility, "visibility", {
        /// Anyone.
        Public = "public",
        /// Anyone who signed in.
        Internal = "internal",
        /// Those it is shared with; others may know that it exists.
        Restricted = "restricted",
        /// The owner alone.
        Private = "private",
    }
}

closed_words! {
    /// Whether a dataset is out: Cedar's `RecordStatus::"<word>"`.
    RecordStatus, "record status", {
        /// Out.
        Published = "published",
        /// Still being worked on.
        Draft = "draft",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_visibility_is_told_with_the_words_that_exist() {
        let error = "pubic".parse::<Visibility>().unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"unknown visibility "pubic": expected one of public, internal, restricted, private"#
        );
    }
}
