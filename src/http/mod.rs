//! Floor 3: HTTP. Reads requests, calls one capability each, writes replies.
//!
//! A handler has three moves: read, one service call, reply. This floor refuses to know how
//! anything is decided, minted, stored or read.

pub mod admin_credentials_api;
pub mod admin_datasets_api;
pub mod admin_files_api;
pub mod admin_roles_api;
pub mod admin_shares_api;
pub mod admin_statuses;
pub mod admin_users_api;
pub mod allowance;
pub mod answer;
pub mod api_keys_api;
pub mod audit_api;
pub mod audit_record;
pub mod caller;
pub mod catalog_api;
pub mod connection_share;
pub mod cors;
pub mod docs;
pub mod document;
pub mod download_api;
pub mod entity_tag;
pub mod gate;
pub mod health_api;
pub mod if_match;
pub mod issuers_api;
pub mod key_set_api;
pub mod methods;
pub mod metrics_page;
pub mod mint_api;
pub mod moment;
pub mod parameter;
pub mod policies_api;
pub mod precondition;
pub mod problem;
pub mod range_header;
pub mod server;
pub mod session_api;
pub mod signing_keys_api;
pub mod span;
pub mod transfer;
pub mod user_body;
pub mod version;

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use metrics_exporter_prometheus::PrometheusHandle;
use poem::{Endpoint, EndpointExt, Response, Route};
use poem_openapi::OpenApiService;
use serde_json::Value;

use crate::config::AllowedOrigins;
use crate::domain::clock::Clock;
use crate::service::administration::Administration;
use crate::service::api_keys::ApiKeys;
use crate::service::catalog_view::CatalogView;
use crate::service::download::Downloads;
use crate::service::download_token::DownloadTokens;
use crate::service::health::Health;
use crate::service::keys::Keys;
use crate::service::sessions::Sessions;

use admin_credentials_api::AdminCredentialsApi;
use admin_datasets_api::AdminDatasetsApi;
use admin_files_api::AdminFilesApi;
use admin_roles_api::AdminRolesApi;
use admin_shares_api::AdminSharesApi;
use admin_users_api::AdminUsersApi;
use allowance::Allowances;
use api_keys_api::ApiKeysApi;
use audit_api::AuditApi;
use catalog_api::CatalogApi;
use cors::Cors;
use download_api::DownloadApi;
use gate::Gate;
use health_api::HealthApi;
use issuers_api::IssuersApi;
use key_set_api::KeySetApi;
use methods::Methods;
use mint_api::MintApi;
use policies_api::PoliciesApi;
use session_api::SessionApi;
use signing_keys_api::SigningKeysApi;

/// What the operations call.
#[derive(Clone)]
pub struct Capabilities {
    /// Mints.
    pub tokens: Arc<DownloadTokens>,
    /// Signs in and out.
    pub sessions: Arc<Sessions>,
    /// Sees and changes users, roles and datasets.
    pub administration: Arc<Administration>,
    /// Manages API keys.
    pub api_keys: Arc<ApiKeys>,
    /// Downloads.
    pub downloads: Arc<Downloads>,
    /// Shows the catalog.
    pub view: Arc<CatalogView>,
    /// Publishes the key set.
    pub keys: Arc<Keys>,
    /// Looks whether all is well.
    pub health: Arc<Health>,
    /// Renders the metrics.
    pub metrics: PrometheusHandle,
}

/// How the routes behave.
#[derive(Clone, Debug)]
pub struct Manners {
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Pages of which origins may see answers.
    pub allowed_origins: AllowedOrigins,
    /// How long verifiers may keep the key set.
    pub jwks_max_age: Duration,
    /// How long a request may take until its response begins.
    pub longest_request: Duration,
    /// How large and how slow requests may be.
    pub allowances: Allowances,
    /// The time.
    pub clock: Clock,
}

