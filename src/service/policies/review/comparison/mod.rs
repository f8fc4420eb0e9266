//! Comparison: what another bundle would change over a whole catalog.
//!
//! Every principal, action and dataset is covered, and none is asked about twice: principals of whom
//! policies can see the same, and datasets that look the same to them, are decided once (`seen` says
//! why that is sound). A disabled user is denied whatever policies say, and takes no part. This module
//! refuses to know where bundles and catalogs come from.

mod projection;
mod report;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::domain::action::Action;
use crate::domain::caller::{Authentication, DecisionContext};
use crate::domain::dataset::Dataset;
use crate::domain::decision::Revision;
use crate::domain::id::UserId;
use crate::domain::name::RoleName;
use crate::domain::principal::{Principal, User};
use crate::domain::resource::Resource;
use crate::policy::Bundle;
use crate::policy::references::PolicyReferences;
use crate::storage::Catalog;

use projection::{PrincipalProjection, ResourceProjection, is_reader_by_other_role};
pub use report::{BundleComparison, ChangeGroup, DecisionChange};

/// The actions that are compared.
const ACTIONS: [Action; 3] = Action::DATASET_ACTIONS;
/// The most evaluation errors that a comparison tells.
const MAX_ERRORS: usize = 20;

/// From where and when everybody asks.
#[derive(Clone, Copy, Debug)]
pub struct ReviewContext {
    /// The address.
    pub address: std::net::IpAddr,
    /// The time, in milliseconds since 1970 UTC.
    pub unix_millis: i64,
}

impl ReviewContext {
    /// What policies see of the way a principal asks: a user signed in with a password, or with a
    /// token of its outside issuer, and with no API key.
    #[must_use]
    pub fn for_principal(self, principal: &Principal) -> DecisionContext {
        let has_issuer = matches!(principal, Principal::User(user) if user.issuer.is_some());
        self.for_kind(principal.is_anonymous(), has_issuer)
    }

    /// The same for a principal of whom this much is known.
    #[must_use]
    pub fn for_kind(self, is_anonymous: bool, has_issuer: bool) -> DecisionContext {
        DecisionContext {
            address: self.address,
            unix_millis: self.unix_millis,
            authentication: match (is_anonymous, has_issuer) {
                (true, _) => Authentication::None,
                (false, true) => Authentication::Issuer,
                (false, false) => Authentication::Password,
            },
            key: None,
        }
    }
}

/// What changes for one principal and one dataset: one change or none for each action.
type ActionChanges = [Option<DecisionChange>; ACTIONS.len()];

/// Users with one face and the same roles: none of them stands nearer to a dataset than another, but by
/// name.
struct EquivalenceClass {
    projection: usize,
    roles: BTreeSet<RoleName>,
    members: Vec<usize>,
}

/// Who is meant by a change: everybody of some clans but a few, and a few more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct AffectedPrincipals {
    is_anonymous: bool,
    classes: Vec<usize>,
    except: Vec<usize>,
    also: Vec<usize>,
}

/// Compares what two bundles say about a catalog; `advance` is told after each dataset.
pub fn compare(
    from: &Bundle,
    to: &Bundle,
    catalog: Catalog,
    circumstances: ReviewContext,
    mut advance: impl FnMut(),
) -> BundleComparison {
    let datasets: Vec<Arc<Dataset>> = catalog.datasets.into_iter().map(Arc::new).collect();
    let users = catalog.users.into_iter().map(|record| record.user);
    let users = users.filter(|user| !user.is_disabled).map(Arc::new);
    let mut work = ComparisonRun::new(from, to, users.collect(), circumstances);
    let mut groups: HashMap<(usize, DecisionChange, AffectedPrincipals), Vec<usize>> =
        HashMap::new();
    for (index, dataset) in datasets.iter().enumerate() {
        for key in work.compare_dataset(dataset) {
            groups.entry(key).or_default().push(index);
        }
        advance();
    }
    work.into_comparison(&catalog.roles, &datasets, groups)
}

struct ComparisonRun<'a> {
    from: &'a Bundle,
    to: &'a Bundle,
    mentions: PolicyReferences,
    context: ReviewContext,
    users: Vec<Arc<User>>,
    user_indexes: HashMap<UserId, usize>,
    class_of_user: Vec<usize>,
    classes: Vec<EquivalenceClass>,
    resource_projections: HashMap<ResourceProjection, usize>,
    memo: HashMap<(Option<usize>, usize), ActionChanges>,
    decided: u64,
    errors: BTreeSet<String>,
}

