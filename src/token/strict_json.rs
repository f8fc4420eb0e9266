//! Members: a JSON object of somebody else's making, read whole, in which no name stands twice.
//!
//! RFC 7519 section 4 lets a reader refuse duplicates or take the last; two readers that differ see
//! two tokens, so they are refused, at any depth. This module refuses to know what members mean.

use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Number, Value};

use super::error::{Defect, TokenError, TokenPart};

/// The members of one JSON object.
pub(super) struct StrictObject(pub(super) Map<String, Value>);

impl<'de> Deserialize<'de> for StrictObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_any(StrictValue)? {
            Value::Object(members) => Ok(Self(members)),
            _ => Err(de::Error::custom("not an object")),
        }
    }
}

impl StrictObject {
    /// A member that must be there and be text.
    pub(super) fn required_str(&self, name: &str, part: TokenPart) -> Result<&str, TokenError> {
        match self.0.get(name) {
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(Defect::WrongType.in_part(part)),
            None => Err(Defect::MissingMember.in_part(part)),
        }
    }

    /// A member that, where it stands, must be a whole number.
    pub(super) fn optional_i64(
        &self,
        name: &str,
        part: TokenPart,
    ) -> Result<Option<i64>, TokenError> {
        match self.0.get(name) {
            Some(value) => value
                .as_i64()
                .map(Some)
                .ok_or(Defect::WrongType.in_part(part)),
            None => Ok(None),
        }
    }
}

/// Reads any JSON value, refusing objects with a name twice.
struct StrictValue;

impl<'de> DeserializeSeed<'de> for StrictValue {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StrictValue {
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
        while let Some(value) = elements.next_element_seed(StrictValue)? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(StrictValue)?;
            if members.insert(name, value).is_some() {
                return Err(de::Error::custom("duplicate field"));
            }
        }
        Ok(members.into())
    }
}
