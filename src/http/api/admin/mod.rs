//! The administrative APIs: one file an API.

pub mod access_lists;
pub mod audit;
pub mod audit_record;
pub mod credentials;
pub mod dataset_file_body;
pub mod datasets;
pub mod explanation_response;
pub mod explanations;
pub mod files;
pub mod identity_providers;
pub mod policies;
pub mod roles;
pub mod shares;
pub mod signing_keys;
pub mod user_request;
pub mod users;

use std::sync::Arc;

use crate::service::administration::Administration;
use crate::service::tokens::key_schedule::KeySchedule;

use access_lists::AccessListsApi;
use audit::AuditApi;
use credentials::AdminCredentialsApi;
use datasets::AdminDatasetsApi;
use explanations::ExplanationApi;
use files::AdminFilesApi;
use identity_providers::IdentityProvidersApi;
use policies::PoliciesApi;
use roles::AdminRolesApi;
use shares::AdminSharesApi;
use signing_keys::SigningKeysApi;
use users::AdminUsersApi;

/// All administrative APIs.
pub type AdminApis = (
    AdminUsersApi,
    AdminRolesApi,
    AdminCredentialsApi,
    AdminDatasetsApi,
    AdminFilesApi,
    AdminSharesApi,
    AccessListsApi,
    AuditApi,
    PoliciesApi,
    ExplanationApi,
    SigningKeysApi,
    IdentityProvidersApi,
);

/// Creates the administrative APIs.
pub fn admin_apis(administration: &Arc<Administration>, schedule: KeySchedule) -> AdminApis {
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
