//! Explanations: `POST /admin/policies/explain`, what the policies in force would answer, and why.
//!
//! This module refuses to know whose values whoever asks may see.

use std::net::IpAddr;
use std::sync::Arc;

use poem_openapi::payload::Json;
use poem_openapi::types::Example;
use poem_openapi::{Enum, Object, OpenApi};

use crate::domain::action::Action;
use crate::domain::id::DatasetId;
use crate::domain::principal_name::PrincipalNameError;
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::openapi::Tags;
use crate::http::reply::responses::{ErrorResponse, ErrorStatuses, JsonOk};
use crate::http::reply::timestamp::Timestamp;
use crate::policy::explain::{ObservedValue, PartExplanation, PartOutcome, PolicyExplanation};
use crate::service::administration::Administration;
use crate::service::administration::explanations::ExplanationQuery;
use crate::service::error::ServiceError;
use crate::service::policies::review::explanation::{
    ExplanationReport, PredictedMintResponse, Redaction,
};

use super::policies::EffectWord;

/// The operation that explains.
pub struct ExplanationApi {
    /// What explains.
    pub administration: Arc<Administration>,
}

/// What is asked of a dataset.
#[derive(Clone, Copy, Enum)]
#[oai(rename_all = "lowercase")]
pub enum DatasetAction {
    /// To mint a download token and download with it.
    Read,
    /// To know that the dataset exists.
    Discover,
    /// To make, see whole, change or remove its record.
    Administer,
}

/// What is to be explained.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
#[oai(rename = "ExplanationQuestion")]
pub struct ExplanationRequest {
    /// Who would do something: `anonymous`, a user's name, its UUID, or `User::"<UUID>"`.
    pub principal: String,
    /// What it would do.
    pub action: DatasetAction,
    /// To which dataset, in any text form of RFC 9562.
    pub dataset_id: DatasetId,
    /// From which address; left out, from the one you ask from.
    #[oai(skip_serializing_if_is_none)]
    pub address: Option<IpAddr>,
    /// When; left out, now. Policies see whole seconds.
    #[oai(skip_serializing_if_is_none)]
    pub time: Option<Timestamp>,
}

/// What the policies answer, and why.
#[derive(Object)]
#[oai(rename = "ExplanationAnswer")]
pub struct ExplanationResponse {
    /// Who was asked about: `anonymous`, or Cedar's name of a user.
    pub principal: String,
    /// The user's name; left out of the anonymous principal, and where it is withheld.
    #[oai(skip_serializing_if_is_none)]
    pub username: Option<String>,
    /// Whether the user is disabled: it is denied whatever policies say, and none is told.
    pub is_disabled: bool,
    /// What would be done.
    pub action: DatasetAction,
    /// The dataset.
    pub dataset_id: DatasetId,
    /// Its title.
    pub title: String,
    /// From which address.
    pub address: IpAddr,
    /// When.
    pub time: Timestamp,
    /// How the principal would have authenticated: `none`, `password`, or `issuer` if it comes from an
    /// outside issuer; left out where it is withheld.
    #[oai(skip_serializing_if_is_none)]
    pub authentication: Option<String>,
    /// The revision of the policies that answered.
    pub revision: String,
    /// Whether it is permitted.
    pub is_permitted: bool,
    /// How many seconds a token may live at most, as far as policies say; left out if it is denied.
    #[oai(skip_serializing_if_is_none)]
    pub max_ttl: Option<u32>,
    /// What the mint would answer; left out for other actions than `read`, and where it is withheld.
    #[oai(skip_serializing_if_is_none)]
    pub mint: Option<MintOutcomeResponse>,
    /// What went wrong; any error denies.
    pub errors: Vec<String>,
    /// What of all this is withheld from you.
    pub withheld: RedactionResponse,
    /// The policies that determined the answer, with all their parts.
    pub determining: Vec<PolicyExplanationResponse>,
    /// At most 20 others for the same action, those with the fewest parts amiss first, each with the first
    /// part that does not hold.
    pub others: Vec<PolicyExplanationResponse>,
    /// How many more others there are.
    pub left_off: u64,
}

/// What the mint would answer, limits on how often it may be asked aside.
#[derive(Object)]
#[oai(rename = "MintWord")]
pub struct MintOutcomeResponse {
    /// The HTTP status.
    pub status: u16,
    /// Why.
    pub why: String,
}

