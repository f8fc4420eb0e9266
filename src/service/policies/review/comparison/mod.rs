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
use crate::domain::caller::{Authentication, Context};
use crate::domain::dataset::Dataset;
use crate::domain::decision::Revision;
use crate::domain::id::UserId;
use crate::domain::name::RoleName;
use crate::domain::principal::{Principal, User};
use crate::domain::resource::Resource;
use crate::policy::Bundle;
use crate::policy::references::Mentions;
use crate::storage::Catalog;

use projection::{Face, View, is_reader_by_other_role};
pub use report::{Change, Comparison, Group};

/// The actions that are compared.
const ACTIONS: [Action; 3] = Action::OF_DATASETS;
/// The most evaluation errors that a comparison tells.
const MOST_ERRORS: usize = 20;

/// From where and when everybody asks.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// The address.
    pub address: std::net::IpAddr,
    /// The time, in milliseconds since 1970 UTC.
    pub unix_millis: i64,
}

impl Circumstances {
    /// What policies see of the way a principal asks: a user signed in with a password, or with a
    /// token of its outside issuer, and with no API key.
    #[must_use]
    pub fn context_of(self, principal: &Principal) -> Context {
        let has_issuer = matches!(principal, Principal::User(user) if user.issuer.is_some());
        self.context_for(principal.is_anonymous(), has_issuer)
    }

    /// The same for a principal of whom this much is known.
    #[must_use]
    pub fn context_for(self, is_anonymous: bool, has_issuer: bool) -> Context {
        Context {
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
type Changes = [Option<Change>; ACTIONS.len()];

/// Users with one face and the same roles: none of them stands nearer to a dataset than another, but by
/// name.
struct Clan {
    face: usize,
    roles: BTreeSet<RoleName>,
    members: Vec<usize>,
}

/// Who is meant by a change: everybody of some clans but a few, and a few more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Who {
    is_anonymous: bool,
    clans: Vec<usize>,
    except: Vec<usize>,
    besides: Vec<usize>,
}

/// Compares what two bundles say about a catalog; `advance` is told after each dataset.
pub fn compare(
    from: &Bundle,
    to: &Bundle,
    catalog: Catalog,
    circumstances: Circumstances,
    mut advance: impl FnMut(),
) -> Comparison {
    let datasets: Vec<Arc<Dataset>> = catalog.datasets.into_iter().map(Arc::new).collect();
    let users = catalog.users.into_iter().map(|record| record.user);
    let users = users.filter(|user| !user.is_disabled).map(Arc::new);
    let mut work = Work::new(from, to, users.collect(), circumstances);
    let mut groups: HashMap<(usize, Change, Who), Vec<usize>> = HashMap::new();
    for (index, dataset) in datasets.iter().enumerate() {
        for key in work.changes_of(dataset) {
            groups.entry(key).or_default().push(index);
        }
        advance();
    }
    work.report(&catalog.roles, &datasets, groups)
}

struct Work<'a> {
    from: &'a Bundle,
    to: &'a Bundle,
    mentions: Mentions,
    circumstances: Circumstances,
    users: Vec<Arc<User>>,
    index_of: HashMap<UserId, usize>,
    clan_of: Vec<usize>,
    clans: Vec<Clan>,
    views: HashMap<View, usize>,
    known: HashMap<(Option<usize>, usize), Changes>,
    decided: u64,
    errors: BTreeSet<String>,
}

impl<'a> Work<'a> {
    fn new(
        from: &'a Bundle,
        to: &'a Bundle,
        users: Vec<Arc<User>>,
        circumstances: Circumstances,
    ) -> Self {
        let mentions = from.mentions().or(to.mentions());
        let mut faces: HashMap<Face, usize> = HashMap::new();
        let mut clans: Vec<Clan> = Vec::new();
        let mut clan_by: HashMap<(usize, &BTreeSet<RoleName>), usize> = HashMap::new();
        let mut clan_of = Vec::with_capacity(users.len());
        for (index, user) in users.iter().enumerate() {
            let next = faces.len();
            let face = *faces.entry(Face::of(user, &mentions)).or_insert(next);
            let clan = *clan_by.entry((face, &user.roles)).or_insert_with(|| {
                clans.push(Clan {
                    face,
                    roles: user.roles.clone(),
                    members: Vec::new(),
                });
                clans.len() - 1
            });
            if let Some(clan) = clans.get_mut(clan) {
                clan.members.push(index);
            }
            clan_of.push(clan);
        }
        Self {
            from,
            to,
            mentions,
            circumstances,
            index_of: users.iter().map(|user| user.id).zip(0..).collect(),
            users,
            clan_of,
            clans,
            views: HashMap::new(),
            known: HashMap::new(),
            decided: 0,
            errors: BTreeSet::new(),
        }
    }

