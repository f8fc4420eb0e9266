//! The connection limiter: how many of all connections one address may hold.
//!
//! Without it one silent client holds every connection, and health checks wait like everybody else.
//! Trusted proxies speak for many clients and are not limited.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use super::trusted_proxies::TrustedProxies;

type OpenConnections = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// Counts the connections of each address.
pub struct ConnectionLimiter {
    max_per_address: usize,
    trusted_proxies: TrustedProxies,
    open_connections: OpenConnections,
}

/// One connection of an address; given back on drop.
pub struct ConnectionPermit {
    address: IpAddr,
    open_connections: OpenConnections,
}

impl ConnectionLimiter {
    /// A limiter that lets each address but trusted proxies hold `max_per_address` connections.
    #[must_use]
    pub fn new(max_per_address: usize, trusted_proxies: TrustedProxies) -> Self {
        Self {
            max_per_address,
            trusted_proxies,
            open_connections: Arc::default(),
        }
    }

    /// Takes one connection for an address; `None` if it holds as many as it may.
    #[must_use]
    pub fn try_acquire(&self, address: IpAddr) -> Option<ConnectionPermit> {
        let address = address.to_canonical();
        let is_limited = !self.trusted_proxies.contains(address);
        let mut open_connections = self.open_connections.lock();
        let count = open_connections.entry(address).or_default();
        if *count >= self.max_per_address && is_limited {
            return None;
        }
        *count += 1;
        Some(ConnectionPermit {
            address,
            open_connections: Arc::clone(&self.open_connections),
        })
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut open_connections = self.open_connections.lock();
        if let Some(count) = open_connections.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open_connections.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_cannot_hold_every_connection_but_a_trusted_proxy_can() {
        let proxies = TrustedProxies::from(vec!["10.0.0.1/32".parse().unwrap()]);
        let limiter = ConnectionLimiter::new(2, proxies);
        let client: IpAddr = "192.0.2.1".parse().unwrap();
        let first = limiter.try_acquire(client).unwrap();
        let _second = limiter.try_acquire(client).unwrap();
        assert!(limiter.try_acquire(client).is_none());
        assert!(limiter.try_acquire("192.0.2.2".parse().unwrap()).is_some());
        drop(first);
        assert!(limiter.try_acquire(client).is_some());
        let proxy = "10.0.0.1".parse().unwrap();
        let permits: Vec<_> = (0..8).map_while(|_| limiter.try_acquire(proxy)).collect();
        assert_eq!(permits.len(), 8);
        drop(permits);
        assert_eq!(limiter.open_connections.lock().len(), 1);
    }
}
