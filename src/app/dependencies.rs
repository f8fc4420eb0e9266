//! The ground that all capabilities stand on, and the capabilities built on it.
//!
//! Each capability gets exactly what it works with. This module refuses to open or start anything.

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;

use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::files::FileStore;
use crate::http::Capabilities;
use crate::policy::LiveBundle;
use crate::service::access::Access;
use crate::service::access::catalog_view::CatalogView;
use crate::service::access::decisions::Decisions;
use crate::service::administration::{Administration, Guard};
use crate::service::audit_trail::AuditTrail;
use crate::service::catalog_cache::Facts;
use crate::service::health::Health;
use crate::service::identity::api_key_last_used::KeyUses;
use crate::service::identity::api_keys::ApiKeys;
use crate::service::identity::authentication::Authenticator;
use crate::service::identity::federated_users::OutsideUsers;
use crate::service::identity::identity_providers::Issuers;
use crate::service::identity::login_throttle::Guesses;
use crate::service::identity::password::Passwords;
use crate::service::identity::sessions::Sessions;
use crate::service::policies::reload::PolicyReload;
use crate::service::rate_limits::{Limits, Rates};
use crate::service::tokens::download::Downloads;
use crate::service::tokens::download_token::DownloadTokens;
use crate::service::tokens::key_ring::Keys;
use crate::service::tokens::mint_contexts::Mints;
use crate::storage::Database;

/// What is open and running before there is any capability.
pub(super) struct Ground {
    pub(super) database: Database,
    pub(super) files: FileStore,
    pub(super) passwords: Passwords,
    pub(super) bundle: Arc<LiveBundle>,
    pub(super) policies: Arc<PolicyReload>,
    pub(super) keys: Arc<Keys>,
    pub(super) facts: Arc<Facts>,
    pub(super) audit: Arc<AuditTrail>,
    pub(super) issuers: Arc<Issuers>,
    pub(super) clock: Clock,
}

impl Ground {
    fn authenticator(&self, limits: &Arc<Limits>, mints: &Arc<Mints>) -> Authenticator {
        Authenticator {
            facts: Arc::clone(&self.facts),
            keys: Arc::clone(&self.keys),
            limits: Arc::clone(limits),
            key_uses: KeyUses::of(self.database.clone()),
            mints: Arc::clone(mints),
            issuers: Arc::clone(&self.issuers),
            outside_users: OutsideUsers::of(
                Arc::clone(&self.facts),
                self.database.clone(),
                self.clock.clone(),
            ),
            clock: self.clock.clone(),
        }
    }

    /// Builds every capability.
    pub(super) fn capabilities(
        self,
        settings: &Settings,
        metrics: PrometheusHandle,
    ) -> Capabilities {
        let rates = Rates {
            mints: settings.mint_limit_per_minute,
            requests: settings.request_limit_per_minute,
        };
        let limits = Arc::new(Limits::new(rates, self.clock.clone()));
        let mints = Arc::new(Mints::of(self.database.clone()));
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
        let decisions = Arc::new(Decisions::of(Arc::clone(&bundle), clock.clone()));
        let access = Arc::new(Access {
            facts: Arc::clone(&facts),
            decisions,
            files: files.clone(),
        });
        let passwords = Arc::new(passwords);
        let administration = Arc::new(Administration::guarded(
            database.clone(),
            files.clone(),
            Arc::clone(&passwords),
            clock.clone(),
            guard(&authenticator, &limits, &access, &audit, &policies),
        ));
        let sessions = Arc::new(Sessions {
            authenticator: Arc::clone(&authenticator),
            database: database.clone(),
            facts: Arc::clone(&facts),
            keys: Arc::clone(&keys),
            passwords,
            limits: Arc::clone(&limits),
            guesses: Guesses::new(clock.clone()),
            audit: Arc::clone(&audit),
            clock: clock.clone(),
            session_lifetime: seconds(settings.session_lifetime),
            refresh_lifetime: seconds(settings.refresh_lifetime),
        });
        let api_keys = Arc::new(ApiKeys {
            database: database.clone(),
            facts,
            authenticator: Arc::clone(&authenticator),
            limits: Arc::clone(&limits),
            audit: Arc::clone(&audit),
            clock: clock.clone(),
        });
        let tokens = Arc::new(DownloadTokens {
            authenticator: Arc::clone(&authenticator),
            limits: Arc::clone(&limits),
            access: Arc::clone(&access),
            keys: Arc::clone(&keys),
            audit: Arc::clone(&audit),
            mints,
            clock: clock.clone(),
            lifetime: seconds(settings.token_lifetime),
        });
        let view = Arc::new(CatalogView {
            authenticator: Arc::clone(&authenticator),
            limits: Arc::clone(&limits),
            access: Arc::clone(&access),
        });
        let downloads = Arc::new(Downloads {
            authenticator: Arc::clone(&authenticator),
            limits,
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
            issuers,
        });
        Capabilities {
            tokens,
            sessions,
            administration,
            api_keys,
            downloads,
            view,
            keys,
            health,
            metrics,
        }
    }
}

fn guard(
    authenticator: &Arc<Authenticator>,
    limits: &Arc<Limits>,
    access: &Access,
    audit: &Arc<AuditTrail>,
    policies: &Arc<PolicyReload>,
) -> Guard {
    Guard {
        authenticator: Arc::clone(authenticator),
        limits: Arc::clone(limits),
        decisions: Arc::clone(&access.decisions),
        audit: Arc::clone(audit),
        facts: Arc::clone(&access.facts),
        policies: Arc::clone(policies),
    }
}

fn seconds(lifetime: Duration) -> u32 {
    u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX)
}
