//! The policies admin API: `GET /admin/policies`, `POST /admin/policies/reload`, and the text of
//! each file.

use std::collections::HashMap;
use std::sync::Arc;

use poem::http::Method;
use poem_openapi::param::Path;
use poem_openapi::{Enum, Object, OpenApi};

use crate::domain::diagnostic::SourceDiagnostic;
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::openapi::ApiTag;
use crate::http::reply::admin_statuses::{ReadAllStatuses, ReadStatuses};
use crate::http::reply::responses::{ErrorResponse, ErrorStatuses, JsonOk};
use crate::http::reply::timestamp::Timestamp;
use crate::policy::Bundle;
use crate::policy::bundle::PolicyInfo;
use crate::service::administration::{Administration, PoliciesView};

use super::policy_diagnostic::PolicyDiagnostic;
use super::rejected_bundle::RejectedBundleResponse;
use super::revisions::OriginWord;

/// The policies admin API.
pub struct PoliciesApi {
    /// Performs administrative operations.
    pub administration: Arc<Administration>,
}

/// Whether a request reloads the policies, and so waits for their proofs.
pub fn is_policy_reload(method: &Method, path: &str) -> bool {
    *method == Method::POST && path == "/admin/policies/reload"
}

/// The policies of this server.
#[derive(Object)]
#[oai(rename = "PoliciesAnswer")]
pub struct PoliciesResponse {
    /// The bundle in force.
    pub in_force: BundleResponse,
    /// The refused edit, while the policy folder contains it.
    #[oai(skip_serializing_if_is_none)]
    pub refused: Option<RejectedBundleResponse>,
    /// Why the invariants of the bundle in force are not proved, if they should be.
    #[oai(skip_serializing_if_is_none)]
    pub unproved: Option<String>,
    /// Since when the policies in force are, as far as it is known.
    #[oai(skip_serializing_if_is_none)]
    pub in_force_since: Option<Timestamp>,
    /// How they came into force.
    #[oai(skip_serializing_if_is_none)]
    pub origin: Option<OriginWord>,
    /// The name of the user who published them, if you may see the user.
    #[oai(skip_serializing_if_is_none)]
    pub in_force_by: Option<String>,
    /// Whether you can publish drafts to the policy folder.
    pub can_publish: bool,
    /// Why you cannot publish drafts.
    #[oai(skip_serializing_if_is_none)]
    pub publish_refusal: Option<String>,
}

/// The result of a reload.
#[derive(Object)]
#[oai(rename = "ReloadAnswer")]
pub struct ReloadResponse {
    /// The revision in force.
    pub revision: String,
    /// Whether it replaced another revision.
    pub is_changed: bool,
    /// Whether the policies come from a folder; the built-in bundle never changes.
    pub has_folder: bool,
}

/// A valid policy bundle.
#[derive(Object)]
#[oai(rename = "BundleAnswer")]
pub struct BundleResponse {
    /// The SHA-256 over the names and texts of its files, as in audit records.
    pub revision: String,
    /// The SHA-256 over the same with its cases and invariants.
    pub folder_revision: String,
    /// What in it can never match, and what it names that the catalog does not have.
    pub warnings: Vec<PolicyDiagnostic>,
    /// Its files, the schema and the policy files, by name.
    pub files: Vec<PolicyFileSummary>,
    /// Its policies, by id.
    pub policies: Vec<PolicyResponse>,
}

/// A file of a bundle.
#[derive(Object)]
pub struct PolicyFileSummary {
    /// Its name, relative to the policy folder.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// The number of policies in it.
    pub policies: u32,
}

/// The text of a policy file.
#[derive(Object)]
#[oai(rename = "PolicyFile")]
pub struct PolicyFileResponse {
    /// Its name, relative to the policy folder.
    pub name: String,
    /// The revision of the bundle that contains it.
    pub revision: String,
    /// Its text.
    pub text: String,
}

/// A policy.
#[derive(Object)]
#[oai(rename = "PolicyAnswer")]
pub struct PolicyResponse {
    /// Its `@id`, as in decisions and audit records.
    pub id: String,
    /// Whether it permits or forbids.
    pub effect: PolicyEffect,
    /// Its `@reason`.
    #[oai(skip_serializing_if_is_none)]
    pub reason: Option<String>,
    /// The file that contains it.
    pub file: String,
    /// The template that it is linked to, if it is a template-linked policy.
    #[oai(skip_serializing_if_is_none)]
    pub template: Option<String>,
    /// Its `@max_ttl`: the maximum lifetime in seconds of a token that it permits.
    #[oai(skip_serializing_if_is_none)]
    pub max_ttl: Option<u32>,
}

/// The effect of a policy.
#[derive(Clone, Copy, Enum)]
#[oai(rename = "EffectWord", rename_all = "lowercase")]
pub enum PolicyEffect {
    /// Permits.
    Permit,
    /// Forbids, whatever other policies permit.
    Forbid,
}

