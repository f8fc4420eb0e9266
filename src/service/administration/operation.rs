//! One administrative operation: authenticate, authorize, act, audit.
//!
//! [`Administration::audited`] owns the beginning and the end of every operation, so that none can
//! miss its audit record. The record of a change is written in the change's own transaction
//! ([`Administration::write_recorded`]).

use std::sync::Arc;

use parking_lot::Mutex;

use crate::domain::action::Action;
use crate::domain::audit::{AuditEvent, AuditOutcome, AuditRecord};
use crate::domain::caller::Authentication;
use crate::domain::dataset::Dataset;
use crate::domain::decision::Decision;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::resource::Resource;
use crate::policy::Bundle;
use crate::service::access::decisions::Authorizer;
use crate::service::audit_trail::AuditTrail;
use crate::service::error::ServiceError;
use crate::service::identity::authentication::CredentialSource;
use crate::service::identity::request_context::RequestContext;
use crate::storage::StorageError;

use super::{AdminAccess, Administration};

/// Up to how many readers of a dataset a decision takes too little time to hold up other requests.
const MAX_READERS_AT_ONCE: usize = 100;

/// Checks that a resource is still in the state that the caller saw (`If-Match`).
pub type Precondition<'a, T> = &'a (dyn Fn(&T) -> Result<(), ServiceError> + Send + Sync);

/// What an operation on a dataset needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DatasetRight {
    /// `administer`.
    Administer,
    /// `administer` or `share`.
    Share,
}

/// A dataset and what an operation needs on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct DatasetTarget {
    pub(super) id: DatasetId,
    pub(super) right: DatasetRight,
}

impl DatasetTarget {
    /// A dataset that is administered.
    pub(super) fn administered(id: DatasetId) -> Self {
        let right = DatasetRight::Administer;
        Self { id, right }
    }

    /// A dataset that is shared.
    pub(super) fn shared(id: DatasetId) -> Self {
        let right = DatasetRight::Share;
        Self { id, right }
    }
}

/// Who runs an operation, and the audit record that is being filled in for it.
pub(super) struct AdminOperation {
    pub(super) request: RequestContext,
    /// None for local access, which no policy restricts. Another one once the caller has waited.
    pub(super) authorizer: Mutex<Option<Arc<Authorizer>>>,
    pub(super) source: Option<CredentialSource>,
    state: Mutex<RecordState>,
}

#[derive(Clone)]
struct RecordState {
    record: AuditRecord,
    is_written: bool,
}

impl Administration {
    /// Runs an operation, and returns its result once its audit record is durable. Anonymous callers
    /// are rejected.
    ///
    /// With local access, only changes are recorded: reads need no permission there, and what failed
    /// changed nothing.
    pub(super) async fn audited<T>(
        &self,
        request: &RequestContext,
        action: Action,
        run: impl AsyncFnOnce(Arc<AdminOperation>) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        let mut record = request.open_record(AuditEvent::Administer, &self.clock);
        record.action = Some(action);
        let authenticated = self.authenticate(request, &mut record).await;
        let (authenticated, rejection) = match authenticated {
            Ok(authenticated) => (authenticated, None),
            Err(error) => (None, Some(error)),
        };
        let (authorizer, source) = authenticated.unzip();
        let operation = Arc::new(AdminOperation {
            request: request.clone(),
            authorizer: Mutex::new(authorizer.map(Arc::new)),
            source: source.flatten(),
            state: Mutex::new(RecordState {
                record,
                is_written: false,
            }),
        });
        let result = match rejection {
            None => Box::pin(run(Arc::clone(&operation))).await,
            Some(error) => Err(error),
        };
        self.close(&operation, result).await
    }

    /// Runs `write`, which writes a change together with the record it is given, in one transaction,
    /// or returns false and writes neither. A change is in force here when this returns.
    pub(super) async fn write_recorded(
        &self,
        operation: &AdminOperation,
        write: impl AsyncFnOnce(AuditRecord) -> Result<bool, StorageError>,
    ) -> Result<bool, ServiceError> {
        let record = AuditRecord {
            outcome: AuditOutcome::Granted,
            ..operation.state.lock().record.clone()
        };
        let is_written = write(record).await?;
        if is_written {
            operation.mark_written();
            if let AdminAccess::Policies(dependencies) = &self.access {
                dependencies.catalog_cache.refresh_after_write().await;
            }
        }
        Ok(is_written)
    }

    /// Records who the caller is in `record`; none for local access.
    async fn authenticate(
        &self,
        request: &RequestContext,
        record: &mut AuditRecord,
    ) -> Result<Option<(Authorizer, Option<CredentialSource>)>, ServiceError> {
        let AdminAccess::Policies(dependencies) = &self.access else {
            record.authentication = Authentication::CommandLine;
            record.request_id = None;
            return Ok(None);
        };
        let authenticator = &dependencies.authenticator;
        let (caller, source) = authenticator.authenticate_with_source(request).await?;
        dependencies.rate_limits.check_request(&caller)?;
        record.set_caller(&caller);
        if caller.principal.is_anonymous() {
            return Err(ServiceError::CredentialMissing {
                detail: "administration requires signing in".to_owned(),
            });
        }
        let authorizer = dependencies.decisions.for_caller(caller)?;
        Ok(Some((authorizer, source)))
    }

    async fn close<T>(
        &self,
        operation: &AdminOperation,
        result: Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        let RecordState {
            mut record,
            is_written,
        } = operation.state.lock().clone();
        if is_written {
            AuditTrail::count_outcome(record.event, record.outcome);
            return result;
        }
        match &self.access {
            AdminAccess::Policies(dependencies) => {
                if result.is_ok() {
                    record.outcome = AuditOutcome::Granted;
                }
                dependencies.audit.close_record(record, result).await
            }
            AdminAccess::Local => result,
        }
    }
}

