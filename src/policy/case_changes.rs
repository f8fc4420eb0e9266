//! What a short case says differs from its base situation: attributes, tags and groups of entities.

use cedar_policy::{Entity, EntityUid};
use cedar_policy_core::ast::EntityType;
use cedar_policy_core::validator::ValidatorEntityType;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::domain::error_chain::error_chain;
use crate::domain::suggest::did_you_mean;

use super::short_case::{ShortCaseError, ShortCaseParser, parsed};
use super::situation::{Situation, SituationEntity};
use super::typed_json::{FindId, entity, expand};

impl ShortCaseParser<'_> {
    /// Applies what a case says differs from the situation.
    pub(super) fn change(
        &self,
        situation: &mut Situation,
        with: &RawValue,
    ) -> Result<(), ShortCaseError> {
        let base = situation.clone();
        for (word, changes) in self.members(with)? {
            let found = base
                .find(&word, &|_| true)
                .map_err(|unknown| self.unknown(changes, unknown))?;
            let changed = situation.entities.iter_mut().find(|it| it.uid == found.uid);
            if let Some(changed) = changed {
                self.change_entity(&base, changed, changes)?;
                Entity::from_json_value(changed.json.clone(), Some(self.schema))
                    .map_err(|error| self.error(changes, error_chain(&error), None))?;
            }
        }
        Ok(())
    }

    fn change_entity(
        &self,
        base: &Situation,
        entity: &mut SituationEntity,
        changes: &RawValue,
    ) -> Result<(), ShortCaseError> {
        let find = |of: &EntityType, word: &str| self.find_id(base, of, word);
        let kind: EntityType = entity.uid.type_name().as_ref().clone();
        let Some(declared) = self.schema.as_ref().get_entity_type(&kind) else {
            return Err(self.error(changes, format!("the schema has no {kind}"), None));
        };
        for (name, raw) in self.members(changes)? {
            let unfit = |message: String| self.error(raw, format!("{name}: {message}"), None);
            let (part, value) = match (name.as_str(), declared.attr(&name)) {
                ("parents", None) => {
                    let parents = self.parents(&kind, parsed(raw), &find);
                    set_member(&mut entity.json, &["parents"], parents.map_err(unfit)?);
                    continue;
                }
                ("tags", None) if declared.tag_type().is_some() => {
                    for (tag, raw) in self.members(raw)? {
                        let value = match declared.tag_type() {
                            Some(of) => expand(parsed(raw), of, &find).map_err(unfit)?,
                            None => parsed(raw),
                        };
                        set_member(&mut entity.json, &["tags", &tag], value);
                    }
                    continue;
                }
                (_, Some(attribute)) => ("attrs", expand(parsed(raw), &attribute.attr_type, &find)),
                (_, None) => {
                    let mut known: Vec<&str> = declared
                        .attributes()
                        .iter()
                        .map(|(name, _)| name.as_str())
                        .collect();
                    known.extend(["parents", "tags"]);
                    let help = did_you_mean(&name, known.iter().copied());
                    let help = help.unwrap_or_else(|| format!("it has {}", known.join(", ")));
                    let message = format!("the schema has no attribute `{name}` of {kind}");
                    return Err(self.error(raw, message, Some(help)));
                }
            };
            set_member(&mut entity.json, &[part, &name], value.map_err(unfit)?);
        }
        Ok(())
    }

    /// References to the groups of an entity; bare words if only one type can be a group of it.
    fn parents(&self, kind: &EntityType, value: Value, find: &FindId<'_>) -> Result<Value, String> {
        let types = self.schema.as_ref().entity_types();
        let groups: Vec<&EntityType> = types
            .filter(|declared| declared.has_descendant_entity_type(kind))
            .map(ValidatorEntityType::name)
            .collect();
        let Value::Array(values) = value else {
            return Err("write a list of groups".to_owned());
        };
        let parent = |value: Value| match (value, groups.as_slice()) {
            (Value::String(word), groups) => match (word.parse::<EntityUid>(), groups) {
                (Ok(uid), _) => Ok(reference(&uid)),
                (Err(_), [group]) => entity(group, &word, find),
                (Err(_), _) => Err(format!("write {word:?} with its type: Type::\"{word}\"")),
            },
            (value, _) => Ok(value),
        };
        values.into_iter().map(parent).collect()
    }
}

fn reference(uid: &EntityUid) -> Value {
    json!({"type": uid.type_name().to_string(), "id": uid.id().unescaped()})
}

/// Sets a member of an object, or removes it for `null`; objects on the way are made.
fn set_member(json: &mut Value, path: &[&str], value: Value) {
    let Some((last, above)) = path.split_last() else {
        return;
    };
    let mut json = json;
    for name in above {
        let Value::Object(members) = json else {
            return;
        };
        json = members
            .entry(*name)
            .or_insert_with(|| Value::Object(Map::new()));
    }
    if let Value::Object(members) = json {
        match value {
            Value::Null => members.remove(*last),
            value => members.insert((*last).to_owned(), value),
        };
    }
}
