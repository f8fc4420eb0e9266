//! Refusals of external tokens: which check failed, what was expected and what the token has.
//!
//! Everything that comes from a token is untrusted: it is bounded and escaped here, once, so that it can
//! go into a log line. The subject, names and the token itself are never part of a refusal.

use std::fmt::Write as _;

use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;
use serde_json::Value;
use strum::{Display, IntoStaticStr, VariantArray, VariantNames};

use super::text_enum::TextEnum;

/// The most characters of a text of a token that a log line quotes.
const MAX_QUOTED_CHARACTERS: usize = 160;

/// The most elements of a list of a token that a log line quotes.
const MAX_QUOTED_ELEMENTS: usize = 5;

/// The check that an external token failed: the header member, claim or setting that it is about.
#[derive(Display, IntoStaticStr, VariantArray, VariantNames)]
#[strum(serialize_all = "snake_case")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenCheck {
    /// It is a JWT: three parts of base64url with JSON objects, of a bounded length.
    Form,
    /// The issuer is configured.
    Iss,
    /// The algorithm is accepted from the issuer.
    Alg,
    /// No header member chooses the key or the rules.
    Header,
    /// It is an access token or an ID token.
    Typ,
    /// The key is in the issuer's key set.
    Kid,
    /// The signature verifies.
    Signature,
    /// It is for this server.
    Aud,
    /// It has a subject.
    Sub,
    /// It has been issued.
    Iat,
    /// It is valid already.
    Nbf,
    /// It has not expired.
    Exp,
    /// It is not bound to a key.
    Cnf,
    /// The claims that are mapped to roles and tags have types that can be mapped.
    Claims,
    /// Its subject is a user, if only known ones may be.
    Principals,
    /// Its user name is verified, if a user was prepared for that name.
    VerifiedClaim,
    /// Its user is enabled.
    Disabled,
}

impl TextEnum for TokenCheck {
    const NOUN: &'static str = "check";
}

impl TokenCheck {
    /// What the bearer of a token is told; no part of the token, and none of the settings.
    #[must_use]
    pub fn detail(self) -> &'static str {
        match self {
            Self::Form => "the token is not a JWT that this server can read",
            Self::Iss => "the token comes from an issuer that this server does not trust",
            Self::Alg => {
                "the token is signed with an algorithm that is not accepted from its issuer"
            }
            Self::Header => "the token's header has a member that is not accepted",
            Self::Typ => "the token's typ is not that of an access token or an ID token",
            Self::Kid => "the token names no key that its issuer has published",
            Self::Signature => "the token's signature does not verify",
            Self::Aud => {
                "the token is not for this server: its audience is another one, or missing"
            }
            Self::Sub => "the token has no usable sub",
            Self::Iat => "the token's iat is missing, in the future, or no number of seconds",
            Self::Nbf => "the token is not valid yet, or its nbf is no number of seconds",
            Self::Exp => "the token has expired, or its exp is missing or no number of seconds",
            Self::Cnf => "the token is bound to a key, but a bearer token is required",
            Self::Claims => {
                "a claim of the token that is mapped to roles or tags has a type that cannot be mapped"
            }
            Self::Principals => "the token is valid, but its subject is not a user of this server",
            Self::VerifiedClaim => {
                "the token's user name is reserved for a user, and the token does not show that the name \
                 is verified: ask the operator of this server"
            }
            Self::Disabled => "the token's subject can no longer sign in",
        }
    }
}

/// Why an external token was refused, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRefusal {
    /// The check that failed.
    pub check: TokenCheck,
    /// What the check expects.
    pub expected: String,
    /// What the token has, bounded and escaped.
    pub got: String,
    /// What an operator can do about it, if that is known.
    pub hint: Option<String>,
}

impl TokenRefusal {
    /// A refusal without a hint.
    #[must_use]
    pub fn new(check: TokenCheck, expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self {
            check,
            expected: expected.into(),
            got: got.into(),
            hint: None,
        }
    }

