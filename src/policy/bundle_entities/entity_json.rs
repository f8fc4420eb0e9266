//! One entity of a `*.entities.json` file: Cedar's JSON, in which `attrs`, `parents` and `tags` may be left out and a
//! bare word is enough where the schema says the type.

use std::collections::BTreeMap;
use std::ops::Range;

use cedar_policy::{EntityUid, Schema};
use cedar_policy_core::ast::{self, EntityType, ExprKind, Literal, PartialValue, RestrictedExpr};
use cedar_policy_core::entities::{EntityJsonParser, TCComputation};
use cedar_policy_core::extensions::Extensions;
use cedar_policy_core::validator::{CoreSchema, ValidatorEntityType};
use miette::Diagnostic;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::domain::error_chain::error_chain;
use crate::domain::suggest::did_you_mean;
use crate::policy::json_span::{error_span, message_without_position, value_span};
use crate::policy::typed_json::{expand, expand_members};

use super::finding::{EntityFinding, SpannedUid};

/// The deepest nesting of lists and objects in an entity.
const MAX_NESTING: usize = 24;

const HELP_FORM: &str =
    "an entity is {\"uid\": {\"type\": ..., \"id\": ...}, \"attrs\": {...}, \"parents\": [...]}";
/// What Cedar puts before its messages.
const CEDAR_PREFIXES: [&str; 2] = [
    "error during entity deserialization: ",
    "entity does not conform to the schema: ",
];

/// An entity whose name is valid.
pub(super) struct WrittenEntity {
    pub(super) name: SpannedUid,
    /// Those of a type that it may be in.
    pub(super) parents: Vec<SpannedUid>,
    /// The users, roles and datasets that its attributes and tags name.
    pub(super) named: Vec<SpannedUid>,
    /// With its parents and no other ancestors; `None` if it does not fit the schema.
    pub(super) entity: Option<ast::Entity>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EntityMembers<'a> {
    #[serde(borrow)]
    uid: &'a RawValue,
    #[serde(borrow, default)]
    attrs: Option<&'a RawValue>,
    #[serde(borrow, default)]
    parents: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tags: Option<&'a RawValue>,
}

/// The members of an object, with their places.
type Members<'a> = BTreeMap<String, &'a RawValue>;

