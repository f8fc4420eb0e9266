//! Counterexamples: a request and entities at which something goes wrong, for people and as a case.
//!
//! What a solver found is put to the policies again, and the case is read back as a case file is:
//! whoever runs it sees what is told here. This module refuses to know how it was found.

use std::fmt::Write as _;

use cedar_policy::{Decision as CedarDecision, EntityUid, EvalResult};
use cedar_policy_symcc::Env;
use serde::Serialize;
use serde_json::{Value, json};

use crate::policy::Bundle;
use crate::policy::case_file::{self, Answer};
use crate::policy::cases;
use crate::policy::sources::Sources;

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

impl Counterexample {
    /// Puts what was found to the policies; the case expects the answer `due`, or without one
    /// whatever the policies that do not fail say.
    pub(super) fn new(name: &str, found: &Env, due: Option<Answer>, bundle: &Bundle) -> Self {
        let response =
            bundle
                .authorizer
                .is_authorized(&found.request, &bundle.policies.set, &found.entities);
        let diagnostics = response.diagnostics();
        let mut determining_policies: Vec<String> =
            diagnostics.reason().map(ToString::to_string).collect();
        determining_policies.sort();
        let mut errors: Vec<String> = diagnostics.errors().map(ToString::to_string).collect();
        errors.sort();
        let unfailing = match response.decision() {
            CedarDecision::Allow => Answer::Allow,
            CedarDecision::Deny => Answer::Deny,
        };
        let answer = if errors.is_empty() {
            unfailing
        } else {
            Answer::Deny
        };
        let written = |uid: Option<&EntityUid>| uid.map(ToString::to_string).unwrap_or_default();
        let mut counterexample = Self {
            principal: written(found.request.principal()),
            action: written(found.request.action()),
            resource: written(found.request.resource()),
            answer,
            determining_policies,
            errors,
            case: None,
            no_case: None,
            text: readable(found),
        };
        match counterexample.as_case(name, found, due.unwrap_or(unfailing), bundle) {
            Ok(case) => counterexample.case = Some(case),
            Err(why) => counterexample.no_case = Some(why),
        }
        counterexample
    }

    fn as_case(
        &self,
        name: &str,
        found: &Env,
        due: Answer,
        bundle: &Bundle,
    ) -> Result<Value, String> {
        let context = found
            .request
            .context()
            .map(|context| context.to_json_value());
        let case = json!({
            "name": name,
            "request": {
                "principal": self.principal,
                "action": self.action,
                "resource": self.resource,
                "context": context.transpose().map_err(|error| error.to_string())?,
            },
            "entities": written_entities(found)?,
            "decision": due,
            "reason": [],
            "num_errors": 0,
        });
        let text = json!([case]).to_string();
        let file = Sources::of_one("counterexample.cases.json", &text);
        let read = case_file::read(&file, &bundle.schema).map_err(|problems| {
            let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
            told.join("; ")
        })?;
        let reproduced = read.iter().map(|case| cases::put(case, bundle)).all(|put| {
            put.actual == self.answer && put.actual_reasons == self.determining_policies
        });
        if reproduced {
            Ok(case)
        } else {
            Err("the policies answer it differently once it is written down".to_owned())
        }
    }

    /// The request and the answer, on one line.
    pub(super) fn summary(&self) -> String {
        let answer = self.answer.as_str();
        format!(
            "{} {} {}: {answer}",
            self.principal, self.action, self.resource
        )
    }

    /// The request, the entities and the answer, a line each, indented by `indent`.
    pub(super) fn render(&self, indent: &str) -> String {
        let mut text = String::new();
        for line in self.text.lines() {
            writeln!(text, "{indent}{line}").ok();
        }
        let by = match self.determining_policies.join(", ") {
            by if by.is_empty() => "no policy".to_owned(),
            by => by,
        };
        let answer = self.answer.as_str();
        writeln!(text, "{indent}answer     {answer}, determined by {by}").ok();
        for error in &self.errors {
            writeln!(text, "{indent}           {error}").ok();
        }
        if let Some(why) = &self.no_case {
            writeln!(text, "{indent}it cannot be written as a case: {why}").ok();
        }
        text
    }
}

/// The entities as JSON, sorted; without the actions, which are the schema's.
fn written_entities(found: &Env) -> Result<Value, String> {
    let Value::Array(mut entities) = found
        .entities
        .to_json_value()
        .map_err(|error| error.to_string())?
    else {
        return Err("the entities are not a list".to_owned());
    };
    let uid = |entity: &Value, part: &str| {
        let part = entity.pointer(&format!("/uid/{part}"));
        part.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    entities.retain(|entity| {
        let name = uid(entity, "type");
        name != "Action" && !name.ends_with("::Action")
    });
    entities.sort_by_cached_key(|entity| (uid(entity, "type"), uid(entity, "id")));
    Ok(Value::Array(entities))
}

/// The request and the entities in Cedar's own writing.
fn readable(found: &Env) -> String {
    let request = &found.request;
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
    let mut entities: Vec<_> = found
        .entities
        .iter()
        .filter(|entity| entity.uid().type_name().basename() != "Action")
        .collect();
    entities.sort_by_cached_key(|entity| entity.uid().to_string());
    for entity in entities {
        let uid = entity.uid();
        write!(text, "{:<10} {uid}", "entity").ok();
        let mut ancestors: Vec<String> = found
            .entities
            .ancestors(&uid)
            .map(|found| found.map(ToString::to_string).collect())
            .unwrap_or_default();
        ancestors.sort();
        if !ancestors.is_empty() {
            write!(text, " in [{}]", ancestors.join(", ")).ok();
        }
        writeln!(text).ok();
        for (label, values) in [
            ("", entity.attrs().collect::<Vec<_>>()),
            ("tag ", entity.tags().collect::<Vec<_>>()),
        ] {
            let mut lines: Vec<String> = values
                .into_iter()
                .map(|(name, value)| format!("           {label}{name}: {}", shown(value)))
                .collect();
            lines.sort();
            lines.iter().for_each(|line| {
                writeln!(text, "{line}").ok();
            });
        }
    }
    text
}

fn shown<E>(value: Result<EvalResult, E>) -> String {
    value.map_or_else(|_| "unknown".to_owned(), |value| value.to_string())
}
