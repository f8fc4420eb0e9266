//! Enums whose variants are written as one word everywhere: Cedar, SQL, TOML, JSON and log.
//!
//! strum derives the words; this adds the error for a text that is none of them.

use strum::VariantNames;

/// An enum that is written as text.
pub trait TextEnum: VariantNames + Into<&'static str> + Copy {
    /// What errors call a value of it.
    const NOUN: &'static str;

    /// The text of this variant.
    #[must_use]
    fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A text that is no variant of an enum.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown {noun} {text:?}: expected one of {expected}")]
pub struct UnknownVariant {
    noun: &'static str,
    text: String,
    expected: String,
}

impl UnknownVariant {
    /// The error for a text that is no `T`; a long text is cut.
    #[must_use]
    pub fn new<T: TextEnum>(text: &str) -> Self {
        Self {
            noun: T::NOUN,
            text: text.chars().take(80).collect(),
            expected: T::VARIANTS.join(", "),
        }
    }
}

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
