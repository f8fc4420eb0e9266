//! Case files: requests with their expected decisions, in the JSON of the Cedar command line's
//! `run-tests` (<https://docs.rs/cedar-policy-cli>), so that either tool runs them.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use cedar_policy::{Context, Decision as CedarDecision, Entities, EntityUid, Request, Schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::domain::client_address::UNKNOWN;
use crate::domain::diagnostic::SourceDiagnostic;
use crate::domain::error_chain::error_chain;
use crate::domain::strict_json::deserialize_value;
use crate::domain::suggest::did_you_mean;
use crate::domain::text_position::line_at;

use super::address::ADDRESS;
use super::entity_file;
use super::enumerations::ContextWords;
use super::json_span::{error_span, message_without_position, value_start};
use super::networks::Networks;
use super::short_case::{ShortCaseParser, has_short_case, is_short};
use super::situation::Situations;
use super::sources::{SourceFiles, is_entities_file};
use super::unknown_address::UNKNOWN_ADDRESS_VALUE;

/// The suffix of case files; `public.cases.json` is beside `public.cedar`.
pub const CASES_SUFFIX: &str = ".cases.json";

/// The decision that a case expects, or that a bundle gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CaseDecision {
    /// The action is permitted.
    Allow,
    /// The action is denied.
    Deny,
}

impl CaseDecision {
    /// The word used in case files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

impl From<CedarDecision> for CaseDecision {
    fn from(decision: CedarDecision) -> Self {
        match decision {
            CedarDecision::Allow => Self::Allow,
            CedarDecision::Deny => Self::Deny,
        }
    }
}

/// One case, valid for a schema.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) file: String,
    pub(super) line: usize,
    pub(super) request: Request,
    pub(super) entities: Entities,
    pub(super) decision: CaseDecision,
    pub(super) reason: Vec<String>,
    pub(super) num_errors: usize,
}

#[derive(Deserialize)]
struct CaseJson {
    name: Option<String>,
    request: CaseRequestJson,
    #[serde(deserialize_with = "deserialize_value")]
    entities: Value,
    decision: CaseDecision,
    reason: Vec<String>,
    num_errors: usize,
}

#[derive(Deserialize)]
struct CaseRequestJson {
    principal: String,
    action: String,
    resource: String,
    #[serde(deserialize_with = "deserialize_value")]
    context: Value,
}

/// Parses every case of every case file, or returns every problem of every file.
pub(super) fn parse_all(
    sources: &SourceFiles,
    schema: &Schema,
    networks: &Networks,
) -> Result<Vec<Case>, Vec<SourceDiagnostic>> {
    let mut cases = Vec::new();
    let short = sources
        .iter()
        .filter(|(name, text)| is_case_file(name) && has_short_case(text));
    let short = short.map(|(name, _)| name);
    let (situations, mut problems) = Situations::parse(sources, schema, short);
    for (file, text) in sources.iter().filter(|(name, _)| is_case_file(name)) {
        let values = match serde_json::from_str::<Vec<&RawValue>>(text) {
            Ok(values) => values,
            Err(error) => {
                let (label, span) = (sources.label(file), error_span(&error, text));
                let message = message_without_position(&error);
                problems.push(SourceDiagnostic::at_span(&label, text, span, message));
                continue;
            }
        };
        for (index, value) in values.into_iter().enumerate() {
            let parser = CaseParser {
                sources,
                schema,
                networks,
                situations: &situations,
                file,
                text,
                number: index + 1,
                start: value_start(value, text).start,
            };
            match parser.parse(value.get()) {
                Ok(Some(case)) => cases.push(case),
                Ok(None) => {}
                Err(problem) => problems.push(*problem),
            }
        }
    }
    if problems.is_empty() {
        Ok(cases)
    } else {
        Err(problems)
    }
}

/// The number of cases that differ in more than their name; malformed files have none.
pub(super) fn count_distinct(sources: &SourceFiles) -> usize {
    let files = sources.iter().filter(|(name, _)| is_case_file(name));
    let parsed = files.filter_map(|(_, text)| serde_json::from_str::<Vec<Value>>(text).ok());
    let cases: BTreeSet<String> = parsed
        .flatten()
        .map(|mut case| {
            if let Some(members) = case.as_object_mut() {
                members.remove("name");
            }
            case.to_string()
        })
        .collect();
    cases.len()
}

