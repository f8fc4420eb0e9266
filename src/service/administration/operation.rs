//! One administrative operation: authenticate, authorize, act, audit.
//!
//! [`Administration::audited`] owns the beginning and the end of every operation, so that none can
//! miss its audit record. The record of a change is written in the change's own transaction
//! ([`Administration::optimistically`], [`Administration::write_recorded`]).

use std::sync::Arc;

use parking_lot::Mutex;

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
use crate::storage::{CatalogChange, StorageError};

use super::{AdminAccess, Administration};

/// How often a change is attempted while others keep changing the catalog.
const MAX_ATTEMPTS: u32 = 10;

/// Whether a resource is still in the state that the caller saw (`If-Match`).
pub type Precondition<'a, T> = &'a (dyn Fn(&T) -> bool + Send + Sync);

/// Who runs an operation, and the audit record that is being filled in for it.
pub(super) struct AdminOperation {
    /// None for local access, which no policy restricts.
    authorizer: Option<Arc<Authorizer>>,
    state: Mutex<RecordState>,
}

#[derive(Clone)]
struct RecordState {
    record: AuditRecord,
    is_written: bool,
}

/// What one attempt at a change of the catalog came to.
pub(super) enum Attempt<T> {
    /// The change to write, and what to return once it is written.
    Write(CatalogChange, T),
    /// The catalog is already as requested.
    Unchanged(T),
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
        let (authorizer, rejection) = match authenticated {
            Ok(authorizer) => (authorizer, None),
            Err(error) => (None, Some(error)),
        };
        let operation = Arc::new(AdminOperation {
            authorizer: authorizer.map(Arc::new),
            state: Mutex::new(RecordState {
                record,
                is_written: false,
            }),
        });
        let result = match rejection {
            None => run(Arc::clone(&operation)).await,
            Some(error) => Err(error),
        };
        self.close(&operation, result).await
    }

    /// Attempts a change of the catalog again while others change it in between; a change is written
    /// together with the operation's record.
    pub(super) async fn optimistically<T, F>(
        &self,
        operation: &AdminOperation,
        attempt: impl Fn() -> F,
    ) -> Result<T, ServiceError>
    where
        F: Future<Output = Result<Attempt<T>, ServiceError>>,
    {
        let _writes = self.write_lock.lock().await;
        for _ in 0..MAX_ATTEMPTS {
            let version = self.database.catalog_version().await?;
            let (mut change, result) = match attempt().await? {
                Attempt::Write(change, result) => (change, result),
                Attempt::Unchanged(result) => return Ok(result),
            };
            change.is_by_operator = matches!(self.access, AdminAccess::Local);
            let write = async |record| {
                change.records.push(record);
                match self.database.write_catalog(&change, version).await {
                    Ok(_) => Ok(true),
                    Err(StorageError::Conflict { .. }) => Ok(false),
                    Err(error) => Err(error),
                }
            };
            if self.write_recorded(operation, write).await? {
                return Ok(result);
            }
        }
        let source = "too many concurrent changes";
        Err(ServiceError::unavailable("the catalog", source))
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
    ) -> Result<Option<Authorizer>, ServiceError> {
        let AdminAccess::Policies(dependencies) = &self.access else {
            record.authentication = Authentication::CommandLine;
            record.request_id = None;
            return Ok(None);
        };
        let caller = dependencies.authenticator.authenticate(request).await?;
        dependencies.rate_limits.check_request(&caller)?;
        record.set_caller(&caller);
        if caller.principal.is_anonymous() {
            return Err(ServiceError::CredentialMissing {
                detail: "administration requires signing in".to_owned(),
            });
        }
        Ok(Some(dependencies.decisions.for_caller(caller)))
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
        let mut state = self.state.lock();
        let record = &mut state.record;
        let Some(authorizer) = &self.authorizer else {
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

    /// Whether the policies permit an action; the decision is not recorded.
    pub(super) fn is_permitted(&self, action: Action, resource: &Resource) -> bool {
        self.authorizer
            .as_ref()
            .is_none_or(|authorizer| authorizer.decide(action, resource).is_permitted)
    }

    /// The items of a list on which the policies permit an action; the decisions are not recorded.
    pub(super) async fn filter_permitted<T: Send + 'static>(
        &self,
        action: Action,
        items: Vec<T>,
        resource_of: fn(&T) -> Resource,
    ) -> Result<Vec<T>, ServiceError> {
        let Some(authorizer) = &self.authorizer else {
            return Ok(items);
        };
        let keep_permitted = move |authorizer: &Authorizer, item: T| {
            let decision = authorizer.decide(action, &resource_of(&item));
            decision.is_permitted.then_some(item)
        };
        authorizer.filter_map(items, keep_permitted).await
    }

    /// Evaluates the bundle on a thread for blocking work; an error without one.
    pub(super) async fn run_blocking<T: Send + 'static>(
        &self,
        evaluate: impl Fn(&Bundle) -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        let authorizer = self.authorizer.as_ref().ok_or_else(no_policies_in_force)?;
        let evaluate = move |authorizer: &Authorizer, ()| Some(evaluate(authorizer.bundle()));
        let results = authorizer.filter_map(vec![()], evaluate).await?;
        results.into_iter().next().ok_or_else(no_policies_in_force)
    }

    /// The bundle that decides; an error with local access.
    pub(super) fn bundle(&self) -> Result<&Arc<Bundle>, ServiceError> {
        let authorizer = self.authorizer.as_deref();
        authorizer
            .map(Authorizer::bundle)
            .ok_or_else(no_policies_in_force)
    }

    /// Records which dataset was named, whether or not it exists.
    pub(super) fn set_dataset(&self, dataset_id: DatasetId) {
        self.state.lock().record.dataset_id = Some(dataset_id);
    }

    /// Records which user was named, whether or not it exists.
    pub(super) fn set_user(&self, user_id: UserId) {
        self.state.lock().record.resource_user_id = Some(user_id);
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

/// The error for questions about the policies in force, with local access.
pub(super) fn no_policies_in_force() -> ServiceError {
    let source = "no policies are in force at the command line";
    ServiceError::internal("evaluating the policies in force", source)
}
