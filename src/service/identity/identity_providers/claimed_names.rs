//! The names that a token claims for its subject: for binding, for a new user, and for display.
//!
//! Providers send what people are called, not what is a user name here: guests of Entra ID
//! (`ada_example.com#EXT#@tenant.onmicrosoft.com`), names in any script with blanks and quotes, numbers, or
//! none at all for a program. The subject alone says who somebody is, so a user name is *derived*: every
//! subject gets one that is valid, readable and unique, whatever its provider calls it.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use unicode_normalization::char::is_combining_mark;

use crate::domain::issuer::ClaimPath;
use crate::domain::name::{MAX_NAME_LENGTH, Username};
use crate::domain::token_refusal::is_invisible;

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

/// The start of a name for a subject that has no readable name at all.
const NAMELESS: &str = "user";

/// How many characters of a derived name are tried: normalisation may make more of them than there were.
const LENGTHS: [usize; 6] = [MAX_NAME_LENGTH, 55, 51, 44, 32, 16];

/// The claim with the name of a person for display (`OpenID` Connect Core section 5.1).
const DISPLAY_NAME_CLAIM: &str = "name";

/// How many decimal digits make a derived name unique: the second is tried if the first is taken, and so on.
const SUFFIX_LENGTHS: [usize; 4] = [8, 12, 16, 19];

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
        let plain = self.derived.clone().filter(|name| !name.is_reserved());
        let start = self.derived.as_ref().map_or(NAMELESS, Username::as_str);
        let digits = digits_of(issuer, subject);
        let suffixed = SUFFIX_LENGTHS.iter().filter_map(|length| {
            let suffix = digits.get(..*length)?;
            longest_valid(|limit| {
                let start: String = start.chars().take(limit).collect();
                let start = start.trim_end_matches(is_separator);
                format!("{start}-{suffix}")
            })
        });
        plain.into_iter().chain(suffixed).collect()
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

/// The user name for a name as a provider has it: letters and digits of any script stay if they can be in one
/// user name, and are transliterated if not; other characters become hyphens.
fn derive_username(source: &str) -> Option<Username> {
    let readable = |text: &str| {
        let name = replace_separators(text);
        longest_valid(|limit| name.chars().take(limit).collect())
    };
    readable(source).or_else(|| readable(&deunicode::deunicode_with_tofu(source, " ")))
}

/// The longest start of a name that is a valid user name.
fn longest_valid(start: impl Fn(usize) -> String) -> Option<Username> {
    LENGTHS.iter().find_map(|limit| {
        let start = start(*limit);
        start.trim_end_matches(is_separator).parse().ok()
    })
}

/// Lower case, with one hyphen for what is neither a letter, a mark, a digit nor a separator of names. Quotes
/// and invisible characters leave nothing: `O'Brien` is `obrien`.
fn replace_separators(text: &str) -> String {
    let mut name = String::new();
    let mut is_gap = false;
    for character in text.chars().flat_map(char::to_lowercase) {
        let is_letter = character.is_alphanumeric() || is_combining_mark(character);
        let is_hidden = is_invisible(character) && !character.is_whitespace();
        if is_hidden || is_quote(character) {
            continue;
        }
        if is_letter {
            if is_gap && name.ends_with(|last| !is_separator(last)) {
                name.push('-');
            }
            name.push(character);
            is_gap = false;
        } else if is_separator(character) && !name.is_empty() {
            name.push(character);
            is_gap = false;
        } else {
            is_gap = true;
        }
    }
    name
}

fn is_separator(character: char) -> bool {
    matches!(character, '.' | '_' | '-' | '@')
}

fn is_quote(character: char) -> bool {
    matches!(
        character,
        '\'' | '"' | '`' | '\u{b4}' | '\u{2bc}' | '\u{2018}'..='\u{201f}'
    )
}

