//! Attributes of datasets and users in JSON: an open object, whose members the schema of the policies declares.

use poem_openapi::registry::MetaSchema;
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON};
use serde_json::{Map, Value};

use crate::domain::attributes::Attributes;
use crate::http::extract::schema_type::impl_inline_type;

/// Attributes as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AttributesJson(pub Attributes);

impl_inline_type!(
    AttributesJson,
    "object",
    MetaSchema {
        additional_properties: Some(Box::new(poem_openapi::registry::MetaSchemaRef::Inline(
            Box::new(MetaSchema::ANY)
        ))),
        ..MetaSchema::new("object")
    }
);

impl ParseFromJSON for AttributesJson {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value.unwrap_or_default() {
            Value::Object(members) => Ok(Self(members.into_iter().collect())),
            value => Err(ParseError::expected_type(value)),
        }
    }
}

impl ToJSON for AttributesJson {
    fn to_json(&self) -> Option<Value> {
        let members = self.0.iter();
        let members = members.map(|(name, value)| (name.clone(), in_order(value)));
        Some(Value::Object(members.collect()))
    }
}

/// A value whose objects have their members in one order, so that equal values have equal entity tags: a database
/// may keep another order.
fn in_order(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| *name);
            let members = members.into_iter();
            let members = members.map(|(name, value)| (name.clone(), in_order(value)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        Value::Array(values) => values.iter().map(in_order).collect(),
        other => other.clone(),
    }
}
