//! The response of the explanation API: the decision, its policies part by part, and what is withheld.

use poem_openapi::{Enum, Object};

use crate::domain::action::Action;
use crate::domain::id::DatasetId;
use crate::http::reply::timestamp::Timestamp;
use crate::policy::explain::{ObservedValue, PartExplanation, PartValue, PolicyExplanation};
use crate::service::policies::review::explanation::{
    ExplanationReport, Opening, PredictedMintResponse, Redaction,
};

use super::policies::PolicyEffect;

/// An action on a dataset.
#[derive(Clone, Copy, Enum)]
#[oai(rename_all = "lowercase")]
pub enum DatasetAction {
    /// Mint a download token and download with it.
    Read,
    /// Know that the dataset exists.
    Discover,
    /// Create, view, update or delete its record.
    Administer,
}

/// The decision of the policies and its explanation.
#[derive(Object)]
#[oai(rename = "ExplanationAnswer")]
pub struct ExplanationResponse {
    /// The principal: `anonymous`, or the Cedar name of a user.
    pub principal: String,
    /// The user name; absent for the anonymous principal and if it is withheld.
    #[oai(skip_serializing_if_is_none)]
    pub username: Option<String>,
    /// Whether the user is disabled. A disabled user is denied without evaluating policies.
    pub is_disabled: bool,
    /// The action.
    pub action: DatasetAction,
    /// The dataset.
    pub dataset_id: DatasetId,
    /// Its title.
    pub title: String,
    /// The client address, or `unknown`.
    pub address: String,
    /// The time.
    pub time: Timestamp,
    /// How the principal would have authenticated: `none`, `password`, or `issuer` for a user of an
    /// external identity provider; absent if it is withheld.
    #[oai(skip_serializing_if_is_none)]
    pub authentication: Option<String>,
    /// The revision of the policies that decided.
    pub revision: String,
    /// Whether the request is permitted.
    pub is_permitted: bool,
    /// The maximum token lifetime in seconds as far as policies limit it; absent if denied.
    #[oai(skip_serializing_if_is_none)]
    pub max_ttl: Option<u32>,
    /// The expected response of the mint; absent for actions other than `read` and if it is
    /// withheld.
    #[oai(skip_serializing_if_is_none)]
    pub mint: Option<MintOutcomeResponse>,
    /// The shares with an end that the principal has, a sentence each.
    pub shares: Vec<String>,
    /// Policy evaluation errors; any error denies.
    pub errors: Vec<String>,
    /// What would permit it if it is denied, at most six changes, each tried with the policies. Absent if it is
    /// permitted, and if anything about the principal or the dataset is withheld.
    #[oai(skip_serializing_if_is_none)]
    pub openings: Option<Vec<OpeningResponse>>,
    /// The names of users and datasets that values and policies name, as far as you may see them.
    pub names: Vec<EntityNameResponse>,
    /// What is withheld from you.
    pub withheld: RedactionResponse,
    /// The determining policies with all their parts.
    pub determining: Vec<PolicyExplanationResponse>,
    /// At most 20 other policies for the same action, closest to being satisfied first, each with
    /// its first part that is not met.
    pub others: Vec<PolicyExplanationResponse>,
    /// The number of further policies.
    pub left_off: u64,
}

/// The expected response of the mint, rate limits aside.
#[derive(Object)]
#[oai(rename = "MintWord")]
pub struct MintOutcomeResponse {
    /// The HTTP status.
    pub status: u16,
    /// The reason.
    pub why: String,
}

/// What is withheld from a caller who may not see it.
#[derive(Object)]
#[oai(rename = "WithheldAnswer")]
pub struct RedactionResponse {
    /// Whether the values of the principal are withheld. Seeing them requires `view_users` on it.
    pub principal: bool,
    /// Whether the values of the dataset and the mint's response are withheld. Seeing them requires
    /// `administer` on it.
    pub dataset: bool,
    /// How many of `errors` are withheld. They contain values, so seeing them requires both.
    pub errors: u64,
}

/// The evaluation of one policy.
#[derive(Object)]
#[oai(rename = "PolicyAccount")]
pub struct PolicyExplanationResponse {
    /// Its `@id`.
    pub id: String,
    /// Whether it permits or forbids.
    pub effect: PolicyEffect,
    /// Its `@reason`.
    #[oai(skip_serializing_if_is_none)]
    pub reason: Option<String>,
    /// Its `@max_ttl`.
    #[oai(skip_serializing_if_is_none)]
    pub max_ttl: Option<u32>,
    /// The template that it is linked to and whose text is shown.
    #[oai(skip_serializing_if_is_none)]
    pub template: Option<String>,
    /// The file that contains its text.
    pub file: String,
    /// The line it starts on, counted from 1.
    #[oai(skip_serializing_if_is_none)]
    pub line: Option<u64>,
    /// Its source text, truncated to 4000 characters.
    pub text: String,
    /// Whether all its parts are met: each has the value that the policy needs.
    pub is_satisfied: bool,
    /// The number of parts that are met.
    pub held: u64,
    /// The number of parts: three for the scope, and its conditions split at `&&`, and under `unless`
    /// or `!` at `||`.
    pub part_count: u64,
    /// At most 50 parts if the policy is satisfied, otherwise the first that is not met.
    pub parts: Vec<PolicyPartResponse>,
}

