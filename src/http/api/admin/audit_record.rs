//! The audit record in answers: the same JSON as a line of `cedargate audit export`.
//!
//! The record serialises itself; this module adds how the OpenAPI document tells of it, and refuses
//! to know who may see one.

use std::borrow::Cow;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON, Type};
use serde_json::Value;

use crate::domain::action::Action;
use crate::domain::audit::{AuditRecord, Event, Outcome};
use crate::domain::caller::Authentication;
use crate::http::extract::parameter::one_of;

/// The name of the record in the document.
const NAME: &str = "AuditRecord";

/// One audit record.
pub struct RecordAnswer(pub AuditRecord);

impl Type for RecordAnswer {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        NAME.into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Reference(NAME.to_owned())
    }

    fn register(registry: &mut Registry) {
        registry.create_schema::<Self, _>(NAME.to_owned(), |_| schema());
    }

    fn as_raw_value(&self) -> Option<&Self::RawValueType> {
        Some(self)
    }

    fn raw_element_iter<'a>(
        &'a self,
    ) -> Box<dyn Iterator<Item = &'a Self::RawElementValueType> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromJSON for RecordAnswer {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        serde_json::from_value(value.unwrap_or_default())
            .map(Self)
            .map_err(ParseError::custom)
    }
}

impl ToJSON for RecordAnswer {
    fn to_json(&self) -> Option<Value> {
        serde_json::to_value(&self.0).ok()
    }
}

fn schema() -> MetaSchema {
    let fields = fields();
    let required = fields.iter().map(|(name, _)| *name).collect();
    let inline = |(name, schema)| (name, MetaSchemaRef::Inline(Box::new(schema)));
    MetaSchema {
        description: Some(
            "What was asked for, who asked, how it was answered and why: the same as a line of `cedargate audit export`.",
        ),
        required,
        properties: fields.into_iter().map(inline).collect(),
        ..MetaSchema::new("object")
    }
}

/// The members of a record, in their order.
fn fields() -> Vec<(&'static str, MetaSchema)> {
    let text = || MetaSchema::new("string");
    let uuid = || MetaSchema::new_with_format("string", "uuid");
    let time = MetaSchema::new_with_format("string", "date-time");
    vec![
        (
            "id",
            told(
                uuid(),
                "The record's id; for a granted mint also the token's `jti`.",
            ),
        ),
        ("time", told(time, "When it was asked for.")),
        ("event", told(one_of(Event::ALL), "What was asked for.")),
        (
            "outcome",
            told(
                one_of(Outcome::ALL),
                "How it was answered; `denied` is by policy, `refused` never came to a decision.",
            ),
        ),
        (
            "user_id",
            maybe(uuid(), "The user who asked; null if nobody signed in."),
        ),
        (
            "authentication",
            told(
                one_of(Authentication::ALL),
                "How the caller authenticated; `command_line` held the database itself.",
            ),
        ),
        (
            "key_id",
            maybe(
                uuid(),
                "The API key that was shown, or that the token was minted with.",
            ),
        ),
        ("address", told(text(), "The client's address.")),
        (
            "dataset_id",
            maybe(uuid(), "The dataset that was asked for."),
        ),
        (
            "resource_user_id",
            maybe(uuid(), "The user that was administered."),
        ),
        (
            "action",
            maybe(one_of(Action::ALL), "The action that was decided."),
        ),
        (
            "determining_policies",
            told(list(), "The policies that determined the decision."),
        ),
        (
            "errors",
            told(list(), "What went wrong in evaluating policies."),
        ),
        (
            "revision",
            maybe(text(), "The revision of the policies that decided."),
        ),
        (
            "jti",
            maybe(uuid(), "The download token that was minted or used."),
        ),
        (
            "reason",
            maybe(
                text(),
                "Why it was refused, or what was made, changed, removed or read.",
            ),
        ),
        (
            "request_id",
            maybe(text(), "The request's id, as in `X-Request-Id`."),
        ),
    ]
}

fn list() -> MetaSchema {
    MetaSchema {
        items: Some(Box::new(MetaSchemaRef::Inline(Box::new(MetaSchema::new(
            "string",
        ))))),
        ..MetaSchema::new("array")
    }
}

fn told(schema: MetaSchema, description: &'static str) -> MetaSchema {
    MetaSchema {
        description: Some(description),
        ..schema
    }
}

/// A member that may be null: an enumeration has to name null too.
fn maybe(mut schema: MetaSchema, description: &'static str) -> MetaSchema {
    schema.nullable = true;
    if !schema.enum_items.is_empty() {
        schema.enum_items.push(Value::Null);
    }
    told(schema, description)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::Clock;
    use crate::service::identity::request_context::Visitor;

    #[test]
    fn the_document_names_every_member_of_a_record_in_its_order() {
        let visitor = Visitor::at_command_line();
        let record = visitor.open_record(Event::Administer, &Clock::standing_at(0));
        let written = RecordAnswer(record).to_json().unwrap();
        let written: Vec<&String> = written.as_object().unwrap().keys().collect();
        let told: Vec<&str> = fields().iter().map(|(name, _)| *name).collect();
        assert_eq!(written, told);
    }
}
