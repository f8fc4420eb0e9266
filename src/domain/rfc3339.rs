//! Times as text (RFC 3339), always written in UTC.

use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat, Utc};

/// Why a text is not a time.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is not an RFC 3339 timestamp: {source}")]
pub struct Rfc3339Error {
    text: String,
    source: chrono::ParseError,
}

/// Formats seconds since 1970 UTC; a time that chrono cannot represent becomes 1970.
#[must_use]
pub fn format_seconds(unix_seconds: i64) -> String {
    format(
        DateTime::from_timestamp(unix_seconds, 0),
        SecondsFormat::Secs,
    )
}

/// Formats seconds since 1970 UTC; `None` outside the years 0 to 9999, which are all that RFC 3339 has.
#[must_use]
pub fn format_seconds_checked(unix_seconds: i64) -> Option<String> {
    // chrono writes other years with a sign and more digits.
    DateTime::from_timestamp(unix_seconds, 0)
        .map(|time| format(Some(time), SecondsFormat::Secs))
        .filter(|text| text.len() == "2026-03-01T12:00:00Z".len())
}

/// Formats milliseconds since 1970 UTC; a time that chrono cannot represent becomes 1970.
#[must_use]
pub fn format_millis(unix_millis: i64) -> String {
    format(
        DateTime::from_timestamp_millis(unix_millis),
        SecondsFormat::Millis,
    )
}

/// Parses a time with any offset into milliseconds since 1970 UTC.
pub fn parse_millis(text: &str) -> Result<i64, Rfc3339Error> {
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.timestamp_millis())
        .map_err(|source| Rfc3339Error {
            text: text.to_owned(),
            source,
        })
}

/// Parses a time with any offset, whose seconds may be left out as in ISO 8601, into milliseconds since 1970 UTC.
pub fn parse_millis_or_minutes(text: &str) -> Result<i64, Rfc3339Error> {
    const MINUTES: usize = "2025-06-27T18:03".len();
    let complete = text
        .split_at_checked(MINUTES)
        .map(|(minutes, offset)| format!("{minutes}:00{offset}"));
    let parsed = parse_millis(text);
    match (parsed, complete) {
        (Err(error), Some(complete)) => parse_millis(&complete).map_err(|_| error),
        (parsed, _) => parsed,
    }
}

/// A text is neither a day nor a time.
#[derive(Debug, thiserror::Error)]
#[error(
    "{text:?} is neither a day, such as 2027-01-31, nor a time with an offset, such as 2027-01-31T12:00:00Z"
)]
pub struct DayOrTimeError {
    text: String,
}

/// Parses a time with any offset, or a day for its beginning in UTC, into seconds since 1970 UTC.
pub fn parse_day_or_seconds(text: &str) -> Result<i64, DayOrTimeError> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    let day = day.map(|day| day.and_time(NaiveTime::MIN).and_utc().timestamp());
    let time = || Some(parse_millis(text).ok()?.div_euclid(1_000));
    day.or_else(time).ok_or_else(|| DayOrTimeError {
        text: text.to_owned(),
    })
}

/// Milliseconds since 1970 UTC in serialized data, for `#[serde(with)]`.
pub(crate) mod serde_millis {
    use chrono::{DateTime, SecondsFormat};
    use serde::de::{Deserialize, Deserializer, Error as _};
    use serde::ser::{Error as _, Serializer};

    #[allow(
        clippy::trivially_copy_pass_by_ref,
        reason = "the signature that serde requires"
    )]
    pub(crate) fn serialize<S: Serializer>(millis: &i64, serializer: S) -> Result<S::Ok, S::Error> {
        let time = DateTime::from_timestamp_millis(*millis)
            .ok_or_else(|| S::Error::custom("the time is out of range"))?;
        serializer.serialize_str(&super::format(Some(time), SecondsFormat::Millis))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::parse_millis(&text).map_err(D::Error::custom)
    }
}

fn format(time: Option<DateTime<Utc>>, precision: SecondsFormat) -> String {
    time.unwrap_or_default().to_rfc3339_opts(precision, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc_and_parsed_with_any_offset() {
        assert_eq!(format_seconds(1_772_366_400), "2026-03-01T12:00:00Z");
        assert_eq!(format_millis(1_772_366_400_900), "2026-03-01T12:00:00.900Z");
        assert_eq!(format_seconds(i64::MAX), "1970-01-01T00:00:00Z");
        assert_eq!(format_seconds_checked(i64::MAX), None);
        assert_eq!(format_seconds_checked(253_402_300_800), None);
        assert!(format_seconds_checked(253_402_300_799).is_some());
        let millis = parse_millis("2026-03-01T13:00:00.9+01:00").unwrap();
        assert_eq!(millis, 1_772_366_400_900);
        assert!(parse_millis("2026-03-01").is_err());
        assert_eq!(parse_day_or_seconds("2026-03-01").unwrap(), 1_772_323_200);
        assert_eq!(
            parse_day_or_seconds("2026-03-01T13:00:00+01:00").unwrap(),
            1_772_366_400
        );
        assert!(parse_day_or_seconds("2026-02-30").is_err());
    }

    #[test]
    fn a_time_may_lack_its_seconds() {
        let millis = parse_millis("2025-06-27T18:03:00-07:00").unwrap();
        for text in [
            "2025-06-27T18:03-07:00",
            "2025-06-28T01:03Z",
            "2025-06-28T01:03:00.000Z",
        ] {
            assert_eq!(parse_millis_or_minutes(text).unwrap(), millis, "{text}");
        }
        for wrong in [
            "",
            "2025-06-28",
            "2025-06-28T01:03",
            "2025-06-28T01Z",
            "2025-06-28T01:0Z",
            "10000-01-01T00:00Z",
            "2025-06-28T01:03:00:00Z",
            "\u{e9}",
        ] {
            assert!(parse_millis_or_minutes(wrong).is_err(), "{wrong}");
        }
    }
}
