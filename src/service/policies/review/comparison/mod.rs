//! Comparison: the decisions that another bundle would change, over a whole catalog.
//!
//! Every principal, action and dataset is covered, but most are not decided one by one: principals and
//! datasets with equal projections are decided once (`projection` says why that is sound). Disabled
//! users are denied whatever the policies say, and take no part.
//!
//! Each of them is decided in every context that the policies can tell apart (`asked_contexts`), so that an edit cannot
//! hide behind the address, the time or the API key of whoever asks. Where nothing changes, `ineffective` says why.

mod change;
mod deciding;
mod examples;
mod ineffective;
mod report;
mod text;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::domain::attributes::AttributeOwner;
use crate::domain::dataset::Dataset;
use crate::domain::id::{DatasetId, UserId};
use crate::domain::name::RoleName;
use crate::domain::principal::{Principal, User};
use crate::policy::Bundle;
use crate::policy::attributes::AttributeReferences;
use crate::policy::context_literals::ContextLiterals;
use crate::policy::references::PolicyReferences;
use crate::storage::Catalog;

use super::asked_contexts::names::name_contexts;
use super::asked_contexts::{AskedContexts, ContextScope, ContextSet};
use super::projection::{
    AttributeViews, PrincipalProjection, ResourceProjection, is_reader_by_other_role,
};
use deciding::{ACTIONS, ActionChanges, Decider};
use ineffective::find_ineffective;
use report::merge_groups;

pub use change::{ChangeExample, DecisionChange};
pub use ineffective::IneffectivePolicy;
pub use report::{BundleComparison, ChangeGroup};

/// The index of an action, the change of its decision, and the contexts in which it changes.
type ChangeKey = (usize, DecisionChange, ContextSet);

/// Users with one projection and the same roles. The policies tell them apart only by the datasets that
/// they own or read by name.
struct EquivalenceClass {
    /// The index of the principal projection.
    projection: usize,
    roles: BTreeSet<RoleName>,
    members: Vec<usize>,
}

/// Whom a change affects: all members of some classes except a few, and a few more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct AffectedPrincipals {
    is_anonymous: bool,
    classes: Vec<usize>,
    except: Vec<usize>,
    also: Vec<usize>,
}

/// Compares the decisions of two bundles over a catalog; calls `advance` after each dataset.
pub fn compare(
    from: &Bundle,
    to: &Bundle,
    catalog: Catalog,
    scope: &ContextScope,
    mut advance: impl FnMut(),
) -> BundleComparison {
    // What has ended is no share: projections compare what is left at the time asked about, or now.
    let second = scope.time.unwrap_or(scope.now);
    let shared = |dataset: Dataset| Arc::new(dataset.into_shared_at(second));
    let datasets: Vec<Arc<Dataset>> = catalog.datasets.into_iter().map(shared).collect();
    let users = catalog.users.into_iter().map(|record| record.user);
    let users = users.filter(|user| !user.is_disabled).map(Arc::new);
    let mut run = ComparisonRun::new(from, to, users.collect(), &datasets, scope);
    let mut groups: HashMap<(ChangeKey, AffectedPrincipals), Vec<usize>> = HashMap::new();
    for (index, dataset) in datasets.iter().enumerate() {
        for key in run.compare_dataset(dataset) {
            groups.entry(key).or_default().push(index);
        }
        advance();
    }
    run.into_comparison(&catalog.roles, &datasets, groups)
}

/// A comparison under way. Users are numbered by their place in `users`, and so are classes and
/// projections.
struct ComparisonRun<'a> {
    decider: Decider<'a>,
    references: PolicyReferences,
    /// Whether the question is confined to an address or a time.
    is_confined: bool,
    users: Vec<Arc<User>>,
    user_indexes: HashMap<UserId, usize>,
    class_of_user: Vec<usize>,
    classes: Vec<EquivalenceClass>,
    resource_projections: HashMap<ResourceProjection, usize>,
    memo: HashMap<(Option<usize>, usize), ActionChanges>,
}

