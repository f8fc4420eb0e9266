//! The dependencies of the services, and the services built from them.
//!
//! Each service gets exactly what it uses.

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;

use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::domain::session::RefreshGrace;
use crate::files::FileStore;
use crate::http::Services;
use crate::policy::LiveBundle;
use crate::service::access::Access;
use crate::service::access::catalog_view::CatalogView;
use crate::service::access::decisions::Decisions;
use crate::service::access_api::{AccessApi, AccessApiDependencies};
use crate::service::administration::{AdminDependencies, Administration};
use crate::service::audit_trail::AuditTrail;
use crate::service::catalog_cache::CatalogCache;
use crate::service::health::Health;
use crate::service::identity::admission::KnownCredentials;
use crate::service::identity::api_key_last_used::LastUsedRecorder;
use crate::service::identity::api_keys::ApiKeys;
use crate::service::identity::authentication::Authenticator;
use crate::service::identity::body_gate::BodyGate;
use crate::service::identity::federated_users::FederatedUsers;
use crate::service::identity::identity_providers::IdentityProviders;
use crate::service::identity::login_throttle::LoginThrottle;
use crate::service::identity::password::Passwords;
use crate::service::identity::session_sweeper::SessionSweeper;
use crate::service::identity::sessions::Sessions;
use crate::service::policies::reload::PolicyReloader;
use crate::service::rate_limits::{RateLimits, Rates};
use crate::service::readiness_probe::ReadinessProbe;
use crate::service::tokens::download::Downloads;
use crate::service::tokens::download_token::DownloadTokens;
use crate::service::tokens::forward_auth::ForwardAuth;
use crate::service::tokens::key_ring::KeyRing;
use crate::service::tokens::mint_contexts::MintContexts;
use crate::storage::Database;

/// What is open and running before there is any service.
pub(super) struct Dependencies {
    pub(super) database: Database,
    pub(super) files: FileStore,
    pub(super) passwords: Passwords,
    pub(super) bundle: Arc<LiveBundle>,
    pub(super) policies: Arc<PolicyReloader>,
    pub(super) key_ring: Arc<KeyRing>,
    pub(super) catalog_cache: Arc<CatalogCache>,
    pub(super) audit: Arc<AuditTrail>,
    pub(super) identity_providers: Arc<IdentityProviders>,
    pub(super) session_sweeper: Arc<SessionSweeper>,
    pub(super) clock: Clock,
}

impl Dependencies {
    fn authenticator(
        &self,
        rate_limits: &Arc<RateLimits>,
        mint_contexts: &Arc<MintContexts>,
    ) -> Authenticator {
        Authenticator {
            catalog_cache: Arc::clone(&self.catalog_cache),
            key_ring: Arc::clone(&self.key_ring),
            rate_limits: Arc::clone(rate_limits),
            last_used: LastUsedRecorder::new(self.database.clone()),
            mint_contexts: Arc::clone(mint_contexts),
            identity_providers: Arc::clone(&self.identity_providers),
            federated_users: FederatedUsers::new(
                Arc::clone(&self.catalog_cache),
                self.database.clone(),
                self.clock.clone(),
                self.identity_providers.admin_issuers(),
            ),
            known_credentials: KnownCredentials::default(),
            clock: self.clock.clone(),
        }
    }

