//! Safeguards: the invariants and cases of a policy folder, and what an edit takes away from them.
//!
//! Invariants are compared as Cedar reads them: layout, comments, `@reason` and the file do not count. What is
//! malformed counts as absent; the policy gate reports it separately. An invariant that excepts policies says something
//! else when it excepts others, or when one of them is edited: else an edit of an excepted policy would pass unseen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cedar_policy::{Policy, PolicyId, Schema};
use serde::Serialize;
use serde_json::Value;

use super::case_file;
use super::links;
use super::prove::{EXCEPT, environments_in_scope, excepted_names};
use super::source_policy::{self, SourcePolicy, policies_in_order, templates_in_order};
use super::sources::{SCHEMA_FILE, SourceFiles};

/// The most names in a line about a change; the rest are counted.
const MAX_NAMES: usize = 20;

/// The invariants and cases of a folder.
#[derive(Debug)]
pub struct Safeguards {
    schema_text: Option<Arc<str>>,
    schema: Option<Schema>,
    invariants: BTreeMap<String, Statement>,
    /// The number of cases; equal ones count once.
    cases: usize,
}

/// What an invariant says.
#[derive(Debug)]
struct Statement {
    policy: Policy,
    /// Its bound, scope, conditions and exceptions.
    text: String,
    /// The policies that it excepts, each with its reason.
    excepted: Vec<String>,
}

/// The policies and templates of a folder that invariants may except, by `@id`.
#[derive(Default)]
struct PolicyTexts {
    texts: BTreeMap<String, String>,
    reasons: BTreeMap<String, String>,
}

/// What an edit changes about invariants and cases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SafeguardChanges {
    /// The invariants that are gone, by `@id`.
    pub removed: Vec<String>,
    /// The invariants that say something else.
    pub changed: Vec<String>,
    /// The invariants that an edit of the schema takes request environments away from.
    pub narrowed: Vec<String>,
    /// The new invariants.
    pub added: Vec<String>,
    /// What the changed and the new invariants except, a few words each.
    pub excepted: Vec<String>,
    /// The number of invariants before.
    pub invariants_before: usize,
    /// The number of cases before.
    pub cases_before: usize,
    /// The number of cases after.
    pub cases_after: usize,
    /// The invariants of the edit that may have lost their effect: the changed ones, or all if the schema changed.
    #[serde(skip)]
    pub may_lack_effect: BTreeSet<String>,
}

impl Safeguards {
    /// The invariants and cases beside the policies of a bundle.
    pub(super) fn new(
        bundle: &SourceFiles,
        schema: Option<Schema>,
        invariants: &SourceFiles,
        cases: &SourceFiles,
    ) -> Self {
        let schema_text = bundle.text(SCHEMA_FILE);
        let mut texts = None;
        let mut statements = BTreeMap::new();
        for (name, text) in invariants.policies() {
            let Ok(parsed) = source_policy::parse(&invariants.label(name), text) else {
                continue;
            };
            for (source, policy) in policies_in_order(&parsed, text) {
                if let Some(id) = source.annotation("id") {
                    let bound = source.annotation("invariant").unwrap_or_default();
                    let mut statement = Statement::new(policy, bound);
                    if let Some(except) = source.annotation(EXCEPT) {
                        let texts = texts.get_or_insert_with(|| PolicyTexts::new(bundle));
                        statement.except(except, texts);
                    }
                    statements.insert(id.to_owned(), statement);
                }
            }
        }
        Self {
            schema_text: schema_text.cloned(),
            schema,
            invariants: statements,
            cases: case_file::count_distinct(cases),
        }
    }

    /// Whether there is an invariant.
    #[must_use]
    pub fn has_invariants(&self) -> bool {
        !self.invariants.is_empty()
    }

    /// Whether there is a case.
    #[must_use]
    pub fn has_cases(&self) -> bool {
        self.cases > 0
    }

    /// What changes from these safeguards to those of an edit.
    #[must_use]
    pub fn changes_to(&self, edit: &Self) -> SafeguardChanges {
        let texts = |of: &Self| -> BTreeSet<String> {
            let statements = of.invariants.values();
            statements.map(|one| one.text.clone()).collect()
        };
        let (texts_before, texts_after) = (texts(self), texts(edit));
        let is_schema_changed = self.schema_text != edit.schema_text;
        let mut changes = SafeguardChanges {
            invariants_before: self.invariants.len(),
            cases_before: self.cases,
            cases_after: edit.cases,
            ..SafeguardChanges::default()
        };
        for (id, statement) in &self.invariants {
            // The same statement under another name is kept.
            if texts_after.contains(&statement.text) {
                if is_schema_changed && statement.is_narrowed(self, edit) {
                    changes.narrowed.push(id.clone());
                }
            } else if edit.invariants.contains_key(id) {
                changes.changed.push(id.clone());
            } else {
                changes.removed.push(id.clone());
            }
        }
        let is_new = |id: &&String, statement: &Statement| {
            !self.invariants.contains_key(*id) && !texts_before.contains(&statement.text)
        };
        let after = edit.invariants.iter();
        let added = after.filter(|(id, statement)| is_new(id, statement));
        changes.added = added.map(|(id, _)| id.clone()).collect();
        let touched = changes.changed.iter().chain(&changes.added);
        changes.excepted = touched
            .filter_map(|id| Some((id, edit.invariants.get(id)?)))
            .flat_map(|(id, statement)| {
                let excepted = statement.excepted.iter();
                excepted.map(move |excepted| format!("`{id}` excepts {excepted}"))
            })
            .collect();
        changes.may_lack_effect = if is_schema_changed {
            edit.invariants.keys().cloned().collect()
        } else {
            changes.changed.iter().cloned().collect()
        };
        changes
    }
}

