//! Client addresses: known, or unknown because a trusted proxy did not say.

use std::fmt::{self, Display};
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// The word for an unknown address, on the command line, over HTTP and in case files.
pub const UNKNOWN: &str = "unknown";

/// The address of the client of a request, as resolved through trusted proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientAddress {
    /// It is this one.
    Known(IpAddr),
    /// A trusted proxy forwarded the request, and what it says of the client cannot be read.
    ///
    /// It is never taken for the proxy's own address: policies that permit by network would take every
    /// client of that proxy for a machine in the proxy's network.
    Unknown {
        /// The peer, whose share of every limit the client uses.
        proxy: IpAddr,
    },
}

impl ClientAddress {
    /// The address, if it is known: what policies and audit records see.
    #[must_use]
    pub fn known(self) -> Option<IpAddr> {
        match self {
            Self::Known(address) => Some(address),
            Self::Unknown { .. } => None,
        }
    }

    /// The address that limits count the client with: its own, or that of its proxy. Never for a decision.
    #[must_use]
    pub fn for_limits(self) -> IpAddr {
        match self {
            Self::Known(address) => address,
            Self::Unknown { proxy } => proxy,
        }
    }
}

/// The address that a review assumes: text of an address, or `unknown`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AssumedAddress(pub Option<IpAddr>);

/// A text is neither an address nor `unknown`.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is neither an IP address nor `{UNKNOWN}`")]
pub struct AssumedAddressError {
    text: String,
}

impl FromStr for AssumedAddress {
    type Err = AssumedAddressError;

    fn from_str(text: &str) -> Result<Self, AssumedAddressError> {
        if text == UNKNOWN {
            return Ok(Self(None));
        }
        text.parse()
            .map(|address| Self(Some(address)))
            .map_err(|_| AssumedAddressError {
                text: text.chars().take(64).collect(),
            })
    }
}

impl Display for AssumedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => UNKNOWN.fmt(f),
        }
    }
}

impl Serialize for AssumedAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_assumed_address_is_one_address_or_the_word_unknown() {
        for text in ["192.0.2.7", "2001:db8::7", "::", "unknown"] {
            let address: AssumedAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
        }
        for text in ["", "Unknown", "192.0.2.7:80", "192.0.2.0/24", "null"] {
            assert!(text.parse::<AssumedAddress>().is_err(), "{text}");
        }
    }
}
