//! The effect API: `POST /admin/policies/drafts/{draft_id}/effect`, what a draft changes for whom.

use std::sync::Arc;

use poem_openapi::param::Path;
use poem_openapi::types::Example;
use poem_openapi::{Enum, Object, OpenApi};

use crate::domain::action::Action;
use crate::domain::id::{DatasetId, DraftId};
use crate::domain::principal::Principal;
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::extract::json_body::JsonBody;
use crate::http::openapi::ApiTag;
use crate::http::reply::responses::{ErrorResponse, JsonOk};
use crate::http::reply::timestamp::Timestamp;
use crate::service::administration::Administration;
use crate::service::policies::review::comparison::{
    BundleComparison, ChangeExample, ChangeGroup, ComparisonHints, DecisionChange,
    IneffectivePolicy,
};

use super::access_lists::{DatasetReference, UserReference};
use super::draft_matrix::{DraftReviewStatuses, parse_address};
use super::explanation_response::DatasetAction;

/// The effect API.
pub struct DraftEffectApi {
    /// Performs administrative operations.
    pub administration: Arc<Administration>,
}

/// Where and when is asked. What is left out is asked on all sides of what the policies compare it with.
#[derive(Object)]
#[oai(deny_unknown_fields, example)]
pub struct EffectRequest {
    /// The only client address, or `unknown`.
    #[oai(skip_serializing_if_is_none)]
    pub address: Option<String>,
    /// The only time, in whole seconds.
    #[oai(skip_serializing_if_is_none)]
    pub time: Option<Timestamp>,
}

impl Example for EffectRequest {
    fn example() -> Self {
        Self {
            address: None,
            time: None,
        }
    }
}

/// The change of a decision.
#[derive(Clone, Copy, Enum)]
#[oai(rename_all = "lowercase")]
pub enum EffectChange {
    /// It was denied and would be permitted.
    Gained,
    /// It was permitted and would be denied.
    Lost,
    /// It is permitted before and after, and tokens would live shorter.
    Shortened,
    /// It is permitted before and after, and tokens would live longer.
    Lengthened,
}

/// What a draft changes.
#[derive(Object)]
pub struct EffectResponse {
    /// The version of the draft.
    pub version: u64,
    /// The revision of the policies in force.
    pub from: String,
    /// The revision of the draft.
    pub to: String,
    /// How many decisions change, in one context or in several: pairs of a principal and a dataset, for each action.
    pub changed: u64,
    /// How many decisions were made to find out.
    pub decided: u64,
    /// The most of it as text, much as `cedargate policy diff` prints it.
    pub text: String,
    /// The changes in groups, the largest first.
    pub groups: Vec<EffectGroupResponse>,
    /// Policies of the draft that change nothing.
    pub ineffective: Vec<IneffectivePolicyResponse>,
    /// Errors in evaluating the draft's policies, each of which denies; the first few.
    pub errors: Vec<String>,
    /// Whether there are more groups or policies that change nothing than are listed, or the policies tell more contexts
    /// apart than were asked in.
    pub is_cut: bool,
}

/// One change, for each of some principals on each of some datasets.
#[derive(Object)]
pub struct EffectGroupResponse {
    /// The action.
    pub action: DatasetAction,
    /// The change.
    pub change: EffectChange,
    /// Who gains or loses what, on how many datasets.
    pub sentence: String,
    /// How many decisions change.
    pub count: u64,
    /// The users, the first few.
    pub users: Vec<UserReference>,
    /// How many users there are.
    pub user_count: u64,
    /// Whether callers who did not sign in are affected.
    pub is_anonymous: bool,
    /// The datasets, the first few.
    pub datasets: Vec<DatasetReference>,
    /// How many datasets there are.
    pub dataset_count: u64,
    /// The contexts in which it changes, in words; absent if it does in all of them.
    #[oai(skip_serializing_if_is_none)]
    pub when: Option<String>,
    /// One request whose decision changes.
    #[oai(skip_serializing_if_is_none)]
    pub example: Option<EffectExampleResponse>,
}

/// One request whose decision changes.
#[derive(Object)]
pub struct EffectExampleResponse {
    /// The principal: `anonymous`, or the id of a user.
    pub principal: String,
    /// The dataset.
    pub dataset_id: DatasetId,
    /// The client address; absent if the policies do not look at it.
    #[oai(skip_serializing_if_is_none)]
    pub address: Option<String>,
    /// The time; absent if the policies do not look at it.
    #[oai(skip_serializing_if_is_none)]
    pub time: Option<Timestamp>,
    /// How the principal authenticates; absent if the policies do not look at it.
    #[oai(skip_serializing_if_is_none)]
    pub authentication: Option<String>,
}