impl<'a> ComparisonRun<'a> {
    fn new(
        from: &'a Bundle,
        to: &'a Bundle,
        users: Vec<Arc<User>>,
        datasets: &[Arc<Dataset>],
        scope: &ContextScope,
    ) -> Self {
        let mut references = from.references().union(to.references());
        let of_users = users.iter().map(|user| &user.attributes);
        let of_datasets = datasets.iter().map(|dataset| &dataset.attributes);
        let literals = literals_of(from, to, scope);
        let literals = literals.and_attributes(&references, of_users.chain(of_datasets));
        // A key for a dataset has the id of the dataset as a text.
        let texts = literals.key_texts.iter();
        let in_texts = texts.filter_map(|text| text.parse().ok());
        references.datasets.extend(in_texts.map(DatasetId));
        let asked = AskedContexts::new(&literals, scope);
        references.add_referred(named_by_attributes(from, to, &references, &users, datasets));
        let views = attribute_views(from, to, &references);
        let mut projections: HashMap<PrincipalProjection, usize> = HashMap::new();
        let mut classes: Vec<EquivalenceClass> = Vec::new();
        let mut class_by_key: HashMap<(usize, &BTreeSet<RoleName>), usize> = HashMap::new();
        let mut class_of_user = Vec::with_capacity(users.len());
        for (index, user) in users.iter().enumerate() {
            let next = projections.len();
            let projection = *projections
                .entry(PrincipalProjection::new(user, &views))
                .or_insert(next);
            let class = *class_by_key
                .entry((projection, &user.roles))
                .or_insert_with(|| {
                    classes.push(EquivalenceClass {
                        projection,
                        roles: user.roles.clone(),
                        members: Vec::new(),
                    });
                    classes.len() - 1
                });
            if let Some(class) = classes.get_mut(class) {
                class.members.push(index);
            }
            class_of_user.push(class);
        }
        Self {
            decider: Decider::new(from, to, asked),
            references,
            is_confined: scope.address.is_some() || scope.time.is_some(),
            user_indexes: users.iter().map(|user| user.id).zip(0..).collect(),
            users,
            class_of_user,
            classes,
            resource_projections: HashMap::new(),
            memo: HashMap::new(),
        }
    }

    /// Every change about one dataset, and whom it affects.
    fn compare_dataset(
        &mut self,
        dataset: &Arc<Dataset>,
    ) -> impl Iterator<Item = (ChangeKey, AffectedPrincipals)> + use<> {
        // The owner and the readers by name each have a projection of their own.
        let related: BTreeSet<usize> = dataset
            .reader_users
            .iter()
            .chain(&dataset.owner)
            .filter_map(|id| self.user_indexes.get(id).copied())
            .collect();
        let mut affected: HashMap<ChangeKey, AffectedPrincipals> = HashMap::new();
        let classes = std::mem::take(&mut self.classes);
        let class_changes = self.compare_classes(dataset, &classes, &related, &mut affected);
        for index in related {
            let (Some(user), Some(class)) = (self.users.get(index), self.class_of_user.get(index))
            else {
                continue;
            };
            let Some((class, class_changes)) = classes.get(*class).zip(class_changes.get(*class))
            else {
                continue;
            };
            let views = attribute_views(self.decider.from, self.decider.to, &self.references);
            let resource = ResourceProjection::new(dataset, Some(user.id), &class.roles, &views);
            let resource = self.resource_index(resource);
            let projections = (Some(class.projection), resource);
            let user_changes = self.memoized_changes(projections, dataset, Some(index));
            for (action, (of_user, of_class)) in user_changes.iter().zip(class_changes).enumerate()
            {
                for change in DecisionChange::ALL {
                    let (of_user, of_class) = (of_user.of(change), of_class.of(change));
                    if of_user == of_class {
                        continue;
                    }
                    if of_class != 0 {
                        let principals = affected.entry((action, change, of_class)).or_default();
                        principals.except.push(index);
                    }
                    if of_user != 0 {
                        let principals = affected.entry((action, change, of_user)).or_default();
                        principals.also.push(index);
                    }
                }
            }
        }
        self.classes = classes;
        affected.into_iter()
    }

    /// The changes for anonymous callers, and for the members of each class that are not `related` to
    /// the dataset.
    fn compare_classes(
        &mut self,
        dataset: &Arc<Dataset>,
        classes: &[EquivalenceClass],
        related: &BTreeSet<usize>,
        affected: &mut HashMap<ChangeKey, AffectedPrincipals>,
    ) -> Vec<ActionChanges> {
        let references = self.references.clone();
        let views = attribute_views(self.decider.from, self.decider.to, &references);
        let mut resource_for_roles = |roles: &BTreeSet<RoleName>| {
            let resource = ResourceProjection::new(dataset, None, roles, &views);
            self.resource_index(resource)
        };
        // Of two classes, one differs from the other only in whether its roles read the dataset.
        let for_others = resource_for_roles(&BTreeSet::new());
        let for_readers = resource_for_roles(&dataset.reader_roles);
        for change in actual_changes(self.memoized_changes((None, for_others), dataset, None)) {
            affected.entry(change).or_default().is_anonymous = true;
        }
        let mut all = Vec::with_capacity(classes.len());
        for (index, class) in classes.iter().enumerate() {
            let is_reader = for_readers != for_others
                && is_reader_by_other_role(dataset, &class.roles, &self.references);
            let resource = if is_reader { for_readers } else { for_others };
            let mut members = class.members.iter();
            let unrelated = members.find(|member| !related.contains(member));
            let changes = unrelated.map_or(ActionChanges::default(), |member| {
                let projections = (Some(class.projection), resource);
                self.memoized_changes(projections, dataset, Some(*member))
            });
            for change in actual_changes(changes) {
                affected.entry(change).or_default().classes.push(index);
            }
            all.push(changes);
        }
        all
    }

    fn resource_index(&mut self, resource: ResourceProjection) -> usize {
        let next = self.resource_projections.len();
        *self.resource_projections.entry(resource).or_insert(next)
    }

