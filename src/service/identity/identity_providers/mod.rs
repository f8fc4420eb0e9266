//! External identity providers whose tokens are accepted as credentials.
//!
//! [`IdentityProviders`] holds them all; an [`IdentityProvider`] has the keys of one and verifies its
//! tokens; an [`ExternalIdentity`] is what a verified token says.

mod error;
mod freshness;
mod identity;
mod key_set_source;
mod provider;

use std::sync::Arc;

use crate::domain::clock::Clock;
use crate::domain::error_chain::error_chain;
use crate::domain::issuer::{ExternalIssuer, admin_issuers};
use crate::domain::name::RoleName;
use crate::token::unverified_issuer;

pub use error::ExternalTokenError;
pub use identity::ExternalIdentity;
pub use provider::{IdentityProvider, IdentityProviderStatus};

use key_set_source::{HttpClients, KeySetSource};

/// All configured identity providers.
pub struct IdentityProviders {
    providers: Vec<Arc<IdentityProvider>>,
}

impl IdentityProviders {
    /// The configured identity providers, without keys yet.
    ///
    /// # Errors
    ///
    /// If the machine's trusted certificates cannot be used.
    pub fn new(issuers: &[ExternalIssuer], clock: &Clock) -> Result<Self, String> {
        if issuers.is_empty() {
            return Ok(Self {
                providers: Vec::new(),
            });
        }
        let clients = HttpClients::new().map_err(|error| error_chain(&error))?;
        let provider = |issuer: &ExternalIssuer| {
            let source = KeySetSource::new(issuer, &clients);
            Arc::new(IdentityProvider::new(issuer.clone(), source, clock.clone()))
        };
        Ok(Self {
            providers: issuers.iter().map(provider).collect(),
        })
    }

    /// Reads the key sets that are files, because an unusable one is better reported at startup, and
    /// starts to fetch the others.
    ///
    /// # Errors
    ///
    /// What is wrong with a file.
    pub async fn start(&self) -> Result<(), String> {
        for provider in &self.providers {
            if provider.config.jwks_file.is_none() {
                continue;
            }
            provider.fetch_before_use().await;
            if let Some(error) = provider.status().last_error {
                return Err(error);
            }
        }
        self.fetch_in_background();
        Ok(())
    }

    /// Fetches all keys that are due, without waiting for them.
    pub fn fetch_in_background(&self) {
        for provider in &self.providers {
            provider.fetch_in_background();
        }
    }

    /// The configured identity provider that the unverified `iss` claim of a token names.
    #[must_use]
    pub fn find_for_token(&self, token: &str) -> Option<&Arc<IdentityProvider>> {
        if self.providers.is_empty() {
            return None;
        }
        let issuer = unverified_issuer(token)?;
        self.providers
            .iter()
            .find(|provider| provider.config.issuer == issuer)
    }

    /// Whether an identity provider with this issuer URL is configured.
    #[must_use]
    pub fn contains(&self, issuer: &str) -> bool {
        self.providers
            .iter()
            .any(|provider| provider.config.issuer == issuer)
    }

    /// Those whose tokens can make somebody an admin.
    #[must_use]
    pub fn admin_issuers(&self) -> Vec<String> {
        admin_issuers(self.providers.iter().map(|provider| &provider.config))
    }

    /// Whether a configured identity provider can make somebody a member of a role.
    #[must_use]
    pub fn can_give(&self, role: &RoleName) -> bool {
        self.providers
            .iter()
            .any(|provider| provider.config.can_give(role))
    }

    /// The status of each, in the order of the settings.
    #[must_use]
    pub fn status(&self) -> Vec<IdentityProviderStatus> {
        self.providers
            .iter()
            .map(|provider| provider.status())
            .collect()
    }
}
