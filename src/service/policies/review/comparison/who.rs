//! Users in a few words: all of them, or those with or without a role.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::domain::name::RoleName;
use crate::domain::principal::User;

use super::affected::{UserDigests, UserSetDigest};

/// The descriptions of the sets of users that have one.
pub(super) struct UserDescriptions {
    known: HashMap<UserSetDigest, String>,
}

impl UserDescriptions {
    pub(super) fn new(users: &[Arc<User>], digests: &UserDigests) -> Self {
        let mut all = UserSetDigest::default();
        let mut by_role: BTreeMap<&RoleName, UserSetDigest> = BTreeMap::new();
        for (place, user) in users.iter().enumerate() {
            let digest = digests.of_user(place);
            all.add(digest);
            for role in &user.roles {
                by_role.entry(role).or_default().add(digest);
            }
        }
        let counted = |set: UserSetDigest| match set.count {
            1 => "1 user".to_owned(),
            count => format!("{count} users"),
        };
        // The first description of a set is the best one.
        let mut known: HashMap<UserSetDigest, String> = HashMap::new();
        let mut describe = |set: UserSetDigest, text: String| {
            known.entry(set).or_insert(text);
        };
        describe(all, format!("every signed-in user ({})", counted(all)));
        for (role, members) in &by_role {
            describe(*members, format!("role {role} ({})", counted(*members)));
        }
        for (role, members) in &by_role {
            let mut others = all;
            others.remove(*members);
            let text = format!(
                "every signed-in user without role {role} ({})",
                counted(others)
            );
            describe(others, text);
        }
        known.remove(&UserSetDigest::default());
        Self { known }
    }

    /// The description of a set, if it has one.
    pub(super) fn of(&self, users: UserSetDigest) -> Option<&str> {
        self.known.get(&users).map(String::as_str)
    }
}