    /// The refusal with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Quotes an untrusted text for a log line: bounded, and with every character escaped that could start a
/// new line, hide or reorder text (control and format characters) or end the quotation.
#[must_use]
pub fn quote_untrusted(text: &str) -> String {
    let mut characters = text.chars();
    let mut quoted = String::from("\"");
    for character in characters.by_ref().take(MAX_QUOTED_CHARACTERS) {
        if is_invisible(character) && !character.is_control() {
            quoted.extend(character.escape_unicode());
        } else {
            quoted.extend(character.escape_debug());
        }
    }
    quoted.push('"');
    let rest = characters.count();
    if rest > 0 {
        // Writing to a String never fails.
        let _ = write!(quoted, " and {rest} more characters");
    }
    quoted
}

/// Quotes a claim for a log line: texts and numbers as they are, of other values only their type.
#[must_use]
pub fn quote_claim(value: Option<&Value>) -> String {
    match value {
        None => "no such claim".to_owned(),
        Some(Value::String(text)) => quote_untrusted(text),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::Bool(value)) => value.to_string(),
        Some(Value::Null) => "null".to_owned(),
        Some(Value::Object(_)) => "an object".to_owned(),
        Some(Value::Array(values)) => quote_list(values),
    }
}

/// What type a claim has, where its value is nobody's business.
#[must_use]
pub fn name_type(value: Option<&Value>) -> &'static str {
    match value {
        None => "no such claim",
        Some(Value::String(text)) if text.is_empty() => "an empty string",
        Some(Value::String(_)) => "a string",
        Some(Value::Number(_)) => "a number",
        Some(Value::Bool(_)) => "a boolean",
        Some(Value::Null) => "null",
        Some(Value::Object(_)) => "an object",
        Some(Value::Array(_)) => "a list",
    }
}

fn quote_list(values: &[Value]) -> String {
    let quoted = values.iter().take(MAX_QUOTED_ELEMENTS).map(|value| {
        if value.is_array() {
            "a list".to_owned()
        } else {
            quote_claim(Some(value))
        }
    });
    let mut quoted: Vec<String> = quoted.collect();
    let rest = values.len().saturating_sub(MAX_QUOTED_ELEMENTS);
    if rest > 0 {
        quoted.push(format!("and {rest} more"));
    }
    format!("[{}]", quoted.join(", "))
}

/// Whether a character shows nothing of its own, or changes how others are shown: the format characters
/// and other default ignorable ones (Unicode, `DerivedCoreProperties.txt`), and line separators.
#[must_use]
pub fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{fff9}'..='\u{fffb}')
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
}

/// A text of somebody else for a terminal: what is invisible, or would be a command to the terminal, is escaped.
#[must_use]
pub fn escape_invisible(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if is_invisible(character) {
            escaped.extend(character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_for_a_terminal_commands_nothing() {
        assert_eq!(escape_invisible("Ядвига a.tif"), "Ядвига a.tif");
        assert_eq!(
            escape_invisible("a\u{1b}]0;x\u{7}\r\n\u{202e}b"),
            r"a\u{1b}]0;x\u{7}\r\n\u{202e}b"
        );
    }

    #[test]
    fn untrusted_text_cannot_break_out_of_its_line_or_reorder_it() {
        assert_eq!(
            quote_untrusted("https://id.example"),
            "\"https://id.example\""
        );
        assert_eq!(quote_untrusted("Ядвига 李"), "\"Ядвига 李\"");
        assert_eq!(
            quote_untrusted("a\n\"b\u{1b}[31m\u{202e}\u{2028}\u{feff}"),
            r#""a\n\"b\u{1b}[31m\u{202e}\u{2028}\u{feff}""#
        );
        let long = quote_untrusted(&"é".repeat(1000));
        assert!(long.ends_with("é\" and 840 more characters"), "{long}");
    }

    #[test]
    fn lists_are_quoted_to_a_bound_and_objects_by_their_type() {
        assert_eq!(
            quote_claim(Some(&json!(["a", 7, null, {"b": 1}, [1]]))),
            "[\"a\", 7, null, an object, a list]"
        );
        let many: Vec<_> = (0..500).collect();
        assert_eq!(
            quote_claim(Some(&json!(many))),
            "[0, 1, 2, 3, 4, and 495 more]"
        );
        assert_eq!(quote_claim(Some(&json!({"secret": "x"}))), "an object");
        assert_eq!(quote_claim(None), "no such claim");
    }

    #[test]
    fn every_check_has_a_reason_and_a_detail_of_its_own() {
        let details: std::collections::BTreeSet<_> = <TokenCheck as VariantArray>::VARIANTS
            .iter()
            .map(|check| check.detail())
            .collect();
        assert_eq!(details.len(), <TokenCheck as VariantArray>::VARIANTS.len());
        assert_eq!(TokenCheck::VerifiedClaim.as_str(), "verified_claim");
    }
}
