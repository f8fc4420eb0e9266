//! What the policies were needed for: decisions over time and by policy, and the denials that people meet most, counted
//! from the audit log.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::domain::action::Action;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::Username;
use crate::domain::resource::Resource;
use crate::domain::rfc3339::format_millis;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;

use super::Administration;
use super::operation::AdminOperation;
use super::usage_counter::{DeniedPrincipal, DeniedRequest, PolicyUse, UsageBucket, UsageCounter};

/// The interval that is counted unless a caller asks for another one.
pub const DEFAULT_USAGE_INTERVAL: Duration = Duration::from_hours(7 * 24);
/// Into how many parts the interval is divided at most.
pub const MAX_USAGE_BUCKETS: u32 = 200;
/// Into how many parts it is divided unless a caller asks for another number.
pub const DEFAULT_USAGE_BUCKETS: u32 = 24;
/// The most policies that are listed as used, and as never used.
pub const MAX_LISTED_POLICIES: usize = 1000;
/// The most denials that are listed.
pub const MAX_LISTED_DENIALS: usize = 50;

/// What to count; times are in milliseconds since 1970 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageQuery {
    /// From when on.
    pub from: Option<i64>,
    /// Until when, exclusive; now if omitted.
    pub to: Option<i64>,
    /// In how many parts.
    pub buckets: u32,
}

/// What the policies were needed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyUsage {
    /// From when on, in milliseconds since 1970 UTC.
    pub from: i64,
    /// Until when, exclusive.
    pub to: i64,
    /// Whether there were more records, older than those that were counted.
    pub is_cut: bool,
    /// How many records were counted.
    pub records: u64,
    /// Decisions over time.
    pub buckets: Vec<UsageBucket>,
    /// The policies that determined decisions, those of most decisions first; at most [`MAX_LISTED_POLICIES`].
    pub policies: Vec<PolicyUse>,
    /// The policies in force that determined none, by id; at most [`MAX_LISTED_POLICIES`].
    pub never_used: Vec<String>,
    /// How many policies in force determined none.
    pub never_used_count: usize,
    /// What was denied most; at most [`MAX_LISTED_DENIALS`].
    pub denials: Vec<DenialView>,
}

/// A request that was denied, as a caller sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenialView {
    /// The request, and how often.
    pub request: DeniedRequest,
    /// The name of the user, if the caller may see the user.
    pub username: Option<Username>,
    /// The title of the dataset, if the caller may see the dataset.
    pub title: Option<String>,
}

impl Administration {
    /// Counts the decisions on record.
    pub async fn get_policy_usage(
        &self,
        request: &RequestContext,
        query: UsageQuery,
    ) -> Result<PolicyUsage, ServiceError> {
        self.audited(request, Action::ViewPolicies, async |operation| {
            operation.set_summary("the use of policies counted");
            operation.authorize(Action::ViewPolicies, &Resource::Server)?;
            operation.authorize_also(Action::ViewAudit, &Resource::Server)?;
            let to = query
                .to
                .unwrap_or_else(|| self.clock.unix_millis().saturating_add(1));
            let default = i64::try_from(DEFAULT_USAGE_INTERVAL.as_millis()).unwrap_or(i64::MAX);
            let from = query.from.unwrap_or_else(|| to.saturating_sub(default));
            if from >= to {
                let detail = "it is not before `to`".to_owned();
                return Err(ServiceError::invalid("from", detail));
            }
            operation.set_summary(format!(
                "the use of policies counted, from {} to {}",
                format_millis(from),
                format_millis(to)
            ));
            let buckets = query.buckets.clamp(1, MAX_USAGE_BUCKETS);
            let mut counter = UsageCounter::new((from, to), buckets);
            let reader = &self.policies_access()?.audit.reader;
            let is_cut = reader
                .read_decisions(operation.user_id(), (from, to), |record| {
                    counter.add(record);
                })
                .await?;
            let denials = counter.denials(MAX_LISTED_DENIALS);
            let bundle = operation.bundle()?;
            let used = counter.policies();
            let never_used = bundle.policies().keys();
            let never_used: Vec<&String> = never_used
                .filter(|id| !counter.is_used(id.as_str()))
                .collect();
            Ok(PolicyUsage {
                from,
                to,
                is_cut,
                records: counter.records(),
                buckets: counter.buckets(),
                policies: used.into_iter().take(MAX_LISTED_POLICIES).collect(),
                never_used_count: never_used.len(),
                never_used: never_used
                    .into_iter()
                    .take(MAX_LISTED_POLICIES)
                    .cloned()
                    .collect(),
                denials: self.view_denials(&operation, denials).await?,
            })
        })
        .await
    }

    async fn view_denials(
        &self,
        operation: &AdminOperation,
        denials: Vec<DeniedRequest>,
    ) -> Result<Vec<DenialView>, ServiceError> {
        let users: BTreeSet<UserId> = denials.iter().filter_map(DeniedRequest::user_id).collect();
        let datasets: BTreeSet<DatasetId> =
            denials.iter().filter_map(|one| one.dataset_id).collect();
        let names = self.visible_usernames(operation, users).await?;
        let titles = self.visible_titles(operation, datasets).await?;
        let views = denials.into_iter().map(|request| DenialView {
            username: request.user_id().and_then(|id| names.get(&id).cloned()),
            title: request.dataset_id.and_then(|id| titles.get(&id).cloned()),
            request,
        });
        Ok(views.collect())
    }
}

impl DeniedRequest {
    fn user_id(&self) -> Option<UserId> {
        match &self.principal {
            DeniedPrincipal::User(id) => Some(*id),
            DeniedPrincipal::Anonymous | DeniedPrincipal::Other(_) => None,
        }
    }
}
