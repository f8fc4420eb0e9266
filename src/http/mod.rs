//! Floor 3: HTTP: routes, handlers and the server.
//!
//! A handler has three steps: extract, call one service, reply.

pub mod api;
mod apis;
pub mod conditional;
mod direct_routes;
pub mod docs;
pub mod extract;
pub mod metrics_page;
pub mod openapi;
mod page_file;
pub mod reply;
pub mod server;
mod services;
pub mod web;

use std::sync::Arc;

use poem::{EndpointExt, Route};
use poem_openapi::OpenApiService;
use serde_json::Value;

use crate::config::limits::{
    MAX_DATASET_BODY_SIZE, MAX_DRAFT_BODY_SIZE, MAX_EVALUATIONS_BODY_SIZE, MAX_QUESTION_BODY_SIZE,
    MAX_USER_BODY_SIZE, POLICY_CHECK_TIMEOUT, UPLOAD_TIMEOUT,
};
use crate::domain::audit::AuditEvent;

use api::access;
use api::access::evaluation::EvaluationApi;
use api::access::metadata::AUTHZEN_CONFIGURATION_PATH;
use api::admin::datasets;
use api::admin::drafts;
use api::admin::explanations;
use api::admin::files;
use api::admin::policies;
use api::admin::users;
use api::api_keys;
use api::download::DownloadApi;
use api::forward_auth::ForwardAuthApi;
use api::key_set::{KEY_SET_PATH, KeySetApi};
use api::mint::{self, MintApi};
use api::mint_batch;
use api::server_metadata::{OPENID_CONFIGURATION_PATH, SERVER_METADATA_PATH};
use apis::{Apis, api_service};
use direct_routes::DirectRoutes;
use server::cors::Cors;
use server::forward_auth_statuses::FORWARD_AUTH_PATH;
use server::issuer_path::IssuerPath;
use server::operations::OperationTable;
use server::outer_endpoint::OuterEndpoint;
use server::own_origins::OwnOrigins;
use server::request_handler::RequestHandler;
use server::request_limits::{RequestLimits, RouteLimits};
use server::request_middleware::RequestMiddleware;
pub use services::{HttpConfig, Services};

/// The paths that programs ask for all the time.
const PROBE_PATHS: [&str; 3] = [
    api::health::PATHS[0],
    api::health::PATHS[1],
    metrics_page::PATH,
];

/// What pages of all origins may read: it is for verifiers, wherever they run.
const PUBLIC_PATHS: [&str; 4] = [
    KEY_SET_PATH,
    SERVER_METADATA_PATH,
    OPENID_CONFIGURATION_PATH,
    AUTHZEN_CONFIGURATION_PATH,
];

/// The documents that stand at a well-known path before the path of the issuer too (RFC 8414 section 3.1).
const METADATA_PATHS: [&str; 3] = [
    SERVER_METADATA_PATH,
    OPENID_CONFIGURATION_PATH,
    AUTHZEN_CONFIGURATION_PATH,
];

/// What is answered even where no connection is left: health, and what verifiers fetch, which costs as little as a
/// refusal.
const ALWAYS_ANSWERED: [&str; 6] = [
    api::health::PATHS[0],
    api::health::PATHS[1],
    KEY_SET_PATH,
    SERVER_METADATA_PATH,
    OPENID_CONFIGURATION_PATH,
    AUTHZEN_CONFIGURATION_PATH,
];

/// The requests whose bodies may be larger or that may take longer than others.
fn route_limits(config: &HttpConfig) -> RouteLimits {
    let upload = RequestLimits {
        max_body_size: config.max_upload_size,
        has_large_body: false,
        body_timeout: UPLOAD_TIMEOUT,
        min_bytes_per_minute: config.min_bytes_per_minute,
        extra_time: UPLOAD_TIMEOUT,
    };
    // A reload waits for one that is already running.
    let reload_time = config.proof_timeout.saturating_add(POLICY_CHECK_TIMEOUT);
    let reload = RequestLimits {
        extra_time: reload_time.saturating_mul(2),
        ..RequestLimits::default()
    };
    // So short that many may be read at once.
    let question = RequestLimits {
        max_body_size: MAX_QUESTION_BODY_SIZE,
        ..RequestLimits::default()
    };
    let of_user = RequestLimits::with_large_body(MAX_USER_BODY_SIZE);
    let of_dataset = RequestLimits::with_large_body(MAX_DATASET_BODY_SIZE);
    RouteLimits::default()
        .with(files::is_file_upload, upload)
        .with(datasets::has_dataset_body, of_dataset)
        .with(
            drafts::has_draft_body,
            RequestLimits::with_large_body(MAX_DRAFT_BODY_SIZE),
        )
        .with(users::has_user_body, of_user)
        .with(explanations::is_explanation, of_user)
        .with(api_keys::is_key_creation, of_user)
        .with(policies::is_policy_reload, reload)
        .with(access::is_one_question, question)
        .with(
            access::is_batch,
            RequestLimits::with_large_body(MAX_EVALUATIONS_BODY_SIZE),
        )
}

