//! The ground that all capabilities stand on, and the capabilities built on it.
//!
//! Each capability gets exactly what it works with. This module refuses to open or start anything.

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;

use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::files::FileStore;
use crate::http::Services;
use crate::policy::LiveBundle;
use crate::service::access::Access;
use crate::service::access::catalog_view::CatalogView;
use crate::service::access::decisions::Decisions;
use crate::service::administration::{AdminDependencies, Administration};
use crate::service::audit_trail::AuditTrail;
use crate::service::catalog_cache::CatalogCache;
use crate::service::health::Health;
use crate::service::identity::api_key_last_used::LastUsedRecorder;
use crate::service::identity::api_keys::ApiKeys;
use crate::service::identity::authentication::Authenticator;
use crate::service::identity::federated_users::FederatedUsers;
use crate::service::identity::identity_providers::IdentityProviders;
use crate::service::identity::login_throttle::LoginThrottle;
use crate::service::identity::password::Passwords;
use crate::service::identity::sessions::Sessions;
use crate::service::policies::reload::PolicyReloader;
use crate::service::rate_limits::{RateLimits, Rates};
use crate::service::tokens::download::Downloads;
use crate::service::tokens::download_token::DownloadTokens;
use crate::service::tokens::key_ring::KeyRing;
use crate::service::tokens::mint_contexts::MintContexts;
use crate::storage::Database;

/// What is open and running before there is any capability.
pub(super) struct Dependencies {
    pub(super) database: Database,
    pub(super) files: FileStore,
    pub(super) passwords: Passwords,
    pub(super) bundle: Arc<LiveBundle>,
    pub(super) policies: Arc<PolicyReloader>,
    pub(super) keys: Arc<KeyRing>,
    pub(super) facts: Arc<CatalogCache>,
    pub(super) audit: Arc<AuditTrail>,
    pub(super) issuers: Arc<IdentityProviders>,
    pub(super) clock: Clock,
}

impl Dependencies {
    fn authenticator(&self, limits: &Arc<RateLimits>, mints: &Arc<MintContexts>) -> Authenticator {
        Authenticator {
            catalog_cache: Arc::clone(&self.facts),
            key_ring: Arc::clone(&self.keys),
            rate_limits: Arc::clone(limits),
            last_used: LastUsedRecorder::new(self.database.clone()),
            mint_contexts: Arc::clone(mints),
            identity_providers: Arc::clone(&self.issuers),
            federated_users: FederatedUsers::new(
                Arc::clone(&self.facts),
                self.database.clone(),
                self.clock.clone(),
            ),
            clock: self.clock.clone(),
        }
    }

    /// Builds every capability.
    pub(super) fn services(self, settings: &Settings, metrics: PrometheusHandle) -> Services {
        let rates = Rates {
            mints: settings.mint_limit_per_minute,
            requests: settings.request_limit_per_minute,
        };
        let limits = Arc::new(RateLimits::new(rates, self.clock.clone()));
        let mints = Arc::new(MintContexts::new(self.database.clone()));
        let authenticator = Arc::new(self.authenticator(&limits, &mints));
        let Self {
            database,
            files,
            passwords,
            bundle,
            policies,
            keys,
            facts,
            audit,
            issuers,
            clock,
        } = self;
        let decisions = Arc::new(Decisions::new(Arc::clone(&bundle), clock.clone()));
        let access = Arc::new(Access {
            catalog_cache: Arc::clone(&facts),
            decisions,
            files: files.clone(),
        });
        let passwords = Arc::new(passwords);
        let administration = Arc::new(Administration::with_policies(
            database.clone(),
            files.clone(),
            Arc::clone(&passwords),
            clock.clone(),
            admin_deps(&authenticator, &limits, &access, &audit, &policies),
        ));
        let sessions = Arc::new(Sessions {
            authenticator: Arc::clone(&authenticator),
            database: database.clone(),
            catalog_cache: Arc::clone(&facts),
            key_ring: Arc::clone(&keys),
            passwords,
            rate_limits: Arc::clone(&limits),
            login_throttle: LoginThrottle::new(clock.clone()),
            audit: Arc::clone(&audit),
            clock: clock.clone(),
            session_token_ttl: seconds(settings.session_lifetime),
            session_ttl: seconds(settings.refresh_lifetime),
        });
        let api_keys = Arc::new(ApiKeys {
            database: database.clone(),
            catalog_cache: facts,
            authenticator: Arc::clone(&authenticator),
            rate_limits: Arc::clone(&limits),
            audit: Arc::clone(&audit),
            clock: clock.clone(),
        });
        let tokens = Arc::new(DownloadTokens {
            authenticator: Arc::clone(&authenticator),
            rate_limits: Arc::clone(&limits),
            access: Arc::clone(&access),
            key_ring: Arc::clone(&keys),
            audit: Arc::clone(&audit),
            mint_contexts: mints,
            clock: clock.clone(),
            max_ttl: seconds(settings.token_lifetime),
        });
        let view = Arc::new(CatalogView {
            authenticator: Arc::clone(&authenticator),
            rate_limits: Arc::clone(&limits),
            access: Arc::clone(&access),
        });
        let downloads = Arc::new(Downloads {
            authenticator: Arc::clone(&authenticator),
            rate_limits: limits,
            access,
            files: files.clone(),
            audit: Arc::clone(&audit),
            clock,
        });
        let health = Arc::new(Health {
            database,
            audit,
            files,
            bundle,
            policies,
            identity_providers: issuers,
        });
        Services {
            download_tokens: tokens,
            sessions,
            administration,
            api_keys,
            downloads,
            catalog_view: view,
            key_ring: keys,
            health,
            metrics,
        }
    }
}

fn admin_deps(
    authenticator: &Arc<Authenticator>,
    limits: &Arc<RateLimits>,
    access: &Access,
    audit: &Arc<AuditTrail>,
    policies: &Arc<PolicyReloader>,
) -> AdminDependencies {
    AdminDependencies {
        authenticator: Arc::clone(authenticator),
        rate_limits: Arc::clone(limits),
        decisions: Arc::clone(&access.decisions),
        audit: Arc::clone(audit),
        catalog_cache: Arc::clone(&access.catalog_cache),
        reloader: Arc::clone(policies),
    }
}

fn seconds(lifetime: Duration) -> u32 {
    u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX)
}
