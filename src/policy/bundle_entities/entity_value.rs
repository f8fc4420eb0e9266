//! Values of entities in a `*.entities.json` file: from what is written to what Cedar checks, and what is wrong with them.

use std::ops::Range;

use cedar_policy::EntityUid;
use cedar_policy_core::ast::{self, EntityType, ExprKind, Literal, PartialValue, RestrictedExpr};
use cedar_policy_core::entities::{EntityJsonParser, TCComputation};
use cedar_policy_core::extensions::Extensions;
use cedar_policy_core::validator::ValidatorEntityType;
use miette::Diagnostic;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::domain::error_chain::error_chain;
use crate::policy::json_span::value_span;
use crate::policy::schema_names::{TypeOrigin, type_origin};
use crate::policy::typed_json::{expand, expand_members};

use super::entity_json::{EntityReader, RawMembers};
use super::finding::{EntityFinding, SpannedUid};

/// What Cedar puts before its messages.
const CEDAR_PREFIXES: [&str; 2] = [
    "error during entity deserialization: ",
    "entity does not conform to the schema: ",
];

impl EntityReader<'_> {
    /// The attributes in Cedar's JSON, without bare words.
    pub(super) fn values(
        &self,
        known: &RawMembers<'_>,
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
                        findings.extend(self.value_problems(value, raw));
                    }
                    values.extend(expanded);
                }
                Err(message) => {
                    findings.push(EntityFinding::new(value_span(raw, self.text), message));
                }
            }
        }
        values
    }

    /// What in a value no schema allows, or names a member that an enumeration does not have.
    fn value_problems(&self, value: &Value, raw: &RawValue) -> Vec<EntityFinding> {
        let found = |message: String, help: String| {
            EntityFinding::new(value_span(raw, self.text), message).with_help(help)
        };
        let inner: Vec<&Value> = match value {
            Value::Null => {
                let help = "leave it out if there is no value".to_owned();
                return vec![found("a value is null".to_owned(), help)];
            }
            Value::Number(number) if !number.is_i64() => {
                let message = format!("expected a whole number of 64 bits, found {number}");
                let help = format!("write a decimal as a text: \"{number}\"");
                return vec![found(message, help)];
            }
            Value::Array(values) => values.iter().collect(),
            Value::Object(members) => members.values().collect(),
            Value::String(_) | Value::Bool(_) | Value::Number(_) => return Vec::new(),
        };
        let inside = inner
            .into_iter()
            .flat_map(|it| self.value_problems(it, raw));
        let mut problems: Vec<EntityFinding> = inside.collect();
        let uid = value.get("__entity").cloned();
        if let Some(uid) = uid.and_then(|uid| EntityUid::from_json(uid).ok())
            && let Some(help) = self.not_a_member(&uid)
        {
            problems.push(found(format!("there is no {uid}"), help));
        }
        problems
    }

    /// The tags in Cedar's JSON, without bare words.
    pub(super) fn tag_values(
        &self,
        tags: &RawMembers<'_>,
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
                Ok(expanded) => {
                    findings.extend(self.value_problems(&expanded, raw));
                    values.insert(name.clone(), expanded);
                }
                Err(message) => {
                    findings.push(EntityFinding::new(value_span(raw, self.text), message));
                }
            }
        }
        values
    }

    pub(super) fn parse(
        &self,
        json: Value,
        (name, attributes, tags): (&SpannedUid, &RawMembers<'_>, &RawMembers<'_>),
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

    /// The entities of a value, at its place: of the catalog and of the author's own types.
    pub(super) fn named_at(&self, value: &PartialValue, span: &Range<usize>) -> Vec<SpannedUid> {
        let wanted = [TypeOrigin::Cedargate, TypeOrigin::Author];
        let named = named_in(value).into_iter();
        let named = named.filter(|uid| wanted.contains(&type_origin(self.schema, uid.type_name())));
        let spanned = named.map(|uid| SpannedUid {
            uid,
            span: span.clone(),
        });
        spanned.collect()
    }
}

/// The id that a bare word means: itself, or that of a Cedar name.
#[expect(
    clippy::unnecessary_wraps,
    reason = "the reader of bare words takes functions that can fail"
)]
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

fn without_prefix(message: &str) -> String {
    let mut message = message;
    for prefix in CEDAR_PREFIXES {
        message = message.strip_prefix(prefix).unwrap_or(message);
    }
    message.to_owned()
}
