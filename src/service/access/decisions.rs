//! Decisions: asks the policies for one caller, and then checks the scope of the caller's API key.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::domain::action::Action;
use crate::domain::audit::{AuditOutcome, AuditRecord};
use crate::domain::caller::{Caller, DecisionContext, UNSPECIFIED_ADDRESS};
use crate::domain::clock::Clock;
use crate::domain::decision::Decision;
use crate::domain::id::DatasetId;
use crate::domain::request_ids::RequestIds;
use crate::domain::resource::Resource;
use crate::domain::text_enum::TextEnum as _;
use crate::policy::{Bundle, LiveBundle};
use crate::service::error::ServiceError;
use crate::service::fair_turns::{FairTurns, Turn, TurnLimits};

/// How many evaluation errors of one request are logged one by one; the others are counted, so that a
/// broken policy does not write a line for each dataset of a list.
const MAX_LOGGED_ERRORS: u64 = 4;

/// What the record of a denied page says.
const BORROWED_ADDRESS: &str = "asked by a web page of another origin, to which an address grants nothing; see \
                                allowed_origins";
/// How many turns to list one network holds or waits for with the others.
const MAX_LIST_TURNS_PER_NETWORK: usize = 1;
/// How long a list waits for its turn.
const MAX_LIST_WAIT: Duration = Duration::from_secs(20);

/// Creates the authorizers of callers.
pub struct Decisions {
    bundle: Arc<LiveBundle>,
    clock: Clock,
    list_turns: Arc<FairTurns>,
    candidate_permits: Arc<Semaphore>,
}

/// Decides for one caller, at one time, with one bundle.
///
/// All decisions of one request use one authorizer: a bundle that is replaced meanwhile cannot
/// decide half of it.
pub struct Authorizer {
    /// The caller.
    pub caller: Caller,
    context: DecisionContext,
    bundle: Arc<Bundle>,
    list_turns: Arc<FairTurns>,
    candidate_permits: Arc<Semaphore>,
    error_count: AtomicU64,
}

impl Decisions {
    /// Decisions by the current policies, at the time of `clock`.
    ///
    /// Lists are read and filtered on at most half of the cores, so that requests about one dataset need
    /// not wait for requests about thousands. A turn is short, and each user and network waits with at
    /// most one: so they take turns with each other, however many requests one of them has.
    #[must_use]
    pub fn new(bundle: Arc<LiveBundle>, clock: Clock) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            bundle,
            clock,
            list_turns: Arc::new(FairTurns::new(TurnLimits {
                total: (cores / 2).max(1),
                per_user: 1,
                per_network: MAX_LIST_TURNS_PER_NETWORK,
                wait: MAX_LIST_WAIT,
                what: "listing",
            })),
            candidate_permits: Arc::new(Semaphore::new((cores / 2).max(1))),
        }
    }

    /// The authorizer of a caller, with the policies that are in force now; unavailable until some are.
    pub fn for_caller(&self, caller: Caller) -> Result<Authorizer, ServiceError> {
        if self.bundle.is_closed() {
            let source = "the policies are not proved yet";
            return Err(ServiceError::unavailable("a decision", source));
        }
        Ok(Authorizer {
            context: caller.context(self.clock.unix_millis()),
            bundle: self.bundle.current(),
            caller,
            list_turns: Arc::clone(&self.list_turns),
            candidate_permits: Arc::clone(&self.candidate_permits),
            error_count: AtomicU64::new(0),
        })
    }
}

impl Authorizer {
    /// The bundle that decides.
    #[must_use]
    pub fn bundle(&self) -> &Arc<Bundle> {
        &self.bundle
    }

    /// The context of its decisions.
    #[must_use]
    pub fn context(&self) -> &DecisionContext {
        &self.context
    }

