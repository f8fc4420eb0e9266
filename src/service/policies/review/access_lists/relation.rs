//! Relations: by what of a principal and a dataset a policy permits, found by taking it away.
//!
//! A policy permits by a relation if it permits with this relation alone, and does not without any: so what is told is
//! never a guess from the text of a policy.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;
use uuid::Uuid;

use crate::domain::dataset::Dataset;
use crate::domain::id::UserId;
use crate::domain::name::RoleName;
use crate::domain::principal::{Principal, User};
use crate::policy::references::PolicyReferences;

/// By what a policy permits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(tag = "kind", content = "name", rename_all = "lowercase")]
pub enum AccessRelation {
    /// The user owns the dataset.
    Owner,
    /// The dataset is shared with the user by name.
    Reader,
    /// The user has this role, with which the dataset is shared or which the policy names.
    Role(RoleName),
    /// Everyone who signed in.
    Everyone,
    /// Nobody signed in.
    Anonymous,
    /// Something else that the policy says.
    Policy,
}

/// The relation of a class: which of the roles that no policy names it is differs from pair to pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ClassRelation {
    Owner,
    Reader,
    /// A role that a policy names.
    NamedRole(RoleName),
    /// Each role of the user with which the dataset is shared, and that no policy names.
    SharedRoles,
    None,
}

impl ClassRelation {
    /// Whether it is the same relation for every pair of one principal and the datasets of a class.
    pub(super) fn is_of_class(&self) -> bool {
        match self {
            Self::Owner | Self::Reader | Self::NamedRole(_) | Self::None => true,
            Self::SharedRoles => false,
        }
    }

    /// The relations of one pair of the class.
    pub(super) fn of_pair(
        &self,
        user: Option<&User>,
        dataset: &Dataset,
        references: &PolicyReferences,
    ) -> Vec<AccessRelation> {
        match (self, user) {
            (_, None) => vec![AccessRelation::Anonymous],
            (Self::Owner, _) => vec![AccessRelation::Owner],
            (Self::Reader, _) => vec![AccessRelation::Reader],
            (Self::NamedRole(role), _) => vec![AccessRelation::Role(role.clone())],
            (Self::None, _) => vec![AccessRelation::Policy],
            (Self::SharedRoles, Some(user)) => {
                let shared = user.roles.intersection(&dataset.reader_roles);
                let other = shared.filter(|role| !is_named(role, references));
                other.cloned().map(AccessRelation::Role).collect()
            }
        }
    }
}

fn is_named(role: &RoleName, references: &PolicyReferences) -> bool {
    references.is_everything || references.roles.contains(role)
}

/// What is left of the relations of a user and a dataset.
#[derive(Default)]
struct Kept<'r> {
    is_owner: bool,
    is_reader: bool,
    role: Option<&'r RoleName>,
}

/// The relations by each of which alone a policy permits; `is_met` asks whether it permits to another pair.
pub(super) fn find_relations(
    principal: &Principal,
    dataset: &Arc<Dataset>,
    references: &PolicyReferences,
    is_met: impl Fn(&Principal, &Arc<Dataset>) -> bool,
) -> Vec<ClassRelation> {
    let none = vec![ClassRelation::None];
    let Principal::User(user) = principal else {
        return none;
    };
    let is_owner = dataset.owner == Some(user.id);
    let is_reader = dataset.reader_users.contains(&user.id);
    let roles: BTreeSet<&RoleName> = user
        .roles
        .iter()
        .filter(|role| is_named(role, references) || dataset.reader_roles.contains(role))
        .collect();
    if !is_owner && !is_reader && roles.is_empty() {
        return none;
    }
    let is_met_with = |kept: Kept<'_>| {
        let mut who = User::clone(user);
        who.roles
            .retain(|role| !roles.contains(role) || kept.role == Some(role));
        let mut what = Dataset::clone(dataset);
        if is_owner && !kept.is_owner {
            // Another owner, whom no policy names.
            what.owner = Some(UserId(Uuid::max()));
        }
        if is_reader && !kept.is_reader {
            what.reader_users.remove(&user.id);
        }
        is_met(&Principal::User(Arc::new(who)), &Arc::new(what))
    };
    if is_met_with(Kept::default()) {
        return none;
    }
    let mut found = Vec::new();
    if is_owner
        && is_met_with(Kept {
            is_owner,
            ..Kept::default()
        })
    {
        found.push(ClassRelation::Owner);
    }
    if is_reader
        && is_met_with(Kept {
            is_reader,
            ..Kept::default()
        })
    {
        found.push(ClassRelation::Reader);
    }
    // What holds for one role that no policy names holds for each.
    let (named, other): (Vec<_>, Vec<_>) = roles
        .iter()
        .copied()
        .partition(|role| is_named(role, references));
    let is_met_by_role = |role: &RoleName| {
        is_met_with(Kept {
            role: Some(role),
            ..Kept::default()
        })
    };
    for role in named {
        if is_met_by_role(role) {
            found.push(ClassRelation::NamedRole(role.clone()));
        }
    }
    if other.first().is_some_and(|role| is_met_by_role(role)) {
        found.push(ClassRelation::SharedRoles);
    }
    if found.is_empty() { none } else { found }
}
