//! The parts into which networks cut the addresses, and their names.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

use crate::domain::client_address::AssumedAddress;
use crate::domain::shown::join_or;

/// Addresses for documentation (RFC 5737, RFC 3849) to ask from outside of all networks.
const OUTSIDE: [IpAddr; 5] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)),
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
    IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8)),
];

/// Addresses that no literal tells apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::service::policies::review) struct AddressRegion {
    /// One of them.
    pub(super) sample: AssumedAddress,
    /// For each network whether they are in it.
    inside: Vec<bool>,
}

impl AddressRegion {
    /// One address alone.
    pub(super) fn only(address: AssumedAddress) -> Self {
        Self {
            sample: address,
            inside: Vec::new(),
        }
    }

    fn is_outside(&self) -> bool {
        !self.inside.contains(&true)
    }
}

/// The regions of some networks: each with what is in it and in no smaller one, what is outside, and the unknown address.
pub(super) fn address_regions(networks: &[IpNet]) -> Vec<AddressRegion> {
    let inside = |address: IpAddr| -> Vec<bool> {
        networks
            .iter()
            .map(|network| network.contains(&address))
            .collect()
    };
    let mut regions: Vec<AddressRegion> = Vec::new();
    let edges = networks.iter().flat_map(|network| {
        let (first, last) = (network.network(), network.broadcast());
        // A host that looks like one, the first address, and what is beside the network.
        [next(first), Some(first), next(last), previous(first)]
    });
    let candidates = edges.flatten().chain(OUTSIDE);
    for address in candidates {
        let region = AddressRegion {
            sample: AssumedAddress(Some(address)),
            inside: inside(address),
        };
        let known = regions
            .iter_mut()
            .find(|known| known.inside == region.inside);
        match known {
            // An address for documentation is a better example than the neighbour of a network.
            Some(known) if known.is_outside() && OUTSIDE.contains(&address) => {
                if !known
                    .sample
                    .0
                    .is_some_and(|sample| OUTSIDE.contains(&sample))
                {
                    known.sample = region.sample;
                }
            }
            Some(_) => {}
            None => regions.push(region),
        }
    }
    regions.push(AddressRegion::only(AssumedAddress(None)));
    regions
}

fn next(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => Some(IpAddr::V4(Ipv4Addr::from_bits(
            address.to_bits().checked_add(1)?,
        ))),
        IpAddr::V6(address) => Some(IpAddr::V6(Ipv6Addr::from_bits(
            address.to_bits().checked_add(1)?,
        ))),
    }
}

fn previous(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => Some(IpAddr::V4(Ipv4Addr::from_bits(
            address.to_bits().checked_sub(1)?,
        ))),
        IpAddr::V6(address) => Some(IpAddr::V6(Ipv6Addr::from_bits(
            address.to_bits().checked_sub(1)?,
        ))),
    }
}

/// The name of some of the regions of networks, such as "from 192.0.2.0/24"; `None` if they are all.
pub(super) fn name_addresses(
    networks: &[IpNet],
    regions: &[AddressRegion],
    chosen: &[usize],
) -> Option<String> {
    if chosen.len() == regions.len() {
        return None;
    }
    let mut rest: Vec<&AddressRegion> = chosen
        .iter()
        .filter_map(|index| regions.get(*index))
        .collect();
    let mut names = Vec::new();
    // A network of which everything is chosen, the widest first.
    let mut widest: Vec<usize> = (0..networks.len()).collect();
    let length = |index: &usize| networks.get(*index).map_or(0, IpNet::prefix_len);
    widest.sort_by_key(length);
    let is_in = |region: &AddressRegion, index: usize| region.inside.get(index) == Some(&true);
    for index in widest {
        let mut of_network = regions
            .iter()
            .filter(|region| is_in(region, index))
            .peekable();
        let is_whole = of_network.peek().is_some() && of_network.all(|one| rest.contains(&one));
        if is_whole {
            rest.retain(|region| !is_in(region, index));
            names.push(
                networks
                    .get(index)
                    .map_or_else(String::new, name_of_network),
            );
        }
    }
    let (outside, inside): (Vec<_>, Vec<_>) =
        rest.into_iter().partition(|region| region.is_outside());
    for region in inside {
        names.push(name_of_part(networks, region));
    }
    let has_unknown = outside.iter().any(|region| region.sample.0.is_none());
    let has_elsewhere = outside.iter().any(|region| region.sample.0.is_some());
    let all_elsewhere = regions.iter().filter(|one| one.is_outside()).count() == outside.len();
    match (has_elsewhere, has_unknown) {
        (true, true) => names.push("elsewhere".to_owned()),
        (true, false) if all_elsewhere => names.push("elsewhere".to_owned()),
        (true, false) => names.push("any other known address".to_owned()),
        (false, true) => names.push("an unknown address".to_owned()),
        (false, false) => {}
    }
    Some(format!("from {}", join_or(&names)))
}

