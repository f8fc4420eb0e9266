//! Base situations: the users, datasets and context that short cases name and differ from.
//!
//! `situation.json` is beside the case files or in a folder above them; the nearest one counts. It has `entities`
//! in Cedar's JSON, with bare words where the schema says the type, and a `context`.

use std::collections::BTreeMap;
use std::sync::Arc;

use cedar_policy::{Entity, EntityUid, Schema};
use cedar_policy_core::ast::EntityType;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::domain::diagnostic::SourceDiagnostic;
use crate::domain::error_chain::error_chain;
use crate::domain::strict_json::StrictValue;
use crate::domain::suggest::did_you_mean;

use super::json_span::{error_span, message_without_position, value_start};
use super::sources::SourceFiles;
use super::typed_json::expand_members;

/// The base situation of the short cases in its folder and below.
pub(super) const SITUATION_FILE: &str = "situation.json";
/// The attributes by which a person names an entity, besides its id.
const NAMES: [&str; 2] = ["username", "title"];
/// The most names that a message lists.
const MAX_NAMES: usize = 10;

/// A base situation, valid for a schema.
#[derive(Clone, Debug, Default)]
pub(super) struct Situation {
    /// In the order of the file, in Cedar's JSON.
    pub(super) entities: Vec<SituationEntity>,
    /// What the context of a case is, unless the case says otherwise.
    pub(super) context: Map<String, Value>,
}

/// One entity of a situation.
#[derive(Clone, Debug)]
pub(super) struct SituationEntity {
    pub(super) uid: EntityUid,
    /// In Cedar's JSON.
    pub(super) json: Value,
}

/// The situations of a policy folder, by file.
pub(super) struct Situations {
    by_file: BTreeMap<String, Option<Situation>>,
}

impl Situations {
    /// Parses the situations of case files, with the problems of those that are not valid. One that no case
    /// needs is not parsed.
    pub(super) fn parse<'f>(
        sources: &SourceFiles,
        schema: &Schema,
        case_files: impl Iterator<Item = &'f str>,
    ) -> (Self, Vec<SourceDiagnostic>) {
        let mut problems = Vec::new();
        let mut by_file = BTreeMap::new();
        for case_file in case_files {
            let Some((name, text)) = nearest(sources, case_file) else {
                continue;
            };
            by_file.entry(name).or_insert_with_key(|name| {
                let parser = SituationParser {
                    label: &sources.label(name),
                    text,
                    schema,
                };
                let parsed = parser.parse().map_err(|found| problems.extend(found));
                parsed.ok()
            });
        }
        (Self { by_file }, problems)
    }

    /// The situation of a case file; `Err` if it is not valid.
    pub(super) fn of(
        &self,
        sources: &SourceFiles,
        case_file: &str,
    ) -> Result<Option<&Situation>, ()> {
        match nearest(sources, case_file).and_then(|(name, _)| self.by_file.get(&name)) {
            Some(found) => found.as_ref().map(Some).ok_or(()),
            None => Ok(None),
        }
    }
}

/// The situation beside a case file, or the nearest one above it.
fn nearest<'s>(sources: &'s SourceFiles, case_file: &str) -> Option<(String, &'s Arc<str>)> {
    let mut folder = case_file;
    while let Some((above, _)) = folder.rsplit_once('/') {
        folder = above;
        let name = format!("{folder}/{SITUATION_FILE}");
        if let Some(text) = sources.text(&name) {
            return Some((name, text));
        }
    }
    let text = sources.text(SITUATION_FILE)?;
    Some((SITUATION_FILE.to_owned(), text))
}

