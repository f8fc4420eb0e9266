//! Plausible counterexamples: as close to a real request as the fault allows.
//!
//! A solver is content with a user without a name who asks in 1970. Each step here makes a case
//! more like a real one, and is undone where the fault is gone with it. This module refuses to know
//! what the fault is.

use cedar_policy::{Context, Entities, Request};
use cedar_policy_symcc::Env;
use serde_json::{Value, json};

use crate::policy::Bundle;
use crate::policy::case_file;
use crate::policy::case_file::{Case, CaseDecision};
use crate::policy::sources::SourceFiles;

/// The longest id that a solver makes up, in characters; whoever writes policies takes longer ones.
const MAX_INVENTED_LENGTH: usize = 2;
/// What the file of a draft is called in messages.
const FILE_NAME: &str = "counterexample.cases.json";

/// A case being written.
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
    /// What a solver found, as it is.
    pub(super) fn new(
        name: &str,
        due: CaseDecision,
        found: &Env,
        bundle: &Bundle,
    ) -> Result<Self, String> {
        let request = &found.request;
        let context = match request.context().map(Context::to_json_value) {
            Some(written) => written.map_err(|error| error.to_string())?,
            None => json!({}),
        };
        let written = |uid: Option<&_>| uid.map(ToString::to_string).unwrap_or_default();
        let draft = Self {
            json: json!({
                "name": name,
                "request": {
                    "principal": written(request.principal()),
                    "action": written(request.action()),
                    "resource": written(request.resource()),
                    "context": context,
                },
                "entities": entities_json(found)?,
                "decision": due,
                "reason": [],
                "num_errors": 0,
            }),
        };
        draft.parse(bundle)?;
        Ok(draft)
    }

    /// The case as whoever runs the file reads it.
    pub(super) fn parse(&self, bundle: &Bundle) -> Result<Case, String> {
        let file = SourceFiles::from_file(FILE_NAME, &case_file::to_json_text(&[&self.json]));
        let cases = case_file::parse_all(&file, &bundle.schema).map_err(|problems| {
            let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
            told.join("; ")
        })?;
        let only = cases.into_iter().next();
        only.ok_or_else(|| "there is no case in it".to_owned())
    }

    /// The case as JSON.
    pub(super) fn into_json(self) -> Value {
        self.json
    }

    /// The same with every step that keeps the fault.
    pub(super) fn concretize(
        mut self,
        bundle: &Bundle,
        is_fault: &dyn Fn(&Request, &Entities) -> bool,
    ) -> Self {
        let attempt = |draft: &mut Self, step: &dyn Fn(&mut Self)| {
            let mut next = draft.clone();
            step(&mut next);
            if let Ok(case) = next.parse(bundle)
                && is_fault(&case.request, &case.entities)
            {
                *draft = next;
            }
        };
        attempt(&mut self, &Self::drop_empty_entities);
        for (member, value) in [
            (
                "time",
                json!({"__extn": {"fn": "datetime", "arg": "2026-01-01T12:00:00Z"}}),
            ),
            (
                "address",
                json!({"__extn": {"fn": "ip", "arg": "192.0.2.1"}}),
            ),
            ("authentication", json!(self.authentication())),
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

    /// How a caller of this kind would have authenticated.
    fn authentication(&self) -> &'static str {
        let principal = self.json.pointer("/request/principal");
        match principal.and_then(Value::as_str) {
            Some(principal) if principal.starts_with("Anonymous::") => "none",
            _ => "password",
        }
    }

    fn entities(&mut self) -> Option<&mut Vec<Value>> {
        self.json.get_mut("entities")?.as_array_mut()
    }

    /// An entity without attributes, tags and parents is the same as none.
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

    /// Says something else in the context, where it says it at all.
    fn set_context(&mut self, member: &str, value: &Value) {
        let said = self.json.pointer_mut(&format!("/request/context/{member}"));
        if let Some(said) = said {
            *said = value.clone();
        }
    }

    /// Fills in attributes that the solver left short.
    fn set_attribute(&mut self, attribute: &str, value: &str) {
        for entity in self.entities().into_iter().flatten() {
            if let Some(said) = entity.pointer_mut(&format!("/attrs/{attribute}"))
                && said.as_str().is_some_and(is_invented)
            {
                *said = json!(value);
            }
        }
    }

    /// The ids that the solver made up.
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

    /// Gives an entity another id, wherever it is named.
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
            if let Some(said) = self.json.pointer_mut(&format!("/request/{part}"))
                && said.as_str() == Some(&from)
            {
                *said = json!(to);
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

/// Shows every entity that is named somewhere in a JSON value: its type and its id.
fn visit_entities(value: &mut Value, see: &mut dyn FnMut(&str, &mut String)) {
    match value {
        Value::Object(members) => {
            let kind = members.get("type").and_then(Value::as_str);
            if members.len() == 2
                && let Some(kind) = kind.map(str::to_owned)
                && let Some(Value::String(id)) = members.get_mut("id")
            {
                see(&kind, id);
                return;
            }
            members
                .values_mut()
                .for_each(|value| visit_entities(value, see));
        }
        Value::Array(values) => values
            .iter_mut()
            .for_each(|value| visit_entities(value, see)),
        _ => {}
    }
}

/// The entities as JSON, sorted; without the actions, which are the schema's.
fn entities_json(found: &Env) -> Result<Value, String> {
    let written = found.entities.to_json_value();
    let Value::Array(mut entities) = written.map_err(|error| error.to_string())? else {
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
