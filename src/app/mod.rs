//! The composition root: from settings to a running server, and down again in order.
//!
//! Everything is checked before anything listens: a broken policy or a wrong key is an error at
//! the start, not at the first request. This module refuses to decide anything.

mod dependencies;

use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use poem::{Endpoint, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::domain::clock::Clock;
use crate::domain::decision::Revision;
use crate::domain::error_chain::error_chain;
use crate::files::{FileStore, FilesError};
use crate::http::server::{self, ServerLimits};
use crate::http::{self, HttpConfig, Services};
use crate::policy::{Bundle, BundleError, LiveBundle};
use crate::service::audit_trail::AuditTrail;
use crate::service::catalog_cache::CatalogCache;
use crate::service::error::ServiceError;
use crate::service::identity::identity_providers::IdentityProviders;
use crate::service::identity::password::{PasswordError, Passwords};
use crate::service::policies::reload;
use crate::service::policies::reload::{InitialPolicies, PolicyReloader, PolicyStartError};
use crate::service::tokens::key_ring::{KeyRing, TokenParties};
use crate::service::tokens::sealing_key_file::{SealingKeyFileError, open_sealing_key};
use crate::storage::{Database, StorageError};

use dependencies::Dependencies;

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The data directory cannot be made.
    #[error("the data directory {path} cannot be made: {source}")]
    DataDir {
        /// The directory.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The policies are broken.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The policies do not pass the gate.
    #[error("{0}")]
    Policies(PolicyStartError),
    /// That the policies were refused could not be put on record.
    #[error("the policies cannot be put in force: {}", error_chain(.0))]
    Reload(ServiceError),
    /// The database cannot be used.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The file store cannot be used.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// There is no sealing key.
    #[error(transparent)]
    Sealing(#[from] SealingKeyFileError),
    /// The keys cannot be used.
    #[error("the signing keys cannot be used: {}", error_chain(.0))]
    Keys(ServiceError),
    /// Passwords cannot be checked.
    #[error(transparent)]
    Passwords(#[from] PasswordError),
    /// The keys of an outside issuer cannot be used.
    #[error("the keys of an outside issuer cannot be used: {reason}")]
    IdentityProviders {
        /// Why not.
        reason: String,
    },
    /// Metrics cannot be recorded.
    #[error("metrics cannot be recorded: {reason}")]
    Metrics {
        /// Why not.
        reason: String,
    },
}

impl From<PolicyStartError> for AppError {
    fn from(error: PolicyStartError) -> Self {
        match error {
            PolicyStartError::Invalid(error) => Self::Bundle(error),
            refused @ PolicyStartError::Rejected { .. } => Self::Policies(refused),
        }
    }
}

/// What every command that works on the data needs: the database, the files, the passwords.
pub struct Stores {
    /// The database, migrated.
    pub database: Database,
    /// The files.
    pub files: FileStore,
    /// The passwords.
    pub passwords: Passwords,
}

impl Stores {
    /// Opens the stores that the settings name, and brings the database up to date.
    pub async fn open(settings: &Settings) -> Result<Self, AppError> {
        create_private_dir(&settings.data_dir).map_err(|source| AppError::DataDir {
            path: settings.data_dir.display().to_string(),
            source,
        })?;
        let database = Database::open(
            settings.database_url.reveal(),
            settings.database_connections,
        )
        .await?;
        database.migrate().await?;
        let files =
            FileStore::open(&settings.files_dir)?.with_import_dir(settings.import_dir.as_deref());
        Ok(Self {
            database,
            files,
            passwords: Passwords::new()?,
        })
    }
}

/// Makes the data directory for its owner alone; one that is there keeps its mode.
fn create_private_dir(folder: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

/// Everything that is running.
pub struct App {
    services: Services,
    http_config: HttpConfig,
    server_limits: ServerLimits,
    database: Database,
    audit: Arc<AuditTrail>,
    catalog_task: JoinHandle<()>,
    policies: Arc<PolicyReloader>,
    policy_task: JoinHandle<()>,
    stop_policies: CancellationToken,
}

impl App {
    /// Loads and checks everything, and starts what runs beside the requests.
    pub async fn open(settings: &Settings, stores: Stores, clock: Clock) -> Result<Self, AppError> {
        let Stores {
            database,
            files,
            passwords,
        } = stores;
        let start = load_policies(settings, &clock).await?;
        let bundle = Arc::new(LiveBundle::new(Arc::clone(&start.bundle)));
        // A new sealing key opens no key that is sealed already.
        let is_first_start = database.list_signing_keys().await?.is_empty();
        let sealing_key = open_sealing_key(
            &settings.sealing_key_file,
            settings.may_create_sealing_key() && is_first_start,
        )?;
        let parties = TokenParties {
            issuer: settings.issuer.clone(),
            audience: settings.audience.clone(),
        };
        let keys = KeyRing::open(&database, &sealing_key, parties, clock.clone())
            .await
            .map_err(AppError::Keys)?;
        let facts = Arc::new(CatalogCache::new(database.clone()));
        facts.refresh().await?;
        let follower = tokio::spawn(Arc::clone(&facts).poll_versions());
        let audit = Arc::new(AuditTrail::start(database.clone()));
        let issuers = IdentityProviders::new(&settings.issuers, &clock)
            .map_err(|reason| AppError::IdentityProviders { reason })?;
        issuers
            .start()
            .await
            .map_err(|reason| AppError::IdentityProviders { reason })?;
        let policies = PolicyReloader::start(
            start,
            settings,
            Arc::clone(&bundle),
            Arc::clone(&audit),
            clock.clone(),
        )
        .await
        .map_err(AppError::Reload)?;
        let stop_watching = CancellationToken::new();
        let watcher = policies.spawn_watcher(stop_watching.clone());
        let ground = Dependencies {
            database: database.clone(),
            files,
            passwords,
            bundle,
            policies: Arc::clone(&policies),
            keys: Arc::new(keys),
            facts,
            audit: Arc::clone(&audit),
            issuers: Arc::new(issuers),
            clock: clock.clone(),
        };
        Ok(Self {
            services: ground.services(settings, metrics_recorder()?),
            http_config: HttpConfig {
                trusted_proxies: settings.trusted_proxies.clone(),
                allowed_origins: settings.allowed_origins.clone(),
                jwks_max_age: settings.jwks_max_age,
                request_timeout: settings.request_timeout,
                max_upload_size: settings.largest_upload,
                proof_timeout: settings.gate_proof_limit,
                clock,
            },
            server_limits: ServerLimits {
                max_connections: settings.max_connections,
                shutdown_timeout: settings.shutdown_grace,
                trusted_proxies: settings.trusted_proxies.clone(),
            },
            database,
            audit,
            catalog_task: follower,
            policies,
            policy_task: watcher,
            stop_policies: stop_watching,
        })
    }

    /// Which kind of database it works with.
    #[must_use]
    pub fn database_kind(&self) -> &'static str {
        self.database.kind()
    }

    /// The policies in force.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.services.health.bundle.current().revision().clone()
    }

    /// What reloads the policies.
    #[must_use]
    pub fn policies(&self) -> &Arc<PolicyReloader> {
        &self.policies
    }

    /// The OpenAPI document.
    #[must_use]
    pub fn openapi_document(&self) -> serde_json::Value {
        http::openapi_document(&self.services, self.http_config.jwks_max_age)
    }

    /// All routes.
    #[must_use]
    pub fn routes(&self) -> impl Endpoint<Output = Response> + 'static {
        http::routes(&self.services, self.http_config.clone())
    }

    /// Serves until `shutdown`, drains, and closes everything; says whether all requests ended.
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

    /// Closes everything in order: what writes before what is written to.
    pub async fn close(self) {
        self.stop_policies.cancel();
        if self.policy_task.await.is_err() {
            tracing::error!("the watcher of the policies died");
        }
        self.catalog_task.abort();
        self.audit.stop().await;
        self.database.close().await;
    }
}

/// Reads and judges the policies where that holds up nobody.
async fn load_policies(settings: &Settings, clock: &Clock) -> Result<InitialPolicies, AppError> {
    let (settings, clock) = (settings.clone(), clock.clone());
    let begun =
        tokio::task::spawn_blocking(move || reload::load_initial_policies(&settings, &clock));
    let begun = begun.await.map_err(|lost| {
        AppError::Reload(ServiceError::Internal {
            what: "judging the policies",
            source: lost.into(),
        })
    })?;
    Ok(begun?)
}

/// The policies that the settings name: a folder, or the bundle inside the binary.
pub fn open_bundle(settings: &Settings) -> Result<Bundle, BundleError> {
    match &settings.policy_dir {
        Some(folder) => Bundle::load(folder),
        None => Bundle::embedded(),
    }
}

/// The process has one recorder, however many apps a test starts in it.
fn metrics_recorder() -> Result<PrometheusHandle, AppError> {
    static RECORDER: OnceLock<Result<PrometheusHandle, String>> = OnceLock::new();
    RECORDER
        .get_or_init(|| {
            PrometheusBuilder::new()
                .install_recorder()
                .map_err(|error| error.to_string())
        })
        .clone()
        .map_err(|reason| AppError::Metrics { reason })
}
