//! The columns of a matrix: whom a question is about, and in which groups.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::id::UserId;
use crate::domain::name::RoleName;
use crate::domain::principal::{Principal, User};
use crate::domain::shown::join_first;

use super::keys::PeopleKey;
use super::query::{MatrixAxis, MatrixError, PeopleGrouping};
use super::report::MatrixColumn;
use crate::service::policies::review::pair_classes::PairClasses;

/// The most names of a column.
const MAX_SHOWN_NAMES: usize = 5;

/// Who takes part.
pub(super) struct ChosenPeople {
    /// For each user whether it does.
    pub(super) users: Vec<bool>,
    /// Whether callers who did not sign in do.
    pub(super) is_anonymous: bool,
}

/// A column, and the places of its users.
pub(super) struct PeopleGroup {
    pub(super) key: PeopleKey,
    pub(super) members: Vec<usize>,
}

impl ChosenPeople {
    /// Those who are in all groups of some keys, and who can authenticate as it is asked.
    pub(super) fn new(run: &PairClasses<'_>, within: &[PeopleKey]) -> Result<Self, MatrixError> {
        let asked = &run.decider.asked;
        let possible = run.users.iter().map(|user| {
            let principal = Principal::User(Arc::clone(user));
            asked.is_possible(&principal)
        });
        let mut users: Vec<bool> = possible.collect();
        let mut is_anonymous = asked.is_possible(&Principal::Anonymous);
        for key in within {
            let is_in = members(run, key)?;
            is_anonymous &= *key == PeopleKey::Anonymous;
            for (place, (user, chosen)) in run.users.iter().zip(&mut users).enumerate() {
                *chosen &= is_in(place, user);
            }
        }
        Ok(Self {
            users,
            is_anonymous,
        })
    }

    /// How many they are, callers who did not sign in as one.
    pub(super) fn count(&self) -> usize {
        let users = self.users.iter().filter(|is_chosen| **is_chosen).count();
        users + usize::from(self.is_anonymous)
    }

    /// Whether a user takes part.
    pub(super) fn contains(&self, user: usize) -> bool {
        self.users.get(user) == Some(&true)
    }

    /// The groups, callers who did not sign in first.
    pub(super) fn groups(&self, run: &PairClasses<'_>, by: PeopleGrouping) -> Vec<PeopleGroup> {
        let chosen = run.users.iter().enumerate();
        let chosen = chosen.filter(|(place, _)| self.contains(*place));
        let group = |key, members| PeopleGroup { key, members };
        let mut groups: Vec<PeopleGroup> = match by {
            PeopleGrouping::Person => chosen
                .map(|(place, user)| group(PeopleKey::User(user.id), vec![place]))
                .collect(),
            PeopleGrouping::Role => {
                let mut by_role: BTreeMap<Option<&RoleName>, Vec<usize>> = BTreeMap::new();
                for (place, user) in chosen {
                    for role in &user.roles {
                        by_role.entry(Some(role)).or_default().push(place);
                    }
                    if user.roles.is_empty() {
                        by_role.entry(None).or_default().push(place);
                    }
                }
                let by_role = by_role.into_iter();
                by_role
                    .map(|(role, members)| group(PeopleKey::Role(role.cloned()), members))
                    .collect()
            }
            PeopleGrouping::Class => {
                let classes = run.classes.iter().filter_map(|class| {
                    // The class of the user whose id is the lowest: whoever is in it names it.
                    let named = class
                        .members
                        .iter()
                        .filter_map(|place| run.users.get(*place));
                    let named = named.map(|user| user.id).min()?;
                    let members = class.members.iter().copied();
                    let members: Vec<usize> = members.filter(|it| self.contains(*it)).collect();
                    Some(group(PeopleKey::Class(named), members))
                });
                let mut classes: Vec<PeopleGroup> =
                    classes.filter(|group| !group.members.is_empty()).collect();
                let order = |group: &PeopleGroup| {
                    let first = group.members.first().copied();
                    (std::cmp::Reverse(group.members.len()), first)
                };
                classes.sort_by_key(order);
                classes
            }
        };
        if self.is_anonymous {
            groups.insert(0, group(PeopleKey::Anonymous, Vec::new()));
        }
        groups
    }
}

