//! Which addresses files at URLs may be fetched from: public ones, and the networks that the settings list.
//!
//! What is public is what the registries of IANA for special-purpose addresses (RFC 6890) call globally reachable.
//! An IPv6 address that stands for an IPv4 address counts as that one: IPv4-mapped, and NAT64 (RFC 6052).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// The addresses that may be connected to.
#[derive(Clone, Debug, Default)]
pub(super) struct AllowedAddresses {
    networks: Vec<IpNet>,
}

/// Blocks of IPv4 that no server of the public internet is in, with the length of their prefix.
const SPECIAL_V4: [([u8; 4], u8); 16] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 31, 196, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    // Multicast, and what is reserved with the broadcast address.
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];

/// Blocks of global unicast IPv6 (`2000::/3`) that are not public: protocols such as Teredo, documentation, 6to4.
const SPECIAL_V6: [([u16; 2], u32); 4] = [
    ([0x2001, 0x0000], 23),
    ([0x2001, 0x0db8], 32),
    ([0x2002, 0x0000], 16),
    ([0x3fff, 0x0000], 20),
];

impl AllowedAddresses {
    pub(super) fn new(networks: &[IpNet]) -> Self {
        Self {
            networks: networks.to_vec(),
        }
    }

    /// Whether no network is listed.
    pub(super) fn is_empty(&self) -> bool {
        self.networks.is_empty()
    }

    /// Whether an address may be connected to; by plain http only the listed networks.
    pub(super) fn permits(&self, address: IpAddr, is_plain: bool) -> bool {
        let real = embedded_v4(address).map_or(address, IpAddr::V4);
        let mut networks = self.networks.iter();
        networks.any(|network| network.contains(&real)) || (!is_plain && is_public(real))
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let bits = address.to_bits();
            !SPECIAL_V4.iter().any(|(network, length)| {
                let network = Ipv4Addr::from(*network).to_bits();
                (bits ^ network).leading_zeros() >= u32::from(*length)
            })
        }
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            let is_within = |network: u128, length| (bits ^ network).leading_zeros() >= length;
            let start = |[one, two]: [u16; 2]| u128::from(one) << 112 | u128::from(two) << 96;
            is_within(0x2000 << 112, 3)
                && !SPECIAL_V6
                    .iter()
                    .any(|(network, length)| is_within(start(*network), *length))
        }
    }
}

/// The IPv4 address that an IPv6 address stands for.
fn embedded_v4(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = address else {
        return None;
    };
    let nat64 = |address: Ipv6Addr| {
        let [start @ .., high, low] = address.segments();
        (start == [0x64, 0xff9b, 0, 0, 0, 0])
            .then(|| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)))
    };
    address.to_ipv4_mapped().or_else(|| nat64(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(networks: &[&str], address: &str, is_plain: bool) -> bool {
        let networks: Vec<IpNet> = networks.iter().map(|text| text.parse().unwrap()).collect();
        AllowedAddresses::new(&networks).permits(address.parse().unwrap(), is_plain)
    }

    #[test]
    fn private_and_special_addresses_are_refused() {
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2001:1ff::1",
            "2002:7f00:1::1",
            "3fff::1",
            "3fff:fff::1",
            "4000::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!permits(&[], address, false), "{address}");
        }
    }

    #[test]
    fn public_addresses_are_permitted_by_https_alone() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "128.0.0.0",
            "169.253.255.255",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1",
            "2a00:1450::1",
            "2001:200::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
        ] {
            assert!(permits(&[], address, false), "{address}");
            assert!(!permits(&[], address, true), "{address}");
        }
    }

    #[test]
    fn listed_networks_are_permitted_however_their_addresses_are_written() {
        for is_plain in [false, true] {
            assert!(permits(&["10.0.0.0/8"], "10.1.2.3", is_plain));
            assert!(permits(&["10.0.0.0/8"], "::ffff:10.1.2.3", is_plain));
            assert!(permits(&["::1/128"], "::1", is_plain));
            assert!(!permits(&["10.0.0.0/8"], "127.0.0.1", is_plain));
            assert!(!permits(&["::1/128"], "127.0.0.1", is_plain));
        }
    }
}
