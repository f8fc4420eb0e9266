//! Search texts: what somebody types to find something by a part of its name.

use std::fmt;
use std::str::FromStr;

/// The most characters of a search text.
pub const MAX_SEARCH_TEXT_LENGTH: usize = 200;

/// A text to search for, without regard to case and to space around it. The empty one is found in every text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchText {
    lower_case: String,
}

impl SearchText {
    /// Whether a text contains it.
    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        text.to_lowercase().contains(&self.lower_case)
    }
}

impl fmt::Display for SearchText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lower_case)
    }
}

/// Why a text cannot be searched for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SearchTextError {
    /// It has more than [`MAX_SEARCH_TEXT_LENGTH`] characters.
    #[error("a text to search for has at most {MAX_SEARCH_TEXT_LENGTH} characters")]
    TooLong,
}

impl FromStr for SearchText {
    type Err = SearchTextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.chars().nth(MAX_SEARCH_TEXT_LENGTH).is_some() {
            return Err(SearchTextError::TooLong);
        }
        Ok(Self {
            lower_case: text.trim().to_lowercase(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_found_whatever_its_case_and_the_space_around_it() {
        let search: SearchText = " SÜD ".parse().unwrap();
        for (text, is_found) in [
            ("Südtirol", true),
            ("am süd", true),
            ("Sud", false),
            ("", false),
        ] {
            assert_eq!(search.is_in(text), is_found, "{text}");
        }
        assert!("".parse::<SearchText>().unwrap().is_in(""));
        let long = "ü".repeat(MAX_SEARCH_TEXT_LENGTH);
        assert!(long.parse::<SearchText>().is_ok());
        assert_eq!(
            (long + "x").parse::<SearchText>(),
            Err(SearchTextError::TooLong)
        );
    }
}
