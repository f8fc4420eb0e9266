//! One entity of a `*.entities.json` file: Cedar's JSON, in which `attrs`, `parents` and `tags` may be left out and a
//! bare word is enough where the schema says the type.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;

use cedar_policy::{EntityUid, Schema};
use cedar_policy_core::ast;
use cedar_policy_core::validator::{CoreSchema, ValidatorEntityType};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::domain::suggest::did_you_mean;
use crate::policy::json_span::{message_without_position, value_span};

use super::finding::{EntityFinding, SpannedUid};

/// For how many names it is looked up what was meant.
const MAX_SUGGESTIONS: usize = 50;
/// The deepest nesting of lists and objects in an entity.
const MAX_NESTING: usize = 24;

const HELP_FORM: &str =
    "an entity is {\"uid\": {\"type\": ..., \"id\": ...}, \"attrs\": {...}, \"parents\": [...]}";
/// An entity whose name is valid.
pub(super) struct WrittenEntity {
    pub(super) name: SpannedUid,
    /// Those of a type that it may be in.
    pub(super) parents: Vec<SpannedUid>,
    /// The entities of the catalog and of the author's own types that its attributes and tags name.
    pub(super) named: Vec<SpannedUid>,
    /// With its parents and no other ancestors; `None` if it does not fit the schema.
    pub(super) entity: Option<ast::Entity>,
}

/// The members of an entity.
const MEMBERS: [&str; 4] = ["uid", "attrs", "parents", "tags"];

/// The members of an object, with their places.
pub(super) type RawMembers<'a> = BTreeMap<String, &'a RawValue>;

/// Reads the entities of one file.
pub(super) struct EntityReader<'a> {
    pub(super) schema: &'a Schema,
    pub(super) core_schema: &'a CoreSchema<'a>,
    pub(super) text: &'a str,
    /// For how many names it was looked up what was meant, in all files.
    pub(super) suggestions: &'a Cell<usize>,
}

