//! Admission: who asks, within its limit, and whether the policies permit it to ask.

use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};

use crate::domain::access_question::AskedAction;
use crate::domain::action::Action;
use crate::domain::audit::{AuditOutcome, AuditRecord};
use crate::domain::resource::Resource;
use crate::policy::Bundle;
use crate::policy::questions::{CEDARGATE_MEMBERS, QuestionAnswer, QuestionCircumstances};
use crate::service::access::decisions::Authorizer;
use crate::service::error::ServiceError;
use crate::service::folded_records::FoldedCredential;
use crate::service::identity::folded_credential::folded_credential;
use crate::service::identity::request_context::RequestContext;

use super::AccessApi;
use super::answer::{AccessAnswer, AdminReason};
use super::record::recorded_name;
use super::resolve::ResolvedEntity;

/// A caller who may ask, with one bundle and one time for all of its request.
pub(super) struct Asker {
    pub(super) authorizer: Arc<Authorizer>,
    pub(super) credential: FoldedCredential,
    may_view_policies: OnceLock<bool>,
    may_assume_context: OnceLock<bool>,
}

impl AccessApi {
    /// Admits a caller who may do `action` on the server, and counts so many decisions.
    pub(super) async fn admit(
        &self,
        request: &RequestContext,
        action: Action,
        count: u32,
        record: &mut AuditRecord,
    ) -> Result<Asker, ServiceError> {
        let (caller, source) = self.authenticator.authenticate_with_source(request).await?;
        if caller.principal.is_anonymous() {
            self.rate_limits.check_request(&caller)?;
            return Err(ServiceError::CredentialMissing {
                detail: "asking for decisions requires signing in".to_owned(),
            });
        }
        self.rate_limits.check_evaluations(&caller, count)?;
        record.set_caller(&caller);
        record.action = Some(action);
        let credential = folded_credential(&caller, source.as_ref());
        let authorizer = self.access.authorizer(&caller)?;
        if !authorizer.bundle().declares(action) {
            self.rate_limits.check_request(&caller)?;
            record.outcome = AuditOutcome::Denied;
            record.reason = Some(format!(
                "the schema of the policies does not declare the action {action}"
            ));
            return Err(ServiceError::AdministrationDenied { action });
        }
        let decision = authorizer.decide_and_record(action, &Resource::Server, record);
        if !decision.is_permitted {
            // The limit of services is too high for records of those who are none.
            self.rate_limits.check_request(&caller)?;
            return Err(ServiceError::AdministrationDenied { action });
        }
        Ok(Asker {
            authorizer: Arc::new(authorizer),
            credential,
            may_view_policies: OnceLock::new(),
            may_assume_context: OnceLock::new(),
        })
    }
}

impl Asker {
    pub(super) fn bundle(&self) -> &Arc<Bundle> {
        self.authorizer.bundle()
    }

    fn may_view_policies(&self) -> bool {
        *self
            .may_view_policies
            .get_or_init(|| self.is_permitted(Action::ViewPolicies))
    }

    /// Whether the caller's word about the circumstances counts; asked only if it says something about them.
    fn is_context_believed(&self, action: &AskedAction, context: &Map<String, Value>) -> bool {
        let says = |members: &Map<String, Value>| {
            CEDARGATE_MEMBERS
                .iter()
                .any(|member| members.contains_key(*member))
        };
        if !says(context) && !says(&action.properties) {
            return false;
        }
        let action = Action::AssumeContext;
        *self
            .may_assume_context
            .get_or_init(|| self.bundle().declares(action) && self.is_permitted(action))
    }

    fn is_permitted(&self, action: Action) -> bool {
        let decision = self.authorizer.decide(action, &Resource::Server);
        decision.is_permitted
    }

    /// The circumstances of a question.
    pub(super) fn circumstances(
        &self,
        action: &AskedAction,
        context: &Map<String, Value>,
    ) -> QuestionCircumstances {
        QuestionCircumstances {
            unix_millis: self.authorizer.context().unix_millis,
            is_context_believed: self.is_context_believed(action, context),
        }
    }

    /// Decides a question, and writes it and its answer into `record`.
    pub(super) fn judge(
        &self,
        subject: &ResolvedEntity,
        action: &AskedAction,
        resource: &ResolvedEntity,
        context: &Map<String, Value>,
        record: &mut AuditRecord,
    ) -> AccessAnswer {
        record.dataset_id = resource.dataset_id.or(subject.dataset_id);
        record.resource_user_id = resource.user_id;
        record.determining_policies.clear();
        record.errors.clear();
        record.revision = Some(self.bundle().revision().clone());
        record.outcome = AuditOutcome::Denied;
        let (known_subject, known_resource) = match (&subject.entity, &resource.entity) {
            (Ok(subject), Ok(resource)) => (subject, resource),
            (Err(reason), _) | (_, Err(reason)) => {
                record.asked_principal = Some(recorded_name(subject.name.clone()));
                record.asked_action = Some(recorded_name(format!("{:?}", action.name)));
                record.asked_resource = Some(recorded_name(resource.name.clone()));
                record.reason = Some(reason.clone());
                return AccessAnswer::refused(reason.clone());
            }
        };
        let circumstances = self.circumstances(action, context);
        let answer = self.bundle().decide_question(
            known_subject,
            action,
            known_resource,
            context,
            &circumstances,
        );
        record.errors = answer.recorded_errors();
        self.authorizer
            .report_errors(&record.errors, &answer.names.action, record.dataset_id);
        self.to_answer(answer, record)
    }

    fn to_answer(&self, answer: QuestionAnswer, record: &mut AuditRecord) -> AccessAnswer {
        let QuestionAnswer {
            decision,
            refusal,
            names,
        } = answer;
        let is_permitted = decision.is_permitted && refusal.is_none();
        if is_permitted {
            record.outcome = AuditOutcome::Granted;
        }
        record.asked_principal = Some(recorded_name(names.principal));
        record.asked_action = Some(recorded_name(names.action));
        record.asked_resource = Some(recorded_name(names.resource));
        record
            .determining_policies
            .clone_from(&decision.determining_policies);
        if let Some(refusal) = refusal {
            record.reason = Some(refusal.recorded);
            return match refusal.status {
                Some(status) => AccessAnswer::failed(status, refusal.message),
                None => AccessAnswer::refused(refusal.message),
            };
        }
        AccessAnswer {
            is_permitted,
            reason: None,
            error: None,
            told: self.bundle().told_reason(&decision),
            admin: self
                .may_view_policies()
                .then(|| AdminReason::new(&decision)),
        }
    }
}
