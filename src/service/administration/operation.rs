//! Errands: one administrative call from its door to its record.
//!
//! This module refuses to know what is administered.

use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::audit::{AuditRecord, Event, Outcome};
use crate::domain::caller::Authentication;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::resource::Resource;
use crate::policy::Bundle;
use crate::service::access::decisions::Asker;
use crate::service::audit_trail::AuditTrail;
use crate::service::error::ServiceError;
use crate::service::identity::request_context::Visitor;

use super::policies::not_in_force;
use super::{Administration, Door};

/// One administrative call: who asks, and what will be on record of it.
pub struct Errand {
    asker: Option<Arc<Asker>>,
    record: AuditRecord,
    is_on_record: bool,
}

impl Administration {
    /// Begins an errand: finds out who asks. Whoever did not sign in is sent away to do so.
    ///
    /// An errand is always handed to [`Administration::end`].
    pub(super) async fn begin(
        &self,
        visitor: &Visitor,
        action: Action,
    ) -> Result<Errand, ServiceError> {
        let mut record = visitor.open_record(Event::Administer, &self.clock);
        record.action = Some(action);
        let mut errand = Errand {
            asker: None,
            record,
            is_on_record: false,
        };
        let Door::Guarded(guard) = &self.door else {
            errand.record.authentication = Authentication::CommandLine;
            errand.record.request_id = None;
            return Ok(errand);
        };
        let admitted = async {
            let caller = guard.authenticator.resolve(visitor).await?;
            guard.limits.count_request(&caller)?;
            let asker = guard.decisions.admit(caller);
            asker.sign(&mut errand.record);
            if asker.caller.principal.is_anonymous() {
                return Err(ServiceError::CredentialMissing {
                    detail: "administration is for those who signed in".to_owned(),
                });
            }
            Ok(asker)
        };
        match admitted.await {
            Ok(asker) => {
                errand.asker = Some(Arc::new(asker));
                Ok(errand)
            }
            Err(error) => guard.audit.close(errand.record, Err(error)).await,
        }
    }

    /// Ends an errand: its answer is given once its record is durable.
    pub(super) async fn end<T>(
        &self,
        errand: Errand,
        answer: Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        let (event, outcome) = (errand.record.event, errand.record.outcome);
        if errand.is_on_record {
            AuditTrail::count(event, outcome);
            return answer;
        }
        match &self.door {
            Door::Guarded(guard) => {
                let mut errand = errand;
                if answer.is_ok() {
                    errand.record.outcome = Outcome::Granted;
                }
                guard.audit.close(errand.record, answer).await
            }
            // At the command line a look is no secret, and what failed changed nothing.
            Door::CommandLine => answer,
        }
    }
}

impl Errand {
    /// Asks the policies, on record; a denial ends the errand.
    pub fn require(&mut self, action: Action, resource: &Resource) -> Result<(), ServiceError> {
        let Some(asker) = &self.asker else {
            // Whoever holds the database is asked nothing.
            self.record.action = Some(action);
            self.record.dataset_id = resource.dataset_id();
            self.record.resource_user_id = resource.user_id();
            return Ok(());
        };
        if asker
            .decide_on_record(action, resource, &mut self.record)
            .is_permitted
        {
            return Ok(());
        }
        Err(ServiceError::AdministrationDenied { action })
    }

    /// Asks the policies off the record, for the members of a list.
    pub fn may(&self, action: Action, resource: &Resource) -> bool {
        self.asker
            .as_ref()
            .is_none_or(|asker| asker.decide(action, resource).is_permitted)
    }

    /// The members of a list that the caller may do this to, asked off the record.
    pub async fn sift<T: Send + 'static>(
        &self,
        action: Action,
        members: Vec<T>,
        resource_of: fn(&T) -> Resource,
    ) -> Result<Vec<T>, ServiceError> {
        let Some(asker) = &self.asker else {
            return Ok(members);
        };
        let look = move |asker: &Asker, member: T| {
            let decision = asker.decide(action, &resource_of(&member));
            decision.is_permitted.then_some(member)
        };
        asker.survey(members, look).await
    }

    /// Asks the bundle something that takes its time, where that holds up nobody.
    pub(super) async fn aside<T: Send + 'static>(
        &self,
        ask: impl Fn(&Bundle) -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        let asker = self.asker.as_ref().ok_or_else(not_in_force)?;
        let look = move |asker: &Asker, ()| Some(ask(asker.bundle()));
        let answers = asker.survey(vec![()], look).await?;
        answers.into_iter().next().ok_or_else(not_in_force)
    }

    /// Says which dataset was asked for, whether or not there is one.
    pub fn ask_for(&mut self, dataset_id: DatasetId) {
        self.record.dataset_id = Some(dataset_id);
    }

    /// Says which user was asked about.
    pub(super) fn ask_about(&mut self, user_id: UserId) {
        self.record.resource_user_id = Some(user_id);
    }

    /// The bundle that is asked; none at the command line.
    pub(super) fn bundle(&self) -> Option<&Arc<Bundle>> {
        self.asker.as_deref().map(Asker::bundle)
    }

    /// Says what is done, in one sentence for auditors; never with a secret.
    pub fn note(&mut self, what: impl Into<String>) {
        self.record.reason = Some(what.into());
    }

    /// The record of the errand as it is to be written together with what it does.
    pub(super) fn granted(&self) -> AuditRecord {
        AuditRecord {
            outcome: Outcome::Granted,
            ..self.record.clone()
        }
    }

    /// Takes note that the record was written.
    pub(super) fn settle(&mut self) {
        self.record.outcome = Outcome::Granted;
        self.is_on_record = true;
    }
}
