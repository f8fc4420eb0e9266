//! The names that a token claims for its subject: for binding, for a new user, and for display.
//!
//! Providers send what people are called, not what is a user name here: guests of Entra ID
//! (`ada_example.com#EXT#@tenant.onmicrosoft.com`), names in any script with blanks and quotes, numbers, or
//! none at all for a program. The subject alone says who somebody is, so a user name is *derived*: every
//! subject gets one that is valid, readable and unique, whatever its provider calls it.

use serde_json::{Map, Value};

use crate::domain::issuer::ClaimPath;
use crate::domain::name::Username;
use crate::domain::token_refusal::is_invisible;

use super::derived_username::{derive_username, username_candidates};

/// The most characters of a claim that a name is derived from.
const MAX_SOURCE_LENGTH: usize = 256;

/// The most characters of a display name.
const MAX_DISPLAY_NAME_LENGTH: usize = 200;

/// The claims that a user name is derived from if the configured one has none, in this order: `OpenID`
/// Connect Core section 5.1, Entra ID, Cognito.
const OTHER_NAME_CLAIMS: [&str; 7] = [
    "preferred_username",
    "upn",
    "unique_name",
    "username",
    "cognito:username",
    "email",
    DISPLAY_NAME_CLAIM,
];

/// The claim with the name of a person for display (`OpenID` Connect Core section 5.1).
const DISPLAY_NAME_CLAIM: &str = "name";

/// The names that a token claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedNames {
    /// The user name that the configured claim has; nothing if it has none that is valid here.
    pub claimed: Option<Username>,
    /// Whether the claim has exactly that name, and none that only folds to it: at its provider that may be
    /// another account.
    pub is_exact: bool,
    /// The user name for a new user, if it is free; nothing if not even the subject has a readable character.
    pub derived: Option<Username>,
    /// The name to show, as the provider sent it, without what would break out of its place in a page or line.
    pub display_name: Option<String>,
}

impl ClaimedNames {
    /// The names in the claims of a token.
    pub(super) fn from_claims(
        members: &Map<String, Value>,
        username_claim: &ClaimPath,
        subject: &str,
    ) -> Self {
        let configured = username_claim.find_in(members).and_then(text_of);
        let claimed: Option<Username> = configured.as_deref().and_then(|name| name.parse().ok());
        let is_exact = claimed.as_ref().map(Username::as_str) == configured.as_deref();
        let others = OTHER_NAME_CLAIMS.iter();
        let others = others.filter_map(|name| members.get(*name).and_then(text_of));
        let sources: Vec<String> = configured.into_iter().chain(others).collect();
        let derived = sources.iter().find_map(|source| derive_username(source));
        Self {
            is_exact: claimed.is_some() && is_exact,
            claimed,
            // A program has no other name than its id.
            derived: derived.or_else(|| derive_username(subject)),
            display_name: members
                .get(DISPLAY_NAME_CLAIM)
                .and_then(Value::as_str)
                .and_then(clean_display_name)
                .or_else(|| sources.iter().find_map(|source| clean_display_name(source))),
        }
    }

    /// The user names for a new user, the first free one of which it gets: the derived one, then the same
    /// with digits that depend on issuer and subject only. A name that means another principal is none.
    pub(in crate::service::identity) fn candidates(
        &self,
        issuer: &str,
        subject: &str,
    ) -> Vec<Username> {
        username_candidates(self.derived.as_ref(), issuer, subject)
    }
}

/// The text of a claim: a string, or a whole number, as some send the number of an employee; cut to a bound.
fn text_of(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.chars().take(MAX_SOURCE_LENGTH).collect(),
        Value::Number(number) if number.is_i64() || number.is_u64() => number.to_string(),
        Value::Number(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            return None;
        }
    };
    Some(text).filter(|text: &String| !text.trim().is_empty())
}

