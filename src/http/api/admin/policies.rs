//! The policies in force: `GET /admin/policies`, `POST /admin/policies/reload`, and the text of each file.
//!
//! This module refuses to know how policies come into force.

use std::collections::HashMap;
use std::sync::Arc;

use poem::http::Method;
use poem_openapi::param::Path;
use poem_openapi::{Enum, Object, OpenApi};

use crate::http::extract::credentials::HeaderCredentials;
use crate::http::openapi::Tags;
use crate::http::reply::responses;
use crate::http::reply::responses::{ErrorStatuses, JsonOk};
use crate::http::reply::timestamp::Timestamp;
use crate::policy::Bundle;
use crate::policy::bundle::PolicyInfo;
use crate::policy::diagnostic::BundleDiagnostic;
use crate::policy::prove::ProvedInvariant;
use crate::service::administration::Administration;
use crate::service::policies::reload::{MAX_REASON_LINES, RejectedBundle, RejectionReason};

/// The operations of the policies.
pub struct PoliciesApi {
    /// What shows them.
    pub administration: Arc<Administration>,
}

/// Whether a request reloads the policies, which waits for their proofs.
pub fn is_policy_reload(method: &Method, path: &str) -> bool {
    *method == Method::POST && path == "/admin/policies/reload"
}

/// The policies of this server.
#[derive(Object)]
#[oai(rename = "PoliciesAnswer")]
pub struct PoliciesResponse {
    /// What decides now.
    pub in_force: BundleResponse,
    /// The edit that was refused, while the policy folder holds it.
    #[oai(skip_serializing_if_is_none)]
    pub refused: Option<RejectedBundleResponse>,
    /// Why the invariants of what is in force were not proved, if they should have been.
    #[oai(skip_serializing_if_is_none)]
    pub unproved: Option<String>,
}

/// An edit of the policy folder that did not come into force.
#[derive(Object)]
#[oai(rename = "RefusedEditAnswer")]
pub struct RejectedBundleResponse {
    /// The revision that it would have had; absent when the folder cannot be read.
    #[oai(skip_serializing_if_is_none)]
    pub revision: Option<String>,
    /// When it was refused.
    pub refused_at: Timestamp,
    /// What kind of reason it is.
    pub reason: String,
    /// Each reason, in one line; the first hundred, and how many more there are.
    pub details: Vec<String>,
    /// What is wrong in which file, if it is not valid; the first hundred.
    pub diagnostics: Vec<PolicyDiagnostic>,
    /// The invariants that are violated or unproven.
    pub invariants: Vec<BrokenInvariant>,
}

/// An invariant that an edit breaks, or that could not be proved of it.
#[derive(Object)]
pub struct BrokenInvariant {
    /// Its `@id`.
    pub id: String,
    /// The file it stands in.
    pub file: String,
    /// The line it begins on.
    pub line: u64,
    /// Its `@reason`.
    pub reason: String,
    /// A request and entities at which it does not hold, to be read.
    #[oai(skip_serializing_if_is_none)]
    pub counterexample: Option<String>,
}

/// What a reload came to.
#[derive(Object)]
#[oai(rename = "ReloadAnswer")]
pub struct ReloadResponse {
    /// The revision in force.
    pub revision: String,
    /// Whether another one was in force before.
    pub is_changed: bool,
    /// Whether the policies come from a folder; the bundle inside the program never changes.
    pub has_folder: bool,
}

impl From<&RejectedBundle> for RejectedBundleResponse {
    fn from(edit: &RejectedBundle) -> Self {
        let diagnostics = match &edit.reason {
            RejectionReason::Invalid(error) => error.problems(),
            _ => &[],
        };
        let invariant = |invariant: &ProvedInvariant| BrokenInvariant {
            id: invariant.id.clone(),
            file: invariant.file.clone(),
            line: invariant.line as u64,
            reason: invariant.reason.clone(),
            counterexample: invariant.counterexamples.first().map(|one| one.render("")),
        };
        Self {
            revision: edit.revision.as_ref().map(ToString::to_string),
            refused_at: Timestamp(edit.unix_millis.div_euclid(1000)),
            reason: edit.reason.kind().to_owned(),
            details: edit.reason.lines(),
            diagnostics: diagnostics
                .iter()
                .take(MAX_REASON_LINES)
                .map(PolicyDiagnostic::from)
                .collect(),
            invariants: edit
                .reason
                .unproved_invariants()
                .into_iter()
                .take(MAX_REASON_LINES)
                .map(invariant)
                .collect(),
        }
    }
}

/// One valid bundle of policies.
#[derive(Object)]
#[oai(rename = "BundleAnswer")]
pub struct BundleResponse {
    /// The SHA-256 over the names and texts of its files; audit records name it.
    pub revision: String,
    /// What validation warns of.
    pub warnings: Vec<PolicyDiagnostic>,
    /// Its files: the schema and the policy files, by name.
    pub files: Vec<PolicyFileSummary>,
    /// Its policies, by id.
    pub policies: Vec<PolicyResponse>,
}

/// Something about a policy file that its author should know.
#[derive(Object)]
pub struct PolicyDiagnostic {
    /// The file.
    pub file: String,
    /// The line, counted from 1.
    #[oai(skip_serializing_if_is_none)]
    pub line: Option<u64>,
    /// The column in characters, counted from 1.
    #[oai(skip_serializing_if_is_none)]
    pub column: Option<u64>,
    /// What there is to say.
    pub message: String,
    /// What would help.
    #[oai(skip_serializing_if_is_none)]
    pub help: Option<String>,
}

/// A file of the bundle.
#[derive(Object)]
pub struct PolicyFileSummary {
    /// Its name, relative to the policy folder.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
    /// How many policies stand in it.
    pub policies: u32,
}

