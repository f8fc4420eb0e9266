//! Floor 3: HTTP. Reads requests, calls one capability each, writes replies.
//!
//! A handler has three moves: read, one service call, reply. This floor refuses to know how
//! anything is decided, minted, stored or read.

pub mod api;
pub mod conditional;
pub mod docs;
pub mod extract;
pub mod metrics_page;
pub mod openapi;
pub mod reply;
pub mod server;

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use metrics_exporter_prometheus::PrometheusHandle;
use poem::{Endpoint, EndpointExt, Response, Route};
use poem_openapi::OpenApiService;
use serde_json::Value;

use crate::config::AllowedOrigins;
use crate::domain::clock::Clock;
use crate::service::access::catalog_view::CatalogView;
use crate::service::administration::Administration;
use crate::service::health::Health;
use crate::service::identity::api_keys::ApiKeys;
use crate::service::identity::sessions::Sessions;
use crate::service::tokens::download::Downloads;
use crate::service::tokens::download_token::DownloadTokens;
use crate::service::tokens::key_ring::KeyRing;

use api::admin::audit::AuditApi;
use api::admin::credentials::AdminCredentialsApi;
use api::admin::datasets::AdminDatasetsApi;
use api::admin::explanations::ExplanationApi;
use api::admin::files::AdminFilesApi;
use api::admin::identity_providers::IdentityProvidersApi;
use api::admin::policies::PoliciesApi;
use api::admin::roles::AdminRolesApi;
use api::admin::shares::AdminSharesApi;
use api::admin::signing_keys::SigningKeysApi;
use api::admin::users::AdminUsersApi;
use api::api_keys::ApiKeysApi;
use api::catalog::CatalogApi;
use api::download::DownloadApi;
use api::health::HealthApi;
use api::key_set::KeySetApi;
use api::mint::MintApi;
use api::sessions::SessionApi;
use server::allowed_methods::AllowedMethods;
use server::cors::Cors;
use server::request_limits::RouteLimits;
use server::request_middleware::RequestMiddleware;

/// What the operations call.
#[derive(Clone)]
pub struct Services {
    /// Mints.
    pub download_tokens: Arc<DownloadTokens>,
    /// Signs in and out.
    pub sessions: Arc<Sessions>,
    /// Sees and changes users, roles and datasets.
    pub administration: Arc<Administration>,
    /// Manages API keys.
    pub api_keys: Arc<ApiKeys>,
    /// Downloads.
    pub downloads: Arc<Downloads>,
    /// Shows the catalog.
    pub catalog_view: Arc<CatalogView>,
    /// Publishes the key set.
    pub key_ring: Arc<KeyRing>,
    /// Looks whether all is well.
    pub health: Arc<Health>,
    /// Renders the metrics.
    pub metrics: PrometheusHandle,
}

/// How the routes behave.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Pages of which origins may see answers.
    pub allowed_origins: AllowedOrigins,
    /// How long verifiers may keep the key set.
    pub jwks_max_age: Duration,
    /// How long a request may take until its response begins.
    pub request_timeout: Duration,
    /// How large and how slow requests may be.
    pub route_limits: RouteLimits,
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
    ExplanationApi,
    SigningKeysApi,
    IdentityProvidersApi,
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
        ExplanationApi {
            administration: Arc::clone(administration),
        },
        SigningKeysApi {
            administration: Arc::clone(administration),
        },
        IdentityProvidersApi {
            administration: Arc::clone(administration),
        },
    )
}

fn api_service(capabilities: &Services, jwks_max_age: Duration) -> OpenApiService<Apis, ()> {
    let for_callers = (
        MintApi {
            tokens: Arc::clone(&capabilities.download_tokens),
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
            view: Arc::clone(&capabilities.catalog_view),
        },
        KeySetApi {
            key_ring: Arc::clone(&capabilities.key_ring),
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
    capabilities: &Services,
    manners: HttpConfig,
) -> impl Endpoint<Output = Response> + 'static {
    let service = api_service(capabilities, manners.jwks_max_age);
    let document = service_document(&service);
    let plain: Vec<&str> = docs::PATHS
        .into_iter()
        .chain([metrics_page::PATH])
        .collect();
    let methods = Arc::new(AllowedMethods::from_document(&document, &plain));
    let swagger_ui = service.swagger_ui_html();
    let route = Route::new().nest_no_strip("/", service);
    let route = docs::add_routes(route, &swagger_ui, document.to_string());
    let route = metrics_page::add_routes(route, capabilities.metrics.clone());
    let gate = RequestMiddleware {
        trusted_proxies: manners.trusted_proxies,
        request_timeout: manners.request_timeout,
        route_limits: manners.route_limits,
        allowed_methods: methods,
        clock: manners.clock,
        has_warned: Arc::default(),
    };
    route.with(gate).with(Cors {
        allowed_origins: manners.allowed_origins,
    })
}

/// The OpenAPI document, complete.
#[must_use]
pub fn openapi_document(capabilities: &Services, jwks_max_age: Duration) -> Value {
    service_document(&api_service(capabilities, jwks_max_age))
}

fn service_document(service: &OpenApiService<Apis, ()>) -> Value {
    openapi::complete_document(serde_json::from_str(&service.spec()).unwrap_or_default())
}