/// Reads the entities of one file.
pub(super) struct EntityReader<'a> {
    pub(super) schema: &'a Schema,
    pub(super) core_schema: &'a CoreSchema<'a>,
    pub(super) text: &'a str,
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
        let members: EntityMembers<'_> = match serde_json::from_str(value.get()) {
            Ok(members) => members,
            Err(error) => {
                let inside = error_span(&error, value.get());
                let span = span.start + inside.start..span.start + inside.end;
                let finding = EntityFinding::new(span, message_without_position(&error));
                findings.push(finding.with_help(HELP_FORM));
                return None;
            }
        };
        let name = self.uid(members.uid, "uid", findings)?;
        let declared = self.declared_type(&name, findings)?;
        let parents = members
            .parents
            .map(|parents| self.parents(parents, (&name, declared), findings));
        let parents = parents.unwrap_or_default();
        let attributes = self.members(members.attrs, "attrs", findings);
        let tags = self.members(members.tags, "tags", findings);
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
            let of = |members: &Members<'_>, name: &str| {
                let member = members.get(name);
                member.map_or_else(|| span.clone(), |value| value_span(value, self.text))
            };
            let attributes = entity
                .attrs()
                .map(|(name, value)| (of(&known, name), value));
            let tags = entity.tags().map(|(name, value)| (of(&tags, name), value));
            let values = attributes.chain(tags);
            values
                .flat_map(|(span, value)| catalog_names(value, &span))
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
        value: Option<&'v RawValue>,
        what: &str,
        findings: &mut Vec<EntityFinding>,
    ) -> Members<'v> {
        let Some(value) = value else {
            return Members::new();
        };
        serde_json::from_str(value.get()).unwrap_or_else(|_| {
            let message = format!("`{what}` is not an object");
            findings.push(EntityFinding::new(self.start(value), message));
            Members::new()
        })
    }

    /// The attributes that the type has.
    fn known_attributes<'v>(
        &self,
        attributes: Members<'v>,
        declared: &ValidatorEntityType,
        findings: &mut Vec<EntityFinding>,
    ) -> Members<'v> {
        let (known, unknown): (Members<'v>, Members<'v>) = attributes
            .into_iter()
            .partition(|(name, _)| declared.attr(name).is_some());
        for (name, value) in unknown {
            let names: Vec<String> = declared
                .attributes()
                .keys()
                .map(ToString::to_string)
                .collect();
            let message = format!("a {} has no attribute `{name}`", declared.name());
            let finding = EntityFinding::new(self.member_name(&name, value), message);
            findings.push(
                match did_you_mean(&name, names.iter().map(String::as_str)) {
                    Some(help) => finding.with_help(help),
                    None => finding.with_help("declare it in schema.cedarschema, or remove it"),
                },
            );
        }
        known
    }

    /// The attributes in Cedar's JSON, without bare words.
    fn values(
        &self,
        known: &Members<'_>,
        declared: &ValidatorEntityType,
        findings: &mut Vec<EntityFinding>,
    ) -> Map<String, Value> {
        let mut values = Map::new();
        for (name, raw) in known {
            let value: Value = serde_json::from_str(raw.get()).unwrap_or_default();
            let one = Map::from_iter([(name.clone(), value)]);
            match expand_members(one, declared.attributes(), &find_id) {
                Ok(expanded) => {
                    for value in expanded.values() {
                        findings.extend(self.unknown_members(value, raw));
                    }
                    values.extend(expanded);
                }
                Err(message) => {
                    findings.push(EntityFinding::new(value_span(raw, self.text), message))
                }
            }
        }
        values
    }

    /// The entities of enumerations that an attribute names and the schema does not have.
    fn unknown_members(&self, value: &Value, raw: &RawValue) -> Vec<EntityFinding> {
        let inner: Vec<&Value> = match value {
            Value::Array(values) => values.iter().collect(),
            Value::Object(members) => members.values().collect(),
            _ => return Vec::new(),
        };
        let found = inner.into_iter();
        let mut found: Vec<EntityFinding> =
            found.flat_map(|it| self.unknown_members(it, raw)).collect();
        let uid = value
            .get("__entity")
            .map(|uid| EntityUid::from_json(uid.clone()));
        if let Some(Ok(uid)) = uid
            && let Some(help) = self.not_a_member(&uid)
        {
            let span = value_span(raw, self.text);
            found.push(EntityFinding::new(span, format!("there is no {uid}")).with_help(help));
        }
        found
    }

    /// The tags in Cedar's JSON, without bare words.
    fn tag_values(
        &self,
        tags: &Members<'_>,
        declared: &ValidatorEntityType,
        findings: &mut Vec<EntityFinding>,
    ) -> Map<String, Value> {
        let mut values = Map::new();
        for (name, raw) in tags {
            let value: Value = serde_json::from_str(raw.get()).unwrap_or_default();
            let expanded = match declared.tag_type() {
                Some(tag_type) => expand(value, tag_type, &find_id),
                None => Ok(value),
            };
            match expanded {
                Ok(expanded) => drop(values.insert(name.clone(), expanded)),
                Err(message) => {
                    findings.push(EntityFinding::new(value_span(raw, self.text), message))
                }
            }
        }
        values
    }

    fn parse(
        &self,
        json: Value,
        (name, attributes, tags): (&SpannedUid, &Members<'_>, &Members<'_>),
        findings: &mut Vec<EntityFinding>,
    ) -> Option<ast::Entity> {
        let parser = EntityJsonParser::new(
            Some(self.core_schema),
            Extensions::all_available(),
            TCComputation::AssumeAlreadyComputed,
        );
        match parser.single_from_json_value(json) {
            Ok(entity) if has_unknown_value(&entity) => {
                let message = format!("{} has an unknown value", name.uid);
                findings.push(EntityFinding::new(name.span.clone(), message));
                None
            }
            Ok(entity) => Some(entity),
            Err(error) => {
                let message = without_prefix(&error_chain(&error));
                let mut attributes = attributes.iter();
                let blamed = attributes.find(|(attribute, _)| {
                    message.contains(&format!("attribute `{attribute}` on "))
                        || message.contains(&format!("attribute `{attribute}` of "))
                });
                let blamed = blamed.or_else(|| {
                    let mut tags = tags.iter();
                    tags.find(|(tag, _)| message.contains(&format!("tag `{tag}` on ")))
                });
                let span = blamed.map_or_else(
                    || name.span.clone(),
                    |(_, value)| value_span(value, self.text),
                );
                let mut finding = EntityFinding::new(span, message);
                finding.help = error.help().map(|help| help.to_string());
                findings.push(finding);
                None
            }
        }
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

/// The id that a bare word means: itself, or that of a Cedar name.
fn find_id(entity_type: &EntityType, word: &str) -> Result<String, String> {
    // Parsing costs more than all the rest, and ids are rarely written so.
    let named = word
        .contains("::\"")
        .then(|| word.parse::<EntityUid>().ok());
    let named = named
        .flatten()
        .filter(|uid| AsRef::<EntityType>::as_ref(uid.type_name()) == entity_type);
    Ok(named.map_or_else(|| word.to_owned(), |uid| uid.id().unescaped().to_owned()))
}

fn uid_json(uid: &EntityUid) -> Value {
    json!({"type": uid.type_name().to_string(), "id": uid.id().unescaped()})
}

/// The users, roles and datasets that a value names.
fn catalog_names(value: &PartialValue, span: &Range<usize>) -> Vec<SpannedUid> {
    let named = named_in(value).into_iter();
    let of_catalog = named.filter(|uid| {
        let kind = uid.type_name().to_string();
        ["User", "Role", "Dataset"].contains(&kind.as_str())
    });
    let spanned = of_catalog.map(|uid| SpannedUid {
        uid,
        span: span.clone(),
    });
    spanned.collect()
}

/// Every entity that a value names.
pub(super) fn named_in(value: &PartialValue) -> Vec<EntityUid> {
    let PartialValue::Value(value) = value else {
        return Vec::new();
    };
    let expression = RestrictedExpr::from(value.clone());
    let literals = expression
        .subexpressions()
        .filter_map(|part| match part.expr_kind() {
            ExprKind::Lit(Literal::EntityUID(uid)) => {
                Some(EntityUid::from(ast::EntityUID::clone(uid)))
            }
            _ => None,
        });
    literals.collect()
}

/// Whether a value is `unknown`, of which nothing is known before it is asked for.
fn has_unknown_value(entity: &ast::Entity) -> bool {
    let mut values = entity.attrs().chain(entity.tags());
    values.any(|(_, value)| matches!(value, PartialValue::Residual(_)))
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

fn without_prefix(message: &str) -> String {
    let mut message = message;
    for prefix in CEDAR_PREFIXES {
        message = message.strip_prefix(prefix).unwrap_or(message);
    }
    message.to_owned()
}
