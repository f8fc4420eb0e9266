//! Preconditions: evaluating the `If-...` headers of a request (RFC 9110 section 13).

use std::borrow::Cow;
use std::time::{Duration, UNIX_EPOCH};

use poem::http::header::{
    HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE,
};
use poem::http::{HeaderMap, HeaderValue, Method};

use super::entity_tag::{matches_strongly, matches_weakly, split_entity_tag, strong_eq};

/// The latest HTTP date, in seconds since 1970 UTC: the end of the year 9999.
const MAX_HTTP_DATE: u64 = 253_402_300_799;

/// What the `If-...` headers of a request result in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreconditionOutcome {
    /// The request is processed.
    Met,
    /// 304: the client has this version already.
    NotModified,
    /// 412: the client means another version.
    Failed,
}

/// What identifies the version of a file that would be sent now.
#[derive(Clone, Copy, Debug)]
pub struct Validators<'a> {
    /// The entity tag as it stands in the `ETag` header: quoted, and strong unless it begins with `W/`.
    pub etag: &'a str,
    /// The date of the `Last-Modified` header, in seconds since 1970 UTC.
    pub last_modified: i64,
}

/// Formats seconds since 1970 UTC as an HTTP date (RFC 9110 section 5.6.7), clamped to 1970 to 9999.
pub fn format_http_date(unix_seconds: i64) -> String {
    let seconds = u64::try_from(unix_seconds)
        .unwrap_or_default()
        .min(MAX_HTTP_DATE);
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
}

/// Evaluates all preconditions but `If-Range`, in the order of RFC 9110 section 13.2.2.
pub fn evaluate(method: &Method, headers: &HeaderMap, now: Validators<'_>) -> PreconditionOutcome {
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    if let Some(listed) = joined_header(headers, &IF_MATCH) {
        if !matches_strongly(&listed, now.etag) {
            return PreconditionOutcome::Failed;
        }
    } else if let Some(date) = date_header(headers, &IF_UNMODIFIED_SINCE)
        && now.last_modified > date
    {
        return PreconditionOutcome::Failed;
    }
    if let Some(listed) = joined_header(headers, &IF_NONE_MATCH) {
        if matches_weakly(&listed, now.etag) {
            return if is_read {
                PreconditionOutcome::NotModified
            } else {
                PreconditionOutcome::Failed
            };
        }
    } else if is_read
        && let Some(date) = date_header(headers, &IF_MODIFIED_SINCE)
        && now.last_modified <= date
    {
        return PreconditionOutcome::NotModified;
    }
    PreconditionOutcome::Met
}

/// Whether `If-Range` (RFC 9110 section 13.1.5) lets a `Range` header count.
///
/// An entity tag must be strong and the same; a date must be exactly `Last-Modified`. Without the
/// header the answer is yes; with one that is malformed or repeated it is no, and the client gets
/// the whole file, which is never wrong.
pub fn if_range_matches(headers: &HeaderMap, now: Validators<'_>) -> bool {
    let Some(value) = joined_header(headers, &IF_RANGE) else {
        return true;
    };
    let value = value.trim_ascii();
    match split_entity_tag(value) {
        Some((tag, [])) => strong_eq(tag, now.etag.as_bytes()),
        Some(_) => false,
        None => parse_http_date(value) == Some(now.last_modified),
    }
}

/// All lines of a header as one value (RFC 9110 section 5.3), or `None` if there is no line.
pub(crate) fn joined_header<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> Option<Cow<'a, [u8]>> {
    let mut lines = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let mut joined = Cow::Borrowed(lines.next()?);
    for line in lines {
        joined.to_mut().extend_from_slice(b", ");
        joined.to_mut().extend_from_slice(line);
    }
    Some(joined)
}

/// The date in a header; `None` if it is absent, repeated or malformed, which are all ignored.
fn date_header(headers: &HeaderMap, name: &HeaderName) -> Option<i64> {
    parse_http_date(joined_header(headers, name)?.trim_ascii())
}

