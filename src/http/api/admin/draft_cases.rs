//! The cases of a draft: their results, and new ones from a decision or from a counterexample.

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::types::Example;
use poem_openapi::{Enum, Object, OpenApi};

use crate::domain::id::{DatasetId, DraftId};
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::extract::json_body::JsonBody;
use crate::http::openapi::ApiTag;
use crate::http::reply::admin_statuses::{RunStatuses, UpdateUnversionedStatuses};
use crate::http::reply::responses::{ErrorResponse, JsonCreated, JsonOk};
use crate::http::reply::timestamp::Timestamp;
use crate::policy::cases::{CaseDecision, CaseResult};
use crate::service::administration::Administration;
use crate::service::administration::drafts::cases::{CaseInput, CaseSource, DraftCases};
use crate::service::error::ServiceError;

use super::assumed_authentication::AssumedAuthentication;
use super::draft_body::DraftResponse;
use super::explanation_response::DatasetAction;
use super::explanations::ExplanationRequest;

/// The API of the cases of drafts.
pub struct DraftCasesApi {
    /// Performs administrative operations.
    pub administration: Arc<Administration>,
}

/// A decision.
#[derive(Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "DecisionWord", rename_all = "lowercase")]
pub enum DecisionWord {
    /// It is permitted; `allow` in case files.
    Permit,
    /// It is denied.
    Deny,
}

impl From<CaseDecision> for DecisionWord {
    fn from(decision: CaseDecision) -> Self {
        match decision {
            CaseDecision::Allow => Self::Permit,
            CaseDecision::Deny => Self::Deny,
        }
    }
}

/// The results of the cases of a draft.
#[derive(Object)]
#[oai(rename = "CaseResults")]
pub struct CaseResultsResponse {
    /// The version of the draft.
    pub version: u64,
    /// How many cases passed.
    pub passed: u64,
    /// How many cases failed.
    pub failed: u64,
    /// The cases, in the order of the files and of the cases in them.
    pub cases: Vec<CaseResultResponse>,
    /// The policies that no case shows to take effect, by `@id`; of the links of a template, that of the template.
    pub uncovered_policies: Vec<String>,
    /// The failures by their causes, with what decided, as `cedargate policy test` prints them; absent if there are
    /// none.
    #[oai(skip_serializing_if_is_none)]
    pub failures: Option<String>,
}

/// The result of one case.
#[derive(Object)]
#[oai(rename = "CaseResult")]
pub struct CaseResultResponse {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: String,
    /// The line where it begins.
    pub line: u64,
    /// Whether the draft decides as it expects.
    pub is_passed: bool,
    /// What it expects.
    pub expected: DecisionWord,
    /// What the draft decides; `deny` if a policy cannot be evaluated.
    pub decision: DecisionWord,
    /// The policies that determined it, by `@id`.
    pub determining_policies: Vec<String>,
    /// What differs, if it failed.
    #[oai(skip_serializing_if_is_none)]
    pub failure: Option<String>,
}

/// A case to add: about a decision (`principal`, `action` and `dataset_id`), or of the counterexample to an
/// `invariant`.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
#[oai(rename = "NewCase")]
pub struct CreateCaseRequest {
    /// The case file, whose name ends in `.cases.json`; it is created if it is not there. If omitted, the one beside the
    /// policy that determines the decision, else `new.cases.json`; of a counterexample `found.cases.json`.
    #[oai(skip_serializing_if_is_none)]
    pub file: Option<String>,
    /// The name of the case. If omitted, in words what it asks.
    #[oai(skip_serializing_if_is_none)]
    pub name: Option<String>,
    /// The principal: `anonymous`, a user name, a UUID, or `User::"<UUID>"`.
    #[oai(skip_serializing_if_is_none)]
    pub principal: Option<String>,
    /// The action.
    #[oai(skip_serializing_if_is_none)]
    pub action: Option<DatasetAction>,
    /// The dataset id, in any text form of RFC 9562.
    #[oai(skip_serializing_if_is_none)]
    pub dataset_id: Option<DatasetId>,
    /// The client address, or `unknown`. If omitted, yours.
    #[oai(skip_serializing_if_is_none)]
    pub address: Option<String>,
    /// The time, in whole seconds. If omitted, now.
    #[oai(skip_serializing_if_is_none)]
    pub time: Option<Timestamp>,
    /// How the principal authenticates. If omitted, as it usually does.
    #[oai(skip_serializing_if_is_none)]
    pub authentication: Option<AssumedAuthentication>,
    /// What the case expects. If omitted, what the draft decides.
    #[oai(skip_serializing_if_is_none)]
    pub expected: Option<DecisionWord>,
    /// The `@id` of an invariant to which the last proof of the draft has a counterexample.
    #[oai(skip_serializing_if_is_none)]
    pub invariant: Option<String>,
}

impl Example for CreateCaseRequest {
    fn example() -> Self {
        Self {
            file: None,
            name: Some("mo may read the sea".to_owned()),
            principal: Some("mo".to_owned()),
            action: Some(DatasetAction::Read),
            dataset_id: Some(DatasetId(uuid::uuid!(
                "6b1f0a52-8c3d-4e7a-9f14-05d2c7e3a981"
            ))),
            address: None,
            time: None,
            authentication: None,
            expected: Some(DecisionWord::Permit),
            invariant: None,
        }
    }
}