    /// The changes for all principals and datasets with these projections, decided with `dataset` and
    /// `user`; without a user, for anonymous callers.
    fn memoized_changes(
        &mut self,
        projections: (Option<usize>, usize),
        dataset: &Arc<Dataset>,
        user: Option<usize>,
    ) -> ActionChanges {
        if let Some(changes) = self.memo.get(&projections) {
            return *changes;
        }
        let user = user.and_then(|index| self.users.get(index));
        let principal = user.map_or(Principal::Anonymous, |user| {
            Principal::User(Arc::clone(user))
        });
        let changes = self.decider.changes(&principal, dataset);
        self.memo.insert(projections, changes);
        changes
    }

    fn into_comparison(
        self,
        roles: &BTreeSet<RoleName>,
        datasets: &[Arc<Dataset>],
        groups: HashMap<(ChangeKey, AffectedPrincipals), Vec<usize>>,
    ) -> BundleComparison {
        let groups =
            groups
                .into_iter()
                .filter_map(|(((action, change, contexts), principals), indexes)| {
                    let users = self.affected_users(&principals);
                    let affected = indexes.iter().filter_map(|index| datasets.get(*index));
                    let user = users.first().filter(|_| !principals.is_anonymous);
                    let principal = user.map_or(Principal::Anonymous, |user| {
                        Principal::User(Arc::clone(user))
                    });
                    let dataset = affected.clone().next()?;
                    let example = self.decider.example(principal, dataset, contexts);
                    let changed = (*ACTIONS.get(action)?, change, contexts);
                    let is_anonymous = principals.is_anonymous;
                    let group = ChangeGroup::new(changed, is_anonymous, users, affected);
                    Some(group.with_example(example))
                });
        let mut groups = merge_groups(groups.collect());
        for group in &mut groups {
            group.describe_users(&self.users, roles);
            group.describe_contexts(&self.decider.asked);
        }
        groups.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
        let (ineffective, more_ineffective) = find_ineffective(&self.decider, self.is_confined);
        let changing = groups.iter().fold(0, |all, group| all | group.contexts);
        let Decider {
            from, to, asked, ..
        } = &self.decider;
        BundleComparison {
            from: from.revision().clone(),
            to: to.revision().clone(),
            users: self.users.len(),
            datasets: datasets.len(),
            changed: groups.iter().map(ChangeGroup::size).sum(),
            decided: self.decider.decided,
            is_context_read: self.references.has_context,
            unchanged_in: name_contexts(asked, asked.all() & !changing),
            asked: asked.report(),
            is_cut: asked.is_cut,
            is_confined: self.is_confined,
            errors: self.decider.errors.iter().cloned().collect(),
            ineffective,
            more_ineffective,
            groups,
        }
    }

    fn affected_users(&self, principals: &AffectedPrincipals) -> Vec<Arc<User>> {
        let classes = principals.classes.iter();
        let members = classes
            .filter_map(|class| self.classes.get(*class))
            .flat_map(|class| &class.members);
        let mut users: BTreeSet<usize> = members.copied().collect();
        for user in &principals.except {
            users.remove(user);
        }
        users.extend(&principals.also);
        let users = users.into_iter().filter_map(|user| self.users.get(user));
        users.cloned().collect()
    }
}

/// What policies and invariants compare the context with: first of all the policies that an edit changes.
fn literals_of(from: &Bundle, to: &Bundle, scope: &ContextScope) -> ContextLiterals {
    let changed = to.differing_literals(from);
    let policies = changed
        .and(to.context_literals())
        .and(from.context_literals());
    policies.and(scope.literals.clone())
}

fn attribute_views<'a>(
    from: &'a Bundle,
    to: &'a Bundle,
    references: &'a PolicyReferences,
) -> AttributeViews<'a> {
    AttributeViews {
        schemas: vec![from.declared_attributes(), to.declared_attributes()],
        references,
    }
}

/// What the attributes of the catalog name.
fn named_by_attributes(
    from: &Bundle,
    to: &Bundle,
    references: &PolicyReferences,
    users: &[Arc<User>],
    datasets: &[Arc<Dataset>],
) -> Vec<AttributeReferences> {
    let views = attribute_views(from, to, references);
    let of_users = users
        .iter()
        .flat_map(|user| views.named_by(AttributeOwner::User, &user.attributes));
    let of_datasets = datasets
        .iter()
        .flat_map(|dataset| views.named_by(AttributeOwner::Dataset, &dataset.attributes));
    of_users.chain(of_datasets).collect()
}

fn actual_changes(changes: ActionChanges) -> impl Iterator<Item = ChangeKey> {
    let changes = changes.into_iter().enumerate();
    changes.flat_map(|(action, changes)| {
        let kinds = DecisionChange::ALL.into_iter();
        kinds
            .map(move |change| (action, change, changes.of(change)))
            .filter(|(_, _, contexts)| *contexts != 0)
    })
}

#[cfg(test)]
mod tests;