/// A network, an address alone without its length.
fn name_of_network(network: &IpNet) -> String {
    match (network.prefix_len(), network) {
        (0, IpNet::V4(_)) => "any IPv4 address".to_owned(),
        (0, IpNet::V6(_)) => "any IPv6 address".to_owned(),
        (length, network) if length == network.max_prefix_len() => network.addr().to_string(),
        (_, network) => network.trunc().to_string(),
    }
}

/// A part of a network: the smallest one that contains it, without those in that one that do not.
fn name_of_part(networks: &[IpNet], region: &AddressRegion) -> String {
    let containing = networks
        .iter()
        .zip(&region.inside)
        .filter(|(_, is_in)| **is_in);
    let Some((smallest, _)) = containing.max_by_key(|(network, _)| network.prefix_len()) else {
        return region.sample.to_string();
    };
    let smaller = networks
        .iter()
        .zip(&region.inside)
        .filter(|(network, is_in)| !**is_in && smallest.contains(*network));
    let smaller: Vec<String> = smaller
        .map(|(network, _)| name_of_network(network))
        .collect();
    let name = name_of_network(smallest);
    if smaller.is_empty() {
        name
    } else {
        format!("{name} outside of {}", join_or(&smaller))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn samples(networks: &[IpNet]) -> Vec<String> {
        let regions = address_regions(networks);
        regions
            .iter()
            .map(|region| region.sample.to_string())
            .collect()
    }

    #[test]
    fn addresses_are_asked_inside_and_outside_of_every_network() {
        assert_eq!(samples(&[]), ["192.0.2.1", "unknown"]);
        assert_eq!(
            samples(&networks(&["198.51.100.0/24"])),
            ["198.51.100.1", "192.0.2.1", "unknown"]
        );
        let nested = networks(&["10.0.0.0/8", "10.1.0.0/16", "2001:db8::/32", "192.0.2.1/32"]);
        let all = samples(&nested);
        for network in &nested {
            let is_in = |text: &&String| {
                text.parse()
                    .is_ok_and(|address: IpAddr| network.contains(&address))
            };
            assert!(all.iter().any(|text| is_in(&text)), "{network}: {all:?}");
        }
        assert_eq!(all.len(), 6, "{all:?}");
        // Everywhere there is an address of either family.
        let families = samples(&networks(&["0.0.0.0/0", "::/0"]));
        assert_eq!(families.len(), 3, "{families:?}");
    }

    #[test]
    fn regions_of_addresses_have_names() {
        let nested = networks(&["10.0.0.0/8", "10.1.0.0/16", "192.0.2.7/32"]);
        let regions = address_regions(&nested);
        let place = |address: &str| {
            let address: IpAddr = address.parse().unwrap();
            let inside: Vec<bool> = nested
                .iter()
                .map(|network| network.contains(&address))
                .collect();
            regions
                .iter()
                .position(|region| region.inside == inside)
                .unwrap()
        };
        let unknown = regions.len() - 1;
        let (wide, narrow, one, outside) = (
            place("10.9.9.9"),
            place("10.1.2.3"),
            place("192.0.2.7"),
            place("8.8.8.8"),
        );
        for (chosen, name) in [
            (vec![wide, narrow], "from 10.0.0.0/8"),
            (vec![wide], "from 10.0.0.0/8 outside of 10.1.0.0/16"),
            (vec![narrow, one], "from 10.1.0.0/16 or 192.0.2.7"),
            (vec![outside, unknown], "from elsewhere"),
            (vec![outside], "from any other known address"),
            (vec![unknown], "from an unknown address"),
        ] {
            assert_eq!(name_addresses(&nested, &regions, &chosen).unwrap(), name);
        }
        let all: Vec<usize> = (0..regions.len()).collect();
        assert_eq!(name_addresses(&nested, &regions, &all), None);
    }
}
