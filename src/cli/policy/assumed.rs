//! The assumed client address and time of decisions that no request asks for.

use std::net::{IpAddr, Ipv4Addr};

use chrono::{DateTime, Utc};

use crate::domain::client_address::AssumedAddress;
use crate::domain::clock::Clock;
use crate::service::policies::review::context::ReviewContext;

#[derive(Debug, clap::Args)]
pub(super) struct AssumedContext {
    /// The client address to assume, or `unknown`
    #[arg(long, value_name = "ADDRESS", default_value_t = AssumedAddress(Some(IpAddr::V4(Ipv4Addr::LOCALHOST))))]
    address: AssumedAddress,
    /// The time to assume, such as 2026-03-01T12:00:00Z; default: now
    #[arg(long, value_name = "TIME")]
    time: Option<DateTime<Utc>>,
}

impl AssumedContext {
    pub(super) fn review_context(&self) -> ReviewContext {
        ReviewContext {
            address: self.address,
            unix_millis: self.time.map_or_else(
                || Clock::system().unix_millis(),
                |time| time.timestamp_millis(),
            ),
        }
    }
}
