//! The gate: what every request passes through, whatever it asks for.
//!
//! It gives the request an id and an address, bounds its headers, body and time, turns whatever
//! goes wrong (a panic too) into a problem, and writes one line into the access log. The line
//! names the path and never the query, where tokens travel. The gate refuses to know any route.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use ipnet::IpNet;
use poem::http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use poem::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use poem::{Body, Endpoint, IntoResponse, Middleware, Request, Response};
use tracing::Instrument;

use crate::config::limits::MAX_HEADERS_SIZE;
use crate::domain::clock::Clock;
use crate::domain::id::RecordId;
use crate::http::reply::problem::{PROBLEM_JSON, Problem};
use crate::http::reply::responses;

use super::allowed_methods::AllowedMethods;
use super::request_limits::{RequestLimits, RouteLimits};

/// The longest request id that is taken over from a client or proxy.
const MAX_REQUEST_ID_LENGTH: usize = 64;

/// The longest part of a path that the log shows. No path that is served has a longer one, so it
/// may be a token that somebody put in the wrong place.
const MAX_LOGGED_SEGMENT_LENGTH: usize = 64;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// A response whose error status is not a problem: it stays as it is.
#[derive(Clone, Copy)]
pub struct Passthrough;

/// What the gate found out about a request.
#[derive(Clone, Debug)]
pub struct RequestInfo {
    /// The request's id.
    pub request_id: String,
    /// The client's address.
    pub address: IpAddr,
    /// Whether the method is HEAD; the router hands HEAD to the GET operation.
    pub is_head: bool,
}

impl RequestInfo {
    /// What the gate found out about `request`.
    #[must_use]
    pub fn from_request(request: &Request) -> Self {
        request
            .extensions()
            .get::<Self>()
            .cloned()
            .unwrap_or_else(|| Self {
                request_id: String::new(),
                address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                is_head: request.method() == Method::HEAD,
            })
    }
}

/// The bounds and the knowledge of the gate.
#[derive(Clone)]
pub struct RequestMiddleware {
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How long a request may take until its response begins.
    pub request_timeout: Duration,
    /// How large and how slow requests may be.
    pub route_limits: RouteLimits,
    /// Which path takes which methods.
    pub allowed_methods: Arc<AllowedMethods>,
    /// The time, for request ids.
    pub clock: Clock,
    /// Whether the log says already that a proxy is not trusted; once is enough.
    pub has_warned: Arc<AtomicBool>,
}

impl<E: Endpoint> Middleware<E> for RequestMiddleware {
    type Output = RequestEndpoint<E>;

    fn transform(&self, inner: E) -> RequestEndpoint<E> {
        RequestEndpoint {
            middleware: self.clone(),
            inner,
        }
    }
}

/// An endpoint behind the gate.
pub struct RequestEndpoint<E> {
    middleware: RequestMiddleware,
    inner: E,
}

impl<E: Endpoint> Endpoint for RequestEndpoint<E> {
    type Output = Response;

    async fn call(&self, mut request: Request) -> poem::Result<Response> {
        let begun = Instant::now();
        let arrival = self.middleware.request_info(&request);
        let method = request.method().clone();
        let path = request.uri().path().to_owned();
        let logged_path = loggable_path(&path);
        let request_id = arrival.request_id.clone();
        let span = tracing::info_span!("request", request_id);
        request.extensions_mut().insert(arrival);
        let allowance = self.middleware.route_limits.for_request(&method, &path);

        let answered = async {
            let mut response = match apply_limits(&mut request, allowance) {
                Ok(()) => self.respond(request, &method, &path, allowance).await,
                Err(problem) => problem.into_response(),
            };
            set_common_headers(response.headers_mut(), &request_id);
            tracing::info!(
                target: "cedargate::access",
                %method,
                path = logged_path,
                status = response.status().as_u16(),
                content_length = content_length(response.headers()),
                millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
                "answered"
            );
            response
        };
        Ok(answered.instrument(span).await)
    }
}

