//! The audit record in responses: the same JSON as a line of `cedargate audit export`.
//!
//! The record serialises itself; this module adds its OpenAPI schema.

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{ParseError, ParseFromJSON, ParseResult, ToJSON};
use serde_json::Value;

use crate::domain::action::Action;
use crate::domain::audit::{AuditEvent, AuditOutcome, AuditRecord};
use crate::domain::caller::Authentication;
use crate::http::extract::parameter::enum_schema;
use crate::http::extract::schema_type::impl_named_type;

/// One audit record.
pub struct AuditRecordResponse(pub AuditRecord);

impl_named_type!(AuditRecordResponse, "AuditRecord", schema());

impl ParseFromJSON for AuditRecordResponse {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        serde_json::from_value(value.unwrap_or_default())
            .map(Self)
            .map_err(ParseError::custom)
    }
}

impl ToJSON for AuditRecordResponse {
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
            "A request, its caller, its outcome and the reason: the same as a line of `cedargate audit export`.",
        ),
        required,
        properties: fields.into_iter().map(inline).collect(),
        ..MetaSchema::new("object")
    }
}

/// The members of a record, in order.
fn fields() -> Vec<(&'static str, MetaSchema)> {
    let mut fields = request_fields();
    fields.extend(decision_fields());
    fields
}

/// Who asked for what.
fn request_fields() -> Vec<(&'static str, MetaSchema)> {
    let text = || MetaSchema::new("string");
    let uuid = || MetaSchema::new_with_format("string", "uuid");
    let time = MetaSchema::new_with_format("string", "date-time");
    vec![
        (
            "id",
            described(
                uuid(),
                "The record id; for a granted mint also the token's `jti`.",
            ),
        ),
        ("time", described(time, "When the request was made.")),
        (
            "event",
            described(enum_schema::<AuditEvent>(), "What was requested."),
        ),
        (
            "outcome",
            described(
                enum_schema::<AuditOutcome>(),
                "The outcome; `denied` is by policy, `refused` means that no decision was made.",
            ),
        ),
        (
            "user_id",
            nullable(
                uuid(),
                "The user who made the request; null for anonymous requests.",
            ),
        ),
        (
            "username",
            nullable(
                text(),
                "The user name that a login tried; null if it cannot be a user name.",
            ),
        ),
        (
            "authentication",
            described(
                enum_schema::<Authentication>(),
                "How the caller authenticated; `command_line` is direct access to the database.",
            ),
        ),
        (
            "key_id",
            nullable(
                uuid(),
                "The API key of the request, or with which the token was minted.",
            ),
        ),
        (
            "address",
            nullable(
                text(),
                "The client's address; null if a trusted proxy did not tell it.",
            ),
        ),
        ("dataset_id", nullable(uuid(), "The requested dataset.")),
        (
            "resource_user_id",
            nullable(uuid(), "The user that the operation was about."),
        ),
        (
            "action",
            nullable(enum_schema::<Action>(), "The action that was decided on."),
        ),
    ]
}

/// What was decided, and why.
fn decision_fields() -> Vec<(&'static str, MetaSchema)> {
    let text = || MetaSchema::new("string");
    let uuid = || MetaSchema::new_with_format("string", "uuid");
    let count = || MetaSchema::new_with_format("integer", "uint64");
    vec![
        (
            "determining_policies",
            described(string_list(), "The policies that determined the decision."),
        ),
        (
            "errors",
            described(string_list(), "Policy evaluation errors."),
        ),
        (
            "revision",
            nullable(text(), "The revision of the policies that decided."),
        ),
        (
            "jti",
            nullable(uuid(), "The download token that was minted or used."),
        ),
        (
            "requests",
            nullable(
                count(),
                "How many requests the record stands for, if it may be more than one.",
            ),
        ),
        (
            "bytes",
            nullable(count(), "How many bytes of the file were sent for them."),
        ),
        (
            "reason",
            nullable(
                text(),
                "Why the request was refused, or what was created, updated, deleted or read.",
            ),
        ),
        (
            "request_id",
            nullable(
                text(),
                "The request id, as in the log: the server's own, or that of a trusted proxy.",
            ),
        ),
        (
            "client_request_id",
            nullable(text(), "The `X-Request-Id` that the client sent."),
        ),
        (
            "asked_principal",
            nullable(
                text(),
                "The subject that a service asked about, as Cedar writes it; `type::*` for a search.",
            ),
        ),
        (
            "asked_action",
            nullable(text(), "The action that a service asked about."),
        ),
        (
            "asked_resource",
            nullable(text(), "The resource that a service asked about."),
        ),
    ]
}

fn string_list() -> MetaSchema {
    MetaSchema {
        items: Some(Box::new(MetaSchemaRef::Inline(Box::new(MetaSchema::new(
            "string",
        ))))),
        ..MetaSchema::new("array")
    }
}

fn described(schema: MetaSchema, description: &'static str) -> MetaSchema {
    MetaSchema {
        description: Some(description),
        ..schema
    }
}

/// A nullable member; an enumeration must list null too.
fn nullable(mut schema: MetaSchema, description: &'static str) -> MetaSchema {
    schema.nullable = true;
    if !schema.enum_items.is_empty() {
        schema.enum_items.push(Value::Null);
    }
    described(schema, description)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::Clock;
    use crate::service::identity::request_context::RequestContext;

    #[test]
    fn the_document_names_every_member_of_a_record_in_its_order() {
        let context = RequestContext::local();
        let record = context.open_record(AuditEvent::Administer, &Clock::fixed_at(0));
        let written = AuditRecordResponse(record).to_json().unwrap();
        let written: Vec<&String> = written.as_object().unwrap().keys().collect();
        let documented: Vec<&str> = fields().iter().map(|(name, _)| *name).collect();
        assert_eq!(written, documented);
    }
}
