//! The composition root: builds the running server from the settings, and shuts it down in order.
//!
//! Everything is checked before the server listens: an invalid policy or a wrong key is an error at
//! the start, not at the first request.

mod dependencies;
mod error;
mod maintenance;
mod metrics_registry;
mod stores;

use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::config::limits::MAX_TOKEN_LIFETIME;
use crate::domain::caller::Authentication;
use crate::domain::clock::Clock;
use crate::domain::decision::Revision;
use crate::domain::key_set_lifetime::KeySetLifetime;
use crate::http::server::request_handler::RequestHandler;
use crate::http::server::trusted_proxies::TrustedProxies;
use crate::http::server::{self, ServerLimits};
use crate::http::{self, HttpConfig, Services};
use crate::policy::LiveBundle;
use crate::service::administration::Administration;
use crate::service::audit_trail::AuditTrail;
use crate::service::catalog::sweeper::sweep_catalog;
use crate::service::catalog_cache::CatalogCache;
use crate::service::error::ServiceError;
use crate::service::identity::identity_providers::IdentityProviders;
use crate::service::identity::session_sweeper::SessionSweeper;
use crate::service::policies::reload::{self, InitialPolicies, PolicyReloader};
use crate::service::tokens::key_ring::{KeyRing, TokenParties};
use crate::service::tokens::key_schedule::KeySchedule;
use crate::service::tokens::sealing_key_file::open_sealing_key;
use crate::service::tokens::signing_keys::SigningKeys;
use crate::service::unused_files::UnusedFiles;
use crate::storage::Database;

use dependencies::Dependencies;
pub use error::AppError;
use maintenance::Maintenance;
use metrics_registry::start_metrics;
pub use stores::{Stores, open_database};

/// How long a shutdown waits for the policy watcher.
const WATCHER_STOP_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a shutdown waits for audit records that are being written.
const AUDIT_DRAIN_TIMEOUT: Duration = Duration::from_secs(6);
/// How long a shutdown waits for the database to close.
const DATABASE_CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a shutdown may take after requests in flight have ended, the runtime's part included: beyond it,
/// the process ends without waiting.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(18);

/// The running application: services, background tasks and stores.
pub struct App {
    services: Services,
    http_config: HttpConfig,
    server_limits: ServerLimits,
    database: Database,
    audit: Arc<AuditTrail>,
    catalog_task: JoinHandle<()>,
    maintenance: Maintenance,
    sweep_task: JoinHandle<()>,
    session_task: JoinHandle<()>,
    key_task: JoinHandle<()>,
    unused_files_task: JoinHandle<()>,
    policies: Arc<PolicyReloader>,
    policy_task: JoinHandle<()>,
    stop_policies: CancellationToken,
}

impl App {
    /// Loads and checks everything, and starts the background tasks.
    pub async fn open(settings: &Settings, stores: Stores, clock: Clock) -> Result<Self, AppError> {
        let Stores {
            database,
            files,
            passwords,
        } = stores;
        // First, so that nothing is counted before.
        let metrics = start_metrics(&settings.issuers, &settings.stores)?;
        let initial = load_policies(settings, &database, &clock).await?;
        let bundle = Arc::clone(&initial.bundle);
        let bundle = Arc::new(if initial.is_closed {
            LiveBundle::closed(bundle)
        } else {
            LiveBundle::new(bundle)
        });
        let (key_ring, key_task) = open_keys(settings, &database, &clock).await?;
        let catalog_cache = Arc::new(CatalogCache::new(database.clone()));
        catalog_cache.refresh().await?;
        let catalog_task = tokio::spawn(Arc::clone(&catalog_cache).follow());
        let sweep_task = tokio::spawn(sweep_catalog(database.clone()));
        let maintenance = Maintenance::start(settings, &database).await;
        let disk_space = Arc::clone(&maintenance.disk_space);
        let audit = Arc::new(AuditTrail::start(database.clone(), disk_space));
        let identity_providers = IdentityProviders::new(&settings.issuers, &clock)
            .map_err(|reason| AppError::IdentityProviders { reason })?;
        identity_providers
            .start()
            .await
            .map_err(|reason| AppError::IdentityProviders { reason })?;
        let policies = PolicyReloader::start(
            initial,
            settings,
            Arc::clone(&bundle),
            database.clone(),
            Arc::clone(&audit),
            clock.clone(),
        )
        .await
        .map_err(AppError::Reload)?;
        let unused_files = UnusedFiles {
            database: database.clone(),
            files: files.clone(),
            clock: clock.clone(),
            kept_for: settings.unused_files_kept,
        };
        let unused_files_task = tokio::spawn(unused_files.run());
        let stop_policies = CancellationToken::new();
        let policy_task = policies.spawn_watcher(stop_policies.clone());
        let session_sweeper = Arc::new(SessionSweeper::new(database.clone(), clock.clone()));
        let session_task = tokio::spawn(Arc::clone(&session_sweeper).run());
        let dependencies = Dependencies {
            database: database.clone(),
            files,
            passwords,
            bundle,
            policies: Arc::clone(&policies),
            key_ring,
            catalog_cache,
            audit: Arc::clone(&audit),
            identity_providers: Arc::new(identity_providers),
            session_sweeper: Arc::clone(&session_sweeper),
            clock: clock.clone(),
        };
        let trusted_proxies =
            TrustedProxies::new(settings.trusted_proxies.clone(), settings.forwarded_header);
        Ok(Self {
            services: dependencies.services(settings, metrics),
            http_config: HttpConfig {
                trusted_proxies: trusted_proxies.clone(),
                forward_auth_paths: settings.forward_auth_paths.clone(),
                allowed_origins: settings.allowed_origins.clone(),
                issuer: settings.issuer.clone(),
                key_schedule: key_schedule(settings),
                request_timeout: settings.request_timeout,
                max_upload_size: settings.largest_upload,
                min_bytes_per_minute: settings.min_bytes_per_minute,
                proof_timeout: settings.gate_proof_limit,
                clock,
            },
            server_limits: server_limits(settings, trusted_proxies),
            database,
            audit,
            catalog_task,
            maintenance,
            sweep_task,
            session_task,
            key_task,
            unused_files_task,
            policies,
            policy_task,
            stop_policies,
        })
    }

