//! The request middleware: what every request passes through, whatever it asks for.
//!
//! It gives the request an id and the client's address, limits its headers, body and time, turns
//! errors and panics into problems, and writes one access log line. The line has the path without
//! the query, because tokens travel there.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use poem::http::Method;
use poem::http::header::EXPECT;
use poem::{IntoResponse, Request, Response};

use crate::domain::audit::AuditEvent;
use crate::domain::clock::Clock;
use crate::domain::id::RecordId;
use crate::domain::request_ids::RequestIds;
use crate::http::extract::credentials::header_context;
use crate::http::reply::problem::Problem;
use crate::service::identity::body_gate::{BodyGate, BodyPermit};

use super::ACCESS_LOG;
use super::completed_response::{
    ResponseCompletion, closing_unless, into_problem, set_common_headers,
};
use super::connection_limit::Overload;
use super::connection_timer::ConnectionTimer;
use super::logged_path::logged_path;
use super::operations::{BodyKind, OperationTable};
use super::outcome::run_within;
use super::own_origins::OwnOrigins;
use super::request_handler::RequestHandler;
use super::request_id::{X_REQUEST_ID, echoed_request_id, received_request_id};
use super::request_info::RequestInfo;
use super::request_limits::{RequestLimits, RouteLimits, apply_limits, content_length, has_body};
use super::trusted_proxies::TrustedProxies;
use super::whole_body::admit_whole;

/// The configuration of the middleware.
#[derive(Clone)]
pub struct RequestMiddleware {
    /// Proxies whose word about the client's address is believed.
    pub trusted_proxies: TrustedProxies,
    /// The origins whose pages are known.
    pub own_origins: OwnOrigins,
    /// How long a request may take until its response begins.
    pub request_timeout: Duration,
    /// How large and how slow requests may be.
    pub route_limits: RouteLimits,
    /// The paths that are answered even if there is no place for another connection.
    pub always_answered: &'static [&'static str],
    /// The paths that programs ask for all the time: health and metrics.
    pub probe_paths: &'static [&'static str],
    /// Which path takes which methods, and which operation takes a body.
    pub operations: Arc<OperationTable>,
    /// Who may send a body to an operation that takes one from callers only.
    pub body_gate: Option<Arc<BodyGate>>,
    /// As what a refusal at the gate is on record.
    pub refused_event: fn(&str) -> AuditEvent,
    /// Which paths send back the request id that came, also one that is unfit for the log.
    pub echoes_any_id: fn(&str) -> bool,
    /// The time, for request ids.
    pub clock: Clock,
}

impl RequestMiddleware {
    /// A handler behind the middleware.
    #[must_use]
    pub fn around<H>(self, inner: H) -> RequestEndpoint<H> {
        RequestEndpoint {
            middleware: self,
            inner,
        }
    }
}

/// A handler behind the middleware.
pub struct RequestEndpoint<H> {
    middleware: RequestMiddleware,
    inner: H,
}

impl<H: RequestHandler> RequestHandler for RequestEndpoint<H> {
    async fn handle(&self, request: &mut Request) -> poem::Result<Response> {
        let asked = AskedRequest {
            started: Instant::now(),
            method: request.method().clone(),
            path: Arc::from(request.uri().path()),
            is_probe: self.middleware.is_probe(request),
        };
        let raw_id = (self.middleware.echoes_any_id)(&asked.path)
            .then(|| echoed_request_id(request.headers()))
            .flatten();
        let info = self.middleware.request_info(request);
        let ids = RequestIds {
            request_id: Arc::clone(&info.request_id),
            client_request_id: info.client_request_id.clone(),
        };
        request.extensions_mut().insert(info);
        let mut response = ids.clone().scope(self.respond(request, &asked.path)).await;
        // A client finds the id that it sent; the log and the audit record have ours beside it.
        let echoed_id = ids.client_request_id.as_ref().unwrap_or(&ids.request_id);
        set_common_headers(response.headers_mut(), echoed_id);
        if let Some(raw_id) = raw_id {
            response.headers_mut().insert(X_REQUEST_ID, raw_id);
        }
        RequestIds::in_scope(Some(ids), || log_access(&asked, &response));
        Ok(response)
    }
}

/// What the access log says of a request.
struct AskedRequest {
    started: Instant,
    method: Method,
    path: Arc<str>,
    is_probe: bool,
}

