//! Principals: a user, or the one anonymous principal.
//!
//! How a principal authenticated is in [`super::caller`].

use std::collections::{BTreeMap, BTreeSet};

use super::attributes::{Attributes, size_of_attributes};
use super::id::UserId;
use super::memory_size::{size_of_tags, size_of_text};
use super::name::{RoleName, Username};

/// Attributes that a deployment adds without touching the schema: a key and its values.
pub type Tags = BTreeMap<String, BTreeSet<String>>;

/// Who makes a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// A caller without credentials: Cedar's `Anonymous::"anonymous"`.
    Anonymous,
    /// A user of the catalog: Cedar's `User::"<uuid>"`.
    User(std::sync::Arc<User>),
}

impl Principal {
    /// The user's id; `None` for the anonymous principal.
    #[must_use]
    pub fn user_id(&self) -> Option<UserId> {
        match self {
            Self::Anonymous => None,
            Self::User(user) => Some(user.id),
        }
    }

    /// Whether it is the anonymous principal.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        matches!(self, Self::Anonymous)
    }
}

/// A user of the catalog with everything that a decision may depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The id that policies and tokens name.
    pub id: UserId,
    /// The name the user signs in with.
    pub username: Username,
    /// The external issuer of the user; `None` for local users.
    pub issuer: Option<String>,
    /// The roles the user is a member of.
    pub roles: BTreeSet<RoleName>,
    /// Claims of an external issuer: Cedar entity tags.
    pub claims: Tags,
    /// Attributes that the policy schema declares.
    pub attributes: Attributes,
    /// The name to show, as the external issuer sent it; policies do not see it.
    pub display_name: Option<String>,
    /// Whether all credentials of the user are invalid.
    pub is_disabled: bool,
}

impl User {
    /// About how many bytes of memory it takes, for caches.
    #[must_use]
    pub fn approximate_size(&self) -> usize {
        let names = self.roles.iter().map(RoleName::as_str);
        let names = names
            .chain([self.username.as_str()])
            .chain(self.issuer.as_deref())
            .chain(self.display_name.as_deref());
        size_of::<Self>()
            + names.map(size_of_text).sum::<usize>()
            + size_of_tags(&self.claims)
            + size_of_attributes(&self.attributes)
    }
}
