//! The explanation of a decision in force beside that of a draft.

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::{Object, OpenApi};

use crate::domain::id::DraftId;
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::extract::json_body::JsonBody;
use crate::http::openapi::ApiTag;
use crate::http::reply::admin_statuses::UpdateUnversionedStatuses;
use crate::http::reply::responses::{ErrorResponse, JsonOk};
use crate::service::administration::Administration;

use super::explanation_response::ExplanationResponse;
use super::explanations::ExplanationRequest;

/// The API of explanations under drafts.
pub struct DraftExplanationsApi {
    /// Performs administrative operations.
    pub administration: Arc<Administration>,
}

/// A decision, in force and under a draft.
#[derive(Object)]
#[oai(rename = "ComparedExplanation")]
pub struct ComparedExplanationResponse {
    /// The version of the draft.
    pub version: u64,
    /// What the policies in force decide.
    pub in_force: ExplanationResponse,
    /// What the draft decides.
    pub draft: ExplanationResponse,
}

#[OpenApi(tag = "ApiTag::Administration")]
impl DraftExplanationsApi {
    /// Explain decision under draft
    ///
    /// Returns what the policies in force decide and what those of a draft decide, each as
    /// `POST /admin/policies/explain` does. Requires `view_policies`, `view_users` on the user, and `administer` on the
    /// dataset, whatever the draft says. A draft that is not valid is a conflict.
    #[oai(
        path = "/admin/policies/drafts/:draft_id/explain",
        method = "post",
        operation_id = "explain_draft_decision"
    )]
    async fn explain(
        &self,
        /// The draft id.
        draft_id: Path<DraftId>,
        body: JsonBody<ExplanationRequest>,
        credentials: HeaderCredentials,
    ) -> Result<JsonOk<ComparedExplanationResponse>, ErrorResponse<UpdateUnversionedStatuses>> {
        let (action, dataset_id) = (body.0.action, body.0.dataset_id);
        let query = body.0.to_query()?;
        let compared = self
            .administration
            .explain_draft_decision(&credentials.0, draft_id.0, &query)
            .await?;
        let response = |report| ExplanationResponse::new(action, dataset_id, report);
        Ok(JsonOk(ComparedExplanationResponse {
            version: compared.version,
            in_force: response(compared.in_force),
            draft: response(compared.draft),
        }))
    }
}