    /// Builds every service.
    pub(super) fn services(self, settings: &Settings, metrics: PrometheusHandle) -> Services {
        let rates = rates(settings);
        let rate_limits = Arc::new(RateLimits::new(rates, self.clock.clone()));
        let mint_contexts = Arc::new(MintContexts::new(self.database.clone()));
        let authenticator = Arc::new(self.authenticator(&rate_limits, &mint_contexts));
        let Self {
            database,
            files,
            passwords,
            bundle,
            policies,
            key_ring,
            catalog_cache,
            audit,
            identity_providers,
            session_sweeper,
            clock,
        } = self;
        let access = access(settings, &catalog_cache, &bundle, &files, &clock);
        let passwords = Arc::new(passwords);
        let administration = Arc::new(Administration::with_policies(
            database.clone(),
            files.clone(),
            Arc::clone(&passwords),
            clock.clone(),
            admin_deps(&authenticator, &rate_limits, &access, &audit, &policies),
        ));
        let sessions = Arc::new(Sessions {
            authenticator: Arc::clone(&authenticator),
            database: database.clone(),
            catalog_cache: Arc::clone(&catalog_cache),
            key_ring: Arc::clone(&key_ring),
            passwords,
            rate_limits: Arc::clone(&rate_limits),
            login_throttle: LoginThrottle::new(clock.clone()),
            audit: Arc::clone(&audit),
            clock: clock.clone(),
            session_token_ttl: seconds(settings.session_lifetime),
            session_ttl: seconds(settings.refresh_lifetime),
            refresh_grace: RefreshGrace(seconds(settings.refresh_grace)),
        });
        let (followed_catalog, health_clock) = (Arc::clone(&catalog_cache), clock.clone());
        let api_keys = Arc::new(ApiKeys {
            database: database.clone(),
            catalog_cache,
            authenticator: Arc::clone(&authenticator),
            rate_limits: Arc::clone(&rate_limits),
            audit: Arc::clone(&audit),
            clock: clock.clone(),
        });
        let body_gate = body_gate(&authenticator, &rate_limits, &audit, &clock);
        let download_tokens = Arc::new(DownloadTokens {
            authenticator: Arc::clone(&authenticator),
            rate_limits: Arc::clone(&rate_limits),
            access: Arc::clone(&access),
            key_ring: Arc::clone(&key_ring),
            audit: Arc::clone(&audit),
            mint_contexts,
            clock: clock.clone(),
            max_ttl: seconds(settings.token_lifetime),
        });
        let access_api = access_api(settings, &download_tokens, &database);
        let catalog_view = Arc::new(CatalogView {
            authenticator: Arc::clone(&authenticator),
            rate_limits: Arc::clone(&rate_limits),
            access: Arc::clone(&access),
        });
        let downloads = Arc::new(Downloads {
            authenticator: Arc::clone(&authenticator),
            rate_limits,
            access,
            files: files.clone(),
            audit: Arc::clone(&audit),
            clock,
        });
        let forward_auth = Arc::new(forward_auth(settings, &downloads));
        let probe = ReadinessProbe::new(database, files, Arc::clone(&key_ring), health_clock);
        let health = Arc::new(Health {
            probe: Arc::new(probe),
            catalog_cache: followed_catalog,
            audit,
            bundle,
            policies,
            identity_providers,
            session_sweeper,
        });
        Services {
            download_tokens,
            sessions,
            administration,
            api_keys,
            body_gate,
            downloads,
            forward_auth,
            access_api,
            catalog_view,
            key_ring,
            health,
            metrics,
        }
    }
}

fn access(
    settings: &Settings,
    catalog_cache: &Arc<CatalogCache>,
    bundle: &Arc<LiveBundle>,
    files: &FileStore,
    clock: &Clock,
) -> Arc<Access> {
    Arc::new(Access {
        catalog_cache: Arc::clone(catalog_cache),
        decisions: Arc::new(Decisions::new(Arc::clone(bundle), clock.clone())),
        files: files.clone(),
        has_files_elsewhere: !settings.forward_auth_paths.is_empty(),
    })
}

/// Decisions for other services have what mints have.
fn access_api(settings: &Settings, tokens: &DownloadTokens, database: &Database) -> Arc<AccessApi> {
    Arc::new(AccessApi::new(AccessApiDependencies {
        authenticator: Arc::clone(&tokens.authenticator),
        rate_limits: Arc::clone(&tokens.rate_limits),
        access: Arc::clone(&tokens.access),
        database: database.clone(),
        audit: Arc::clone(&tokens.audit),
        clock: tokens.clock.clone(),
        records: settings.evaluation_records,
    }))
}

/// Forward-auth is a download without its bytes.
fn forward_auth(settings: &Settings, downloads: &Downloads) -> ForwardAuth {
    ForwardAuth {
        authenticator: Arc::clone(&downloads.authenticator),
        rate_limits: Arc::clone(&downloads.rate_limits),
        access: Arc::clone(&downloads.access),
        audit: Arc::clone(&downloads.audit),
        clock: downloads.clock.clone(),
        check: settings.forward_auth_check,
    }
}

fn rates(settings: &Settings) -> Rates {
    Rates {
        mints: settings.mint_limit_per_minute,
        requests: settings.request_limit_per_minute,
        downloads: settings.download_limit_per_minute,
        evaluations: settings.evaluation_limit_per_minute,
    }
}

fn body_gate(
    authenticator: &Arc<Authenticator>,
    rate_limits: &Arc<RateLimits>,
    audit: &Arc<AuditTrail>,
    clock: &Clock,
) -> Arc<BodyGate> {
    Arc::new(BodyGate::new(
        Arc::clone(authenticator),
        Arc::clone(rate_limits),
        Arc::clone(audit),
        clock.clone(),
    ))
}

fn admin_deps(
    authenticator: &Arc<Authenticator>,
    rate_limits: &Arc<RateLimits>,
    access: &Access,
    audit: &Arc<AuditTrail>,
    policies: &Arc<PolicyReloader>,
) -> AdminDependencies {
    AdminDependencies {
        authenticator: Arc::clone(authenticator),
        rate_limits: Arc::clone(rate_limits),
        decisions: Arc::clone(&access.decisions),
        audit: Arc::clone(audit),
        catalog_cache: Arc::clone(&access.catalog_cache),
        reloader: Arc::clone(policies),
    }
}

fn seconds(ttl: Duration) -> u32 {
    u32::try_from(ttl.as_secs()).unwrap_or(u32::MAX)
}