/// The widest line of a generated case file, where it can be broken, in columns.
const MAX_LINE_WIDTH: usize = 100;

/// Parses a generated case as it will be parsed from a case file of this name.
pub(super) fn parse_one(
    file: &str,
    json: &Value,
    schema: &Schema,
    networks: &Networks,
) -> Result<Case, String> {
    let sources = SourceFiles::from_file(file, &to_json_text(&[json]));
    let cases = parse_all(&sources, schema, networks).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        lines.join("; ")
    })?;
    let case = cases.into_iter().next();
    case.ok_or_else(|| "the case is empty".to_owned())
}

/// The text of a case file; a value that fits is on one line.
pub(super) fn to_json_text(cases: &[&Value]) -> String {
    let all = Value::Array(cases.iter().map(|case| (*case).clone()).collect());
    let mut text = String::new();
    push_value(&mut text, &all, 0);
    text.push('\n');
    text
}

fn push_value(text: &mut String, value: &Value, indent: usize) {
    let inline = inline_text(value);
    // A case and its members are always on lines of their own.
    let is_short = inline.chars().count() + 2 * indent <= MAX_LINE_WIDTH && indent > 1;
    let (open, close, parts): (_, _, Vec<(String, &Value)>) = match value {
        Value::Array(values) if !is_short => {
            let parts = values.iter().map(|value| (String::new(), value));
            ('[', ']', parts.collect())
        }
        Value::Object(members) if !is_short => {
            let name = |name: &String| format!("{}: ", Value::String(name.clone()));
            let parts = members.iter().map(|(key, value)| (name(key), value));
            ('{', '}', parts.collect())
        }
        _ => return text.push_str(&inline),
    };
    text.push(open);
    for (at, (name, part)) in parts.into_iter().enumerate() {
        text.push_str(if at == 0 { "\n" } else { ",\n" });
        text.push_str(&"  ".repeat(indent + 1));
        text.push_str(&name);
        push_value(text, part, indent + 1);
    }
    text.push('\n');
    text.push_str(&"  ".repeat(indent));
    text.push(close);
}

fn inline_text(value: &Value) -> String {
    match value {
        Value::Array(values) => {
            let parts: Vec<String> = values.iter().map(inline_text).collect();
            format!("[{}]", parts.join(", "))
        }
        Value::Object(members) => {
            let named = |(name, value): (&String, &Value)| {
                format!("{}: {}", Value::String(name.clone()), inline_text(value))
            };
            let parts: Vec<String> = members.iter().map(named).collect();
            format!("{{{}}}", parts.join(", "))
        }
        other => other.to_string(),
    }
}

/// Whether a file holds cases.
pub(super) fn is_case_file(name: &str) -> bool {
    name.ends_with(CASES_SUFFIX)
}

/// The context of a case, with `"address": "unknown"` as the value that stands for it. The Cedar command
/// line knows no such thing, and refuses the word, as it refuses a bare word for an entity of an enumeration.
fn with_known_word(mut context: Value) -> Value {
    if let Some(address) = context.get_mut(ADDRESS)
        && address.as_str() == Some(UNKNOWN)
    {
        *address = serde_json::json!({"__extn": {"fn": "ip", "arg": UNKNOWN_ADDRESS_VALUE}});
    }
    context
}

/// Parses one case of a file.
struct CaseParser<'a> {
    sources: &'a SourceFiles,
    schema: &'a Schema,
    networks: &'a Networks,
    situations: &'a Situations,
    /// The file's name, relative to the folder.
    file: &'a str,
    text: &'a Arc<str>,
    /// The number of the case in its file, counted from 1.
    number: usize,
    /// Where the case begins, in bytes.
    start: usize,
}

