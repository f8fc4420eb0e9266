//! Closed sets of words: enums whose members are written as the same lower-case word everywhere.
//!
//! This module refuses to know any set.

/// A text that names no member of a closed set of words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what} {text:?}: expected one of {expected}")]
pub struct UnknownVariant {
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
            type Err = $crate::domain::words::UnknownVariant;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($word => Ok(Self::$member),)*
                    _ => Err($crate::domain::words::UnknownVariant {
                        what: $what,
                        text: text.chars().take(80).collect(),
                        expected: [$($word,)*].join(", "),
                    }),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::domain::words::UnknownVariant;
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

#[cfg(test)]
mod tests {
    use crate::domain::dataset::Visibility;

    #[test]
    fn an_unknown_visibility_is_reported_with_the_known_ones() {
        let error = "pubic".parse::<Visibility>().unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"unknown visibility "pubic": expected one of public, internal, restricted, private"#
        );
    }
}
