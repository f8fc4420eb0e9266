//! Pair classes: pairs of a principal and a dataset that neither of two bundles tells apart, each decided once.
//!
//! Users with equal projections and the same roles are one class, and datasets that nobody's policies tell apart one
//! [`DatasetShape`]. For a shape, the members of a class differ only if they own its datasets or read them by name: such
//! users are decided by themselves ([`RelatedUser`]), and all others of the class once, for every shape with the same
//! [`DatasetSignature`]. [`projection`](crate::service::policies::review::projection) says why that is sound.

mod deciding;
mod projector;
mod question;
mod shapes;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::domain::dataset::Dataset;
use crate::domain::id::UserId;
use crate::domain::name::RoleName;
use crate::domain::principal::{Principal, User};
use crate::policy::references::PolicyReferences;

use super::asked_contexts::ContextScope;
use super::bundle_pair::BundlePair;
use super::catalog_question::AskedOfCatalog;
use super::projection::{
    PrincipalProjection, ResourceProjection, has_other_reader_role, is_reader_by_other_role,
};
use projector::ShapeProjector;
use shapes::into_shapes;

pub(super) use deciding::{ActionOutcome, PairDecider};
pub(super) use question::PairQuestion;
pub(super) use shapes::{DatasetShape, RelatedUser};

/// The place of an outcome among those that differ; the first one denies everything.
pub(super) type OutcomeIndex = usize;

/// Users with one projection and the same roles. The policies tell them apart only by the datasets that
/// they own or read by name.
pub(super) struct EquivalenceClass {
    /// The index of the principal projection.
    projection: usize,
    pub(super) roles: BTreeSet<RoleName>,
    /// The places of its users.
    pub(super) members: Vec<usize>,
}

/// What the shapes of some datasets have in common for whoever neither owns them nor reads them by name.
pub(super) struct DatasetSignature {
    /// The index of the projection for those who have no role that reads them, and for those who have one that no
    /// policy names.
    others: usize,
    readers: usize,
    /// For each class whether it has such a role, by the place of the set of roles.
    reader_roles: usize,
    /// The classes that are not decided about yet.
    undecided: Vec<usize>,
}

/// Classes under way.
pub(super) struct PairClasses<'a> {
    pub(super) decider: PairDecider<'a>,
    pub(super) references: PolicyReferences,
    pub(super) users: &'a [Arc<User>],
    datasets: &'a [Arc<Dataset>],
    class_of_user: Vec<usize>,
    pub(super) classes: Vec<EquivalenceClass>,
    pub(super) signatures: Vec<DatasetSignature>,
    /// For each set of reader roles that no policy names the classes with one of them.
    reader_classes: Vec<Vec<bool>>,
    outcomes: Vec<Vec<ActionOutcome>>,
    outcome_indexes: HashMap<Vec<ActionOutcome>, OutcomeIndex>,
    /// By the projections of a principal, none for anonymous callers, and of a dataset for it.
    memo: HashMap<(Option<usize>, usize), OutcomeIndex>,
}

impl<'a> PairClasses<'a> {
    /// Classes of users; nothing is decided yet.
    pub(super) fn new(
        bundles: BundlePair<'a>,
        question: PairQuestion<'a>,
        scope: &ContextScope,
    ) -> Self {
        let PairQuestion { actions, catalog } = question;
        let (users, datasets) = (catalog.users, catalog.datasets);
        let AskedOfCatalog { references, asked } = catalog.asked(&bundles.schemas(), scope);
        let nothing = vec![ActionOutcome::default(); actions.len()];
        let mut classes = Self {
            decider: PairDecider::new(bundles.from, bundles.to, actions, asked),
            references,
            users,
            datasets,
            class_of_user: Vec::with_capacity(users.len()),
            classes: Vec::new(),
            signatures: Vec::new(),
            reader_classes: Vec::new(),
            outcomes: vec![nothing.clone()],
            outcome_indexes: [(nothing, 0)].into(),
            memo: HashMap::new(),
        };
        classes.classify_users(bundles);
        classes
    }

