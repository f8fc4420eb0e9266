//! Changes of a bundle's entities: which an edit adds, removes and changes.

use cedar_policy::Entity;
use cedar_policy_core::ast;
use serde::Serialize;

use crate::domain::shown::join_shown;

use super::BundleEntities;

/// The most entities that are named of each kind of change.
const MAX_NAMED: usize = 20;
/// The most entities that are named in a line of text.
const MAX_SHOWN: usize = 5;

/// What an edit does to the entities of a bundle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EntityChanges {
    /// Entities that the bundle after has alone.
    pub added: ChangedEntities,
    /// Entities that the bundle before has alone.
    pub removed: ChangedEntities,
    /// Entities with other attributes, tags or parents of their own.
    pub changed: ChangedEntities,
}

/// Entities that an edit changes in one way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ChangedEntities {
    /// How many.
    pub count: usize,
    /// The Cedar names of the first ones.
    pub names: Vec<String>,
}

impl ChangedEntities {
    fn add(&mut self, entity: &Entity) {
        self.count += 1;
        if self.names.len() < MAX_NAMED {
            self.names.push(entity.uid().to_string());
        }
    }

    fn in_words(&self, what: &str) -> Option<String> {
        if self.count == 0 {
            return None;
        }
        let mut names = join_shown(self.names.iter().map(String::as_str), MAX_SHOWN);
        if self.count > self.names.len() {
            let shown = self.names.iter().take(MAX_SHOWN).map(String::as_str);
            let shown: Vec<&str> = shown.collect();
            names = format!("{} and {} more", shown.join(", "), self.count - shown.len());
        }
        Some(format!("{} {what} ({names})", self.count))
    }
}

impl EntityChanges {
    /// What changes from the entities of one bundle to those of another.
    #[must_use]
    pub fn new(before: &BundleEntities, after: &BundleEntities) -> Self {
        let mut changes = Self::default();
        for entity in after.iter() {
            match before.get(&entity.uid()) {
                None => changes.added.add(entity),
                Some(old) if is_same(old.as_ref(), entity.as_ref()) => {}
                Some(_) => changes.changed.add(entity),
            }
        }
        let gone = before.iter();
        for entity in gone.filter(|entity| after.get(&entity.uid()).is_none()) {
            changes.removed.add(entity);
        }
        changes
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The changes on one line; `None` if there are none.
    #[must_use]
    pub fn line(&self) -> Option<String> {
        let parts = [
            self.added.in_words("added"),
            self.removed.in_words("removed"),
            self.changed.in_words("changed"),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| format!("entities of own types: {}", parts.join(", ")))
    }
}

/// Whether two entities of one name say the same; what their parents are in does not count.
fn is_same(one: &ast::Entity, other: &ast::Entity) -> bool {
    let is_parent = |uid: &ast::EntityUID| other.is_child_of(uid);
    one.attrs().eq(other.attrs())
        && one.tags().eq(other.tags())
        && one.parents().count() == other.parents().count()
        && one.parents().all(is_parent)
}
