//! The APIs that the OpenAPI document describes, over their services.

use std::sync::Arc;

use poem_openapi::OpenApiService;

use crate::service::administration::Administration;
use crate::service::tokens::key_schedule::KeySchedule;

use super::api::access::evaluation::EvaluationApi;
use super::api::access::metadata::AuthzenMetadataApi;
use super::api::access::search::SearchApi;
use super::api::admin::access_lists::AccessListsApi;
use super::api::admin::audit::AuditApi;
use super::api::admin::credentials::AdminCredentialsApi;
use super::api::admin::datasets::AdminDatasetsApi;
use super::api::admin::draft_cases::DraftCasesApi;
use super::api::admin::draft_checks::DraftChecksApi;
use super::api::admin::draft_effect::DraftEffectApi;
use super::api::admin::draft_explanations::DraftExplanationsApi;
use super::api::admin::draft_matrix::DraftMatrixApi;
use super::api::admin::draft_names::DraftNamesApi;
use super::api::admin::draft_proofs::DraftProofsApi;
use super::api::admin::drafts::DraftsApi;
use super::api::admin::explanations::ExplanationApi;
use super::api::admin::files::AdminFilesApi;
use super::api::admin::identity_providers::IdentityProvidersApi;
use super::api::admin::policies::PoliciesApi;
use super::api::admin::publishing::PublishingApi;
use super::api::admin::revisions::RevisionsApi;
use super::api::admin::roles::AdminRolesApi;
use super::api::admin::shares::AdminSharesApi;
use super::api::admin::signing_keys::SigningKeysApi;
use super::api::admin::usage::UsageApi;
use super::api::admin::users::AdminUsersApi;
use super::api::api_keys::ApiKeysApi;
use super::api::catalog::CatalogApi;
use super::api::download::DownloadApi;
use super::api::forward_auth::ForwardAuthApi;
use super::api::health::HealthApi;
use super::api::key_set::KeySetApi;
use super::api::mint::MintApi;
use super::api::mint_batch::MintBatchApi;
use super::api::server_metadata::ServerMetadataApi;
use super::api::sessions::SessionApi;
use super::openapi;
use super::services::{HttpConfig, Services};

/// The APIs for callers, verifiers and operators, those for administrators, and those for authors of policies.
pub(super) type Apis = (CallerApis, AdminApis, DraftApis);
type CallerApis = (
    MintApi,
    MintBatchApi,
    SessionApi,
    ApiKeysApi,
    DownloadApi,
    ForwardAuthApi,
    CatalogApi,
    KeySetApi,
    ServerMetadataApi,
    HealthApi,
    EvaluationApi,
    SearchApi,
    AuthzenMetadataApi,
);
type AdminApis = (
    AdminUsersApi,
    AdminRolesApi,
    AdminCredentialsApi,
    AdminDatasetsApi,
    AdminFilesApi,
    AdminSharesApi,
    AccessListsApi,
    AuditApi,
    PoliciesApi,
    RevisionsApi,
    UsageApi,
    ExplanationApi,
    SigningKeysApi,
    IdentityProvidersApi,
);
type DraftApis = (
    DraftsApi,
    DraftChecksApi,
    DraftNamesApi,
    DraftCasesApi,
    DraftExplanationsApi,
    DraftMatrixApi,
    DraftEffectApi,
    DraftProofsApi,
    PublishingApi,
);

fn draft_apis(administration: &Arc<Administration>) -> DraftApis {
    let administration = || Arc::clone(administration);
    (
        DraftsApi {
            administration: administration(),
        },
        DraftChecksApi {
            administration: administration(),
        },
        DraftNamesApi {
            administration: administration(),
        },
        DraftCasesApi {
            administration: administration(),
        },
        DraftExplanationsApi {
            administration: administration(),
        },
        DraftMatrixApi {
            administration: administration(),
        },
        DraftEffectApi {
            administration: administration(),
        },
        DraftProofsApi {
            administration: administration(),
        },
        PublishingApi {
            administration: administration(),
        },
    )
}

fn admin_apis(administration: &Arc<Administration>, schedule: KeySchedule) -> AdminApis {
    let administration = || Arc::clone(administration);
    (
        AdminUsersApi {
            administration: administration(),
        },
        AdminRolesApi {
            administration: administration(),
        },
        AdminCredentialsApi {
            administration: administration(),
        },
        AdminDatasetsApi {
            administration: administration(),
        },
        AdminFilesApi {
            administration: administration(),
        },
        AdminSharesApi {
            administration: administration(),
        },
        AccessListsApi {
            administration: administration(),
        },
        AuditApi {
            administration: administration(),
        },
        PoliciesApi {
            administration: administration(),
        },
        RevisionsApi {
            administration: administration(),
        },
        UsageApi {
            administration: administration(),
        },
        ExplanationApi {
            administration: administration(),
        },
        SigningKeysApi {
            administration: administration(),
            schedule,
        },
        IdentityProvidersApi {
            administration: administration(),
        },
    )
}

/// The APIs over their services.
pub(super) fn api_service(
    services: &Services,
    config: &HttpConfig,
    forward_auth: ForwardAuthApi,
) -> OpenApiService<Apis, ()> {
    let caller_apis = (
        MintApi::new(&services.download_tokens),
        MintBatchApi {
            tokens: Arc::clone(&services.download_tokens),
        },
        SessionApi {
            sessions: Arc::clone(&services.sessions),
        },
        ApiKeysApi {
            api_keys: Arc::clone(&services.api_keys),
        },
        DownloadApi::new(&services.downloads),
        forward_auth,
        CatalogApi {
            view: Arc::clone(&services.catalog_view),
        },
        KeySetApi::new(&services.key_ring, config.key_schedule.key_set),
        ServerMetadataApi::new(&config.issuer, config.key_schedule.key_set),
        HealthApi {
            health: Arc::clone(&services.health),
        },
        EvaluationApi {
            access_api: Arc::clone(&services.access_api),
        },
        SearchApi {
            access_api: Arc::clone(&services.access_api),
        },
        AuthzenMetadataApi::new(&config.issuer, config.key_schedule.key_set),
    );
    let apis = (
        caller_apis,
        admin_apis(&services.administration, config.key_schedule),
        draft_apis(&services.administration),
    );
    OpenApiService::new(apis, "Cedargate", env!("CARGO_PKG_VERSION"))
        .description(openapi::DESCRIPTION)
}
