//! Realistic values in counterexamples.
//!
//! A solver finds, for example, a user with an empty name and a request in the year 292,277,026. Each step here makes
//! the case more like a real request, and is undone if the violation is gone with it. First of all, what the violation
//! does not need is removed.

use cedar_policy::{Context, Entities, Request};
use cedar_policy_symcc::Env;
use serde_json::{Value, json};

use crate::domain::action::Action;
use crate::domain::caller::Authentication;
use crate::policy::Bundle;
use crate::policy::address::{ADDRESS, NETWORKS};
use crate::policy::case_file;
use crate::policy::case_file::{Case, CaseDecision};
use crate::policy::context_literals::ContextLiterals;
use crate::policy::enumerations::ContextWords;

use super::realistic;
use super::reduce::{entity_name, reduce};

/// The most networks of which a real address is tried.
const MAX_NETWORK_SAMPLES: usize = 8;
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

    /// Parses the case as it will be parsed from a case file, with the entities of the bundle under its own.
    pub(super) fn parse(&self, bundle: &Bundle) -> Result<Case, String> {
        let case = case_file::parse_one(FILE_NAME, &self.json, &bundle.schema, &bundle.networks)?;
        case.over(&bundle.entities)
    }

    /// The case as JSON.
    pub(super) fn into_json(self) -> Value {
        self.json
    }

    /// The same case with only what the violation needs, and realistic values wherever it stays.
    pub(super) fn concretize(
        self,
        bundle: &Bundle,
        literals: &ContextLiterals,
        is_violated: &dyn Fn(&Request, &Entities) -> bool,
    ) -> Self {
        let is_kept = |draft: &Self| {
            let case = draft.parse(bundle);
            case.is_ok_and(|case| is_violated(&case.request, &case.entities))
        };
        let is_kept_json = |json: &Value| is_kept(&Self { json: json.clone() });
        let mut draft = Self {
            json: reduce(self.json, &is_kept_json),
        };
        let attempt = |draft: &mut Self, step: &dyn Fn(&mut Self)| {
            let mut next = draft.clone();
            step(&mut next);
            let is_better = is_kept(&next);
            if is_better {
                *draft = next;
            }
            is_better
        };
        attempt(&mut draft, &Self::drop_empty_entities);
        draft.replace_times(&realistic::times(literals), &is_kept_json);
        for address in realistic::addresses(literals) {
            if attempt(&mut draft, &|draft| draft.set_context("address", &address)) {
                break;
            }
        }
        // The solver takes networks for independent of the address: one that is in them says the same for real.
        let samples = bundle.networks.sample_addresses().take(MAX_NETWORK_SAMPLES);
        let samples = samples.map(|address| address.to_string());
        for address in [None].into_iter().chain(samples.map(Some)) {
            if attempt(&mut draft, &|draft| draft.drop_networks(address.as_deref())) {
                break;
            }
        }
        let words = ContextWords::new(&bundle.schema, &bundle.schema_names.action(Action::Read));
        let authentication = words.authentication_json(draft.authentication());
        attempt(&mut draft, &|draft| {
            draft.set_context("authentication", &authentication);
        });
        for (attribute, value) in [("username", "somebody"), ("title", "A dataset")] {
            attempt(&mut draft, &|draft| draft.set_attribute(attribute, value));
        }
        for (number, uid) in draft.invented_ids().into_iter().enumerate() {
            let name = match uid.kind.as_str() {
                "User" | "Dataset" => format!("00000000-0000-4000-8000-{:012}", number + 1),
                kind => format!("{}-{}", kind.to_lowercase(), number + 1),
            };
            attempt(&mut draft, &|draft| draft.rename(&uid, &name));
        }
        draft
    }

    /// Replaces each time that the solver wrote, in the context and in attributes, by the first that will do: the
    /// same time if people can read it, or one of `times`. If one alone does not do, all are tried at once, a day
    /// apart in the solver's order.
    fn replace_times(&mut self, times: &[Value], is_kept: &dyn Fn(&Value) -> bool) {
        const DAY: i64 = 86_400_000;
        const FIRST: i64 = 1_767_268_800_000;
        let written = realistic::written_as_offsets(&self.json);
        if written.len() > 1 {
            let mut order: Vec<i64> = written.iter().map(|(_, time)| *time).collect();
            order.sort_unstable();
            order.dedup();
            let mut next = self.json.clone();
            for (path, time) in &written {
                let days = order.binary_search(time).unwrap_or_default();
                let time = FIRST + DAY * i64::try_from(days).unwrap_or_default();
                if let (Some(place), Some(value)) =
                    (next.pointer_mut(path), realistic::datetime(time))
                {
                    *place = value;
                }
            }
            if is_kept(&next) {
                self.json = next;
                return;
            }
        }
        for (path, time) in written {
            let ordinary = times.iter().cloned();
            // Another day, and the same time of day.
            let same_time_of_day = realistic::datetime(FIRST - DAY / 2 + time.rem_euclid(DAY));
            let all = ordinary
                .chain(same_time_of_day)
                .chain(realistic::datetime(time));
            for value in all {
                let mut next = self.json.clone();
                if let Some(place) = next.pointer_mut(&path) {
                    *place = value;
                }
                if is_kept(&next) {
                    self.json = next;
                    break;
                }
            }
        }
    }

    /// Leaves the networks to the address, which is as it is or another one.
    fn drop_networks(&mut self, address: Option<&str>) {
        if let Some(address) = address {
            self.set_context(ADDRESS, &json!({"__extn": {"fn": "ip", "arg": address}}));
        }
        let context = self.json.pointer_mut("/request/context");
        if let Some(context) = context.and_then(Value::as_object_mut) {
            context.remove(NETWORKS);
        }
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

/// Calls `visit` with the type and the id of every entity in a JSON value.
pub(super) fn visit_entities(value: &mut Value, visit: &mut dyn FnMut(&str, &mut String)) {
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
pub(super) fn entities_json(found: &Env) -> Result<Value, String> {
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
