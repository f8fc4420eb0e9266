//! The literals in texts of policies and values: roles, networks, times and times of day.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate};

/// The most literals of one kind that are taken from the texts.
const MAX_LITERALS: usize = 20;
const DAY_MILLIS: i64 = 86_400_000;

/// What follows `opening` up to the next quote, in any of the texts.
pub(super) fn literals<'t>(texts: &[&'t str], opening: &str) -> BTreeSet<&'t str> {
    let all = texts.iter().flat_map(|text| text.split(opening).skip(1));
    let found: BTreeSet<&str> = all.filter_map(|rest| rest.split('"').next()).collect();
    found.into_iter().take(MAX_LITERALS).collect()
}

/// Later times at which something may change, in order: those that the texts name and the second after each.
pub(super) fn later_times(now: i64, texts: &[&str]) -> Vec<i64> {
    let dates = literals(texts, "datetime(\"")
        .into_iter()
        .filter_map(parse_datetime);
    let midnight = now - now.rem_euclid(DAY_MILLIS);
    let of_day = literals(texts, "duration(\"")
        .into_iter()
        .filter_map(parse_duration);
    let of_day = of_day.filter(|span| (0..DAY_MILLIS).contains(span));
    let of_day = of_day
        .chain([0])
        .flat_map(|span| [midnight + span, midnight + DAY_MILLIS + span]);
    let named = dates.chain(of_day).flat_map(|time| [time, time + 1000]);
    let later: BTreeSet<i64> = named.filter(|time| *time > now).collect();
    later.into_iter().collect()
}

fn parse_datetime(text: &str) -> Option<i64> {
    if let Ok(date) = text.parse::<NaiveDate>() {
        return Some(date.and_hms_opt(0, 0, 0)?.and_utc().timestamp_millis());
    }
    let time = DateTime::parse_from_rfc3339(text).or_else(|_| {
        // Cedar also takes offsets without a colon.
        DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z")
    });
    Some(time.ok()?.timestamp_millis())
}

/// A duration of Cedar, such as `1d2h30m`, in milliseconds.
fn parse_duration(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut total: i64 = 0;
    for (unit, millis) in [
        ("d", DAY_MILLIS),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ] {
        let digits = rest
            .find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let Some(after) = after.strip_prefix(unit) else {
            continue;
        };
        // `m` is not the beginning of `ms`.
        if unit == "m" && after.starts_with('s') {
            continue;
        }
        let number: i64 = number.parse().ok()?;
        total = total.checked_add(number.checked_mul(millis)?)?;
        rest = after;
    }
    rest.is_empty().then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_durations_are_read_as_cedar_reads_them() {
        for (text, millis) in [
            ("22h", Some(79_200_000)),
            ("1d2h30m", Some(95_400_000)),
            ("5m", Some(300_000)),
            ("5ms", Some(5)),
            ("1s5ms", Some(1_005)),
            ("", Some(0)),
            ("5x", None),
            ("-1h", None),
        ] {
            assert_eq!(parse_duration(text), millis, "{text}");
        }
        for (text, millis) in [
            ("1970-01-02", Some(DAY_MILLIS)),
            ("1970-01-02T00:00:00Z", Some(DAY_MILLIS)),
            ("1970-01-02T00:00:00.500Z", Some(DAY_MILLIS + 500)),
            ("1970-01-02T01:00:00+0100", Some(DAY_MILLIS)),
            ("tomorrow", None),
        ] {
            assert_eq!(parse_datetime(text), millis, "{text}");
        }
    }
}