impl Situation {
    /// The entity that a word names: its id, its Cedar name, or what a person calls it; of one of `types`.
    pub(super) fn find(
        &self,
        word: &str,
        is_wanted: &dyn Fn(&EntityType) -> bool,
    ) -> Result<&SituationEntity, UnknownName> {
        let wanted = || {
            let entities = self.entities.iter();
            entities.filter(|entity| is_wanted(entity.uid.type_name().as_ref()))
        };
        let found: Vec<&SituationEntity> = wanted().filter(|it| it.is_named(word)).collect();
        match found.as_slice() {
            [entity] => Ok(entity),
            [] => {
                let names: Vec<&str> = wanted().map(SituationEntity::name).collect();
                Err(UnknownName {
                    message: format!("the situation has no {word:?}"),
                    help: match did_you_mean(word, names.iter().copied()) {
                        Some(help) => help,
                        None if names.is_empty() => {
                            format!("add it to the entities of {SITUATION_FILE}")
                        }
                        None => {
                            format!("it has {}; add others to {SITUATION_FILE}", listed(&names))
                        }
                    },
                })
            }
            several => Err(UnknownName {
                message: format!(
                    "the situation has {} that are called {word:?}",
                    several.len()
                ),
                help: format!("write which: {}", listed_uids(several)),
            }),
        }
    }

    /// The id of the entity of a type that a word means in an attribute. Of a type of which the situation has no
    /// entities (a role, an enumeration), the word is the id.
    pub(super) fn find_id(&self, entity_type: &EntityType, word: &str) -> Result<String, String> {
        let is_wanted = |of: &EntityType| of == entity_type;
        let has_any = self
            .entities
            .iter()
            .any(|it| is_wanted(it.uid.type_name().as_ref()));
        if let Ok(uid) = word.parse::<EntityUid>()
            && is_wanted(uid.type_name().as_ref())
        {
            return Ok(uid.id().unescaped().to_owned());
        }
        if !has_any || is_role_like(entity_type) {
            return Ok(word.to_owned());
        }
        let found = self.find(word, &is_wanted);
        found
            .map(|it| it.uid.id().unescaped().to_owned())
            .map_err(|unknown| format!("{}; {}", unknown.message, unknown.help))
    }
}

/// Roles have no names besides their ids, and need not be in a situation.
fn is_role_like(entity_type: &EntityType) -> bool {
    entity_type.to_string() == "Role"
}

/// A name that a situation does not have, or has twice.
#[derive(Debug)]
pub(super) struct UnknownName {
    pub(super) message: String,
    pub(super) help: String,
}

impl SituationEntity {
    fn attribute(&self, name: &str) -> Option<&str> {
        self.json.get("attrs")?.get(name)?.as_str()
    }

    fn is_named(&self, word: &str) -> bool {
        self.uid.id().unescaped() == word
            || self.uid.to_string() == word
            || NAMES.iter().any(|name| self.attribute(name) == Some(word))
    }

    /// What a person calls it.
    pub(super) fn name(&self) -> &str {
        let mut attributes = NAMES.iter();
        let name = attributes.find_map(|name| self.attribute(name));
        name.unwrap_or(self.uid.id().unescaped())
    }
}

fn listed(names: &[&str]) -> String {
    let shown = names.iter().take(MAX_NAMES).map(|name| format!("{name:?}"));
    let mut shown: Vec<String> = shown.collect();
    if names.len() > MAX_NAMES {
        shown.push(format!("{} more", names.len() - MAX_NAMES));
    }
    shown.join(", ")
}

fn listed_uids(entities: &[&SituationEntity]) -> String {
    let uids: Vec<String> = entities.iter().map(|it| it.uid.to_string()).collect();
    uids.join(" or ")
}

struct SituationParser<'a> {
    label: &'a str,
    text: &'a Arc<str>,
    schema: &'a Schema,
}

/// The members of an object, with their places.
type Members<'a> = BTreeMap<String, &'a RawValue>;

