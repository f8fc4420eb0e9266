//! Errands: one administrative call from its door to its record.
//!
//! This module refuses to know what is administered.

use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::audit::{AuditEvent, AuditOutcome, AuditRecord};
use crate::domain::caller::Authentication;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::resource::Resource;
use crate::policy::Bundle;
use crate::service::access::decisions::Authorizer;
use crate::service::audit_trail::AuditTrail;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::RequestContext;

use super::policies::no_policies_in_force;
use super::{AdminAccess, Administration};

/// One administrative call: who asks, and what will be on record of it.
pub struct AdminOperation {
    authorizer: Option<Arc<Authorizer>>,
    record: AuditRecord,
    is_recorded: bool,
}

impl Administration {
    /// Begins an errand: finds out who asks. Whoever did not sign in is sent away to do so.
    ///
    /// An errand is always handed to [`Administration::end`].
    pub(super) async fn begin(
        &self,
        visitor: &RequestContext,
        action: Action,
    ) -> Result<AdminOperation, ServiceError> {
        let mut record = visitor.open_record(AuditEvent::Administer, &self.clock);
        record.action = Some(action);
        let mut errand = AdminOperation {
            authorizer: None,
            record,
            is_recorded: false,
        };
        let AdminAccess::Policies(guard) = &self.access else {
            errand.record.authentication = Authentication::CommandLine;
            errand.record.request_id = None;
            return Ok(errand);
        };
        let admitted = async {
            let caller = guard.authenticator.authenticate(visitor).await?;
            guard.rate_limits.count_request(&caller)?;
            let asker = guard.decisions.for_caller(caller);
            asker.record_caller(&mut errand.record);
            if asker.caller.principal.is_anonymous() {
                return Err(ServiceError::CredentialMissing {
                    detail: "administration is for those who signed in".to_owned(),
                });
            }
            Ok(asker)
        };
        match admitted.await {
            Ok(asker) => {
                errand.authorizer = Some(Arc::new(asker));
                Ok(errand)
            }
            Err(error) => guard.audit.close_record(errand.record, Err(error)).await,
        }
    }

    /// Ends an errand: its answer is given once its record is durable.
    pub(super) async fn end<T>(
        &self,
        errand: AdminOperation,
        answer: Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        let (event, outcome) = (errand.record.event, errand.record.outcome);
        if errand.is_recorded {
            AuditTrail::count_outcome(event, outcome);
            return answer;
        }
        match &self.access {
            AdminAccess::Policies(guard) => {
                let mut errand = errand;
                if answer.is_ok() {
                    errand.record.outcome = AuditOutcome::Granted;
                }
                guard.audit.close_record(errand.record, answer).await
            }
            // At the command line a look is no secret, and what failed changed nothing.
            AdminAccess::Local => answer,
        }
    }
}

impl AdminOperation {
    /// Asks the policies, on record; a denial ends the errand.
    pub fn require(&mut self, action: Action, resource: &Resource) -> Result<(), ServiceError> {
        let Some(asker) = &self.authorizer else {
            // Whoever holds the database is asked nothing.
            self.record.action = Some(action);
            self.record.dataset_id = resource.dataset_id();
            self.record.resource_user_id = resource.user_id();
            return Ok(());
        };
        if asker
            .decide_and_record(action, resource, &mut self.record)
            .is_permitted
        {
            return Ok(());
        }
        Err(ServiceError::AdministrationDenied { action })
    }

    /// Asks the policies off the record, for the members of a list.
    pub fn is_permitted(&self, action: Action, resource: &Resource) -> bool {
        self.authorizer
            .as_ref()
            .is_none_or(|asker| asker.decide(action, resource).is_permitted)
    }

    /// The members of a list that the caller may do this to, asked off the record.
    pub async fn filter_permitted<T: Send + 'static>(
        &self,
        action: Action,
        members: Vec<T>,
        resource_of: fn(&T) -> Resource,
    ) -> Result<Vec<T>, ServiceError> {
        let Some(asker) = &self.authorizer else {
            return Ok(members);
        };
        let look = move |asker: &Authorizer, member: T| {
            let decision = asker.decide(action, &resource_of(&member));
            decision.is_permitted.then_some(member)
        };
        asker.filter(members, look).await
    }

    /// Asks the bundle something that takes its time, where that holds up nobody.
    pub(super) async fn run_blocking<T: Send + 'static>(
        &self,
        ask: impl Fn(&Bundle) -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        let asker = self.authorizer.as_ref().ok_or_else(no_policies_in_force)?;
        let look = move |asker: &Authorizer, ()| Some(ask(asker.bundle()));
        let answers = asker.filter(vec![()], look).await?;
        answers.into_iter().next().ok_or_else(no_policies_in_force)
    }

    /// Says which dataset was asked for, whether or not there is one.
    pub fn set_dataset(&mut self, dataset_id: DatasetId) {
        self.record.dataset_id = Some(dataset_id);
    }

    /// Says which user was asked about.
    pub(super) fn set_user(&mut self, user_id: UserId) {
        self.record.resource_user_id = Some(user_id);
    }

    /// The bundle that is asked; none at the command line.
    pub(super) fn bundle(&self) -> Option<&Arc<Bundle>> {
        self.authorizer.as_deref().map(Authorizer::bundle)
    }

    /// Says what is done, in one sentence for auditors; never with a secret.
    pub fn set_summary(&mut self, what: impl Into<String>) {
        self.record.reason = Some(what.into());
    }

    /// The record of the errand as it is to be written together with what it does.
    pub(super) fn granted_record(&self) -> AuditRecord {
        AuditRecord {
            outcome: AuditOutcome::Granted,
            ..self.record.clone()
        }
    }

    /// Takes note that the record was written.
    pub(super) fn mark_recorded(&mut self) {
        self.record.outcome = AuditOutcome::Granted;
        self.is_recorded = true;
    }
}