/// What is withheld from whoever may not see it.
#[derive(Object)]
#[oai(rename = "WithheldAnswer")]
pub struct RedactionResponse {
    /// Whether the values of the principal are: it takes `view_users` on it to see them.
    pub principal: bool,
    /// Whether the values of the dataset are, and the mint's answer: it takes `administer` on it.
    pub dataset: bool,
    /// How many of `errors` are: they repeat values, so it takes both.
    pub errors: u64,
}

/// How one policy stood to the question.
#[derive(Object)]
#[oai(rename = "PolicyAccount")]
pub struct PolicyExplanationResponse {
    /// Its `@id`.
    pub id: String,
    /// Whether it permits or forbids.
    pub effect: EffectWord,
    /// Its `@reason`.
    #[oai(skip_serializing_if_is_none)]
    pub reason: Option<String>,
    /// Its `@max_ttl`.
    #[oai(skip_serializing_if_is_none)]
    pub max_ttl: Option<u32>,
    /// The template that it is linked to, whose text it has.
    #[oai(skip_serializing_if_is_none)]
    pub template: Option<String>,
    /// The file that its text stands in.
    pub file: String,
    /// The line that it begins on, counted from 1.
    #[oai(skip_serializing_if_is_none)]
    pub line: Option<u64>,
    /// As it is written; cut after 4000 characters.
    pub text: String,
    /// Whether all its parts hold.
    pub is_satisfied: bool,
    /// How many of its parts hold.
    pub held: u64,
    /// How many parts it has: three of its scope, and its conditions taken apart at `&&`.
    pub part_count: u64,
    /// If it is satisfied its parts, at most 50; the first part that does not hold otherwise.
    pub parts: Vec<ClauseResponse>,
}

/// How one part of a policy stood to the question.
#[derive(Object)]
#[oai(rename = "PartAnswer")]
pub struct ClauseResponse {
    /// As it is written; a part of the scope as Cedar writes it. Cut after 4000 characters.
    pub text: String,
    /// The line of a condition, counted from 1.
    #[oai(skip_serializing_if_is_none)]
    pub line: Option<u64>,
    /// Whether it stands under `unless`, and must be false to hold.
    pub is_negated: bool,
    /// What became of it.
    pub outcome: OutcomeWord,
    /// Why it cannot be evaluated; left out where it can be, and where it is withheld.
    #[oai(skip_serializing_if_is_none)]
    pub error: Option<String>,
    /// What it looked at, at most eight values.
    pub seen: Vec<ObservedValueResponse>,
}

/// What became of one part of a policy.
#[derive(Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
pub enum OutcomeWord {
    /// It does what the policy needs of it.
    Holds,
    /// It does not, and so the policy is not satisfied.
    DoesNotHold,
    /// It cannot be evaluated, which denies if all parts before it hold.
    CannotBeEvaluated,
}

/// Something that a part of a policy looked at.
#[derive(Object)]
#[oai(rename = "SeenAnswer")]
pub struct ObservedValueResponse {
    /// What, as Cedar writes it; `groups of ...` for what an entity is a member of.
    pub name: String,
    /// Its value, as Cedar writes it, cut after 200 characters; `absent` if it is not there. Left out where
    /// it is withheld.
    #[oai(skip_serializing_if_is_none)]
    pub value: Option<String>,
    /// Whether the value is withheld from you.
    pub is_withheld: bool,
}

impl Example for ExplanationRequest {
    fn example() -> Self {
        Self {
            principal: "mo".to_owned(),
            action: DatasetAction::Read,
            dataset_id: DatasetId(uuid::uuid!("2489e9ad-2ee2-8e00-8ec9-32d5f69181c0")),
            address: None,
            time: None,
        }
    }
}

impl From<DatasetAction> for Action {
    fn from(action: DatasetAction) -> Self {
        match action {
            DatasetAction::Read => Self::Read,
            DatasetAction::Discover => Self::Discover,
            DatasetAction::Administer => Self::Administer,
        }
    }
}

impl ExplanationRequest {
    fn to_query(&self) -> Result<ExplanationQuery, ServiceError> {
        let invalid = |error: PrincipalNameError| ServiceError::Invalid {
            field: "principal",
            detail: error.to_string(),
        };
        Ok(ExplanationQuery {
            principal: self.principal.parse().map_err(invalid)?,
            action: self.action.into(),
            dataset_id: self.dataset_id,
            address: self.address,
            unix_millis: self
                .time
                .map(|Timestamp(seconds)| seconds.saturating_mul(1000)),
        })
    }
}

impl From<ObservedValue> for ObservedValueResponse {
    fn from(seen: ObservedValue) -> Self {
        Self {
            name: seen.name,
            is_withheld: seen.value.is_none(),
            value: seen.value,
        }
    }
}

