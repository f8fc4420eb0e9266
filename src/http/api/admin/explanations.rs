//! The explanation API: `POST /admin/policies/explain`, what the policies in force decide, and why.

use std::sync::Arc;

use poem::http::Method;
use poem_openapi::types::Example;
use poem_openapi::{Object, OpenApi};

use crate::domain::client_address::AssumedAddressError;
use crate::domain::id::DatasetId;
use crate::domain::principal_name::PrincipalNameError;
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::extract::json_body::JsonBody;
use crate::http::openapi::ApiTag;
use crate::http::reply::responses::{ErrorResponse, ErrorStatuses, JsonOk};
use crate::http::reply::timestamp::Timestamp;
use crate::service::administration::Administration;
use crate::service::administration::explanations::ExplanationQuery;
use crate::service::error::ServiceError;

use super::assumed_authentication::AssumedAuthentication;
use super::explanation_response::{DatasetAction, ExplanationResponse};

/// The explanation API.
pub struct ExplanationApi {
    /// Performs administrative operations.
    pub administration: Arc<Administration>,
}

/// The request to explain.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
#[oai(rename = "ExplanationQuestion")]
pub struct ExplanationRequest {
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

impl Example for ExplanationRequest {
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

impl ExplanationRequest {
    pub(super) fn to_query(&self) -> Result<ExplanationQuery, ServiceError> {
        let invalid = |field, detail| ServiceError::Invalid { field, detail };
        let address = self.address.as_deref().map(str::parse).transpose();
        let principal = self.principal.parse();
        Ok(ExplanationQuery {
            principal: principal
                .map_err(|error: PrincipalNameError| invalid("principal", error.to_string()))?,
            action: self.action.into(),
            dataset_id: self.dataset_id,
            address: address
                .map_err(|error: AssumedAddressError| invalid("address", error.to_string()))?,
            unix_millis: self
                .time
                .map(|Timestamp(seconds)| seconds.saturating_mul(1000)),
            authentication: self.authentication.map(Into::into),
        })
    }
}

/// The error statuses of explaining a decision.
pub struct ExplanationStatuses;

impl ErrorStatuses for ExplanationStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 404, 415, 422, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[
        (
            403,
            "Denied by the policies, or there is no such user or dataset that you may ask about.",
        ),
        (404, "Not found, or not visible to you."),
        (
            422,
            "The body is malformed, or the field named in `field` is invalid.",
        ),
    ];
    const FIELD_STATUSES: &'static [u16] = &[422];
}

/// Whether a request asks for an explanation.
pub fn is_explanation(method: &Method, path: &str) -> bool {
    *method == Method::POST && path == "/admin/policies/explain"
}

#[OpenApi(tag = "ApiTag::Administration")]
impl ExplanationApi {
    /// Explain decision
    ///
    /// The same as `cedargate policy explain`: returns whether the request is permitted, and which
    /// parts of which policies are met. Requires `view_policies`. The values used by those parts are
    /// withheld unless you have `view_users` on the user, or `administer` on the dataset. Name a
    /// user that you may not see by its id; the dataset must be one that you may administer or
    /// discover.
    #[oai(
        path = "/admin/policies/explain",
        method = "post",
        operation_id = "explain_decision"
    )]
    async fn explain(
        &self,
        body: JsonBody<ExplanationRequest>,
        credentials: HeaderCredentials,
    ) -> Result<JsonOk<ExplanationResponse>, ErrorResponse<ExplanationStatuses>> {
        let query = body.0.to_query()?;
        let report = self
            .administration
            .explain_decision(&credentials.0, &query)
            .await?;
        Ok(JsonOk(ExplanationResponse::new(
            body.0.action,
            body.0.dataset_id,
            report,
        )))
    }
}