/// Decimal digits that depend on issuer and subject only: digits, because they may stand at the end of a name in
/// any script, one that is written from right to left too (RFC 5893 section 2).
fn digits_of(issuer: &str, subject: &str) -> String {
    // An issuer is a URL and has no spaces, so the space separates it unambiguously.
    let digest = Sha256::digest(format!("{issuer} {subject}"));
    let number = digest.iter().take(8);
    let number = number.fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    format!("{:019}", number % 10_000_000_000_000_000_000)
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

    fn derived(name: &str) -> String {
        let names = names(json!({ "preferred_username": name }), "7");
        names.derived.unwrap().to_string()
    }

    #[test]
    fn names_that_are_no_user_names_become_readable_ones() {
        for (name, expected) in [
            ("ada", "ada"),
            ("Ada.Lovelace@Example.org", "ada.lovelace@example.org"),
            (
                "ada_example.com#EXT#@tenant.onmicrosoft.com",
                "ada_example.com-ext@tenant.onmicrosoft.com",
            ),
            (
                "Ada King, Countess of Lovelace",
                "ada-king-countess-of-lovelace",
            ),
            ("  O'Brien  (guest) ", "obrien-guest"),
            ("CORP\\ada", "corp-ada"),
            ("ada+maps@example.org", "ada-maps@example.org"),
            ("live.com#ada@example.org", "live.com-ada@example.org"),
            ("-@.ada-._", "ada"),
            ("a\u{0}\u{202e}d\na", "ad-a"),
            (
                "auth0|5f7c8ec7c33c6c004bbafe82",
                "auth0-5f7c8ec7c33c6c004bbafe82",
            ),
            ("12345", "12345"),
        ] {
            assert_eq!(derived(name), expected, "{name}");
        }
    }

    #[test]
    fn a_name_in_any_script_gives_a_valid_name() {
        for name in [
            "Łukasz Żółć",
            "Nguyễn Văn Ánh",
            "Zoe\u{308}",
            "Ядвига Петровна",
            "Ελένη Παπαδοπούλου",
            "محمد بن أحمد",
            "דוד לוי",
            "प्रिया शर्मा",
            "สมชาย ใจดี",
            "李小龙",
            "김철수",
            "すずき・イチロー",
            "አበበ ቢቂላ",
            "Արամ Խաչատրյան",
            "გიორგი",
            "ﬁona ＭＯ",
            "Ада Lovelace",
            "דוד Levi 3",
            "𝔄𝔡𝔞",
            "ada 👩\u{200d}🔬",
            "\u{301}\u{301}x",
            "ﷺ ﷺ ﷺ",
            "½ ada",
        ] {
            let name = derived(name);
            assert!(
                name.parse::<Username>()
                    .is_ok_and(|parsed| parsed.as_str() == name),
                "{name}"
            );
        }
        for long in [
            "a".repeat(300),
            "ﷺ".repeat(300),
            "я".repeat(300),
            "é#".repeat(150),
        ] {
            assert!(derived(&long).chars().count() <= MAX_NAME_LENGTH, "{long}");
        }
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
    fn a_taken_or_reserved_name_gets_digits_that_depend_on_issuer_and_subject() {
        let candidates = |members: Value, issuer: &str, subject: &str| {
            let names = names(members, subject).candidates(issuer, subject);
            names.into_iter().map(String::from).collect::<Vec<_>>()
        };
        let ada = candidates(json!({"preferred_username": "ada"}), "https://a", "1");
        assert_eq!(ada.len(), 5);
        assert_eq!(ada[0], "ada");
        assert_eq!(
            ada,
            candidates(json!({"preferred_username": "ada"}), "https://a", "1")
        );
        let other = candidates(json!({"preferred_username": "ada"}), "https://b", "1");
        assert!(
            ada[1].len() == "ada-".len() + 8 && ada[1] != other[1],
            "{ada:?} {other:?}"
        );
        for (name, subject) in [
            ("anonymous", "1"),
            ("2489e9ad-2ee2-8e00-8ec9-32d5f69181c0", "1"),
            ("!", "#"),
        ] {
            let all = candidates(json!({ "preferred_username": name }), "https://a", subject);
            assert_eq!(all.len(), 4, "{all:?}");
            assert!(
                all.iter()
                    .all(|name| !name.parse::<Username>().unwrap().is_reserved())
            );
        }
        let long = candidates(
            json!({"preferred_username": "a".repeat(64)}),
            "https://a",
            "1",
        );
        assert_eq!(long.len(), 5, "{long:?}");
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
            (json!({"name": 7}), None),
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
