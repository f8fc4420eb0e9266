//! Forwarded hops: the addresses in `X-Forwarded-For`, or in `Forwarded` (RFC 7239).
//!
//! Both are lists to which each proxy appends the peer that it saw, so they are read from the right: what
//! stands left of the nearest untrusted hop may be anything, and is never looked at. A hop is read as
//! what RFC 7239 section 6 calls a node:
//!
//! - an IPv4 address, or an IPv6 address with or without brackets; an IPv4-mapped one is the IPv4 address;
//! - a port after it, as some gateways send: `192.0.2.7:4711`, `[2001:db8::7]:4711`, also an obfuscated
//!   one (`:_x`). Without brackets there is no telling a port from the last group of an IPv6 address, so
//!   that is an address;
//! - a zone after a link-local address (`fe80::1%eth0`), which is left out: it means something only on the
//!   proxy (RFC 4007 section 11.2). A zone of any other address cannot be read;
//! - blanks around it, and quotes.
//!
//! Everything else cannot be read: `unknown`, `_hidden`, an empty element, a port beyond 65535, a host
//! name, bytes that are not ASCII, an address that no client has (unspecified, `0.0.0.0/8`, multicast, broadcast), a
//! second `for=` in one element.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use poem::http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::config::ForwardedHeader;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The longest zone of an address: the name of a network interface has 15 bytes on Linux.
const MAX_ZONE_LENGTH: usize = 32;

/// The header that a setting names.
pub(super) fn header_name(header: ForwardedHeader) -> HeaderName {
    match header {
        ForwardedHeader::XForwardedFor => X_FORWARDED_FOR,
        ForwardedHeader::Forwarded => header::FORWARDED,
    }
}

/// The hops from the nearest one on, each as its address, or as the text that is none.
pub(super) fn hops_from_nearest(
    headers: &HeaderMap,
    header: ForwardedHeader,
) -> impl Iterator<Item = Result<IpAddr, &[u8]>> {
    // Several lines are one list (RFC 9110 section 5.3).
    let lines = headers.get_all(header_name(header)).iter().rev();
    lines.flat_map(move |line| {
        elements_from_right(line, header).map(move |element| {
            let read = match header {
                ForwardedHeader::XForwardedFor => parse_quoted_node(trim(element)),
                ForwardedHeader::Forwarded => parse_forwarded_element(trim(element)),
            };
            read.ok_or(element)
        })
    })
}

/// The elements of a list, the last one first. In `Forwarded` a comma within quotes separates nothing.
///
/// Quotes are counted from the right too. What a trusted proxy appended is well-formed, so each of its
/// elements is found whatever stands before it: a client that sends an open quote hides nobody.
fn elements_from_right(line: &HeaderValue, header: ForwardedHeader) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line.as_bytes());
    std::iter::from_fn(move || {
        let list = rest?;
        let comma = match header {
            ForwardedHeader::XForwardedFor => list.iter().rposition(|byte| *byte == b','),
            ForwardedHeader::Forwarded => last_unquoted_comma(list),
        };
        let (before, element) = match comma {
            Some(at) => (list.get(..at), list.get(at + 1..)),
            None => (None, Some(list)),
        };
        rest = before;
        element
    })
}

fn last_unquoted_comma(list: &[u8]) -> Option<usize> {
    let mut is_quoted = false;
    for (at, byte) in list.iter().enumerate().rev() {
        match byte {
            b',' if !is_quoted => return Some(at),
            b'"' => {
                let before = list.get(..at).unwrap_or_default();
                let backslashes = before.iter().rev().take_while(|byte| **byte == b'\\');
                let is_escaped = is_quoted && backslashes.count() % 2 == 1;
                is_quoted ^= !is_escaped;
            }
            _ => {}
        }
    }
    None
}

/// The address of the one `for` parameter of an element of `Forwarded` (RFC 7239 section 4).
fn parse_forwarded_element(element: &[u8]) -> Option<IpAddr> {
    let mut rest = std::str::from_utf8(element).ok()?;
    let mut node = None;
    loop {
        let (name, after) = rest.split_once('=')?;
        let name = name.trim_matches(OWS);
        if name.is_empty() || !name.bytes().all(is_token_byte) {
            return None;
        }
        let (value, after) = take_value(after)?;
        if name.eq_ignore_ascii_case("for") && node.replace(value).is_some() {
            return None;
        }
        let after = after.trim_matches(OWS);
        if after.is_empty() {
            return parse_node(&node?);
        }
        rest = after.strip_prefix(';')?;
    }
}

/// A value and what follows it.
fn take_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_at(text.find([';', ' ', '\t']).unwrap_or(text.len()));
        // A node with a colon or brackets has to be quoted, which not every proxy knows.
        let is_readable = |byte| is_token_byte(byte) || b"[]:".contains(&byte);
        let is_value = !value.is_empty() && value.bytes().all(is_readable);
        return is_value.then(|| (value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, quoted.get(at + 1..)?)),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

/// A node of `X-Forwarded-For`, with or without quotes around it.
fn parse_quoted_node(element: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(element).ok()?;
    let quoted = text.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    parse_node(quoted.map_or(text, |inside| inside.trim_matches(OWS)))
}

/// The address of a node, if it has one that a client can have.
fn parse_node(node: &str) -> Option<IpAddr> {
    let address = if let Some(bracketed) = node.strip_prefix('[') {
        let (address, port) = bracketed.split_once(']')?;
        if !(port.is_empty() || port.strip_prefix(':').is_some_and(is_port)) {
            return None;
        }
        IpAddr::V6(parse_ipv6(address)?)
    } else if let Ok(address) = node.parse::<Ipv4Addr>() {
        IpAddr::V4(address)
    } else if let Some(address) = parse_ipv6(node) {
        IpAddr::V6(address)
    } else {
        let (address, port) = node.split_once(':')?;
        IpAddr::V4(address.parse().ok().filter(|_| is_port(port))?)
    };
    let address = address.to_canonical();
    is_of_a_client(address).then_some(address)
}

fn parse_ipv6(text: &str) -> Option<Ipv6Addr> {
    let Some((address, zone)) = text.split_once('%') else {
        return text.parse().ok();
    };
    let is_zone = (1..=MAX_ZONE_LENGTH).contains(&zone.len())
        && zone
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    let address: Ipv6Addr = address.parse().ok()?;
    (is_zone && address.is_unicast_link_local()).then_some(address)
}

/// Whether a text is a port, or an obfuscated one (RFC 7239 section 6).
fn is_port(text: &str) -> bool {
    match text.strip_prefix('_') {
        Some(hidden) => {
            !hidden.is_empty()
                && hidden
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        }
        None => text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok(),
    }
}

fn is_of_a_client(address: IpAddr) -> bool {
    let is_usable = match address {
        // RFC 6890 section 2.2.2: "this network", and the limited broadcast.
        IpAddr::V4(address) => address.octets().first() != Some(&0) && !address.is_broadcast(),
        IpAddr::V6(address) => !address.is_unspecified(),
    };
    is_usable && !address.is_multicast()
}

/// The blanks around the elements of a list (RFC 9110 section 5.6.3).
const OWS: [char; 2] = [' ', '\t'];

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Whether a byte may stand in a token (RFC 9110 section 5.6.2).
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests;
