//! Access evaluation: `POST /access/v1/evaluation` and `POST /access/v1/evaluations` (Authorization API 1.0, sections 6
//! and 7).

use std::sync::Arc;

use poem::{Request, Response};
use poem_openapi::OpenApi;

use crate::domain::access_question::AccessQuestion;
use crate::http::extract::authzen_body::AuthzenBody;
use crate::http::extract::credentials::{HeaderCredentials, header_context};
use crate::http::openapi::ApiTag;
use crate::http::reply::responses::{self, ErrorResponse, ErrorStatuses};
use crate::service::access_api::AccessApi;
use crate::service::identity::request_context::RequestContext;

use super::information_model::{EvaluationResponse, EvaluationsResponse};
use super::question_reader::EvaluationsBody;
use super::reply::AccessOk;

/// The path of the evaluation of one question.
pub const PATH: &str = "/access/v1/evaluation";
/// The path of the evaluation of several.
pub const BATCH_PATH: &str = "/access/v1/evaluations";

/// The evaluation API.
#[derive(Clone)]
pub struct EvaluationApi {
    /// Decides.
    pub access_api: Arc<AccessApi>,
}

/// The error statuses of the Authorization API.
pub struct AccessStatuses;

impl ErrorStatuses for AccessStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 408, 413, 415, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[
        (
            400,
            "The body is not a JSON object of this form, its type is not `application/json`, or the request has more \
             than one credential.",
        ),
        (403, "The policies do not permit you to ask."),
        (415, "The body has a content coding."),
    ];
}

#[OpenApi(tag = "ApiTag::Access")]
impl EvaluationApi {
    /// Evaluate access
    ///
    /// Decides whether a subject may do an action on a resource. Unknown types, entities and actions are denied. Who
    /// may ask is decided by the policies: `evaluate` on the server.
    #[oai(
        path = "/access/v1/evaluation",
        method = "post",
        operation_id = "evaluate"
    )]
    async fn evaluate(
        &self,
        body: AuthzenBody<AccessQuestion>,
        credentials: HeaderCredentials,
    ) -> Result<AccessOk<EvaluationResponse>, ErrorResponse<AccessStatuses>> {
        self.answer(&credentials.0, &body.0).await
    }

    /// Evaluate a batch
    ///
    /// Decides up to 250 questions, each as the evaluation of one would be decided, in their order. What a question
    /// lacks it inherits from the body. A question that is malformed is denied with an error of its own. Each counts as
    /// one decision; a batch beyond the limit is refused whole.
    #[oai(
        path = "/access/v1/evaluations",
        method = "post",
        operation_id = "evaluate_each"
    )]
    async fn evaluate_each(
        &self,
        body: AuthzenBody<EvaluationsBody>,
        credentials: HeaderCredentials,
    ) -> Result<AccessOk<EvaluationsResponse>, ErrorResponse<AccessStatuses>> {
        let response = match body.0 {
            EvaluationsBody::One(question) => {
                let answer = self.access_api.evaluate(&credentials.0, &question).await?;
                let EvaluationResponse { decision, context } = answer.into();
                EvaluationsResponse {
                    evaluations: None,
                    decision: Some(decision),
                    context,
                }
            }
            EvaluationsBody::Several(items, semantic) => {
                let answers = self
                    .access_api
                    .evaluate_each(&credentials.0, &items, semantic)
                    .await?;
                EvaluationsResponse {
                    evaluations: Some(answers.into_iter().map(Into::into).collect()),
                    decision: None,
                    context: None,
                }
            }
        };
        Ok(AccessOk(response))
    }
}

impl EvaluationApi {
    /// Answers a request with one question.
    pub async fn reply(&self, request: &mut Request) -> poem::Result<Response> {
        let context = header_context(request);
        let body = request.take_body();
        let question = AuthzenBody::<AccessQuestion>::read(request.headers(), body).await?;
        let headers = responses::released_headers(request);
        let answer = self.answer(&context, &question.0).await?;
        Ok(answer.with_headers(headers))
    }

    async fn answer(
        &self,
        context: &RequestContext,
        question: &AccessQuestion,
    ) -> Result<AccessOk<EvaluationResponse>, ErrorResponse<AccessStatuses>> {
        let answer = self.access_api.evaluate(context, question).await?;
        Ok(AccessOk(answer.into()))
    }
}
