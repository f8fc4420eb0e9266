//! The `Range` header: which bytes of a file it requests (RFC 9110 section 14.1).
//!
//! Numbers of any length are accepted: one that is too large for any file is past its end.

use std::cmp::Ordering;
use std::ops::Range;

/// The most ranges in one header; a header with more is ignored.
pub const MAX_RANGES: usize = 64;

/// What a `Range` header requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestedRange {
    /// These bytes (end excluded), never empty and always inside the file.
    Span(Range<u64>),
    /// The end of an empty file, which is all of it, or several ranges of which one has a byte.
    Whole,
    /// No byte that exists.
    Unsatisfiable,
}

/// Parses a `Range` header; `None` if it is to be ignored: it is malformed, has another unit than
/// bytes or more ranges than [`MAX_RANGES`].
pub fn parse(value: &str, size: u64) -> Option<RequestedRange> {
    let (unit, set) = value.trim_ascii().split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut one = None;
    let mut is_any_satisfiable = false;
    let mut count = 0;
    for (position, element) in set.split(',').enumerate() {
        if position >= MAX_RANGES {
            return None;
        }
        // Empty elements of a list are skipped: RFC 9110 section 5.6.1.2.
        let element = element.trim_matches([' ', '\t']);
        if element.is_empty() {
            continue;
        }
        let range = parse_range(element, size)?;
        is_any_satisfiable |= range != RequestedRange::Unsatisfiable;
        one = Some(range);
        count += 1;
    }
    match count {
        0 => None,
        1 => one,
        _ if is_any_satisfiable => Some(RequestedRange::Whole),
        _ => Some(RequestedRange::Unsatisfiable),
    }
}

/// Parses `first-last`, `first-` or `-suffix`; `None` if it is malformed.
fn parse_range(element: &str, size: u64) -> Option<RequestedRange> {
    let (first, last) = element.split_once('-')?;
    let is_number = |text: &str| text.bytes().all(|c| c.is_ascii_digit());
    if !is_number(first) || !is_number(last) || (first.is_empty() && last.is_empty()) {
        return None;
    }
    if first.is_empty() {
        return Some(match parse_saturating(last).min(size) {
            // There is no span of an empty file to send, but its end is all of it.
            0 if size == 0 && parse_saturating(last) > 0 => RequestedRange::Whole,
            0 => RequestedRange::Unsatisfiable,
            length => RequestedRange::Span(size - length..size),
        });
    }
    if !last.is_empty() && compare_numbers(last, first) == Ordering::Less {
        return None;
    }
    let start = parse_saturating(first);
    if start >= size {
        return Some(RequestedRange::Unsatisfiable);
    }
    let end = if last.is_empty() {
        size
    } else {
        parse_saturating(last).saturating_add(1).min(size)
    };
    Some(RequestedRange::Span(start..end))
}

/// Parses digits; a number that is too large becomes `u64::MAX`.
fn parse_saturating(digits: &str) -> u64 {
    digits.parse().unwrap_or(u64::MAX)
}

