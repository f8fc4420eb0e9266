//! Parameters: how identifiers and words are read from paths, queries and bodies.
//!
//! This module refuses to know any operation.

use std::borrow::Cow;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{
    ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type,
};
use serde_json::Value;

use crate::domain::action::Action;
use crate::domain::audit::{Event, Outcome};
use crate::domain::id::{ApiKeyId, DatasetId, RecordId, UserId};

/// Teaches poem-openapi a type that is written as one text.
macro_rules! written_as_text {
    ($type:ty, $name:literal, $schema:expr) => {
        impl Type for $type {
            const IS_REQUIRED: bool = true;

            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> Cow<'static, str> {
                $name.into()
            }

            fn schema_ref() -> MetaSchemaRef {
                MetaSchemaRef::Inline(Box::new($schema))
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

        impl ParseFromParameter for $type {
            fn parse_from_parameter(value: &str) -> ParseResult<Self> {
                value.parse().map_err(ParseError::custom)
            }
        }

        impl ParseFromJSON for $type {
            fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
                match value.unwrap_or_default() {
                    Value::String(text) => text.parse().map_err(ParseError::custom),
                    value => Err(ParseError::expected_type(value)),
                }
            }
        }

        impl ToJSON for $type {
            fn to_json(&self) -> Option<Value> {
                Some(self.to_string().into())
            }
        }
    };
}

written_as_text!(DatasetId, "string_uuid", uuid());
written_as_text!(ApiKeyId, "string_uuid", uuid());
written_as_text!(Action, "string_action", one_of(Action::ALL));
written_as_text!(UserId, "string_uuid", uuid());
written_as_text!(RecordId, "string_uuid", uuid());
written_as_text!(Event, "string_event", one_of(Event::ALL));
written_as_text!(Outcome, "string_outcome", one_of(Outcome::ALL));

fn uuid() -> MetaSchema {
    MetaSchema::new_with_format("string", "uuid")
}

/// One of the words of a closed set.
pub(super) fn one_of<W: ToString>(words: &[W]) -> MetaSchema {
    MetaSchema {
        enum_items: words.iter().map(|word| word.to_string().into()).collect(),
        ..MetaSchema::new("string")
    }
}
