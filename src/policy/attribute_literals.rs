//! Literals in the catalog: the times and networks in attributes, which policies may compare the context with, and the
//! ids of datasets, which they may compare with what an API key is restricted to.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::Value;

use crate::domain::attributes::Attributes;

use super::context_literals::ContextLiterals;
use super::literal_values::{
    MAX_LITERALS, milliseconds_of_datetime, milliseconds_of_duration, parse_network, push_all,
};
use super::references::PolicyReferences;
use super::time_comparisons::{ComparedValues, TimeEdges};

impl ContextLiterals {
    /// These literals, and then those in the attributes of the catalog that policies read: where times of attributes are
    /// compared, networks, and ids of datasets.
    #[must_use]
    pub fn and_attributes<'a>(
        mut self,
        references: &PolicyReferences,
        all: impl IntoIterator<Item = &'a Attributes>,
    ) -> Self {
        let reads_texts = self.reads_address || self.key.reads_datasets;
        if self.time_comparisons.is_empty() && !reads_texts {
            return self;
        }
        let mut values = AttributeValues::new(&self);
        let mut texts = HashSet::new();
        for (name, value) in all.into_iter().flatten() {
            let compared = values.of_names.get_mut(name.as_str());
            let is_read = reads_texts && references.has_attribute(name);
            if compared.is_none() && !is_read {
                continue;
            }
            let mut compared = compared;
            each_value(value, &mut |value| {
                if let Some(compared) = &mut compared {
                    compared.add(value);
                }
                if let (true, Value::String(text)) = (is_read, value) {
                    texts.insert(text.as_str());
                }
            });
        }
        let edges: Vec<_> = values.edges(&self).collect();
        self.is_cut |= values.is_cut();
        for edges in edges {
            self.add_edges(edges);
        }
        self.add_texts(texts);
        self
    }

    /// These literals, and then the ids of datasets in other texts of the catalog that policies read.
    #[must_use]
    pub fn and_texts<'a>(mut self, texts: impl IntoIterator<Item = &'a str>) -> Self {
        if self.key.reads_datasets {
            let texts = texts.into_iter();
            texts.for_each(|text| self.key.add_text(text));
        }
        self
    }

    fn add_texts(&mut self, texts: HashSet<&str>) {
        let mut networks = BTreeSet::new();
        for text in texts {
            if self.reads_address {
                networks.extend(parse_network(text));
            }
            if self.key.reads_datasets {
                self.key.add_text(text);
            }
        }
        self.is_cut |= push_all(&mut self.networks, networks);
    }
}

/// The values of the attributes that are compared with times, by the names of the attributes.
struct AttributeValues<'a> {
    of_names: HashMap<String, NamedValues<'a>>,
}

/// The values of the attributes of one name.
#[derive(Default)]
struct NamedValues<'a> {
    seen: HashSet<&'a Value>,
    found: ComparedValues,
    /// Whether numbers are spans.
    counts: bool,
    is_cut: bool,
}

impl<'a> AttributeValues<'a> {
    fn new(literals: &ContextLiterals) -> Self {
        let mut of_names: HashMap<String, NamedValues<'a>> = HashMap::new();
        for comparison in &literals.time_comparisons {
            for name in &comparison.attributes {
                let known = of_names.entry(name.clone()).or_default();
                known.counts |= comparison.counts();
            }
        }
        Self { of_names }
    }

    /// Where the results of the comparisons can change.
    fn edges(&self, literals: &ContextLiterals) -> impl Iterator<Item = TimeEdges> {
        literals.time_comparisons.iter().map(|comparison| {
            let mut values = ComparedValues::default();
            let names = comparison.attributes.iter();
            for named in names.filter_map(|name| self.of_names.get(name)) {
                values.datetimes.extend(&named.found.datetimes);
                values.spans.extend(&named.found.spans);
                values.numbers.extend(&named.found.numbers);
            }
            comparison.edges(&values)
        })
    }

    fn is_cut(&self) -> bool {
        self.of_names.values().any(|named| named.is_cut)
    }
}

impl<'a> NamedValues<'a> {
    fn add(&mut self, value: &'a Value) {
        if !self.seen.insert(value) {
            return;
        }
        let found = &mut self.found;
        let kept = found.datetimes.len() + found.spans.len() + found.numbers.len();
        let is_full = kept >= MAX_LITERALS;
        match value {
            Value::Number(number) if self.counts && !is_full => {
                found.numbers.extend(number.as_i64());
            }
            Value::Number(_) => self.is_cut |= self.counts,
            // Reading one takes long.
            Value::String(text) if is_full => self.is_cut |= is_date(text) || is_duration(text),
            Value::String(text) if is_date(text) => {
                found.datetimes.extend(milliseconds_of_datetime(text));
            }
            Value::String(text) if is_duration(text) => {
                found.spans.extend(milliseconds_of_duration(text));
            }
            Value::String(_)
            | Value::Null
            | Value::Bool(_)
            | Value::Array(_)
            | Value::Object(_) => {}
        }
    }
}

/// Whether a text may be a date, such as `2028-01-01` or `2028-01-01T00:00:00Z`.
fn is_date(text: &str) -> bool {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    digits == "2028".len() && text.as_bytes().get(digits) == Some(&b'-')
}

