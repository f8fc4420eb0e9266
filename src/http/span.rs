//! What part of a file a request asks for: the whole, one span, or nothing.
//!
//! Pure logic over headers and a length (RFC 9110 section 14). It refuses to know files, tokens
//! and bodies.

use std::cmp::Ordering;
use std::ops::Range;

use poem::http::header::RANGE;
use poem::http::{HeaderMap, Method};

use super::precondition::{self, Precondition, Validators};

/// The most ranges that are looked at in one header; a header with more is ignored.
pub const MOST_RANGES: usize = 64;

/// How a request for a file is to be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// 200 with the whole file; for HEAD the same headers and no body.
    Whole,
    /// 206 with these bytes (end excluded), never empty and always inside the file.
    Span(Range<u64>),
    /// 304 without a body.
    NotModified,
    /// 412: the client meant another version.
    PreconditionFailed,
    /// 416 with [`unsatisfied_range`]: no byte that was asked for exists.
    Unsatisfiable,
}

/// Selects the answer: first the preconditions, then `If-Range`, then `Range` (RFC 9110 section 13.2.2).
///
/// `etag` is written as in the `ETag` header, quotes included; `last_modified` is in seconds since
/// 1970 UTC and `size` in bytes. `Range` counts for GET alone. A `Range` that is malformed, of
/// another unit than bytes or longer than [`MOST_RANGES`] is ignored, and several ranges are
/// answered with the whole file, as RFC 9110 section 14.2 allows.
pub fn select(
    method: &Method,
    headers: &HeaderMap,
    etag: &str,
    last_modified: i64,
    size: u64,
) -> Selection {
    let now = Validators {
        etag,
        last_modified,
    };
    match precondition::evaluate(method, headers, now) {
        Precondition::NotModified => return Selection::NotModified,
        Precondition::Failed => return Selection::PreconditionFailed,
        Precondition::Met => {}
    }
    if *method != Method::GET || !precondition::is_range_wanted(headers, now) {
        return Selection::Whole;
    }
    let asked = precondition::joined(headers, &RANGE);
    asked
        .and_then(|value| ranges(str::from_utf8(&value).ok()?, size))
        .unwrap_or(Selection::Whole)
}

/// The value of `Content-Range` in a 206 (RFC 9110 section 14.4).
pub fn content_range(span: &Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", span.start, span.end.saturating_sub(1))
}

/// The value of `Content-Range` in a 416 (RFC 9110 section 14.4).
pub fn unsatisfied_range(size: u64) -> String {
    format!("bytes */{size}")
}

/// Reads a `Range` header; none if it is to be ignored.
fn ranges(value: &str, size: u64) -> Option<Selection> {
    let (unit, set) = value.trim_ascii().split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut one = None;
    let mut is_any_satisfiable = false;
    let mut count = 0;
    for (position, element) in set.split(',').enumerate() {
        if position >= MOST_RANGES {
            return None;
        }
        // Empty elements of a list are skipped: RFC 9110 section 5.6.1.2.
        let element = element.trim_matches([' ', '\t']);
        if element.is_empty() {
            continue;
        }
        let selection = range(element, size)?;
        is_any_satisfiable |= selection != Selection::Unsatisfiable;
        one = Some(selection);
        count += 1;
    }
    match count {
        0 => None,
        1 => one,
        _ if is_any_satisfiable => Some(Selection::Whole),
        _ => Some(Selection::Unsatisfiable),
    }
}