/// A name for display as it was sent, bounded. Control characters and those that reorder or hide text around
/// them are not in it; joiners and variation selectors, which scripts and emoji need, are.
fn clean_display_name(text: &str) -> Option<String> {
    let is_needed =
        |character| matches!(character, '\u{200c}' | '\u{200d}' | '\u{fe00}'..='\u{fe0f}');
    let name: String = text
        .chars()
        .filter_map(|character| match character {
            '\t' | '\n' | '\r' | '\u{2028}' | '\u{2029}' => Some(' '),
            _ if is_invisible(character) && !is_needed(character) => None,
            _ => Some(character),
        })
        .take(MAX_DISPLAY_NAME_LENGTH)
        .collect();
    let name = name.trim();
    let is_blank = name.chars().all(is_invisible);
    (!is_blank).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names(members: Value, subject: &str) -> ClaimedNames {
        let Value::Object(members) = members else {
            panic!("no object")
        };
        ClaimedNames::from_claims(&members, &"preferred_username".parse().unwrap(), subject)
    }

    #[test]
    fn without_a_usable_name_another_claim_and_at_last_the_subject_names_the_user() {
        for (members, subject, expected) in [
            (json!({}), "nightly-job", Some("nightly-job")),
            (json!({"preferred_username": null}), "7", Some("7")),
            (json!({"preferred_username": ""}), "7", Some("7")),
            (json!({"preferred_username": ["ada"]}), "7", Some("7")),
            (json!({"preferred_username": "#!"}), "7", Some("7")),
            (json!({"preferred_username": 12345}), "7", Some("12345")),
            (json!({"preferred_username": 1.5}), "7", Some("7")),
            (
                json!({"preferred_username": " ", "email": "Ada@Example.org"}),
                "7",
                Some("ada@example.org"),
            ),
            (
                json!({"upn": "ada@corp.example", "email": "x@y"}),
                "7",
                Some("ada@corp.example"),
            ),
            (json!({"cognito:username": "ada"}), "7", Some("ada")),
            (json!({"name": "Ada Lovelace"}), "7", Some("ada-lovelace")),
            (json!({"azp": "gate", "client_id": "gate"}), "7", Some("7")),
            (json!({}), "#!\u{1}", None),
        ] {
            let names = names(members.clone(), subject);
            assert_eq!(
                names.derived.as_ref().map(Username::as_str),
                expected,
                "{members}"
            );
        }
    }

    #[test]
    fn a_name_binds_only_if_the_claim_has_exactly_it() {
        let is_exact = |name: Value| names(json!({ "preferred_username": name }), "7").is_exact;
        assert!(is_exact(json!("ada")) && is_exact(json!(12345)));
        for name in [
            json!("Ada"),
            json!("ada "),
            json!("a#b"),
            json!(null),
            json!(["ada"]),
        ] {
            assert!(!is_exact(name.clone()), "{name}");
        }
        // Another claim than the configured one never binds.
        assert_eq!(names(json!({"email": "ada"}), "7").claimed, None);
    }

    #[test]
    fn the_display_name_is_what_was_sent_without_control_and_reordering() {
        for (members, expected) in [
            (
                json!({"name": "Ada Lovelace", "preferred_username": "ada"}),
                Some("Ada Lovelace"),
            ),
            (
                json!({"preferred_username": "ada_x#EXT#@t"}),
                Some("ada_x#EXT#@t"),
            ),
            (json!({"name": "  李小龙\n"}), Some("李小龙")),
            (
                json!({"name": "Zoe\u{308} 👩\u{200d}🔬 \u{202e}adA\u{2066}\u{0}\u{1b}[31m"}),
                Some("Zoe\u{308} 👩\u{200d}🔬 adA[31m"),
            ),
            (json!({"name": "می\u{200c}خواهم"}), Some("می\u{200c}خواهم")),
            (json!({"name": "\u{200d}\u{200b} "}), None),
            (json!({"name": 7}), Some("7")),
            (json!({}), None),
        ] {
            assert_eq!(
                names(members.clone(), "7").display_name.as_deref(),
                expected,
                "{members}"
            );
        }
        let long = names(json!({ "name": "é".repeat(1000) }), "7")
            .display_name
            .unwrap();
        assert_eq!(long.chars().count(), MAX_DISPLAY_NAME_LENGTH);
    }
}
