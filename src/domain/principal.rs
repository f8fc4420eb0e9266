//! Principals: who asks.
//!
//! A principal is either a user or the one anonymous principal. This module refuses to know how a
//! principal proved itself; that is [`super::caller`].

use std::collections::{BTreeMap, BTreeSet};

use super::id::UserId;
use super::name::{RoleName, Username};

/// Attributes that a deployment adds without touching the schema: a key and its values.
pub type Tags = BTreeMap<String, BTreeSet<String>>;

/// Who asks, as a decision is made about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// Somebody without credentials: Cedar's `Anonymous::"anonymous"`.
    Anonymous,
    /// A user of the catalog: Cedar's `User::"<uuid>"`.
    User(std::sync::Arc<User>),
}

impl Principal {
    /// The user's id, or nothing for the anonymous principal.
    #[must_use]
    pub fn user_id(&self) -> Option<UserId> {
        match self {
            Self::Anonymous => None,
            Self::User(user) => Some(user.id),
        }
    }

    /// Whether nobody signed in.
    #[must_use]
    pub fn is_anonymous(&self) -> bool {
        matches!(self, Self::Anonymous)
    }
}

/// A user of the catalog with everything that a decision may look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The id that policies and tokens name.
    pub id: UserId,
    /// The name the user signs in with.
    pub username: Username,
    /// The outside issuer the user comes from; none for users of this catalog.
    pub issuer: Option<String>,
    /// The roles the user is a member of.
    pub roles: BTreeSet<RoleName>,
    /// Claims of an outside issuer, Cedar entity tags.
    pub claims: Tags,
    /// Whether all credentials of the user are invalid.
    pub is_disabled: bool,
}
