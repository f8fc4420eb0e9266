//! What is wrong with a JSON body, in the words of the OpenAPI document: which member, what is expected, what was found.
//!
//! Parsing stops at the first error, and knows the member by the name of its type alone. So a body that was refused is
//! compared with the schema of the document, which has the names that the client knows.

use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::domain::rfc3339;
use crate::domain::suggest::{closest, did_you_mean};

/// The longest name or value that a message quotes, in characters.
const MAX_QUOTED_LENGTH: usize = 64;

/// The first mismatch between a body and the schema of `T`, if there is one that the schema shows; `message` is that of
/// the parser, which alone knows whether unknown members are refused.
pub(super) fn find_mismatch<T: Type>(body: &Value, message: &str) -> Option<String> {
    let mut registry = Registry::new();
    T::register(&mut registry);
    BodyMismatch {
        registry: &registry,
        refuses_unknown: message.contains("unknown field `"),
    }
    .find("", body, &T::schema_ref())
}

struct BodyMismatch<'a> {
    registry: &'a Registry,
    refuses_unknown: bool,
}

impl BodyMismatch<'_> {
    fn find(&self, path: &str, value: &Value, schema: &MetaSchemaRef) -> Option<String> {
        let schema = match schema {
            MetaSchemaRef::Inline(schema) => schema,
            MetaSchemaRef::Reference(name) => self.registry.schemas.get(name)?,
        };
        let expected = |what: &str| {
            let found = describe(value);
            Some(format!("{}expected {what}, found {found}", prefix(path)))
        };
        // A member that has a description of its own, besides its type.
        let mut parts = schema.all_of.iter();
        if let Some(mismatch) = parts.find_map(|part| self.find(path, value, part)) {
            return Some(mismatch);
        }
        if value.is_null() && (schema.nullable || schema.ty.is_empty()) {
            return None;
        }
        if !schema.enum_items.is_empty() && !schema.enum_items.contains(value) {
            let words: Vec<_> = schema.enum_items.iter().map(Value::to_string).collect();
            let known = schema.enum_items.iter().filter_map(Value::as_str);
            let advice = value.as_str().and_then(|text| did_you_mean(text, known));
            let advice = advice.map_or_else(String::new, |advice| format!("; {advice}"));
            return expected(&format!("one of {}", words.join(", "))).map(|text| text + &advice);
        }
        match (schema.ty, value) {
            ("object", Value::Object(members)) => self.find_in_object(path, members, schema),
            ("object", _) => expected("an object"),
            ("array", Value::Array(values)) => {
                let items = schema.items.as_ref()?;
                if let Some(length) = expected_length(values.len(), schema) {
                    let (path, found) = (prefix(path), values.len());
                    return Some(format!(
                        "{path}expected {length} in the list, found {found}"
                    ));
                }
                let mut values = values.iter().enumerate();
                values.find_map(|(at, value)| self.find(&format!("{path}[{at}]"), value, items))
            }
            ("array", _) => expected("a list"),
            ("string", Value::String(text)) => match schema.format {
                Some("uuid") if text.parse::<Uuid>().is_err() => expected("a UUID"),
                Some("date-time") if rfc3339::parse_millis(text).is_err() => {
                    expected("a time such as \"2027-01-01T09:30:00Z\"")
                }
                _ => None,
            },
            ("string", _) => expected("a string"),
            ("boolean", Value::Bool(_)) | ("number", Value::Number(_)) => None,
            ("boolean", _) => expected("true or false"),
            ("integer", Value::Number(number)) if !number.is_f64() => None,
            ("integer", _) => expected("a whole number"),
            ("number", _) => expected("a number"),
            _ => None,
        }
    }

    fn find_in_object(
        &self,
        path: &str,
        members: &Map<String, Value>,
        schema: &MetaSchema,
    ) -> Option<String> {
        let inside = |name: &str| {
            let name: String = name.chars().take(MAX_QUOTED_LENGTH).collect();
            if path.is_empty() {
                name
            } else {
                format!("{path}.{name}")
            }
        };
        let known = schema.properties.iter().map(|(name, _)| *name);
        let is_known = |name: &str| known.clone().any(|one| one == name);
        if let Some(others) = &schema.additional_properties {
            let mut others = members.iter().map(|member| (member, others));
            return others
                .find_map(|((name, value), schema)| self.find(&inside(name), value, schema));
        }
        let mut unknown = members.keys().filter(|name| !is_known(name));
        if let Some(unknown) = unknown.next().filter(|_| self.refuses_unknown) {
            let advice = advice_for_unknown(unknown, &known.clone().collect::<Vec<_>>());
            return Some(format!("unknown field `{}`{advice}", inside(unknown)));
        }
        let of_members = schema.properties.iter().find_map(|(name, schema)| {
            let value = members.get(*name)?;
            self.find(&inside(name), value, schema)
        });
        of_members.or_else(|| {
            let mut required = schema.required.iter();
            let missing = required.find(|name| !members.contains_key(**name))?;
            let unknown = members.keys().filter(|name| !is_known(name));
            let misspelt = closest(missing, unknown.map(String::as_str));
            let advice = misspelt.map_or_else(String::new, |name| format!(": is it `{name}`?"));
            Some(format!(
                "the field `{}` is missing{advice}",
                inside(missing)
            ))
        })
    }
}

/// How many values a list has to have, if it has not as many.
fn expected_length(count: usize, schema: &MetaSchema) -> Option<String> {
    match (schema.min_items, schema.max_items) {
        (Some(min), _) if count < min => Some(format!("at least {min}")),
        (_, Some(max)) if count > max => Some(format!("at most {max}")),
        (_, _) => None,
    }
}

/// What an unknown member may have been meant for.
///
/// What a deployment says of its own has a place in a body that has `attributes`.
fn advice_for_unknown(unknown: &str, known: &[&'static str]) -> String {
    if let Some(advice) = did_you_mean(unknown, known.iter().copied()) {
        return format!("; {advice}");
    }
    let free = ["tags", "claims"]
        .into_iter()
        .find(|name| known.contains(name));
    match free.filter(|_| known.contains(&"attributes")) {
        Some(free) => format!(
            "; what this deployment says of its own goes into attributes, if the schema of the policies \
             declares it, or into {free}"
        ),
        None => format!("; the fields are {}", known.join(", ")),
    }
}

fn prefix(path: &str) -> String {
    if path.is_empty() {
        String::new()
    } else {
        format!("`{path}`: ")
    }
}

/// The kind of a value, without the value, which may be a secret.
pub fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