/// The evaluation of one part of a policy.
#[derive(Object)]
#[oai(rename = "PartAnswer")]
pub struct PolicyPartResponse {
    /// Its source text, or a part of the scope as Cedar formats it; truncated to 4000 characters.
    pub text: String,
    /// The line of a condition, counted from 1.
    #[oai(skip_serializing_if_is_none)]
    pub line: Option<u64>,
    /// Whether it must be false for the policy to apply, because of an `unless` or `!` around it.
    pub is_negated: bool,
    /// Its own value, whatever is around it.
    pub value: PartValue,
    /// Whether that is the value that the policy needs.
    pub is_met: bool,
    /// What the value means for the policy, such as "under `unless`, so the policy does not apply".
    pub meaning: String,
    /// Why it cannot be evaluated; absent if it can be and if it is withheld.
    #[oai(skip_serializing_if_is_none)]
    pub error: Option<String>,
    /// The values it uses, at most eight.
    pub seen: Vec<ObservedValueResponse>,
}

/// A value used by a part of a policy.
#[derive(Object)]
#[oai(rename = "SeenAnswer")]
pub struct ObservedValueResponse {
    /// The expression in Cedar syntax, or `groups of ...` for the groups of an entity.
    pub name: String,
    /// The value in Cedar syntax, truncated to 200 characters, or `absent`; omitted if it is
    /// withheld.
    #[oai(skip_serializing_if_is_none)]
    pub value: Option<String>,
    /// Whether the value is withheld from you.
    pub is_withheld: bool,
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

/// A change that would permit what is denied.
#[derive(Object)]
#[oai(rename = "ExplanationOpening")]
pub struct OpeningResponse {
    /// What to change, in words.
    pub change: String,
    /// The command on the server that changes it, if there is one.
    #[oai(skip_serializing_if_is_none)]
    pub command: Option<String>,
}

/// The name of an entity.
#[derive(Object)]
#[oai(rename = "EntityName")]
pub struct EntityNameResponse {
    /// Its entity UID in Cedar, such as `User::"<UUID>"`.
    pub entity: String,
    /// The user name, or the title of the dataset.
    pub name: String,
}

impl From<Opening> for OpeningResponse {
    fn from(opening: Opening) -> Self {
        Self {
            change: opening.change,
            command: opening.command,
        }
    }
}

impl From<ObservedValue> for ObservedValueResponse {
    fn from(observed: ObservedValue) -> Self {
        Self {
            name: observed.name,
            is_withheld: observed.value.is_none(),
            value: observed.value,
        }
    }
}

impl From<PartExplanation> for PolicyPartResponse {
    fn from(part: PartExplanation) -> Self {
        Self {
            text: part.text,
            line: part.line.map(|line| line as u64),
            is_negated: part.is_negated,
            value: part.value,
            is_met: part.is_met,
            meaning: part.meaning,
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
    fn from(explanation: PolicyExplanation) -> Self {
        Self {
            id: explanation.id,
            effect: PolicyEffect::new(explanation.is_permit),
            reason: explanation.reason,
            max_ttl: explanation.max_ttl,
            template: explanation.template,
            file: explanation.file,
            line: explanation.line.map(|line| line as u64),
            text: explanation.text,
            is_satisfied: explanation.is_satisfied,
            held: explanation.held as u64,
            part_count: explanation.part_count as u64,
            parts: explanation
                .parts
                .into_iter()
                .map(PolicyPartResponse::from)
                .collect(),
        }
    }
}

impl From<PredictedMintResponse> for MintOutcomeResponse {
    fn from(mint: PredictedMintResponse) -> Self {
        Self {
            status: mint.status,
            why: mint.why.to_owned(),
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
    pub(super) fn new(
        action: DatasetAction,
        dataset_id: DatasetId,
        report: ExplanationReport,
    ) -> Self {
        let explanations = |all: Vec<PolicyExplanation>| {
            all.into_iter()
                .map(PolicyExplanationResponse::from)
                .collect()
        };
        Self {
            principal: report.principal,
            username: report.username,
            is_disabled: report.is_disabled,
            action,
            dataset_id,
            title: report.title,
            address: report.address.to_string(),
            time: Timestamp(report.unix_millis.div_euclid(1000)),
            authentication: report.authentication.map(|word| word.to_string()),
            revision: report.revision.to_string(),
            is_permitted: report.is_permitted,
            max_ttl: report.max_ttl,
            mint: report.mint.map(MintOutcomeResponse::from),
            shares: report.shares.iter().map(ToString::to_string).collect(),
            errors: report.errors,
            openings: report.openings.map(|openings| {
                let openings = openings.into_iter();
                openings.map(OpeningResponse::from).collect()
            }),
            names: report
                .names
                .into_iter()
                .map(|(entity, name)| EntityNameResponse { entity, name })
                .collect(),
            withheld: report.redaction.into(),
            determining: explanations(report.determining),
            others: explanations(report.others),
            left_off: report.left_off as u64,
        }
    }
}
