//! Connection shares: how many of all connections one address may hold.
//!
//! Without them one silent client holds every place, and health checks wait with everybody else.
//! Trusted proxies speak for many and have no share. This module refuses to know what a
//! connection is used for.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use ipnet::IpNet;

use crate::config::limits::CONNECTION_SHARE_DIVISOR;

use super::ServerLimits;

/// Who holds how many connections.
pub struct ConnectionLimiter {
    max_per_address: usize,
    trusted_proxies: Vec<IpNet>,
    open_connections: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One connection of an address; given back on drop.
pub struct ConnectionPermit {
    address: IpAddr,
    open_connections: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl ConnectionLimiter {
    /// Shares out the connections of `bounds`.
    #[must_use]
    pub fn new(bounds: &ServerLimits) -> Self {
        Self {
            max_per_address: bounds.max_connections.div_ceil(CONNECTION_SHARE_DIVISOR),
            trusted_proxies: bounds.trusted_proxies.clone(),
            open_connections: Arc::default(),
        }
    }

    /// Takes one connection for an address, unless it holds its share already.
    #[must_use]
    pub fn try_acquire(&self, address: IpAddr) -> Option<ConnectionPermit> {
        let address = address.to_canonical();
        let is_proxy = self
            .trusted_proxies
            .iter()
            .any(|proxy| proxy.contains(&address));
        let mut held = self.open_connections.lock().ok()?;
        let count = held.entry(address).or_default();
        if *count >= self.max_per_address && !is_proxy {
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
        let Ok(mut held) = self.open_connections.lock() else {
            return;
        };
        if let Some(count) = held.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                held.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_address_cannot_hold_every_connection_but_a_trusted_proxy_can() {
        let shares = ConnectionLimiter::new(&ServerLimits {
            max_connections: 8,
            shutdown_timeout: Duration::ZERO,
            trusted_proxies: vec!["10.0.0.1/32".parse().unwrap()],
        });
        let client: IpAddr = "192.0.2.1".parse().unwrap();
        let first = shares.try_acquire(client).unwrap();
        let _second = shares.try_acquire(client).unwrap();
        assert!(shares.try_acquire(client).is_none());
        assert!(shares.try_acquire("192.0.2.2".parse().unwrap()).is_some());
        drop(first);
        assert!(shares.try_acquire(client).is_some());
        let proxy = "10.0.0.1".parse().unwrap();
        let held: Vec<_> = (0..8).map_while(|_| shares.try_acquire(proxy)).collect();
        assert_eq!(held.len(), 8);
        drop(held);
        assert_eq!(shares.open_connections.lock().unwrap().len(), 1);
    }
}
