//! The information model of the Authorization API 1.0 (section 5), as the OpenAPI document has it.

use std::collections::BTreeMap;

use poem_openapi::types::Any;
use poem_openapi::{Enum, Object};
use serde::Serialize;
use serde_json::Value;

use crate::service::access_api::answer::AccessAnswer;

/// Properties of an entity or an action, or the members of a context.
pub type Properties = BTreeMap<String, Any<Value>>;

/// A subject or a resource.
#[derive(Object)]
pub struct AccessEntity {
    /// What it is: `user`, `dataset`, `role`, or a type of the policies by its name or by its `@authzen` name.
    #[oai(rename = "type", validator(min_length = 1, max_length = 256))]
    pub kind: String,
    /// Its id. A user has a UUID or a user name, a dataset its id in any text form of RFC 9562.
    #[oai(validator(min_length = 1, max_length = 1024))]
    pub id: String,
    /// What is known of it. Of an entity of the policies' own types they become its attributes for this question; of
    /// users, roles and datasets the catalog is believed alone.
    #[oai(skip_serializing_if_is_none)]
    pub properties: Option<Properties>,
}

/// The subjects or the resources that are searched.
#[derive(Object)]
pub struct SearchedEntity {
    /// What they are.
    #[oai(rename = "type", validator(min_length = 1, max_length = 256))]
    pub kind: String,
    /// Ignored.
    #[oai(skip_serializing_if_is_none)]
    pub id: Option<String>,
    /// What is assumed of each of them.
    #[oai(skip_serializing_if_is_none)]
    pub properties: Option<Properties>,
}

/// An action.
#[derive(Object)]
pub struct AccessAction {
    /// The name: of an action of the policies, or its `@authzen` name.
    #[oai(validator(min_length = 1, max_length = 256))]
    pub name: String,
    /// What the context of the action declares may be here too.
    #[oai(skip_serializing_if_is_none)]
    pub properties: Option<Properties>,
}

/// One question.
#[derive(Object)]
pub struct EvaluationRequest {
    /// Who would do it.
    pub subject: AccessEntity,
    /// What would be done.
    pub action: AccessAction,
    /// What it would be done to.
    pub resource: AccessEntity,
    /// The circumstances. What the context of the action does not declare is ignored; so are `address`, `time` and
    /// `authentication` unless the caller may `assume_context`.
    #[oai(skip_serializing_if_is_none)]
    pub context: Option<Properties>,
}

/// A part of a batch: what it lacks is inherited from the whole.
#[derive(Object)]
pub struct EvaluationItem {
    /// Who would do it.
    #[oai(skip_serializing_if_is_none)]
    pub subject: Option<Any<Value>>,
    /// What would be done.
    #[oai(skip_serializing_if_is_none)]
    pub action: Option<Any<Value>>,
    /// What it would be done to.
    #[oai(skip_serializing_if_is_none)]
    pub resource: Option<Any<Value>>,
    /// The circumstances.
    #[oai(skip_serializing_if_is_none)]
    pub context: Option<Any<Value>>,
}

/// When a batch ends.
#[derive(Enum)]
#[oai(rename_all = "snake_case")]
pub enum EvaluationsSemanticName {
    /// When all questions are decided; this is the default.
    ExecuteAll,
    /// With the first deny.
    DenyOnFirstDeny,
    /// With the first permit.
    PermitOnFirstPermit,
}

/// How a batch is evaluated.
#[derive(Object)]
pub struct EvaluationOptions {
    /// When the batch ends.
    #[oai(skip_serializing_if_is_none)]
    pub evaluations_semantic: Option<EvaluationsSemanticName>,
}

/// Several questions. Members beside `evaluations` are the defaults of each; without `evaluations` they are the one
/// question.
#[derive(Object)]
pub struct EvaluationsRequest {
    /// Who would do it.
    #[oai(skip_serializing_if_is_none)]
    pub subject: Option<Properties>,
    /// What would be done.
    #[oai(skip_serializing_if_is_none)]
    pub action: Option<Properties>,
    /// What it would be done to.
    #[oai(skip_serializing_if_is_none)]
    pub resource: Option<Properties>,
    /// The circumstances.
    #[oai(skip_serializing_if_is_none)]
    pub context: Option<Properties>,
    /// The questions.
    #[oai(skip_serializing_if_is_none, validator(max_items = 250))]
    pub evaluations: Option<Vec<EvaluationItem>>,
    /// How they are evaluated.
    #[oai(skip_serializing_if_is_none)]
    pub options: Option<EvaluationOptions>,
}

/// Why a question could not be evaluated.
#[derive(Object, Serialize)]
pub struct EvaluationErrorResponse {
    /// An HTTP status.
    pub status: u16,
    /// What is the matter.
    pub message: String,
}

/// What led to a decision.
#[derive(Object, Serialize)]
pub struct AdminReasonResponse {
    /// The policies that determined it.
    pub policies: Vec<String>,
    /// The revision of the policies.
    pub revision: String,
    /// Policy evaluation errors; any of them denies.
    pub errors: Vec<String>,
}

/// More about a decision.
#[derive(Object, Serialize)]
pub struct EvaluationContext {
    /// Why no policy was asked, such as an unknown type.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why the question could not be evaluated.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<EvaluationErrorResponse>,
    /// What led to the decision, for callers who may `view_policies`.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason_admin: Option<AdminReasonResponse>,
    /// The reasons of determining policies that have `@tell`, by HTTP status: 200 for a permit, 403 for a deny.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason_user: Option<BTreeMap<String, String>>,
}

/// The decision on one question.
#[derive(Object, Serialize)]
pub struct EvaluationResponse {
    /// Whether it is permitted.
    pub decision: bool,
    /// More about it.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<EvaluationContext>,
}

/// The decisions on several questions, in their order; or `decision` and `context` if the request had no
/// `evaluations`.
#[derive(Object, Serialize)]
pub struct EvaluationsResponse {
    /// The decisions, as many as were made.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluations: Option<Vec<EvaluationResponse>>,
    /// Whether the one question is permitted.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<bool>,
    /// More about the decision on the one question.
    #[oai(skip_serializing_if_is_none)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<EvaluationContext>,
}

impl From<AccessAnswer> for EvaluationResponse {
    fn from(answer: AccessAnswer) -> Self {
        let decision = answer.is_permitted;
        let context = EvaluationContext {
            reason: answer.reason,
            error: answer.error.map(|error| EvaluationErrorResponse {
                status: error.status,
                message: error.message,
            }),
            reason_admin: answer.admin.map(|admin| AdminReasonResponse {
                policies: admin.policies,
                revision: admin.revision.0.as_ref().to_owned(),
                errors: admin.errors,
            }),
            reason_user: answer.told.map(|told| {
                let status = if decision { "200" } else { "403" };
                BTreeMap::from([(status.to_owned(), told)])
            }),
        };
        let is_empty = context.reason.is_none()
            && context.error.is_none()
            && context.reason_admin.is_none()
            && context.reason_user.is_none();
        Self {
            decision,
            context: (!is_empty).then_some(context),
        }
    }
}
