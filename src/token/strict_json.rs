//! Strict JSON: objects with exactly the expected members, or any members, but none of them twice.
//!
//! RFC 7519 section 4 lets a parser reject duplicates or take the last one. Two parsers that differ
//! see two different tokens, so duplicates are rejected at any depth.

use serde::de;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::domain::strict_json::deserialize_value;

use super::error::{Defect, TokenError, TokenPart};

/// Parses one JSON object with exactly the members of `T`.
pub(super) fn parse_object<'a, T: Deserialize<'a>>(
    json: &'a [u8],
    part: TokenPart,
) -> Result<T, TokenError> {
    // serde would also deserialise a struct from an array of its members.
    if json.first() != Some(&b'{') {
        return Err(Defect::NotJsonObject.in_part(part));
    }
    serde_json::from_slice(json).map_err(|error| defect_from_error(&error).in_part(part))
}

/// The defect behind an error of serde. The token is rejected whichever it is, and serde's own
/// message is not passed on, because it quotes the token.
fn defect_from_error(error: &serde_json::Error) -> Defect {
    let words = error.to_string();
    [
        ("unknown field", Defect::UnknownMember),
        ("duplicate field", Defect::DuplicateMember),
        ("missing field", Defect::MissingMember),
        ("invalid type", Defect::WrongType),
        ("invalid value", Defect::WrongValue),
        ("number out of range", Defect::NumberOutOfRange),
    ]
    .into_iter()
    .find(|(beginning, _)| words.starts_with(beginning))
    .map_or(Defect::NotJsonObject, |(_, defect)| defect)
}

/// Deserialises a member that may be absent but not `null`.
pub(super) fn deserialize_present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// The members of a JSON object.
pub(super) struct StrictObject(pub(super) Map<String, Value>);

impl<'de> Deserialize<'de> for StrictObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserialize_value(deserializer)? {
            Value::Object(members) => Ok(Self(members)),
            _ => Err(de::Error::custom("not an object")),
        }
    }
}

impl StrictObject {
    /// A required string.
    pub(super) fn required_str(&self, name: &str, part: TokenPart) -> Result<&str, TokenError> {
        match self.0.get(name) {
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(Defect::WrongType.in_part(part)),
            None => Err(Defect::MissingMember.in_part(part)),
        }
    }
}
