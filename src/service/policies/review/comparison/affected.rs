//! Whom a change affects, without a list of them: a few classes, and a few users more or less.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use crate::domain::principal::User;

use super::change::DecisionChange;
use crate::service::policies::review::asked_contexts::ContextSet;
use crate::service::policies::review::pair_classes::{ActionOutcome, DatasetShape, PairClasses};

/// The index of an action, the change of its decision, and the contexts in which it changes.
pub(super) type ChangeKey = (usize, DecisionChange, ContextSet);

/// All members of some classes except a few, and a few more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct AffectedPrincipals {
    pub(super) is_anonymous: bool,
    /// Shared by all shapes of a signature.
    classes: Arc<Vec<usize>>,
    except: Vec<usize>,
    also: Vec<usize>,
    pub(super) users: UserSetDigest,
}

/// A set of users by their number and a digest: two sets with the same digest have the same members.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct UserSetDigest {
    pub(super) count: usize,
    /// The exclusive or of random numbers of the members.
    mixed: u128,
}

impl UserSetDigest {
    pub(super) fn add(&mut self, other: Self) {
        self.count += other.count;
        self.mixed ^= other.mixed;
    }

    pub(super) fn remove(&mut self, other: Self) {
        self.count = self.count.saturating_sub(other.count);
        self.mixed ^= other.mixed;
    }
}

/// The digests of single users and of classes.
pub(super) struct UserDigests {
    users: Vec<UserSetDigest>,
    classes: Vec<UserSetDigest>,
}

impl UserDigests {
    pub(super) fn new(run: &PairClasses<'_>) -> Self {
        let (first, second) = (RandomState::new(), RandomState::new());
        let digest = |user: &Arc<User>| {
            let halves = [&first, &second].map(|state| u128::from(state.hash_one(user.id)));
            let [high, low] = halves;
            UserSetDigest {
                count: 1,
                mixed: high << 64 | low,
            }
        };
        let users: Vec<UserSetDigest> = run.users.iter().map(digest).collect();
        let classes = run.classes.iter().map(|class| {
            let mut all = UserSetDigest::default();
            for member in &class.members {
                all.add(users.get(*member).copied().unwrap_or_default());
            }
            all
        });
        Self {
            classes: classes.collect(),
            users,
        }
    }

    pub(super) fn of_user(&self, user: usize) -> UserSetDigest {
        self.users.get(user).copied().unwrap_or_default()
    }
}

impl AffectedPrincipals {
    fn add_class(&mut self, class: usize, digests: &UserDigests) {
        Arc::make_mut(&mut self.classes).push(class);
        let of_class = digests.classes.get(class).copied();
        self.users.add(of_class.unwrap_or_default());
    }

    fn add_user(&mut self, user: usize, digests: &UserDigests) {
        self.also.push(user);
        self.users.add(digests.of_user(user));
    }

    fn remove_user(&mut self, user: usize, digests: &UserDigests) {
        self.except.push(user);
        self.users.remove(digests.of_user(user));
    }

    /// Whether there is nobody.
    pub(super) fn is_empty(&self) -> bool {
        !self.is_anonymous && self.users.count == 0
    }

    /// The places of the users, in their order.
    pub(super) fn places(&self, run: &PairClasses<'_>) -> Vec<usize> {
        let classes = self.classes.iter();
        let members = classes
            .filter_map(|class| run.classes.get(*class))
            .flat_map(|class| class.members.iter().copied());
        let mut except = self.except.clone();
        except.sort_unstable();
        let members = members.filter(|user| except.binary_search(user).is_err());
        let mut places: Vec<usize> = members.chain(self.also.iter().copied()).collect();
        places.sort_unstable();
        places
    }
}

/// Whom each change affects, for the shapes of one signature.
pub(super) struct SignatureChanges<'r, 'a> {
    run: &'r PairClasses<'a>,
    digests: &'r UserDigests,
    signature: usize,
    /// The changes for whoever is not related to a dataset.
    unrelated: BTreeMap<ChangeKey, AffectedPrincipals>,
    /// How many decisions change for them, on one dataset.
    changed: u64,
}

