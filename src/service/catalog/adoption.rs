//! Users that others made: what a catalog file would give them, and whether the operator takes them over.
//!
//! A user name is only a name: whoever may create or rename users can give one of them a name of the file
//! before it is applied. So a file gives roles, passwords and datasets to users that the operator made, by id,
//! and to others only when it is told to adopt them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::ops::Range;

use toml::Spanned;

use super::current::CurrentUsers;
use super::diagnostic::CatalogDiagnostic;
use super::file::UserItem;
use crate::domain::id::UserId;
use crate::domain::name::Username;
use crate::storage::UserRecord;

/// The most users that are reported one by one.
const MAX_REPORTED_USERS: usize = 50;

/// What users of others gain.
pub(super) struct Gains {
    is_adopting: bool,
    /// The users that exist and are not the operator's.
    foreign: BTreeSet<UserId>,
    /// What each of them gains, and where the file says so.
    gained: BTreeMap<UserId, Gain>,
    /// Every user that existing datasets are given to, whoever made it.
    pub(super) given_datasets: BTreeSet<UserId>,
}

struct Gain {
    username: Username,
    span: Range<usize>,
    what: Vec<String>,
    owned: usize,
    shared: usize,
}

impl Gains {
    /// Nothing yet.
    pub(super) fn new(current: &CurrentUsers<'_>, is_adopting: bool) -> Self {
        let ids = current.own.values().map(|record| record.user.id);
        Self {
            is_adopting,
            foreign: ids.filter(|id| !current.is_from_operator(*id)).collect(),
            gained: BTreeMap::new(),
            given_datasets: BTreeSet::new(),
        }
    }

    /// Whether what others made is taken over.
    pub(super) fn is_adopting(&self) -> bool {
        self.is_adopting
    }

    /// Adds what the file gives to a user that exists; returns whether the user is adopted.
    pub(super) fn add_user(
        &mut self,
        item: &UserItem,
        before: &UserRecord,
        after: &UserRecord,
    ) -> bool {
        let id = before.user.id;
        if !self.foreign.contains(&id) {
            return false;
        }
        let added = after.user.roles.difference(&before.user.roles);
        let mut what: Vec<_> = added.map(|role| format!("the role {role}")).collect();
        if before.password_hash != after.password_hash {
            what.push(String::from("a password"));
        }
        if before.user.attributes != after.user.attributes {
            what.push(String::from("other attributes"));
        }
        if before.user.is_disabled && !after.user.is_disabled {
            what.push(String::from("its access back"));
        }
        if !what.is_empty() {
            self.gain(id, &item.username).what = what;
        }
        self.is_adopting
    }

    /// Adds that a dataset becomes owned by a user.
    pub(super) fn add_owner(&mut self, name: &Spanned<Username>, id: UserId) {
        self.given_datasets.insert(id);
        if self.foreign.contains(&id) {
            self.gain(id, name).owned += 1;
        }
    }

    /// Adds that a dataset is shared with a user.
    pub(super) fn add_reader(&mut self, name: &Spanned<Username>, id: UserId) {
        self.given_datasets.insert(id);
        if self.foreign.contains(&id) {
            self.gain(id, name).shared += 1;
        }
    }

    /// Whether a user is not the operator's.
    pub(super) fn is_foreign(&self, id: UserId) -> bool {
        self.foreign.contains(&id)
    }

    /// The users that gain something and are to be adopted.
    pub(super) fn adopted(&self) -> impl Iterator<Item = (UserId, &Username)> {
        let gained = self.gained.iter().filter(|_| self.is_adopting);
        gained.map(|(id, gain)| (*id, &gain.username))
    }

    /// What the operator has to agree to first.
    pub(super) fn refused(&self) -> Vec<CatalogDiagnostic> {
        if self.is_adopting {
            return Vec::new();
        }
        let mut refused: Vec<_> = self
            .gained
            .values()
            .take(MAX_REPORTED_USERS)
            .map(Gain::diagnostic)
            .collect();
        let more = self.gained.len().saturating_sub(MAX_REPORTED_USERS);
        if let (Some(last), true) = (refused.last_mut(), more > 0) {
            // Writing to a String cannot fail.
            let _ = write!(last.message, "; {more} more users are not listed");
        }
        refused
    }

    fn gain(&mut self, id: UserId, name: &Spanned<Username>) -> &mut Gain {
        self.gained.entry(id).or_insert_with(|| Gain {
            username: name.get_ref().clone(),
            span: name.span(),
            what: Vec::new(),
            owned: 0,
            shared: 0,
        })
    }
}

impl Gain {
    fn diagnostic(&self) -> CatalogDiagnostic {
        let mut what = self.what.clone();
        if self.owned > 0 {
            what.push(format!("{} to own", count(self.owned)));
        }
        if self.shared > 0 {
            what.push(format!("{} to read", count(self.shared)));
        }
        let message = format!(
            "the user {} would be given {}, but somebody else created it or set its name or password",
            self.username,
            what.join(", ")
        );
        CatalogDiagnostic::new(self.span.clone(), message)
    }
}

fn count(datasets: usize) -> String {
    match datasets {
        1 => String::from("1 dataset"),
        many => format!("{many} datasets"),
    }
}