    /// Every change about one dataset, and for whom.
    fn changes_of(&mut self, dataset: &Arc<Dataset>) -> Vec<(usize, Change, Who)> {
        // Whoever owns the dataset, or reads it by name, stands to it in a way of its own.
        let close: BTreeSet<usize> = dataset
            .reader_users
            .iter()
            .chain(&dataset.owner)
            .filter_map(|id| self.index_of.get(id).copied())
            .collect();
        let mut whos: HashMap<(usize, Change), Who> = HashMap::new();
        let clans = std::mem::take(&mut self.clans);
        let of_clans = self.changes_of_clans(dataset, &clans, &close, &mut whos);
        for user in close {
            let (Some(asker), Some(clan)) = (self.users.get(user), self.clan_of.get(user)) else {
                continue;
            };
            let Some((place, theirs)) = clans.get(*clan).zip(of_clans.get(*clan)) else {
                continue;
            };
            let view = View::of(dataset, Some(asker.id), &place.roles, &self.mentions);
            let view = self.number(view);
            let mine = self.ask(Some(place.face), view, dataset, Some(user));
            for (action, (mine, theirs)) in mine.into_iter().zip(*theirs).enumerate() {
                if mine == theirs {
                    continue;
                }
                if let Some(change) = theirs {
                    whos.entry((action, change)).or_default().except.push(user);
                }
                if let Some(change) = mine {
                    whos.entry((action, change)).or_default().besides.push(user);
                }
            }
        }
        self.clans = clans;
        whos.into_iter()
            .map(|((action, change), who)| (action, change, who))
            .collect()
    }

    /// What changes for anonymous callers, and for everybody of each clan who is not close.
    fn changes_of_clans(
        &mut self,
        dataset: &Arc<Dataset>,
        clans: &[Clan],
        close: &BTreeSet<usize>,
        whos: &mut HashMap<(usize, Change), Who>,
    ) -> Vec<Changes> {
        let nobody = BTreeSet::new();
        let outside = self.number(View::of(dataset, None, &nobody, &self.mentions));
        // Whether a clan's roles read the dataset is all that tells one clan's view from another's.
        let inside = self.number(View::of(
            dataset,
            None,
            &dataset.reader_roles,
            &self.mentions,
        ));
        for change in each(self.ask(None, outside, dataset, None)) {
            whos.entry(change).or_default().is_anonymous = true;
        }
        let mut all = Vec::with_capacity(clans.len());
        for (number, clan) in clans.iter().enumerate() {
            let is_inside =
                inside != outside && is_reader_by_other_role(dataset, &clan.roles, &self.mentions);
            let view = if is_inside { inside } else { outside };
            let stranger = clan.members.iter().find(|member| !close.contains(member));
            let changes = stranger.map_or(Changes::default(), |stranger| {
                self.ask(Some(clan.face), view, dataset, Some(*stranger))
            });
            for change in each(changes) {
                whos.entry(change).or_default().clans.push(number);
            }
            all.push(changes);
        }
        all
    }

    fn number(&mut self, view: View) -> usize {
        let next = self.views.len();
        *self.views.entry(view).or_insert(next)
    }

    /// What changes for everybody with a face who sees a view; `asker` and `dataset` stand for all.
    fn ask(
        &mut self,
        face: Option<usize>,
        view: usize,
        dataset: &Arc<Dataset>,
        asker: Option<usize>,
    ) -> Changes {
        if let Some(changes) = self.known.get(&(face, view)) {
            return *changes;
        }
        let user = asker.and_then(|asker| self.users.get(asker));
        let principal = user.map_or(Principal::Anonymous, |user| {
            Principal::User(Arc::clone(user))
        });
        let changes = self.decide(&principal, &Resource::Dataset(Arc::clone(dataset)));
        self.known.insert((face, view), changes);
        changes
    }

    fn decide(&mut self, principal: &Principal, resource: &Resource) -> Changes {
        let context = self.circumstances.context_of(principal);
        ACTIONS.map(|action| {
            let before = self.from.decide(principal, action, resource, &context);
            let after = self.to.decide(principal, action, resource, &context);
            self.decided += 2;
            if self.errors.len() < MOST_ERRORS {
                self.errors.extend(after.errors);
            }
            match (before.is_permitted, after.is_permitted) {
                (false, true) => Some(Change::Gains),
                (true, false) => Some(Change::Loses),
                (true, true) | (false, false) => None,
            }
        })
    }

    fn report(
        self,
        roles: &BTreeSet<RoleName>,
        datasets: &[Arc<Dataset>],
        groups: HashMap<(usize, Change, Who), Vec<usize>>,
    ) -> Comparison {
        let groups = groups
            .into_iter()
            .filter_map(|((action, change, who), on)| {
                Some(Group::new(
                    *ACTIONS.get(action)?,
                    change,
                    who.is_anonymous,
                    self.resolve(&who),
                    on.iter().filter_map(|index| datasets.get(*index)),
                ))
            });
        let mut groups: Vec<Group> = groups.collect();
        for group in &mut groups {
            group.name(&self.users, roles);
        }
        groups.sort_by(|a, b| a.order().cmp(&b.order()));
        Comparison {
            from: revision(self.from),
            to: revision(self.to),
            users: self.users.len(),
            datasets: datasets.len(),
            changed: groups.iter().map(Group::size).sum(),
            decided: self.decided,
            is_context_read: self.mentions.has_context,
            errors: self.errors.into_iter().collect(),
            groups,
        }
    }

    fn resolve(&self, who: &Who) -> Vec<Arc<User>> {
        let clans = who.clans.iter().filter_map(|clan| self.clans.get(*clan));
        let members = clans.flat_map(|clan| &clan.members);
        let mut meant: BTreeSet<usize> = members.copied().collect();
        for user in &who.except {
            meant.remove(user);
        }
        meant.extend(&who.besides);
        let meant = meant.into_iter().filter_map(|user| self.users.get(user));
        meant.cloned().collect()
    }
}

fn revision(bundle: &Bundle) -> Revision {
    bundle.revision().clone()
}

fn each(changes: Changes) -> impl Iterator<Item = (usize, Change)> {
    changes
        .into_iter()
        .enumerate()
        .filter_map(|(action, change)| Some((action, change?)))
}

#[cfg(test)]
mod tests;