impl PolicyEffect {
    pub(crate) fn new(is_permit: bool) -> Self {
        if is_permit {
            Self::Permit
        } else {
            Self::Forbid
        }
    }
}

impl BundleResponse {
    fn new(bundle: &Bundle, folder_revision: String, warnings: &[SourceDiagnostic]) -> Self {
        let mut counts: HashMap<&str, u32> = HashMap::new();
        for policy in bundle.policies().values() {
            *counts.entry(&policy.file).or_default() += 1;
        }
        let file = |name: &str| PolicyFileSummary {
            name: name.to_owned(),
            size: bundle.file(name).map_or(0, |text| text.len() as u64),
            policies: counts.get(name).copied().unwrap_or_default(),
        };
        Self {
            revision: bundle.revision().to_string(),
            folder_revision,
            warnings: warnings.iter().map(PolicyDiagnostic::from).collect(),
            files: bundle.files().map(file).collect(),
            policies: bundle
                .policies()
                .values()
                .map(PolicyResponse::from)
                .collect(),
        }
    }
}

impl From<&PolicyInfo> for PolicyResponse {
    fn from(policy: &PolicyInfo) -> Self {
        Self {
            id: policy.id.clone(),
            effect: PolicyEffect::new(policy.is_permit),
            reason: policy.reason.clone(),
            file: policy.file.clone(),
            template: policy.template.clone(),
            max_ttl: policy.max_ttl,
        }
    }
}

/// The error statuses of reloading the policies.
pub struct ReloadStatuses;

impl ErrorStatuses for ReloadStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 409, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[
        (403, "The policies do not permit you to reload them."),
        (
            409,
            "The edit was refused; `detail` says why (with `view_policies`, which files and lines), and `GET /admin/policies` lists all reasons. The previous policies stay in force.",
        ),
    ];
}

#[OpenApi(tag = "ApiTag::Administration")]
impl PoliciesApi {
    /// Get policies
    ///
    /// Returns the policies in force with their revision, validation warnings and files, and the
    /// refused edit, if any. Requires `view_policies`.
    #[oai(
        path = "/admin/policies",
        method = "get",
        operation_id = "show_policies"
    )]
    async fn get(
        &self,
        credentials: HeaderCredentials,
    ) -> Result<JsonOk<PoliciesResponse>, ErrorResponse<ReadAllStatuses>> {
        let view = self.administration.get_policies(&credentials.0).await?;
        let PoliciesView {
            bundle,
            warnings,
            status,
            came_into_force,
            publish_refusal,
        } = view;
        let in_force = came_into_force.as_ref();
        let since = in_force.map(|in_force| in_force.revision.unix_millis.div_euclid(1000));
        Ok(JsonOk(PoliciesResponse {
            in_force: BundleResponse::new(&bundle, status.folder_revision, &warnings),
            refused: status.rejected.as_deref().map(RejectedBundleResponse::from),
            unproved: status.unproved,
            in_force_since: since.map(Timestamp),
            origin: in_force.map(|in_force| in_force.revision.origin.into()),
            in_force_by: in_force
                .and_then(|in_force| in_force.username.as_ref())
                .map(ToString::to_string),
            can_publish: publish_refusal.is_none(),
            publish_refusal,
        }))
    }

    /// Reload policies
    ///
    /// Checks the policy folder now and returns the result; the server also follows the folder by
    /// itself. A refused edit leaves the previous policies in force. Requires `reload_policies`.
    #[oai(
        path = "/admin/policies/reload",
        method = "post",
        operation_id = "reload_policies"
    )]
    async fn reload(
        &self,
        credentials: HeaderCredentials,
    ) -> Result<JsonOk<ReloadResponse>, ErrorResponse<ReloadStatuses>> {
        let reloaded = self.administration.reload_policies(&credentials.0).await?;
        Ok(JsonOk(ReloadResponse {
            revision: reloaded.revision.to_string(),
            is_changed: reloaded.is_changed,
            has_folder: reloaded.has_folder,
        }))
    }

    /// Get policy file
    ///
    /// Returns the text of a file of the bundle in force. Requires `view_policies`.
    #[oai(
        path = "/admin/policies/files/:name",
        method = "get",
        operation_id = "show_policy_file"
    )]
    async fn get_file(
        &self,
        /// The file name; write `/` as `%2F`.
        name: Path<String>,
        credentials: HeaderCredentials,
    ) -> Result<JsonOk<PolicyFileResponse>, ErrorResponse<ReadStatuses>> {
        let (bundle, text) = self
            .administration
            .get_policy_file(&credentials.0, &name.0)
            .await?;
        Ok(JsonOk(PolicyFileResponse {
            name: name.0,
            revision: bundle.revision().to_string(),
            text: text.to_string(),
        }))
    }
}
