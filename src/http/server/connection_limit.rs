//! The connection limit: which networks hold the server's connections, and who gives one up.
//!
//! A network (an IPv4 address or an IPv6 /64) may hold a part of all connections. When no place is
//! left, a newcomer takes the place of a connection of a network that holds more: an idle one if
//! there is one, else the one whose request began first. So nobody holds up the others, with
//! connections on which nothing happens nor with slow ones.
//!
//! A trusted proxy speaks for many clients and has no limit of its own; while it forwards a
//! request, the connection counts for the network of the client.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

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
        let is_unlimited = self.trusted_proxies.contains(peer.to_canonical());
        let network = client_network(peer);
        let mut places = self.places.lock();
        if !is_unlimited && places.count(network) >= self.max_per_network {
            let idle = places.longest_idle(network).ok_or(Overload::Network)?;
            places.displace(idle);
        } else if places.by_id.len() >= self.max_connections {
            let victim = places.find_victim(network, is_unlimited);
            places.displace(victim.ok_or(Overload::Server)?);
        }
        let id = places.next();
        let displaced = CancellationToken::new();
        let place = Place {
            peer_network: network,
            network,
            is_unlimited,
            is_busy: false,
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
        let held = places.count(network);
        let since = places.next();
        if let Some(place) = places.by_id.get_mut(&self.id) {
            let is_forwarded = network != place.peer_network;
            if is_forwarded && held >= self.limiter.max_per_network {
                return Err(Overload::Network);
            }
            place.is_busy = true;
            place.since = since;
            place.is_unlimited &= !is_forwarded;
            places.move_to_network(self.id, network);
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
        // Only the connection of a proxy ever counts for another network.
        place.is_unlimited |= place.network != peer_network;
        places.move_to_network(self.id, peer_network);
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

    fn longest_idle(&self, network: IpAddr) -> Option<u64> {
        let idle = self.by_id.iter();
        idle.filter(|(_, place)| place.network == network && !place.is_busy)
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
        Some(place)
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
mod tests {
    use super::*;
    use crate::config::ForwardedHeader;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn limiter(max_connections: usize, max_per_network: usize) -> ConnectionLimiter {
        let proxies = TrustedProxies::new(
            vec!["10.0.0.1/32".parse().unwrap()],
            ForwardedHeader::default(),
        );
        ConnectionLimiter::new(max_connections, max_per_network, proxies)
    }

    fn busy(limiter: &ConnectionLimiter, peer: &str) -> (ConnectionPlace, RequestInFlight) {
        let place = limiter.admit(ip(peer)).unwrap();
        let request = place.begin_request(ip(peer)).unwrap();
        (place, request)
    }

    fn is_displaced(place: &ConnectionPlace) -> bool {
        place.displaced.is_cancelled()
    }

    #[test]
    fn a_network_at_its_limit_gives_up_its_own_longest_idle_connection() {
        let limiter = limiter(8, 2);
        let (first, request) = busy(&limiter, "2001:db8::1");
        let second = limiter.admit(ip("2001:db8::2")).unwrap();
        let other = limiter.admit(ip("2001:db8:0:1::1")).unwrap();
        let third = limiter.admit(ip("2001:db8::3")).unwrap();
        assert!(is_displaced(&second));
        assert!([&first, &other, &third].iter().all(|it| !is_displaced(it)));
        let _third_request = third.begin_request(ip("2001:db8::3")).unwrap();
        assert_eq!(
            limiter.admit(ip("2001:db8::4")).err(),
            Some(Overload::Network)
        );
        drop(request);
        assert!(limiter.admit(ip("2001:db8::4")).is_ok());
        assert!(is_displaced(&first));
    }

    #[test]
    fn a_newcomer_takes_the_place_of_an_idle_connection_of_whoever_holds_most() {
        let limiter = limiter(5, 4);
        let (_office, _request) = busy(&limiter, "192.0.2.1");
        let silent: Vec<_> = (0..3)
            .map(|_| limiter.admit(ip("192.0.2.2")).unwrap())
            .collect();
        let single = limiter.admit(ip("192.0.2.3")).unwrap();
        let _newcomer = limiter.admit(ip("192.0.2.4")).unwrap();
        assert_eq!(
            silent.iter().map(is_displaced).collect::<Vec<_>>(),
            [true, false, false]
        );
        assert!(!is_displaced(&single));
    }

    #[test]
    fn among_busy_connections_the_oldest_of_whoever_holds_most_gives_way() {
        let limiter = limiter(4, 4);
        let mut slow: Vec<_> = (0..4).map(|_| busy(&limiter, "192.0.2.1")).collect();
        let first = busy(&limiter, "192.0.2.2");
        let second = busy(&limiter, "192.0.2.3");
        let displaced: Vec<_> = slow.iter().map(|(place, _)| is_displaced(place)).collect();
        assert_eq!(displaced, [true, true, false, false]);
        slow.pop();
        let third = busy(&limiter, "192.0.2.4");
        assert!(
            [&first, &second, &third]
                .iter()
                .all(|(place, _)| !is_displaced(place))
        );
        // Now four networks hold one each: nobody has to give way to a fifth.
        assert_eq!(limiter.admit(ip("192.0.2.5")).err(), Some(Overload::Server));
    }

    #[test]
    fn many_networks_with_one_silent_connection_each_give_way_in_their_order() {
        let limiter = limiter(3, 3);
        let silent: Vec<_> = (1..=3)
            .map(|host| limiter.admit(ip(&format!("192.0.2.{host}"))).unwrap())
            .collect();
        let _first = busy(&limiter, "192.0.2.9");
        assert_eq!(
            silent.iter().map(is_displaced).collect::<Vec<_>>(),
            [true, false, false]
        );
        let _second = busy(&limiter, "192.0.2.9");
        assert_eq!(
            silent.iter().map(is_displaced).collect::<Vec<_>>(),
            [true, true, false]
        );
    }

    #[test]
    fn requests_that_a_proxy_forwards_count_for_the_network_of_the_client() {
        let limiter = limiter(8, 2);
        let proxy = ip("10.0.0.1");
        let places: Vec<_> = (0..8).map(|_| limiter.admit(proxy).unwrap()).collect();
        let client = ip("192.0.2.1");
        let first = places[0].begin_request(client).unwrap();
        let second = places[1].begin_request(client).unwrap();
        assert_eq!(
            places[2].begin_request(client).err(),
            Some(Overload::Network)
        );
        assert!(places[3].begin_request(ip("192.0.2.2")).is_ok());
        drop(first);
        assert!(places[2].begin_request(client).is_ok());
        drop((second, places));
        assert!(limiter.places.lock().per_network.is_empty());
    }
}
