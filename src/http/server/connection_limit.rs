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
}

#[derive(Default)]
struct Places {
    by_id: HashMap<u64, Place>,
    per_network: HashMap<IpAddr, usize>,
    /// Those who wait for their turn, by network; only networks for which somebody waits are there.
    waiting: HashMap<IpAddr, VecDeque<oneshot::Sender<()>>>,
    /// Numbers connections and orders events.
    counter: u64,
}

struct Place {
    peer_network: IpAddr,
    /// The network that it counts for: the peer's, or that of the client whose request it forwards.
    network: IpAddr,
    /// Whether it counts for a trusted proxy itself.
    is_unlimited: bool,
    is_busy: bool,
    opened_at: Instant,
    has_had_request: bool,
    /// When it became idle or busy, as a number of the counter.
    since: u64,
    displaced: CancellationToken,
}

/// The place of one connection; given back on drop.
pub struct ConnectionPlace {
    id: u64,
    displaced: CancellationToken,
    limiter: ConnectionLimiter,
}

/// A request in flight; until it is dropped its connection is busy.
pub struct RequestInFlight {
    id: u64,
    places: Arc<Mutex<Places>>,
}

impl ConnectionLimiter {
    /// A limiter of all connections and of those of each network; trusted proxies may hold all.
    #[must_use]
    pub fn new(
        max_connections: usize,
        max_per_network: usize,
        trusted_proxies: TrustedProxies,
    ) -> Self {
        Self {
            max_connections,
            max_per_network,
            trusted_proxies,
            places: Arc::default(),
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
        let taken = self.take(&mut places, peer, |place| {
            let is_spared = place.network == network && place.is_new();
            has_spared |= is_spared;
            !is_spared
        });
        taken.map_err(|overload| {
            if !has_spared {
                return NoPlace::Overload(overload);
            }
            let (sender, turn) = oneshot::channel();
            places.waiting.entry(network).or_default().push_back(sender);
            NoPlace::Later(turn)
        })
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
        let id = places.next();
        let displaced = CancellationToken::new();
        let place = Place {
            peer_network: network,
            network,
            is_unlimited,
            is_busy: false,
            opened_at: Instant::now(),
            has_had_request: false,
            since: id,
            displaced: displaced.clone(),
        };
        *places.per_network.entry(network).or_default() += 1;
        places.by_id.insert(id, place);
        Ok(ConnectionPlace {
            id,
            displaced,
            limiter: self.clone(),
        })
    }
}

impl ConnectionPlace {
    /// Marks the connection as busy with a request of a client, which may be another one than the peer.
    pub fn begin_request(&self, client: IpAddr) -> Result<RequestInFlight, Overload> {
        let mut places = self.limiter.places.lock();
        let network = client_network(client);
        let since = places.next();
        let Places {
            by_id, per_network, ..
        } = &mut *places;
        if let Some(place) = by_id.get_mut(&self.id) {
            let is_forwarded = network != place.peer_network;
            let held = || per_network.get(&network).copied().unwrap_or_default();
            if is_forwarded && held() >= self.limiter.max_per_network {
                return Err(Overload::Network);
            }
            place.is_busy = true;
            place.has_had_request = true;
            place.since = since;
            place.is_unlimited &= !is_forwarded;
            if place.network != network {
                places.move_to_network(self.id, network);
            }
        }
        Ok(RequestInFlight {
            id: self.id,
            places: Arc::clone(&self.limiter.places),
        })
    }

    /// Resolves when the connection has to make room for another.
    pub async fn displaced(&self) {
        self.displaced.cancelled().await;
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        self.limiter.places.lock().remove(self.id);
    }
}

impl Drop for RequestInFlight {
    fn drop(&mut self) {
        let mut places = self.places.lock();
        let since = places.next();
        let Some(place) = places.by_id.get_mut(&self.id) else {
            return;
        };
        place.is_busy = false;
        place.since = since;
        let peer_network = place.peer_network;
        let former_network = place.network;
        // Only the connection of a proxy ever counts for another network.
        if former_network != peer_network {
            place.is_unlimited = true;
            places.move_to_network(self.id, peer_network);
        }
        places.call_next(former_network);
    }
}

impl Place {
    /// Whether its first request may be on its way.
    fn is_new(&self) -> bool {
        !self.is_busy && !self.has_had_request && self.opened_at.elapsed() < CONNECTION_TURN_TIMEOUT
    }
}

impl Places {
    fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }

    fn count(&self, network: IpAddr) -> usize {
        self.per_network.get(&network).copied().unwrap_or_default()
    }

    fn longest_idle(
        &self,
        network: IpAddr,
        mut may_close: impl FnMut(&Place) -> bool,
    ) -> Option<u64> {
        let idle = self.by_id.iter();
        idle.filter(|(_, place)| place.network == network && !place.is_busy && may_close(place))
            .min_by_key(|(_, place)| place.since)
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
            |place: &Place| !place.is_busy && (is_own(place) || holds_more(place, held));
        let of_anyone = |place: &Place| !place.is_busy && !place.is_unlimited;
        self.first_of(of_larger)
            .or_else(|| self.first_of(|place| holds_more(place, held + 1)))
            .or_else(|| self.first_of(of_anyone))
    }

    /// Among the places that fit, of the network that holds most, the one that has not changed longest.
    fn first_of(&self, fits: impl Fn(&Place) -> bool) -> Option<u64> {
        let fitting = self.by_id.iter().filter(|(_, place)| fits(place));
        fitting
            .max_by_key(|(_, place)| (self.count(place.network), Reverse(place.since)))
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
