//! Entities of a bundle: what its `*.entities.json` files say about entities of the author's own types.
//!
//! - `parse` reads the files, `entity_json` one entity of them, `entity_name` its name and parents, `entity_value` its values; `hierarchy` finds all ancestors.
//! - `changes` says what an edit does to them; `classes` numbers the entities that no policy tells apart.

mod changes;
mod classes;
mod entity_json;
mod entity_name;
mod entity_value;
mod finding;
mod hierarchy;
mod parse;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Range;
use std::sync::OnceLock;

use cedar_policy::entities_errors::EntitiesError;
use cedar_policy::{Entities, Entity, EntityTypeName, EntityUid, PolicySet, Request, Schema};
use cedar_policy_core::ast;

use crate::domain::diagnostic::SourceDiagnostic;

use super::sources::SourceFiles;

pub use changes::{ChangedEntities, EntityChanges};
pub use classes::EntityClass;
use classes::Unclassed;
pub use entity_name::{MAX_ENTITY_ID_LENGTH, MAX_ENTITY_PARENTS};
pub use parse::MAX_ENTITIES;
pub(super) use parse::NamedByFile;

/// The entities of a bundle's `*.entities.json` files, with all their ancestors.
#[derive(Default)]
pub struct BundleEntities {
    /// Sorted by type and by id.
    entities: Vec<Entity>,
    /// The names of `entities`, in the same order.
    uids: Vec<EntityUid>,
    /// The place of each in `entities`.
    places: HashMap<EntityUid, usize>,
    by_type: BTreeMap<EntityTypeName, Range<usize>>,
    named: Vec<NamedByFile>,
    unclassed: Unclassed,
    classes: OnceLock<Vec<Option<EntityClass>>>,
}

impl BundleEntities {
    /// Reads every `*.entities.json` file; fails with every problem of every file.
    pub(super) fn parse(
        sources: &SourceFiles,
        schema: &Schema,
    ) -> Result<Self, Vec<SourceDiagnostic>> {
        let parsed = parse::parse(sources, schema)?;
        let mut named: Vec<(EntityUid, Entity)> = parsed
            .entities
            .into_iter()
            .map(|entity| (entity.uid(), entity))
            .collect();
        named.sort_by(|(one, _), (other, _)| {
            let by_type = one.type_name().cmp(other.type_name());
            by_type.then_with(|| {
                let (one, other): (&str, &str) = (one.id().unescaped(), other.id().unescaped());
                one.cmp(other)
            })
        });
        let (uids, entities): (Vec<EntityUid>, Vec<Entity>) = named.into_iter().unzip();
        let mut by_type: BTreeMap<EntityTypeName, Range<usize>> = BTreeMap::new();
        for (at, uid) in uids.iter().enumerate() {
            let range = by_type.entry(uid.type_name().clone()).or_insert(at..at);
            range.end = at + 1;
        }
        let places = uids.iter().enumerate();
        Ok(Self {
            places: places.map(|(at, uid)| (uid.clone(), at)).collect(),
            entities,
            uids,
            by_type,
            named: parsed.named,
            unclassed: Unclassed::default(),
            classes: OnceLock::new(),
        })
    }

    /// The same entities, with what the policies of the bundle tell apart by name.
    pub(super) fn with_policies(mut self, policies: &PolicySet, schema: &Schema) -> Self {
        if !self.is_empty() {
            self.unclassed = Unclassed::new(policies, schema);
        }
        self
    }

    /// An entity with its attributes and all its ancestors.
    pub(super) fn get(&self, uid: &EntityUid) -> Option<&Entity> {
        self.places.get(uid).and_then(|at| self.entities.get(*at))
    }

    /// The entities of a type, sorted by id.
    pub(super) fn of_type(&self, kind: &EntityTypeName) -> &[EntityUid] {
        let range = self.by_type.get(kind).cloned();
        range
            .and_then(|range| self.uids.get(range))
            .unwrap_or_default()
    }

    /// Its class; `None` if it must be decided by itself.
    ///
    /// Two entities of a class get the same decision with the same other side and context, unless the question
    /// itself names one of them.
    pub(super) fn class(&self, uid: &EntityUid) -> Option<EntityClass> {
        let classes = self
            .classes
            .get_or_init(|| self.unclassed.number(&self.entities));
        let at = *self.places.get(uid)?;
        classes.get(at).copied().flatten()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entities.is_empty()
    }

    /// The types of which there are any.
    pub(super) fn types(&self) -> impl Iterator<Item = &EntityTypeName> {
        self.by_type.keys()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entities.len()
    }

    /// Every entity, sorted by type and by id.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entity> {
        self.entities.iter()
    }

    /// The users, roles and datasets that they name, and what they name of own types and no file has.
    pub(super) fn named_elsewhere(&self) -> &[NamedByFile] {
        &self.named
    }

    /// The entities of a request that brings `own` ones, over those of the bundle: of one name, its own count.
    ///
    /// Of the bundle's it has those that the request names and those that it, or its own entities, are in.
    /// Fails where the two together are in a cycle.
    pub(super) fn under(
        &self,
        request: &Request,
        own: &Entities,
    ) -> Result<Entities, Box<EntitiesError>> {
        if self.is_empty() {
            return Ok(own.clone());
        }
        let mut open: Vec<EntityUid> = named_by_request(request);
        for entity in own.iter() {
            open.extend(parents(entity));
        }
        let mut added: HashMap<EntityUid, Entity> = HashMap::new();
        while let Some(uid) = open.pop() {
            if own.get(&uid).is_some() || added.contains_key(&uid) {
                continue;
            }
            if let Some(entity) = self.get(&uid) {
                open.extend(parents(entity));
                // One of its ancestors may be another entity in the request, with other parents.
                let mut entity: ast::Entity = AsRef::<ast::Entity>::as_ref(entity).clone();
                entity.remove_all_indirect_ancestors();
                added.insert(uid, Entity::from(entity));
            }
        }
        if added.is_empty() {
            return Ok(own.clone());
        }
        let all = own.iter().cloned().chain(added.into_values());
        Entities::from_entities(all, None).map_err(Box::new)
    }
}

/// The direct parents of an entity.
fn parents(entity: &Entity) -> impl Iterator<Item = EntityUid> {
    let entity: &ast::Entity = entity.as_ref();
    entity.parents().map(|uid| EntityUid::from(uid.clone()))
}

/// The entities that a request names: both sides, and those of its context.
fn named_by_request(request: &Request) -> Vec<EntityUid> {
    let sides = [request.principal(), request.resource()];
    let mut named: Vec<EntityUid> = sides.into_iter().flatten().cloned().collect();
    let request: &ast::Request = request.as_ref();
    if let Some(ast::Context::Value(members)) = request.context() {
        let values = members.values().cloned().map(ast::PartialValue::Value);
        named.extend(values.flat_map(|value| entity_value::named_in(&value)));
    }
    named
}

impl fmt::Debug for BundleEntities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BundleEntities")
            .field("entities", &self.entities.len())
            .finish_non_exhaustive()
    }
}