impl CaseParser<'_> {
    /// The case; `None` for a short one whose situation is not valid, which is a problem of its own.
    fn parse(&self, json: &str) -> Result<Option<Case>, Box<SourceDiagnostic>> {
        if !is_short(json) {
            return self.parse_full(json).map(Some);
        }
        let Ok(situation) = self.situations.of(self.sources, self.file) else {
            return Ok(None);
        };
        let parser = ShortCaseParser {
            schema: self.schema,
            situation,
            text: self.text,
        };
        let case = parser.expand(json).map_err(|error| {
            let problem = self.problem_at(error.span, &error.message);
            Box::new(match error.help {
                Some(help) => problem.with_help(help),
                None => problem,
            })
        })?;
        // What is left to be wrong has no place in the text of a short case but its beginning.
        let case = serde_json::from_value(case).map_err(|error| self.problem("case", &error))?;
        self.check(case).map(Some)
    }

    fn parse_full(&self, json: &str) -> Result<Case, Box<SourceDiagnostic>> {
        let case: CaseJson = serde_json::from_str(json).map_err(|error| {
            let inside = error_span(&error, json);
            let span = self.start + inside.start..self.start + inside.end;
            self.problem_at(span, &message_without_position(&error))
        })?;
        self.check(case)
    }

    fn check(&self, case: CaseJson) -> Result<Case, Box<SourceDiagnostic>> {
        let uid = |what: &str, text: &str| {
            text.parse::<EntityUid>()
                .map_err(|error| self.problem(what, &error))
        };
        let action = uid("action", &case.request.action)?;
        let mut context = with_known_word(case.request.context);
        ContextWords::new(self.schema, &action)
            .complete_case_context(&mut context)
            .map_err(|problem| {
                let message = format!("context: {problem}");
                Box::new(self.problem_at(self.start..self.start + 1, &message))
            })?;
        let context = self.networks.complete(context);
        let context = Context::from_json_value(context, Some((self.schema, &action)))
            .map_err(|error| self.problem("context", &error))?;
        let request = Request::new(
            uid("principal", &case.request.principal)?,
            action,
            uid("resource", &case.request.resource)?,
            context,
            Some(self.schema),
        )
        .map_err(|error| self.problem("request", &error))?;
        let entities = match case.entities {
            Value::String(path) => self.parse_entity_file(&path)?,
            entities => Entities::from_json_value(entities, Some(self.schema))
                .map_err(|error| self.problem("entities", &error))?,
        };
        Ok(Case {
            name: case.name.unwrap_or_else(|| format!("case {}", self.number)),
            file: self.file.to_owned(),
            line: line_at(self.text.as_ref(), self.start),
            request,
            entities,
            decision: case.decision,
            reason: case.reason,
            num_errors: case.num_errors,
        })
    }

    /// The entities of a file in the folder of the case file or below it; none of its own if that is a file of the
    /// bundle, whose entities every case has under its own.
    fn parse_entity_file(&self, path: &str) -> Result<Entities, Box<SourceDiagnostic>> {
        let path = path.strip_prefix("./").unwrap_or(path);
        let name = match self.file.rsplit_once('/') {
            Some((folder, _)) => format!("{folder}/{path}"),
            None => path.to_owned(),
        };
        let Some(text) = self.sources.text(&name) else {
            let span = self.start..self.start + 1;
            let problem = self.problem_at(span, &format!("entity file {name:?} not found"));
            let known = self.sources.iter().map(|(name, _)| name);
            let known = known.filter(|name| !is_case_file(name));
            let help = did_you_mean(&name, known).unwrap_or_else(|| {
                "name a .json file in the folder of the case file or below it".to_owned()
            });
            return Err(Box::new(problem.with_help(help)));
        };
        let label = self.sources.label(&name);
        if is_entities_file(&name) {
            return Entities::from_entities([], Some(self.schema))
                .map_err(|error| self.problem("entities", &error));
        }
        entity_file::parse(&label, text, self.schema).map_err(|problems| {
            let first = problems.into_iter().next();
            Box::new(first.unwrap_or_else(|| SourceDiagnostic::for_file(&label, "no entities")))
        })
    }

    fn problem(&self, what: &str, error: &dyn std::error::Error) -> Box<SourceDiagnostic> {
        let message = format!("{what}: {}", error_chain(error));
        Box::new(self.problem_at(self.start..self.start + 1, &message))
    }

    fn problem_at(&self, span: Range<usize>, message: &str) -> SourceDiagnostic {
        let label = self.sources.label(self.file);
        let message = format!("case {}: {message}", self.number);
        SourceDiagnostic::at_span(&label, self.text, span, message)
    }
}