/// Reads `first-last`, `first-` or `-suffix`; none if it is malformed.
fn range(element: &str, size: u64) -> Option<Selection> {
    let (first, last) = element.split_once('-')?;
    let is_number = |text: &str| text.bytes().all(|c| c.is_ascii_digit());
    if !is_number(first) || !is_number(last) || (first.is_empty() && last.is_empty()) {
        return None;
    }
    if first.is_empty() {
        return Some(match saturating_number(last).min(size) {
            // There is no span of an empty file to send, but its end is all of it.
            0 if size == 0 && saturating_number(last) > 0 => Selection::Whole,
            0 => Selection::Unsatisfiable,
            length => Selection::Span(size - length..size),
        });
    }
    if !last.is_empty() && compare_numbers(last, first) == Ordering::Less {
        return None;
    }
    let start = saturating_number(first);
    if start >= size {
        return Some(Selection::Unsatisfiable);
    }
    let end = if last.is_empty() {
        size
    } else {
        saturating_number(last).saturating_add(1).min(size)
    };
    Some(Selection::Span(start..end))
}

/// The number that digits write; a number too large for any file is the largest there is.
fn saturating_number(digits: &str) -> u64 {
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
    use poem::http::HeaderValue;
    use poem::http::header::{
        HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
    };
    use proptest::prelude::*;

    use super::Selection::{NotModified, PreconditionFailed, Span, Unsatisfiable, Whole};
    use super::*;

    const ETAG: &str = "\"abc\"";
    const DATE: &str = "Tue, 14 Nov 2023 22:13:20 GMT";
    const MODIFIED: i64 = 1_700_000_000;

    fn selected(method: &Method, lines: &[(&'static str, &str)], size: u64) -> Selection {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        select(method, &headers, ETAG, MODIFIED, size)
    }

    fn get(range: &str, size: u64) -> Selection {
        selected(&Method::GET, &[("range", range)], size)
    }

    #[test]
    fn without_a_range_the_file_is_whole() {
        assert_eq!(selected(&Method::GET, &[], 100), Whole);
        assert_eq!(selected(&Method::GET, &[], 0), Whole);
    }

    #[test]
    fn the_three_forms_of_a_range_select_their_bytes() {
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
            assert_eq!(get(range, 100), Span(span), "{range}");
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
            assert_eq!(get(range, 100), Span(span), "{range}");
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
            assert_eq!(get(range, 100), Unsatisfiable, "{range}");
        }
    }

    #[test]
    fn of_an_empty_file_every_range_is_unsatisfiable_but_its_end_is_all_of_it() {
        assert_eq!(get("bytes=0-", 0), Unsatisfiable);
        assert_eq!(get("bytes=0-0", 0), Unsatisfiable);
        assert_eq!(get("bytes=-0", 0), Unsatisfiable);
        assert_eq!(get("bytes=-5", 0), Whole);
    }

    #[test]
    fn the_unit_is_read_in_either_case_and_another_unit_is_ignored() {
        assert_eq!(get("BYTES=0-0", 100), Span(0..1));
        assert_eq!(get("Bytes=0-0", 100), Span(0..1));
        for range in ["items=0-0", "byte=0-0", "=0-0", "none", "bytes"] {
            assert_eq!(get(range, 100), Whole, "{range}");
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
            assert_eq!(get(range, 100), Whole, "{range}");
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
            assert_eq!(get(range, 100), Span(10..20), "{range}");
        }
    }

    #[test]
    fn several_ranges_are_answered_with_the_whole_file() {
        assert_eq!(get("bytes=0-9,20-29", 100), Whole);
        assert_eq!(get("bytes=0-9, 200-", 100), Whole);
    }

    #[test]
    fn several_ranges_of_which_none_has_a_byte_are_unsatisfiable() {
        assert_eq!(get("bytes=100-, 200-300, -0", 100), Unsatisfiable);
    }

    #[test]
    fn more_ranges_than_are_looked_at_are_ignored() {
        let ranges = |count| format!("bytes={}", vec!["100-"; count].join(","));
        assert_eq!(get(&ranges(MOST_RANGES), 100), Unsatisfiable);
        assert_eq!(get(&ranges(MOST_RANGES + 1), 100), Whole);
        assert_eq!(
            get(&format!("bytes=0-0{}", ",".repeat(MOST_RANGES)), 100),
            Whole
        );
    }

    #[test]
    fn two_range_headers_are_ignored() {
        let twice = [("range", "bytes=0-9"), ("range", "bytes=0-9")];
        assert_eq!(selected(&Method::GET, &twice, 100), Whole);
    }

    #[test]
    fn a_range_counts_for_get_alone() {
        for range in ["bytes=0-9", "bytes=100-"] {
            assert_eq!(
                selected(&Method::HEAD, &[("range", range)], 100),
                Whole,
                "{range}"
            );
        }
    }

    #[test]
    fn preconditions_come_before_the_range() {
        let with_range =
            |name, value| selected(&Method::GET, &[("range", "bytes=100-"), (name, value)], 100);
        assert_eq!(with_range("if-none-match", ETAG), NotModified);
        assert_eq!(with_range("if-modified-since", DATE), NotModified);
        assert_eq!(with_range("if-match", "\"x\""), PreconditionFailed);
        assert_eq!(with_range("if-match", ETAG), Unsatisfiable);
    }

    #[test]
    fn if_range_turns_a_span_of_another_version_into_the_whole_file() {
        let ask = |condition, range| {
            selected(
                &Method::GET,
                &[("range", range), ("if-range", condition)],
                100,
            )
        };
        assert_eq!(ask(ETAG, "bytes=0-9"), Span(0..10));
        assert_eq!(ask(DATE, "bytes=0-9"), Span(0..10));
        assert_eq!(ask("\"x\"", "bytes=0-9"), Whole);
        assert_eq!(
            ask("\"x\"", "bytes=100-"),
            Whole,
            "never 416 about another version"
        );
        assert_eq!(selected(&Method::GET, &[("if-range", "\"x\"")], 100), Whole);
    }

    #[test]
    fn content_range_tells_the_last_byte_not_the_end() {
        assert_eq!(content_range(&(10..20), 100), "bytes 10-19/100");
        assert_eq!(unsatisfied_range(100), "bytes */100");
    }

    fn header() -> impl Strategy<Value = (HeaderName, HeaderValue)> {
        let names = [
            RANGE,
            IF_RANGE,
            IF_MATCH,
            IF_NONE_MATCH,
            IF_MODIFIED_SINCE,
            IF_UNMODIFIED_SINCE,
        ];
        let value = prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..40),
            "(bytes=)?[-0-9, ]{0,30}".prop_map(String::into_bytes),
            "(W/)?\"[abc,]{0,4}\"[, *]{0,3}(W/)?\"?[abc]{0,4}\"?".prop_map(String::into_bytes),
        ];
        let value = value.prop_filter_map("no header value", |bytes| {
            HeaderValue::from_bytes(&bytes).ok()
        });
        (proptest::sample::select(names.to_vec()), value)
    }

    proptest! {
        #[test]
        fn no_header_panics_and_every_span_lies_inside_the_file(
            lines in proptest::collection::vec(header(), 0..6),
            size in prop_oneof![0u64..200, any::<u64>()],
            modified: i64,
            is_head: bool,
        ) {
            let headers: HeaderMap = {
                let mut headers = HeaderMap::new();
                for (name, value) in lines {
                    headers.append(name, value);
                }
                headers
            };
            let method = if is_head { Method::HEAD } else { Method::GET };
            if let Span(span) = select(&method, &headers, ETAG, modified, size) {
                prop_assert!(!is_head);
                prop_assert!(span.start < span.end);
                prop_assert!(span.end <= size);
            }
        }

        #[test]
        fn a_range_inside_the_file_selects_exactly_itself(size in 1u64.., a: u64, b: u64) {
            let (first, last) = ((a % size).min(b % size), (a % size).max(b % size));
            prop_assert_eq!(get(&format!("bytes={first}-{last}"), size), Span(first..last + 1));
        }

        #[test]
        fn numbers_of_any_length_compare_as_numbers(a: u64, b: u64, zeros in 0usize..5) {
            let padded = format!("{}{a}", "0".repeat(zeros));
            prop_assert_eq!(compare_numbers(&padded, &b.to_string()), a.cmp(&b));
        }
    }
}
