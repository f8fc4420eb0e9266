//! Comparison: the decisions that another bundle would change, over a whole catalog.
//!
//! Every principal, action and dataset is covered, but most are not decided one by one: principals and
//! datasets with equal projections are decided once (`projection` says why that is sound). Disabled
//! users are denied whatever the policies say, and take no part.
//!
//! Each of them is decided in every context that the policies can tell apart (`asked_contexts`), so that an edit cannot
//! hide behind the address, the time or the API key of whoever asks. Where nothing changes, `ineffective` says why.

mod affected;
mod change;
mod examples;
mod ineffective;
mod limits;
mod report;
mod text;
mod who;

use std::convert::Infallible;
use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::dataset::Dataset;
use crate::domain::principal::{Principal, User};
use crate::policy::Bundle;
use crate::policy::context_literals::ContextLiterals;
use crate::storage::Catalog;

use super::asked_contexts::ContextScope;
use super::asked_contexts::names::name_contexts;
use super::bundle_pair::BundlePair;
use super::pair_classes::{DatasetShape, PairClasses, PairDecider, PairQuestion};
use super::shared_datasets::shared_at;
use affected::{AffectedPrincipals, ChangeKey, UserDigests, group_changes};
use ineffective::find_ineffective;
use who::UserDescriptions;

pub use change::{ChangeExample, DecisionChange};
pub use ineffective::IneffectivePolicy;
pub use limits::{ComparedCatalog, ComparisonLimits};
pub use report::{BundleComparison, ChangeGroup};

/// The actions that are compared.
const ACTIONS: [Action; 3] = Action::DATASET_ACTIONS;

/// Compares the decisions of two bundles over a catalog; calls `advance` after each dataset.
pub fn compare(
    from: &Bundle,
    to: &Bundle,
    catalog: Catalog,
    scope: &ContextScope,
    mut advance: impl FnMut(),
) -> BundleComparison {
    let users = catalog.users.into_iter().map(|record| record.user);
    let users = users.filter(|user| !user.is_disabled).map(Arc::new);
    let datasets = catalog.datasets.into_iter().map(Arc::new);
    let catalog = ComparedCatalog {
        users: users.collect(),
        datasets: datasets.collect(),
    };
    let keep_on = |_, datasets| {
        (0..datasets).for_each(|_| advance());
        Ok::<(), Infallible>(())
    };
    let bundles = BundlePair { from, to };
    let Ok(comparison) = compare_within(bundles, &catalog, scope, ComparisonLimits::NONE, keep_on);
    comparison
}

/// Compares the decisions of two bundles over a part of a catalog, and lists as much of it as the limits allow.
///
/// `keep_on` is told how many decisions were made so far, and about how many datasets more; its error ends the
/// comparison.
pub fn compare_within<E>(
    bundles: BundlePair<'_>,
    catalog: &ComparedCatalog,
    scope: &ContextScope,
    limits: ComparisonLimits,
    keep_on: impl FnMut(u64, usize) -> Result<(), E>,
) -> Result<BundleComparison, E> {
    // What has ended is no share: projections compare what is left at the time asked about, or now.
    let second = scope.time.unwrap_or(scope.now);
    let datasets = catalog.datasets.iter();
    let datasets: Vec<_> = datasets.map(|dataset| shared_at(dataset, second)).collect();
    let BundlePair { from, to } = bundles;
    let mut run = classes_of(bundles, &catalog.users, &datasets, scope);
    let shapes = run.decide_shapes(0..datasets.len(), &|_| true, keep_on)?;
    let groups = list_changes(&run, &datasets, shapes, limits);
    let is_confined = scope.address.is_some() || scope.time.is_some();
    let (ineffective, more_ineffective) = find_ineffective(&run.decider, is_confined);
    let changing = groups.iter().fold(0, |all, group| all | group.contexts);
    let PairDecider { asked, errors, .. } = &run.decider;
    Ok(BundleComparison {
        from: from.revision().clone(),
        to: to.revision().clone(),
        users: run.users.len(),
        datasets: datasets.len(),
        changed: groups.iter().map(ChangeGroup::size).sum(),
        decided: run.decider.decided,
        is_context_read: run.references.has_context,
        unchanged_in: name_contexts(asked, asked.all() & !changing),
        asked: asked.report(),
        is_cut: asked.is_cut,
        is_confined,
        errors: errors.iter().cloned().collect(),
        ineffective,
        more_ineffective,
        groups,
    })
}

