//! Strict JSON values: no object has two members of one name, at any depth.
//!
//! RFC 8259 section 4 leaves open what duplicates mean. Two parsers that differ see two different
//! values, so they are rejected: in tokens, in the bodies of requests and in policy folders alike.

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Number, Value};

/// The most characters of a duplicate name that an error quotes.
const MAX_QUOTED_LENGTH: usize = 64;

/// A JSON value whose objects have no member twice.
#[derive(Clone, Debug, PartialEq)]
pub struct StrictValue(pub Value);

impl<'de> Deserialize<'de> for StrictValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        StrictVisitor.deserialize(deserializer).map(Self)
    }
}

/// Deserializes any JSON value, for members of other types.
pub fn deserialize_value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    StrictVisitor.deserialize(deserializer)
}

/// Builds a value, rejecting objects with duplicate names.
struct StrictVisitor;

impl<'de> DeserializeSeed<'de> for StrictVisitor {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = elements.next_element_seed(StrictVisitor)? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            if members.contains_key(&name) {
                let quoted: String = name.chars().take(MAX_QUOTED_LENGTH).collect();
                return Err(de::Error::custom(format!("duplicate field `{quoted}`")));
            }
            let value = entries.next_value_seed(StrictVisitor)?;
            members.insert(name, value);
        }
        Ok(members.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Result<Value, String> {
        let parsed: Result<StrictValue, _> = serde_json::from_str(json);
        parsed
            .map(|value| value.0)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_value_without_duplicates_is_as_serde_json_reads_it() {
        let json =
            r#"{"a": [1, -1, 1.5, null, true, "x", {"a": {}}], "b": {"a": 18446744073709551615}}"#;
        assert_eq!(
            parse(json).unwrap(),
            serde_json::from_str::<Value>(json).unwrap()
        );
    }

    #[test]
    fn a_duplicate_is_rejected_at_any_depth_however_it_is_spelled() {
        for (json, name) in [
            (r#"{"a": 1, "a": 1}"#, "a"),
            (r#"{"a": 1, "b": 2, "\u0061": 1}"#, "a"),
            (r#"{"x": [{"y": {"deep": 1, "deep": 2}}]}"#, "deep"),
            (r#"[{"": 1, "": 1}]"#, ""),
        ] {
            let error = parse(json).unwrap_err();
            assert!(
                error.starts_with(&format!("duplicate field `{name}`")),
                "{error}"
            );
        }
        let long = "n".repeat(10_000);
        let error = parse(&format!(r#"{{"{long}": 1, "{long}": 1}}"#)).unwrap_err();
        assert!(error.len() < 200, "{error}");
    }
}
