//! The JSON text of a header or of claims, members twice and texts that are no JSON included.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// This character stands for the byte 0xFF, which no UTF-8 has.
const NOT_UTF8: &[u8] = "\u{e000}".as_bytes();

/// The words that texts may have in braces, and what is filled in.
pub(super) struct Words(Vec<(&'static str, String)>);

/// How a text differs from the members alone.
pub(super) struct TextChanges<'a> {
    pub(super) texts: &'a BTreeMap<String, String>,
    pub(super) first: Option<&'a str>,
    pub(super) last: Option<&'a str>,
    pub(super) wrap: Option<&'a [String; 2]>,
}

impl Words {
    pub(super) fn new(words: Vec<(&'static str, String)>) -> Self {
        Self(words)
    }

    /// The text with its words filled in.
    pub(super) fn fill(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (word, value)| {
            text.replace(word, value)
        })
    }

    /// The value with the words of its texts filled in; a text that is a word for JSON becomes that.
    pub(super) fn fill_value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) if text == "{foreign jwk}" => {
                serde_json::from_str(&self.fill(text)).unwrap_or_default()
            }
            Value::String(text) => Value::String(self.fill(text)),
            Value::Array(items) => items.iter().map(|item| self.fill_value(item)).collect(),
            Value::Object(members) => {
                let filled = members.iter();
                filled
                    .map(|(name, value)| (self.fill(name), self.fill_value(value)))
                    .collect()
            }
            other => other.clone(),
        }
    }
}

/// The members with those that change; null removes one.
pub(super) fn replaced(
    mut members: Map<String, Value>,
    changes: &Map<String, Value>,
) -> Map<String, Value> {
    for (name, value) in changes {
        if value.is_null() {
            members.shift_remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    members
}

impl TextChanges<'_> {
    /// The bytes of the members as JSON without white space, changed as it is said.
    pub(super) fn apply(&self, members: &Map<String, Value>, words: &Words) -> Vec<u8> {
        let filled = |text: &str| words.fill(text);
        let mut pairs: Vec<String> = self.first.map(filled).into_iter().collect();
        for (name, value) in members {
            let text = self.texts.get(name);
            let value = text.map_or_else(|| value.to_string(), |text| words.fill(text));
            pairs.push(format!("{}:{value}", Value::from(name.as_str())));
        }
        pairs.extend(self.last.map(filled));
        let [before, after] = self
            .wrap
            .map_or(["", ""], |wrap| wrap.each_ref().map(String::as_str));
        let text = format!("{before}{{{}}}{after}", pairs.join(","));
        without_utf8(text.as_bytes())
    }
}

fn without_utf8(mut text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    while let Some((first, rest)) = text.split_first() {
        if let Some(after) = text.strip_prefix(NOT_UTF8) {
            bytes.push(0xFF);
            text = after;
        } else {
            bytes.push(*first);
            text = rest;
        }
    }
    bytes
}
