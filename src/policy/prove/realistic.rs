//! Values that people can read, in place of a solver's: times, and client addresses.
//!
//! A time that satisfies a condition is found beside a literal that the policies compare times with; a solver takes
//! one as far from 1970 as it can write. Where none does, the time is written for people all the same.

use chrono::{DateTime, SecondsFormat};
use serde_json::{Value, json};

use crate::policy::context_literals::ContextLiterals;

/// 2026-01-01T12:00:00Z, a time like any other.
const NOON: i64 = 1_767_268_800;
const MIDNIGHT: i64 = NOON - 43_200;
const DAY: i64 = 86_400;
/// The most times and addresses that are tried.
const MAX_TRIED: usize = 200;
/// The most literals of a kind that are combined with each other.
const MAX_COMBINED: usize = 12;
/// The address of a client like any other.
const ADDRESS: &str = "192.0.2.1";

/// The times to try, the most ordinary first: beside each literal, and at each time of day.
pub(super) fn times(literals: &ContextLiterals) -> Vec<Value> {
    let beside = |second: &i64| [*second, second + 1, second - 1];
    let of_day: Vec<i64> = literals.times_of_day.iter().flat_map(beside).collect();
    let instants: Vec<i64> = literals.instants.iter().flat_map(beside).collect();
    let mut all = vec![NOON];
    all.extend(of_day.iter().map(|second| MIDNIGHT + second));
    all.extend(&instants);
    for instant in literals.instants.iter().take(MAX_COMBINED) {
        // The day before, the day itself and the next one.
        let midnight = instant.div_euclid(DAY) * DAY;
        for day in [midnight, midnight + DAY, midnight - DAY] {
            let times = of_day.iter().take(MAX_COMBINED * 3);
            all.extend(times.map(|second| day + second));
        }
    }
    all.truncate(MAX_TRIED);
    all.into_iter()
        .filter_map(|second| datetime(second * 1_000))
        .collect()
}

/// The addresses to try: an ordinary one, and one of each network.
pub(super) fn addresses(literals: &ContextLiterals) -> Vec<Value> {
    let of_networks = literals.networks.iter().map(|network| {
        let mut hosts = network.hosts();
        let first = hosts.next().unwrap_or_else(|| network.addr());
        crate::policy::context::to_cedar_ip(first)
    });
    let all = [ADDRESS.to_owned()].into_iter().chain(of_networks);
    all.take(MAX_TRIED)
        .map(|address| json!({"__extn": {"fn": "ip", "arg": address}}))
        .collect()
}

/// A time as a value of a case; `None` outside of the years that people write with four digits.
pub(super) fn datetime(unix_millis: i64) -> Option<Value> {
    let text = rfc3339(unix_millis)?;
    Some(json!({"__extn": {"fn": "datetime", "arg": text}}))
}

/// A time of RFC 3339; `None` outside of the years 0 to 9999.
fn rfc3339(unix_millis: i64) -> Option<String> {
    let time = DateTime::from_timestamp_millis(unix_millis)?;
    let text = time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
    // RFC 3339 has four digits for the year; chrono goes on with a sign and more digits.
    text.starts_with(|first: char| first.is_ascii_digit())
        .then_some(text)
}

/// The paths of all times in a JSON value that a solver wrote, as an offset from 1970, with their milliseconds.
pub(super) fn written_as_offsets(value: &Value) -> Vec<(String, i64)> {
    let mut found = Vec::new();
    collect_offsets(value, String::new(), &mut found);
    found
}

fn collect_offsets(value: &Value, path: String, found: &mut Vec<(String, i64)>) {
    if let Some(milliseconds) = offset_of(value) {
        found.push((path, milliseconds));
        return;
    }
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                collect_offsets(member, format!("{path}/{name}"), found);
            }
        }
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                collect_offsets(element, format!("{path}/{index}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The milliseconds of `datetime("1970-01-01").offset(duration("...ms"))`.
fn offset_of(value: &Value) -> Option<i64> {
    let call = value.get("__extn")?;
    if call.get("fn")? != "offset" {
        return None;
    }
    let argument = |index: usize| call.pointer(&format!("/args/{index}/__extn/arg"))?.as_str();
    let milliseconds = argument(1)?.strip_suffix("ms")?.parse().ok()?;
    (argument(0)? == "1970-01-01").then_some(milliseconds)
}

/// A text with the times that a solver wrote as offsets written for people.
pub(super) fn with_readable_times(text: &str) -> String {
    const BEGIN: &str = "datetime(\"1970-01-01\").offset(duration(\"";
    const END: &str = "ms\"))";
    let mut written = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(BEGIN) {
        written.push_str(before);
        let offset = after.split_once(END);
        let offset = offset.and_then(|(number, after)| Some((number.parse::<i64>().ok()?, after)));
        if let Some((milliseconds, after)) = offset {
            match rfc3339(milliseconds) {
                Some(time) => written.extend(["datetime(\"", &time, "\")"]),
                None if milliseconds < 0 => written.push_str("(a time before the year 0)"),
                None => written.push_str("(a time after the year 9999)"),
            }
            rest = after;
        } else {
            written.push_str(BEGIN);
            rest = after;
        }
    }
    written.push_str(rest);
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_a_solver_are_written_for_people() {
        let offset =
            |number: &str| format!("datetime(\"1970-01-01\").offset(duration(\"{number}\"))");
        for (written, read) in [
            (
                offset("1767268800000ms"),
                "datetime(\"2026-01-01T12:00:00Z\")",
            ),
            (
                offset("1767268800123ms"),
                "datetime(\"2026-01-01T12:00:00.123Z\")",
            ),
            (
                offset("9221817238932389887ms"),
                "(a time after the year 9999)",
            ),
            (
                offset("-9221817238932389887ms"),
                "(a time before the year 0)",
            ),
            (offset("253402300800000ms"), "(a time after the year 9999)"),
            (offset("1d"), offset("1d").as_str()),
        ] {
            let text = format!("{{time: {written}, until: {written}}}");
            assert_eq!(
                with_readable_times(&text),
                format!("{{time: {read}, until: {read}}}")
            );
        }
    }

    #[test]
    fn times_are_found_wherever_a_solver_wrote_them() {
        let offset = |number: &str| {
            json!({"__extn": {"fn": "offset", "args": [
                {"__extn": {"fn": "datetime", "arg": "1970-01-01"}},
                {"__extn": {"fn": "duration", "arg": number}},
            ]}})
        };
        let value = json!({"a/b": [offset("5ms")], "c": offset("-7ms"), "d": offset("1d"), "e": 1});
        let found = written_as_offsets(&value);
        assert_eq!(found, [("/a~1b/0".to_owned(), 5), ("/c".to_owned(), -7)]);
        for (path, _) in &found {
            assert!(value.pointer(path).is_some());
        }
        assert_eq!(datetime(253_402_300_800_000), None);
    }
}