/// A policy of the draft that changes nothing.
#[derive(Object)]
pub struct IneffectivePolicyResponse {
    /// Its `@id`.
    pub id: String,
    /// That it changes nothing, and why.
    pub sentence: String,
}

impl EffectResponse {
    fn new(version: u64, comparison: BundleComparison) -> Self {
        let text = comparison.render(ComparisonHints::HTTP);
        let reads_context = comparison.is_context_read;
        let groups = comparison.groups.iter();
        let groups = groups.map(|group| EffectGroupResponse::new(group, reads_context));
        Self {
            version,
            from: comparison.from.to_string(),
            to: comparison.to.to_string(),
            changed: comparison.changed,
            decided: comparison.decided,
            text,
            is_cut: comparison.is_cut
                || comparison.unlisted.groups > 0
                || comparison.more_ineffective > 0,
            groups: groups.collect(),
            ineffective: comparison.ineffective.into_iter().map(Into::into).collect(),
            errors: comparison.errors,
        }
    }
}

impl From<IneffectivePolicy> for IneffectivePolicyResponse {
    fn from(policy: IneffectivePolicy) -> Self {
        Self {
            sentence: policy.sentence(ComparisonHints::HTTP),
            id: policy.policy,
        }
    }
}

impl EffectGroupResponse {
    fn new(group: &ChangeGroup, reads_context: bool) -> Self {
        let users = group.users.iter().map(|user| UserReference {
            id: user.id,
            username: user.username.clone(),
        });
        let datasets = group.datasets.iter().map(|dataset| DatasetReference {
            id: dataset.id,
            title: dataset.title.clone(),
        });
        let example = group.example.as_ref();
        Self {
            action: match group.action {
                Action::Read => DatasetAction::Read,
                Action::Discover => DatasetAction::Discover,
                _ => DatasetAction::Administer,
            },
            change: match group.change {
                DecisionChange::Gains => EffectChange::Gained,
                DecisionChange::Loses => EffectChange::Lost,
                DecisionChange::Shortens => EffectChange::Shortened,
                DecisionChange::Lengthens => EffectChange::Lengthened,
            },
            sentence: group.sentence(),
            count: group.size(),
            users: users.collect(),
            user_count: number(group.user_count()),
            is_anonymous: group.is_anonymous,
            datasets: datasets.collect(),
            dataset_count: number(group.dataset_count()),
            when: Some(group.when.join("; and ")).filter(|when| !when.is_empty()),
            example: example.map(|example| EffectExampleResponse::new(example, reads_context)),
        }
    }
}

impl EffectExampleResponse {
    fn new(example: &ChangeExample, reads_context: bool) -> Self {
        let context = Some(&example.context).filter(|_| reads_context);
        let address = context.map(|context| context.address);
        Self {
            principal: match &example.principal {
                Principal::Anonymous => "anonymous".to_owned(),
                Principal::User(user) => user.id.0.to_string(),
            },
            dataset_id: example.dataset.id,
            address: address.map(|address| {
                address.map_or_else(|| "unknown".to_owned(), |address| address.to_string())
            }),
            time: context.map(|context| Timestamp(context.unix_millis.div_euclid(1_000))),
            authentication: context.map(|context| context.authentication.to_string()),
        }
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[OpenApi(tag = "ApiTag::Administration")]
impl DraftEffectApi {
    /// Evaluate effect of draft
    ///
    /// Returns what the draft would change, compared with the policies in force: who gains or loses which action on which
    /// datasets, and why policies of it change nothing, as `cedargate policy diff` says it. Each decision is asked for in
    /// every context that the policies tell apart, unless `address` or `time` confines it. Requires `view_policies`. Only
    /// users on whom you have `view_users` and datasets that you may administer take part, by the policies in force, and
    /// callers who did not sign in; disabled users do not.
    #[oai(
        path = "/admin/policies/drafts/:draft_id/effect",
        method = "post",
        operation_id = "evaluate_draft_effect"
    )]
    async fn effect(
        &self,
        /// The draft id.
        draft_id: Path<DraftId>,
        body: JsonBody<EffectRequest>,
        credentials: HeaderCredentials,
    ) -> Result<JsonOk<EffectResponse>, ErrorResponse<DraftReviewStatuses>> {
        let address = parse_address(body.0.address.as_deref())?;
        let time = body.0.time.map(|Timestamp(second)| second);
        let (version, comparison) = self
            .administration
            .effect_of_draft(&credentials.0, draft_id.0, (address, time))
            .await?;
        Ok(JsonOk(EffectResponse::new(version, comparison)))
    }
}
