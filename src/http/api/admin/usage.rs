//! The policy usage API: `GET /admin/policies/usage`, what the policies were needed for.

use std::sync::Arc;

use poem_openapi::param::Query;
use poem_openapi::registry::MetaSchema;
use poem_openapi::types::{ParseError, ParseFromParameter, ParseResult, ToJSON};
use poem_openapi::{Object, OpenApi};
use serde_json::Value;

use crate::domain::id::DatasetId;
use crate::http::extract::credentials::HeaderCredentials;
use crate::http::extract::schema_type::impl_inline_type;
use crate::http::openapi::ApiTag;
use crate::http::reply::admin_statuses::ListStatuses;
use crate::http::reply::responses::{ErrorResponse, JsonOk};
use crate::http::reply::timestamp::{Timestamp, TimestampMillis};
use crate::service::administration::Administration;
use crate::service::administration::policy_usage::{
    DEFAULT_USAGE_BUCKETS, DenialView, MAX_USAGE_BUCKETS, PolicyUsage, UsageQuery,
};
use crate::service::administration::usage_counter::{DeniedPrincipal, PolicyUse, UsageBucket};

/// The policy usage API.
pub struct UsageApi {
    /// Performs administrative operations.
    pub administration: Arc<Administration>,
}

/// In how many parts an interval is counted, from 1 to [`MAX_USAGE_BUCKETS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketCount(u32);

impl_inline_type!(
    BucketCount,
    "integer_bucket_count",
    MetaSchema {
        minimum: Some(1.0),
        maximum: Some(f64::from(MAX_USAGE_BUCKETS)),
        ..MetaSchema::new_with_format("integer", "uint32")
    }
);

impl Default for BucketCount {
    fn default() -> Self {
        Self(DEFAULT_USAGE_BUCKETS)
    }
}

impl ParseFromParameter for BucketCount {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        match text.parse() {
            Ok(count @ 1..=MAX_USAGE_BUCKETS) => Ok(Self(count)),
            _ => Err(ParseError::custom(format!(
                "expected a number from 1 to {MAX_USAGE_BUCKETS}"
            ))),
        }
    }
}

impl ToJSON for BucketCount {
    fn to_json(&self) -> Option<Value> {
        Some(self.0.into())
    }
}

/// What the policies were needed for.
#[derive(Object)]
#[oai(rename = "PolicyUsage")]
pub struct UsageResponse {
    /// The beginning of the interval.
    pub from: Timestamp,
    /// The end of the interval.
    pub to: Timestamp,
    /// Whether there are more records in the interval, older than those that were counted.
    pub is_cut: bool,
    /// How many audit records of decisions were counted. A record may stand for many requests.
    pub records: u64,
    /// Requests over time.
    pub buckets: Vec<UsagePeriod>,
    /// The policies that determined decisions, about administration too, those of most requests first, at most 1000.
    pub policies: Vec<UsedPolicy>,
    /// The policies in force that determined none of them, by `@id`, at most 1000.
    pub never_used: Vec<String>,
    /// How many policies in force determined none of them.
    pub never_used_count: u64,
    /// The requests that were denied most, at most 50.
    pub denials: Vec<FrequentDenial>,
}

/// The requests of a part of the interval.
#[derive(Object)]
pub struct UsagePeriod {
    /// When it begins.
    pub start: Timestamp,
    /// How many requests were granted.
    pub granted: u64,
    /// How many the policies denied.
    pub denied: u64,
    /// How many never came to a decision.
    pub failed: u64,
}

/// How often a policy determined a decision.
#[derive(Object)]
pub struct UsedPolicy {
    /// Its `@id`; it may not be in force any more.
    pub id: String,
    /// How many requests it granted.
    pub granted: u64,
    /// How many requests it denied.
    pub denied: u64,
    /// When it did so last.
    pub last_used: Timestamp,
}

