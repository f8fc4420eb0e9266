//! Decisions: what a caller is told when it asks the policies, and then the limit of its API key.
//!
//! This module refuses to know what follows from a decision.

use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::audit::{AuditRecord, Outcome};
use crate::domain::caller::{Caller, Context};
use crate::domain::clock::Clock;
use crate::domain::decision::Decision;
use crate::domain::resource::Resource;
use crate::policy::{Bundle, LiveBundle};

/// Puts callers before the policies.
pub struct Decisions {
    /// The policies in force.
    pub bundle: Arc<LiveBundle>,
    /// The time.
    pub clock: Clock,
}

/// One caller who asks, at one moment, one bundle.
///
/// All that one request asks goes through one asker: a bundle that is replaced meanwhile cannot
/// answer half of it.
pub struct Asker {
    /// Who asks.
    pub caller: Caller,
    context: Context,
    bundle: Arc<Bundle>,
}

impl Decisions {
    /// Lets a caller ask the policies that are in force now.
    #[must_use]
    pub fn admit(&self, caller: Caller) -> Asker {
        Asker {
            context: caller.context(self.clock.unix_millis()),
            bundle: self.bundle.current(),
            caller,
        }
    }
}

impl Asker {
    /// Asks the policies, and then the limit of the caller's API key: what lies beyond it is denied
    /// whatever the policies say. No policy determined that, and the record says so.
    #[must_use]
    pub fn decide(&self, action: Action, resource: &Resource) -> Decision {
        let mut decision =
            self.bundle
                .decide(&self.caller.principal, action, resource, &self.context);
        for error in &decision.errors {
            metrics::counter!("cedargate_policy_evaluation_errors_total").increment(1);
            tracing::error!(
                error,
                %action,
                dataset_id = resource.dataset_id().map(tracing::field::display),
                revision = %decision.revision,
                "a policy could not be evaluated; the action is denied"
            );
        }
        if self.overreach(action, resource).is_some() {
            decision.is_permitted = false;
            decision.determining_policies.clear();
        }
        decision
    }

    /// Decides, and writes into `record` what was asked and what was decided.
    pub fn decide_on_record(
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
            record.outcome = Outcome::Denied;
            record.reason = self.overreach(action, resource).map(str::to_owned);
        }
        decision
    }

    /// Why an action lies beyond the caller's API key, if it does.
    fn overreach(&self, action: Action, resource: &Resource) -> Option<&'static str> {
        let key = self.caller.key.as_ref()?;
        key.limit.overreach(action, resource.dataset_id())
    }

    /// Writes into `record` who asks.
    pub fn sign(&self, record: &mut AuditRecord) {
        record.user_id = self.caller.principal.user_id();
        record.authentication = self.caller.authentication;
        record.key_id = self.caller.key.as_ref().map(|key| key.id);
    }
}
