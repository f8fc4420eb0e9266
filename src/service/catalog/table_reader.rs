//! A reader of one table of a catalog file, key by key.
//!
//! Reading continues after an error, so that all errors of a file are reported at once: a key that is
//! missing or of the wrong type adds a diagnostic and reads as absent.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::domain::dataset::{DatasetError, MAX_TAGS, check_tag};
use crate::domain::principal::Tags;
use crate::domain::rfc3339::parse_day_or_seconds;
use crate::domain::suggest::did_you_mean;

use super::diagnostic::CatalogDiagnostic;
use super::given_attributes::GivenAttributes;

/// The longest key that a diagnostic quotes, in characters.
const MAX_SHOWN_KEY_LENGTH: usize = 256;

/// One table: the whole file, or one item of a list in it.
pub(super) struct TableReader<'a, 'p> {
    table: &'a DeTable<'a>,
    span: Range<usize>,
    item: &'static str,
    known_keys: BTreeSet<&'static str>,
    diagnostics: &'p mut Vec<CatalogDiagnostic>,
}

impl<'a, 'p> TableReader<'a, 'p> {
    /// Reads `table`, an `item` at `span`, and adds errors to `diagnostics`.
    pub(super) fn new(
        table: &'a DeTable<'a>,
        span: Range<usize>,
        item: &'static str,
        diagnostics: &'p mut Vec<CatalogDiagnostic>,
    ) -> Self {
        Self {
            table,
            span,
            item,
            known_keys: BTreeSet::new(),
            diagnostics,
        }
    }

    fn get(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known_keys.insert(key);
        self.table.get(key)
    }