impl<'r, 'a> SignatureChanges<'r, 'a> {
    pub(super) fn new(
        run: &'r PairClasses<'a>,
        digests: &'r UserDigests,
        signature: usize,
    ) -> Self {
        let mut unrelated: BTreeMap<ChangeKey, AffectedPrincipals> = BTreeMap::new();
        let of_anonymous = run.outcomes(run.of_anonymous(signature));
        for change in changes_of(of_anonymous) {
            unrelated.entry(change).or_default().is_anonymous = true;
        }
        let mut changed = count_changed(of_anonymous);
        for (class, equivalent) in run.classes.iter().enumerate() {
            let of_class = run.outcomes(run.of_class(signature, class));
            let members = u64::try_from(equivalent.members.len()).unwrap_or(u64::MAX);
            changed += count_changed(of_class).saturating_mul(members);
            for change in changes_of(of_class) {
                unrelated
                    .entry(change)
                    .or_default()
                    .add_class(class, digests);
            }
        }
        Self {
            run,
            digests,
            signature,
            unrelated,
            changed,
        }
    }

    /// How many decisions change on the datasets of a shape.
    pub(super) fn count_changed(&self, shape: &DatasetShape) -> u64 {
        let related = shape.related.iter();
        let (mut gone, mut come) = (0, 0);
        for related in related {
            let of_class = self.run.of_class(self.signature, related.class);
            gone += count_changed(self.run.outcomes(of_class));
            come += count_changed(self.run.outcomes(related.outcome));
        }
        let datasets = u64::try_from(shape.datasets.len()).unwrap_or(u64::MAX);
        let of_one = (self.changed + come).saturating_sub(gone);
        of_one.saturating_mul(datasets)
    }

    /// The signature.
    pub(super) fn signature(&self) -> usize {
        self.signature
    }

    /// Whom each change of a shape affects.
    pub(super) fn of_shape(
        &self,
        shape: &DatasetShape,
    ) -> impl Iterator<Item = (ChangeKey, AffectedPrincipals)> + use<> {
        let mut affected = self.unrelated.clone();
        for related in &shape.related {
            let of_class = self.run.of_class(self.signature, related.class);
            if related.outcome == of_class {
                continue;
            }
            for change in changes_of(self.run.outcomes(of_class)) {
                let principals = affected.entry(change).or_default();
                principals.remove_user(related.user, self.digests);
            }
            for change in changes_of(self.run.outcomes(related.outcome)) {
                let principals = affected.entry(change).or_default();
                principals.add_user(related.user, self.digests);
            }
        }
        let affected = affected.into_iter();
        affected.filter(|(_, principals)| !principals.is_empty())
    }
}

/// The changes of outcomes, for each action.
pub(super) fn changes_of(outcomes: &[ActionOutcome]) -> impl Iterator<Item = ChangeKey> {
    let outcomes = outcomes.iter().copied().enumerate();
    outcomes.flat_map(|(action, outcome)| {
        let kinds = DecisionChange::ALL.into_iter();
        kinds
            .map(move |change| (action, change, change.contexts(outcome)))
            .filter(|(_, _, contexts)| *contexts != 0)
    })
}

/// For how many actions an outcome changes, in whatever contexts.
fn count_changed(outcomes: &[ActionOutcome]) -> u64 {
    let is_changed = |outcome: &&ActionOutcome| {
        let mut kinds = DecisionChange::ALL.into_iter();
        kinds.any(|change| change.contexts(**outcome) != 0)
    };
    let count = outcomes.iter().filter(is_changed).count();
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// The groups of one change for the same principals, with the places of their datasets.
pub(super) type AffectedGroups =
    HashMap<(ChangeKey, bool, UserSetDigest), (AffectedPrincipals, Vec<usize>)>;

/// Groups the changes of all shapes, and counts the decisions that change.
pub(super) fn group_changes(
    run: &PairClasses<'_>,
    digests: &UserDigests,
    mut shapes: Vec<DatasetShape>,
) -> (AffectedGroups, u64) {
    let mut changed = 0_u64;
    shapes.sort_by_key(|shape| (shape.signature, shape.sample()));
    let mut groups = AffectedGroups::new();
    let mut last: Option<SignatureChanges<'_, '_>> = None;
    for shape in shapes {
        let of_signature = match last.take() {
            Some(known) if known.signature() == shape.signature => known,
            Some(_) | None => SignatureChanges::new(run, digests, shape.signature),
        };
        changed = changed.saturating_add(of_signature.count_changed(&shape));
        for (change, principals) in of_signature.of_shape(&shape) {
            let key = (change, principals.is_anonymous, principals.users);
            let (_, datasets) = groups
                .entry(key)
                .or_insert_with(|| (principals, Vec::new()));
            datasets.extend(&shape.datasets);
        }
        last = Some(of_signature);
    }
    for (_, datasets) in groups.values_mut() {
        datasets.sort_unstable();
    }
    (groups, changed)
}