/// Compares numbers of any length.
fn compare_numbers(one: &str, other: &str) -> Ordering {
    let one = one.trim_start_matches('0');
    let other = other.trim_start_matches('0');
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::RequestedRange::{Span, Unsatisfiable, Whole};
    use super::*;

    #[test]
    fn the_three_forms_of_a_range_are_parsed() {
        for (range, span) in [
            ("bytes=0-0", 0..1),
            ("bytes=0-99", 0..100),
            ("bytes=10-19", 10..20),
            ("bytes=99-99", 99..100),
            ("bytes=90-", 90..100),
            ("bytes=0-", 0..100),
            ("bytes=-1", 99..100),
            ("bytes=-100", 0..100),
            ("bytes=007-0008", 7..9),
        ] {
            assert_eq!(parse(range, 100), Some(Span(span)), "{range}");
        }
    }

    #[test]
    fn a_range_that_reaches_past_the_end_is_cut_there() {
        for (range, span) in [
            ("bytes=50-100", 50..100),
            ("bytes=50-18446744073709551615", 50..100),
            ("bytes=50-99999999999999999999999999", 50..100),
            ("bytes=-101", 0..100),
            ("bytes=-99999999999999999999999999", 0..100),
        ] {
            assert_eq!(parse(range, 100), Some(Span(span)), "{range}");
        }
    }

    #[test]
    fn a_range_without_a_single_byte_is_unsatisfiable() {
        for range in [
            "bytes=100-",
            "bytes=100-200",
            "bytes=18446744073709551615-",
            "bytes=99999999999999999999999999-",
            "bytes=99999999999999999999-99999999999999999999",
            "bytes=-0",
            "bytes=-000",
        ] {
            assert_eq!(parse(range, 100), Some(Unsatisfiable), "{range}");
        }
    }

    #[test]
    fn every_range_of_an_empty_file_is_unsatisfiable_except_its_suffix() {
        assert_eq!(parse("bytes=0-", 0), Some(Unsatisfiable));
        assert_eq!(parse("bytes=0-0", 0), Some(Unsatisfiable));
        assert_eq!(parse("bytes=-0", 0), Some(Unsatisfiable));
        assert_eq!(parse("bytes=-5", 0), Some(Whole));
    }

    #[test]
    fn the_unit_is_case_insensitive_and_another_unit_is_ignored() {
        assert_eq!(parse("BYTES=0-0", 100), Some(Span(0..1)));
        assert_eq!(parse("Bytes=0-0", 100), Some(Span(0..1)));
        for range in ["items=0-0", "byte=0-0", "=0-0", "none", "bytes"] {
            assert_eq!(parse(range, 100), None, "{range}");
        }
    }

    #[test]
    fn a_malformed_range_is_ignored() {
        for range in [
            "",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=--1",
            "bytes=1",
            "bytes=a-b",
            "bytes=1-b",
            "bytes=+1-2",
            "bytes=0x1-2",
            "bytes=1 - 2",
            "bytes =0-1",
            "bytes=0-1-2",
            "bytes=20-10",
            "bytes=99999999999999999999-99999999999999999998",
            "bytes=0-1;q",
            "bytes=0-1, x",
            "bytes=0-1, 9-8",
            "bytes:0-1",
        ] {
            assert_eq!(parse(range, 100), None, "{range}");
        }
    }

    #[test]
    fn one_range_among_empty_elements_is_one_range() {
        for range in [
            "bytes=10-19,",
            "bytes=, ,10-19",
            "bytes= 10-19 \t",
            " bytes=10-19",
        ] {
            assert_eq!(parse(range, 100), Some(Span(10..20)), "{range}");
        }
    }

    #[test]
    fn several_ranges_give_the_whole_file() {
        assert_eq!(parse("bytes=0-9,20-29", 100), Some(Whole));
        assert_eq!(parse("bytes=0-9, 200-", 100), Some(Whole));
    }

    #[test]
    fn several_ranges_of_which_none_has_a_byte_are_unsatisfiable() {
        assert_eq!(parse("bytes=100-, 200-300, -0", 100), Some(Unsatisfiable));
    }

    #[test]
    fn a_header_with_too_many_ranges_is_ignored() {
        let ranges = |count| format!("bytes={}", vec!["100-"; count].join(","));
        assert_eq!(parse(&ranges(MAX_RANGES), 100), Some(Unsatisfiable));
        assert_eq!(parse(&ranges(MAX_RANGES + 1), 100), None);
        assert_eq!(
            parse(&format!("bytes=0-0{}", ",".repeat(MAX_RANGES)), 100),
            None
        );
    }

    proptest! {
        #[test]
        fn a_range_inside_the_file_is_exactly_itself(size in 1u64.., a: u64, b: u64) {
            let (first, last) = ((a % size).min(b % size), (a % size).max(b % size));
            prop_assert_eq!(parse(&format!("bytes={first}-{last}"), size), Some(Span(first..last + 1)));
        }

        #[test]
        fn numbers_of_any_length_compare_as_numbers(a: u64, b: u64, zeros in 0usize..5) {
            let padded = format!("{}{a}", "0".repeat(zeros));
            prop_assert_eq!(compare_numbers(&padded, &b.to_string()), a.cmp(&b));
        }
    }
}
