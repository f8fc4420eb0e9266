//! The server: accepts connections and limits what each of them may cost.
//!
//! poem's own server limits neither the number of connections nor the time a client may take to
//! send its headers or to read its response; this one speaks HTTP/1.1 through hyper with all of
//! that limited, and drains on shutdown.

mod body_digests;
pub mod close_reason;
pub mod completed_response;
mod connection;
mod connection_activity;
pub mod connection_limit;
mod connection_timer;
pub mod cors;
pub mod final_slash;
pub mod forward_auth_statuses;
mod forward_auth_stream;
mod forwarded_hops;
pub mod issuer_path;
mod logged_path;
pub mod operations;
mod outcome;
pub mod outer_endpoint;
pub mod own_origins;
mod paced_stream;
mod path_index;
mod query_parameters;
pub mod rate_meter;
pub mod request_handler;
mod request_id;
pub mod request_info;
pub mod request_limits;
pub mod request_middleware;
mod response_body;
pub mod tracked_body;
pub mod trusted_proxies;
mod unread_body;
mod whole_body;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::config::limits::{
    CONNECTION_SHARE_DIVISOR, CONNECTION_TURN_TIMEOUT, HEADERS_TIMEOUT, MAX_WAITING_CONNECTIONS,
    RESERVED_CONNECTIONS, RESERVED_HEADERS_TIMEOUT,
};

use close_reason::CloseReason;
use connection::{Connection, ConnectionKind};
use connection_limit::{ConnectionLimiter, ConnectionPlace, NoPlace, Overload};
use request_handler::RequestHandler;
use trusted_proxies::TrustedProxies;

/// The target of the log lines that tell of each request.
pub const ACCESS_LOG: &str = "cedargate::access";
/// How long to wait after an accept that failed, most likely for lack of file descriptors.
const ACCEPT_RETRY_INTERVAL: Duration = Duration::from_millis(50);
/// How often failing accepts are logged.
const ACCEPT_WARNING_INTERVAL: Duration = Duration::from_secs(10);
/// How many connections may be closing, and so still be open, beside those that have a place.
const MAX_CLOSING_CONNECTIONS: usize = 64;

/// The limits of the server.
#[derive(Clone, Debug)]
pub struct ServerLimits {
    /// The most connections at a time; further ones displace others or get a 503.
    pub max_connections: usize,
    /// How many bytes a minute a client has to read of a response.
    pub min_bytes_per_minute: u32,
    /// How long the body of a response may take.
    pub download_timeout: Duration,
    /// How long requests in flight may take after a shutdown began.
    pub shutdown_timeout: Duration,
    /// Proxies, each of which may hold as many connections as there are.
    pub trusted_proxies: TrustedProxies,
}

impl ServerLimits {
    /// The most connections that are ever open, those that answer only for health included.
    #[must_use]
    pub fn max_open_connections(max_connections: usize) -> usize {
        max_connections
            .saturating_add(RESERVED_CONNECTIONS)
            .saturating_add(MAX_CLOSING_CONNECTIONS)
    }
}

/// The places for connections, and a few more that only answer for health.
#[derive(Clone)]
struct Places {
    open: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    usual: ConnectionLimiter,
    reserved: ConnectionLimiter,
}

impl Places {
    fn new(max_connections: usize, trusted_proxies: &TrustedProxies) -> Self {
        let limiter = |max: usize| {
            let max_per_network = max.div_ceil(CONNECTION_SHARE_DIVISOR);
            ConnectionLimiter::new(max, max_per_network, trusted_proxies.clone())
        };
        Self {
            open: Arc::new(Semaphore::new(ServerLimits::max_open_connections(
                max_connections,
            ))),
            waiting: Arc::new(Semaphore::new(max_connections.min(MAX_WAITING_CONNECTIONS))),
            usual: limiter(max_connections),
            reserved: limiter(RESERVED_CONNECTIONS),
        }
    }

    /// A place among all connections, or else one in the reserve, with the reason.
    fn admit(&self, peer: IpAddr) -> Option<Admission> {
        let permit = Arc::clone(&self.open).try_acquire_owned().ok()?;
        self.admission(peer, permit, self.usual.admit(peer))
    }

    /// A place like that, at once or when it is the peer's turn.
    fn admit_in_turn(&self, peer: IpAddr) -> Turn {
        let Ok(permit) = Arc::clone(&self.open).try_acquire_owned() else {
            return Turn::Now(None);
        };
        let admitted = match self.usual.admit_sparing(peer) {
            Ok(place) => Ok(place),
            Err(NoPlace::Overload(overload)) => Err(overload),
            Err(NoPlace::Later(turn)) => match Arc::clone(&self.waiting).try_acquire_owned() {
                Ok(permit) => return Turn::Later(turn, permit),
                Err(_) => self.usual.admit(peer),
            },
        };
        Turn::Now(self.admission(peer, permit, admitted))
    }

