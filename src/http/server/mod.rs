//! The server: accepts connections and limits what each of them may cost.
//!
//! poem's own server limits neither the number of connections nor the time a client may take to
//! send its headers or to read its response; this one speaks HTTP/1.1 through hyper with all of
//! that limited, and drains on shutdown.

pub mod allowed_methods;
pub mod connection_limit;
pub mod cors;
pub mod request_info;
pub mod request_limits;
pub mod request_middleware;
pub mod tracked_body;
pub mod trusted_proxies;
mod unread_body;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use ipnet::IpNet;
use poem::http::uri::Scheme;
use poem::web::{LocalAddr, RemoteAddr};
use poem::{Addr, Endpoint, Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

use crate::config::limits::{
    CONNECTION_SHARE_DIVISOR, HEADERS_TIMEOUT, MAX_HEADERS, MAX_HEADERS_SIZE, STALL_TIMEOUT,
};

use connection_limit::ConnectionLimiter;

/// The most bytes that hyper buffers of one request's head; what is between this and the limit is
/// rejected by the request middleware, as a problem.
const MAX_BUFFER_SIZE: usize = 4 * MAX_HEADERS_SIZE;
/// How long to wait after an accept that failed, most likely for lack of file descriptors.
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(50);

/// The limits of the server.
#[derive(Clone, Debug)]
pub struct ServerLimits {
    /// The most connections at a time; further ones wait in the listener's backlog.
    pub max_connections: usize,
    /// How long requests in flight may take after a shutdown began.
    pub shutdown_timeout: Duration,
    /// Proxies, each of which may hold as many connections as there are.
    pub trusted_proxies: Vec<IpNet>,
}
/// Serves until `shutdown`, then waits for requests in flight; returns whether all of them ended in time.
pub async fn serve(
    listener: TcpListener,
    endpoint: impl Endpoint<Output = Response> + 'static,
    limits: ServerLimits,
    shutdown: CancellationToken,
) -> bool {
    let endpoint = Arc::new(endpoint);
    let connections = Arc::new(Semaphore::new(limits.max_connections));
    let limiter = ConnectionLimiter::new(
        limits.max_connections.div_ceil(CONNECTION_SHARE_DIVISOR),
        limits.trusted_proxies.into(),
    );
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &connections) => accepted,
        };
        let (stream, peer, connection_permit) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                tokio::time::sleep(ACCEPT_RETRY_INTERVAL).await;
                continue;
            }
        };
        let Some(address_permit) = limiter.try_acquire(peer.ip()) else {
            tracing::debug!(%peer, "connection refused: per-address limit reached");
            continue;
        };
        let endpoint = Arc::clone(&endpoint);
        let local = stream.local_addr().ok();
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let endpoint = Arc::clone(&endpoint);
            async move {
                let local = LocalAddr(local.map_or(Addr::custom("tcp", "unknown"), Addr::from));
                let peer = RemoteAddr(Addr::from(peer));
                let request = Request::from((request, local, peer, Scheme::HTTP));
                let response = endpoint.get_response(request).await;
                Ok::<_, Infallible>(hyper::Response::from(response))
            }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS_TIMEOUT)
            .max_buf_size(MAX_BUFFER_SIZE)
            .max_headers(MAX_HEADERS)
            .serve_connection(TokioIo::new(with_write_timeout(stream)), service);
        let watcher = graceful.watcher();
        tokio::spawn(async move {
            if let Err(error) = watcher.watch(connection).await {
                tracing::debug!(%error, "connection failed");
            }
            drop((connection_permit, address_permit));
        });
    }
    drop(listener);
    tokio::select! {
        () = graceful.shutdown() => true,
        () = tokio::time::sleep(limits.shutdown_timeout) => false,
    }
}

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(connections)
        .acquire_owned()
        .await
        .map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, peer, permit))
}

/// A stream that breaks when the client does not read for too long.
fn with_write_timeout(stream: TcpStream) -> Pin<Box<TimeoutStream<TcpStream>>> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(STALL_TIMEOUT));
    Box::pin(stream)
}