/// All routes behind the request middleware.
#[must_use]
pub fn routes(services: &Services, config: HttpConfig) -> impl RequestHandler + use<> + 'static {
    let forward_auth = ForwardAuthApi::new(&services.forward_auth, &config.forward_auth_paths);
    let service = api_service(services, &config, forward_auth.clone());
    let document = service_document(&service, &config.issuer);
    let web_paths = web::page_paths();
    let web_paths = || web_paths.iter().map(String::as_str);
    let get_paths: Vec<&str> = docs::PAGE_PATHS
        .into_iter()
        .chain(web_paths())
        .chain([docs::DOCUMENT_PATH, metrics_page::PATH])
        .collect();
    let ignoring_queries: Vec<&str> = docs::PAGE_PATHS
        .into_iter()
        .chain(web_paths())
        .chain([mint::PATH, FORWARD_AUTH_PATH])
        .chain(access::PATHS)
        .chain([AUTHZEN_CONFIGURATION_PATH])
        .collect();
    let operations = OperationTable::from_document(&document, &get_paths)
        .with_ignored_queries(&ignoring_queries)
        .with_anonymous_bodies(&[mint_batch::PATH]);
    let operations = Arc::new(operations);
    let route = Route::new().nest_no_strip("/", service);
    let route = docs::add_routes(route, document.to_string());
    let route = web::add_routes(route);
    let route = metrics_page::add_routes(route, services.metrics.clone());
    let data_page = web::DataPage::default();
    let route = route.around(move |next, request| data_page.clone().answer_browser(next, request));
    let direct = DirectRoutes {
        mint: MintApi::new(&services.download_tokens),
        download: DownloadApi::new(&services.downloads),
        forward_auth,
        key_set: KeySetApi::new(&services.key_ring, config.key_schedule.key_set),
        evaluation: EvaluationApi {
            access_api: Arc::clone(&services.access_api),
        },
        router: route,
    };
    let cors = Cors::new(config.allowed_origins.clone(), &PUBLIC_PATHS, &operations);
    let middleware = RequestMiddleware {
        own_origins: OwnOrigins::new(&config.issuer, &config.allowed_origins),
        route_limits: route_limits(&config),
        trusted_proxies: config.trusted_proxies,
        request_timeout: config.request_timeout,
        always_answered: &ALWAYS_ANSWERED,
        probe_paths: &PROBE_PATHS,
        operations,
        body_gate: Some(Arc::clone(&services.body_gate)),
        refused_event: |path| match path {
            api::api_keys::PATH => AuditEvent::ApiKeyCreate,
            mint_batch::PATH => AuditEvent::Mint,
            path if path.starts_with(access::SEARCH_PREFIX) => AuditEvent::Search,
            path if access::is_access_path(path) => AuditEvent::Evaluate,
            _ => AuditEvent::Administer,
        },
        echoes_any_id: |path| access::is_access_path(path) || path == AUTHZEN_CONFIGURATION_PATH,
        clock: config.clock,
    };
    OuterEndpoint {
        issuer_path: IssuerPath::new(&config.issuer, &METADATA_PATHS),
        cors,
        inner: middleware.around(direct),
    }
}

/// The OpenAPI document, complete.
#[must_use]
pub fn openapi_document(services: &Services, config: &HttpConfig) -> Value {
    let forward_auth = ForwardAuthApi::new(&services.forward_auth, &config.forward_auth_paths);
    let service = api_service(services, config, forward_auth);
    service_document(&service, &config.issuer)
}

fn service_document(service: &OpenApiService<Apis, ()>, issuer: &str) -> Value {
    let document = serde_json::from_str(&service.spec()).unwrap_or_default();
    openapi::complete_document(document, issuer)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use poem::http::Method;

    use crate::config::limits::MAX_BODY_SIZE;
    use crate::config::{AllowedOrigins, PathPatterns};
    use crate::domain::clock::Clock;
    use crate::domain::key_set_lifetime::KeySetLifetime;
    use crate::http::server::operations::BodyKind;
    use crate::http::server::trusted_proxies::TrustedProxies;
    use crate::service::tokens::key_schedule::KeySchedule;

    use super::*;

    #[test]
    fn only_a_reload_may_wait_for_proofs() {
        let limits = route_limits(&HttpConfig {
            trusted_proxies: TrustedProxies::default(),
            forward_auth_paths: PathPatterns::default(),
            allowed_origins: AllowedOrigins::Any,
            issuer: "http://x".to_owned(),
            key_schedule: KeySchedule {
                publish_ahead: 1,
                rotation_age: None,
                token_lifetime: 1,
                key_set: KeySetLifetime {
                    max_age: Duration::ZERO,
                },
            },
            request_timeout: Duration::ZERO,
            max_upload_size: 1,
            min_bytes_per_minute: 1,
            proof_timeout: Duration::from_mins(10),
            clock: Clock::fixed_at(0),
        });
        let reload = limits.for_request(
            &Method::POST,
            "/admin/policies/reload",
            Some(BodyKind::Unused),
        );
        assert!(reload.extra_time > Duration::from_mins(20));
        assert_eq!(reload.max_body_size, MAX_BODY_SIZE);
        for (method, path) in [
            (Method::GET, "/admin/policies/reload"),
            (Method::GET, "/admin/policies"),
        ] {
            let others = limits.for_request(&method, path, Some(BodyKind::OfCallers));
            assert_eq!(others, RequestLimits::default(), "{method} {path}");
        }
    }
}
