//! The explanation of a decision in force beside that of a draft.

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};

use crate::domain::id::{DatasetId, DraftId};
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::extract::json_body::JsonBody;
use crate::http::openapi::ApiTag;
use crate::http::reply::admin_statuses::UpdateUnversionedStatuses;
use crate::http::reply::responses::{ErrorResponse, JsonOk};
use crate::http::reply::timestamp::Timestamp;
use crate::service::administration::Administration;
use crate::service::administration::explanations::ExplanationQuery;
use crate::service::error::ServiceError;

use super::assumed_authentication::AssumedAuthentication;
use super::explanation_response::{DatasetAction, ExplanationResponse};
use super::explanations::ExplanationRequest;

/// The API of explanations under drafts.
pub struct DraftExplanationsApi {
    /// Performs administrative operations.
    pub administration: Arc<Administration>,
}

/// The decision to explain in force and under a draft.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
#[oai(rename = "DraftQuestion")]
pub struct DraftExplanationRequest {
    /// The principal: `anonymous`, a user name, a UUID, or `User::"<UUID>"`.
    pub principal: String,
    /// The action.
    pub action: DatasetAction,
    /// The dataset id, in any text form of RFC 9562.
    pub dataset_id: DatasetId,
    /// The client address, or `unknown`. If omitted, yours.
    #[oai(skip_serializing_if_is_none)]
    pub address: Option<String>,
    /// The time, in whole seconds. If omitted, now.
    #[oai(skip_serializing_if_is_none)]
    pub time: Option<Timestamp>,
    /// How the principal authenticates. If omitted, as it usually does.
    #[oai(skip_serializing_if_is_none)]
    pub authentication: Option<AssumedAuthentication>,
}

impl Example for DraftExplanationRequest {
    fn example() -> Self {
        Self {
            principal: "mo".to_owned(),
            action: DatasetAction::Read,
            dataset_id: DatasetId(uuid::uuid!("2489e9ad-2ee2-8e00-8ec9-32d5f69181c0")),
            address: None,
            time: None,
            authentication: None,
        }
    }
}

impl DraftExplanationRequest {
    pub(super) fn into_query(self) -> Result<ExplanationQuery, ServiceError> {
        let question = ExplanationRequest {
            principal: self.principal,
            action: self.action,
            dataset_id: self.dataset_id,
            address: self.address,
            time: self.time,
        };
        Ok(ExplanationQuery {
            authentication: self.authentication.map(Into::into),
            ..question.to_query()?
        })
    }
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
        body: JsonBody<DraftExplanationRequest>,
        credentials: HeaderCredentials,
    ) -> Result<JsonOk<ComparedExplanationResponse>, ErrorResponse<UpdateUnversionedStatuses>> {
        let (action, dataset_id) = (body.0.action, body.0.dataset_id);
        let query = body.0.into_query()?;
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
