//! The shares with an end that matter to an explained query.

use std::fmt;

use serde::Serialize;

use crate::domain::dataset::Dataset;
use crate::domain::principal::Principal;
use crate::domain::rfc3339::format_seconds;

/// A share with an end that the principal of a query has: with it by name, or with a role of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExplainedShare {
    /// The role; `None` for a share with the user.
    pub role: Option<String>,
    /// The end.
    pub until: String,
    /// Whether it has ended at the time of the query: then it is no share.
    pub has_ended: bool,
}

impl ExplainedShare {
    /// The shares of a dataset with a principal that have an end, at a time in seconds since 1970 UTC.
    pub(super) fn of(principal: &Principal, dataset: &Dataset, unix_seconds: i64) -> Vec<Self> {
        let Principal::User(user) = principal else {
            return Vec::new();
        };
        let new = |role: Option<String>, until: i64| Self {
            role,
            until: format_seconds(until),
            has_ended: until <= unix_seconds,
        };
        let own = dataset.share_ends.users.get(&user.id);
        let own = own.map(|until| new(None, *until));
        let roles = dataset.share_ends.roles.iter();
        let roles = roles.filter(|(role, _)| user.roles.contains(*role));
        let roles = roles.map(|(role, until)| new(Some(role.to_string()), *until));
        own.into_iter().chain(roles).collect()
    }
}

impl fmt::Display for ExplainedShare {
    /// One sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with = self.role.as_ref().map_or_else(
            || "The share with the user".to_owned(),
            |role| format!("The share with the role {role}"),
        );
        let until = &self.until;
        if self.has_ended {
            write!(f, "{with} ended at {until}: it is no share any more.")
        } else {
            write!(f, "{with} ends at {until}.")
        }
    }
}
