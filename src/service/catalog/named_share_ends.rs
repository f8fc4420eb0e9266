//! Ends of shares in a catalog file, before the names are looked up.

use std::collections::BTreeMap;

use crate::domain::name::{RoleName, Username};

/// When shares end, in seconds since 1970 UTC, by the names of users and roles.
#[derive(Debug, Default)]
pub(super) struct ShareEndsByName {
    pub(super) users: BTreeMap<Username, i64>,
    pub(super) roles: BTreeMap<RoleName, i64>,
}

impl ShareEndsByName {
    pub(super) fn new(users: BTreeMap<Username, i64>, roles: BTreeMap<RoleName, i64>) -> Self {
        Self { users, roles }
    }
}
