//! Classes of entities: those that nothing tells apart, so that one decision serves them all.
//!
//! Two entities of a type with equal attributes, tags and ancestors can only be told apart by name: Cedar has no order
//! of ids and makes no text of them. So whatever is named anywhere has no class.

use std::collections::{BTreeMap, HashSet};

use cedar_policy::{Entity, EntityTypeName, EntityUid, PolicySet, Schema};
use cedar_policy_core::ast::{self, ExprKind, Literal, PartialValue, Value};
use cedar_policy_core::validator::ValidatorSchema;
use cedar_policy_core::validator::types::{EntityKind, Type};

use crate::domain::attributes::AttributeOwner;

use super::entity_value::named_in;

/// Entities of one type that no policy tells apart: which class of them it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EntityClass(pub u32);

/// What policies, templates and the catalog tell apart by name.
#[derive(Default)]
pub(super) struct Unclassed {
    /// The entities that the policies and links name.
    named: HashSet<EntityUid>,
    /// The types whose entities the catalog's attributes can name.
    types: HashSet<EntityTypeName>,
    /// Whether the catalog's attributes can name entities of any type.
    is_any_type: bool,
}

/// What two entities of a class have in common.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct ClassKey<'a> {
    kind: &'a EntityTypeName,
    /// The attributes, then the tags, each sorted by name.
    values: Vec<(bool, &'a str, &'a Value)>,
    /// Sorted.
    ancestors: Vec<&'a ast::EntityUID>,
}

impl Unclassed {
    pub(super) fn new(policies: &PolicySet, schema: &Schema) -> Self {
        let mut named = HashSet::new();
        for policy in policies.policies() {
            named.extend(policy.entity_literals());
            // What fills the slots of a link.
            let policy: &ast::Policy = policy.as_ref();
            let filled = policy.env().values();
            named.extend(filled.map(|uid| EntityUid::from(uid.clone())));
        }
        for template in policies.templates() {
            let template: &ast::Template = template.as_ref();
            let condition = template.condition();
            named.extend(
                condition
                    .subexpressions()
                    .filter_map(|part| match part.expr_kind() {
                        ExprKind::Lit(Literal::EntityUID(uid)) => {
                            Some(EntityUid::from(ast::EntityUID::clone(uid)))
                        }
                        _ => None,
                    }),
            );
        }
        let mut unclassed = Self {
            named,
            ..Self::default()
        };
        unclassed.add_types_of_catalog(schema.as_ref());
        unclassed
    }

    /// The class of each entity; `None` for those that must be decided by themselves.
    #[expect(
        clippy::mutable_key_type,
        reason = "what is mutable in a value is a memo that its order does not depend on"
    )]
    pub(super) fn number(&self, entities: &[Entity]) -> Vec<Option<EntityClass>> {
        let mut named: HashSet<EntityUid> = HashSet::new();
        for entity in entities {
            let entity: &ast::Entity = entity.as_ref();
            let values = entity.attrs().chain(entity.tags());
            named.extend(values.flat_map(|(_, value)| named_in(value)));
            named.extend(entity.ancestors().map(|uid| EntityUid::from(uid.clone())));
        }
        let uids: Vec<EntityUid> = entities.iter().map(Entity::uid).collect();
        let mut numbers: BTreeMap<ClassKey<'_>, u32> = BTreeMap::new();
        let classes = uids.iter().zip(entities).map(|(uid, entity)| {
            let is_named = self.is_any_type
                || named.contains(uid)
                || self.named.contains(uid)
                || self.types.contains(uid.type_name());
            if is_named {
                return None;
            }
            let next = u32::try_from(numbers.len()).ok()?;
            let key = class_key(uid.type_name(), entity.as_ref())?;
            Some(EntityClass(*numbers.entry(key).or_insert(next)))
        });
        classes.collect()
    }

    /// Adds the types whose entities attributes of users and datasets can name.
    fn add_types_of_catalog(&mut self, schema: &ValidatorSchema) {
        let owners = AttributeOwner::ALL.map(AttributeOwner::type_name);
        let of_catalog = schema.entity_types();
        for entity in of_catalog.filter(|it| owners.contains(&it.name().to_string().as_str())) {
            for (_, attribute) in entity.attributes().iter() {
                self.add_type(&attribute.attr_type);
            }
            if let Some(tags) = entity.tag_type() {
                self.add_type(tags);
            }
        }
    }

    fn add_type(&mut self, value_type: &Type) {
        match value_type {
            Type::Entity(EntityKind::Entity(types)) => match types.get_single_entity() {
                Some(name) => drop(self.types.insert(EntityTypeName::from(name.clone()))),
                None => self.is_any_type = true,
            },
            Type::Entity(EntityKind::AnyEntity) => self.is_any_type = true,
            Type::Set {
                element_type: Some(element),
            } => self.add_type(element),
            Type::Record { attrs, .. } => {
                for (_, attribute) in attrs.iter() {
                    self.add_type(&attribute.attr_type);
                }
            }
            _ => {}
        }
    }
}

fn class_key<'a>(kind: &'a EntityTypeName, entity: &'a ast::Entity) -> Option<ClassKey<'a>> {
    let attributes = entity.attrs().map(|(name, value)| (false, name, value));
    let tags = entity.tags().map(|(name, value)| (true, name, value));
    let mut values = Vec::new();
    for (is_tag, name, value) in attributes.chain(tags) {
        let PartialValue::Value(value) = value else {
            return None;
        };
        values.push((is_tag, name.as_str(), value));
    }
    let mut ancestors: Vec<&ast::EntityUID> = entity.ancestors().collect();
    ancestors.sort();
    Some(ClassKey {
        kind,
        values,
        ancestors,
    })
}