impl From<PartExplanation> for ClauseResponse {
    fn from(part: PartExplanation) -> Self {
        Self {
            text: part.text,
            line: part.line.map(|line| line as u64),
            is_negated: part.is_negated,
            outcome: match part.outcome {
                PartOutcome::Holds => OutcomeWord::Holds,
                PartOutcome::DoesNotHold => OutcomeWord::DoesNotHold,
                PartOutcome::CannotBeEvaluated => OutcomeWord::CannotBeEvaluated,
            },
            error: part.error,
            seen: part
                .seen
                .into_iter()
                .map(ObservedValueResponse::from)
                .collect(),
        }
    }
}

impl From<PolicyExplanation> for PolicyExplanationResponse {
    fn from(account: PolicyExplanation) -> Self {
        Self {
            id: account.id,
            effect: EffectWord::of(account.is_permit),
            reason: account.reason,
            max_ttl: account.max_ttl,
            template: account.template,
            file: account.file,
            line: account.line.map(|line| line as u64),
            text: account.text,
            is_satisfied: account.is_satisfied,
            held: account.held as u64,
            part_count: account.part_count as u64,
            parts: account
                .parts
                .into_iter()
                .map(ClauseResponse::from)
                .collect(),
        }
    }
}

impl From<PredictedMintResponse> for MintOutcomeResponse {
    fn from(answer: PredictedMintResponse) -> Self {
        Self {
            status: answer.status,
            why: answer.why.to_owned(),
        }
    }
}

impl From<Redaction> for RedactionResponse {
    fn from(withheld: Redaction) -> Self {
        Self {
            principal: withheld.is_principal_redacted,
            dataset: withheld.is_dataset_redacted,
            errors: withheld.redacted_errors as u64,
        }
    }
}

impl ExplanationResponse {
    fn new(question: &ExplanationRequest, told: ExplanationReport) -> Self {
        let accounts = |all: Vec<PolicyExplanation>| {
            all.into_iter()
                .map(PolicyExplanationResponse::from)
                .collect()
        };
        Self {
            principal: told.principal,
            username: told.username,
            is_disabled: told.is_disabled,
            action: question.action,
            dataset_id: question.dataset_id,
            title: told.title,
            address: told.address,
            time: Timestamp(told.unix_millis.div_euclid(1000)),
            authentication: told.authentication.map(|word| word.to_string()),
            revision: told.revision.to_string(),
            is_permitted: told.is_permitted,
            max_ttl: told.max_ttl,
            mint: told.mint.map(MintOutcomeResponse::from),
            errors: told.errors,
            withheld: told.redaction.into(),
            determining: accounts(told.determining),
            others: accounts(told.others),
            left_off: told.left_off as u64,
        }
    }
}

/// The statuses with which an explanation may be refused.
pub struct ExplanationStatuses;

impl ErrorStatuses for ExplanationStatuses {
    const STATUSES: &'static [u16] = &[400, 401, 403, 404, 415, 422, 429, 500, 503];
    const DESCRIPTIONS: &'static [(u16, &'static str)] = &[
        (
            403,
            "The policies do not permit you to see them, or there is no such user or dataset that you may ask about.",
        ),
        (
            404,
            "There is no such user or dataset, or you may not know that there is.",
        ),
        (
            422,
            "The body cannot be read, or a field has a value that cannot be; `field` names it.",
        ),
    ];
}

#[OpenApi(tag = "Tags::Administration")]
impl ExplanationApi {
    /// Ask what the policies in force say, and why
    ///
    /// As `cedargate policy explain` does. It takes `view_policies`. Whether something is permitted, and which
    /// parts of which policies hold, is told of everything that you may ask about. The values that those
    /// parts saw are withheld unless you may see whose they are: it takes `view_users` on the user, and
    /// `administer` on the dataset. A user whom you may not see is named by its id, and a dataset must be
    /// one that you may administer, or that the catalog shows you.
    #[oai(
        path = "/admin/policies/explain",
        method = "post",
        operation_id = "explain_decision"
    )]
    async fn explain(
        &self,
        // Before the visitor, who would read the body away.
        question: Json<ExplanationRequest>,
        visitor: HeaderCredentials,
    ) -> Result<JsonOk<ExplanationResponse>, ErrorResponse<ExplanationStatuses>> {
        let inquiry = question.0.to_query()?;
        let told = self
            .administration
            .explain_decision(&visitor.0, &inquiry)
            .await?;
        Ok(JsonOk(ExplanationResponse::new(&question.0, told)))
    }
}