/// Whether a user is in the group of a key, by its place.
type IsMember<'r> = Box<dyn Fn(usize, &User) -> bool + 'r>;

fn members<'r>(run: &'r PairClasses<'_>, key: &'r PeopleKey) -> Result<IsMember<'r>, MatrixError> {
    let place_of = |id: UserId| {
        let mut users = run.users.iter();
        let found = users.position(|user| user.id == id);
        found.ok_or(MatrixError::UnknownGroup)
    };
    match key {
        PeopleKey::Anonymous => Ok(Box::new(|_, _| false)),
        PeopleKey::User(id) => {
            let place = place_of(*id)?;
            Ok(Box::new(move |user, _| user == place))
        }
        PeopleKey::Class(id) => {
            let class = run.class_of(place_of(*id)?);
            Ok(Box::new(move |user, _| run.class_of(user) == class))
        }
        PeopleKey::Role(role) => {
            let is_in = move |user: &User| match role {
                Some(role) => user.roles.contains(role),
                None => user.roles.is_empty(),
            };
            if run.users.iter().any(|user| is_in(user)) {
                Ok(Box::new(move |_, user| is_in(user)))
            } else {
                Err(MatrixError::UnknownGroup)
            }
        }
    }
}

/// The groups of one page, and the key of the last one if more follow.
pub(super) fn page<T, By, Key: Clone + PartialEq>(
    groups: Vec<T>,
    axis: &MatrixAxis<By, Key>,
    limit: usize,
    key: impl Fn(&T) -> &Key,
) -> Result<(Vec<T>, Option<Key>), MatrixError> {
    let before = match &axis.after {
        None => 0,
        Some(after) => {
            let place = groups.iter().position(|group| key(group) == after);
            place.ok_or(MatrixError::UnknownGroup)? + 1
        }
    };
    let has_more = groups.len() > before.saturating_add(limit);
    let page: Vec<T> = groups.into_iter().skip(before).take(limit).collect();
    let next = page
        .last()
        .filter(|_| has_more)
        .map(|last| key(last).clone());
    Ok((page, next))
}

impl PeopleGroup {
    /// The column.
    pub(super) fn column(&self, users: &[Arc<User>]) -> MatrixColumn {
        let count = self.members.len();
        let members = self.members.iter().filter_map(|place| users.get(*place));
        let names = members.clone().map(|user| user.username.as_str());
        let first = members.clone().next();
        let one = first.filter(|_| count == 1 && !matches!(self.key, PeopleKey::Role(_)));
        let names = join_first(names.take(MAX_SHOWN_NAMES), count);
        let (label, detail) = match (&self.key, one, first) {
            (PeopleKey::Anonymous, _, _) => (
                "anonymous".to_owned(),
                "callers who did not sign in".to_owned(),
            ),
            (_, Some(user), _) => (user.username.to_string(), roles_of(user)),
            (PeopleKey::Role(Some(role)), _, _) => (role.to_string(), names),
            (PeopleKey::Role(None), _, _) => ("no role".to_owned(), names),
            (PeopleKey::Class(_) | PeopleKey::User(_), None, Some(user)) => {
                (format!("{count} users with {}", roles_of(user)), names)
            }
            (PeopleKey::Class(_) | PeopleKey::User(_), None, None) => (String::new(), names),
        };
        MatrixColumn {
            key: self.key.clone(),
            label,
            detail: Some(detail).filter(|detail| !detail.is_empty()),
            people: match self.key {
                PeopleKey::Anonymous => 1,
                PeopleKey::Class(_) | PeopleKey::Role(_) | PeopleKey::User(_) => count,
            },
            user_id: one.map(|user| user.id),
        }
    }
}

fn roles_of(user: &User) -> String {
    let roles: Vec<&str> = user.roles.iter().map(RoleName::as_str).collect();
    match roles.as_slice() {
        [] => "no role".to_owned(),
        [role] => format!("role {role}"),
        [roles @ .., last] => format!("roles {} and {last}", roles.join(", ")),
    }
}
