//! The part of the catalog that an author may see: users on whom it has `view_users`, and datasets that it may administer.
//!
//! What a draft decides about a user or a dataset tells what attributes it has. So nobody else takes part, and nobody else
//! is counted. The policies in force say who that is, not the draft.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::domain::action::Action;
use crate::domain::dataset::Dataset;
use crate::domain::principal::{Principal, User};
use crate::domain::resource::Resource;
use crate::service::access::decisions::Authorizer;
use crate::service::administration::operation::{AdminOperation, no_policies_in_force};
use crate::service::administration::{AdminAccess, Administration};
use crate::service::catalog_snapshots::{CatalogSnapshot, ViewKey};
use crate::service::error::ServiceError;
use crate::service::policies::reload::run_on_policy_thread;
use crate::service::policies::review::budget::{ReviewBudget, ReviewStopped};
use crate::service::policies::review::matrix::MatrixCatalog;
use crate::service::policies::review::visible::Viewer;

/// The most decisions of one review, and the longest time that it may take: shorter than a request may.
const MAX_REVIEW_DECISIONS: u64 = 3_000_000;
const MAX_REVIEW_TIME: Duration = Duration::from_secs(20);

/// Gives a review up when nobody waits for it any more.
struct GivenUpOnDrop(Arc<AtomicBool>);

impl Drop for GivenUpOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Administration {
    /// Reviews the part of the catalog that the caller may see, in its turn, on a thread of its own; it is given up when
    /// the caller goes away.
    pub(super) async fn review_visible<T, E>(
        &self,
        operation: &AdminOperation,
        review: impl FnOnce(&Authorizer, &MatrixCatalog, &ReviewBudget) -> Result<T, E> + Send + 'static,
    ) -> Result<T, ServiceError>
    where
        T: Send + 'static,
        E: Into<ServiceError> + Send + 'static,
    {
        let authorizer = operation.authorizer().ok_or_else(no_policies_in_force)?;
        let AdminAccess::Policies(dependencies) = &self.access else {
            return Err(no_policies_in_force());
        };
        let turn = self.review_turns.take(Some(&authorizer.caller)).await?;
        self.charge(operation);
        let cache = &dependencies.catalog_cache;
        let snapshot = self
            .catalog_snapshots
            .current(&self.database, cache)
            .await?;
        let snapshots = Arc::clone(&self.catalog_snapshots);
        let budget = ReviewBudget::new(MAX_REVIEW_DECISIONS, MAX_REVIEW_TIME);
        let _given_up = GivenUpOnDrop(Arc::clone(&budget.is_given_up));
        let work = move || {
            // Held by the thread: the request may be cancelled meanwhile.
            let _turn = turn;
            let (caller, bundle) = (&authorizer.caller, authorizer.bundle());
            let second = authorizer.context().unix_millis.div_euclid(1_000);
            let known = snapshots.view(&snapshot, caller, bundle, second);
            let view = if let Some(view) = known {
                view
            } else {
                let view = Arc::new(visible(&authorizer, &snapshot, &budget)?);
                let key = ViewKey {
                    caller: caller.clone(),
                    bundle: Arc::clone(bundle),
                    seconds: (second, seen_until(&authorizer, &snapshot, second)),
                };
                snapshots.keep_view(&snapshot, key, &view);
                view
            };
            review(&authorizer, &view, &budget).map_err(Into::into)
        };
        run_on_policy_thread(work).await?
    }
}

/// The users and datasets that the caller may see. Finding out takes of the time of the review.
fn visible(
    authorizer: &Authorizer,
    snapshot: &CatalogSnapshot,
    budget: &ReviewBudget,
) -> Result<MatrixCatalog, ReviewStopped> {
    let Principal::User(user) = &authorizer.caller.principal else {
        return Ok(MatrixCatalog::default());
    };
    let keep_on = |decided| budget.check(decided);
    let key = authorizer.caller.key.as_ref();
    let viewer = Viewer {
        user,
        key_datasets: key.and_then(|key| key.scope.datasets()),
        bundle: authorizer.bundle(),
        unix_seconds: authorizer.context().unix_millis.div_euclid(1_000),
    };
    let may = |action, resource| authorizer.decide(action, &resource).is_permitted;
    let users = viewer.users(
        Action::ViewUsers,
        &snapshot.users,
        |user: &Arc<User>| may(Action::ViewUsers, Resource::User(Arc::clone(user))),
        keep_on,
    )?;
    let datasets = viewer.datasets(
        Action::Administer,
        &snapshot.datasets,
        |dataset: &Arc<Dataset>| may(Action::Administer, Resource::Dataset(Arc::clone(dataset))),
        keep_on,
    )?;
    Ok(MatrixCatalog::new(&users, datasets))
}

/// Until when that is so: until the next second if the policies look at the time or at anything else of the request,
/// and until the next share ends.
fn seen_until(authorizer: &Authorizer, snapshot: &CatalogSnapshot, second: i64) -> i64 {
    let actions = [Action::ViewUsers, Action::Administer];
    let references = authorizer.bundle().references_for(&actions);
    if references.has_context || references.is_everything {
        return second + 1;
    }
    let ends = snapshot.datasets.iter().map(|dataset| &dataset.share_ends);
    let ends = ends.flat_map(|ends| ends.users.values().chain(ends.roles.values()));
    let later = ends.copied().filter(|end| *end > second);
    later.min().unwrap_or(i64::MAX)
}

impl From<ReviewStopped> for ServiceError {
    fn from(stopped: ReviewStopped) -> Self {
        match stopped {
            ReviewStopped::GivenUp => Self::unavailable("the review", stopped),
            ReviewStopped::TooMuch => {
                let hint = "ask about fewer people or datasets, or in one context";
                Self::conflict("draft", format!("{stopped}: {hint}"))
            }
        }
    }
}