fn parse_http_date(value: &[u8]) -> Option<i64> {
    let time = httpdate::parse_http_date(str::from_utf8(value).ok()?).ok()?;
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use PreconditionOutcome::{Failed, Met, NotModified};

    const ETAG: &str = "\"abc\"";
    const DATE: &str = "Tue, 14 Nov 2023 22:13:20 GMT";
    const LATER: &str = "Tue, 14 Nov 2023 22:13:21 GMT";
    const EARLIER: &str = "Tue, 14 Nov 2023 22:13:19 GMT";
    const NOW: Validators<'_> = Validators {
        etag: ETAG,
        last_modified: 1_700_000_000,
    };

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn on_get(lines: &[(&'static str, &str)]) -> PreconditionOutcome {
        evaluate(&Method::GET, &headers(lines), NOW)
    }

    #[test]
    fn a_request_without_conditions_is_processed() {
        assert_eq!(on_get(&[]), Met);
    }

    #[test]
    fn if_match_is_met_by_the_tag_a_list_with_it_and_a_star() {
        for value in [ETAG, "\"x\", \"abc\"", "*"] {
            assert_eq!(on_get(&[("if-match", value)]), Met, "{value}");
        }
    }

    #[test]
    fn if_match_fails_for_another_tag_a_weak_one_and_a_malformed_one() {
        for value in ["\"x\"", "W/\"abc\"", "abc", ""] {
            assert_eq!(on_get(&[("if-match", value)]), Failed, "{value}");
        }
    }

    #[test]
    fn a_weak_version_never_matches_strongly() {
        let weak = Validators {
            etag: "W/\"abc\"",
            ..NOW
        };
        let lines = headers(&[("if-match", "W/\"abc\"")]);
        assert_eq!(evaluate(&Method::GET, &lines, weak), Failed);
        assert!(!if_range_matches(
            &headers(&[("if-range", "W/\"abc\"")]),
            weak
        ));
    }

    #[test]
    fn if_none_match_gives_not_modified_for_the_tag_weak_or_strong_listed_or_starred() {
        for value in [ETAG, "W/\"abc\"", "\"x\", W/\"abc\"", "*"] {
            assert_eq!(on_get(&[("if-none-match", value)]), NotModified, "{value}");
        }
    }

    #[test]
    fn if_none_match_is_met_by_another_tag_and_a_malformed_one() {
        for value in ["\"x\"", "abc", ""] {
            assert_eq!(on_get(&[("if-none-match", value)]), Met, "{value}");
        }
    }

    #[test]
    fn several_lines_of_a_list_count_as_one() {
        assert_eq!(on_get(&[("if-match", "\"x\""), ("if-match", ETAG)]), Met);
        assert_eq!(
            on_get(&[("if-none-match", "\"x\""), ("if-none-match", ETAG)]),
            NotModified
        );
    }

    #[test]
    fn if_none_match_fails_for_unsafe_methods() {
        let lines = headers(&[("if-none-match", ETAG)]);
        assert_eq!(evaluate(&Method::POST, &lines, NOW), Failed);
        assert_eq!(evaluate(&Method::HEAD, &lines, NOW), NotModified);
    }

    #[test]
    fn if_modified_since_gives_not_modified_from_that_second_on() {
        assert_eq!(on_get(&[("if-modified-since", DATE)]), NotModified);
        assert_eq!(on_get(&[("if-modified-since", LATER)]), NotModified);
        assert_eq!(on_get(&[("if-modified-since", EARLIER)]), Met);
        let lines = headers(&[("if-modified-since", DATE)]);
        assert_eq!(evaluate(&Method::HEAD, &lines, NOW), NotModified);
    }

    #[test]
    fn if_modified_since_counts_for_get_and_head_only() {
        let lines = headers(&[("if-modified-since", DATE)]);
        assert_eq!(evaluate(&Method::POST, &lines, NOW), Met);
    }

    #[test]
    fn if_unmodified_since_fails_before_the_second_of_the_change() {
        assert_eq!(on_get(&[("if-unmodified-since", EARLIER)]), Failed);
        assert_eq!(on_get(&[("if-unmodified-since", DATE)]), Met);
        assert_eq!(on_get(&[("if-unmodified-since", LATER)]), Met);
    }

    #[test]
    fn dates_in_the_two_obsolete_formats_are_parsed() {
        for value in [
            "Tuesday, 14-Nov-23 22:13:20 GMT",
            "Tue Nov 14 22:13:20 2023",
        ] {
            assert_eq!(
                on_get(&[("if-modified-since", value)]),
                NotModified,
                "{value}"
            );
        }
    }

    #[test]
    fn a_malformed_or_repeated_date_is_ignored() {
        for value in ["", "yesterday", "1700000000", "2023-11-14T22:13:20Z"] {
            assert_eq!(on_get(&[("if-modified-since", value)]), Met, "{value}");
            assert_eq!(on_get(&[("if-unmodified-since", value)]), Met, "{value}");
        }
        assert_eq!(
            on_get(&[("if-modified-since", DATE), ("if-modified-since", DATE)]),
            Met
        );
        let twice = [
            ("if-unmodified-since", EARLIER),
            ("if-unmodified-since", EARLIER),
        ];
        assert_eq!(on_get(&twice), Met);
    }

    #[test]
    fn if_match_overrides_if_unmodified_since() {
        assert_eq!(
            on_get(&[("if-match", ETAG), ("if-unmodified-since", EARLIER)]),
            Met
        );
        assert_eq!(
            on_get(&[("if-match", "\"x\""), ("if-unmodified-since", LATER)]),
            Failed
        );
    }

    #[test]
    fn if_none_match_overrides_if_modified_since() {
        assert_eq!(
            on_get(&[("if-none-match", "\"x\""), ("if-modified-since", DATE)]),
            Met
        );
        assert_eq!(
            on_get(&[("if-none-match", ETAG), ("if-modified-since", EARLIER)]),
            NotModified
        );
    }

    #[test]
    fn if_match_is_evaluated_before_if_none_match() {
        assert_eq!(
            on_get(&[("if-match", "\"x\""), ("if-none-match", ETAG)]),
            Failed
        );
        assert_eq!(
            on_get(&[("if-match", ETAG), ("if-none-match", ETAG)]),
            NotModified
        );
        assert_eq!(
            on_get(&[("if-unmodified-since", EARLIER), ("if-none-match", ETAG)]),
            Failed
        );
    }

    #[test]
    fn if_range_matches_the_same_strong_tag_or_the_exact_date() {
        let matches = |value| if_range_matches(&headers(&[("if-range", value)]), NOW);
        assert!(if_range_matches(&headers(&[]), NOW));
        for value in [ETAG, " \"abc\" ", DATE] {
            assert!(matches(value), "{value}");
        }
        for value in [
            "\"x\"",
            "W/\"abc\"",
            "\"abc\", \"x\"",
            "*",
            "",
            "abc",
            LATER,
            EARLIER,
        ] {
            assert!(!matches(value), "{value}");
        }
        assert!(!if_range_matches(
            &headers(&[("if-range", ETAG), ("if-range", ETAG)]),
            NOW
        ));
    }

    #[test]
    fn http_dates_are_clamped_to_their_years() {
        assert_eq!(format_http_date(1_700_000_000), DATE);
        assert_eq!(format_http_date(-1), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(format_http_date(i64::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
