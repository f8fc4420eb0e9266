//! Literals in the catalog: the times and networks in attributes, which policies may compare the context with.

use std::collections::{BTreeSet, HashSet};

use serde_json::Value;

use crate::domain::attributes::Attributes;

use super::context_literals::{
    ContextLiterals, MAX_LITERALS, milliseconds_of_datetime, parse_network, push_all, whole_seconds,
};
use super::references::PolicyReferences;

impl ContextLiterals {
    /// These literals, and then the times and networks in those attributes of the catalog that policies read.
    #[must_use]
    pub fn and_attributes<'a>(
        mut self,
        references: &PolicyReferences,
        all: impl IntoIterator<Item = &'a Attributes>,
    ) -> Self {
        if !self.reads_time && !self.reads_address {
            return self;
        }
        let (mut instants, mut networks) = (BTreeSet::new(), BTreeSet::new());
        let mut seen = HashSet::new();
        let mut is_cut = false;
        let mut add = |text: &'a str| {
            if !seen.insert(text) {
                return;
            }
            if self.reads_time && is_date(text) {
                // Reading one takes long.
                if instants.len() < MAX_LITERALS {
                    instants.extend(milliseconds_of_datetime(text).map(whole_seconds));
                } else {
                    is_cut = true;
                }
            }
            if self.reads_address {
                let network = parse_network(text);
                if networks.len() < MAX_LITERALS {
                    networks.extend(network);
                } else {
                    is_cut |= network.is_some();
                }
            }
        };
        let values = all.into_iter().flatten();
        for (_, value) in values.filter(|(name, _)| references.has_attribute(name)) {
            each_text(value, &mut add);
        }
        self.is_cut |= is_cut
            | push_all(&mut self.instants, instants)
            | push_all(&mut self.networks, networks);
        self
    }
}

/// Whether a text may be a date, such as `2028-01-01` or `2028-01-01T00:00:00Z`.
fn is_date(text: &str) -> bool {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    digits == "2028".len() && text.as_bytes().get(digits) == Some(&b'-')
}

/// The texts of a value, also of those in sets and records.
fn each_text<'a>(value: &'a Value, add: &mut impl FnMut(&'a str)) {
    match value {
        Value::String(text) => add(text),
        Value::Array(values) => values.iter().for_each(|value| each_text(value, add)),
        Value::Object(members) => members.values().for_each(|value| each_text(value, add)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn literals_are_those_of_attributes_that_are_read_also_in_sets_and_records() {
        let attributes: Attributes = serde_json::from_value(json!({
            "span": {"from": "2028-01-01T00:00:00Z", "note": "x"},
            "hours": ["2029-01-01T00:00:00Z"],
            "until": "2030-01-01T00:00:00Z",
            "office": {"networks": ["192.0.2.0/24"]},
        }))
        .unwrap();
        let references = PolicyReferences {
            attributes: ["span", "hours", "office"].map(String::from).into(),
            ..PolicyReferences::default()
        };
        let reading = ContextLiterals {
            reads_time: true,
            reads_address: true,
            ..ContextLiterals::default()
        };
        let timed = ContextLiterals {
            reads_time: true,
            ..ContextLiterals::default()
        };
        let found = timed.and_attributes(&references, [&attributes]);
        assert_eq!((found.instants.len(), found.networks.len()), (2, 0));
        let unread = ContextLiterals::default();
        let found = unread.clone().and_attributes(&references, [&attributes]);
        assert_eq!(found, unread);
        let found = reading.clone().and_attributes(&references, [&attributes]);
        assert_eq!(found.instants, [1_830_297_600, 1_861_920_000]);
        assert_eq!(found.networks.len(), 1);
        assert!(!found.is_cut);

        let many: Vec<Attributes> = (0..=MAX_LITERALS)
            .map(|second| {
                let at = time_of(second);
                [("span".to_owned(), json!(at))].into()
            })
            .collect();
        let found = reading.and_attributes(&references, &many);
        assert_eq!(found.instants.len(), MAX_LITERALS);
        assert!(found.is_cut);
    }

    fn time_of(second: usize) -> String {
        let (minutes, seconds) = (second / 60, second % 60);
        format!("2028-01-01T00:{minutes:02}:{seconds:02}Z")
    }
}