impl SituationParser<'_> {
    fn parse(&self) -> Result<Situation, Vec<SourceDiagnostic>> {
        let members = self.members().map_err(|problem| vec![*problem])?;
        let mut problems = Vec::new();
        for (name, value) in &members {
            if !["context", "entities"].contains(&name.as_str()) {
                let help = did_you_mean(name, ["context", "entities"]);
                let help = help.unwrap_or_else(|| "it has `context` and `entities`".to_owned());
                let message = format!("a situation has no `{name}`");
                problems.push(self.problem(value, message).with_help(help));
            }
        }
        let context = match members.get("context") {
            Some(value) => serde_json::from_str(value.get()).unwrap_or_else(|_| {
                problems.push(self.problem(value, "`context` is not an object".to_owned()));
                Map::new()
            }),
            None => Map::new(),
        };
        let values: Vec<&RawValue> = match members.get("entities") {
            Some(value) => serde_json::from_str(value.get()).unwrap_or_else(|_| {
                problems.push(self.problem(value, "`entities` is not a list".to_owned()));
                Vec::new()
            }),
            None => Vec::new(),
        };
        let mut entities: Vec<SituationEntity> = Vec::new();
        // Names in attributes are those of the whole list.
        let written = Self::written(&values);
        for value in values {
            match self.entity(value, &written) {
                Ok(entity) if entities.iter().any(|known| known.uid == entity.uid) => {
                    let message = format!("{} is there twice", entity.uid);
                    problems.push(self.problem(value, message));
                }
                Ok(entity) => entities.push(entity),
                Err(message) => problems.push(self.problem(value, message)),
            }
        }
        if problems.is_empty() {
            Ok(Situation { entities, context })
        } else {
            Err(problems)
        }
    }

    fn members(&self) -> Result<Members<'_>, Box<SourceDiagnostic>> {
        let invalid = |error: &serde_json::Error| {
            let (span, message) = (
                error_span(error, self.text),
                message_without_position(error),
            );
            Box::new(SourceDiagnostic::at_span(
                self.label, self.text, span, message,
            ))
        };
        // Refuses what is there twice.
        serde_json::from_str::<StrictValue>(self.text).map_err(|error| invalid(&error))?;
        serde_json::from_str(self.text).map_err(|error| {
            let help = "write {\"context\": {...}, \"entities\": [...]}";
            Box::new(invalid(&error).with_help(help))
        })
    }

    /// The entities as they are written, for their names.
    fn written(values: &[&RawValue]) -> Situation {
        let entities = values.iter().filter_map(|value| {
            let json: Value = serde_json::from_str(value.get()).ok()?;
            let uid = EntityUid::from_json(json.get("uid")?.clone()).ok()?;
            Some(SituationEntity { uid, json })
        });
        Situation {
            entities: entities.collect(),
            context: Map::new(),
        }
    }

    fn entity(&self, value: &RawValue, written: &Situation) -> Result<SituationEntity, String> {
        let json: Value = serde_json::from_str(value.get()).map_err(|error| error.to_string())?;
        let json = complete(json, self.schema, written)?;
        let entity = Entity::from_json_value(json.clone(), Some(self.schema))
            .map_err(|error| error_chain(&error))?;
        Ok(SituationEntity {
            uid: entity.uid(),
            json,
        })
    }

    fn problem(&self, value: &RawValue, message: String) -> SourceDiagnostic {
        SourceDiagnostic::at_span(
            self.label,
            self.text,
            value_start(value, self.text),
            message,
        )
    }
}

/// An entity in Cedar's JSON: with `attrs` and `parents`, which may be left out, and no bare words.
fn complete(mut json: Value, schema: &Schema, written: &Situation) -> Result<Value, String> {
    let uid = json.get("uid").cloned().unwrap_or_default();
    let uid = EntityUid::from_json(uid).map_err(|error| format!("uid: {}", error_chain(&error)))?;
    let Some(members) = json.as_object_mut() else {
        return Err("an entity is an object".to_owned());
    };
    members
        .entry("parents")
        .or_insert_with(|| Value::Array(Vec::new()));
    let attributes = members.remove("attrs");
    let attributes = attributes.unwrap_or_else(|| Value::Object(Map::new()));
    let find = |of: &EntityType, word: &str| written.find_id(of, word);
    let declared = schema.as_ref().get_entity_type(uid.type_name().as_ref());
    let attributes = match (attributes, declared) {
        (Value::Object(attributes), Some(declared)) => {
            Value::Object(expand_members(attributes, declared.attributes(), &find)?)
        }
        (other, _) => other,
    };
    members.insert("attrs".to_owned(), attributes);
    Ok(json)
}
