//! Mentions in the JSON of cases: the principal and the resource of a request, and every entity reference
//! `{"type": ..., "id": ...}` in entities, parents and attributes.

use std::collections::BTreeMap;

use cedar_policy::EntityUid;
use serde_json::value::RawValue;

use crate::policy::json_span::value_span;

use super::mention::{Mention, MentionKind, MentionPlace, MentionSource};

/// A policy that a case expects, by `@id`.
#[derive(Debug)]
pub(super) struct ExpectedPolicy {
    pub(super) id: String,
    pub(super) source: MentionSource,
    pub(super) span: std::ops::Range<usize>,
    pub(super) owner: String,
}

/// What the cases of a file name.
#[derive(Default)]
pub(super) struct JsonMentions {
    pub(super) mentions: Vec<Mention>,
    pub(super) expected: Vec<ExpectedPolicy>,
}

type Members<'a> = BTreeMap<String, &'a RawValue>;

impl JsonMentions {
    /// Adds what the cases of a case file name; malformed ones name nothing.
    pub(super) fn collect_cases(&mut self, source: &MentionSource) {
        let text = &*source.text;
        for (index, case) in values(text).into_iter().enumerate() {
            let members = members(case.get());
            let name = members.get("name").and_then(|name| string(name));
            let name = name.unwrap_or_else(|| (index + 1).to_string());
            let owner = format!("case {name:?}");
            let request = members.get("request");
            let request = request.map(|request| self::members(request.get()));
            for part in ["principal", "resource"] {
                let value = request.as_ref().and_then(|request| request.get(part));
                if let Some(value) = value {
                    self.add_request_part(value, source, &owner);
                }
            }
            if let Some(entities) = members.get("entities") {
                self.collect_entities(entities, source, &owner);
            }
            let expected = members.get("reason");
            for value in expected.into_iter().flat_map(|value| values(value.get())) {
                self.expected.extend(string(value).map(|id| ExpectedPolicy {
                    id,
                    source: source.clone(),
                    span: value_span(value, text),
                    owner: owner.clone(),
                }));
            }
        }
    }

    /// Adds what a file of entities names.
    pub(super) fn collect_entity_file(&mut self, source: &MentionSource) {
        // A base situation has its entities in a member.
        let situation = members(&source.text);
        let entities = situation.get("entities").into_iter();
        for value in values(&source.text).into_iter().chain(entities.copied()) {
            self.collect_entities(value, source, "the entities");
        }
    }

    fn add_request_part(&mut self, value: &RawValue, source: &MentionSource, owner: &str) {
        let parsed = string(value).and_then(|text| text.parse::<EntityUid>().ok());
        if let Some(uid) = parsed {
            let kind = uid.type_name().to_string();
            self.add((&kind, uid.id().unescaped()), value, source, owner);
        }
    }

    fn collect_entities(&mut self, value: &RawValue, source: &MentionSource, owner: &str) {
        if value.get().starts_with('[') {
            for element in values(value.get()) {
                self.collect_entities(element, source, owner);
            }
            return;
        }
        let members = members(value.get());
        if let (2, Some(kind), Some(id)) = (members.len(), members.get("type"), members.get("id"))
            && let (Some(kind), Some(text)) = (string(kind), string(id))
        {
            return self.add((&kind, &text), id, source, owner);
        }
        for inner in members.values() {
            self.collect_entities(inner, source, owner);
        }
    }

    fn add(
        &mut self,
        (kind, text): (&str, &str),
        value: &RawValue,
        source: &MentionSource,
        owner: &str,
    ) {
        self.mentions
            .extend(MentionKind::of_type(kind).map(|kind| Mention {
                kind,
                text: text.to_owned(),
                place: MentionPlace::Case,
                owner: owner.to_owned(),
                source: source.clone(),
                span: value_span(value, &source.text),
            }));
    }
}

/// The elements of an array; none of anything else.
fn values(json: &str) -> Vec<&RawValue> {
    serde_json::from_str(json).unwrap_or_default()
}

/// The members of an object; none of anything else.
fn members(json: &str) -> Members<'_> {
    serde_json::from_str(json).unwrap_or_default()
}

fn string(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok()
}
