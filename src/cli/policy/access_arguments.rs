//! The arguments that `policy who` and `policy what` share: the policies, and where and when is asked.

use std::path::PathBuf;

use chrono::{DateTime, Utc};

use crate::cli::outcome::CommandError;
use crate::config::Settings;
use crate::domain::client_address::AssumedAddress;
use crate::domain::clock::Clock;
use crate::policy::Bundle;
use crate::policy::context_literals::ContextLiterals;
use crate::service::policies::reload::load_active_bundle;
use crate::service::policies::review::asked_contexts::ContextScope;

#[derive(Debug, clap::Args)]
pub(super) struct AccessArguments {
    /// Ask an edit, the policies in this folder; default: the policies in force
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Ask from this client address alone, or `unknown`; default: from both sides of each network in the policies
    #[arg(long, value_name = "ADDRESS")]
    address: Option<AssumedAddress>,
    /// Ask at this time alone, such as 2026-03-01T12:00:00Z; default: before, at and after each time in the policies
    #[arg(long, value_name = "TIME")]
    time: Option<DateTime<Utc>>,
    /// Print JSON, with every name
    #[arg(long)]
    pub(super) json: bool,
}

impl AccessArguments {
    /// The policies that are asked.
    pub(super) fn load_bundle(&self, settings: &Settings) -> Result<Bundle, CommandError> {
        Ok(match &self.to {
            Some(folder) => Bundle::load(folder)?,
            None => load_active_bundle(settings)?,
        })
    }

    /// Where and when is asked.
    pub(super) fn scope(&self) -> ContextScope {
        ContextScope {
            address: self.address,
            time: self.time.map(|time| time.timestamp()),
            authentication: None,
            now: Clock::system().unix_seconds(),
            literals: ContextLiterals::default(),
        }
    }
}
