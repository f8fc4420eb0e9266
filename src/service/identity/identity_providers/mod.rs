//! External identity providers whose tokens are accepted as credentials.
//!
//! [`IdentityProviders`] holds them all; an [`IdentityProvider`] has the keys of one and verifies its
//! tokens; an [`ExternalIdentity`] is what a verified token says.

mod claimed_names;
mod derived_username;
mod error;
mod freshness;
mod identity;
mod key_set_source;
mod provider;
mod refusals;

use std::sync::Arc;

use crate::domain::clock::Clock;
use crate::domain::error_chain::error_chain;
use crate::domain::issuer::{ExternalIssuer, admin_issuers};
use crate::domain::name::RoleName;
use crate::domain::token_refusal::{TokenCheck, TokenRefusal, quote_untrusted};
use crate::token::unverified_issuer;

pub use error::ExternalTokenError;
pub use identity::ExternalIdentity;
pub use provider::{IdentityProvider, IdentityProviderStatus};
pub use refusals::TokenRefusals;

use key_set_source::{HttpClients, KeySetSource};

/// All configured identity providers.
pub struct IdentityProviders {
    providers: Vec<Arc<IdentityProvider>>,
    /// Records the tokens that are refused.
    pub refusals: TokenRefusals,
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
                refusals: TokenRefusals::new(clock.clone()),
            });
        }
        let clients = HttpClients::new().map_err(|error| error_chain(&error))?;
        let provider = |issuer: &ExternalIssuer| {
            let source = KeySetSource::new(issuer, &clients);
            Arc::new(IdentityProvider::new(issuer.clone(), source, clock.clone()))
        };
        Ok(Self {
            providers: issuers.iter().map(provider).collect(),
            refusals: TokenRefusals::new(clock.clone()),
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
        let issuer = unverified_issuer(token).ok()?;
        self.providers
            .iter()
            .find(|provider| provider.config.issuer == issuer)
    }

    /// Why a token that is no session token of this server (`own_issuer`) is of no configured identity provider
    /// either; nothing if it says that it is of this server, or if nobody expects other tokens than JWTs.
    #[must_use]
    pub fn explain_unknown_issuer(&self, token: &str, own_issuer: &str) -> Option<TokenRefusal> {
        let issuer = match unverified_issuer(token) {
            Ok(issuer) => issuer,
            Err(refusal) => return Some(refusal).filter(|_| !self.providers.is_empty()),
        };
        if issuer == own_issuer {
            return None;
        }
        let known: Vec<&str> = self
            .providers
            .iter()
            .map(|provider| provider.config.issuer.as_str())
            .collect();
        let expected = if known.is_empty() {
            "no identity provider, because none is configured".to_owned()
        } else {
            format!("one of {}", known.join(", "))
        };
        let refusal = TokenRefusal::new(TokenCheck::Iss, expected, quote_untrusted(&issuer));
        Some(match known.iter().find(|known| is_near_miss(known, &issuer)) {
            Some(known) => refusal.with_hint(format!(
                "it differs from {known} in a final slash, in case or in the scheme: issuers are compared byte \
                 for byte, so write the issuer as the provider's tokens have it"
            )),
            None => refusal,
        })
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

/// Whether two issuers differ only in what people take for the same.
fn is_near_miss(one: &str, other: &str) -> bool {
    let essence = |issuer: &str| {
        let issuer = issuer.trim().trim_end_matches('/').to_lowercase();
        issuer
            .split_once("://")
            .map_or(issuer.clone(), |(_, rest)| rest.to_owned())
    };
    essence(one) == essence(other)
}
