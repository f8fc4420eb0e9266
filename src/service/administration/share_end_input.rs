//! The ends of shares in a request, by the names of users and roles.

use std::collections::BTreeMap;

use crate::domain::id::UserId;
use crate::domain::name::{RoleName, Username};
use crate::domain::share_ends::ShareEnds;
use crate::service::error::ServiceError;
use crate::storage::DatasetWithNames;

/// When shares end, in seconds since 1970 UTC; those that are not named have no end.
///
/// `None` keeps the ends that there are, so that a client that does not know of them takes none away.
#[derive(Clone, Debug, Default)]
pub struct ShareEndInput {
    /// Of users, by name.
    pub users: Option<BTreeMap<Username, i64>>,
    /// Of roles, by name.
    pub roles: Option<BTreeMap<RoleName, i64>>,
}

impl ShareEndInput {
    /// The ends for the readers of a dataset, and what is wrong with them.
    pub(super) fn ends(
        &self,
        readers: &BTreeMap<Username, UserId>,
        roles: &std::collections::BTreeSet<RoleName>,
        before: Option<&DatasetWithNames>,
    ) -> (ShareEnds, Option<ServiceError>) {
        let mut ends = before
            .map(|before| before.dataset.share_ends.clone())
            .unwrap_or_default();
        let mut error = None;
        let mut unknown = |field, name: &dyn std::fmt::Display| {
            let detail = format!("{name} is not one of the readers");
            error = Some(ServiceError::invalid(field, detail));
        };
        if let Some(given) = &self.users {
            ends.users.clear();
            for (name, until) in given {
                match readers.get(name) {
                    Some(user) => drop(ends.users.insert(*user, *until)),
                    None => unknown("reader_users_until", name),
                }
            }
        }
        if let Some(given) = &self.roles {
            ends.roles.clear();
            for (name, until) in given {
                if roles.contains(name) {
                    ends.roles.insert(name.clone(), *until);
                } else {
                    unknown("reader_roles_until", name);
                }
            }
        }
        ends.retain_readers(&readers.values().copied().collect(), roles);
        (ends, error)
    }
}
