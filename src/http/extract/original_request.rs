//! The original request: what a proxy says of the request that it asks about.
//!
//! nginx names it in `X-Original-URI` and `X-Original-Method`, Traefik and Caddy in `X-Forwarded-Uri` and
//! `X-Forwarded-Method`. Clients can send these headers too, and proxies pass on what they do not set: so where
//! both pairs are there they have to agree, and neither may be there twice.

use poem::http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::http::reply::problem::Problem;

/// The headers that name the URI: that of nginx, and that of the others.
pub(crate) const URI_HEADERS: [&str; 2] = ["x-original-uri", "x-forwarded-uri"];
/// The headers that name the method, in the same order.
pub(crate) const METHOD_HEADERS: [&str; 2] = ["x-original-method", "x-forwarded-method"];

/// The request that a proxy asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OriginalRequest<'a> {
    /// The path as the client sent it.
    pub(crate) path: &'a str,
    /// The query as the client sent it; empty if there is none.
    pub(crate) query: &'a str,
}

/// Why there is no original request to decide about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OriginalRequestError {
    #[error(
        "the proxy did not say which URI was requested: let it send X-Original-URI or X-Forwarded-Uri"
    )]
    NoUri,
    #[error("a header that names the original request is there twice")]
    Repeated,
    #[error(
        "X-Original-URI and X-Forwarded-Uri, or X-Original-Method and X-Forwarded-Method, name different \
         requests: let the proxy remove those that it does not set"
    )]
    Conflicting,
    #[error("the original URI is not a path with an optional query, in visible ASCII characters")]
    MalformedUri,
    #[error(
        "only GET and HEAD read a file: let the proxy answer other methods itself, CORS preflights too"
    )]
    OtherMethod,
}

impl<'a> OriginalRequest<'a> {
    /// Reads the headers of a trusted proxy.
    pub(crate) fn from_headers(headers: &'a HeaderMap) -> Result<Self, OriginalRequestError> {
        let uri = agreed_value(headers, &URI_HEADERS)?.ok_or(OriginalRequestError::NoUri)?;
        let method = agreed_value(headers, &METHOD_HEADERS)?;
        if method
            .is_some_and(|method| method != Method::GET.as_str() && method != Method::HEAD.as_str())
        {
            return Err(OriginalRequestError::OtherMethod);
        }
        let uri = std::str::from_utf8(uri.as_bytes());
        let is_visible = |uri: &&str| uri.bytes().all(|byte| byte.is_ascii_graphic());
        let uri = uri
            .ok()
            .filter(is_visible)
            .filter(|uri| uri.starts_with('/') && !uri.contains('#'))
            .ok_or(OriginalRequestError::MalformedUri)?;
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        Ok(Self { path, query })
    }
}

/// The one value that the headers with these names have.
fn agreed_value<'a>(
    headers: &'a HeaderMap,
    names: &[&str],
) -> Result<Option<&'a HeaderValue>, OriginalRequestError> {
    let mut agreed = None;
    for name in names {
        let mut values = headers.get_all(*name).iter();
        let (first, second) = (values.next(), values.next());
        if second.is_some() {
            return Err(OriginalRequestError::Repeated);
        }
        match (agreed, first) {
            (Some(before), Some(value)) if before != value => {
                return Err(OriginalRequestError::Conflicting);
            }
            (None, value) => agreed = value,
            (Some(_), _) => {}
        }
    }
    Ok(agreed)
}

impl From<OriginalRequestError> for Problem {
    fn from(error: OriginalRequestError) -> Self {
        let status = match error {
            OriginalRequestError::OtherMethod => StatusCode::METHOD_NOT_ALLOWED,
            OriginalRequestError::NoUri
            | OriginalRequestError::Repeated
            | OriginalRequestError::Conflicting
            | OriginalRequestError::MalformedUri => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::OriginalRequestError::*;
    use super::*;

    fn headers(lines: &[(&'static str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    fn error(lines: &[(&'static str, &[u8])]) -> OriginalRequestError {
        OriginalRequest::from_headers(&headers(lines)).unwrap_err()
    }

    #[test]
    fn the_uri_and_the_method_are_read_of_either_pair_of_headers() {
        for lines in [
            &[("x-original-uri", &b"/a%20b?c=d?e"[..])][..],
            &[("x-forwarded-uri", b"/a%20b?c=d?e")],
            &[
                ("x-forwarded-uri", b"/a%20b?c=d?e"),
                ("x-original-uri", b"/a%20b?c=d?e"),
            ],
            &[
                ("x-original-uri", b"/a%20b?c=d?e"),
                ("x-original-method", b"HEAD"),
            ],
            &[
                ("x-original-uri", b"/a%20b?c=d?e"),
                ("x-forwarded-method", b"GET"),
            ],
        ] {
            let headers = headers(lines);
            let original = OriginalRequest::from_headers(&headers).unwrap();
            assert_eq!((original.path, original.query), ("/a%20b", "c=d?e"));
        }
        let headers = headers(&[("x-original-uri", b"/a")]);
        let original = OriginalRequest::from_headers(&headers).unwrap();
        assert_eq!((original.path, original.query), ("/a", ""));
    }

    #[test]
    fn headers_that_disagree_or_are_repeated_name_nothing() {
        let uri = ("x-original-uri", &b"/a"[..]);
        assert_eq!(error(&[]), NoUri);
        assert_eq!(error(&[("x-original-method", b"GET")]), NoUri);
        assert_eq!(error(&[uri, uri]), Repeated);
        let method = ("x-forwarded-method", &b"GET"[..]);
        assert_eq!(error(&[uri, method, method]), Repeated);
        assert_eq!(error(&[uri, ("x-forwarded-uri", b"/b")]), Conflicting);
        assert_eq!(error(&[uri, ("x-forwarded-uri", b"")]), Conflicting);
        assert_eq!(
            error(&[uri, method, ("x-original-method", b"HEAD")]),
            Conflicting
        );
    }

    #[test]
    fn a_uri_that_is_no_path_with_a_query_is_malformed() {
        for uri in [
            &b""[..],
            b"*",
            b"a",
            b"?token=x",
            b"http://x/a",
            b"x:80",
            b"/a#b",
            b"/a?b#c",
            b"/a b",
            b"/a\tb",
            b"/a\xc3\xa9",
            b"/a?\xff",
        ] {
            assert_eq!(error(&[("x-original-uri", uri)]), MalformedUri, "{uri:?}");
        }
    }

    #[test]
    fn no_other_method_reads_a_file() {
        for method in [
            "POST",
            "OPTIONS",
            "DELETE",
            "PUT",
            "get",
            "",
            "GET, POST",
            "GET ",
        ] {
            let lines = [
                ("x-original-uri", &b"/a"[..]),
                ("x-original-method", method.as_bytes()),
            ];
            assert_eq!(error(&lines), OtherMethod, "{method}");
        }
    }
}
