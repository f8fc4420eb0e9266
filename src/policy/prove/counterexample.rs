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
use crate::policy::case_file::CaseDecision;

use super::concretize::CaseDraft;

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
    pub answer: CaseDecision,
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
pub(super) struct Violation<'a> {
    /// The name of the case.
    pub(super) name: String,
    /// The answer that is due; without one, what the policies that do not fail say.
    pub(super) expected: Option<CaseDecision>,
    /// Whether something goes wrong here.
    pub(super) is_violated: &'a dyn Fn(&Request, &Entities) -> bool,
}

impl Counterexample {
    /// Puts what a solver found to the policies, made as plausible as it can be; nothing if there
    /// is no fault in it after all.
    pub(super) fn new(fault: &Violation<'_>, found: &Env, bundle: &Bundle) -> Option<Self> {
        if !(fault.is_violated)(&found.request, &found.entities) {
            return None;
        }
        let answered = evaluate(bundle, &found.request, &found.entities);
        let due = fault.expected.unwrap_or(answered.without_errors);
        let drafted = CaseDraft::new(&fault.name, due, found, bundle).and_then(|draft| {
            let draft = draft.concretize(bundle, fault.is_violated);
            let case = draft.parse(bundle)?;
            Ok((draft, case))
        });
        Some(match drafted {
            Ok((draft, case)) => {
                Self::describe(bundle, &case.request, &case.entities, Ok(draft.into_json()))
            }
            Err(why) => Self::describe(bundle, &found.request, &found.entities, Err(why)),
        })
    }

    fn describe(
        bundle: &Bundle,
        request: &Request,
        entities: &Entities,
        case: Result<Value, String>,
    ) -> Self {
        let answered = evaluate(bundle, request, entities);
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
            text: render_request(request, entities),
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
struct EvaluatedAnswer {
    answer: CaseDecision,
    /// What Cedar says, which passes over policies that fail.
    without_errors: CaseDecision,
    determining_policies: Vec<String>,
    errors: Vec<String>,
}

fn evaluate(bundle: &Bundle, request: &Request, entities: &Entities) -> EvaluatedAnswer {
    let response = bundle
        .authorizer
        .is_authorized(request, &bundle.policies.set, entities);
    let diagnostics = response.diagnostics();
    let mut determining_policies: Vec<String> =
        diagnostics.reason().map(ToString::to_string).collect();
    determining_policies.sort();
    let mut errors: Vec<String> = diagnostics.errors().map(ToString::to_string).collect();
    errors.sort();
    let unfailing = CaseDecision::from(response.decision());
    EvaluatedAnswer {
        answer: if errors.is_empty() {
            unfailing
        } else {
            CaseDecision::Deny
        },
        without_errors: unfailing,
        determining_policies,
        errors,
    }
}

/// The request and the entities in Cedar's own writing.
fn render_request(request: &Request, entities: &Entities) -> String {
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
        .filter_map(|entity| render_entity(entity, entities))
        .collect();
    told.sort();
    text.extend(told);
    text
}

/// One entity, unless there is nothing to say of it.
fn render_entity(entity: &Entity, entities: &Entities) -> Option<String> {
    let uid = entity.uid();
    let mut ancestors: Vec<String> = entities
        .ancestors(&uid)
        .map(|found| found.map(ToString::to_string).collect())
        .unwrap_or_default();
    ancestors.sort();
    let of_attributes = entity
        .attrs()
        .map(|(name, value)| format!("{INDENT}{name}: {}\n", render_value(value)));
    let of_tags = entity
        .tags()
        .map(|(name, value)| format!("{INDENT}tag {name}: {}\n", render_value(value)));
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

fn render_value<E>(value: Result<EvalResult, E>) -> String {
    value.map_or_else(|_| "unknown".to_owned(), |value| value.to_string())
}
