//! Realistic values in counterexamples.
//!
//! A solver finds, for example, a user with an empty name and a request in 1970. Each step here makes
//! the case more like a real request, and is undone if the violation is gone with it.

use cedar_policy::{Context, Entities, Request};
use cedar_policy_symcc::Env;
use serde_json::{Value, json};

use crate::domain::action::Action;
use crate::domain::caller::Authentication;
use crate::policy::Bundle;
use crate::policy::case_file;
use crate::policy::case_file::{Case, CaseDecision};
use crate::policy::enumerations::ContextWords;
use crate::policy::sources::SourceFiles;

/// The longest id that a solver invents, in characters; ids in policies are longer.
const MAX_INVENTED_LENGTH: usize = 2;
/// The name of the draft's file in messages.
const FILE_NAME: &str = "counterexample.cases.json";

/// A case being built from a counterexample.
#[derive(Clone)]
pub(super) struct CaseDraft {
    json: Value,
}

/// The id of an entity in JSON.
struct EntityName {
    kind: String,
    id: String,
}

impl CaseDraft {
    /// The case as the solver found it.
    pub(super) fn new(
        name: &str,
        expected: CaseDecision,
        found: &Env,
        bundle: &Bundle,
    ) -> Result<Self, String> {
        let request = &found.request;
        let context = match request.context().map(Context::to_json_value) {
            Some(json) => json.map_err(|error| error.to_string())?,
            None => json!({}),
        };
        let name_of = |uid: Option<&_>| uid.map(ToString::to_string).unwrap_or_default();
        let draft = Self {
            json: json!({
                "name": name,
                "request": {
                    "principal": name_of(request.principal()),
                    "action": name_of(request.action()),
                    "resource": name_of(request.resource()),
                    "context": context,
                },
                "entities": entities_json(found)?,
                "decision": expected,
                "reason": [],
                "num_errors": 0,
            }),
        };
        draft.parse(bundle)?;
        Ok(draft)
    }

    /// Parses the case as it will be parsed from a case file.
    pub(super) fn parse(&self, bundle: &Bundle) -> Result<Case, String> {
        let file = SourceFiles::from_file(FILE_NAME, &case_file::to_json_text(&[&self.json]));
        let cases = case_file::parse_all(&file, &bundle.schema).map_err(|problems| {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            lines.join("; ")
        })?;
        let case = cases.into_iter().next();
        case.ok_or_else(|| "the case file is empty".to_owned())
    }

    /// The case as JSON.
    pub(super) fn into_json(self) -> Value {
        self.json
    }

    /// The same case with realistic values wherever the violation stays.
    pub(super) fn concretize(
        mut self,
        bundle: &Bundle,
        is_violated: &dyn Fn(&Request, &Entities) -> bool,
    ) -> Self {
        let attempt = |draft: &mut Self, step: &dyn Fn(&mut Self)| {
            let mut next = draft.clone();
            step(&mut next);
            if let Ok(case) = next.parse(bundle)
                && is_violated(&case.request, &case.entities)
            {
                *draft = next;
            }
        };
        attempt(&mut self, &Self::drop_empty_entities);
        let words = ContextWords::new(&bundle.schema, &bundle.schema_names.action(Action::Read));
        for (member, value) in [
            (
                "time",
                json!({"__extn": {"fn": "datetime", "arg": "2026-01-01T12:00:00Z"}}),
            ),
            (
                "address",
                json!({"__extn": {"fn": "ip", "arg": "192.0.2.1"}}),
            ),
            (
                "authentication",
                words.authentication_json(self.authentication()),
            ),
        ] {
            attempt(&mut self, &|draft| draft.set_context(member, &value));
        }
        for (attribute, value) in [("username", "somebody"), ("title", "A dataset")] {
            attempt(&mut self, &|draft| draft.set_attribute(attribute, value));
        }
        for (number, uid) in self.invented_ids().into_iter().enumerate() {
            let name = match uid.kind.as_str() {
                "User" | "Dataset" => format!("00000000-0000-4000-8000-{:012}", number + 1),
                kind => format!("{}-{}", kind.to_lowercase(), number + 1),
            };
            attempt(&mut self, &|draft| draft.rename(&uid, &name));
        }
        self
    }

