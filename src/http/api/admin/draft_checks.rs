//! The API of what is known of a draft without a decision: its check, formatted files and its patch.

use std::sync::Arc;

use poem::http::{HeaderValue, header};
use poem::{IntoResponse, Response};
use poem_openapi::param::{Path, Query};
use poem_openapi::registry::{MetaMediaType, MetaResponses, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::{ApiResponse, Enum, Object, OpenApi};

use crate::domain::diagnostic::SourceDiagnostic;
use crate::domain::id::DraftId;
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::extract::json_body::JsonBody;
use crate::http::openapi::ApiTag;
use crate::http::reply::admin_statuses::{ReadStatuses, UpdateUnversionedStatuses};
use crate::http::reply::content_disposition::attachment;
use crate::http::reply::responses::{ErrorResponse, JsonOk, meta_response, text_header};
use crate::policy::Bundle;
use crate::policy::bundle::PolicyInfo;
use crate::policy::check::{NamedPlace, PolicyCounts};
use crate::service::administration::Administration;
use crate::service::administration::drafts::DraftCheck;

use super::policies::PolicyResponse;

/// The media type of a patch.
const PATCH_TYPE: &str = "text/x-diff; charset=utf-8";
/// Where the policy folder is in a repository, unless the request says it.
const DEFAULT_PREFIX: &str = "policies";

/// The API of checks of drafts.
pub struct DraftChecksApi {
    /// Performs administrative operations.
    pub administration: Arc<Administration>,
}

/// What is wrong with a draft, and what is in it.
#[derive(Object)]
#[oai(rename = "DraftCheckAnswer")]
pub struct DraftCheckResponse {
    /// The version of the draft.
    pub version: u64,
    /// Whether it has no errors.
    pub is_valid: bool,
    /// The revision that its policies would have; absent if they are not valid.
    #[oai(skip_serializing_if_is_none)]
    pub revision: Option<String>,
    /// The folder revision that its files have.
    pub folder_revision: String,
    /// How much of each there is.
    pub counts: PolicyCountsResponse,
    /// The errors, then the warnings, each by file and position.
    pub diagnostics: Vec<DraftDiagnostic>,
    /// Its policies, by id; none if they are not valid.
    pub policies: Vec<DraftPolicyResponse>,
    /// Its invariants, by file and line; none if one is not valid.
    pub invariants: Vec<DraftInvariantResponse>,
    /// Its cases, by file and line; none if one is not valid.
    pub cases: Vec<DraftCaseResponse>,
}

/// How many policies, templates, cases and invariants there are; what has errors is not counted.
#[derive(Object)]
#[oai(rename = "PolicyCounts")]
pub struct PolicyCountsResponse {
    /// The policies, linked ones too.
    #[oai(skip_serializing_if_is_none)]
    pub policies: Option<u64>,
    /// The templates.
    #[oai(skip_serializing_if_is_none)]
    pub templates: Option<u64>,
    /// The cases.
    #[oai(skip_serializing_if_is_none)]
    pub cases: Option<u64>,
    /// The invariants.
    #[oai(skip_serializing_if_is_none)]
    pub invariants: Option<u64>,
}

/// Whether a diagnostic keeps a draft from coming into force.
#[derive(Clone, Copy, Enum)]
#[oai(rename = "SeverityWord", rename_all = "lowercase")]
pub enum DiagnosticSeverity {
    /// It does.
    Error,
    /// It has no consequence by itself.
    Warning,
}

/// A diagnostic about a place of a draft. Lines and columns count from 1, columns in characters (Unicode scalar values);
/// the end is the first place that it is not about.
#[derive(Object)]
pub struct DraftDiagnostic {
    /// How bad it is.
    pub severity: DiagnosticSeverity,
    /// The file; `the policy folder` if it is about no single one.
    pub file: String,
    /// The line where it begins; absent if it is about the whole file.
    #[oai(skip_serializing_if_is_none)]
    pub line: Option<u64>,
    /// The column where it begins.
    #[oai(skip_serializing_if_is_none)]
    pub column: Option<u64>,
    /// The line where it ends.
    #[oai(skip_serializing_if_is_none)]
    pub end_line: Option<u64>,
    /// The column where it ends.
    #[oai(skip_serializing_if_is_none)]
    pub end_column: Option<u64>,
    /// The message.
    pub message: String,
    /// A suggestion how to fix it.
    #[oai(skip_serializing_if_is_none)]
    pub help: Option<String>,
}

/// A policy of a draft.
#[derive(Object)]
#[oai(rename = "DraftPolicy")]
pub struct DraftPolicyResponse {
    /// The policy.
    #[oai(flatten)]
    pub policy: PolicyResponse,
    /// The line that it or its link starts on.
    #[oai(skip_serializing_if_is_none)]
    pub line: Option<u64>,
}

/// An invariant of a draft.
#[derive(Object)]
#[oai(rename = "DraftInvariant")]
pub struct DraftInvariantResponse {
    /// Its `@id`.
    pub id: String,
    /// The file that contains it.
    pub file: String,
    /// The line it starts on.
    pub line: u64,
    /// Its `@reason`.
    #[oai(skip_serializing_if_is_none)]
    pub reason: Option<String>,
}

/// A case of a draft.
#[derive(Object)]
#[oai(rename = "DraftCase")]
pub struct DraftCaseResponse {
    /// Its name.
    pub name: String,
    /// The file that contains it.
    pub file: String,
    /// The line it starts on.
    pub line: u64,
}

/// The file to format.
#[derive(Object)]
#[oai(deny_unknown_fields, rename = "FormatBody")]
pub struct FormatRequest {
    /// Its name, which ends in `.cedar`.
    #[oai(validator(max_length = 1024))]
    pub file: String,
}

/// A formatted file; the draft is not changed.
#[derive(Object)]
#[oai(rename = "FormatAnswer")]
pub struct FormatResponse {
    /// Its text.
    pub text: String,
}

/// A patch that caches must not store.
pub struct PatchResponse(String);

impl IntoResponse for PatchResponse {
    fn into_response(self) -> Response {
        let mut response = Response::builder().content_type(PATCH_TYPE).body(self.0);
        let headers = response.headers_mut();
        let no_store = HeaderValue::from_static("no-store");
        headers.insert(header::CACHE_CONTROL, no_store);
        if let Ok(disposition) = HeaderValue::try_from(attachment("policies.patch")) {
            headers.insert(header::CONTENT_DISPOSITION, disposition);
        }
        response
    }
}

impl ApiResponse for PatchResponse {
    fn meta() -> MetaResponses {
        let content = vec![MetaMediaType {
            content_type: PATCH_TYPE,
            schema: MetaSchemaRef::Inline(Box::new(MetaSchema::new("string"))),
        }];
        let headers = vec![
            text_header("Cache-Control", "Always `no-store`."),
            text_header("Content-Disposition", "The name to save it under."),
        ];
        MetaResponses {
            responses: vec![meta_response(200, "The patch.", content, headers)],
        }
    }

    fn register(_: &mut Registry) {}
}

impl From<&PolicyCounts> for PolicyCountsResponse {
    fn from(counts: &PolicyCounts) -> Self {
        let count = |count: Option<usize>| count.map(|count| count as u64);
        Self {
            policies: count(counts.policies),
            templates: count(counts.templates),
            cases: count(counts.cases),
            invariants: count(counts.invariants),
        }
    }
}

impl From<&SourceDiagnostic> for DraftDiagnostic {
    fn from(diagnostic: &SourceDiagnostic) -> Self {
        let (line, column) = diagnostic.position().unzip();
        let (end_line, end_column) = diagnostic.end_position().unzip();
        let number = |number: Option<usize>| number.map(|number| number as u64);
        Self {
            severity: if diagnostic.is_warning() {
                DiagnosticSeverity::Warning
            } else {
                DiagnosticSeverity::Error
            },
            file: diagnostic.file().to_owned(),
            line: number(line),
            column: number(column),
            end_line: number(end_line),
            end_column: number(end_column),
            message: diagnostic.message().to_owned(),
            help: diagnostic.help().map(str::to_owned),
        }
    }
}

impl From<NamedPlace> for DraftInvariantResponse {
    fn from(invariant: NamedPlace) -> Self {
        Self {
            id: invariant.name,
            file: invariant.file,
            line: invariant.line as u64,
            reason: invariant.reason,
        }
    }
}

impl From<NamedPlace> for DraftCaseResponse {
    fn from(case: NamedPlace) -> Self {
        Self {
            name: case.name,
            file: case.file,
            line: case.line as u64,
        }
    }
}

impl From<DraftCheck> for DraftCheckResponse {
    fn from(checked: DraftCheck) -> Self {
        let DraftCheck {
            draft,
            bundle,
            check,
            is_valid,
        } = checked;
        let diagnostics = check.problems.iter().chain(&check.warnings);
        Self {
            version: draft.version,
            is_valid,
            revision: check.revision.as_ref().map(ToString::to_string),
            folder_revision: draft.folder_revision().to_owned(),
            counts: (&check.counts).into(),
            diagnostics: diagnostics.map(DraftDiagnostic::from).collect(),
            policies: bundle.as_deref().map(policies_of).unwrap_or_default(),
            invariants: check.invariants.into_iter().map(Into::into).collect(),
            cases: check.cases.into_iter().map(Into::into).collect(),
        }
    }
}

fn policies_of(bundle: &Bundle) -> Vec<DraftPolicyResponse> {
    let policy = |info: &PolicyInfo| DraftPolicyResponse {
        line: bundle.line_of(&info.id).map(|line| line as u64),
        policy: info.into(),
    };
    bundle.policies().values().map(policy).collect()
}

#[OpenApi(tag = "ApiTag::Administration")]
impl DraftChecksApi {
    /// Get check of a draft
    ///
    /// Returns what `cedargate policy check` says of the files of one of your drafts, and what is in them. Requires
    /// `view_policies`; names of users and roles are compared with the catalog for callers with `view_users` alone.
    #[oai(
        path = "/admin/policies/drafts/:draft_id/check",
        method = "get",
        operation_id = "check_draft"
    )]
    async fn check(
        &self,
        /// The draft id.
        draft_id: Path<DraftId>,
        credentials: HeaderCredentials,
    ) -> Result<JsonOk<DraftCheckResponse>, ErrorResponse<ReadStatuses>> {
        let checked = self
            .administration
            .check_draft(&credentials.0, draft_id.0)
            .await?;
        Ok(JsonOk(checked.into()))
    }

    /// Evaluate the layout of a file of a draft
    ///
    /// Returns the text of a policy file of one of your drafts as `cedargate policy format` writes it; the draft is not
    /// changed. Requires `view_policies`.
    #[oai(
        path = "/admin/policies/drafts/:draft_id/format",
        method = "post",
        operation_id = "format_draft_file"
    )]
    async fn format(
        &self,
        /// The draft id.
        draft_id: Path<DraftId>,
        body: JsonBody<FormatRequest>,
        credentials: HeaderCredentials,
    ) -> Result<JsonOk<FormatResponse>, ErrorResponse<UpdateUnversionedStatuses>> {
        let text = self
            .administration
            .format_draft_file(&credentials.0, draft_id.0, &body.0.file)
            .await?;
        Ok(JsonOk(FormatResponse { text }))
    }

    /// Get patch of a draft
    ///
    /// Returns what one of your drafts changes of the policies that it started from, for `git apply`. Requires
    /// `view_policies`.
    #[oai(
        path = "/admin/policies/drafts/:draft_id/patch",
        method = "get",
        operation_id = "show_draft_patch"
    )]
    async fn patch(
        &self,
        /// The draft id.
        draft_id: Path<DraftId>,
        /// Where the policy folder is in the repository; empty if it is its root. If omitted, `policies`.
        #[oai(validator(max_length = 1024))]
        prefix: Query<Option<String>>,
        credentials: HeaderCredentials,
    ) -> Result<PatchResponse, ErrorResponse<ReadStatuses>> {
        let prefix = prefix.0.as_deref().unwrap_or(DEFAULT_PREFIX);
        let patch = self
            .administration
            .get_draft_patch(&credentials.0, draft_id.0, prefix)
            .await?;
        Ok(PatchResponse(patch))
    }
}