/// A request that was denied, and how often.
#[derive(Object)]
pub struct FrequentDenial {
    /// Who; absent if nobody had signed in.
    #[oai(skip_serializing_if_is_none)]
    pub principal: Option<DeniedCaller>,
    /// The action.
    pub action: String,
    /// The dataset; absent if a service asked about something else.
    #[oai(skip_serializing_if_is_none)]
    pub dataset_id: Option<DatasetId>,
    /// The title of the dataset, if you may see it.
    #[oai(skip_serializing_if_is_none)]
    pub dataset_title: Option<String>,
    /// What a service asked about, as Cedar writes it, if it is no dataset.
    #[oai(skip_serializing_if_is_none)]
    pub resource: Option<String>,
    /// How many requests.
    pub count: u64,
    /// When the last one was denied.
    pub last_at: Timestamp,
}

/// Who was denied something.
#[derive(Object)]
pub struct DeniedCaller {
    /// The id of the user; or what a service asked about, as Cedar writes it, if that is no user.
    pub id: String,
    /// The user name, if you may see the user.
    #[oai(skip_serializing_if_is_none)]
    pub username: Option<String>,
}

fn seconds(unix_millis: i64) -> Timestamp {
    Timestamp(unix_millis.div_euclid(1000))
}

impl From<UsageBucket> for UsagePeriod {
    fn from(bucket: UsageBucket) -> Self {
        Self {
            start: seconds(bucket.start),
            granted: bucket.granted,
            denied: bucket.denied,
            failed: bucket.failed,
        }
    }
}

impl From<PolicyUse> for UsedPolicy {
    fn from(policy: PolicyUse) -> Self {
        Self {
            id: policy.id,
            granted: policy.granted,
            denied: policy.denied,
            last_used: seconds(policy.last_used),
        }
    }
}

impl From<DenialView> for FrequentDenial {
    fn from(denial: DenialView) -> Self {
        let username = denial.username.map(|name| name.to_string());
        let request = denial.request;
        Self {
            principal: match request.principal {
                DeniedPrincipal::Anonymous => None,
                DeniedPrincipal::User(id) => Some(DeniedCaller {
                    id: id.to_string(),
                    username,
                }),
                DeniedPrincipal::Other(id) => Some(DeniedCaller { id, username: None }),
            },
            action: request.action,
            dataset_id: request.dataset_id,
            dataset_title: denial.title,
            resource: request.resource,
            count: request.count,
            last_at: seconds(request.last_at),
        }
    }
}

impl From<PolicyUsage> for UsageResponse {
    fn from(usage: PolicyUsage) -> Self {
        Self {
            from: seconds(usage.from),
            to: seconds(usage.to),
            is_cut: usage.is_cut,
            records: usage.records,
            buckets: usage.buckets.into_iter().map(UsagePeriod::from).collect(),
            policies: usage.policies.into_iter().map(UsedPolicy::from).collect(),
            never_used: usage.never_used,
            never_used_count: usage.never_used_count as u64,
            denials: usage
                .denials
                .into_iter()
                .map(FrequentDenial::from)
                .collect(),
        }
    }
}

#[OpenApi(tag = "ApiTag::Administration")]
impl UsageApi {
    /// Get policy usage
    ///
    /// Counts the decisions on record (mints, downloads, verified requests and evaluations) over time and by policy, with
    /// the denials that occur most. Counts the newest 50,000 audit records of the interval at most, those of other events
    /// included; `is_cut` says whether there are more. Evaluations that are not on record are not counted. Requires
    /// `view_policies` and `view_audit`.
    #[oai(
        path = "/admin/policies/usage",
        method = "get",
        operation_id = "show_policy_usage"
    )]
    async fn get(
        &self,
        credentials: HeaderCredentials,
        /// Count only records from this time on, such as `2026-03-01T12:00:00Z`. If omitted, from seven days before `to`.
        from: Query<Option<TimestampMillis>>,
        /// Count only records before this time. If omitted, up to now.
        to: Query<Option<TimestampMillis>>,
        /// In how many parts the interval is counted.
        #[oai(default)]
        buckets: Query<BucketCount>,
    ) -> Result<JsonOk<UsageResponse>, ErrorResponse<ListStatuses>> {
        let query = UsageQuery {
            from: from.0.map(|TimestampMillis(millis)| millis),
            to: to.0.map(|TimestampMillis(millis)| millis),
            buckets: buckets.0.0,
        };
        let usage = self
            .administration
            .get_policy_usage(&credentials.0, query)
            .await?;
        Ok(JsonOk(usage.into()))
    }
}