    /// An optional string.
    pub(super) fn text(&mut self, key: &'static str) -> Option<Spanned<&'a str>> {
        let value = self.get(key)?;
        self.as_text(key, value)
    }

    /// A required string.
    pub(super) fn required_text(&mut self, key: &'static str) -> Option<Spanned<&'a str>> {
        if self.get(key).is_none() {
            let message = format!("this {} has no {key}", self.item);
            self.diagnostics
                .push(CatalogDiagnostic::new(self.span.clone(), message));
        }
        self.text(key)
    }

    /// `true` or `false`; absent is `false`.
    pub(super) fn flag(&mut self, key: &'static str) -> bool {
        let Some(value) = self.get(key) else {
            return false;
        };
        value.get_ref().as_bool().unwrap_or_else(|| {
            self.report_wrong_type(key, "true or false", value);
            false
        })
    }

    /// A list of strings, each parsed; absent is empty.
    pub(super) fn list<T: FromStr<Err: Display>>(&mut self, key: &'static str) -> Vec<Spanned<T>> {
        let Some(value) = self.get(key) else {
            return Vec::new();
        };
        self.text_list(key, value)
            .into_iter()
            .filter_map(|text| self.parse(&text))
            .collect()
    }

    /// A list of readers: each is a name, or a table with a `name` and the time `until` which it reads. Absent is empty.
    ///
    /// The times are seconds since 1970 UTC, of TOML's own type or as text.
    pub(super) fn readers<T>(&mut self, key: &'static str) -> (Vec<Spanned<T>>, BTreeMap<T, i64>)
    where
        T: FromStr<Err: Display> + Ord + Clone,
    {
        let (mut readers, mut ends) = (Vec::new(), BTreeMap::new());
        let Some(value) = self.get(key) else {
            return (readers, ends);
        };
        let Some(list) = value.get_ref().as_array() else {
            self.report_wrong_type(key, "a list of strings", value);
            return (readers, ends);
        };
        for item in list {
            let Some(table) = item.get_ref().as_table() else {
                let name = self.as_text(key, item);
                readers.extend(name.and_then(|name| self.parse::<T>(&name)));
                continue;
            };
            let mut table = TableReader::new(table, item.span(), "reader", self.diagnostics);
            let name = table.required_text("name");
            let name = name.and_then(|name| table.parse::<T>(&name));
            let until = table.time("until");
            table.report_unknown_keys();
            if let (Some(name), Some(until)) = (&name, until) {
                ends.insert(name.get_ref().clone(), until);
            }
            readers.extend(name);
        }
        (readers, ends)
    }

    /// An optional time, in seconds since 1970 UTC.
    fn time(&mut self, key: &'static str) -> Option<i64> {
        let value = self.get(key)?;
        let text = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Datetime(time) => time.to_string(),
            _ => {
                self.report_wrong_type(key, "a time", value);
                return None;
            }
        };
        let parsed = parse_day_or_seconds(&text);
        if let Err(error) = &parsed {
            self.report(value.span(), error.to_string());
        }
        parsed.ok()
    }

    /// A table of lists of strings, bounded by [`MAX_TAGS`]; absent is empty.
    pub(super) fn tags(&mut self, key: &'static str) -> Tags {
        let Some(value) = self.get(key) else {
            return Tags::new();
        };
        let Some(table) = value.get_ref().as_table() else {
            self.report_wrong_type(key, "a table of lists", value);
            return Tags::new();
        };
        if table.len() > MAX_TAGS {
            self.report(value.span(), DatasetError::TooManyTags.to_string());
        }
        let mut tags = BTreeMap::new();
        for (name, values) in table {
            self.check_tag(name.get_ref(), name.span());
            let values = self.text_list("a tag", values);
            if values.len() > MAX_TAGS {
                self.report(name.span(), DatasetError::TooManyValues.to_string());
            }
            for value in &values {
                self.check_tag(value.get_ref(), value.span());
            }
            let values = values
                .into_iter()
                .map(|value| (*value.get_ref()).to_owned());
            tags.insert(name.get_ref().clone().into_owned(), values.collect());
        }
        tags
    }

    /// A table of attributes; absent is none.
    pub(super) fn attributes(&mut self, key: &'static str) -> GivenAttributes {
        let Some(value) = self.get(key) else {
            return GivenAttributes::none(self.span.clone());
        };
        let Some(table) = value.get_ref().as_table() else {
            self.report_wrong_type(key, "a table: { name = value }", value);
            return GivenAttributes::none(value.span());
        };
        GivenAttributes::read(table, value.span())
    }

    /// The items of a list of tables, each with its span; absent is empty.
    pub(super) fn items(&mut self, key: &'static str) -> Vec<(&'a DeTable<'a>, Range<usize>)> {
        let Some(value) = self.get(key) else {
            return Vec::new();
        };
        let Some(list) = value.get_ref().as_array() else {
            self.report_wrong_type(key, &format!("a list: write [[{key}]]"), value);
            return Vec::new();
        };
        let mut items = Vec::new();
        for item in list {
            match item.get_ref().as_table() {
                Some(table) => items.push((table, item.span())),
                None => self.report_wrong_type(key, "a list of tables", item),
            }
        }
        items
    }

    /// Parses a string; none, and a diagnostic, if that fails.
    pub(super) fn parse<T: FromStr<Err: Display>>(
        &mut self,
        text: &Spanned<&str>,
    ) -> Option<Spanned<T>> {
        match text.get_ref().parse() {
            Ok(parsed) => Some(Spanned::new(text.span(), parsed)),
            Err(error) => {
                self.report(text.span(), format!("{error}"));
                None
            }
        }
    }

    /// Adds a diagnostic.
    pub(super) fn report(&mut self, at: Range<usize>, message: impl Into<String>) {
        self.diagnostics.push(CatalogDiagnostic::new(at, message));
    }

    /// Adds a diagnostic with optional help.
    pub(super) fn report_with_help(
        &mut self,
        at: Range<usize>,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        let diagnostic = CatalogDiagnostic::new(at, message);
        self.diagnostics
            .push(CatalogDiagnostic { help, ..diagnostic });
    }

    /// Adds a diagnostic for every key that was not read.
    pub(super) fn report_unknown_keys(self) {
        for key in self.table.keys() {
            let name: &str = key.get_ref();
            if self.known_keys.contains(name) {
                continue;
            }
            let known = self.known_keys.iter().copied();
            let help = did_you_mean(name, known.clone())
                .unwrap_or_else(|| format!("known keys: {}", known.collect::<Vec<_>>().join(", ")));
            let name: String = name.chars().take(MAX_SHOWN_KEY_LENGTH).collect();
            let message = format!("a {} has no key {name:?}", self.item);
            self.diagnostics
                .push(CatalogDiagnostic::new(key.span(), message).with_help(help));
        }
    }

    fn text_list(
        &mut self,
        key: &'static str,
        value: &'a Spanned<DeValue<'a>>,
    ) -> Vec<Spanned<&'a str>> {
        let Some(list) = value.get_ref().as_array() else {
            self.report_wrong_type(key, "a list of strings", value);
            return Vec::new();
        };
        list.iter()
            .filter_map(|item| self.as_text(key, item))
            .collect()
    }

    fn as_text(
        &mut self,
        key: &'static str,
        value: &'a Spanned<DeValue<'a>>,
    ) -> Option<Spanned<&'a str>> {
        let text = value.get_ref().as_str();
        if text.is_none() {
            self.report_wrong_type(key, "a string", value);
        }
        text.map(|text| Spanned::new(value.span(), text))
    }

    /// The message names the type that was found, never the value, which may be a secret.
    fn report_wrong_type(&mut self, key: &str, expected: &str, found: &Spanned<DeValue<'_>>) {
        let kind = found.get_ref().type_str();
        self.report(
            found.span(),
            format!("{key} must be {expected}, found {kind}"),
        );
    }

    fn check_tag(&mut self, text: &str, at: Range<usize>) {
        if let Err(error) = check_tag(text) {
            self.report(at, error.to_string());
        }
    }
}