impl AdminOperation {
    /// Authorizes an action and records the decision; a denial is an error.
    pub(super) fn authorize(
        &self,
        action: Action,
        resource: &Resource,
    ) -> Result<(), ServiceError> {
        let authorizer = self.authorizer();
        let mut state = self.state.lock();
        let record = &mut state.record;
        let Some(authorizer) = authorizer else {
            record.action = Some(action);
            record.dataset_id = resource.dataset_id();
            record.resource_user_id = resource.user_id();
            return Ok(());
        };
        let decision = authorizer.decide_and_record(action, resource, record);
        if decision.is_permitted {
            Ok(())
        } else {
            Err(ServiceError::AdministrationDenied { action })
        }
    }

    /// Authorizes what needs a right on a dataset, and returns the action that is permitted; the decision on it, or on
    /// `administer` if none is, is recorded.
    pub(super) async fn authorize_dataset(
        &self,
        dataset: &Resource,
        right: DatasetRight,
    ) -> Result<Action, ServiceError> {
        let mut action = Action::Administer;
        let Some(authorizer) = self.authorizer() else {
            return self.authorize(action, dataset).map(|()| action);
        };
        let mut decision = decide_dataset(&authorizer, action, dataset).await?;
        let may_share_do =
            right == DatasetRight::Share && authorizer.bundle().declares(Action::Share);
        if may_share_do && !decision.is_permitted {
            let on_share = decide_dataset(&authorizer, Action::Share, dataset).await?;
            if on_share.is_permitted {
                (action, decision) = (Action::Share, on_share);
            }
        }
        let record = &mut self.state.lock().record;
        authorizer.record(&decision, action, dataset, record);
        if decision.is_permitted {
            Ok(action)
        } else {
            Err(ServiceError::AdministrationDenied { action })
        }
    }

    /// Authorizes one more action; only a denial is recorded, so that the record shows the first question.
    pub(super) fn authorize_also(
        &self,
        action: Action,
        resource: &Resource,
    ) -> Result<(), ServiceError> {
        if self.is_permitted(action, resource) {
            return Ok(());
        }
        self.authorize(action, resource)
    }

    /// Records a denial for a reason that is not a decision of the policies.
    pub(super) fn deny(&self, summary: impl Into<String>) {
        let mut state = self.state.lock();
        state.record.outcome = AuditOutcome::Denied;
        state.record.determining_policies.clear();
        state.record.reason = Some(summary.into());
    }

    /// Records what the caller would gain; auditors see it, and the caller does not.
    pub(super) fn deny_privilege(&self, summary: impl Into<String>) -> ServiceError {
        self.deny(summary);
        ServiceError::PrivilegeExceeded
    }

    /// Whether the caller is still decided about as by `authorizer`: by the same policies, as the same caller.
    pub(super) fn is_decided_by(&self, authorizer: Option<&Arc<Authorizer>>) -> bool {
        match (self.authorizer(), authorizer) {
            (None, None) => true,
            (Some(now), Some(before)) => now.is_same(before),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    /// Whether the policies permit an action; the decision is not recorded.
    pub(super) fn is_permitted(&self, action: Action, resource: &Resource) -> bool {
        self.authorizer()
            .is_none_or(|authorizer| authorizer.decide(action, resource).is_permitted)
    }

    /// The user who runs the operation; none with local access.
    pub(super) fn user_id(&self) -> Option<UserId> {
        self.authorizer()?.caller.principal.user_id()
    }

    /// The bundle that decides; an error with local access.
    pub(super) fn bundle(&self) -> Result<Arc<Bundle>, ServiceError> {
        let authorizer = self.authorizer().ok_or_else(no_policies_in_force)?;
        Ok(Arc::clone(authorizer.bundle()))
    }

    /// The authorizer of the caller as it was authenticated last; none for local access.
    pub(super) fn authorizer(&self) -> Option<Arc<Authorizer>> {
        self.authorizer.lock().clone()
    }

    /// Records which dataset was named, whether or not it exists.
    pub(super) fn set_dataset(&self, dataset_id: DatasetId) {
        self.state.lock().record.dataset_id = Some(dataset_id);
    }

    /// Records which user was named, whether or not it exists.
    pub(super) fn set_user(&self, user_id: UserId) {
        self.state.lock().record.resource_user_id = Some(user_id);
    }

    /// Forgets what was about to be done, because it is not.
    pub(super) fn clear_summary(&self) {
        self.state.lock().record.reason = None;
    }

    /// Records what is done, in one sentence for auditors; it must hold no secret.
    pub(super) fn set_summary(&self, summary: impl Into<String>) {
        self.state.lock().record.reason = Some(summary.into());
    }

    fn mark_written(&self) {
        let mut state = self.state.lock();
        state.record.outcome = AuditOutcome::Granted;
        state.is_written = true;
    }
}

/// Decides about a dataset without holding up other requests, however many readers it has.
async fn decide_dataset(
    authorizer: &Arc<Authorizer>,
    action: Action,
    dataset: &Resource,
) -> Result<Decision, ServiceError> {
    let readers = dataset.dataset().map_or(0, Dataset::reader_count);
    if readers > MAX_READERS_AT_ONCE {
        authorizer.decide_in_background(action, dataset).await
    } else {
        Ok(authorizer.decide(action, dataset))
    }
}

/// The error for questions about the policies in force, with local access.
pub(super) fn no_policies_in_force() -> ServiceError {
    let source = "no policies are in force at the command line";
    ServiceError::internal("evaluating the policies in force", source)
}
