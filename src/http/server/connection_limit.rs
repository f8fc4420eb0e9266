//! The connection limit: which networks hold the server's connections, and who gives one up.
//!
//! A network (an IPv4 address or an IPv6 /64) may hold a part of all connections. When no place is
//! left, a newcomer takes the place of a connection of a network that holds more: an idle one if
//! there is one, else the one whose request began first. So nobody holds up the others, with
//! connections on which nothing happens nor with slow ones.
//!
//! A crowd that comes at once from one network (a fleet that restarts behind one address) must not push out its own
//! connections before their requests have arrived: whoever comes late waits for its turn.
//!
//! A trusted proxy speaks for many clients and has no limit of its own; while it forwards a
//! request, the connection counts for the network of the client.
//!
//! What changes with each request is kept beside the places, and read when a place is looked for: most requests need
//! no lock.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::limits::CONNECTION_TURN_TIMEOUT;
use crate::service::rate_limits::client_network;

use super::close_reason::CloseReason;
use super::connection_activity::{Activity, Events};
use super::trusted_proxies::TrustedProxies;

/// Why a connection, or a request on it, gets no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overload {
    /// All places are taken, by networks that hold no more than the newcomer's.
    Server,
    /// The network of the client holds as many as it may, and all are busy.
    Network,
}

/// Why a connection gets no place now.
#[derive(Debug)]
pub enum NoPlace {
    /// It gets none.
    Overload(Overload),
    /// Its network has opened so many just now; this resolves when one of them may give way.
    Later(oneshot::Receiver<()>),
}

/// The places for connections.
#[derive(Clone)]
pub struct ConnectionLimiter {
    max_connections: usize,
    max_per_network: usize,
    trusted_proxies: TrustedProxies,
    places: Arc<Mutex<Places>>,
    events: Arc<Events>,
}

#[derive(Default)]
struct Places {
    by_id: HashMap<u64, Place>,
    per_network: HashMap<IpAddr, usize>,
    /// Those who wait for their turn, by network; only networks for which somebody waits are there.
    waiting: HashMap<IpAddr, VecDeque<oneshot::Sender<()>>>,
    events: Arc<Events>,
}

struct Place {
    peer_network: IpAddr,
    /// The network that it counts for: the peer's, or that of the client whose request it forwards.
    network: IpAddr,
    /// Whether it counts for a trusted proxy itself.
    is_unlimited: bool,
    opened_at: Instant,
    activity: Arc<Activity>,
    displaced: CancellationToken,
}

/// The place of one connection; given back on drop.
pub struct ConnectionPlace {
    displaced: CancellationToken,
    connection: Arc<LimitedConnection>,
}

/// A connection that has a place.
struct LimitedConnection {
    id: u64,
    peer_network: IpAddr,
    activity: Arc<Activity>,
    limiter: ConnectionLimiter,
}

/// A request in flight; until it is dropped its connection is busy.
pub struct RequestInFlight(Arc<LimitedConnection>);

impl ConnectionLimiter {
    /// A limiter of all connections and of those of each network; trusted proxies may hold all.
    #[must_use]
    pub fn new(
        max_connections: usize,
        max_per_network: usize,
        trusted_proxies: TrustedProxies,
    ) -> Self {
        let places = Places::default();
        Self {
            max_connections,
            max_per_network,
            trusted_proxies,
            events: Arc::clone(&places.events),
            places: Arc::new(Mutex::new(places)),
        }
    }

    /// Takes a place for a connection of a peer; another connection may have to close for it.
    pub fn admit(&self, peer: IpAddr) -> Result<ConnectionPlace, Overload> {
        self.take(&mut self.places.lock(), peer, |_| true)
    }

