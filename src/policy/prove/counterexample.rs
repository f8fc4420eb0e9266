//! Counterexamples: a request and entities that violate an invariant, as text and as a case.
//!
//! The policies are evaluated for what a solver found, and the case is parsed back from its case file,
//! so that running the case gives the answer shown here.

use std::fmt::Write as _;

use cedar_policy::{Entities, Entity, EvalResult, Request};
use cedar_policy_symcc::Env;
use serde::Serialize;
use serde_json::Value;

use crate::domain::shown::join_shown;
use crate::policy::Bundle;
use crate::policy::case_answer::CaseAnswer;
use crate::policy::case_file::CaseDecision;
use crate::policy::context_literals::ContextLiterals;
use crate::policy::values::truncated;

use super::concretize::CaseDraft;
use super::realistic::with_readable_times;

/// The indentation of an entity's values.
const INDENT: &str = "           ";

/// The most entities in the text, and the most values of one.
const MAX_SHOWN_ENTITIES: usize = 8;
const MAX_SHOWN_VALUES: usize = 20;
/// The longest value in the text, in characters.
const MAX_VALUE_LENGTH: usize = 300;
/// The most determining policies and evaluation errors in the text.
const MAX_SHOWN_POLICIES: usize = 5;

/// A request with entities, and the answer of the policies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Counterexample {
    /// The principal of the request.
    pub principal: String,
    /// The action of the request.
    pub action: String,
    /// The resource of the request.
    pub resource: String,
    /// The answer of the policies; deny if one fails to evaluate.
    pub answer: CaseDecision,
    /// The determining policies, sorted.
    pub determining_policies: Vec<String>,
    /// The evaluation errors.
    pub errors: Vec<String>,
    /// The case with the correct answer, unless it cannot be written as a case.
    pub case: Option<Value>,
    /// Why there is no case.
    pub no_case: Option<String>,
    /// The request and the entities as text.
    #[serde(skip)]
    text: String,
}

/// What a counterexample violates, and the name and decision of its case.
pub(super) struct Violation<'a> {
    /// The name of the case.
    pub(super) name: String,
    /// The correct decision; if none is given, that of the policies that do not fail.
    pub(super) expected: Option<CaseDecision>,
    /// What the policies and invariants compare the context with.
    pub(super) literals: &'a ContextLiterals,
    /// Whether a request and entities violate it.
    pub(super) is_violated: &'a dyn Fn(&Request, &Entities) -> bool,
}

impl Counterexample {
    /// The counterexample that a solver found, with realistic values; `None` if evaluating the policies
    /// does not confirm the violation.
    pub(super) fn new(violation: &Violation<'_>, found: &Env, bundle: &Bundle) -> Option<Self> {
        if !(violation.is_violated)(&found.request, &found.entities) {
            return None;
        }
        let answer = CaseAnswer::evaluate(bundle, &found.request, &found.entities);
        let expected = violation.expected;
        let expected = expected.unwrap_or(answer.decision_without_errors);
        let draft = CaseDraft::new(&violation.name, expected, found, bundle);
        let draft = draft.and_then(|draft| {
            let draft = draft.concretize(bundle, violation.literals, violation.is_violated);
            let case = draft.parse(bundle)?;
            // A proof is about all entities that there can be, and a case about those of the bundle.
            if !(violation.is_violated)(&case.request, &case.entities) {
                return Err(
                    "with the entities of the bundle, the request violates nothing".to_owned(),
                );
            }
            Ok((draft, case))
        });
        Some(match draft {
            Ok((draft, case)) => {
                Self::describe(bundle, &case.request, &case.entities, Ok(draft.into_json()))
            }
            Err(reason) => Self::describe(bundle, &found.request, &found.entities, Err(reason)),
        })
    }

    fn describe(
        bundle: &Bundle,
        request: &Request,
        entities: &Entities,
        case: Result<Value, String>,
    ) -> Self {
        let answer = CaseAnswer::evaluate(bundle, request, entities);
        let name = |uid: Option<&_>| uid.map(ToString::to_string).unwrap_or_default();
        let (case, no_case) = match case {
            Ok(case) => (Some(case), None),
            Err(reason) => (None, Some(reason)),
        };
        Self {
            principal: name(request.principal()),
            action: name(request.action()),
            resource: name(request.resource()),
            answer: answer.decision,
            determining_policies: answer.determining_policies.into_iter().collect(),
            errors: answer.errors,
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
        let policies = self.determining_policies.iter().map(String::as_str);
        let by = match join_shown(policies, MAX_SHOWN_POLICIES) {
            by if by.is_empty() => "no policy".to_owned(),
            by => by,
        };
        let answer = self.answer.as_str();
        let mut text = self.text.clone();
        writeln!(text, "answer     {answer}, determined by {by}").ok();
        for error in self.errors.iter().take(MAX_SHOWN_POLICIES) {
            writeln!(text, "{INDENT}{error}").ok();
        }
        if let Some(reason) = &self.no_case {
            writeln!(text, "cannot be written as a case: {reason}").ok();
        }
        let lines = text.lines().map(|line| format!("{indent}{line}\n"));
        lines.collect()
    }
}

/// The request and the entities in Cedar's notation: the principal and the resource, then the others.
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
    let place = |entity: &Entity| {
        let uid = entity.uid();
        let asked = [request.principal(), request.resource()];
        let asked = asked.iter().position(|asked| *asked == Some(&uid));
        (asked.unwrap_or(usize::MAX), uid.to_string())
    };
    let mut shown: Vec<&Entity> = entities.iter().collect();
    shown.sort_by_cached_key(|entity| place(entity));
    let rendered: Vec<String> = shown
        .into_iter()
        .filter(|entity| entity.uid().type_name().basename() != "Action")
        .filter_map(|entity| render_entity(entity, entities))
        .collect();
    text.extend(rendered.iter().take(MAX_SHOWN_ENTITIES).map(String::as_str));
    if let Some(more @ 1..) = rendered.len().checked_sub(MAX_SHOWN_ENTITIES) {
        writeln!(text, "and {more} more entities").ok();
    }
    with_readable_times(&text)
}

/// One entity; `None` if it has no values and no ancestors.
fn render_entity(entity: &Entity, entities: &Entities) -> Option<String> {
    let uid = entity.uid();
    let mut ancestors: Vec<String> = entities
        .ancestors(&uid)
        .map(|found| found.map(ToString::to_string).collect())
        .unwrap_or_default();
    ancestors.sort();
    let attributes = entity
        .attrs()
        .map(|(name, value)| format!("{INDENT}{name}: {}\n", render_value(value)));
    let tags = entity
        .tags()
        .map(|(name, value)| format!("{INDENT}tag {name}: {}\n", render_value(value)));
    let mut values: Vec<String> = attributes.chain(tags).collect();
    values.sort();
    if let Some(more @ 1..) = values.len().checked_sub(MAX_SHOWN_VALUES) {
        values.truncate(MAX_SHOWN_VALUES);
        values.push(format!("{INDENT}and {more} more values\n"));
    }
    if ancestors.is_empty() && values.is_empty() {
        return None;
    }
    let ancestors = ancestors.iter().map(String::as_str);
    let within = match join_shown(ancestors, MAX_SHOWN_POLICIES) {
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
    value.map_or_else(
        |_| "unknown".to_owned(),
        |value| truncated(&value.to_string(), MAX_VALUE_LENGTH),
    )
}