impl EntityReader<'_> {
    /// The entity, if its name is valid; and what is wrong.
    pub(super) fn read(&self, value: &RawValue) -> (Option<WrittenEntity>, Vec<EntityFinding>) {
        let mut findings = Vec::new();
        let entity = self.entity(value, &mut findings);
        (entity, findings)
    }

    fn entity(&self, value: &RawValue, findings: &mut Vec<EntityFinding>) -> Option<WrittenEntity> {
        let span = value_span(value, self.text);
        let whole: Value = match serde_json::from_str(value.get()) {
            Ok(whole) => whole,
            Err(error) => {
                findings.push(EntityFinding::new(span, message_without_position(&error)));
                return None;
            }
        };
        if !whole.is_object() {
            let finding = EntityFinding::new(self.start(value), "an entity is an object");
            findings.push(finding.with_help(HELP_FORM));
            return None;
        }
        if nesting(&whole) > MAX_NESTING {
            let message = format!("the entity is nested deeper than {MAX_NESTING}");
            findings.push(EntityFinding::new(self.start(value), message));
            return None;
        }
        let members: RawMembers<'_> = serde_json::from_str(value.get()).unwrap_or_default();
        for (name, value) in &members {
            if !MEMBERS.contains(&name.as_str()) {
                let message = format!("an entity has no member `{name}`");
                let help = self.suggest(name, || MEMBERS.map(str::to_owned).into());
                let place = self.member_name(name, value);
                let help = help.unwrap_or_else(|| HELP_FORM.to_owned());
                findings.push(EntityFinding::new(place, message).with_help(help));
            }
        }
        let Some(uid) = members.get("uid") else {
            let finding = EntityFinding::new(self.start(value), "the entity has no `uid`");
            findings.push(finding.with_help(HELP_FORM));
            return None;
        };
        let name = self.uid(uid, "uid", findings)?;
        let declared = self.declared_type(&name, findings)?;
        let parents = members
            .get("parents")
            .map(|parents| self.parents(parents, (&name, declared), findings));
        let parents = parents.unwrap_or_default();
        let attributes = self.members(members.get("attrs"), "attrs", findings);
        let tags = self.members(members.get("tags"), "tags", findings);
        let tags = self.known_tags(tags, declared, findings);
        let known = self.known_attributes(attributes, declared, findings);
        let count = findings.len();
        let json = json!({
            "uid": uid_json(&name.uid),
            "parents": parents.iter().map(|parent| uid_json(&parent.uid)).collect::<Vec<_>>(),
            "attrs": self.values(&known, declared, findings),
            "tags": self.tag_values(&tags, declared, findings),
        });
        // Cedar would say of the same value that it is wrong.
        let is_told = findings.len() > count;
        let entity = if is_told {
            None
        } else {
            self.parse(json, (&name, &known, &tags), findings)
        };
        let named = entity.as_ref().map(|entity| {
            let of = |members: &RawMembers<'_>, name: &str| {
                let member = members.get(name);
                member.map_or_else(|| span.clone(), |value| value_span(value, self.text))
            };
            let attributes = entity
                .attrs()
                .map(|(name, value)| (of(&known, name), value));
            let tags = entity.tags().map(|(name, value)| (of(&tags, name), value));
            let values = attributes.chain(tags);
            values
                .flat_map(|(span, value)| self.named_at(value, &span))
                .collect()
        });
        Some(WrittenEntity {
            named: named.unwrap_or_default(),
            name,
            parents,
            entity,
        })
    }

    /// The members of an object; none if it is left out or no object.
    fn members<'v>(
        &self,
        value: Option<&&'v RawValue>,
        what: &str,
        findings: &mut Vec<EntityFinding>,
    ) -> RawMembers<'v> {
        let Some(value) = value else {
            return RawMembers::new();
        };
        serde_json::from_str(value.get()).unwrap_or_else(|_| {
            let message = format!("`{what}` is not an object");
            findings.push(EntityFinding::new(self.start(value), message));
            RawMembers::new()
        })
    }

    /// The attributes that the type has.
    fn known_attributes<'v>(
        &self,
        attributes: RawMembers<'v>,
        declared: &ValidatorEntityType,
        findings: &mut Vec<EntityFinding>,
    ) -> RawMembers<'v> {
        let (known, unknown): (RawMembers<'v>, RawMembers<'v>) = attributes
            .into_iter()
            .partition(|(name, _)| declared.attr(name).is_some());
        for (name, value) in unknown {
            let names = || {
                let names = declared.attributes().keys().map(ToString::to_string);
                names.collect()
            };
            let message = format!("a {} has no attribute `{name}`", declared.name());
            let finding = EntityFinding::new(self.member_name(&name, value), message);
            let help = self.suggest(&name, names);
            let help =
                help.unwrap_or_else(|| "declare it in schema.cedarschema, or remove it".to_owned());
            findings.push(finding.with_help(help));
        }
        known
    }

    /// The tags, if the type has any.
    fn known_tags<'v>(
        &self,
        tags: RawMembers<'v>,
        declared: &ValidatorEntityType,
        findings: &mut Vec<EntityFinding>,
    ) -> RawMembers<'v> {
        if declared.tag_type().is_some() {
            return tags;
        }
        for (name, value) in tags {
            let message = format!("a {} has no tags", declared.name());
            let finding = EntityFinding::new(self.member_name(&name, value), message);
            let help = "declare them in schema.cedarschema, or make it an attribute";
            findings.push(finding.with_help(help));
        }
        RawMembers::new()
    }

    /// The known name that a misspelt one most likely means. Of very many only the first are looked up: each look-up
    /// is one of all names.
    pub(super) fn suggest(
        &self,
        name: &str,
        known: impl FnOnce() -> Vec<String>,
    ) -> Option<String> {
        let count = self.suggestions.get();
        if count >= MAX_SUGGESTIONS {
            return None;
        }
        self.suggestions.set(count + 1);
        did_you_mean(name, known().iter().map(String::as_str))
    }

    /// The bytes of a member's name, or else of its value.
    fn member_name(&self, name: &str, value: &RawValue) -> Range<usize> {
        let value = value_span(value, self.text);
        let quoted = Value::String(name.to_owned()).to_string();
        let before = self.text.get(..value.start).unwrap_or_default().trim_end();
        let before = before.strip_suffix(':').unwrap_or(before).trim_end();
        if before.ends_with(&quoted) {
            before.len() - quoted.len()..before.len()
        } else {
            value
        }
    }

    pub(super) fn start(&self, value: &RawValue) -> Range<usize> {
        let start = value_span(value, self.text).start;
        start..start + 1
    }
}

fn uid_json(uid: &EntityUid) -> Value {
    json!({"type": uid.type_name().to_string(), "id": uid.id().unescaped()})
}

/// How deep lists and objects are nested.
fn nesting(value: &Value) -> usize {
    let deepest = match value {
        Value::Array(values) => values.iter().map(nesting).max(),
        Value::Object(members) => members.values().map(nesting).max(),
        _ => return 0,
    };
    1 + deepest.unwrap_or_default()
}