impl<E: Endpoint> RequestEndpoint<E> {
    async fn respond(
        &self,
        request: Request,
        method: &Method,
        path: &str,
        allowance: RequestLimits,
    ) -> Response {
        let longest = self
            .middleware
            .request_timeout
            .saturating_add(allowance.extra_time);
        let answer = std::panic::AssertUnwindSafe(self.inner.call(request)).catch_unwind();
        let response = match tokio::time::timeout(longest, answer).await {
            Ok(Ok(Ok(response))) => response.into_response(),
            Ok(Ok(Err(error))) => Problem::response_for_error(error),
            Ok(Err(_)) => {
                tracing::error!("a handler panicked");
                Problem::internal().into_response()
            }
            Err(_) => {
                tracing::error!("a request took too long and was given up");
                Problem::unavailable("the answer took too long").into_response()
            }
        };
        let mut response = into_problem(response);
        if response.status() == StatusCode::METHOD_NOT_ALLOWED
            && let Some(allowed) = self.middleware.allowed_methods.for_path(path)
        {
            if method == Method::OPTIONS {
                response = responses::empty_response(StatusCode::NO_CONTENT);
            }
            response.headers_mut().insert(ALLOW, allowed.clone());
        }
        response
    }
}

impl RequestMiddleware {
    fn request_info(&self, request: &Request) -> RequestInfo {
        let peer = request
            .remote_addr()
            .as_socket_addr()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| {
                address.ip().to_canonical()
            });
        RequestInfo {
            request_id: self.request_id(request.headers()),
            address: self.client_address(peer, request.headers()),
            is_head: request.method() == Method::HEAD,
        }
    }

    /// The id that a client or proxy gave, if it is harmless in a log, or a new one.
    fn request_id(&self, headers: &HeaderMap) -> String {
        let is_harmless = |id: &&str| {
            (1..=MAX_REQUEST_ID_LENGTH).contains(&id.len())
                && id
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        let given = headers
            .get(X_REQUEST_ID)
            .and_then(|id| id.to_str().ok())
            .filter(is_harmless);
        given.map_or_else(
            || {
                RecordId::generate_at(self.clock.unix_millis().try_into().unwrap_or_default())
                    .to_string()
            },
            str::to_owned,
        )
    }

    fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted_proxies
            .iter()
            .any(|proxy| proxy.contains(&address))
    }

    /// The address before the nearest proxy that is not trusted; the peer itself if none is.
    fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let hops: Vec<&str> = headers
            .get_all(X_FORWARDED_FOR)
            .iter()
            .flat_map(|value| value.to_str().unwrap_or_default().split(','))
            .map(str::trim)
            .collect();
        if !hops.is_empty()
            && !self.is_trusted(peer)
            && !self.has_warned.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                %peer,
                "a peer sends X-Forwarded-For and is not a trusted proxy: all its clients share one \
                 limit; if it is a proxy of yours, name it in CEDARGATE_TRUSTED_PROXIES"
            );
        }
        let mut address = peer;
        for hop in hops.iter().rev() {
            if !self.is_trusted(address) {
                break;
            }
            match hop.parse::<IpAddr>() {
                Ok(hop) => address = hop.to_canonical(),
                Err(_) => break,
            }
        }
        address
    }
}

/// The path as the log may show it: parts that are too long for any path that is served are `...`.
fn loggable_path(path: &str) -> String {
    let is_short = |part: &&str| part.len() <= MAX_LOGGED_SEGMENT_LENGTH;
    let parts = path.split('/').take(MAX_LOGGED_SEGMENT_LENGTH);
    let parts = parts.map(|part| Some(part).filter(is_short).unwrap_or("..."));
    parts.collect::<Vec<_>>().join("/")
}

