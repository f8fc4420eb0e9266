//! Times of external tokens: `NumericDate` (RFC 7519 section 2), seconds since 1970 UTC, which may have a
//! fraction, as several libraries write it.

use serde_json::Value;

/// The last second of the year 9999, in seconds since 1970 UTC. What is later, or as long before 1970, is no
/// time that anybody meant, such as one in milliseconds.
const MAX_SECONDS: f64 = 253_402_300_799.0;

/// A time of an external token, exact to the millisecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NumericDate {
    unix_millis: i64,
}

impl NumericDate {
    /// Reads a JSON number: an integer, a fraction or one with an exponent; a text is none. `None` too for what
    /// is after the year 9999 or as long before 1970.
    #[must_use]
    pub fn parse(value: &Value) -> Option<Self> {
        let seconds = value.as_f64().filter(|_| value.is_number())?;
        if !seconds.is_finite() || seconds.abs() > MAX_SECONDS {
            return None;
        }
        #[allow(
            clippy::cast_possible_truncation,
            reason = "the bound above is far below what i64 and the 53 bits of f64 hold"
        )]
        let unix_millis = (seconds * 1000.0).round() as i64;
        Some(Self { unix_millis })
    }

    /// A time in whole seconds since 1970 UTC.
    #[must_use]
    pub fn from_unix_seconds(unix_seconds: i64) -> Self {
        Self {
            unix_millis: unix_seconds.saturating_mul(1000),
        }
    }

    /// In milliseconds since 1970 UTC.
    #[must_use]
    pub fn unix_millis(self) -> i64 {
        self.unix_millis
    }

    /// In whole seconds since 1970 UTC, rounded down.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.unix_millis.div_euclid(1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Option<i64> {
        let value: Value = serde_json::from_str(json).unwrap();
        NumericDate::parse(&value).map(NumericDate::unix_millis)
    }

    #[test]
    fn numbers_in_every_form_are_times() {
        for (json, millis) in [
            ("0", 0),
            ("-0.0", 0),
            ("1795647900", 1_795_647_900_000),
            ("1795647900.25", 1_795_647_900_250),
            ("1795647900.0", 1_795_647_900_000),
            ("1795647900.9999999", 1_795_647_901_000),
            ("1.7956479e9", 1_795_647_900_000),
            ("17956479E+2", 1_795_647_900_000),
            ("-1", -1000),
            ("-0.5", -500),
            ("253402300799", 253_402_300_799_000),
        ] {
            assert_eq!(parse(json), Some(millis), "{json}");
        }
        assert_eq!(NumericDate { unix_millis: -500 }.unix_seconds(), -1);
    }

    #[test]
    fn texts_other_types_and_times_that_nobody_means_are_none() {
        for json in [
            "\"1795647900\"",
            "null",
            "true",
            "[1795647900]",
            "{}",
            "253402300800",
            "1795647900000",
            "-253402300800",
            "9223372036854775807",
            "18446744073709551616",
            "1e300",
        ] {
            assert_eq!(parse(json), None, "{json}");
        }
    }
}
