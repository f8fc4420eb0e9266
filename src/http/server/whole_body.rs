//! Whole bodies: an operation takes the complete content of a resource, as it is, or nothing.
//!
//! A client that sends a part of a file, says so in a header and gets a 200 believes that the server put the
//! part where it belongs, while the part has replaced the whole. The same goes for content that is coded, and
//! for content that is not what its digest says. So an operation that takes a body refuses, before any work:
//!
//! - parts: `Content-Range` (RFC 9110 section 14.5), and the headers of other protocols that upload in parts;
//! - content codings other than `identity`, with 415 (RFC 9110 sections 8.4 and 15.5.16);
//! - transfer codings other than `chunked`, with 501 (RFC 9112 section 6.1), which hyper would leave as they are;
//! - digests that are wrong, or that cannot be checked (`body_digests.rs`).
//!
//! Operations that take no body do not look at these headers: no header that the contract of the mint does not
//! name changes its response.

use poem::http::header::{CONTENT_ENCODING, HeaderName, TRANSFER_ENCODING};
use poem::http::{HeaderMap, StatusCode};

use crate::http::conditional::precondition::joined_header;
use crate::http::reply::problem::Problem;

use super::body_digests::BodyDigests;
use super::operations::BodyKind;

/// Headers that say that a body is a part, and the value with which each says that it is all.
const PART_HEADERS: [(&str, Option<&str>); 8] = [
    ("content-range", None),
    // Upload modules of web servers, which other programs took over.
    ("x-content-range", None),
    // SabreDAV's PATCH.
    ("x-update-range", None),
    // ownCloud.
    ("oc-chunked", None),
    // tus 1.0, and the resumable uploads of the IETF and their drafts.
    ("tus-resumable", None),
    ("upload-offset", None),
    ("upload-complete", Some("?1")),
    ("upload-incomplete", Some("?0")),
];

/// Refuses a body that is not whole, if it is admitted so far; returns its digests, if there are any to check.
pub(super) fn admit_whole<T>(
    admitted: Result<T, Problem>,
    body: Option<BodyKind>,
    headers: &HeaderMap,
) -> (Result<T, Problem>, Option<BodyDigests>) {
    match admitted.and_then(|permit| Ok((permit, check_whole(body, headers)?))) {
        Ok((permit, digests)) => (Ok(permit), digests),
        Err(problem) => (Err(problem), None),
    }
}

fn check_whole(
    body: Option<BodyKind>,
    headers: &HeaderMap,
) -> Result<Option<BodyDigests>, Problem> {
    match body {
        Some(BodyKind::OfAnyone | BodyKind::OfCallers | BodyKind::OfCallersOrAnonymous) => {}
        Some(BodyKind::Unused) | None => return Ok(None),
    }
    if let Some(name) = part_header(headers) {
        let detail = format!(
            "the header {name} says that the body is a part, and only whole bodies are accepted: send \
             all of it, without this header"
        );
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    let is_identity = |coding: &str| matches!(coding, "" | "identity");
    if let Some(coding) = tokens(headers, &CONTENT_ENCODING).find(|coding| !is_identity(coding)) {
        return Err(Problem::unsupported_coding(format!(
            "the content coding {coding} is not supported: send the body as it is"
        )));
    }
    let mut codings = tokens(headers, &TRANSFER_ENCODING).filter(|coding| !coding.is_empty());
    if let Some(coding) = codings.find(|coding| coding != "chunked") {
        let detail = format!("the transfer coding {coding} is not supported; chunked is");
        return Err(Problem::new(StatusCode::NOT_IMPLEMENTED, detail));
    }
    BodyDigests::from_headers(headers)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.to_string()))
}

/// The first header that says that the body is a part.
fn part_header(headers: &HeaderMap) -> Option<&'static str> {
    let found = PART_HEADERS.iter().find(|(name, whole)| {
        headers.get_all(*name).iter().any(|value| {
            whole.is_none_or(|whole| value.as_bytes().trim_ascii() != whole.as_bytes())
        })
    });
    found.map(|(name, _)| *name)
}

/// The elements of a header that lists names, in lower case.
fn tokens(headers: &HeaderMap, name: &HeaderName) -> impl Iterator<Item = String> {
    let listed = joined_header(headers, name).unwrap_or_default();
    let listed = String::from_utf8_lossy(&listed).to_ascii_lowercase();
    let tokens: Vec<_> = listed.split(',').map(|it| it.trim().to_owned()).collect();
    tokens.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status_of(body: BodyKind, lines: &[(&'static str, &'static str)]) -> u16 {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        match check_whole(Some(body), &headers) {
            Ok(_) => 200,
            Err(problem) => poem::IntoResponse::into_response(problem).status().as_u16(),
        }
    }

    #[test]
    fn a_part_is_refused_in_whatever_words_it_is_announced() {
        for line in [
            ("content-range", "bytes 0-999/194751"),
            ("content-range", "bytes 0-99/100"),
            ("content-range", "bytes */100"),
            ("content-range", "items 1-2/3"),
            ("content-range", ""),
            ("x-content-range", "bytes 0-1/2"),
            ("x-update-range", "append"),
            ("oc-chunked", "1"),
            ("tus-resumable", "1.0.0"),
            ("upload-offset", "0"),
            ("upload-complete", "?0"),
            ("upload-incomplete", "?1"),
        ] {
            assert_eq!(status_of(BodyKind::OfCallers, &[line]), 400, "{line:?}");
            assert_eq!(status_of(BodyKind::OfAnyone, &[line]), 400, "{line:?}");
            assert_eq!(status_of(BodyKind::Unused, &[line]), 200, "{line:?}");
        }
        for line in [
            ("upload-complete", "?1"),
            ("upload-incomplete", "?0"),
            ("range", "bytes=0-1"),
        ] {
            assert_eq!(status_of(BodyKind::OfCallers, &[line]), 200, "{line:?}");
        }
    }

    #[test]
    fn codings_are_refused_unless_they_change_nothing() {
        for coding in [
            "gzip",
            "deflate",
            "br",
            "zstd",
            "aws-chunked",
            "identity, gzip",
            "x",
        ] {
            let line = ("content-encoding", coding);
            assert_eq!(status_of(BodyKind::OfCallers, &[line]), 415, "{coding}");
        }
        let two = [
            ("content-encoding", "identity"),
            ("content-encoding", "GZIP"),
        ];
        assert_eq!(status_of(BodyKind::OfCallers, &two), 415);
        for coding in ["", "identity", "Identity", "identity, identity"] {
            let line = ("content-encoding", coding);
            assert_eq!(status_of(BodyKind::OfCallers, &[line]), 200, "{coding}");
        }
        for (coding, status) in [("chunked", 200), ("Chunked", 200), ("gzip, chunked", 501)] {
            let line = ("transfer-encoding", coding);
            assert_eq!(status_of(BodyKind::OfCallers, &[line]), status, "{coding}");
        }
    }
}