    /// Takes a place as [`ConnectionLimiter::admit`] does, but closes no connection of the peer's own network that
    /// was opened just now and whose first request may be on its way.
    pub fn admit_sparing(&self, peer: IpAddr) -> Result<ConnectionPlace, NoPlace> {
        let network = client_network(peer);
        let mut places = self.places.lock();
        let mut has_spared = false;
        // Before anything is read: a request that ends from now on tells whoever waits.
        self.events.begin_waiting();
        let taken = self.take(&mut places, peer, |place| {
            let is_spared = place.network == network && place.is_new();
            has_spared |= is_spared;
            !is_spared
        });
        if taken.is_err() && has_spared {
            let (sender, turn) = oneshot::channel();
            places.waiting.entry(network).or_default().push_back(sender);
            return Err(NoPlace::Later(turn));
        }
        self.events.end_waiting();
        taken.map_err(NoPlace::Overload)
    }

    fn take(
        &self,
        places: &mut Places,
        peer: IpAddr,
        mut may_close: impl FnMut(&Place) -> bool,
    ) -> Result<ConnectionPlace, Overload> {
        let is_unlimited = self.trusted_proxies.contains(peer.to_canonical());
        let network = client_network(peer);
        if !is_unlimited && places.count(network) >= self.max_per_network {
            let idle = places.longest_idle(network, may_close);
            places.displace(idle.ok_or(Overload::Network)?);
        } else if places.by_id.len() >= self.max_connections {
            let victim = places.find_victim(network, is_unlimited);
            let victim = victim.filter(|id| places.by_id.get(id).is_some_and(&mut may_close));
            places.displace(victim.ok_or(Overload::Server)?);
        }
        let id = self.events.next();
        let activity = Arc::new(Activity::opened(id));
        let displaced = CancellationToken::new();
        let place = Place {
            peer_network: network,
            network,
            is_unlimited,
            opened_at: Instant::now(),
            activity: Arc::clone(&activity),
            displaced: displaced.clone(),
        };
        *places.per_network.entry(network).or_default() += 1;
        places.by_id.insert(id, place);
        let connection = LimitedConnection {
            id,
            peer_network: network,
            activity,
            limiter: self.clone(),
        };
        Ok(ConnectionPlace {
            displaced,
            connection: Arc::new(connection),
        })
    }
}

impl ConnectionPlace {
    /// Marks the connection as busy with a request of a client, which may be another one than the peer.
    pub fn begin_request(&self, client: IpAddr) -> Result<RequestInFlight, Overload> {
        let network = client_network(client);
        let activity = &self.connection.activity;
        if network != self.connection.peer_network || activity.is_forwarding() {
            self.connection.count_for(network)?;
        }
        activity.begin_request(&self.connection.limiter.events);
        Ok(RequestInFlight(Arc::clone(&self.connection)))
    }

    /// Resolves when the connection has to make room for another.
    pub async fn displaced(&self) {
        self.displaced.cancelled().await;
    }
}

impl LimitedConnection {
    /// Counts the connection for the network of a client whose request it forwards.
    fn count_for(&self, network: IpAddr) -> Result<(), Overload> {
        let mut places = self.limiter.places.lock();
        let held = places.count(network);
        let Some(place) = places.by_id.get_mut(&self.id) else {
            return Ok(());
        };
        let is_forwarded = network != place.peer_network;
        if is_forwarded && held >= self.limiter.max_per_network {
            return Err(Overload::Network);
        }
        place.is_unlimited &= !is_forwarded;
        place.activity.set_forwarding(is_forwarded);
        if place.network != network {
            places.move_to_network(self.id, network);
        }
        Ok(())
    }

    /// Tells whoever waits that the connection may give way; counts it for its peer again.
    fn end_request(&self) {
        let mut places = self.limiter.places.lock();
        let Some(place) = places.by_id.get_mut(&self.id) else {
            return;
        };
        let former_network = place.network;
        // Only the connection of a proxy ever counts for another network.
        if former_network != self.peer_network {
            place.is_unlimited = true;
            place.activity.set_forwarding(false);
            places.move_to_network(self.id, self.peer_network);
        }
        places.call_next(former_network);
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        let LimitedConnection { id, limiter, .. } = &*self.connection;
        limiter.places.lock().remove(*id);
    }
}

