//! Connection shares: how many of all connections one address may hold.
//!
//! Without them one silent client holds every place, and health checks wait with everybody else.
//! Trusted proxies speak for many and have no share. This module refuses to know what a
//! connection is used for.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use ipnet::IpNet;

use crate::config::limits::CONNECTION_SHARE;

use super::Bounds;

/// Who holds how many connections.
pub struct Shares {
    most: usize,
    trusted_proxies: Vec<IpNet>,
    held: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One connection of an address; given back on drop.
pub struct Share {
    address: IpAddr,
    held: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Shares {
    /// Shares out the connections of `bounds`.
    #[must_use]
    pub fn new(bounds: &Bounds) -> Self {
        Self {
            most: bounds.most_connections.div_ceil(CONNECTION_SHARE),
            trusted_proxies: bounds.trusted_proxies.clone(),
            held: Arc::default(),
        }
    }

    /// Takes one connection for an address, unless it holds its share already.
    #[must_use]
    pub fn take(&self, address: IpAddr) -> Option<Share> {
        let address = address.to_canonical();
        let is_proxy = self
            .trusted_proxies
            .iter()
            .any(|proxy| proxy.contains(&address));
        let mut held = self.held.lock().ok()?;
        let count = held.entry(address).or_default();
        if *count >= self.most && !is_proxy {
            return None;
        }
        *count += 1;
        Some(Share {
            address,
            held: Arc::clone(&self.held),
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let Ok(mut held) = self.held.lock() else {
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
        let shares = Shares::new(&Bounds {
            most_connections: 8,
            grace: Duration::ZERO,
            trusted_proxies: vec!["10.0.0.1/32".parse().unwrap()],
        });
        let client: IpAddr = "192.0.2.1".parse().unwrap();
        let first = shares.take(client).unwrap();
        let _second = shares.take(client).unwrap();
        assert!(shares.take(client).is_none());
        assert!(shares.take("192.0.2.2".parse().unwrap()).is_some());
        drop(first);
        assert!(shares.take(client).is_some());
        let proxy = "10.0.0.1".parse().unwrap();
        let held: Vec<_> = (0..8).map_while(|_| shares.take(proxy)).collect();
        assert_eq!(held.len(), 8);
        drop(held);
        assert_eq!(shares.held.lock().unwrap().len(), 1);
    }
}
