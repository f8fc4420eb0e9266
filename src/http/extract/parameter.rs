//! Parameters: how identifiers and words are read from paths, queries and bodies.
//!
//! This module refuses to know any operation.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{
    ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type,
};
use serde_json::Value;
use strum::VariantArray;

use crate::domain::action::Action;
use crate::domain::audit::{AuditEvent, AuditOutcome};
use crate::domain::id::{ApiKeyId, DatasetId, RecordId, SessionId, UserId};
use crate::domain::name::{MAX_NAME_LENGTH, NameError, RoleName, Username};
use crate::service::error::ServiceError;

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

written_as_text!(DatasetId, "string_uuid", uuid_schema());
written_as_text!(ApiKeyId, "string_uuid", uuid_schema());
written_as_text!(UserId, "string_uuid", uuid_schema());
written_as_text!(SessionId, "string_uuid", uuid_schema());
written_as_text!(Username, "string_name", name_schema());
written_as_text!(RoleName, "string_name", name_schema());
written_as_text!(RawName, "string_name", name_schema());
written_as_text!(Action, "string_action", enum_schema(Action::VARIANTS));
written_as_text!(RecordId, "string_uuid", uuid_schema());
written_as_text!(
    AuditEvent,
    "string_event",
    enum_schema(AuditEvent::VARIANTS)
);
written_as_text!(
    AuditOutcome,
    "string_outcome",
    enum_schema(AuditOutcome::VARIANTS)
);

/// A name in a body, as it was sent: whoever takes it in says which field is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawName(pub String);

impl RawName {
    /// The name of a role or a user, or which field is none.
    pub fn parse_field<N: FromStr<Err = NameError>>(
        &self,
        field: &'static str,
    ) -> Result<N, ServiceError> {
        let invalid = |error: NameError| ServiceError::Invalid {
            field,
            detail: error.to_string(),
        };
        self.0.parse().map_err(invalid)
    }
}

impl FromStr for RawName {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for RawName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn name_schema() -> MetaSchema {
    MetaSchema {
        pattern: Some("^[a-z0-9][a-z0-9._@-]*$".to_owned()),
        min_length: Some(1),
        max_length: Some(MAX_NAME_LENGTH),
        ..MetaSchema::new("string")
    }
}

fn uuid_schema() -> MetaSchema {
    MetaSchema::new_with_format("string", "uuid")
}

/// One of the words of a closed set.
pub(crate) fn enum_schema<W: ToString>(words: &[W]) -> MetaSchema {
    MetaSchema {
        enum_items: words.iter().map(|word| word.to_string().into()).collect(),
        ..MetaSchema::new("string")
    }
}
