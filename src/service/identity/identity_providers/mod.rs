//! Outside issuers: identity providers whose tokens are accepted as credentials.
//!
//! [`IdentityProviders`] knows them all; [`IdentityProvider`] has the keys of one and verifies its tokens; an [`ExternalIdentity`]
//! is what comes of it. This module refuses to know users and what they may do.

mod freshness;
mod identity;
mod issuer;
mod source;

use std::sync::Arc;

use crate::domain::clock::Clock;
use crate::domain::issuer::ExternalIssuer;
use crate::token::unverified_issuer;

pub use freshness::{MAX_KEY_TTL, MIN_KEY_TTL, OUTAGE_KEY_TTL, UNKNOWN_KEY_INTERVAL};
pub use identity::ExternalIdentity;
pub use issuer::{ExternalTokenError, IdentityProvider};
pub use source::{FETCH_TIMEOUT, FetchError, MAX_DOCUMENT_SIZE};

use source::{HttpClients, KeySetSource};

/// How it stands with an outside issuer; nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityProviderStatus {
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
pub struct IdentityProviders {
    providers: Vec<Arc<IdentityProvider>>,
}

impl IdentityProviders {
    /// The issuers that are configured, without keys yet.
    ///
    /// # Errors
    ///
    /// If the machine's trusted certificates cannot be used.
    pub fn new(configured: &[ExternalIssuer], clock: &Clock) -> Result<Self, String> {
        if configured.is_empty() {
            return Ok(Self {
                providers: Vec::new(),
            });
        }
        let clients = HttpClients::new().map_err(|error| format!("{error:?}"))?;
        let issuer = |setting: &ExternalIssuer| {
            let source = KeySetSource::new(setting, &clients);
            Arc::new(IdentityProvider::new(
                setting.clone(),
                source,
                clock.clone(),
            ))
        };
        Ok(Self {
            providers: configured.iter().map(issuer).collect(),
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
            .providers
            .iter()
            .filter(|issuer| issuer.config.jwks_file.is_some())
        {
            issuer.fetch_before_use().await;
            if let Some(error) = issuer.status().last_error {
                return Err(error);
            }
        }
        self.fetch_in_background();
        Ok(())
    }

    /// Fetches all keys that it is time to fetch, beside everything else.
    pub fn fetch_in_background(&self) {
        for issuer in &self.providers {
            issuer.fetch_in_background();
        }
    }

    /// The issuer that a token says to be from, if it is a configured one.
    #[must_use]
    pub fn find_for_token(&self, token: &str) -> Option<&Arc<IdentityProvider>> {
        if self.providers.is_empty() {
            return None;
        }
        let said = unverified_issuer(token)?;
        self.providers
            .iter()
            .find(|issuer| issuer.config.issuer == said)
    }

    /// Whether an issuer of this URL is configured.
    #[must_use]
    pub fn contains(&self, url: &str) -> bool {
        self.providers
            .iter()
            .any(|issuer| issuer.config.issuer == url)
    }

    /// How it stands with each, in the order of the settings.
    #[must_use]
    pub fn status(&self) -> Vec<IdentityProviderStatus> {
        self.providers
            .iter()
            .map(|issuer| issuer.status())
            .collect()
    }
}
