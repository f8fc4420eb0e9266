//! Parameters: identifiers, names and enumerated values in paths, queries and bodies.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use poem_openapi::registry::MetaSchema;
use poem_openapi::types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON};
use serde_json::Value;
use strum::VariantNames;

use crate::domain::action::Action;
use crate::domain::audit::{AuditEvent, AuditOutcome};
use crate::domain::client_address::AssumedAddress;
use crate::domain::dataset::{RecordStatus, Visibility};
use crate::domain::id::{ApiKeyId, DatasetId, DraftId, RecordId, SessionId, UserId};
use crate::domain::name::{MAX_NAME_LENGTH, NameError, RoleName, Username};
use crate::domain::search_text::{MAX_SEARCH_TEXT_LENGTH, SearchText};
use crate::policy::explain::PartValue;
use crate::service::error::ServiceError;
use crate::storage::KeyState;

use super::schema_type::{impl_inline_type, impl_named_type};

/// Implements poem-openapi's traits for a type that is one string.
macro_rules! impl_string_type {
    ($type:ty, $name:literal, $schema:expr) => {
        impl_inline_type!($type, $name, $schema);
        impl_string_conversions!($type);
    };
}

/// Implements poem-openapi's traits for an enum of the domain, whose schema has a name in the
/// document.
macro_rules! impl_enum_type {
    ($type:ty, $name:literal, $description:literal) => {
        impl_named_type!(
            $type,
            $name,
            MetaSchema {
                description: Some($description),
                ..enum_schema::<$type>()
            }
        );
        impl_string_conversions!($type);
    };
}

macro_rules! impl_string_conversions {
    ($type:ty) => {
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

impl_string_type!(DatasetId, "string_uuid", uuid_schema());
impl_string_type!(DraftId, "string_uuid", uuid_schema());
impl_string_type!(ApiKeyId, "string_uuid", uuid_schema());
impl_string_type!(UserId, "string_uuid", uuid_schema());
impl_string_type!(SessionId, "string_uuid", uuid_schema());
impl_string_type!(Username, "string_name", name_schema());
impl_string_type!(RoleName, "string_name", name_schema());
impl_string_type!(RawName, "string_name", name_schema());
impl_string_type!(AssumedAddress, "string", MetaSchema::new("string"));
impl_string_type!(SearchText, "string_search", search_schema());
impl_string_type!(RawDatasetId, "string", MetaSchema::new("string"));
impl_string_type!(Action, "string_action", enum_schema::<Action>());
impl_string_type!(RecordId, "string_uuid", uuid_schema());
impl_string_type!(AuditEvent, "string_event", enum_schema::<AuditEvent>());
impl_string_type!(
    AuditOutcome,
    "string_outcome",
    enum_schema::<AuditOutcome>()
);

impl_enum_type!(
    Visibility,
    "VisibilityWord",
    "Who a dataset is intended for."
);
impl_enum_type!(
    RecordStatus,
    "RecordStatusWord",
    "Whether a dataset is published."
);
impl_enum_type!(
    KeyState,
    "KeyStateWord",
    "The state of a signing key in the rotation."
);

impl_enum_type!(
    PartValue,
    "PartValueWord",
    "The value of one part of a policy, as it stands in the file: `unknown` if it depends on an unknown client address, `error` if it cannot be evaluated."
);

/// Letters, digits and `. _ - @`, the first a letter or digit. Of ASCII it says what is left out, and beyond
/// ASCII nothing: a regular expression that every tool can read does not know scripts.
const NAME_PATTERN: &str = r"^[^\x00-/:-@\x5b-\x60{-\x7f][^\x00-,/:-?\x5b-\x5e\x60{-\x7f]*$";

/// A name in a body, as it was sent: whoever parses it says which field is not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawName(pub String);

impl RawName {
    /// Parses the name of a role or a user; the error names `field`.
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

/// What may be a dataset id in a body, as it was sent: whoever parses it answers for it alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawDatasetId(pub String);

impl FromStr for RawDatasetId {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for RawDatasetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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

/// A name as people may type it; the length is that of the normal form.
fn name_schema() -> MetaSchema {
    MetaSchema {
        pattern: Some(NAME_PATTERN.to_owned()),
        min_length: Some(1),
        max_length: Some(MAX_NAME_LENGTH),
        ..MetaSchema::new("string")
    }
}

fn search_schema() -> MetaSchema {
    MetaSchema {
        max_length: Some(MAX_SEARCH_TEXT_LENGTH),
        ..MetaSchema::new("string")
    }
}

fn uuid_schema() -> MetaSchema {
    MetaSchema::new_with_format("string", "uuid")
}

/// The schema of an enum that is written as text.
pub(crate) fn enum_schema<T: VariantNames>() -> MetaSchema {
    MetaSchema {
        enum_items: T::VARIANTS.iter().map(|name| (*name).into()).collect(),
        ..MetaSchema::new("string")
    }
}