    /// The usual authentication of this type of principal.
    fn authentication(&self) -> Authentication {
        let principal = self.json.pointer("/request/principal");
        match principal.and_then(Value::as_str) {
            Some(principal) if principal.starts_with("Anonymous::") => Authentication::None,
            _ => Authentication::Password,
        }
    }

    fn entities(&mut self) -> Option<&mut Vec<Value>> {
        self.json.get_mut("entities")?.as_array_mut()
    }

    /// Removes entities without attributes, tags and parents, which have no effect.
    fn drop_empty_entities(&mut self) {
        let is_empty = |entity: &Value, member: &str| match entity.get(member) {
            Some(Value::Object(members)) => members.is_empty(),
            Some(Value::Array(values)) => values.is_empty(),
            _ => true,
        };
        if let Some(entities) = self.entities() {
            entities.retain(|entity| {
                let members = ["attrs", "tags", "parents"];
                !members.iter().all(|member| is_empty(entity, member))
            });
        }
    }

    /// Replaces a value of the context, if the context has it.
    fn set_context(&mut self, member: &str, value: &Value) {
        let member = self.json.pointer_mut(&format!("/request/context/{member}"));
        if let Some(member) = member {
            *member = value.clone();
        }
    }

    /// Replaces the attributes that the solver invented.
    fn set_attribute(&mut self, attribute: &str, value: &str) {
        for entity in self.entities().into_iter().flatten() {
            if let Some(current) = entity.pointer_mut(&format!("/attrs/{attribute}"))
                && current.as_str().is_some_and(is_invented)
            {
                *current = json!(value);
            }
        }
    }

    /// The ids that the solver invented.
    fn invented_ids(&self) -> Vec<EntityName> {
        let mut uids: Vec<EntityName> = Vec::new();
        let all = self.json.get("entities").and_then(Value::as_array);
        visit_entities(&mut json!(all), &mut |kind, id| {
            let is_new = !uids.iter().any(|uid| uid.kind == kind && uid.id == *id);
            if is_new && is_invented(id) {
                uids.push(EntityName {
                    kind: kind.to_owned(),
                    id: id.clone(),
                });
            }
        });
        uids
    }

    /// Changes the id of an entity everywhere.
    fn rename(&mut self, uid: &EntityName, name: &str) {
        visit_entities(&mut self.json, &mut |kind, id| {
            if kind == uid.kind && *id == uid.id {
                name.clone_into(id);
            }
        });
        let (from, to) = (
            entity_name(&uid.kind, &uid.id),
            entity_name(&uid.kind, name),
        );
        for part in ["principal", "resource"] {
            if let Some(current) = self.json.pointer_mut(&format!("/request/{part}"))
                && current.as_str() == Some(&from)
            {
                *current = json!(to);
            }
        }
    }
}

fn is_invented(id: &str) -> bool {
    id.chars().count() <= MAX_INVENTED_LENGTH
}

fn entity_name(kind: &str, id: &str) -> String {
    format!("{kind}::{id:?}")
}

/// Calls `visit` with the type and the id of every entity in a JSON value.
fn visit_entities(value: &mut Value, visit: &mut dyn FnMut(&str, &mut String)) {
    match value {
        Value::Object(members) => {
            let kind = members.get("type").and_then(Value::as_str);
            if members.len() == 2
                && let Some(kind) = kind.map(str::to_owned)
                && let Some(Value::String(id)) = members.get_mut("id")
            {
                visit(&kind, id);
                return;
            }
            members
                .values_mut()
                .for_each(|value| visit_entities(value, visit));
        }
        Value::Array(values) => values
            .iter_mut()
            .for_each(|value| visit_entities(value, visit)),
        _ => {}
    }
}

/// The entities as JSON, sorted; without the actions, which the schema declares.
fn entities_json(found: &Env) -> Result<Value, String> {
    let json = found.entities.to_json_value();
    let Value::Array(mut entities) = json.map_err(|error| error.to_string())? else {
        return Err("the entities are not a list".to_owned());
    };
    let uid = |entity: &Value, part: &str| {
        let part = entity.pointer(&format!("/uid/{part}"));
        part.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    entities.retain(|entity| {
        let kind = uid(entity, "type");
        kind != "Action" && !kind.ends_with("::Action")
    });
    entities.sort_by_cached_key(|entity| (uid(entity, "type"), uid(entity, "id")));
    Ok(Value::Array(entities))
}
