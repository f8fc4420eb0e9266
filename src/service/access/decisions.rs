//! Decisions: what a caller is told when it asks the policies, and then the limit of its API key.
//!
//! This module refuses to know what follows from a decision.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Semaphore;

use crate::domain::action::Action;
use crate::domain::audit::{AuditOutcome, AuditRecord};
use crate::domain::caller::{Caller, DecisionContext};
use crate::domain::clock::Clock;
use crate::domain::decision::Decision;
use crate::domain::resource::Resource;
use crate::policy::{Bundle, LiveBundle};
use crate::service::error::ServiceError;

/// How many evaluation errors of one request are told one by one; the rest of them are counted, so
/// that a broken policy does not write a line for each dataset of a list.
const MAX_LOGGED_ERRORS: u64 = 4;

/// Puts callers before the policies.
pub struct Decisions {
    bundle: Arc<LiveBundle>,
    clock: Clock,
    list_permits: Arc<Semaphore>,
}

/// One caller who asks, at one moment, one bundle.
///
/// All that one request asks goes through one asker: a bundle that is replaced meanwhile cannot
/// answer half of it.
pub struct Authorizer {
    /// Who asks.
    pub caller: Caller,
    context: DecisionContext,
    bundle: Arc<Bundle>,
    list_permits: Arc<Semaphore>,
    error_count: AtomicU64,
}

impl Decisions {
    /// Decisions by the policies in force, at the time of `clock`.
    ///
    /// Lists are looked through on at most half of the cores, so that those who ask about one dataset
    /// need not wait for those who ask about thousands.
    #[must_use]
    pub fn new(bundle: Arc<LiveBundle>, clock: Clock) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            bundle,
            clock,
            list_permits: Arc::new(Semaphore::new((cores / 2).max(1))),
        }
    }

    /// Lets a caller ask the policies that are in force now.
    #[must_use]
    pub fn for_caller(&self, caller: Caller) -> Authorizer {
        Authorizer {
            context: caller.context(self.clock.unix_millis()),
            bundle: self.bundle.current(),
            caller,
            list_permits: Arc::clone(&self.list_permits),
            error_count: AtomicU64::new(0),
        }
    }
}

impl Authorizer {
    /// The bundle that it asks.
    #[must_use]
    pub fn bundle(&self) -> &Arc<Bundle> {
        &self.bundle
    }

    /// Asks the policies, and then the limit of the caller's API key: what lies beyond it is denied
    /// whatever the policies say. No policy determined that, and the record says so.
    #[must_use]
    pub fn decide(&self, action: Action, resource: &Resource) -> Decision {
        let mut decision =
            self.bundle
                .decide(&self.caller.principal, action, resource, &self.context);
        for error in &decision.errors {
            metrics::counter!("cedargate_policy_evaluation_errors_total").increment(1);
            if self.error_count.fetch_add(1, Ordering::Relaxed) >= MAX_LOGGED_ERRORS {
                continue;
            }
            tracing::error!(
                error,
                %action,
                dataset_id = resource.dataset_id().map(tracing::field::display),
                revision = %decision.revision,
                "a policy could not be evaluated; the action is denied"
            );
        }
        if self.key_scope_violation(action, resource).is_some() {
            decision.is_permitted = false;
            decision.determining_policies.clear();
        }
        decision
    }

    /// Decides, and writes into `record` what was asked and what was decided.
    pub fn decide_and_record(
        &self,
        action: Action,
        resource: &Resource,
        record: &mut AuditRecord,
    ) -> Decision {
        let decision = self.decide(action, resource);
        record.action = Some(action);
        record.dataset_id = resource.dataset_id().or(record.dataset_id);
        record.resource_user_id = resource.user_id().or(record.resource_user_id);
        record
            .determining_policies
            .clone_from(&decision.determining_policies);
        record.errors.clone_from(&decision.errors);
        record.revision = Some(decision.revision.clone());
        if !decision.is_permitted {
            record.outcome = AuditOutcome::Denied;
            record.reason = self
                .key_scope_violation(action, resource)
                .map(str::to_owned);
        }
        decision
    }

    /// Looks at each of `members`, where deciding on many holds up nobody, and keeps what `look` gives.
    pub async fn filter<T, R>(
        self: &Arc<Self>,
        members: Vec<T>,
        look: impl Fn(&Self, T) -> Option<R> + Send + 'static,
    ) -> Result<Vec<R>, ServiceError>
    where
        T: Send + 'static,
        R: Send + 'static,
    {
        let turn = Arc::clone(&self.list_permits).acquire_owned().await;
        let (asker, span) = (Arc::clone(self), tracing::Span::current());
        let looked = tokio::task::spawn_blocking(move || {
            // Held here: whoever asked may have gone away meanwhile.
            let _turn = turn;
            let _entered = span.enter();
            let members = members.into_iter();
            members.filter_map(|member| look(&asker, member)).collect()
        });
        looked.await.map_err(|lost| ServiceError::Internal {
            what: "looking through a list",
            source: lost.into(),
        })
    }

    /// Why an action lies beyond the caller's API key, if it does.
    fn key_scope_violation(&self, action: Action, resource: &Resource) -> Option<&'static str> {
        let key = self.caller.key.as_ref()?;
        key.scope.violation(action, resource.dataset_id())
    }

    /// Writes into `record` who asks.
    pub fn record_caller(&self, record: &mut AuditRecord) {
        record.user_id = self.caller.principal.user_id();
        record.authentication = self.caller.authentication;
        record.key_id = self.caller.key.as_ref().map(|key| key.id);
    }
}

impl Drop for Authorizer {
    fn drop(&mut self) {
        let errors = *self.error_count.get_mut();
        if errors > MAX_LOGGED_ERRORS {
            tracing::error!(
                errors,
                revision = %self.bundle.revision(),
                "policies could not be evaluated this often for one request; each time the action \
                 was denied"
            );
        }
    }
}