    /// The kind of database.
    #[must_use]
    pub fn database_kind(&self) -> &'static str {
        self.database.kind()
    }

    /// The policies in force.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.services.health.bundle.current().revision().clone()
    }

    /// Administers users, roles, datasets, policies and the audit log.
    #[must_use]
    pub fn administration(&self) -> &Arc<Administration> {
        &self.services.administration
    }

    /// The policy reloader.
    #[must_use]
    pub fn policies(&self) -> &Arc<PolicyReloader> {
        &self.policies
    }

    /// The OpenAPI document.
    #[must_use]
    pub fn openapi_document(&self) -> serde_json::Value {
        http::openapi_document(&self.services, &self.http_config)
    }

    /// All routes.
    #[must_use]
    pub fn routes(&self) -> impl RequestHandler + use<> + 'static {
        http::routes(&self.services, self.http_config.clone())
    }

    /// Serves until `shutdown`, drains, and closes everything; returns whether all requests ended in time.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) -> bool {
        let is_drained = server::serve(
            listener,
            self.routes(),
            self.server_limits.clone(),
            shutdown,
        )
        .await;
        self.close().await;
        is_drained
    }

    /// Closes everything in order, writers before what they write to, and waits for none of it without a
    /// limit: an unresponsive database or file system must not keep the process.
    pub async fn close(self) {
        self.stop_policies.cancel();
        let watcher = self.policy_task.abort_handle();
        match timeout(WATCHER_STOP_TIMEOUT, self.policy_task).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => tracing::error!("policy watcher panicked"),
            Err(_) => {
                tracing::error!("policy watcher did not stop in time");
                watcher.abort();
            }
        }
        self.catalog_task.abort();
        self.maintenance.stop();
        self.sweep_task.abort();
        self.session_task.abort();
        self.key_task.abort();
        self.unused_files_task.abort();
        if timeout(AUDIT_DRAIN_TIMEOUT, self.audit.stop())
            .await
            .is_err()
        {
            tracing::error!("audit records were still waiting when the time to write them ended");
        }
        if timeout(DATABASE_CLOSE_TIMEOUT, self.database.close())
            .await
            .is_err()
        {
            tracing::error!("database did not close in time");
        }
    }
}

/// The signing keys of a database, as the settings have them change.
#[must_use]
pub fn signing_keys(
    settings: &Settings,
    database: Database,
    clock: Clock,
    changed_by: Authentication,
) -> SigningKeys {
    SigningKeys {
        database,
        sealing_key_file: settings.sealing_key_file.clone(),
        schedule: key_schedule(settings),
        clock,
        changed_by,
    }
}

/// Opens the key ring, after the first start with keys of its own, and keeps it up to date.
async fn open_keys(
    settings: &Settings,
    database: &Database,
    clock: &Clock,
) -> Result<(Arc<KeyRing>, JoinHandle<()>), AppError> {
    // A new sealing key cannot open keys that are already sealed.
    let is_first_start = database.list_signing_keys().await?.is_empty();
    open_sealing_key(
        &settings.sealing_key_file,
        settings.may_create_sealing_key() && is_first_start,
    )?;
    let parties = TokenParties {
        issuer: settings.issuer.clone(),
        audience: settings.audience.clone(),
    };
    let keys = signing_keys(
        settings,
        database.clone(),
        clock.clone(),
        Authentication::None,
    );
    let key_ring = Arc::new(keys.open_key_ring(parties).await.map_err(AppError::Keys)?);
    let key_task = tokio::spawn(keys.follow(Arc::clone(&key_ring)));
    Ok((key_ring, key_task))
}

fn key_schedule(settings: &Settings) -> KeySchedule {
    let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    KeySchedule {
        publish_ahead: seconds(settings.key_publish_ahead),
        rotation_age: settings.key_rotation_age.map(seconds),
        // A download token may be of before the settings were changed.
        token_lifetime: seconds(settings.session_lifetime.max(MAX_TOKEN_LIFETIME)),
        key_set: KeySetLifetime {
            max_age: settings.jwks_max_age,
        },
    }
}

/// Loads and checks the policies on a blocking thread.
async fn load_policies(
    settings: &Settings,
    database: &Database,
    clock: &Clock,
) -> Result<InitialPolicies, AppError> {
    let accepted = database.list_accepted_policy_edits().await?;
    let (settings, clock, database) = (settings.clone(), clock.clone(), database.clone());
    let loading = tokio::task::spawn_blocking(move || {
        reload::load_initial_policies(&settings, &clock, &database, &accepted)
    });
    let loaded = loading.await.map_err(|panic| {
        AppError::Reload(ServiceError::Internal {
            what: "checking the policies",
            source: panic.into(),
        })
    })?;
    Ok(loaded?)
}

fn server_limits(settings: &Settings, trusted_proxies: TrustedProxies) -> ServerLimits {
    ServerLimits {
        max_connections: settings.max_connections,
        min_bytes_per_minute: settings.min_bytes_per_minute,
        download_timeout: settings.download_timeout,
        shutdown_timeout: settings.shutdown_grace,
        trusted_proxies,
    }
}