/// Whether a text may be a duration, such as `1d12h` or `-30m`.
fn is_duration(text: &str) -> bool {
    let text = text.strip_prefix('-').unwrap_or(text);
    text.starts_with(|first: char| first.is_ascii_digit())
        && text.ends_with(['d', 'h', 'm', 's'])
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The texts and numbers of a value, also of those in sets and records.
fn each_value<'a>(value: &'a Value, add: &mut impl FnMut(&'a Value)) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| each_value(value, add)),
        Value::Object(members) => members.values().for_each(|value| each_value(value, add)),
        Value::String(_) | Value::Number(_) => add(value),
        Value::Null | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use cedar_policy::Policy;
    use serde_json::json;

    use super::*;

    const DAY: i64 = 86_400;
    const START: i64 = 1_830_297_600;

    /// What a policy compares with, and what it refers to.
    fn read(condition: &str) -> (ContextLiterals, PolicyReferences) {
        let text = format!("permit (principal, action, resource) when {{ {condition} }};");
        let literals = ContextLiterals::of_policies([&Policy::parse(None, text).unwrap()]);
        let references = PolicyReferences {
            attributes: ["span", "hours", "office", "days", "until", "note"]
                .map(String::from)
                .into(),
            ..PolicyReferences::default()
        };
        (literals, references)
    }

    fn attributes(value: Value) -> Attributes {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn literals_are_those_of_attributes_that_are_compared_also_in_sets_and_records() {
        let attributes = attributes(json!({
            "span": {"from": "2028-01-01T00:00:00Z", "note": "x"},
            "hours": ["2029-01-01T00:00:00Z"],
            "until": "2030-01-01T00:00:00Z",
            "office": {"networks": ["192.0.2.0/24"]},
        }));
        let found = |condition: &str| {
            let (literals, references) = read(condition);
            literals.and_attributes(&references, [&attributes])
        };
        let of_time = "context.time > resource.span.from || resource.hours.contains(context.time)";
        let mut timed = found(of_time);
        timed.instants.sort_unstable();
        assert_eq!(timed.instants, [START, 1_861_920_000]);
        assert_eq!(timed.networks.len(), 0);
        let both = found(&format!(
            "{of_time} || context.address.isInRange(resource.office.networks)"
        ));
        assert_eq!((both.instants.len(), both.networks.len()), (2, 1));
        assert!(!both.is_cut);
        assert!(found("resource.hours.isEmpty()").instants.is_empty());
    }

    #[test]
    fn times_of_attributes_are_moved_by_the_spans_of_their_comparison() {
        let many = [
            attributes(json!({"until": "2028-01-01", "span": "2d", "days": 3})),
            attributes(json!({"until": "2028-01-01", "span": "2d", "days": 3})),
        ];
        for (condition, days) in [
            ("context.time < resource.until", vec![0]),
            (
                r#"context.time < resource.until.offset(duration("1d"))"#,
                vec![0, 1, -1],
            ),
            (
                "context.time < resource.until.offset(resource.span)",
                vec![0, 2, -2],
            ),
            (
                "context.time.durationSince(resource.until) < resource.span",
                vec![0, 2, -2],
            ),
            (
                "context.time.durationSince(resource.until).toDays() < resource.days",
                vec![0, 3, -3, 4, -4],
            ),
        ] {
            let (literals, references) = read(condition);
            let found = literals.and_attributes(&references, &many);
            let expected: Vec<i64> = days.into_iter().map(|day| START + day * DAY).collect();
            assert_eq!(found.instants, expected, "{condition}");
            assert!(!found.is_cut);
        }
    }

    #[test]
    fn times_of_day_in_attributes_are_found() {
        let attributes = attributes(json!({"span": "9h", "until": "2028-01-01T17:00:00Z"}));
        for (condition, hours) in [
            ("context.time.toTime() < resource.span", vec![9]),
            ("context.time.toTime() < resource.until.toTime()", vec![17]),
        ] {
            let (literals, references) = read(condition);
            let found = literals.and_attributes(&references, [&attributes]);
            let expected: Vec<i64> = hours.into_iter().map(|hour| hour * 3_600).collect();
            assert_eq!(found.times_of_day, expected, "{condition}");
            assert!(found.instants.is_empty());
        }
    }

    #[test]
    fn more_times_than_are_kept_are_said_to_be_cut() {
        let many = |count: usize| -> Vec<Attributes> {
            let times = (0..count).map(time_of);
            times.map(|at| attributes(json!({ "until": at }))).collect()
        };
        for (condition, count, is_cut) in [
            ("context.time < resource.until", MAX_LITERALS, false),
            ("context.time < resource.until", MAX_LITERALS + 1, true),
            (
                r#"context.time < resource.until.offset(duration("1d"))"#,
                MAX_LITERALS / 2,
                true,
            ),
        ] {
            let (literals, references) = read(condition);
            let found = literals.and_attributes(&references, &many(count));
            assert_eq!(found.instants.len(), MAX_LITERALS);
            assert_eq!(found.is_cut, is_cut, "{condition}");
        }
    }

    #[test]
    fn texts_that_are_ids_may_be_those_of_datasets_that_a_key_is_restricted_to() {
        let id = "00000000-0000-0000-0000-000000000003";
        let attributes = attributes(json!({"note": [id, "x"]}));
        let (literals, references) = read("context.key.datasets.containsAny(resource.note)");
        let found = literals.clone().and_attributes(&references, [&attributes]);
        assert_eq!(found.key.datasets.len(), 1);
        assert_eq!(literals.and_texts([id, "y"]).key.datasets.len(), 1);
        let (literals, references) = read("resource.note.isEmpty()");
        let found = literals.and_attributes(&references, [&attributes]);
        assert!(found.and_texts([id]).key.datasets.is_empty());
    }

    fn time_of(second: usize) -> String {
        let (minutes, seconds) = (second / 60, second % 60);
        format!("2028-01-01T00:{minutes:02}:{seconds:02}Z")
    }
}
