//! AuthZEN names: which entity types and actions the type and action names of AuthZEN mean.

use cedar_policy::{EntityTypeName, EntityUid};

/// What an AuthZEN type means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AccessType {
    /// A user of the catalog.
    User,
    /// A dataset of the catalog.
    Dataset,
    /// A role of the catalog.
    Role,
    /// The anonymous principal.
    Anonymous,
    /// A type of the author's own.
    Own(EntityTypeName),
}

/// The AuthZEN names of a bundle's types and actions.
#[derive(Debug, Default)]
pub struct AccessTypes {}

impl AccessTypes {
    /// The type that a name means: an `@authzen` alias, a Cedar name, or `user`, `dataset`, `role`, `anonymous`.
    #[must_use]
    pub fn find(&self, _name: &str) -> Option<AccessType> {
        None
    }

    /// The name that answers use for a type.
    #[must_use]
    pub fn name_of<'a>(&'a self, _kind: &'a AccessType) -> &'a str {
        ""
    }

    /// The actions that apply to a pair of types, by their AuthZEN names, sorted.
    #[must_use]
    pub fn actions(
        &self,
        _subject: &AccessType,
        _resource: &AccessType,
    ) -> Vec<(&str, &EntityUid)> {
        Vec::new()
    }
}