/// The case, and the draft with it.
#[derive(Object)]
#[oai(rename = "AddedCase")]
pub struct AddedCaseResponse {
    /// The draft.
    pub draft: DraftResponse,
    /// The case file.
    pub file: String,
    /// The name of the case, with a number if the file had another case of that name; or that of the same case.
    pub name: String,
    /// The text of the file.
    pub text: String,
    /// Whether the file did not have the case before.
    pub is_added: bool,
}

impl CreateCaseRequest {
    fn into_input(self) -> Result<CaseInput, ServiceError> {
        let (file, name) = (self.file.clone(), self.name.clone());
        let source = match self.invariant.clone() {
            Some(invariant) if self.asks_nothing() => CaseSource::Counterexample(invariant),
            Some(_) => {
                let detail = "a counterexample says itself what it asks and what to expect";
                return Err(ServiceError::invalid("invariant", detail));
            }
            None => self.into_decision()?,
        };
        Ok(CaseInput { file, name, source })
    }

    fn asks_nothing(&self) -> bool {
        let asked = [
            self.principal.is_some(),
            self.action.is_some(),
            self.dataset_id.is_some(),
            self.address.is_some(),
            self.time.is_some(),
            self.authentication.is_some(),
            self.expected.is_some(),
        ];
        !asked.contains(&true)
    }

    fn into_decision(self) -> Result<CaseSource, ServiceError> {
        let detail = "it is missing: a case is about a principal, an action and a dataset";
        let missing = |field| move || ServiceError::invalid(field, detail);
        let question = ExplanationRequest {
            principal: self.principal.ok_or_else(missing("principal"))?,
            action: self.action.ok_or_else(missing("action"))?,
            dataset_id: self.dataset_id.ok_or_else(missing("dataset_id"))?,
            address: self.address,
            time: self.time,
            authentication: self.authentication,
        };
        let expected = self.expected.map(|word| word == DecisionWord::Permit);
        Ok(CaseSource::Decision(question.to_query()?, expected))
    }
}

impl From<CaseResult> for CaseResultResponse {
    fn from(result: CaseResult) -> Self {
        Self {
            name: result.name,
            file: result.file,
            line: result.line as u64,
            is_passed: result.is_passed,
            expected: result.expected.into(),
            decision: result.actual.into(),
            determining_policies: result.actual_reasons,
            failure: result.failure,
        }
    }
}

impl From<DraftCases> for CaseResultsResponse {
    fn from(cases: DraftCases) -> Self {
        let report = cases.report;
        Self {
            version: cases.version,
            passed: report.passed as u64,
            failed: report.failed as u64,
            failures: report.render_failures(),
            cases: report
                .results
                .into_iter()
                .map(CaseResultResponse::from)
                .collect(),
            uncovered_policies: cases.uncovered_policies,
        }
    }
}

#[OpenApi(tag = "ApiTag::Administration")]
impl DraftCasesApi {
    /// Evaluate cases of draft
    ///
    /// Runs the cases of a draft, as `cedargate policy test` does. A draft that is not valid is a conflict. Requires
    /// `view_policies`.
    #[oai(
        path = "/admin/policies/drafts/:draft_id/cases",
        method = "get",
        operation_id = "run_draft_cases"
    )]
    async fn run_cases(
        &self,
        /// The draft id.
        draft_id: Path<DraftId>,
        credentials: HeaderCredentials,
    ) -> Result<JsonOk<CaseResultsResponse>, ErrorResponse<RunStatuses>> {
        let cases = self
            .administration
            .run_draft_cases(&credentials.0, draft_id.0)
            .await?;
        Ok(JsonOk(cases.into()))
    }

    /// Create case of draft
    ///
    /// Adds a case to a case file of a draft: of a decision as `cedargate policy explain --save-case` does, or of the
    /// counterexample to an invariant as `cedargate policy prove --save` does. A case that asks and expects what one in
    /// the file does is not added again; if it expects something else than that one, it is a conflict. A decision must
    /// be about a user on whom you have `view_users` and a dataset that you may administer. A draft that is not valid
    /// is a conflict. Requires `view_policies`.
    #[oai(
        path = "/admin/policies/drafts/:draft_id/cases",
        method = "post",
        operation_id = "create_draft_case"
    )]
    async fn create_case(
        &self,
        /// The draft id.
        draft_id: Path<DraftId>,
        body: JsonBody<CreateCaseRequest>,
        credentials: HeaderCredentials,
    ) -> Result<JsonCreated<AddedCaseResponse>, ErrorResponse<UpdateUnversionedStatuses>> {
        let input = body.0.into_input()?;
        let added = self
            .administration
            .add_draft_case(&credentials.0, draft_id.0, &input)
            .await?;
        Ok(JsonCreated(AddedCaseResponse {
            draft: (&added.draft).into(),
            file: added.file,
            name: added.name,
            text: added.text,
            is_added: added.is_added,
        }))
    }
}