impl<H: RequestHandler> RequestEndpoint<H> {
    /// Limits the request, calls the endpoint, and drains what it left of the body.
    async fn respond(&self, request: &mut Request, path: &Arc<str>) -> Response {
        let completion = ResponseCompletion::of_request(request, Arc::clone(path));
        if let Some(problem) = overload_problem(request, self.middleware.always_answered) {
            return problem.into_response();
        }
        let (method, path) = (request.method(), request.uri().path());
        let body = self.middleware.operations.body_kind(method, path);
        let limits = self.middleware.route_limits.for_request(method, path, body);
        // A client that waits for `100 Continue` has sent nothing to drain.
        let is_waiting = request.headers().contains_key(EXPECT);
        let permit = match body {
            Some(BodyKind::OfCallers) => Box::pin(self.admit_body(request, limits)).await,
            Some(BodyKind::OfCallersOrAnonymous) => Box::pin(self.admit_optional(request)).await,
            Some(BodyKind::OfAnyone | BodyKind::Unused) | None => Ok(None),
        };
        let (permit, digests) = admit_whole(permit, body, request.headers());
        let has_body = has_body(request.headers());
        let limited = apply_limits(request, limits, digests);
        // A body that is refused by its size is never read.
        let is_refused = has_body && limited.is_err();
        let (response, unread) = match (permit, limited) {
            (Err(problem), limited) => (problem.into_response(), limited.ok().flatten()),
            (Ok(_), Err(problem)) => return closing_unless(!has_body, problem.into_response()),
            (Ok(permit), Ok(unread)) => {
                let response = match self.query_problem(request) {
                    Some(problem) => problem.into_response(),
                    None => self.call_inner(request, limits).await,
                };
                drop(permit);
                (response, unread)
            }
        };
        // What a handler left of it is part of the rest.
        let is_read = match unread {
            Some(mut unread) => {
                drop(request.take_body());
                if is_waiting {
                    unread.is_at_end()
                } else {
                    Box::pin(unread.drain()).await
                }
            }
            None => !is_refused,
        };
        let response = closing_unless(is_read, response);
        completion.complete(response, &self.middleware.operations)
    }

    /// Authenticates whoever sends a body, before it is read.
    async fn admit_body(
        &self,
        request: &Request,
        limits: RequestLimits,
    ) -> Result<Option<BodyPermit>, Problem> {
        let Some(gate) = &self.middleware.body_gate else {
            return Ok(None);
        };
        let event = (self.middleware.refused_event)(request.uri().path());
        let context = header_context(request);
        let is_large = limits.is_large_body(request.headers());
        let admitting = Box::pin(gate.admit(&context, event, is_large));
        match tokio::time::timeout(self.middleware.request_timeout, admitting).await {
            Ok(admitted) => admitted.map(Some).map_err(Problem::from),
            Err(_) => Err(Problem::unavailable("the request timed out")),
        }
    }

    /// Authenticates whoever sends a body with a credential, before it is read.
    async fn admit_optional(&self, request: &Request) -> Result<Option<BodyPermit>, Problem> {
        let Some(gate) = &self.middleware.body_gate else {
            return Ok(None);
        };
        let event = (self.middleware.refused_event)(request.uri().path());
        let context = header_context(request);
        let admitting = Box::pin(gate.admit_or_anonymous(&context, event));
        match tokio::time::timeout(self.middleware.request_timeout, admitting).await {
            Ok(admitted) => admitted.map(|()| None).map_err(Problem::from),
            Err(_) => Err(Problem::unavailable("the request timed out")),
        }
    }

    /// What is wrong with the names in the query, found before anything is done for the request.
    fn query_problem(&self, request: &Request) -> Option<Problem> {
        let query = request.uri().query()?;
        let operations = &self.middleware.operations;
        let known = operations.query_parameters(request.method(), request.uri().path());
        known.check(query)
    }

    /// Calls the endpoint; errors, a panic and a timeout become problems.
    async fn call_inner(&self, request: &mut Request, limits: RequestLimits) -> Response {
        let timeout = self
            .middleware
            .request_timeout
            .saturating_add(limits.extra_time);
        let is_change = !matches!(*request.method(), Method::GET | Method::HEAD);
        let timer = request.extensions().get::<ConnectionTimer>();
        let timer = timer.cloned().unwrap_or_default();
        let calling = self.inner.handle(request);
        let calling = std::panic::AssertUnwindSafe(calling).catch_unwind();
        let outcome = run_within(&timer, timeout, calling).await;
        let response = match outcome.result {
            Some(Ok(Ok(response))) => response,
            Some(Ok(Err(error))) => Problem::response_for_error(error),
            Some(Err(_)) => {
                tracing::error!("request handler panicked");
                Problem::internal().into_response()
            }
            None => {
                tracing::error!("request timed out");
                Problem::unavailable("the request timed out; nothing was changed").into_response()
            }
        };
        if response.status().is_server_error() && is_change && outcome.may_have_committed {
            tracing::error!("a change may have been committed although its request failed");
            let ids = RequestIds::current();
            let request_id = ids.as_ref().map_or("", |ids| &*ids.request_id);
            return Problem::outcome_unknown(response.status(), request_id).into_response();
        }
        into_problem(response)
    }
}