impl<'a> ComparisonRun<'a> {
    fn new(
        from: &'a Bundle,
        to: &'a Bundle,
        users: Vec<Arc<User>>,
        context: ReviewContext,
    ) -> Self {
        let mentions = from.references().union(to.references());
        let mut faces: HashMap<PrincipalProjection, usize> = HashMap::new();
        let mut classes: Vec<EquivalenceClass> = Vec::new();
        let mut clan_by: HashMap<(usize, &BTreeSet<RoleName>), usize> = HashMap::new();
        let mut class_of_user = Vec::with_capacity(users.len());
        for (index, user) in users.iter().enumerate() {
            let next = faces.len();
            let face = *faces
                .entry(PrincipalProjection::new(user, &mentions))
                .or_insert(next);
            let clan = *clan_by.entry((face, &user.roles)).or_insert_with(|| {
                classes.push(EquivalenceClass {
                    projection: face,
                    roles: user.roles.clone(),
                    members: Vec::new(),
                });
                classes.len() - 1
            });
            if let Some(clan) = classes.get_mut(clan) {
                clan.members.push(index);
            }
            class_of_user.push(clan);
        }
        Self {
            from,
            to,
            mentions,
            context,
            user_indexes: users.iter().map(|user| user.id).zip(0..).collect(),
            users,
            class_of_user,
            classes,
            resource_projections: HashMap::new(),
            memo: HashMap::new(),
            decided: 0,
            errors: BTreeSet::new(),
        }
    }

    /// Every change about one dataset, and for whom.
    fn compare_dataset(
        &mut self,
        dataset: &Arc<Dataset>,
    ) -> Vec<(usize, DecisionChange, AffectedPrincipals)> {
        // Whoever owns the dataset, or reads it by name, stands to it in a way of its own.
        let close: BTreeSet<usize> = dataset
            .reader_users
            .iter()
            .chain(&dataset.owner)
            .filter_map(|id| self.user_indexes.get(id).copied())
            .collect();
        let mut whos: HashMap<(usize, DecisionChange), AffectedPrincipals> = HashMap::new();
        let clans = std::mem::take(&mut self.classes);
        let of_clans = self.compare_classes(dataset, &clans, &close, &mut whos);
        for user in close {
            let (Some(asker), Some(clan)) = (self.users.get(user), self.class_of_user.get(user))
            else {
                continue;
            };
            let Some((place, theirs)) = clans.get(*clan).zip(of_clans.get(*clan)) else {
                continue;
            };
            let view =
                ResourceProjection::new(dataset, Some(asker.id), &place.roles, &self.mentions);
            let view = self.resource_index(view);
            let mine = self.memoized_changes(Some(place.projection), view, dataset, Some(user));
            for (action, (mine, theirs)) in mine.into_iter().zip(*theirs).enumerate() {
                if mine == theirs {
                    continue;
                }
                if let Some(change) = theirs {
                    whos.entry((action, change)).or_default().except.push(user);
                }
                if let Some(change) = mine {
                    whos.entry((action, change)).or_default().also.push(user);
                }
            }
        }
        self.classes = clans;
        whos.into_iter()
            .map(|((action, change), who)| (action, change, who))
            .collect()
    }

    /// What changes for anonymous callers, and for everybody of each clan who is not close.
    fn compare_classes(
        &mut self,
        dataset: &Arc<Dataset>,
        clans: &[EquivalenceClass],
        close: &BTreeSet<usize>,
        whos: &mut HashMap<(usize, DecisionChange), AffectedPrincipals>,
    ) -> Vec<ActionChanges> {
        let nobody = BTreeSet::new();
        let outside = self.resource_index(ResourceProjection::new(
            dataset,
            None,
            &nobody,
            &self.mentions,
        ));
        // Whether a clan's roles read the dataset is all that tells one clan's view from another's.
        let inside = self.resource_index(ResourceProjection::new(
            dataset,
            None,
            &dataset.reader_roles,
            &self.mentions,
        ));
        for change in actual_changes(self.memoized_changes(None, outside, dataset, None)) {
            whos.entry(change).or_default().is_anonymous = true;
        }
        let mut all = Vec::with_capacity(clans.len());
        for (number, clan) in clans.iter().enumerate() {
            let is_inside =
                inside != outside && is_reader_by_other_role(dataset, &clan.roles, &self.mentions);
            let view = if is_inside { inside } else { outside };
            let stranger = clan.members.iter().find(|member| !close.contains(member));
            let changes = stranger.map_or(ActionChanges::default(), |stranger| {
                self.memoized_changes(Some(clan.projection), view, dataset, Some(*stranger))
            });
            for change in actual_changes(changes) {
                whos.entry(change).or_default().classes.push(number);
            }
            all.push(changes);
        }
        all
    }

