//! Ends of shares: until when a dataset is shared with a user or a role.
//!
//! A share ends at its second and not after it: a decision at that time finds no share. Nothing is written then; what
//! has ended stays on record until the dataset is changed.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::id::UserId;
use super::name::RoleName;

/// When shares of one dataset end, in seconds since 1970 UTC. A reader that is not named here has no end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ShareEnds {
    /// Of users.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub users: BTreeMap<UserId, i64>,
    /// Of roles: of every member.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<RoleName, i64>,
}

impl ShareEnds {
    /// How many shares have an end.
    #[must_use]
    pub fn len(&self) -> usize {
        self.users.len() + self.roles.len()
    }

    /// Whether no share has an end.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.roles.is_empty()
    }

    /// How many shares have ended at a time, in seconds since 1970 UTC. The more time passes the more have.
    #[must_use]
    pub fn count_ended(&self, unix_seconds: i64) -> usize {
        let ends = self.users.values().chain(self.roles.values());
        ends.filter(|end| **end <= unix_seconds).count()
    }

    /// Drops the ends of those who are no readers.
    pub fn retain_readers(&mut self, users: &BTreeSet<UserId>, roles: &BTreeSet<RoleName>) {
        self.users.retain(|user, _| users.contains(user));
        self.roles.retain(|role, _| roles.contains(role));
    }
}
