//! Counterexamples: a request and entities at which something goes wrong, for people and as a case.
//!
//! What a solver found is put to the policies again, and the case is read back as a case file is:
//! whoever runs it sees what is told here. This module refuses to know how it was found.

use std::fmt::Write as _;

use cedar_policy::{Entities, Entity, EvalResult, Request};
use cedar_policy_symcc::Env;
use serde::Serialize;
use serde_json::Value;

use crate::policy::Bundle;
use crate::policy::case_file::Answer;

use super::concretize::Draft;

/// How far what belongs to an entity is indented, in columns.
const INDENT: &str = "           ";

/// A request with entities, and what the policies answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Counterexample {
    /// Who asks.
    pub principal: String,
    /// For what.
    pub action: String,
    /// With what.
    pub resource: String,
    /// What the policies answer; deny where one fails to evaluate.
    pub answer: Answer,
    /// The determining policies, sorted.
    pub determining_policies: Vec<String>,
    /// What goes wrong in evaluating policies.
    pub errors: Vec<String>,
    /// The case with the answer that is due, unless this cannot be written as one.
    pub case: Option<Value>,
    /// Why there is no case.
    pub no_case: Option<String>,
    /// The request and the entities, to be read.
    #[serde(skip)]
    text: String,
}

/// What makes a request and entities a counterexample, and what its case is to say.
pub(super) struct Fault<'a> {
    /// The name of the case.
    pub(super) name: String,
    /// The answer that is due; without one, what the policies that do not fail say.
    pub(super) due: Option<Answer>,
    /// Whether something goes wrong here.
    pub(super) is_here: &'a dyn Fn(&Request, &Entities) -> bool,
}

impl Counterexample {
    /// Puts what a solver found to the policies, made as plausible as it can be; nothing if there
    /// is no fault in it after all.
    pub(super) fn new(fault: &Fault<'_>, found: &Env, bundle: &Bundle) -> Option<Self> {
        if !(fault.is_here)(&found.request, &found.entities) {
            return None;
        }
        let answered = answer(bundle, &found.request, &found.entities);
        let due = fault.due.unwrap_or(answered.unfailing);
        let drafted = Draft::new(&fault.name, due, found, bundle).and_then(|draft| {
            let draft = draft.made_plausible(bundle, fault.is_here);
            let case = draft.read(bundle)?;
            Ok((draft, case))
        });
        Some(match drafted {
            Ok((draft, case)) => {
                Self::told(bundle, &case.request, &case.entities, Ok(draft.into_json()))
            }
            Err(why) => Self::told(bundle, &found.request, &found.entities, Err(why)),
        })
    }

    fn told(
        bundle: &Bundle,
        request: &Request,
        entities: &Entities,
        case: Result<Value, String>,
    ) -> Self {
        let answered = answer(bundle, request, entities);
        let written = |uid: Option<&_>| uid.map(ToString::to_string).unwrap_or_default();
        let (case, no_case) = match case {
            Ok(case) => (Some(case), None),
            Err(why) => (None, Some(why)),
        };
        Self {
            principal: written(request.principal()),
            action: written(request.action()),
            resource: written(request.resource()),
            answer: answered.answer,
            determining_policies: answered.determining_policies,
            errors: answered.errors,
            case,
            no_case,
            text: readable(request, entities),
        }
    }

    /// The request and the answer, on one line.
    pub(super) fn summary(&self) -> String {
        let (principal, action, resource) = (&self.principal, &self.action, &self.resource);
        let answer = self.answer.as_str();
        format!("{principal} {action} {resource}: {answer}")
    }

    /// The request, the entities and the answer, a line each, indented by `indent`.
    pub fn render(&self, indent: &str) -> String {
        let by = match self.determining_policies.join(", ") {
            by if by.is_empty() => "no policy".to_owned(),
            by => by,
        };
        let answer = self.answer.as_str();
        let mut text = self.text.clone();
        writeln!(text, "answer     {answer}, determined by {by}").ok();
        for error in &self.errors {
            writeln!(text, "{INDENT}{error}").ok();
        }
        if let Some(why) = &self.no_case {
            writeln!(text, "it cannot be written as a case: {why}").ok();
        }
        let lines = text.lines().map(|line| format!("{indent}{line}\n"));
        lines.collect()
    }
}

/// What the policies answer.
struct Answered {
    answer: Answer,
    /// What Cedar says, which passes over policies that fail.
    unfailing: Answer,
    determining_policies: Vec<String>,
    errors: Vec<String>,
}

fn answer(bundle: &Bundle, request: &Request, entities: &Entities) -> Answered {
    let response = bundle
        .authorizer
        .is_authorized(request, &bundle.policies.set, entities);
    let diagnostics = response.diagnostics();
    let mut determining_policies: Vec<String> =
        diagnostics.reason().map(ToString::to_string).collect();
    determining_policies.sort();
    let mut errors: Vec<String> = diagnostics.errors().map(ToString::to_string).collect();
    errors.sort();
    let unfailing = Answer::from(response.decision());
    Answered {
        answer: if errors.is_empty() {
            unfailing
        } else {
            Answer::Deny
        },
        unfailing,
        determining_policies,
        errors,
    }
}

/// The request and the entities in Cedar's own writing.
fn readable(request: &Request, entities: &Entities) -> String {
    let mut text = String::new();
    for (what, uid) in [
        ("principal", request.principal()),
        ("action", request.action()),
        ("resource", request.resource()),
    ] {
        if let Some(uid) = uid {
            writeln!(text, "{what:<10} {uid}").ok();
        }
    }
    if let Some(context) = request.context() {
        writeln!(text, "{:<10} {context}", "context").ok();
    }
    let mut told: Vec<String> = entities
        .iter()
        .filter(|entity| entity.uid().type_name().basename() != "Action")
        .filter_map(|entity| readable_entity(entity, entities))
        .collect();
    told.sort();
    text.extend(told);
    text
}

/// One entity, unless there is nothing to say of it.
fn readable_entity(entity: &Entity, entities: &Entities) -> Option<String> {
    let uid = entity.uid();
    let mut ancestors: Vec<String> = entities
        .ancestors(&uid)
        .map(|found| found.map(ToString::to_string).collect())
        .unwrap_or_default();
    ancestors.sort();
    let of_attributes = entity
        .attrs()
        .map(|(name, value)| format!("{INDENT}{name}: {}\n", shown(value)));
    let of_tags = entity
        .tags()
        .map(|(name, value)| format!("{INDENT}tag {name}: {}\n", shown(value)));
    let mut values: Vec<String> = of_attributes.chain(of_tags).collect();
    values.sort();
    if ancestors.is_empty() && values.is_empty() {
        return None;
    }
    let within = match ancestors.join(", ") {
        none if none.is_empty() => none,
        all => format!(" in [{all}]"),
    };
    Some(format!(
        "{:<10} {uid}{within}\n{}",
        "entity",
        values.concat()
    ))
}

fn shown<E>(value: Result<EvalResult, E>) -> String {
    value.map_or_else(|_| "unknown".to_owned(), |value| value.to_string())
}
