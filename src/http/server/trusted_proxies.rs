//! Trusted proxies: whose word about the client's address is believed.
//!
//! The rule: the client is the nearest hop that is not a trusted proxy, and if all are trusted, the
//! farthest. Whatever keeps a trusted proxy from naming it, a hop that cannot be read, a header that is
//! missing, or more hops than [`MAX_HOPS`], makes the address **unknown**. It never becomes the proxy's
//! own address, nor that of a hop further left or right: a policy that permits by network would take
//! every client of the proxy for a machine in the proxy's network.
//!
//! A request of a trusted proxy without the header has an unknown address too. It may be the proxy's own,
//! such as a health probe, which needs no address; but nothing tells it from a request of a client whose
//! address the proxy was not told to forward. For the same reason the header that is not configured is
//! never a substitute: a proxy that sets one of them passes the other on as the client sent it.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ipnet::IpNet;
use poem::http::HeaderMap;
use strum::{EnumCount, IntoStaticStr};

use crate::config::ForwardedHeader;
use crate::domain::client_address::ClientAddress;

use super::forwarded_hops::{header_name, hops_from_nearest};

/// The most trusted proxies in a row that are looked through.
pub const MAX_HOPS: usize = 32;
/// How many bytes of a hop that cannot be read are logged.
const MAX_LOGGED_HOP: usize = 64;

/// The networks of the proxies that the operator trusts, and the header they set.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    header: ForwardedHeader,
    /// Each finding is logged once, not with every request.
    has_warned: Arc<[AtomicBool; AddressFinding::COUNT]>,
}

/// What is wrong with what a peer says of its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumCount, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum AddressFinding {
    /// The peer is not a trusted proxy, and its header is ignored.
    Untrusted,
    /// A hop cannot be read.
    Unreadable,
    /// A trusted proxy sent no header.
    Missing,
    /// There are more than [`MAX_HOPS`] trusted proxies.
    TooManyHops,
}

impl AddressFinding {
    /// Those that make an address unknown.
    pub const OF_UNKNOWN: [Self; 3] = [Self::Unreadable, Self::Missing, Self::TooManyHops];
}

/// The address of a client, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvedAddress {
    /// The address.
    pub address: ClientAddress,
    finding: Option<(AddressFinding, String)>,
}

impl TrustedProxies {
    /// The proxies in `networks`, which set `header`.
    #[must_use]
    pub fn new(networks: Vec<IpNet>, header: ForwardedHeader) -> Self {
        Self {
            networks,
            header,
            has_warned: Arc::default(),
        }
    }

