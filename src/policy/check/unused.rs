//! Unused declarations: entity types and actions that an author added to the schema and that nothing
//! uses.
//!
//! Declarations of the shipped schema are left out. In doubt, a name counts as used.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use cedar_policy::{Policy, SchemaFragment, Template};
use serde_json::Value;

use crate::domain::diagnostic::SourceDiagnostic;
use crate::policy::bundle::Bundle;
use crate::policy::sources::{SCHEMA_FILE, SourceFiles};

/// What can follow the names of a declaration on its line.
const NAME_TERMINATORS: [&str; 8] = [" in ", "=", "{", "[", ";", " appliesTo", " enum", " tags"];

const UNUSED_ACTION_HELP: &str = "it applies to nothing, so nobody can ask for it: use it in a policy as a group \
    of actions, give it an appliesTo, or remove it";

/// The declarations of a schema by kind and name, each with the names in it.
type Declarations = BTreeMap<(DeclarationKind, String), BTreeSet<String>>;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum DeclarationKind {
    Entity,
    Action,
    CommonType,
    /// An action that applies to a principal and a resource, so that it can be asked for.
    AskedAction,
}

/// A warning for each unused declaration that is not in the shipped schema.
pub(super) fn warnings(bundle: &Bundle) -> Vec<SourceDiagnostic> {
    let Some(text) = bundle.sources.text(SCHEMA_FILE) else {
        return Vec::new();
    };
    let shipped = SourceFiles::embedded(|name| name == SCHEMA_FILE).ok();
    let shipped = shipped.and_then(|sources| {
        sources
            .text(SCHEMA_FILE)
            .and_then(|t| parse_declarations(t))
    });
    let (Some(shipped), Some(declared)) = (shipped, parse_declarations(text)) else {
        return Vec::new();
    };
    let is_own = |key: &&(DeclarationKind, String)| {
        let is_declaration = [DeclarationKind::Entity, DeclarationKind::Action].contains(&key.0);
        is_declaration && !shipped.contains_key(*key)
    };
    let own: Vec<&(DeclarationKind, String)> = declared.keys().filter(is_own).collect();
    if own.is_empty() {
        return Vec::new();
    }
    let mut used = names_in_policies(bundle);
    // A type whose entities are in files is in use.
    let types = bundle.entities().types();
    used.extend(types.map(|kind| kind.basename().to_owned()));
    let label = bundle.sources.label(SCHEMA_FILE);
    own.into_iter()
        .filter(|key| !is_used(key, &declared, &used))
        .map(|(kind, name)| {
            let (keyword, noun, help) = match kind {
                DeclarationKind::Action => ("action", "action", UNUSED_ACTION_HELP),
                _ => ("entity", "entity type", "use it in a policy or remove it"),
            };
            let message = format!("{noun} `{name}` is never used");
            match declaration_span(text, keyword, name) {
                Some(span) => SourceDiagnostic::at_span(&label, text, span, message),
                None => SourceDiagnostic::for_file(&label, message),
            }
            .with_help(help)
            .into_warning()
        })
        .collect()
}

fn is_used(
    key: &(DeclarationKind, String),
    declared: &Declarations,
    used: &BTreeSet<String>,
) -> bool {
    let (kind, name) = key;
    let is_any_used = |names: &BTreeSet<String>| names.iter().any(|name| used.contains(name));
    used.contains(name)
        || (*kind == DeclarationKind::Action
            && declared.contains_key(&(DeclarationKind::AskedAction, name.clone())))
        || declared
            .iter()
            .any(|(other, names)| other != key && names.contains(name))
        // An action is used where one of its groups is.
        || (*kind == DeclarationKind::Action && declared.get(key).is_some_and(is_any_used))
}

/// The declarations of a schema; names are without their namespace.
fn parse_declarations(text: &str) -> Option<Declarations> {
    let (fragment, _) = SchemaFragment::from_cedarschema_str(text).ok()?;
    let json = fragment.to_json_value().ok()?;
    let mut found = Declarations::new();
    for namespace in json.as_object()?.values() {
        for (member, kind) in [
            ("entityTypes", DeclarationKind::Entity),
            ("actions", DeclarationKind::Action),
            ("commonTypes", DeclarationKind::CommonType),
        ] {
            let declared = namespace.get(member).and_then(Value::as_object);
            for (name, declaration) in declared.into_iter().flatten() {
                let mut names = BTreeSet::new();
                // An action is in use through its groups, not through the types it applies to.
                if kind != DeclarationKind::Action {
                    collect_names(declaration, &mut names);
                } else if let Some(groups) = declaration.get("memberOf") {
                    collect_names(groups, &mut names);
                }
                found.insert((kind, name.clone()), names);
                if let Some(applies) = declaration.get("appliesTo") {
                    let has_any = |part: &str| {
                        let types = applies.get(part).and_then(Value::as_array);
                        types.is_some_and(|types| !types.is_empty())
                    };
                    if has_any("principalTypes") && has_any("resourceTypes") {
                        let key = (DeclarationKind::AskedAction, name.clone());
                        found.insert(key, BTreeSet::new());
                    }
                    let types =
                        found.entry((DeclarationKind::CommonType, format!("action {name}")));
                    collect_names(applies, types.or_default());
                }
            }
        }
    }
    Some(found)
}

fn names_in_policies(bundle: &Bundle) -> BTreeSet<String> {
    let set = &bundle.policies.set;
    let policies = set.policies().map(Policy::to_json);
    let mut used = BTreeSet::new();
    let templates = set.templates().map(Template::to_json);
    for json in policies.chain(templates).flatten() {
        collect_names(&json, &mut used);
    }
    used
}

/// Adds every text that could be a name, without its namespace.
fn collect_names(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::String(text) => {
            let own = text.rsplit("::").next().unwrap_or(text);
            names.insert(own.to_owned());
        }
        Value::Array(values) => values.iter().for_each(|value| collect_names(value, names)),
        Value::Object(members) => members
            .iter()
            .filter(|(name, _)| !["enum", "annotations"].contains(&name.as_str()))
            .for_each(|(_, value)| collect_names(value, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Where a name is declared, if its declaration begins on one line with it.
fn declaration_span(text: &str, keyword: &str, name: &str) -> Option<Range<usize>> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let code = line.split("//").next().unwrap_or(line);
        if code.trim_start().starts_with(keyword) {
            let ends = NAME_TERMINATORS.iter().filter_map(|end| code.find(end));
            let names = code.get(..ends.min().unwrap_or(code.len()))?;
            let is_name = |c: char| c.is_alphanumeric() || c == '_';
            let found = names.match_indices(name).find(|(at, found)| {
                let before = names.get(..*at).and_then(|s| s.chars().next_back());
                let after = names.get(at + found.len()..).and_then(|s| s.chars().next());
                !before.is_some_and(is_name) && !after.is_some_and(is_name)
            });
            if let Some((at, found)) = found {
                return Some(start + at..start + at + found.len());
            }
        }
        start += line.len();
    }
    None
}
