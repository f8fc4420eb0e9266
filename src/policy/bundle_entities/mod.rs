//! Entities of a bundle: what its `*.entities.json` files say about entities of the author's own types.

use cedar_policy::{Entity, EntityTypeName, EntityUid, Schema};

use crate::domain::diagnostic::SourceDiagnostic;

use super::sources::SourceFiles;

/// Entities of one type that no policy tells apart: which class of them it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EntityClass(pub u32);

/// The entities of a bundle's `*.entities.json` files, with all their ancestors.
#[derive(Debug, Default)]
pub struct BundleEntities {}

impl BundleEntities {
    /// Reads every `*.entities.json` file; fails with every problem of every file.
    pub(super) fn parse(
        _sources: &SourceFiles,
        _schema: &Schema,
    ) -> Result<Self, Vec<SourceDiagnostic>> {
        Ok(Self::default())
    }

    /// An entity with its attributes and all its ancestors.
    pub(super) fn get(&self, _uid: &EntityUid) -> Option<&Entity> {
        None
    }

    /// The entities of a type, sorted by id.
    pub(super) fn of_type(&self, _kind: &EntityTypeName) -> &[EntityUid] {
        &[]
    }

    /// Its class; `None` if it must be decided by itself.
    pub(super) fn class(&self, _uid: &EntityUid) -> Option<EntityClass> {
        None
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        true
    }
}
