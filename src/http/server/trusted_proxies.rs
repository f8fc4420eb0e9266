//! Trusted proxies: whose `X-Forwarded-For` is believed.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ipnet::IpNet;
use poem::http::{HeaderMap, HeaderName};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The networks of the proxies that the operator trusts.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    /// An untrusted proxy is logged once, not with every request.
    has_warned: Arc<AtomicBool>,
}

impl From<Vec<IpNet>> for TrustedProxies {
    fn from(networks: Vec<IpNet>) -> Self {
        Self {
            networks,
            has_warned: Arc::default(),
        }
    }
}

impl TrustedProxies {
    /// Whether a proxy at `address` is trusted.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|net| net.contains(&address))
    }

    /// The address before the nearest proxy that is not trusted; the peer itself if it is not trusted.
    #[must_use]
    pub fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let hops: Vec<&str> = headers
            .get_all(X_FORWARDED_FOR)
            .iter()
            .flat_map(|value| value.to_str().unwrap_or_default().split(','))
            .map(str::trim)
            .collect();
        if !hops.is_empty()
            && !self.contains(peer)
            && !self.has_warned.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                %peer,
                "X-Forwarded-For ignored: the peer is not a trusted proxy, so all its clients share one \
                 rate limit; if it is your proxy, add it to CEDARGATE_TRUSTED_PROXIES"
            );
        }
        let mut address = peer;
        for hop in hops.iter().rev() {
            if !self.contains(address) {
                break;
            }
            match hop.parse::<IpAddr>() {
                Ok(hop) => address = hop.to_canonical(),
                Err(_) => break,
            }
        }
        address
    }
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::*;

    fn proxies(networks: &[&str]) -> TrustedProxies {
        let networks = networks.iter().map(|net| net.parse().unwrap());
        TrustedProxies::from(networks.collect::<Vec<IpNet>>())
    }

    fn forwarded(values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn forwarded_addresses_count_only_behind_trusted_proxies() {
        let peer: IpAddr = "10.0.0.1".parse().unwrap();
        let client: IpAddr = "192.0.2.7".parse().unwrap();
        let headers = forwarded(&["203.0.113.9, 192.0.2.7", "10.0.0.2"]);
        let trusting = proxies(&["10.0.0.0/8"]);
        assert_eq!(proxies(&[]).client_address(peer, &headers), peer);
        assert_eq!(trusting.client_address(peer, &headers), client);
        assert_eq!(trusting.client_address(client, &headers), client);
        let malformed = forwarded(&["nonsense"]);
        assert_eq!(trusting.client_address(peer, &malformed), peer);
    }
}