    fn classify_users(&mut self, bundles: BundlePair<'_>) {
        let views = bundles.views(&self.references);
        let mut projections: HashMap<PrincipalProjection, usize> = HashMap::new();
        let mut class_by_key: HashMap<(usize, &BTreeSet<RoleName>), usize> = HashMap::new();
        for (index, user) in self.users.iter().enumerate() {
            let next = projections.len();
            let projection = *projections
                .entry(PrincipalProjection::new(user, &views))
                .or_insert(next);
            let class = *class_by_key
                .entry((projection, &user.roles))
                .or_insert_with(|| {
                    self.classes.push(EquivalenceClass {
                        projection,
                        roles: user.roles.clone(),
                        members: Vec::new(),
                    });
                    self.classes.len() - 1
                });
            if let Some(class) = self.classes.get_mut(class) {
                class.members.push(index);
            }
            self.class_of_user.push(class);
        }
    }

    /// The class of a user, by its place.
    pub(super) fn class_of(&self, user: usize) -> usize {
        self.class_of_user.get(user).copied().unwrap_or_default()
    }

    /// What an outcome says of an action, by the action's place.
    pub(super) fn outcome(&self, index: OutcomeIndex, action: usize) -> ActionOutcome {
        let outcome = self.outcomes.get(index);
        outcome
            .and_then(|outcome| outcome.get(action))
            .copied()
            .unwrap_or_default()
    }

    /// The outcomes for each action.
    pub(super) fn outcomes(&self, index: OutcomeIndex) -> &[ActionOutcome] {
        self.outcomes.get(index).map_or(&[], Vec::as_slice)
    }

    /// The outcome for anonymous callers on the datasets of a signature.
    pub(super) fn of_anonymous(&self, signature: usize) -> OutcomeIndex {
        let signature = self.signatures.get(signature);
        let known = signature.and_then(|signature| self.memo.get(&(None, signature.others)));
        known.copied().unwrap_or_default()
    }

    /// The outcome for the members of a class that are not related to a dataset of a signature; that of a denial if
    /// there are none.
    pub(super) fn of_class(&self, signature: usize, class: usize) -> OutcomeIndex {
        let Some(signature) = self.signatures.get(signature) else {
            return 0;
        };
        let key = self.class_key(signature, class);
        key.and_then(|key| self.memo.get(&key).copied())
            .unwrap_or_default()
    }

    fn class_key(
        &self,
        signature: &DatasetSignature,
        class: usize,
    ) -> Option<(Option<usize>, usize)> {
        let readers = self.reader_classes.get(signature.reader_roles);
        let is_reader = readers.and_then(|readers| readers.get(class)) == Some(&true);
        let resource = if is_reader {
            signature.readers
        } else {
            signature.others
        };
        Some((Some(self.classes.get(class)?.projection), resource))
    }

    /// The shapes of some of the datasets, by their places, all of them decided about for all classes.
    ///
    /// Users who are not `wanted` take no part. `keep_on` is told after each decided pair how many decisions were made,
    /// and after each shape how many datasets it has; its error ends deciding.
    pub(super) fn decide_shapes<E>(
        &mut self,
        chosen: impl Iterator<Item = usize>,
        wanted: &dyn Fn(usize) -> bool,
        mut keep_on: impl FnMut(u64, usize) -> Result<(), E>,
    ) -> Result<Vec<DatasetShape>, E> {
        let bundles = BundlePair {
            from: self.decider.from,
            to: self.decider.to,
        };
        let mut shapes = into_shapes(chosen, self.datasets, &bundles.views(&self.references));
        let mut projected = ShapeProjector::default();
        let user_indexes: HashMap<UserId, usize> =
            self.users.iter().map(|user| user.id).zip(0..).collect();
        for shape in &mut shapes {
            let Some(dataset) = shape.sample().and_then(|index| self.datasets.get(index)) else {
                continue;
            };
            let dataset = Arc::clone(dataset);
            // The owner and the readers by name each have a projection of their own.
            let related = dataset.reader_users.iter().chain(&dataset.owner);
            let related = related.filter_map(|id| user_indexes.get(id).copied());
            let related: BTreeSet<usize> = related.filter(|index| wanted(*index)).collect();
            shape.signature = self.signature(&mut projected, bundles, &dataset, wanted);
            self.decide_classes(shape.signature, &dataset, &related, wanted, &mut keep_on)?;
            for user in related {
                let Some(own) = self.users.get(user) else {
                    continue;
                };
                let class = self.class_of(user);
                let others = self.signatures.get(shape.signature).map(|it| it.others);
                let views = bundles.views(&self.references);
                let resource = projected.own(others, &dataset, own, &views);
                let projection = self.classes.get(class).map(|class| class.projection);
                let outcome = self.decide(projection, resource, &dataset, Some(user));
                shape.related.push(RelatedUser {
                    user,
                    class,
                    outcome,
                });
                keep_on(self.decider.decided, 0)?;
            }
            keep_on(self.decider.decided, shape.datasets.len())?;
        }
        Ok(shapes)
    }