/// A file of the bundle, whole.
#[derive(Object)]
#[oai(rename = "PolicyFile")]
pub struct PolicyFileResponse {
    /// Its name, relative to the policy folder.
    pub name: String,
    /// The revision of the bundle that it is part of.
    pub revision: String,
    /// Its text.
    pub text: String,
}

/// One policy.
#[derive(Object)]
#[oai(rename = "PolicyAnswer")]
pub struct PolicyResponse {
    /// Its `@id`; decisions and audit records name it.
    pub id: String,
    /// Whether it permits or forbids.
    pub effect: EffectWord,
    /// Its `@reason`.
    #[oai(skip_serializing_if_is_none)]
    pub reason: Option<String>,
    /// The file it stands in.
    pub file: String,
    /// The template that it is linked to, if it is one with its slots filled.
    #[oai(skip_serializing_if_is_none)]
    pub template: Option<String>,
    /// Its `@max_ttl`: how many seconds a token that it permits may live.
    #[oai(skip_serializing_if_is_none)]
    pub max_ttl: Option<u32>,
}

/// What a policy does.
#[derive(Clone, Copy, Enum)]
#[oai(rename_all = "lowercase")]
pub enum EffectWord {
    /// It permits.
    Permit,
    /// It forbids, whatever others permit.
    Forbid,
}

impl EffectWord {
    pub(crate) fn of(is_permit: bool) -> Self {
        if is_permit {
            Self::Permit
        } else {
            Self::Forbid
        }
    }
}

impl From<&Bundle> for BundleResponse {
    fn from(bundle: &Bundle) -> Self {
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
            warnings: bundle
                .warnings()
                .iter()
                .map(PolicyDiagnostic::from)
                .collect(),
            files: bundle.files().map(file).collect(),
            policies: bundle
                .policies()
                .values()
                .map(PolicyResponse::from)
                .collect(),
        }
    }
}

impl From<&BundleDiagnostic> for PolicyDiagnostic {
    fn from(problem: &BundleDiagnostic) -> Self {
        let (line, column) = problem.position().unzip();
        Self {
            file: problem.file().to_owned(),
            line: line.map(|line| line as u64),
            column: column.map(|column| column as u64),
            message: problem.message().to_owned(),
            help: problem.help().map(str::to_owned),
        }
    }
}

impl From<&PolicyInfo> for PolicyResponse {
    fn from(policy: &PolicyInfo) -> Self {
        Self {
            id: policy.id.clone(),
            effect: EffectWord::of(policy.is_permit),
            reason: policy.reason.clone(),
            file: policy.file.clone(),
            template: policy.template.clone(),
            max_ttl: policy.max_ttl,
        }
    }
}

const DENIED: (u16, &str) = (403, "The policies do not permit you to see them.");

/// The statuses with which the policies may be refused.
pub struct PoliciesStatuses;

impl ErrorStatuses for PoliciesStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[DENIED];
}

/// The statuses with which a reload may be refused.
pub struct ReloadStatuses;

impl ErrorStatuses for ReloadStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 409, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[
        (403, "The policies do not permit you to reload them."),
        (
            409,
            "The edit is refused: the detail says why, and `GET /admin/policies` tells it in full. The policies before it stay in force.",
        ),
    ];
}

/// The statuses with which a file may be refused.
pub struct PolicyFileStatuses;

impl ErrorStatuses for PolicyFileStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 404, 422, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[
        DENIED,
        (404, "There is no such file in the bundle in force."),
    ];
}

#[OpenApi(tag = "Tags::Administration")]
impl PoliciesApi {
    /// Show the policies in force
    ///
    /// Their revision, what validation warns of, their files, and each policy.
    #[oai(
        path = "/admin/policies",
        method = "get",
        operation_id = "show_policies"
    )]
    async fn show(
        &self,
        visitor: HeaderCredentials,
    ) -> Result<JsonOk<PoliciesResponse>, responses::ErrorResponse<PoliciesStatuses>> {
        let (bundle, standing) = self.administration.get_policies(&visitor.0).await?;
        Ok(JsonOk(PoliciesResponse {
            in_force: BundleResponse::from(&*bundle),
            refused: standing
                .rejected
                .as_deref()
                .map(RejectedBundleResponse::from),
            unproved: standing.unproved,
        }))
    }

    /// Load the policies anew
    ///
    /// The server follows its policy folder by itself; this judges the folder now and answers with the
    /// result. An edit that is refused leaves the policies before it in force.
    #[oai(
        path = "/admin/policies/reload",
        method = "post",
        operation_id = "reload_policies"
    )]
    async fn reload(
        &self,
        visitor: HeaderCredentials,
    ) -> Result<JsonOk<ReloadResponse>, responses::ErrorResponse<ReloadStatuses>> {
        let reloaded = self.administration.reload_policies(&visitor.0).await?;
        Ok(JsonOk(ReloadResponse {
            revision: reloaded.revision.to_string(),
            is_changed: reloaded.is_changed,
            has_folder: reloaded.has_folder,
        }))
    }

    /// Show the text of a policy file
    #[oai(
        path = "/admin/policies/files/:name",
        method = "get",
        operation_id = "show_policy_file"
    )]
    async fn show_file(
        &self,
        /// The file's name; a `/` in it is written `%2F`.
        name: Path<String>,
        visitor: HeaderCredentials,
    ) -> Result<JsonOk<PolicyFileResponse>, responses::ErrorResponse<PolicyFileStatuses>> {
        let (bundle, text) = self
            .administration
            .get_policy_file(&visitor.0, &name.0)
            .await?;
        Ok(JsonOk(PolicyFileResponse {
            name: name.0,
            revision: bundle.revision().to_string(),
            text: text.to_string(),
        }))
    }
}
