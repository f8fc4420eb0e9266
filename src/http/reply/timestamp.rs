//! Moments: times in bodies, in the form of RFC 3339.
//!
//! Inside, times are seconds since 1970 UTC. This module refuses to know what happens when.

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat};
use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{
    ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type,
};
use serde_json::Value;

/// A time in seconds since 1970 UTC; fractions of a second are cut off when it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp(pub i64);

/// A time in milliseconds since 1970 UTC, for what is ordered finer than a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampMillis(pub i64);

/// A time that may never have been; written as null then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NullableTimestamp(pub Option<i64>);

macro_rules! date_time {
    ($name:ident, $kind:literal, $is_nullable:literal) => {
        impl Type for $name {
            const IS_REQUIRED: bool = true;

            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> Cow<'static, str> {
                $kind.into()
            }

            fn schema_ref() -> MetaSchemaRef {
                MetaSchemaRef::Inline(Box::new(MetaSchema {
                    nullable: $is_nullable,
                    ..MetaSchema::new_with_format("string", "date-time")
                }))
            }

            fn as_raw_value(&self) -> Option<&Self::RawValueType> {
                Some(self)
            }

            fn raw_element_iter<'a>(
                &'a self,
            ) -> Box<dyn Iterator<Item = &'a Self::RawElementValueType> + 'a> {
                Box::new(std::iter::once(self))
            }
        }
    };
}
date_time!(Timestamp, "string_date-time", false);
date_time!(TimestampMillis, "string_date-time", false);
date_time!(NullableTimestamp, "nullable_string_date-time", true);

impl ParseFromParameter for TimestampMillis {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        DateTime::parse_from_rfc3339(text)
            .map(|time| Self(time.timestamp_millis()))
            .map_err(|error| ParseError::custom(invalid_timestamp(text, error)))
    }
}

impl ParseFromJSON for Timestamp {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value.unwrap_or_default() {
            Value::String(text) => DateTime::parse_from_rfc3339(&text)
                .map(|time| Self(time.timestamp()))
                .map_err(|error| ParseError::custom(invalid_timestamp(&text, error))),
            value => Err(ParseError::expected_type(value)),
        }
    }
}

impl ParseFromJSON for NullableTimestamp {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value {
            None | Some(Value::Null) => Ok(Self(None)),
            some => Timestamp::parse_from_json(some)
                .map(|Timestamp(seconds)| Self(Some(seconds)))
                .map_err(ParseError::propagate),
        }
    }
}

impl ToJSON for NullableTimestamp {
    fn to_json(&self) -> Option<Value> {
        Some(
            self.0
                .map_or(Value::Null, |seconds| format_rfc3339(seconds).into()),
        )
    }
}

impl ToJSON for Timestamp {
    fn to_json(&self) -> Option<Value> {
        Some(format_rfc3339(self.0).into())
    }
}

fn invalid_timestamp(text: &str, error: chrono::ParseError) -> String {
    format!("{text:?} is not a time of RFC 3339: {error}")
}

fn format_rfc3339(seconds: i64) -> String {
    let time = DateTime::from_timestamp(seconds, 0).unwrap_or_default();
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_time_is_read_with_any_offset_and_written_in_utc() {
        let read = |text: &str| Timestamp::parse_from_json(Some(json!(text)));
        let noon = read("2026-03-01T13:00:00.9+01:00").unwrap();
        assert_eq!(noon, Timestamp(1_772_366_400));
        assert_eq!(noon.to_json(), Some(json!("2026-03-01T12:00:00Z")));
        assert_eq!(NullableTimestamp(None).to_json(), Some(Value::Null));
        for text in ["", "2026-03-01", "2026-03-01T12:00:00", "tomorrow"] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(Timestamp::parse_from_json(Some(json!(1_772_366_400))).is_err());
    }
}
