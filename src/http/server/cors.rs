//! CORS: what pages of other origins may request and read (the Fetch standard, section 3.2).
//!
//! Credentials travel in headers that a page must know already, never in cookies, so any origin is
//! safe by default. Only the client's address comes with every request: what it grants is not for pages
//! of foreign origins (`own_origins.rs`). A request of an origin that is not allowed is answered all the same, without
//! the headers that would let a page read the response: it may not come from a page at all. (poem's
//! own middleware answers such a request with 403.)
//!
//! Methods and headers come from the table of operations. All methods are allowed at every path, so that a page
//! sees the 405 or 404 of a wrong one.

use std::collections::BTreeSet;

use poem::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use poem::{Request, Response};

use crate::config::AllowedOrigins;

use super::operations::OperationTable;

/// Headers that the server reads of any request and no operation has as a parameter.
const FURTHER_REQUEST_HEADERS: [&str; 8] = [
    "accept",
    "cache-control",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "x-request-id",
];
/// Headers that the server sets itself, on any response.
const FURTHER_RESPONSE_HEADERS: [&str; 11] = [
    "accept",
    "accept-ranges",
    "allow",
    "content-disposition",
    "content-length",
    "content-range",
    "last-modified",
    "link",
    "retry-after",
    "www-authenticate",
    "x-request-id",
];
/// Headers with which proxies speak of the client, and the server to proxies: no page has anything to say or to
/// read there.
const PROXY_HEADERS: [&str; 4] = [
    "forwarded",
    "x-forwarded-",
    "x-original-",
    "x-auth-request-",
];
/// The most bytes of what a page asks for that are answered.
const MAX_REQUESTED_HEADERS: usize = 1024;
/// How long a browser may cache a preflight, in seconds.
const PREFLIGHT_MAX_AGE: HeaderValue = HeaderValue::from_static("600");
const ANY_ORIGIN: HeaderValue = HeaderValue::from_static("*");

/// Which pages may read responses, and what they may send.
#[derive(Clone, Debug)]
pub struct Cors {
    allowed_origins: AllowedOrigins,
    public_paths: &'static [&'static str],
    methods: HeaderValue,
    request_headers: String,
    response_headers: HeaderValue,
}

/// What the response to one request says to pages.
pub(super) struct CorsAnswer {
    is_preflight: bool,
    /// Whether pages of all origins are answered alike.
    is_public: bool,
    allowed_origin: Option<HeaderValue>,
    /// In the response to a preflight.
    allowed_headers: Option<HeaderValue>,
}

impl Cors {
    /// The pages of `allowed_origins` may use every operation of the table; pages of all origins may read what is
    /// at the `public_paths`.
    #[must_use]
    pub fn new(
        allowed_origins: AllowedOrigins,
        public_paths: &'static [&'static str],
        operations: &OperationTable,
    ) -> Self {
        let methods: Vec<&str> = operations.methods().into_iter().collect();
        let join = |documented: &BTreeSet<String>, further: &[&str]| {
            let further = further.iter().map(|name| (*name).to_owned());
            let documented = documented.iter().filter(|name| is_page_header(name));
            let names: BTreeSet<String> = documented.cloned().chain(further).collect();
            names.into_iter().collect::<Vec<_>>().join(", ")
        };
        let response_headers = join(operations.response_headers(), &FURTHER_RESPONSE_HEADERS);
        Self {
            allowed_origins,
            public_paths,
            methods: header_value(&methods.join(", ")),
            request_headers: join(operations.request_headers(), &FURTHER_REQUEST_HEADERS),
            response_headers: header_value(&response_headers),
        }
    }

    /// What the response to a request will say.
    pub(super) fn answer(&self, request: &Request) -> CorsAnswer {
        let headers = request.headers();
        let is_preflight = *request.method() == Method::OPTIONS
            && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        CorsAnswer {
            is_preflight,
            is_public: self.public_paths.contains(&request.uri().path()),
            allowed_origin: self.allow_origin(request),
            allowed_headers: is_preflight.then(|| self.allow_headers(headers)),
        }
    }

    /// Says it.
    pub(super) fn complete(&self, answer: CorsAnswer, response: &mut Response) {
        if answer.is_preflight {
            // Even where the path is unknown: a page can only see that if its preflight succeeds.
            response.set_status(StatusCode::NO_CONTENT);
            response.set_body(());
            response.headers_mut().remove(header::CONTENT_TYPE);
        }
        let headers = response.headers_mut();
        // Policies may answer a page of a foreign origin in another way, too.
        if !answer.is_public {
            headers.append(header::VARY, HeaderValue::from_static("Origin"));
        }
        let Some(origin) = answer.allowed_origin else {
            return;
        };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if let Some(allowed_headers) = answer.allowed_headers {
            let methods = self.methods.clone();
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed_headers);
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_MAX_AGE);
        } else {
            let exposed = self.response_headers.clone();
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
    }

    /// The headers that a page may send: those that the server reads, and what the page asks for, because
    /// libraries add some of their own (`traceparent`, `X-Requested-With`), which are ignored.
    fn allow_headers(&self, headers: &HeaderMap) -> HeaderValue {
        let requested = headers.get_all(header::ACCESS_CONTROL_REQUEST_HEADERS);
        let requested = requested.iter().filter_map(|line| line.to_str().ok());
        let mut allowed = self.request_headers.clone();
        let names = requested.flat_map(|line| line.split(',')).map(str::trim);
        for name in names.filter(|name| is_page_header(name)) {
            if allowed.len() + name.len() > self.request_headers.len() + MAX_REQUESTED_HEADERS {
                break;
            }
            allowed.push_str(", ");
            allowed.push_str(name);
        }
        header_value(&allowed)
    }

    /// The value of `Access-Control-Allow-Origin`, if a page may read the response.
    ///
    /// Where any page may, the header is set even if no page asks: a cache in between may give the
    /// response to one later.
    fn allow_origin(&self, request: &Request) -> Option<HeaderValue> {
        match &self.allowed_origins {
            AllowedOrigins::Any => Some(ANY_ORIGIN),
            AllowedOrigins::Only(_) if self.public_paths.contains(&request.uri().path()) => {
                Some(ANY_ORIGIN)
            }
            AllowedOrigins::Only(origins) => {
                let origin = request.headers().get(header::ORIGIN)?;
                let is_allowed = |allowed: &String| origin.as_bytes() == allowed.as_bytes();
                origins.iter().any(is_allowed).then(|| origin.clone())
            }
        }
    }
}

/// Whether a text is the name of a header that a page may set.
fn is_page_header(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let is_of_proxies = PROXY_HEADERS.iter().any(|start| lower.starts_with(start));
    HeaderName::try_from(&lower).is_ok() && !is_of_proxies
}

/// The value; names of headers and methods are always valid ones.
fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}
