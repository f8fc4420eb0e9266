//! Properties: entities of the author's own types, as the bundle has them, with what the caller says about them for one
//! question.

use std::collections::BTreeMap;

use cedar_policy::{Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression};
use cedar_policy_core::ast;
use serde_json::{Map, Value};

use crate::policy::attributes::ReadRules;
use crate::policy::bundle_entities::BundleEntities;

use super::refusal::QuestionRefusal;
use super::tables::{OwnType, QuestionTables};

/// An entity of an own type that a question is about.
pub(super) struct OwnEntity {
    pub(super) uid: EntityUid,
    /// The attributes that the caller gave, in the form that equal values have in common.
    pub(super) given: BTreeMap<String, Value>,
    expressions: Vec<(String, RestrictedExpression)>,
    is_enumerated: bool,
}

impl OwnEntity {
    /// Checks that the schema allows the entity with the properties; `role` is `subject` or `resource`, and `type_name`
    /// the type as the caller knows it.
    pub(super) fn new(
        (tables, entities): (&QuestionTables, &BundleEntities),
        (role, type_name): (&str, &str),
        (kind, id): (&EntityTypeName, &str),
        properties: &Map<String, Value>,
    ) -> Result<Self, QuestionRefusal> {
        let own = tables
            .own_type(kind)
            .ok_or_else(|| QuestionRefusal::reason(format!("unknown type \"{kind}\"")))?;
        let uid = EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id));
        let mut found = Self {
            uid,
            given: BTreeMap::new(),
            expressions: Vec::new(),
            is_enumerated: own.members.is_some(),
        };
        if let Some(members) = &own.members {
            return if members.contains(id) {
                Ok(found)
            } else {
                Err(QuestionRefusal::reason(absent(type_name, id)))
            };
        }
        found.read(own, role, properties)?;
        let mut missing = own
            .required()
            .filter(|name| !found.given.contains_key(*name));
        match missing.next() {
            // The file was checked when it was loaded.
            Some(name) if entities.get(&found.uid).is_none() => {
                let absent = absent(type_name, id);
                let message = format!("{absent}, and the schema requires {name}");
                Err(QuestionRefusal::reason(message))
            }
            _ => Ok(found),
        }
    }

    /// Reads the properties that the schema declares.
    fn read(
        &mut self,
        own: &OwnType,
        role: &str,
        properties: &Map<String, Value>,
    ) -> Result<(), QuestionRefusal> {
        let mut errors = Vec::new();
        for (name, attribute) in &own.attributes {
            let given = properties.get(name).filter(|value| !value.is_null());
            match given.map(|value| attribute.value_type.read(value, ReadRules::Foreign)) {
                None => {}
                Some(Ok(read)) => {
                    self.given.insert(name.clone(), read.json);
                    self.expressions.push((name.clone(), read.expression));
                }
                Some(Err(error)) => errors.push(error.within(name)),
            }
        }
        if errors.is_empty() {
            return Ok(());
        }
        let place = format!("{role}.properties");
        Err(QuestionRefusal::misfits(&place, errors))
    }

    /// Whether the entity is as the bundle has it.
    pub(super) fn is_as_in_bundle(&self) -> bool {
        self.given.is_empty()
    }

    /// The entity: the attributes that the caller gave replace those of the bundle; ancestors and tags are the bundle's
    /// alone. None for a member of an enumeration, which has nothing but its name.
    pub(super) fn build(
        &self,
        entities: &BundleEntities,
    ) -> Result<Option<Entity>, QuestionRefusal> {
        if self.is_enumerated {
            return Ok(None);
        }
        let stored = entities.get(&self.uid);
        if self.expressions.is_empty() {
            let entity = stored.cloned();
            return Ok(Some(
                entity.unwrap_or_else(|| Entity::with_uid(self.uid.clone())),
            ));
        }
        let given = Entity::new_with_tags(self.uid.clone(), self.expressions.clone(), [], [])
            .map_err(|error| {
                let message = format!("{}: {error}", self.uid);
                QuestionRefusal::error(message)
                    .recorded_as("the properties have no values in Cedar")
            })?;
        let Some(stored) = stored else {
            return Ok(Some(given));
        };
        let stored: &ast::Entity = stored.as_ref();
        let (uid, mut attributes, ancestors, parents, tags) = stored.clone().into_inner();
        let given: &ast::Entity = given.as_ref();
        let given = given.attrs();
        attributes.extend(given.map(|(name, value)| (name.clone(), value.clone())));
        let merged =
            ast::Entity::new_with_attr_partial_value(uid, attributes, ancestors, parents, tags);
        Ok(Some(merged.into()))
    }
}

/// What to say of an entity that there is not.
fn absent(type_name: &str, id: &str) -> String {
    format!("there is no {type_name} {}", super::refusal::quoted(id))
}
