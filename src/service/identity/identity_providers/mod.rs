//! Outside issuers: identity providers whose tokens are accepted as credentials.
//!
//! [`Issuers`] knows them all; [`Issuer`] has the keys of one and verifies its tokens; an [`Identity`]
//! is what comes of it. This module refuses to know users and what they may do.

mod freshness;
mod identity;
mod issuer;
mod source;

use std::sync::Arc;

use crate::domain::clock::Clock;
use crate::domain::issuer::OutsideIssuer;
use crate::token::issuer_said;

pub use freshness::{HARD_LIMIT, LONGEST_FRESHNESS, SHORTEST_FRESHNESS, UNKNOWN_KEY_INTERVAL};
pub use identity::Identity;
pub use issuer::{Issuer, Refusal};
pub use source::{FetchError, LARGEST_DOCUMENT, LONGEST_FETCH};

use source::{Clients, Source};

/// How it stands with an outside issuer; nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerStatus {
    /// The issuer's URL.
    pub issuer: String,
    /// The audience that its tokens must have.
    pub audience: String,
    /// Where its keys come from: a file, or the address of the discovery document.
    pub source: String,
    /// How many keys it has that verify tokens.
    pub keys: usize,
    /// When the keys were last fetched, in seconds since 1970 UTC.
    pub last_success: Option<i64>,
    /// Why the last fetch failed; nothing if it did not.
    pub last_error: Option<String>,
}

/// All outside issuers.
pub struct Issuers {
    all: Vec<Arc<Issuer>>,
}

impl Issuers {
    /// The issuers that are configured, without keys yet.
    ///
    /// # Errors
    ///
    /// If the machine's trusted certificates cannot be used.
    pub fn of(configured: &[OutsideIssuer], clock: &Clock) -> Result<Self, String> {
        if configured.is_empty() {
            return Ok(Self { all: Vec::new() });
        }
        let clients = Clients::new().map_err(|error| format!("{error:?}"))?;
        let issuer = |setting: &OutsideIssuer| {
            let source = Source::of(setting, &clients);
            Arc::new(Issuer::of(setting.clone(), source, clock.clone()))
        };
        Ok(Self {
            all: configured.iter().map(issuer).collect(),
        })
    }

    /// Reads the key sets that are files, because one that cannot be used is better told at the start,
    /// and begins to fetch the others.
    ///
    /// # Errors
    ///
    /// What is wrong with a file.
    pub async fn start(&self) -> Result<(), String> {
        for issuer in self
            .all
            .iter()
            .filter(|issuer| issuer.setting.jwks_file.is_some())
        {
            issuer.fetch_first().await;
            if let Some(error) = issuer.status().last_error {
                return Err(error);
            }
        }
        self.fetch_beside();
        Ok(())
    }

    /// Fetches all keys that it is time to fetch, beside everything else.
    pub fn fetch_beside(&self) {
        for issuer in &self.all {
            issuer.fetch_beside();
        }
    }

    /// The issuer that a token says to be from, if it is a configured one.
    #[must_use]
    pub fn named_by(&self, token: &str) -> Option<&Arc<Issuer>> {
        if self.all.is_empty() {
            return None;
        }
        let said = issuer_said(token)?;
        self.all.iter().find(|issuer| issuer.setting.issuer == said)
    }

    /// Whether an issuer of this URL is configured.
    #[must_use]
    pub fn has(&self, url: &str) -> bool {
        self.all.iter().any(|issuer| issuer.setting.issuer == url)
    }

    /// How it stands with each, in the order of the settings.
    #[must_use]
    pub fn status(&self) -> Vec<IssuerStatus> {
        self.all.iter().map(|issuer| issuer.status()).collect()
    }
}