/// The classes that are compared; nothing is decided yet.
fn classes_of<'a>(
    bundles: BundlePair<'a>,
    users: &'a [Arc<User>],
    datasets: &'a [Arc<Dataset>],
    scope: &ContextScope,
) -> PairClasses<'a> {
    let BundlePair { from, to } = bundles;
    let question = PairQuestion {
        actions: &ACTIONS,
        users,
        datasets,
        literals: literals_of(from, to, scope),
        references: from.references().union(to.references()),
    };
    PairClasses::new(bundles, question, scope)
}

/// The groups of changes, as much of them listed as the limits allow: the largest ones.
fn list_changes(
    run: &PairClasses<'_>,
    datasets: &[Arc<Dataset>],
    shapes: Vec<DatasetShape>,
    limits: ComparisonLimits,
) -> Vec<ChangeGroup> {
    let digests = UserDigests::new(run);
    let groups = group_changes(run, &digests, shapes).into_iter();
    let mut groups: Vec<UnlistedGroup> = groups
        .map(|((change, _, _), (principals, datasets))| UnlistedGroup {
            change,
            principals,
            datasets,
        })
        .collect();
    groups.sort_by_cached_key(UnlistedGroup::sort_key);
    let describe = UserDescriptions::new(run.users, &digests);
    let groups = groups.into_iter().enumerate().filter_map(|(place, group)| {
        let listed = limits.of_group(place);
        group.list(run, datasets, &describe, listed)
    });
    let mut groups: Vec<ChangeGroup> = groups.collect();
    let listed = limits.groups.min(groups.len());
    if let Some(listed) = groups.get_mut(..listed) {
        listed.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
    }
    groups
}

/// What policies and invariants compare the context with: first of all the policies that an edit changes.
fn literals_of(from: &Bundle, to: &Bundle, scope: &ContextScope) -> ContextLiterals {
    let changed = to.differing_literals(from);
    let policies = changed
        .and(to.context_literals())
        .and(from.context_literals());
    policies.and(scope.literals.clone())
}

/// A group of changes, of which nothing is listed yet.
struct UnlistedGroup {
    change: ChangeKey,
    principals: AffectedPrincipals,
    /// The places of its datasets.
    datasets: Vec<usize>,
}

impl UnlistedGroup {
    /// Orders groups by size, the largest first.
    fn sort_key(&self) -> impl Ord + use<> {
        let principals = self.principals.users.count + usize::from(self.principals.is_anonymous);
        let size = principals.saturating_mul(self.datasets.len());
        let (action, change, contexts) = self.change;
        let first = self.datasets.first().copied();
        (std::cmp::Reverse(size), action, change, first, contexts)
    }

    fn list(
        self,
        run: &PairClasses<'_>,
        datasets: &[Arc<Dataset>],
        describe: &UserDescriptions,
        listed: Option<ComparisonLimits>,
    ) -> Option<ChangeGroup> {
        let Self {
            change: (action, change, contexts),
            principals,
            datasets: places,
        } = self;
        let mut group = ChangeGroup::unlisted(
            (*ACTIONS.get(action)?, change, contexts),
            (principals.is_anonymous, principals.users),
            places,
        );
        let Some(limits) = listed else {
            return Some(group);
        };
        let users: Vec<Arc<User>> = principals
            .places(run)
            .into_iter()
            .take(limits.users)
            .filter_map(|place| run.users.get(place).cloned())
            .collect();
        let places = group.places.clone();
        let affected = places.iter().filter_map(|place| datasets.get(*place));
        let first = users.first().filter(|_| !principals.is_anonymous);
        let principal = first.map_or(Principal::Anonymous, |user| {
            Principal::User(Arc::clone(user))
        });
        let dataset = affected.clone().next()?;
        let example = ChangeExample::new(&run.decider.asked, principal, dataset, contexts);
        group.list(users, affected.take(limits.datasets), example);
        group.describe_users(describe.of(principals.users));
        group.describe_contexts(&run.decider.asked);
        Some(group)
    }
}

#[cfg(test)]
mod tests;