impl Statement {
    fn new(policy: &Policy, bound: &str) -> Self {
        // What cannot be written as JSON is compared as text.
        let json = policy.to_json().ok().and_then(without_annotations);
        let body = json.unwrap_or_else(|| policy.to_string());
        Self {
            policy: policy.new_id(PolicyId::new("invariant")),
            text: format!("{bound} {body}"),
            excepted: Vec::new(),
        }
    }

    /// Adds what an `@except` names. A template stands for its links, which may come and go.
    fn except(&mut self, annotation: &str, texts: &PolicyTexts) {
        for name in excepted_names(annotation) {
            let text = texts.texts.get(&name).map_or("absent", String::as_str);
            self.text.push_str(&format!(" except {name:?} {text}"));
            let reason = texts.reasons.get(&name);
            self.excepted.push(match reason {
                Some(reason) => format!("`{name}` ({reason})"),
                None => format!("`{name}`"),
            });
        }
    }

    /// Whether a request environment of both schemas is in its scope before and not after.
    fn is_narrowed(&self, before: &Safeguards, after: &Safeguards) -> bool {
        let (Some(before), Some(after)) = (&before.schema, &after.schema) else {
            return false;
        };
        let remaining: BTreeSet<_> = after.request_envs().collect();
        let covered = environments_in_scope(&self.policy, after);
        environments_in_scope(&self.policy, before)
            .into_iter()
            .any(|environment| remaining.contains(&environment) && !covered.contains(&environment))
    }
}

impl PolicyTexts {
    /// The policies, templates and links of the files of a bundle; what is malformed is absent.
    fn new(bundle: &SourceFiles) -> Self {
        let mut found = Self::default();
        for (name, text) in bundle.policies() {
            let Ok(parsed) = source_policy::parse(&bundle.label(name), text) else {
                continue;
            };
            for (source, policy) in policies_in_order(&parsed, text) {
                let json = policy.to_json().ok().and_then(without_annotations);
                found.add(&source, json);
            }
            for (source, template) in templates_in_order(&parsed, text) {
                let json = template.to_json().ok().and_then(without_annotations);
                found.add(&source, json);
            }
        }
        for (name, text) in bundle.links() {
            let (links, _) = links::parse(&bundle.label(name), text);
            for link in links {
                let template = &link.template_id.text;
                let values = link.values.iter();
                let values = values.map(|value| format!("{}={}", value.slot, value.entity));
                let values: BTreeSet<String> = values.collect();
                let of_template = found.texts.get(template).cloned().unwrap_or_default();
                let reason = found.reasons.get(template).cloned();
                found
                    .texts
                    .insert(link.name.text.clone(), format!("{of_template} {values:?}"));
                found
                    .reasons
                    .extend(reason.map(|reason| (link.name.text, reason)));
            }
        }
        found
    }

    fn add(&mut self, source: &SourcePolicy, json: Option<String>) {
        if let Some(id) = source.annotation("id") {
            self.texts.insert(id.to_owned(), json.unwrap_or_default());
            let reason = source.annotation("reason").unwrap_or_default();
            self.reasons.insert(id.to_owned(), reason.to_owned());
        }
    }
}

/// A policy as JSON without its annotations, which say nothing about what it permits.
fn without_annotations(mut policy: Value) -> Option<String> {
    policy.as_object_mut()?.remove("annotations");
    Some(policy.to_string())
}

impl SafeguardChanges {
    /// Whether more than half of the invariants are gone.
    #[must_use]
    pub fn loses_invariants(&self) -> bool {
        self.removed.len() * 2 > self.invariants_before
    }

    /// Whether less than half as many cases remain.
    #[must_use]
    pub fn loses_cases(&self) -> bool {
        self.cases_after * 2 < self.cases_before
    }

    /// Whether an invariant is gone, says something else or covers less.
    #[must_use]
    pub fn touches_invariants(&self) -> bool {
        let lists = [&self.removed, &self.changed, &self.narrowed];
        lists.into_iter().any(|ids| !ids.is_empty())
    }

    /// Whether auditors are told: an invariant is added, changed or gone, or there are fewer cases.
    #[must_use]
    pub fn is_notable(&self) -> bool {
        self.touches_invariants() || !self.added.is_empty() || self.cases_after < self.cases_before
    }

    /// The changes, a few words each, with the names of invariants and of what they except, with its reason, and
    /// nothing else of their text.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (what, ids) in [
            ("removed", &self.removed),
            ("changed", &self.changed),
            ("narrowed by the schema", &self.narrowed),
            ("added", &self.added),
        ] {
            if !ids.is_empty() {
                lines.push(format!("invariants {what}: {}", join_names(ids)));
            }
        }
        lines.extend(self.excepted.iter().take(MAX_NAMES).cloned());
        if let Some(more @ 1..) = self.excepted.len().checked_sub(MAX_NAMES) {
            lines.push(format!("{more} more exceptions"));
        }
        if self.cases_after < self.cases_before {
            let (before, after) = (self.cases_before, self.cases_after);
            lines.push(format!("cases: {before} before, {after} after"));
        }
        lines
    }
}

fn join_names(ids: &[String]) -> String {
    let shown = ids.iter().take(MAX_NAMES).map(|id| format!("`{id}`"));
    let shown: Vec<String> = shown.collect();
    match ids.len().checked_sub(MAX_NAMES) {
        Some(more @ 1..) => format!("{} and {more} more", shown.join(", ")),
        _ => shown.join(", "),
    }
}
