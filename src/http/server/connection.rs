//! One connection: HTTP/1.1 with limits, until it ends or has to make room for another.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::Watcher;
use poem::http::uri::Scheme;
use poem::http::{HeaderValue, header};
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Addr, Request};
use tokio::net::TcpStream;

use crate::config::limits::{MAX_HEADERS, MAX_HEADERS_SIZE};

use super::connection_limit::{ConnectionPlace, Overload};
use super::connection_timer::ConnectionTimer;
use super::forward_auth_stream::ForwardAuthStream;
use super::paced_stream::paced;
use super::rate_meter::RateMeter;
use super::request_handler::RequestHandler;
use super::response_body::ResponseBody;
use super::trusted_proxies::TrustedProxies;

/// The most bytes that hyper buffers of one request's head; what is between this and the limit is
/// rejected by the request middleware, as a problem.
const MAX_BUFFER_SIZE: usize = 4 * MAX_HEADERS_SIZE;

/// hyper's own limit, which it checks without allocating or clearing anything as long as it is not told another one.
const _: () = assert!(MAX_HEADERS == 100);

/// What all connections have in common.
pub(super) struct ConnectionKind<H> {
    pub(super) handler: H,
    pub(super) trusted_proxies: TrustedProxies,
    pub(super) min_bytes_per_minute: u32,
    pub(super) download_timeout: Duration,
}

/// A connection and its place.
pub(super) struct Connection<H> {
    pub(super) kind: Arc<ConnectionKind<H>>,
    pub(super) place: Arc<ConnectionPlace>,
    pub(super) peer: SocketAddr,
    /// Why the place is in the reserve: one request is answered, and only those for health get more
    /// than a refusal.
    pub(super) overload: Option<Overload>,
    /// How long it may take to send the headers of a request.
    pub(super) headers_timeout: Duration,
}

impl<H: RequestHandler + 'static> Connection<H> {
    /// Serves requests until the connection ends or is displaced.
    pub(super) async fn serve(self, stream: TcpStream, watcher: Watcher) {
        let local = stream.local_addr().ok();
        let local = LocalAddr(local.map_or(Addr::custom("tcp", "unknown"), Addr::from));
        let meter = RateMeter::new(self.kind.min_bytes_per_minute);
        let timer = ConnectionTimer::default();
        let service = service_fn(|request: hyper::Request<Incoming>| {
            let peer = RemoteAddr(Addr::from(self.peer));
            let request = Request::from((request, local.clone(), peer, Scheme::HTTP));
            self.respond(request, timer.clone())
        });
        let connection = http1::Builder::new()
            .timer(timer.clone())
            .header_read_timeout(self.headers_timeout)
            .max_buf_size(MAX_BUFFER_SIZE)
            .keep_alive(self.overload.is_none())
            .serve_connection(
                TokioIo::new(ForwardAuthStream::new(paced(stream, meter))),
                service,
            );
        tokio::select! {
            ended = watcher.watch(connection) => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "connection failed");
                }
            }
            () = self.place.displaced() => {
                tracing::debug!(peer = %self.peer, "connection closed for another one");
            }
        }
    }

    async fn respond(
        &self,
        mut request: Request,
        timer: ConnectionTimer,
    ) -> Result<
        hyper::Response<
            ResponseBody<
                impl hyper::body::Body<Data = bytes::Bytes, Error = std::io::Error> + Unpin + use<H>,
            >,
        >,
        Infallible,
    > {
        request.extensions_mut().insert(timer);
        let proxies = &self.kind.trusted_proxies;
        let client = proxies.resolve(self.peer.ip(), request.headers()).address;
        let place = match self.overload {
            Some(overload) => Err(overload),
            None => self.place.begin_request(client.for_limits()),
        };
        let in_flight = match place {
            Ok(in_flight) => Some(in_flight),
            Err(overload) => {
                request.extensions_mut().insert(overload);
                None
            }
        };
        // hyper drops the Content-Length beside a Transfer-Encoding, which whoever is in between may
        // have believed: nothing more on this connection counts (RFC 9112 section 6.3).
        let is_last = request.headers().contains_key(header::TRANSFER_ENCODING);
        let mut response = match self.kind.handler.handle(&mut request).await {
            Ok(response) => response,
            Err(error) => error.into_response(),
        };
        if is_last {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        let timeout = self.kind.download_timeout;
        let body = |body| ResponseBody::new(body, in_flight, timeout);
        Ok(hyper::Response::from(response).map(body))
    }
}