    /// The place of the signature of a dataset.
    fn signature(
        &mut self,
        projected: &mut ShapeProjector,
        bundles: BundlePair<'_>,
        dataset: &Dataset,
        wanted: &dyn Fn(usize) -> bool,
    ) -> usize {
        let views = bundles.views(&self.references);
        let none = BTreeSet::new();
        let others = projected.resource(ResourceProjection::new(dataset, None, &none, &views));
        let has_readers = has_other_reader_role(dataset, &self.references);
        let (readers, roles) = if has_readers {
            let roles = &dataset.reader_roles;
            let readers = ResourceProjection::new(dataset, None, roles, &views);
            (projected.resource(readers), roles)
        } else {
            (others, &none)
        };
        let reader_roles = if let Some(place) = projected.reader_roles.get(roles) {
            *place
        } else {
            let place = self.reader_classes.len();
            let is_reader = |class: &EquivalenceClass| {
                has_readers && is_reader_by_other_role(dataset, &class.roles, &self.references)
            };
            let readers = self.classes.iter().map(is_reader).collect();
            self.reader_classes.push(readers);
            projected.reader_roles.insert(roles.clone(), place);
            place
        };
        let place = self.signatures.len();
        let key = (others, readers, reader_roles);
        let known = *projected.signatures.entry(key).or_insert(place);
        if known == place {
            let of_wanted = |class: &EquivalenceClass| class.members.iter().any(|it| wanted(*it));
            let classes = self.classes.iter().enumerate();
            let undecided = classes.filter(|(_, class)| of_wanted(class));
            self.signatures.push(DatasetSignature {
                others,
                readers,
                reader_roles,
                undecided: undecided.map(|(index, _)| index).collect(),
            });
        }
        known
    }

    /// Decides about anonymous callers, and about the members of each class that are not related to the dataset.
    fn decide_classes<E>(
        &mut self,
        signature: usize,
        dataset: &Arc<Dataset>,
        related: &BTreeSet<usize>,
        wanted: &dyn Fn(usize) -> bool,
        keep_on: &mut impl FnMut(u64, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(known) = self.signatures.get_mut(signature) else {
            return Ok(());
        };
        let (others, undecided) = (known.others, std::mem::take(&mut known.undecided));
        self.decide(None, others, dataset, None);
        let mut left = Vec::new();
        for index in undecided {
            let of_class = self.classes.get(index).map(|class| class.members.iter());
            let mut members = of_class.into_iter().flatten().copied();
            let unrelated = members.find(|user| wanted(*user) && !related.contains(user));
            let key = self
                .signatures
                .get(signature)
                .and_then(|signature| self.class_key(signature, index));
            match (unrelated, key) {
                (Some(user), Some((projection, resource))) => {
                    self.decide(projection, resource, dataset, Some(user));
                    keep_on(self.decider.decided, 0)?;
                }
                _ => left.push(index),
            }
        }
        if let Some(known) = self.signatures.get_mut(signature) {
            known.undecided = left;
        }
        Ok(())
    }

    /// The outcome for all principals and datasets with these projections, decided with `dataset` and `user`; without
    /// a user, for anonymous callers.
    fn decide(
        &mut self,
        projection: Option<usize>,
        resource: usize,
        dataset: &Arc<Dataset>,
        user: Option<usize>,
    ) -> OutcomeIndex {
        if let Some(known) = self.memo.get(&(projection, resource)) {
            return *known;
        }
        let user = user.and_then(|index| self.users.get(index));
        let principal = user.map_or(Principal::Anonymous, |user| {
            Principal::User(Arc::clone(user))
        });
        let outcome = self.decider.decide(&principal, dataset);
        let next = self.outcomes.len();
        let index = *self.outcome_indexes.entry(outcome.clone()).or_insert(next);
        if index == next {
            self.outcomes.push(outcome);
        }
        self.memo.insert((projection, resource), index);
        index
    }
}