impl RequestMiddleware {
    fn request_info(&self, request: &Request) -> RequestInfo {
        let headers = request.headers();
        let peer = request
            .remote_addr()
            .as_socket_addr()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| {
                address.ip().to_canonical()
            });
        let resolved = self.trusted_proxies.resolve(peer, headers);
        if !self.is_probe(request) {
            self.trusted_proxies.report(peer, &resolved);
        }
        let received = received_request_id(headers);
        let is_of_trusted_proxy = self.trusted_proxies.contains(peer);
        let (request_id, client_request_id) = if is_of_trusted_proxy {
            (received, None)
        } else {
            (None, received)
        };
        RequestInfo {
            request_id: request_id.unwrap_or_else(|| self.new_request_id()),
            client_request_id,
            address: resolved.address,
            is_of_trusted_proxy,
            is_foreign_page: self.own_origins.is_foreign_page(headers),
            is_head: request.method() == Method::HEAD,
        }
    }

    /// Whether a request reads health or metrics.
    fn is_probe(&self, request: &Request) -> bool {
        let path = request.uri().path();
        matches!(*request.method(), Method::GET | Method::HEAD) && self.probe_paths.contains(&path)
    }

    fn new_request_id(&self) -> Arc<str> {
        let millis = self.clock.unix_millis().try_into().unwrap_or_default();
        let mut text = uuid::Uuid::encode_buffer();
        let id = RecordId::generate_at(millis).0.hyphenated();
        Arc::from(&*id.encode_lower(&mut text))
    }
}

/// Writes the access log line of a request. Probes and scrapes that succeed come every few seconds and
/// say nothing: they are logged at `debug`, so that the log is about requests; one that fails is news.
fn log_access(asked: &AskedRequest, response: &Response) {
    macro_rules! access_event {
        ($level:expr) => {
            tracing::event!(
                target: ACCESS_LOG,
                $level,
                method = %asked.method,
                path = &*logged_path(&asked.path),
                status = response.status().as_u16(),
                content_length = content_length(response.headers()),
                millis = u64::try_from(asked.started.elapsed().as_millis()).unwrap_or(u64::MAX),
                "answered"
            )
        };
    }
    if asked.is_probe && response.status().is_success() {
        access_event!(tracing::Level::DEBUG);
    } else {
        access_event!(tracing::Level::INFO);
    }
}

/// The refusal of a request that got no place, except for `always_answered` paths.
fn overload_problem(request: &Request, always_answered: &[&str]) -> Option<Problem> {
    let overload = request.extensions().get::<Overload>()?;
    let is_refused = !always_answered.contains(&request.uri().path());
    is_refused.then(|| match overload {
        Overload::Server => Problem::unavailable("the server has no connection left; try again"),
        Overload::Network => Problem::too_many_requests(
            "your network has too many connections to the server; close some and try again",
        ),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use bytes::Bytes;
    use futures_util::{StreamExt, stream};
    use poem::Body;
    use poem::endpoint::make_sync;
    use poem::http::StatusCode;

    use super::*;
    use crate::config::AllowedOrigins;
    use crate::config::limits::MAX_UNUSED_BODY_SIZE;

    const CHUNK: usize = 64 * 1024;

    fn middleware(limits: RequestLimits) -> RequestMiddleware {
        RequestMiddleware {
            trusted_proxies: TrustedProxies::default(),
            own_origins: OwnOrigins::new("http://x", &AllowedOrigins::Any),
            request_timeout: Duration::from_secs(1),
            route_limits: RouteLimits::default().with(|_, _| true, limits),
            always_answered: &[],
            probe_paths: &[],
            operations: Arc::default(),
            body_gate: None,
            refused_event: |_| AuditEvent::Administer,
            echoes_any_id: |_| false,
            clock: Clock::fixed_at(0),
        }
    }

    /// How many of 64 chunks are read by the time an endpoint that reads none of them has answered.
    async fn chunks_read(limits: RequestLimits, header: (&'static str, &'static str)) -> usize {
        let read = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&read);
        let chunks = stream::iter(0..64).map(move |_| {
            counter.fetch_add(1, Ordering::Relaxed);
            Ok::<_, std::io::Error>(Bytes::from(vec![0; CHUNK]))
        });
        let mut request = Request::builder()
            .header("host", "x")
            .header("transfer-encoding", "chunked")
            .header(header.0, header.1)
            .body(Body::from_bytes_stream(chunks));
        let rejecting = make_sync(|_| StatusCode::FORBIDDEN);
        let endpoint = middleware(limits).around(rejecting);
        let response = endpoint.handle(&mut request).await.unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN);
        read.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn a_body_that_no_handler_reads_is_read_away_within_its_limits() {
        let usual = RequestLimits::default();
        let upload = RequestLimits {
            max_body_size: u64::MAX,
            ..usual
        };
        // The first chunk is already larger than the usual body may be.
        assert_eq!(chunks_read(usual, ("x", "x")).await, 1);
        let drained = usize::try_from(MAX_UNUSED_BODY_SIZE).unwrap() / CHUNK;
        assert_eq!(chunks_read(upload, ("x", "x")).await, drained + 1);
        assert_eq!(chunks_read(upload, ("expect", "100-continue")).await, 0);
    }
}
