//! Confusable texts: which of the Cedar validator's warnings about the characters of texts and ids are of use here.
//!
//! Cedar warns of every text with letters of several scripts, and of every id with a character outside the general
//! profile of UTS #39. But titles in most languages have Latin words in them, and names of users and roles are
//! checked by stricter rules where they are given (`domain::name`). What is left are words that mix scripts, and
//! characters that change the order of reading, of which Cedar warns in other words.

use cedar_policy::ValidationWarning;

use crate::domain::name::{RoleName, mixes_scripts_in_a_word};

/// Whether a warning is about characters that are usual in the names and titles of some language.
pub(super) fn is_usual_text(warning: &ValidationWarning) -> bool {
    match warning {
        ValidationWarning::MixedScriptString(_) | ValidationWarning::MixedScriptIdentifier(_) => {
            text_of(warning).is_some_and(|text| !mixes_scripts_in_a_word(&text) || is_name(&text))
        }
        ValidationWarning::ConfusableIdentifier(_) => {
            text_of(warning).is_some_and(|text| is_name(&text))
        }
        _ => false,
    }
}

/// Whether a text is a name of a user or a role as they are kept: the rules are the same.
fn is_name(text: &str) -> bool {
    RoleName::parse_canonical(text).is_some()
}

/// The text that a warning is about; Cedar tells it in the message alone.
fn text_of(warning: &ValidationWarning) -> Option<String> {
    let message = warning.to_string();
    let (_, rest) = message
        .split_once(", string `\"")
        .or_else(|| message.split_once(", identifier `"))?;
    let (text, _) = rest
        .rsplit_once(" contains mixed scripts")
        .or_else(|| rest.split_once("` contains the character "))?;
    let text = text.strip_suffix('`').unwrap_or(text);
    Some(text.strip_suffix('"').unwrap_or(text).to_owned())
}