    /// Whether a proxy at `address` is trusted.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|net| net.contains(&address))
    }

    /// The address of the client of a request that `peer` sent.
    #[must_use]
    pub fn resolve(&self, peer: IpAddr, headers: &HeaderMap) -> ResolvedAddress {
        let peer = peer.to_canonical();
        let mut hops = hops_from_nearest(headers, self.header);
        if peer.is_unspecified() {
            // It came over no socket that has an address.
            return ResolvedAddress {
                address: ClientAddress::Unknown { proxy: peer },
                finding: None,
            };
        }
        if !self.contains(peer) {
            let finding = hops
                .next()
                .map(|_| (AddressFinding::Untrusted, String::new()));
            return ResolvedAddress {
                address: ClientAddress::Known(peer),
                finding,
            };
        }
        let unknown = |finding, hop: &[u8]| {
            let hop = hop.get(..MAX_LOGGED_HOP).unwrap_or(hop);
            ResolvedAddress {
                address: ClientAddress::Unknown { proxy: peer },
                finding: Some((finding, hop.escape_ascii().to_string())),
            }
        };
        let mut farthest = None;
        for hop in hops.by_ref().take(MAX_HOPS) {
            match hop {
                Ok(address) if self.contains(address) => farthest = Some(address),
                Ok(address) => {
                    farthest = Some(address);
                    break;
                }
                Err(hop) => return unknown(AddressFinding::Unreadable, hop),
            }
        }
        match farthest {
            None => unknown(AddressFinding::Missing, b""),
            Some(address) if self.contains(address) && hops.next().is_some() => {
                unknown(AddressFinding::TooManyHops, b"")
            }
            Some(address) => ResolvedAddress {
                address: ClientAddress::Known(address),
                finding: None,
            },
        }
    }

    /// Counts an address that is unknown, and logs what is wrong, once for each finding.
    pub fn report(&self, peer: IpAddr, resolved: &ResolvedAddress) {
        let Some((finding, hop)) = &resolved.finding else {
            return;
        };
        if let ClientAddress::Unknown { .. } = resolved.address {
            let cause: &'static str = finding.into();
            metrics::counter!("cedargate_unknown_addresses_total", "cause" => cause).increment(1);
        }
        let has_warned = self.has_warned.get(*finding as usize);
        if has_warned.is_none_or(|warned| warned.swap(true, Ordering::Relaxed)) {
            return;
        }
        let header = header_name(self.header);
        match finding {
            AddressFinding::Untrusted => tracing::warn!(
                %peer,
                "{header} ignored: the peer is not a trusted proxy, so all its clients share one \
                 rate limit; if it is your proxy, add it to CEDARGATE_TRUSTED_PROXIES"
            ),
            AddressFinding::Unreadable => tracing::warn!(
                %peer,
                hop,
                "client address unknown: a hop in {header} of a trusted proxy is no address; no policy \
                 permits by address, and limits count the client with the proxy; logged once"
            ),
            AddressFinding::Missing => tracing::warn!(
                %peer,
                "client address unknown: a trusted proxy sent no {header}; no policy permits by address, \
                 and limits count the client with the proxy; let the proxy send the header, or set \
                 CEDARGATE_FORWARDED_HEADER to the one it sends; logged once"
            ),
            AddressFinding::TooManyHops => tracing::warn!(
                %peer,
                "client address unknown: {header} names more than {MAX_HOPS} trusted proxies; logged once"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use poem::http::HeaderValue;

    use super::*;

    fn proxies(networks: &[&str]) -> TrustedProxies {
        let networks = networks.iter().map(|net| net.parse().unwrap());
        TrustedProxies::new(networks.collect(), ForwardedHeader::XForwardedFor)
    }

    fn forwarded(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            let name = header_name(ForwardedHeader::XForwardedFor);
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    fn resolve(proxies: &TrustedProxies, peer: &str, headers: &HeaderMap) -> Option<String> {
        let peer = peer.parse().unwrap();
        let address = proxies.resolve(peer, headers).address;
        assert!(address.known().is_some() || address.for_limits() == peer);
        address.known().map(|address| address.to_string())
    }

    #[test]
    fn forwarded_addresses_count_only_behind_trusted_proxies() {
        let headers = forwarded(&["203.0.113.9, 192.0.2.7:4711", "10.0.0.2"]);
        let trusting = proxies(&["10.0.0.0/8"]);
        for (proxies, peer, client) in [
            (&proxies(&[]), "10.0.0.1", "10.0.0.1"),
            (&trusting, "10.0.0.1", "192.0.2.7"),
            (&trusting, "::ffff:10.0.0.1", "192.0.2.7"),
            (&trusting, "192.0.2.7", "192.0.2.7"),
        ] {
            assert_eq!(resolve(proxies, peer, &headers).as_deref(), Some(client));
        }
    }

    #[test]
    fn an_address_that_a_trusted_proxy_does_not_tell_is_unknown() {
        let trusting = proxies(&["10.0.0.0/8"]);
        for values in [
            &[][..],
            &[""],
            &["unknown"],
            &["192.0.2.7, unknown"],
            &["192.0.2.7, nonsense, 10.0.0.2"],
            &["192.0.2.7", ""],
            &["192.0.2.7, 10.0.0.3:99999, 10.0.0.2"],
            &["192.0.2.7,"],
        ] {
            assert_eq!(
                resolve(&trusting, "10.0.0.1", &forwarded(values)),
                None,
                "{values:?}"
            );
        }
        // What is left of the client, the client wrote itself.
        let headers = forwarded(&["unknown, 192.0.2.7, 10.0.0.2"]);
        assert_eq!(
            resolve(&trusting, "10.0.0.1", &headers).as_deref(),
            Some("192.0.2.7")
        );
    }

    #[test]
    fn of_trusted_hops_alone_the_farthest_is_the_client() {
        let trusting = proxies(&["10.0.0.0/8"]);
        let headers = forwarded(&["10.0.0.4, 10.0.0.3", "10.0.0.2"]);
        assert_eq!(
            resolve(&trusting, "10.0.0.1", &headers).as_deref(),
            Some("10.0.0.4")
        );
        let chain = |length: usize| forwarded(&[vec!["10.0.0.2"; length].join(",").as_str()]);
        assert!(resolve(&trusting, "10.0.0.1", &chain(MAX_HOPS)).is_some());
        assert_eq!(resolve(&trusting, "10.0.0.1", &chain(MAX_HOPS + 1)), None);
    }

    #[test]
    fn the_header_that_is_not_configured_is_no_substitute() {
        let networks = vec!["10.0.0.0/8".parse().unwrap()];
        let by_forwarded = TrustedProxies::new(networks, ForwardedHeader::Forwarded);
        let mut headers = forwarded(&["192.0.2.7"]);
        assert_eq!(resolve(&by_forwarded, "10.0.0.1", &headers), None);
        headers.insert("forwarded", HeaderValue::from_static("for=192.0.2.8"));
        assert_eq!(
            resolve(&by_forwarded, "10.0.0.1", &headers).as_deref(),
            Some("192.0.2.8")
        );
        let by_default = proxies(&["10.0.0.0/8"]);
        assert_eq!(
            resolve(&by_default, "10.0.0.1", &headers).as_deref(),
            Some("192.0.2.7")
        );
    }
}
