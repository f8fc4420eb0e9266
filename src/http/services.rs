//! Services: what the operations of the HTTP API call, and its settings.

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;

use crate::config::{AllowedOrigins, PathPatterns};
use crate::domain::clock::Clock;
use crate::service::access::catalog_view::CatalogView;
use crate::service::access_api::AccessApi;
use crate::service::administration::Administration;
use crate::service::health::Health;
use crate::service::identity::api_keys::ApiKeys;
use crate::service::identity::body_gate::BodyGate;
use crate::service::identity::sessions::Sessions;
use crate::service::tokens::download::Downloads;
use crate::service::tokens::download_token::DownloadTokens;
use crate::service::tokens::forward_auth::ForwardAuth;
use crate::service::tokens::key_ring::KeyRing;
use crate::service::tokens::key_schedule::KeySchedule;

use super::server::trusted_proxies::TrustedProxies;

/// The services that the operations call.
#[derive(Clone)]
pub struct Services {
    /// Mints download tokens.
    pub download_tokens: Arc<DownloadTokens>,
    /// Logs in and out.
    pub sessions: Arc<Sessions>,
    /// Manages users, roles, datasets, policies and the audit log.
    pub administration: Arc<Administration>,
    /// Manages API keys.
    pub api_keys: Arc<ApiKeys>,
    /// Authenticates callers before their bodies are read.
    pub body_gate: Arc<BodyGate>,
    /// Downloads files.
    pub downloads: Arc<Downloads>,
    /// Decides for file servers.
    pub forward_auth: Arc<ForwardAuth>,
    /// Decides for other services.
    pub access_api: Arc<AccessApi>,
    /// Lists the datasets that a caller may discover.
    pub catalog_view: Arc<CatalogView>,
    /// Publishes the key set.
    pub key_ring: Arc<KeyRing>,
    /// Checks health.
    pub health: Arc<Health>,
    /// Renders the metrics.
    pub metrics: PrometheusHandle,
}

/// The settings of the HTTP floor.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Proxies whose word about the client's address is believed.
    pub trusted_proxies: TrustedProxies,
    /// The paths that proxies ask about.
    pub forward_auth_paths: PathPatterns,
    /// The origins whose pages may read responses.
    pub allowed_origins: AllowedOrigins,
    /// The URL that clients use, whose own pages are no foreign ones.
    pub issuer: String,
    /// When signing keys change, and how long verifiers may cache the key set.
    pub key_schedule: KeySchedule,
    /// How long a request may take until its response begins.
    pub request_timeout: Duration,
    /// The largest file that may be uploaded, in bytes.
    pub max_upload_size: u64,
    /// How many bytes a minute of an uploaded file have to arrive.
    pub min_bytes_per_minute: u32,
    /// How long the proofs of a policy edit may take.
    pub proof_timeout: Duration,
    /// The time.
    pub clock: Clock,
}
