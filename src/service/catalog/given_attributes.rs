//! The attributes of one item of a catalog file, as they are written.
//!
//! A TOML date or time is what its text is in JSON, so that `2027-01-01` and `"2027-01-01"` mean the same.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::CatalogDiagnostic;
use crate::domain::attributes::Attributes;
use crate::policy::attributes::AttributeError;

/// The attributes of one item, as the file has them.
#[derive(Debug, Default)]
pub(super) struct GivenAttributes {
    values: Attributes,
    /// Where each one is.
    spans: BTreeMap<String, Range<usize>>,
    /// Where the item, or all its attributes, are.
    span: Range<usize>,
}

impl GivenAttributes {
    /// No attributes, of the item at `span`.
    pub(super) fn none(span: Range<usize>) -> Self {
        Self {
            span,
            ..Self::default()
        }
    }

    /// Values of the item at `span`.
    pub(super) fn of_values(values: Attributes, span: Range<usize>) -> Self {
        Self {
            values,
            ..Self::none(span)
        }
    }

    /// The attributes of a table.
    pub(super) fn read(table: &DeTable<'_>, span: Range<usize>) -> Self {
        let mut given = Self::none(span);
        for (name, value) in table {
            let text = name.get_ref().clone().into_owned();
            given.spans.insert(text.clone(), name.span());
            given.values.insert(text, json_value(value));
        }
        given
    }

    /// The values, not checked yet.
    pub(super) fn values(&self) -> &Attributes {
        &self.values
    }

    /// Where they are, or the item that has none.
    pub(super) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// A message about one of them, where it is.
    pub(super) fn located(&self, name: &str, message: String) -> CatalogDiagnostic {
        let span = self.spans.get(name).unwrap_or(&self.span);
        CatalogDiagnostic::new(span.clone(), message)
    }

    /// An error of them, where it is.
    pub(super) fn diagnostic(&self, error: &AttributeError) -> CatalogDiagnostic {
        let diagnostic = self.located(error.attribute(), error.message());
        let help = error.help().map(str::to_owned);
        CatalogDiagnostic { help, ..diagnostic }
    }
}

/// The JSON that says the same; what has no JSON is text, which is then no number.
fn json_value(value: &Spanned<DeValue<'_>>) -> Value {
    match value.get_ref() {
        DeValue::String(text) => Value::String(text.clone().into_owned()),
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
            .map_or_else(|_| Value::String(integer.to_string()), Value::from),
        DeValue::Float(float) => float
            .as_str()
            .parse()
            .ok()
            .and_then(Number::from_f64)
            .map_or_else(|| Value::String(float.to_string()), Value::Number),
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Array(values) => values.iter().map(json_value).collect(),
        DeValue::Table(table) => {
            let members = table.iter();
            let members =
                members.map(|(name, value)| (name.get_ref().to_string(), json_value(value)));
            Value::Object(members.collect::<Map<_, _>>())
        }
    }
}
