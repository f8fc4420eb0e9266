//! Timestamps: times in bodies and parameters, in the format of RFC 3339.

use poem_openapi::registry::MetaSchema;
use poem_openapi::types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON};
use serde_json::Value;

use crate::domain::rfc3339;
use crate::http::extract::schema_type::impl_inline_type;

/// A time in seconds since 1970 UTC; fractions of a second are cut off when it is parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp(pub i64);

/// A time in milliseconds since 1970 UTC, for what is ordered finer than a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampMillis(pub i64);

/// A time or null. Unlike an `Option`, the member is always there, and the schema requires it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NullableTimestamp(pub Option<i64>);

fn schema() -> MetaSchema {
    MetaSchema::new_with_format("string", "date-time")
}

fn nullable_schema() -> MetaSchema {
    MetaSchema {
        nullable: true,
        ..schema()
    }
}

impl_inline_type!(Timestamp, "string_date-time", schema());
impl_inline_type!(TimestampMillis, "string_date-time", schema());
impl_inline_type!(
    NullableTimestamp,
    "nullable_string_date-time",
    nullable_schema()
);

impl ParseFromParameter for TimestampMillis {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        rfc3339::parse_millis(text)
            .map(Self)
            .map_err(ParseError::custom)
    }
}

impl ParseFromParameter for Timestamp {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        rfc3339::parse_millis(text)
            .map(|millis| Self(millis.div_euclid(1000)))
            .map_err(ParseError::custom)
    }
}

impl ParseFromJSON for Timestamp {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value.unwrap_or_default() {
            Value::String(text) => rfc3339::parse_millis(&text)
                .map(|millis| Self(millis.div_euclid(1000)))
                .map_err(ParseError::custom),
            value => Err(ParseError::expected_type(value)),
        }
    }
}

impl ToJSON for Timestamp {
    fn to_json(&self) -> Option<Value> {
        Some(rfc3339::format_seconds(self.0).into())
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
        Some(self.0.map_or(Value::Null, |seconds| {
            rfc3339::format_seconds(seconds).into()
        }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_time_is_parsed_with_any_offset_and_written_in_utc() {
        let parse = |text: &str| Timestamp::parse_from_json(Some(json!(text)));
        let noon = parse("2026-03-01T13:00:00.9+01:00").unwrap();
        assert_eq!(noon, Timestamp(1_772_366_400));
        assert_eq!(noon.to_json(), Some(json!("2026-03-01T12:00:00Z")));
        assert_eq!(NullableTimestamp(None).to_json(), Some(Value::Null));
        for text in ["", "2026-03-01", "2026-03-01T12:00:00", "tomorrow"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(Timestamp::parse_from_json(Some(json!(1_772_366_400))).is_err());
    }
}
