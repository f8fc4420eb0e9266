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
use crate::service::fair_turns::Turn;
use crate::service::identity::authentication::CredentialSource;
use crate::service::identity::request_context::RequestContext;
use crate::storage::{CatalogChange, StorageError};

use super::{AdminAccess, Administration};

/// How often a change is attempted while others keep changing the catalog.
const MAX_ATTEMPTS: u32 = 10;
/// How many attempts decide before they take a turn to write. Whoever lost all of them to others takes
/// its turn first: it was permitted, and is slower than they are.
const MAX_ATTEMPTS_WITHOUT_TURN: u32 = 3;

/// Whether a resource is still in the state that the caller saw (`If-Match`).
pub type Precondition<'a, T> = &'a (dyn Fn(&T) -> bool + Send + Sync);

/// Who runs an operation, and the audit record that is being filled in for it.
pub(super) struct AdminOperation {
    request: RequestContext,
    /// None for local access, which no policy restricts. Another one once the caller has waited.
    authorizer: Mutex<Option<Arc<Authorizer>>>,
    source: Option<CredentialSource>,
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

    /// Attempts a change of the catalog again while others change it in between; a change is written
    /// together with the operation's record.
    ///
    /// Each attempt authenticates the caller and asks the policies in force, however long ago that was
    /// done before. A refused caller never gets as far as waiting for the others.
    pub(super) async fn optimistically<T, F>(
        &self,
        operation: &AdminOperation,
        attempt: impl Fn() -> F,
    ) -> Result<T, ServiceError>
    where
        F: Future<Output = Result<Attempt<T>, ServiceError>>,
    {
        for number in 0..MAX_ATTEMPTS {
            let mut turn = None;
            if number >= MAX_ATTEMPTS_WITHOUT_TURN {
                turn = Some(self.take_write_turn(operation).await?);
            }
            let version = self.database.catalog_version().await?;
            if let AdminAccess::Policies(dependencies) = &self.access {
                dependencies.catalog_cache.catch_up(version).await?;
            }
            self.reauthenticate(operation).await?;
            let (mut change, result) = match attempt().await? {
                Attempt::Write(change, result) => (change, result),
                Attempt::Unchanged(result) => return Ok(result),
            };
            if turn.is_none() {
                turn = Some(self.take_write_turn(operation).await?);
            }
            if self.reauthenticate(operation).await? {
                // What was decided was decided for another caller, or by other policies.
                continue;
            }
            let write = async |record| {
                change.records.push(record);
                match self.database.write_catalog(&change, version).await {
                    Ok(_) => Ok(true),
                    Err(StorageError::Conflict { .. }) => Ok(false),
                    Err(error) => Err(error),
                }
            };
            let is_written = self.write_recorded(operation, write).await?;
            drop(turn);
            if is_written {
                return Ok(result);
            }
        }
        let source = "too many concurrent changes";
        Err(ServiceError::unavailable("the catalog", source))
    }

    async fn take_write_turn(&self, operation: &AdminOperation) -> Result<Turn, ServiceError> {
        let authorizer = operation.authorizer();
        let caller = authorizer.as_ref().map(|authorizer| &authorizer.caller);
        self.write_turns.take(caller).await
    }

    /// Authenticates the caller of an operation again and takes the policies in force; returns whether
    /// they, the caller or the context changed, so that what was decided has to be decided again.
    pub(super) async fn reauthenticate(
        &self,
        operation: &AdminOperation,
    ) -> Result<bool, ServiceError> {
        let AdminAccess::Policies(dependencies) = &self.access else {
            return Ok(false);
        };
        let Some(before) = operation.authorizer() else {
            return Ok(false);
        };
        let (request, source) = (&operation.request, operation.source.as_ref());
        let again = dependencies
            .authenticator
            .authenticate_again(request, &before.caller, source)
            .await
            .inspect_err(|_| operation.state.lock().record.reason = None)?;
        let now = dependencies.decisions.for_caller(again);
        if before.is_same(&now) {
            return Ok(false);
        }
        *operation.authorizer.lock() = Some(Arc::new(now));
        Ok(true)
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
        Ok(Some((dependencies.decisions.for_caller(caller), source)))
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

    /// The items of a list on which the policies permit an action; the decisions are not recorded.
    pub(super) async fn filter_permitted<T: Send + 'static>(
        &self,
        action: Action,
        items: Vec<T>,
        resource_of: fn(&T) -> Resource,
    ) -> Result<Vec<T>, ServiceError> {
        let Some(authorizer) = self.authorizer() else {
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
        let authorizer = self.authorizer().ok_or_else(no_policies_in_force)?;
        let evaluate = move |authorizer: &Authorizer, ()| Some(evaluate(authorizer.bundle()));
        let results = authorizer.filter_map(vec![()], evaluate).await?;
        results.into_iter().next().ok_or_else(no_policies_in_force)
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