impl Drop for RequestInFlight {
    fn drop(&mut self) {
        let LimitedConnection {
            activity, limiter, ..
        } = &*self.0;
        activity.end_request(&limiter.events);
        if activity.is_forwarding() || limiter.events.is_awaited() {
            self.0.end_request();
        }
    }
}

impl Place {
    /// Whether its first request may be on its way.
    fn is_new(&self) -> bool {
        !self.is_busy()
            && !self.activity.has_had_request()
            && self.opened_at.elapsed() < CONNECTION_TURN_TIMEOUT
    }

    fn is_busy(&self) -> bool {
        self.activity.is_busy()
    }

    fn since(&self) -> u64 {
        self.activity.since()
    }
}

impl Places {
    fn count(&self, network: IpAddr) -> usize {
        self.per_network.get(&network).copied().unwrap_or_default()
    }

    fn longest_idle(
        &self,
        network: IpAddr,
        mut may_close: impl FnMut(&Place) -> bool,
    ) -> Option<u64> {
        let idle = self.by_id.iter();
        idle.filter(|(_, place)| place.network == network && !place.is_busy() && may_close(place))
            .min_by_key(|(_, place)| place.since())
            .map(|(id, _)| *id)
    }

    /// The connection that makes room for a newcomer when all places are taken.
    fn find_victim(&self, newcomer: IpAddr, is_unlimited: bool) -> Option<u64> {
        // A proxy brings somebody who is not known yet: an average network.
        let held = if is_unlimited {
            self.by_id.len() / self.per_network.len().max(1)
        } else {
            self.count(newcomer)
        };
        let is_own = |place: &Place| place.network == newcomer;
        let holds_more =
            |place: &Place, than| !place.is_unlimited && self.count(place.network) > than;
        let of_larger =
            |place: &Place| !place.is_busy() && (is_own(place) || holds_more(place, held));
        let of_anyone = |place: &Place| !place.is_busy() && !place.is_unlimited;
        self.first_of(of_larger)
            .or_else(|| self.first_of(|place| holds_more(place, held + 1)))
            .or_else(|| self.first_of(of_anyone))
    }

    /// Among the places that fit, of the network that holds most, the one that has not changed longest.
    fn first_of(&self, fits: impl Fn(&Place) -> bool) -> Option<u64> {
        let fitting = self.by_id.iter().filter(|(_, place)| fits(place));
        fitting
            .max_by_key(|(_, place)| (self.count(place.network), Reverse(place.since())))
            .map(|(id, _)| *id)
    }

    fn displace(&mut self, id: u64) {
        CloseReason::Displaced.count();
        if let Some(place) = self.remove(id) {
            place.displaced.cancel();
        }
    }

    fn remove(&mut self, id: u64) -> Option<Place> {
        let place = self.by_id.remove(&id)?;
        self.discount(place.network);
        self.call_next(place.network);
        Some(place)
    }

    /// Tells the first of a network who still waits that a connection of it may give way.
    fn call_next(&mut self, network: IpAddr) {
        let Some(waiting) = self.waiting.get_mut(&network) else {
            return;
        };
        while let Some(next) = waiting.pop_front() {
            self.events.end_waiting();
            if next.send(()).is_ok() {
                break;
            }
        }
        if waiting.is_empty() {
            self.waiting.remove(&network);
        }
    }

    fn move_to_network(&mut self, id: u64, network: IpAddr) {
        let Some(place) = self.by_id.get_mut(&id) else {
            return;
        };
        let previous = std::mem::replace(&mut place.network, network);
        *self.per_network.entry(network).or_default() += 1;
        self.discount(previous);
    }

    fn discount(&mut self, network: IpAddr) {
        if let Some(count) = self.per_network.get_mut(&network) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.per_network.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests;