    fn resource_index(&mut self, view: ResourceProjection) -> usize {
        let next = self.resource_projections.len();
        *self.resource_projections.entry(view).or_insert(next)
    }

    /// What changes for everybody with a face who sees a view; `asker` and `dataset` stand for all.
    fn memoized_changes(
        &mut self,
        face: Option<usize>,
        view: usize,
        dataset: &Arc<Dataset>,
        asker: Option<usize>,
    ) -> ActionChanges {
        if let Some(changes) = self.memo.get(&(face, view)) {
            return *changes;
        }
        let user = asker.and_then(|asker| self.users.get(asker));
        let principal = user.map_or(Principal::Anonymous, |user| {
            Principal::User(Arc::clone(user))
        });
        let changes = self.compare_decisions(&principal, &Resource::Dataset(Arc::clone(dataset)));
        self.memo.insert((face, view), changes);
        changes
    }

    fn compare_decisions(&mut self, principal: &Principal, resource: &Resource) -> ActionChanges {
        let context = self.context.for_principal(principal);
        ACTIONS.map(|action| {
            let before = self.from.decide(principal, action, resource, &context);
            let after = self.to.decide(principal, action, resource, &context);
            self.decided += 2;
            if self.errors.len() < MAX_ERRORS {
                self.errors.extend(after.errors);
            }
            match (before.is_permitted, after.is_permitted) {
                (false, true) => Some(DecisionChange::Gains),
                (true, false) => Some(DecisionChange::Loses),
                (true, true) | (false, false) => None,
            }
        })
    }

    fn into_comparison(
        self,
        roles: &BTreeSet<RoleName>,
        datasets: &[Arc<Dataset>],
        groups: HashMap<(usize, DecisionChange, AffectedPrincipals), Vec<usize>>,
    ) -> BundleComparison {
        let groups = groups
            .into_iter()
            .filter_map(|((action, change, who), on)| {
                Some(ChangeGroup::new(
                    *ACTIONS.get(action)?,
                    change,
                    who.is_anonymous,
                    self.affected_users(&who),
                    on.iter().filter_map(|index| datasets.get(*index)),
                ))
            });
        let mut groups: Vec<ChangeGroup> = groups.collect();
        for group in &mut groups {
            group.describe_users(&self.users, roles);
        }
        groups.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
        BundleComparison {
            from: revision(self.from),
            to: revision(self.to),
            users: self.users.len(),
            datasets: datasets.len(),
            changed: groups.iter().map(ChangeGroup::size).sum(),
            decided: self.decided,
            is_context_read: self.mentions.has_context,
            errors: self.errors.into_iter().collect(),
            groups,
        }
    }

    fn affected_users(&self, who: &AffectedPrincipals) -> Vec<Arc<User>> {
        let clans = who
            .classes
            .iter()
            .filter_map(|clan| self.classes.get(*clan));
        let members = clans.flat_map(|clan| &clan.members);
        let mut meant: BTreeSet<usize> = members.copied().collect();
        for user in &who.except {
            meant.remove(user);
        }
        meant.extend(&who.also);
        let meant = meant.into_iter().filter_map(|user| self.users.get(user));
        meant.cloned().collect()
    }
}

fn revision(bundle: &Bundle) -> Revision {
    bundle.revision().clone()
}

fn actual_changes(changes: ActionChanges) -> impl Iterator<Item = (usize, DecisionChange)> {
    changes
        .into_iter()
        .enumerate()
        .filter_map(|(action, change)| Some((action, change?)))
}

#[cfg(test)]
mod tests;
