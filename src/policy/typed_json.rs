//! Values of cases as people write them: bare words for entities, addresses and times, by the types of the schema.
//!
//! Cedar's JSON names an entity as `{"__entity": {"type": ..., "id": ...}}` and calls a constructor as
//! `{"__extn": {"fn": ..., "arg": ...}}`, because it is also read without a schema. With one, the word is enough.

use cedar_policy_core::ast::EntityType;
use cedar_policy_core::validator::types::{Attributes, EntityKind, Type};
use serde_json::{Map, Value, json};

/// The id of the entity of a type that a word means, or why it means none.
pub(super) type FindId<'a> = dyn Fn(&EntityType, &str) -> Result<String, String> + 'a;

/// A value in Cedar's JSON; what is already in it stays.
pub(super) fn expand(value: Value, value_type: &Type, find: &FindId<'_>) -> Result<Value, String> {
    match (value, value_type) {
        (Value::String(word), Type::Entity(EntityKind::Entity(types))) => {
            match types.get_single_entity() {
                Some(entity_type) => entity(entity_type, &word, find),
                None => Ok(Value::String(word)),
            }
        }
        (Value::String(word), Type::ExtensionType { name }) => {
            let name = name.to_string();
            // The constructor of an address has another name than its type.
            let constructor = if name == "ipaddr" { "ip" } else { &name };
            Ok(json!({"__extn": {"fn": constructor, "arg": word}}))
        }
        (
            Value::Array(values),
            Type::Set {
                element_type: Some(element_type),
            },
        ) => values
            .into_iter()
            .map(|value| expand(value, element_type, find))
            .collect(),
        (Value::Object(members), Type::Record { attrs, .. }) => {
            expand_members(members, attrs, find).map(Value::Object)
        }
        (value, _) => Ok(value),
    }
}

/// The members of a record, each by its type; one that the record does not have stays.
pub(super) fn expand_members(
    members: Map<String, Value>,
    attributes: &Attributes,
    find: &FindId<'_>,
) -> Result<Map<String, Value>, String> {
    let expanded = members.into_iter().map(|(name, value)| {
        let value = match attributes.get_attr(&name) {
            Some(attribute) => expand(value, &attribute.attr_type, find)?,
            None => value,
        };
        Ok((name, value))
    });
    expanded.collect()
}

/// A reference to an entity of a type, in Cedar's JSON.
pub(super) fn entity(
    entity_type: &EntityType,
    word: &str,
    find: &FindId<'_>,
) -> Result<Value, String> {
    let id = find(entity_type, word)?;
    Ok(json!({"__entity": {"type": entity_type.to_string(), "id": id}}))
}