/// For callers, verifiers and operators, and for administrators.
type Apis = (CallerApis, AdminApis);
type CallerApis = (
    MintApi,
    SessionApi,
    ApiKeysApi,
    DownloadApi,
    CatalogApi,
    KeySetApi,
    HealthApi,
);
type AdminApis = (
    AdminUsersApi,
    AdminRolesApi,
    AdminCredentialsApi,
    AdminDatasetsApi,
    AdminFilesApi,
    AdminSharesApi,
    AuditApi,
    PoliciesApi,
    SigningKeysApi,
    IssuersApi,
);

fn admin_apis(administration: &Arc<Administration>) -> AdminApis {
    (
        AdminUsersApi {
            administration: Arc::clone(administration),
        },
        AdminRolesApi {
            administration: Arc::clone(administration),
        },
        AdminCredentialsApi {
            administration: Arc::clone(administration),
        },
        AdminDatasetsApi {
            administration: Arc::clone(administration),
        },
        AdminFilesApi {
            administration: Arc::clone(administration),
        },
        AdminSharesApi {
            administration: Arc::clone(administration),
        },
        AuditApi {
            administration: Arc::clone(administration),
        },
        PoliciesApi {
            administration: Arc::clone(administration),
        },
        SigningKeysApi {
            administration: Arc::clone(administration),
        },
        IssuersApi {
            administration: Arc::clone(administration),
        },
    )
}

fn open_api(capabilities: &Capabilities, jwks_max_age: Duration) -> OpenApiService<Apis, ()> {
    let for_callers = (
        MintApi {
            tokens: Arc::clone(&capabilities.tokens),
        },
        SessionApi {
            sessions: Arc::clone(&capabilities.sessions),
        },
        ApiKeysApi {
            api_keys: Arc::clone(&capabilities.api_keys),
        },
        DownloadApi {
            downloads: Arc::clone(&capabilities.downloads),
        },
        CatalogApi {
            view: Arc::clone(&capabilities.view),
        },
        KeySetApi {
            keys: Arc::clone(&capabilities.keys),
            max_age: jwks_max_age,
        },
        HealthApi {
            health: Arc::clone(&capabilities.health),
        },
    );
    let apis = (for_callers, admin_apis(&capabilities.administration));
    OpenApiService::new(apis, "Cedargate", env!("CARGO_PKG_VERSION")).description(
        "Authorization for data downloads: policies decide, a short-lived token opens one dataset, \
         and anyone can verify the token with the published key set.",
    )
}

/// All routes behind the gate.
#[must_use]
pub fn routes(
    capabilities: &Capabilities,
    manners: Manners,
) -> impl Endpoint<Output = Response> + 'static {
    let service = open_api(capabilities, manners.jwks_max_age);
    let document = document_of(&service);
    let plain: Vec<&str> = docs::PATHS
        .into_iter()
        .chain([metrics_page::PATH])
        .collect();
    let methods = Arc::new(Methods::of(&document, &plain));
    let swagger_ui = service.swagger_ui_html();
    let route = Route::new().nest_no_strip("/", service);
    let route = docs::add_to(route, &swagger_ui, document.to_string());
    let route = metrics_page::add_to(route, capabilities.metrics.clone());
    let gate = Gate {
        trusted_proxies: manners.trusted_proxies,
        longest_request: manners.longest_request,
        allowances: manners.allowances,
        methods,
        clock: manners.clock,
        has_warned: Arc::default(),
    };
    route.with(gate).with(Cors {
        allowed_origins: manners.allowed_origins,
    })
}

/// The OpenAPI document, complete.
#[must_use]
pub fn openapi_document(capabilities: &Capabilities, jwks_max_age: Duration) -> Value {
    document_of(&open_api(capabilities, jwks_max_age))
}

fn document_of(service: &OpenApiService<Apis, ()>) -> Value {
    document::complete(serde_json::from_str(&service.spec()).unwrap_or_default())
}
