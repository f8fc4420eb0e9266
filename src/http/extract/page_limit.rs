//! The `limit` parameter of paged lists.

use poem_openapi::registry::MetaSchema;
use poem_openapi::types::{ParseError, ParseFromParameter, ParseResult, ToJSON};
use serde_json::Value;

use super::schema_type::impl_inline_type;

const MAX_PAGE_SIZE: u32 = 100;
const DEFAULT_PAGE_SIZE: u32 = 50;

/// How many items a page may have, from 1 to [`MAX_PAGE_SIZE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLimit(pub u32);

impl_inline_type!(
    PageLimit,
    "integer_page_limit",
    MetaSchema {
        minimum: Some(1.0),
        maximum: Some(f64::from(MAX_PAGE_SIZE)),
        ..MetaSchema::new_with_format("integer", "uint32")
    }
);

impl Default for PageLimit {
    fn default() -> Self {
        Self(DEFAULT_PAGE_SIZE)
    }
}

impl ParseFromParameter for PageLimit {
    fn parse_from_parameter(text: &str) -> ParseResult<Self> {
        match text.parse() {
            Ok(limit @ 1..=MAX_PAGE_SIZE) => Ok(Self(limit)),
            _ => Err(ParseError::custom(format!(
                "expected a number from 1 to {MAX_PAGE_SIZE}"
            ))),
        }
    }
}

impl ToJSON for PageLimit {
    fn to_json(&self) -> Option<Value> {
        Some(self.0.into())
    }
}
