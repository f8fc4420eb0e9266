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

use super::asked_contexts::names::name_contexts;
use super::asked_contexts::{ContextScope, ContextSet};
use super::bundle_pair::BundlePair;
use super::catalog_question::CatalogQuestion;
use super::pair_classes::{DatasetShape, PairClasses, PairDecider, PairQuestion};
use super::shared_datasets::shared_at;
use affected::{AffectedPrincipals, ChangeKey, UserDigests, group_changes};
use ineffective::find_ineffective;
use report::ChangedPairs;
use who::UserDescriptions;

pub use change::{ChangeExample, DecisionChange};
pub use ineffective::IneffectivePolicy;
pub use limits::{ComparedCatalog, ComparisonLimits};
pub use report::{BundleComparison, ChangeGroup, UnlistedChanges};
pub use text::ComparisonHints;

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
    let changes = list_changes(&run, &datasets, shapes, limits);
    let is_confined = scope.address.is_some() || scope.time.is_some();
    let (ineffective, more_ineffective) = find_ineffective(&run.decider, is_confined);
    let PairDecider { asked, errors, .. } = &run.decider;
    Ok(BundleComparison {
        from: from.revision().clone(),
        to: to.revision().clone(),
        users: run.users.len(),
        datasets: datasets.len(),
        changed: changes.changed,
        decided: run.decider.decided,
        is_context_read: run.references.has_context,
        unchanged_in: name_contexts(asked, asked.all() & !changes.changing),
        asked: asked.report(),
        is_cut: asked.is_cut,
        is_confined,
        errors: errors.iter().cloned().collect(),
        ineffective,
        more_ineffective,
        groups: changes.groups,
        unlisted: changes.unlisted,
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
        catalog: CatalogQuestion {
            users,
            datasets,
            literals: literals_of(from, to, scope),
            references: from.references().union(to.references()),
        },
    };
    PairClasses::new(bundles, question, scope)
}

/// The groups of changes, the largest first: as many of them as the limits allow are listed, and the others counted.
fn list_changes(
    run: &PairClasses<'_>,
    datasets: &[Arc<Dataset>],
    shapes: Vec<DatasetShape>,
    limits: ComparisonLimits,
) -> ListedChanges {
    let digests = UserDigests::new(run);
    let (groups, changed) = group_changes(run, &digests, shapes);
    let groups = groups
        .into_iter()
        .map(|((change, _, _), (principals, datasets))| CountedGroup {
            change,
            principals,
            datasets,
        });
    let mut counted: Vec<CountedGroup> = groups.collect();
    counted.sort_by_cached_key(CountedGroup::sort_key);
    let mut all = ListedChanges {
        changed,
        changing: counted.iter().fold(0, |any, group| any | group.change.2),
        ..ListedChanges::default()
    };
    let unlisted = counted.split_off(limits.groups.min(counted.len()));
    all.unlisted = UnlistedChanges {
        groups: unlisted.len(),
        decisions: unlisted.iter().map(CountedGroup::size).sum(),
    };
    let describe = UserDescriptions::new(run.users, &digests);
    let listed = counted.into_iter();
    let listed = listed.filter_map(|group| group.list(run, datasets, &describe, limits));
    all.groups = listed.collect();
    all.groups.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
    all
}

/// All changes, some of them listed.
#[derive(Default)]
struct ListedChanges {
    groups: Vec<ChangeGroup>,
    unlisted: UnlistedChanges,
    /// How many decisions change.
    changed: u64,
    /// The contexts in which any does.
    changing: ContextSet,
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
struct CountedGroup {
    change: ChangeKey,
    principals: AffectedPrincipals,
    /// The places of its datasets.
    datasets: Vec<usize>,
}

impl CountedGroup {
    /// How many decisions change.
    fn size(&self) -> u64 {
        let principals = self.principals.users.count + usize::from(self.principals.is_anonymous);
        u64::try_from(principals.saturating_mul(self.datasets.len())).unwrap_or(u64::MAX)
    }

    /// Orders groups by size, the largest first.
    fn sort_key(&self) -> impl Ord + use<> {
        let (action, change, contexts) = self.change;
        let first = self.datasets.first().copied();
        (
            std::cmp::Reverse(self.size()),
            action,
            change,
            first,
            contexts,
        )
    }

    fn list(
        self,
        run: &PairClasses<'_>,
        datasets: &[Arc<Dataset>],
        describe: &UserDescriptions,
        limits: ComparisonLimits,
    ) -> Option<ChangeGroup> {
        let (action, change, contexts) = self.change;
        let users = self.principals.places(run).into_iter().take(limits.users);
        let users = users.filter_map(|place| run.users.get(place).cloned());
        let users: Vec<Arc<User>> = users.collect();
        let places = self.datasets.clone();
        let affected = places.iter().filter_map(|place| datasets.get(*place));
        let first = users.first().filter(|_| !self.principals.is_anonymous);
        let principal = first.map_or(Principal::Anonymous, |user| {
            Principal::User(Arc::clone(user))
        });
        let dataset = affected.clone().next()?;
        let asked = &run.decider.asked;
        let example = ChangeExample::new(asked, principal, dataset, contexts);
        let change = (*ACTIONS.get(action)?, change, contexts);
        let members = ChangedPairs {
            is_anonymous: self.principals.is_anonymous,
            user_set: self.principals.users,
            places: self.datasets,
        };
        let affected = affected.take(limits.datasets);
        let mut group = ChangeGroup::new(change, members, &users, affected).with_example(example);
        group.describe_users(describe.of(self.principals.users));
        group.describe_contexts(asked);
        Some(group)
    }
}

#[cfg(test)]
mod tests;