    /// Whether `other` asks the same policies about the same caller in the same context.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let second = |context: &DecisionContext| context.unix_millis.div_euclid(1000);
        self.caller == other.caller
            && Arc::ptr_eq(&self.bundle, &other.bundle)
            && second(&self.context) == second(&other.context)
    }

    /// Asks the policies, and then checks the scope of the caller's API key: what lies outside it is
    /// denied whatever the policies say. No policy determined that, and the record says so.
    #[must_use]
    pub fn decide(&self, action: Action, resource: &Resource) -> Decision {
        let mut decision = self.ask_policies(action, resource);
        self.report_errors(&decision.errors, action.as_str(), resource.dataset_id());
        if self.key_scope_violation(action, resource).is_some() {
            decision.is_permitted = false;
            decision.determining_policies.clear();
        }
        decision
    }

    /// Counts and logs the evaluation errors of a decision about an action.
    pub fn report_errors(&self, errors: &[String], action: &str, dataset_id: Option<DatasetId>) {
        for error in errors {
            metrics::counter!("cedargate_policy_evaluation_errors_total").increment(1);
            if self.error_count.fetch_add(1, Ordering::Relaxed) >= MAX_LOGGED_ERRORS {
                continue;
            }
            tracing::error!(
                error,
                action,
                dataset_id = dataset_id.map(tracing::field::display),
                revision = %self.bundle.revision(),
                "policy evaluation error; the action is denied"
            );
        }
    }

    /// Asks the policies. What they permit to an anonymous page of a foreign origin, they must permit
    /// from the unspecified address too: the page has the address of its reader, and no right to use it.
    fn ask_policies(&self, action: Action, resource: &Resource) -> Decision {
        let ask = |context| {
            self.bundle
                .decide(&self.caller.principal, action, resource, context)
        };
        let decision = ask(&self.context);
        if !decision.is_permitted || !self.is_address_borrowed() {
            return decision;
        }
        let mut elsewhere = ask(&DecisionContext {
            address: Some(UNSPECIFIED_ADDRESS),
            ..self.context.clone()
        });
        elsewhere.max_ttl = elsewhere.max_ttl.min(decision.max_ttl);
        elsewhere
    }

    /// Whether the policies read the address of a caller who is a page of a foreign origin.
    fn is_address_borrowed(&self) -> bool {
        self.caller.is_foreign_page
            && self.caller.principal.is_anonymous()
            && self.bundle.reads_address()
    }

    /// Decides, and writes the question and the decision into `record`.
    pub fn decide_and_record(
        &self,
        action: Action,
        resource: &Resource,
        record: &mut AuditRecord,
    ) -> Decision {
        let decision = self.decide(action, resource);
        self.record(&decision, action, resource, record);
        decision
    }

    /// Decides about a dataset with so many readers that it would hold up other requests, on a thread for
    /// blocking work.
    pub async fn decide_in_background(
        self: &Arc<Self>,
        action: Action,
        resource: &Resource,
    ) -> Result<Decision, ServiceError> {
        let resource = resource.clone();
        self.run_blocking(move |authorizer| authorizer.decide(action, &resource))
            .await
    }

    /// Decides what would hold up other requests for some milliseconds, on a thread for blocking work.
    pub(in crate::service) async fn run_blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        let permit = Arc::clone(&self.candidate_permits).acquire_owned().await;
        let (authorizer, request) = (Arc::clone(self), RequestIds::current());
        let deciding = tokio::task::spawn_blocking(move || {
            // Held by the thread: the request may be cancelled meanwhile.
            let _permit = permit;
            RequestIds::in_scope(request, || work(&authorizer))
        });
        deciding
            .await
            .map_err(|error| ServiceError::internal("deciding", error))
    }

    /// Writes the question and the decision into `record`.
    pub fn record(
        &self,
        decision: &Decision,
        action: Action,
        resource: &Resource,
        record: &mut AuditRecord,
    ) {
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
            let borrowed = self.is_address_borrowed().then_some(BORROWED_ADDRESS);
            record.reason = self
                .key_scope_violation(action, resource)
                .or(borrowed)
                .map(str::to_owned);
        }
    }

    /// Takes a turn for reading a part of a list and deciding about it.
    pub(in crate::service) async fn list_turn(&self) -> Result<Turn, ServiceError> {
        self.list_turns.take(Some(&self.caller)).await
    }

    /// Maps each of `items` and keeps the results that are some, on a thread where many decisions
    /// block no other request.
    pub(in crate::service) async fn filter_map<T, R>(
        self: &Arc<Self>,
        turn: Turn,
        items: Vec<T>,
        map: impl Fn(&Self, T) -> Option<R> + Send + 'static,
    ) -> Result<Vec<R>, ServiceError>
    where
        T: Send + 'static,
        R: Send + 'static,
    {
        let (authorizer, request) = (Arc::clone(self), RequestIds::current());
        let filtered = tokio::task::spawn_blocking(move || {
            // Held by the thread: the request may be cancelled meanwhile.
            let _turn = turn;
            let items = items.into_iter();
            RequestIds::in_scope(request, || {
                items.filter_map(|item| map(&authorizer, item)).collect()
            })
        });
        filtered
            .await
            .map_err(|error| ServiceError::internal("filtering a list", error))
    }

    /// Why an action lies outside the scope of the caller's API key, if it does.
    fn key_scope_violation(&self, action: Action, resource: &Resource) -> Option<&'static str> {
        let key = self.caller.key.as_ref()?;
        key.scope.violation(action, resource.dataset_id())
    }
}

impl Drop for Authorizer {
    fn drop(&mut self) {
        let errors = *self.error_count.get_mut();
        if errors > MAX_LOGGED_ERRORS {
            tracing::error!(
                errors,
                revision = %self.bundle.revision(),
                "number of policy evaluation errors of one request; each denied the action"
            );
        }
    }
}
