//! The attributes of an edited schema, compared with those in force.
//!
//! The rule for values that the catalog has when a schema is edited: none is lost, and none stops counting unnoticed.
//!
//! - A value that is not of its attribute's type, or a required attribute without one, does not fit.
//! - An attribute that the edit does not declare any more does not fit either, while policies in force read it: what was
//!   decided by its values would not be decided by them any more, which is what a renamed attribute comes to.
//! - An attribute that no policy in force reads may go; the catalog keeps its values, and policies do not see them.

use std::collections::BTreeMap;

use crate::domain::attributes::{AttributeOwner, Attributes};
use crate::domain::suggest::closest;

use super::attributes::{AttributeError, DeclaredAttributes};
use super::folder::PolicyFolder;

/// The attributes of an edited schema, and those that it drops although policies in force read them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EditedAttributes {
    declared: DeclaredAttributes,
    dropped: BTreeMap<(AttributeOwner, String), AttributeError>,
    /// Whether exactly the same is in force.
    is_unchanged: bool,
}

impl EditedAttributes {
    /// Compares what an edit declares with the folder in force, if there is one. Validates the folder in force if the
    /// edit drops an attribute.
    #[must_use]
    pub fn new(declared: &DeclaredAttributes, in_force: Option<&PolicyFolder>) -> Self {
        let before = in_force.and_then(PolicyFolder::declared_attributes);
        // Without a folder in force, nothing is known of what was declared before.
        let before = before.unwrap_or_default();
        let is_unchanged = before == *declared;
        let of_owner = |owner| {
            let names = before.names(owner).map(str::to_owned);
            let dropped = names.filter(move |name| !declared.declares(owner, name));
            dropped.map(move |name| (owner, name))
        };
        let mut dropped: Vec<_> = AttributeOwner::ALL.into_iter().flat_map(of_owner).collect();
        if !dropped.is_empty() {
            let references = in_force.and_then(|folder| folder.bundle().ok());
            let references = references.map(|bundle| bundle.references());
            dropped.retain(|(_, name)| {
                let references = references.as_ref();
                references.is_some_and(|references| references.has_attribute(name))
            });
        }
        let errors = dropped.into_iter().map(|(owner, name)| {
            let new = new_name(&before, declared, owner, &name);
            let error = AttributeError::dropped(&name, new);
            ((owner, name), error)
        });
        Self {
            dropped: errors.collect(),
            declared: declared.clone(),
            is_unchanged,
        }
    }

    /// Whether the same attributes are in force, so that the catalog was compared with them before.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.is_unchanged
    }

    /// Whether it neither declares nor drops any.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.declared == DeclaredAttributes::default() && self.dropped.is_empty()
    }

    /// What of the attributes that somebody or something has does not fit the edit.
    pub fn misfits<'a>(
        &'a self,
        owner: AttributeOwner,
        stored: &'a Attributes,
    ) -> impl Iterator<Item = AttributeError> {
        let dropped = self
            .dropped
            .iter()
            .filter(move |((of, name), _)| *of == owner && stored.contains_key(name));
        let dropped = dropped.map(|(_, error)| error.clone());
        self.declared.misfits(owner, stored).chain(dropped)
    }

    /// The attributes that somebody or something has, and that policies will not see after the edit; what does not fit
    /// is not among them.
    pub fn undeclared<'a>(
        &'a self,
        owner: AttributeOwner,
        stored: &'a Attributes,
    ) -> impl Iterator<Item = &'a str> {
        let is_dropped = move |name: &str| self.dropped.contains_key(&(owner, name.to_owned()));
        let undeclared = self.declared.undeclared(owner, stored);
        undeclared.filter(move |name| !is_dropped(name))
    }
}

/// What an attribute may be called after the edit: the new attribute of a similar name, or the only one of its type.
fn new_name<'a>(
    before: &'a DeclaredAttributes,
    after: &'a DeclaredAttributes,
    owner: AttributeOwner,
    name: &'a str,
) -> Option<&'a str> {
    let is_new = |new: &&str| !before.declares(owner, new);
    let mut of_type = after.names_of_type(owner, before, name).filter(is_new);
    closest(name, after.names(owner).filter(is_new))
        .or_else(|| of_type.next().filter(|_| of_type.next().is_none()))
}
