//! Spans: which part of a file a request gets: the whole, one span, or nothing (RFC 9110 section 14).

use std::ops::Range;

use poem::http::header::RANGE;
use poem::http::{HeaderMap, Method};

use super::precondition::{self, PreconditionOutcome, Validators};
use super::range_header::{self, RequestedRange};

/// How a request for a file is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SelectedRange {
    /// 200 with the whole file; for HEAD the same headers and no body.
    Whole,
    /// 206 with these bytes (end excluded), never empty and always inside the file.
    Span(Range<u64>),
    /// 304 without a body.
    NotModified,
    /// 412: the client means another version.
    PreconditionFailed,
    /// 416 with [`unsatisfied_range`]: no requested byte exists.
    Unsatisfiable,
}

/// Selects the range: first the preconditions, then `If-Range`, then `Range` (RFC 9110 section 13.2.2).
///
/// `etag` is written as in the `ETag` header, quotes included; `last_modified` is in seconds since
/// 1970 UTC and `size` in bytes. `Range` counts for GET alone. A `Range` that
/// [`range_header::parse`] ignores counts as none, and several ranges are answered with the whole
/// file, as RFC 9110 section 14.2 allows.
pub fn select_range(
    method: &Method,
    headers: &HeaderMap,
    etag: &str,
    last_modified: i64,
    size: u64,
) -> SelectedRange {
    let now = Validators {
        etag,
        last_modified,
    };
    match precondition::evaluate(method, headers, now) {
        PreconditionOutcome::NotModified => return SelectedRange::NotModified,
        PreconditionOutcome::Failed => return SelectedRange::PreconditionFailed,
        PreconditionOutcome::Met => {}
    }
    if *method != Method::GET || !precondition::if_range_matches(headers, now) {
        return SelectedRange::Whole;
    }
    let range = precondition::joined_header(headers, &RANGE);
    match range.and_then(|value| range_header::parse(str::from_utf8(&value).ok()?, size)) {
        Some(RequestedRange::Span(span)) => SelectedRange::Span(span),
        Some(RequestedRange::Unsatisfiable) => SelectedRange::Unsatisfiable,
        Some(RequestedRange::Whole) | None => SelectedRange::Whole,
    }
}

/// The value of `Content-Range` in a 206 (RFC 9110 section 14.4).
pub fn content_range(span: &Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", span.start, span.end.saturating_sub(1))
}

/// The value of `Content-Range` in a 416 (RFC 9110 section 14.4).
pub fn unsatisfied_range(size: u64) -> String {
    format!("bytes */{size}")
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;
    use poem::http::header::{
        HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
    };
    use proptest::prelude::*;

    use super::SelectedRange::{NotModified, PreconditionFailed, Span, Unsatisfiable, Whole};
    use super::*;

    const ETAG: &str = "\"abc\"";
    const DATE: &str = "Tue, 14 Nov 2023 22:13:20 GMT";
    const MODIFIED: i64 = 1_700_000_000;

    fn selected(method: &Method, lines: &[(&'static str, &str)], size: u64) -> SelectedRange {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        select_range(method, &headers, ETAG, MODIFIED, size)
    }

    #[test]
    fn without_a_range_the_file_is_whole() {
        assert_eq!(selected(&Method::GET, &[], 100), Whole);
        assert_eq!(selected(&Method::GET, &[], 0), Whole);
    }

    #[test]
    fn a_range_is_answered_with_its_bytes_the_whole_file_or_unsatisfiable() {
        for (range, size, selection) in [
            ("bytes=10-19", 100, Span(10..20)),
            ("bytes=0-9,20-29", 100, Whole),
            ("bytes=-5", 0, Whole),
            ("bytes=100-", 100, Unsatisfiable),
            ("bytes=100-, 200-300", 100, Unsatisfiable),
            ("bytes=20-10", 100, Whole),
            ("items=0-0", 100, Whole),
        ] {
            let lines = [("range", range)];
            assert_eq!(selected(&Method::GET, &lines, size), selection, "{range}");
        }
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
    fn preconditions_are_evaluated_before_the_range() {
        let with_range =
            |name, value| selected(&Method::GET, &[("range", "bytes=100-"), (name, value)], 100);
        assert_eq!(with_range("if-none-match", ETAG), NotModified);
        assert_eq!(with_range("if-modified-since", DATE), NotModified);
        assert_eq!(with_range("if-match", "\"x\""), PreconditionFailed);
        assert_eq!(with_range("if-match", ETAG), Unsatisfiable);
    }

    #[test]
    fn if_range_turns_a_span_of_another_version_into_the_whole_file() {
        let select = |condition, range| {
            selected(
                &Method::GET,
                &[("range", range), ("if-range", condition)],
                100,
            )
        };
        assert_eq!(select(ETAG, "bytes=0-9"), Span(0..10));
        assert_eq!(select(DATE, "bytes=0-9"), Span(0..10));
        assert_eq!(select("\"x\"", "bytes=0-9"), Whole);
        assert_eq!(
            select("\"x\"", "bytes=100-"),
            Whole,
            "never 416 about another version"
        );
        assert_eq!(selected(&Method::GET, &[("if-range", "\"x\"")], 100), Whole);
    }

    #[test]
    fn content_range_names_the_last_byte_not_the_end() {
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
            if let Span(span) = select_range(&method, &headers, ETAG, modified, size) {
                prop_assert!(!is_head);
                prop_assert!(span.start < span.end);
                prop_assert!(span.end <= size);
            }
        }
    }
}