    /// Waits for the peer's turn, within the time that it may take.
    async fn wait(&self, peer: IpAddr, mut turn: oneshot::Receiver<()>) -> Option<Admission> {
        let deadline = Instant::now() + CONNECTION_TURN_TIMEOUT;
        while timeout_at(deadline, turn).await.is_ok() {
            match self.admit_in_turn(peer) {
                Turn::Now(admission) => return admission,
                Turn::Later(next, _) => turn = next,
            }
        }
        self.admit(peer)
    }

    fn admission(
        &self,
        peer: IpAddr,
        permit: OwnedSemaphorePermit,
        admitted: Result<ConnectionPlace, Overload>,
    ) -> Option<Admission> {
        let (place, overload) = match admitted {
            Ok(place) => (place, None),
            Err(overload) => (self.reserved.admit(peer).ok()?, Some(overload)),
        };
        Some(Admission {
            place,
            overload,
            permit,
        })
    }
}

/// A connection that has a place; in the reserve if there is an overload.
struct Admission {
    place: ConnectionPlace,
    overload: Option<Overload>,
    permit: OwnedSemaphorePermit,
}

/// When a connection gets its place.
enum Turn {
    /// Now, or never.
    Now(Option<Admission>),
    /// When the receiver resolves; the permit is for waiting.
    Later(oneshot::Receiver<()>, OwnedSemaphorePermit),
}

/// Serves until `shutdown`, then waits for requests in flight; returns whether all of them ended in time.
///
/// It never stops accepting: a connection that gets no place is told so, and health always answers.
pub async fn serve(
    listener: TcpListener,
    handler: impl RequestHandler + 'static,
    limits: ServerLimits,
    shutdown: CancellationToken,
) -> bool {
    let kind = Arc::new(ConnectionKind {
        handler,
        trusted_proxies: limits.trusted_proxies.clone(),
        min_bytes_per_minute: limits.min_bytes_per_minute,
        download_timeout: limits.download_timeout,
    });
    let places = Places::new(limits.max_connections, &kind.trusted_proxies);
    let graceful = GracefulShutdown::new();
    let mut last_warning = None;
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => open(&kind, &places, &graceful, stream, peer),
            Err(error) => {
                warn_sometimes(&error, &mut last_warning);
                tokio::time::sleep(ACCEPT_RETRY_INTERVAL).await;
            }
        }
    }
    drop(listener);
    tokio::select! {
        () = graceful.shutdown() => true,
        () = tokio::time::sleep(limits.shutdown_timeout) => false,
    }
}

/// Serves a connection in a task of its own, if there is a place for it, now or in its turn.
fn open<H: RequestHandler + 'static>(
    kind: &Arc<ConnectionKind<H>>,
    places: &Places,
    graceful: &GracefulShutdown,
    stream: TcpStream,
    peer: SocketAddr,
) {
    let (kind, watcher) = (Arc::clone(kind), graceful.watcher());
    match places.admit_in_turn(peer.ip()) {
        Turn::Now(None) => count_refusal(),
        Turn::Now(Some(admission)) => {
            tokio::spawn(serve_connection(kind, admission, stream, peer, watcher));
        }
        Turn::Later(turn, permit) => {
            let places = places.clone();
            tokio::spawn(async move {
                let admission = places.wait(peer.ip(), turn).await;
                drop(permit);
                match admission {
                    Some(admission) => {
                        serve_connection(kind, admission, stream, peer, watcher).await;
                    }
                    None => count_refusal(),
                }
            });
        }
    }
}

async fn serve_connection<H: RequestHandler + 'static>(
    kind: Arc<ConnectionKind<H>>,
    admission: Admission,
    stream: TcpStream,
    peer: SocketAddr,
    watcher: Watcher,
) {
    let Admission {
        place,
        overload,
        permit,
    } = admission;
    if overload.is_some() {
        count_refusal();
    }
    // A client that is gone already shows when it is read from.
    let _ = stream.set_nodelay(true);
    let connection = Connection {
        kind,
        place: Arc::new(place),
        peer,
        overload,
        headers_timeout: overload.map_or(HEADERS_TIMEOUT, |_| RESERVED_HEADERS_TIMEOUT),
    };
    connection.serve(stream, watcher).await;
    drop(permit);
}

fn count_refusal() {
    CloseReason::NoPlace.count();
}

fn warn_sometimes(error: &std::io::Error, last_warning: &mut Option<Instant>) {
    if last_warning.is_none_or(|last| last.elapsed() >= ACCEPT_WARNING_INTERVAL) {
        tracing::warn!(%error, "accepting a connection failed");
        *last_warning = Some(Instant::now());
    }
}
