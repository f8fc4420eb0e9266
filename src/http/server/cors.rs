//! CORS: what pages of other origins may request and read (the Fetch standard, section 3.2).
//!
//! Credentials travel in headers that a page must know already, never in cookies, so any origin is
//! safe by default. Only the client's address comes with every request: what it grants is not for pages
//! of foreign origins (`own_origins.rs`). A request of an origin that is not allowed is answered all the same, without
//! the headers that would let a page read the response: it may not come from a page at all. (poem's
//! own middleware answers such a request with 403.)

use poem::http::{HeaderValue, Method, StatusCode, header};
use poem::{Endpoint, IntoResponse, Middleware, Request, Response};

use crate::config::AllowedOrigins;

const ALLOWED_METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, DELETE");
const ALLOWED_HEADERS: HeaderValue = HeaderValue::from_static(
    "Authorization, Content-Type, If-Match, If-Modified-Since, If-None-Match, If-Range, \
     If-Unmodified-Since, Range, X-Api-Key, X-Request-Id",
);
const EXPOSED_HEADERS: HeaderValue = HeaderValue::from_static(
    "Accept-Ranges, Content-Disposition, Content-Length, Content-Range, ETag, Last-Modified, \
     Retry-After, WWW-Authenticate, X-Request-Id",
);
/// How long a browser may cache a preflight, in seconds.
const PREFLIGHT_MAX_AGE: HeaderValue = HeaderValue::from_static("600");
const ANY_ORIGIN: HeaderValue = HeaderValue::from_static("*");

/// Which pages may read responses.
#[derive(Clone, Debug)]
pub struct Cors {
    /// The origins whose pages may.
    pub allowed_origins: AllowedOrigins,
    /// The path whose responses pages of all origins may read.
    pub public_path: &'static str,
}

impl<E: Endpoint> Middleware<E> for Cors {
    type Output = CorsEndpoint<E>;

    fn transform(&self, inner: E) -> CorsEndpoint<E> {
        CorsEndpoint {
            cors: self.clone(),
            inner,
        }
    }
}

/// An endpoint whose responses pages of allowed origins may read.
pub struct CorsEndpoint<E> {
    cors: Cors,
    inner: E,
}

impl<E: Endpoint> Endpoint for CorsEndpoint<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let is_preflight = request.method() == Method::OPTIONS
            && request
                .headers()
                .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
        let allowed = self.cors.allow_origin(&request);
        let is_public = request.uri().path() == self.cors.public_path;
        let mut response = self.inner.call(request).await?.into_response();
        if is_preflight {
            // Even where the path is unknown: a page can only see that if its preflight succeeds.
            response.set_status(StatusCode::NO_CONTENT);
            response.set_body(());
            response.headers_mut().remove(header::CONTENT_TYPE);
        }
        let headers = response.headers_mut();
        // Policies may answer a page of a foreign origin in another way, too.
        if !is_public {
            headers.append(header::VARY, HeaderValue::from_static("Origin"));
        }
        if let Some(origin) = allowed {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            if is_preflight {
                headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, ALLOWED_METHODS);
                headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS);
                headers.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_MAX_AGE);
            } else {
                headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
            }
        }
        Ok(response)
    }
}

impl Cors {
    /// The value of `Access-Control-Allow-Origin`, if a page may read the response.
    ///
    /// Where any page may, the header is set even if no page asks: a cache in between may give the
    /// response to one later.
    fn allow_origin(&self, request: &Request) -> Option<HeaderValue> {
        match &self.allowed_origins {
            AllowedOrigins::Any => Some(ANY_ORIGIN),
            AllowedOrigins::Only(_) if request.uri().path() == self.public_path => Some(ANY_ORIGIN),
            AllowedOrigins::Only(origins) => {
                let origin = request.headers().get(header::ORIGIN)?;
                let is_allowed = |allowed: &String| origin.as_bytes() == allowed.as_bytes();
                origins.iter().any(is_allowed).then(|| origin.clone())
            }
        }
    }
}