/// Refuses what is too large to begin with, and bounds the body that is still to come.
fn apply_limits(request: &mut Request, allowance: RequestLimits) -> Result<(), Problem> {
    let headers = request.headers();
    let header_bytes: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    if header_bytes > MAX_HEADERS_SIZE {
        return Err(Problem::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            format!("the request's headers are larger than {MAX_HEADERS_SIZE} bytes together"),
        ));
    }
    let hosts = headers.get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && request.version() == Version::HTTP_11) {
        // RFC 9112 section 3.2.
        let detail = "the request must have one Host header";
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    if content_length(headers).is_some_and(|length| length > allowance.max_body_size) {
        return Err(Problem::from_status(StatusCode::PAYLOAD_TOO_LARGE));
    }
    if headers.contains_key(TRANSFER_ENCODING) || headers.contains_key(CONTENT_LENGTH) {
        let body = request.take_body().into_bytes_stream();
        request.set_body(Body::from_bytes_stream(allowance.limit_body(body)));
    }
    Ok(())
}

/// The length that headers tell; a streamed body of unknown length tells none.
fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok())
}

/// Gives an error that comes from below our own code the form of a problem; keeps its headers.
fn into_problem(response: Response) -> Response {
    let status = response.status();
    let is_problem = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(PROBLEM_JSON.as_bytes()));
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || is_problem || response.extensions().get::<Passthrough>().is_some() {
        return response;
    }
    let mut problem = Problem::from_status(status).into_response();
    for (name, value) in response.headers() {
        if name != CONTENT_TYPE && name != CONTENT_LENGTH {
            problem.headers_mut().insert(name.clone(), value.clone());
        }
    }
    problem
}

/// What every response wears.
fn set_common_headers(headers: &mut HeaderMap, request_id: &str) {
    if let Ok(request_id) = HeaderValue::from_str(request_id) {
        headers.insert(X_REQUEST_ID, request_id);
    }
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    // Tokens travel in URLs: no page that was fetched with one may send it on as its referrer.
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn middleware(trusted: &str) -> RequestMiddleware {
        RequestMiddleware {
            trusted_proxies: trusted
                .split_terminator(',')
                .map(|net| net.parse().unwrap())
                .collect(),
            request_timeout: Duration::from_secs(1),
            route_limits: RouteLimits {
                max_upload_size: 0,
                proof_timeout: Duration::ZERO,
            },
            allowed_methods: Arc::new(AllowedMethods::default()),
            clock: Clock::fixed_at(0),
            has_warned: Arc::default(),
        }
    }

    fn forwarded(values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn forwarded_addresses_count_only_behind_trusted_proxies() {
        let peer: IpAddr = "10.0.0.1".parse().unwrap();
        let client: IpAddr = "192.0.2.7".parse().unwrap();
        let headers = forwarded(&["203.0.113.9, 192.0.2.7", "10.0.0.2"]);
        assert_eq!(middleware("").client_address(peer, &headers), peer);
        assert_eq!(
            middleware("10.0.0.0/8").client_address(peer, &headers),
            client
        );
        assert_eq!(
            middleware("10.0.0.0/8").client_address(client, &headers),
            client
        );
        assert_eq!(
            middleware("10.0.0.0/8").client_address(peer, &forwarded(&["nonsense"])),
            peer
        );
    }

    #[test]
    fn a_part_of_a_path_that_could_be_a_token_is_not_logged() {
        let served = "/datasets/urn:uuid:2489e9ad-2ee2-8e00-8ec9-32d5f69181c0/download/cog";
        assert_eq!(loggable_path(served), served);
        let token = format!("eyJhbGciOiJFUzI1NiJ9.{}", "a".repeat(200));
        assert_eq!(loggable_path(&format!("/x/{token}/y")), "/x/.../y");
    }

    #[test]
    fn a_request_id_that_could_forge_a_log_line_is_replaced() {
        let mut headers = HeaderMap::new();
        headers.insert(X_REQUEST_ID, HeaderValue::from_static("abc-1.2_3"));
        assert_eq!(middleware("").request_id(&headers), "abc-1.2_3");
        headers.insert(X_REQUEST_ID, HeaderValue::from_static("a b\"c"));
        assert_eq!(middleware("").request_id(&headers).len(), 36);
    }
}
